//! GuardPolicy: several of them, enforcement, defaults.

use serde_json::json;

use crate::support::*;

fn guard(name: &str, spec: &str) -> String {
    format!("{{kind: GuardPolicy, metadata: {{name: {name}}}, spec: {spec}}}")
}

/// "Several policies may match: each is evaluated, and the same finding gets the strongest action."
#[test]
fn the_strongest_action_counts_and_a_finding_is_said_once() {
    for actions in [["Deny", "Audit", "Warn"], ["Audit", "Warn", "Deny"], ["Warn", "Deny", "Audit"]] {
        let texts: Vec<String> = actions
            .iter()
            .map(|action| {
                guard(
                    &action.to_lowercase(),
                    &format!("{{rules: {{required-limits: {{action: {action}, memory: false}}}}}}"),
                )
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let answer = World::new(&texts).validate(&Review::create(bad_deployment()));
        answer.assert_refused(&BAD[..1]);
        assert_eq!(answer.outcome.verdicts.len(), 1);
        assert_eq!(answer.outcome.verdicts[0].by, "GuardPolicy/deny");
    }
    // Different parameters add up.
    let world = World::new(&[
        &guard("a", "{rules: {required-limits: {memory: false}}}"),
        &guard("b", "{rules: {required-limits: {cpu: false, action: Warn}}}"),
    ]);
    let answer = world.validate(&Review::create(bad_deployment()));
    answer.assert_refused(&BAD[..1]);
    assert_eq!(answer.warned(), &BAD[1..2]);
}

/// "enforcement: the strongest action this policy takes now: Deny | Warn | Audit, for a staged roll-out"
#[test]
fn enforcement_caps_every_rule() {
    let judge = |enforcement: &str| {
        World::new(&[&guard("g", &format!("{{enforcement: {enforcement}, rules: {{required-limits: {{action: Deny}}, required-probes: {{action: Warn}}}}}}"))])
            .validate(&Review::create(bad_deployment()))
    };
    assert_eq!(judge("Deny").causes(), &BAD[..2]);
    judge("Warn").assert_warned(&BAD);
    let audit = judge("Audit");
    assert_eq!((audit.allowed(), audit.warnings().len(), audit.audited().len()), (true, 0, 4));
    assert!(audit.wire["auditAnnotations"]["audited"].is_string());
}

/// The table of rules: an action that is left out is the rule's default.
#[test]
fn a_rule_without_an_action_takes_its_default() {
    World::new(&[&guard("g", "{rules: {required-limits: , required-probes: {}}}")])
        .validate(&Review::create(bad_deployment()))
        .assert_refused(&BAD);
    let annotated =
        with(good_deployment(), "/spec/template/metadata/annotations", json!({"supercargo.dev/profile": "y"}));
    World::new(&[&guard("g", "{rules: {reserved-annotation: {}}}")])
        .validate(&Review::create(annotated.clone()))
        .assert_warned(&["reserved-annotation /spec/template/metadata/annotations/supercargo.dev~1profile"]);
    World::new(&[&guard("g", "{rules: {reserved-annotation: {action: Deny}}}")])
        .validate(&Review::create(annotated))
        .assert_refused(&["reserved-annotation /spec/template/metadata/annotations/supercargo.dev~1profile"]);
}

/// Rules that guard what Supercargo itself writes judge where no policy lists them, and by a policy's action where one does.
#[test]
fn profile_rules_need_no_policy() {
    let pod = without(scan_pod(), "/metadata/annotations");
    let cause = "profile-volume /metadata/annotations/supercargo.dev~1source";
    let (_, answer) = World::new(&BUILT_IN[1..]).admit(&Review::create(pod.clone()));
    answer.assert_refused(&[cause]);
    assert_eq!(answer.outcome.verdicts[0].by, "PodProfile/scan");
    let mild = guard("mild", "{rules: {profile-volume: {action: Warn}}}");
    let (_, answer) = World::new(&[&mild, BUILT_IN[1]]).admit(&Review::create(pod.clone()));
    answer.assert_warned(&[cause]);
    // One that does not match this object says nothing about it.
    let elsewhere = guard("mild", "{match: {namespaces: {include: [other]}}, rules: {profile-volume: {action: Warn}}}");
    let (_, answer) = World::new(&[&elsewhere, BUILT_IN[1]]).admit(&Review::create(pod));
    answer.assert_refused(&[cause]);
}

/// "match: namespaces by name, namespaceSelector, objectSelector, kinds"
#[test]
fn what_a_policy_judges() {
    for (matches, judged) in [
        ("{}", true),
        ("{namespaces: {include: [scans]}}", true),
        ("{namespaces: {include: ['sc*'], exclude: [scans]}}", false),
        ("{namespaces: {exclude: ['kube-*']}}", true),
        ("{namespaceSelector: {matchLabels: {supercargo.dev/scans: 'true'}}}", true),
        ("{namespaceSelector: {matchExpressions: [{key: supercargo.dev/scans, operator: DoesNotExist}]}}", false),
        ("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: scans}}}", true),
        ("{objectSelector: {matchLabels: {tier: front}}}", true),
        ("{objectSelector: {matchLabels: {app: web}}}", false),
        ("{kinds: [Deployment, Job]}", true),
        ("{kinds: [Pod]}", false),
    ] {
        let object = with(bad_deployment(), "/metadata/labels", json!({"tier": "front"}));
        let world = World::new(&[&guard("g", &format!("{{match: {matches}, rules: {{required-limits: {{}}}}}}"))]);
        assert_eq!(!world.validate(&Review::create(object)).allowed(), judged, "{matches}");
    }
}

/// "In cluster mode no policy means no policy"
#[test]
fn no_policy_is_no_policy() {
    let world = World::new(&[]);
    world.validate(&Review::create(bad_deployment())).assert_clean();
    assert_eq!(world.mutate(&Review::create(scan_pod())).patch, json!([]));
}

/// "--policy NAME (only this one of them)", with all exemptions
#[test]
fn one_policy_by_itself() {
    let mut world =
        World::new(&[BUILT_IN[0], BUILT_IN[1], &guard("other", "{rules: {required-limits: {memory: false}}}")]);
    world.policies = world.policies.only("other").unwrap();
    world.validate(&Review::create(bad_deployment())).assert_refused(&BAD[..1]);
    assert!(world.policies.only("nobody").is_none());
}
