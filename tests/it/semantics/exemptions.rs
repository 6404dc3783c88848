//! Exemption: "who may break which rule, where, why, until when".

use crate::support::*;

#[track_caller]
fn exempted(matches: &str, rules: &str) -> Answer {
    let exemption = format!(
        "{{kind: Exemption, metadata: {{name: e}}, spec: {{owner: t, reason: r, expires: '2026-11-21', rules: {rules}, match: {matches}}}}}"
    );
    World::new(&[BUILT_IN[0], &exemption]).in_namespace("billing").validate(&Review::create(bad_deployment()))
}

/// Namespaces, kinds, names, containers and keys: each narrows, all must match.
#[test]
fn every_part_of_a_match_narrows() {
    let all = "[required-limits, required-probes]";
    for (matches, left) in [
        ("{namespaces: [billing]}", 0),
        ("{namespaces: ['bill*']}", 0),
        ("{namespaces: [shop]}", 4),
        ("{namespaces: [billing], kinds: [Deployment]}", 0),
        ("{namespaces: [billing], kinds: [Job]}", 4),
        ("{namespaces: [billing], names: ['w*']}", 0),
        ("{namespaces: [billing], names: [web-2]}", 4),
        ("{namespaces: [billing], containers: [app]}", 0),
        ("{namespaces: [billing], containers: [other]}", 4),
        ("{namespaces: [billing], keys: [memory, liveness]}", 2),
    ] {
        let answer = exempted(matches, all);
        assert_eq!(answer.causes().len(), left, "{matches}");
        assert_eq!(answer.audited().len(), 4 - left, "{matches}");
    }
    assert_eq!(exempted("{namespaces: [billing]}", "[required-probes]").causes().len(), 2);
}

/// "to the end of that day, UTC"
#[test]
fn an_exemption_holds_to_the_end_of_its_last_day() {
    let exemption = "{kind: Exemption, metadata: {name: e}, spec: {owner: t, reason: r, expires: '2027-03-31', rules: [required-probes, required-limits], match: {namespaces: ['*']}}}";
    let at = |now| {
        World::new(&[BUILT_IN[0], exemption]).in_namespace("shop").at(now).validate(&Review::create(bad_deployment()))
    };
    assert!(at("2027-03-31T23:59:59.999Z").allowed());
    assert!(!at("2027-04-01T00:00:00Z").allowed());
    // In another zone it is another day; UTC counts.
    assert!(at("2027-04-01T01:30:00+02:00").allowed());
}

/// What is exempted is recorded and not shown; what a policy only warns of can be exempted, too.
#[test]
fn an_exempted_finding_is_only_recorded() {
    let answer = exempted("{namespaces: [billing]}", "[required-limits, required-probes]");
    assert_eq!(answer.warnings(), Vec::<&str>::new());
    assert!(answer.wire["auditAnnotations"]["exempted"].is_string());
}

/// An exemption of a pod's profile rule lets that pod pass.
#[test]
fn profile_rules_can_be_exempted() {
    let exemption = "{kind: Exemption, metadata: {name: e}, spec: {owner: t, reason: r, expires: '2027-03-31', rules: [profile-volume], match: {namespaces: [scans], keys: [supercargo-source]}}}";
    let pod = without(scan_pod(), "/metadata/annotations");
    let (_, answer) = World::new(&[BUILT_IN[0], BUILT_IN[1], exemption]).admit(&Review::create(pod));
    assert!(answer.allowed(), "{}", answer.message());
    assert_eq!(answer.audited(), ["profile-volume /metadata/annotations/supercargo.dev~1source"]);
    assert_eq!(answer.wire.get("patch"), None);
}
