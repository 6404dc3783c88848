//! Policies are "strictly parsed: unknown field, wrong type, bad selector, impossible quantity, forbidden label or
//! volume type, each with ... field path and what would be right".

use serde_json::{Value, json};

use crate::support::*;

/// Compiles one policy of `kind` and wants a complaint about `field` with `words` in it.
#[track_caller]
fn refused(kind: &str, spec: &str, field: &str, words: &str) {
    let policy = json!({"kind": kind, "metadata": {"name": "p"}, "spec": yaml(spec)});
    let (set, errors) = compile(vec![policy]);
    let found: Vec<_> = errors.iter().map(|error| (error.field.as_str(), error.message.as_str())).collect();
    assert!(found.iter().any(|(f, m)| *f == field && m.contains(words)), "wanted {field}: {words}; got {found:?}");
    assert!(errors.iter().all(|error| error.policy == format!("{kind}/p")));
    assert!(set.guards().is_empty() && set.profiles().is_empty() && set.exemptions().is_empty(), "left out");
}

#[test]
fn guards() {
    for (spec, field, words) in [
        ("{rule: {}}", "spec.rule", "expected one of"),
        ("{rules: {}}", "spec.rules", "names no rule"),
        ("{}", "spec", "missing field `rules`"),
        ("{rules: {no-such: {}}}", "spec.rules.no-such", "required-limits"),
        ("{rules: {required-limits: {cpus: true}}}", "spec.rules.required-limits.cpus", "expected one of"),
        ("{rules: {required-limits: {cpu: 'yes'}}}", "spec.rules.required-limits.cpu", "boolean"),
        ("{rules: {required-limits: true}}", "spec.rules.required-limits", "not a map"),
        ("{rules: {required-limits: {action: deny}}}", "spec.rules.required-limits.action", "Deny"),
        ("{rules: {required-probes: {probes: [alive]}}}", "spec.rules.required-probes.probes[0]", "liveness"),
        ("{rules: {required-probes: {need: all}}}", "spec.rules.required-probes.need", "All"),
        ("{rules: {embedded-secret: {strict: true}}}", "spec.rules.embedded-secret.strict", "unknown field"),
        ("{enforcement: Block, rules: {required-limits: {}}}", "spec.enforcement", "Audit"),
        ("{controllerPods: Allow, rules: {required-limits: {}}}", "spec.controllerPods", "Audit"),
        ("{match: {kinds: [deployments]}, rules: {required-limits: {}}}", "spec.match.kinds[0]", "Deployment"),
        ("{match: {namespace: [a]}, rules: {required-limits: {}}}", "spec.match.namespace", "expected one of"),
        (
            "{match: {namespaces: [a]}, rules: {required-limits: {}}}",
            "spec.match.namespaces",
            "write one with include, exclude",
        ),
        ("{match: {namespaces: []}, rules: {required-limits: {}}}", "spec.match.namespaces", "not a map"),
        ("{match: {objectSelector: []}, rules: {required-limits: {}}}", "spec.match.objectSelector", "not a map"),
        ("{match: [], rules: {required-limits: {}}}", "spec.match", "not a map"),
        ("{enforcement: 1, rules: {required-limits: {}}}", "spec.enforcement", "write one of Audit, Warn, Deny"),
        (
            "{match: {objectSelector: {app: web}}, rules: {required-limits: {}}}",
            "spec.match.objectSelector.app",
            "matchLabels",
        ),
        (
            "{match: {objectSelector: {matchLabels: {a b: c}}}, rules: {required-limits: {}}}",
            "spec.match.objectSelector.matchLabels",
            "no valid key",
        ),
        (
            "{match: {namespaceSelector: {matchExpressions: [{key: a, operator: In}]}}, rules: {required-limits: {}}}",
            "spec.match.namespaceSelector.matchExpressions[0].values",
            "at least one",
        ),
        (
            "{match: {namespaceSelector: {matchExpressions: [{key: a, operator: NotIn, values: ['a b']}]}}, rules: {required-limits: {}}}",
            "spec.match.namespaceSelector.matchExpressions[0].values",
            "no valid label value",
        ),
        (
            "{match: {namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}, rules: {required-limits: {}}}",
            "spec.match.namespaceSelector.matchExpressions[0].values",
            "takes no values",
        ),
        (
            "{match: {namespaceSelector: {matchExpressions: [{key: a, operator: is}]}}, rules: {required-limits: {}}}",
            "spec.match.namespaceSelector.matchExpressions[0].operator",
            "NotIn",
        ),
    ] {
        refused("GuardPolicy", spec, field, words);
    }
}

#[test]
fn exemptions() {
    let spec = |replace: &str, by: &str| {
        "{owner: t, reason: r, expires: '2027-01-01', rules: [required-probes], match: {namespaces: [a]}}"
            .replace(replace, by)
    };
    for (replace, by, field, words) in [
        ("owner: t, ", "", "spec", "missing field `owner`"),
        ("owner: t", "owner: ' '", "spec.owner", "is empty"),
        ("reason: r", "reason: ''", "spec.reason", "is empty"),
        ("expires: '2027-01-01', ", "", "spec", "missing field `expires`"),
        ("2027-01-01", "2027-02-30", "spec.expires", "YYYY-MM-DD"),
        ("2027-01-01", "next year", "spec.expires", "YYYY-MM-DD"),
        ("2027-01-01", "2027-01-01T10:00:00Z", "spec.expires", "YYYY-MM-DD"),
        ("[required-probes]", "['*']", "spec.rules[0]", "there is no rule"),
        ("[required-probes]", "[]", "spec.rules", "names no rule"),
        ("namespaces: [a]", "", "spec.match.namespaces", "is missing"),
        ("namespaces: [a]", "namespaces: [a], kinds: [deployments]", "spec.match.kinds[0]", "Deployment"),
        ("namespaces: [a]", "namespaces: [a], container: [b]", "spec.match.container", "containers"),
    ] {
        refused("Exemption", &spec(replace, by), field, words);
    }
    // Secrets are looked for in every kind, offline.
    let (set, errors) = compile(vec![
        json!({"kind": "Exemption", "spec": yaml(&spec("[required-probes]", "[embedded-secret]").replace("[a]", "[a], kinds: [Ingress]"))}),
    ]);
    assert!(errors.is_empty() && set.exemptions().len() == 1, "{errors:?}");
}

#[test]
fn profiles() {
    let volume = |volume: &str| format!("{{match: {{}}, volumes: [{volume}]}}");
    let mount =
        |mount: &str| format!("{{match: {{}}, volumes: [{{name: v, emptyDir: {{}}}}], volumeMounts: [{mount}]}}");
    let placement = |placement: &str| format!("{{match: {{}}, placement: {{{placement}}}}}");
    let resources = |resources: &str| format!("{{match: {{}}, resources: {{{resources}}}}}");
    for (spec, field, words) in [
        ("{labels: {}}".to_owned(), "spec", "missing field `match`"),
        ("{match: {}, label: {}}".to_owned(), "spec.label", "expected one of"),
        ("{match: {podSelector: []}}".to_owned(), "spec.match.podSelector", "not a map"),
        ("{match: {podSelector: }}".to_owned(), "spec.match.podSelector", "not a map"),
        ("{match: {labels: {}}}".to_owned(), "spec.match.labels", "podSelector"),
        ("{match: {}, order: first}".to_owned(), "spec.order", "i32"),
        ("{match: {}, labels: {team: x}}".to_owned(), "spec.labels.team", "domain"),
        (
            "{match: {}, labels: {app.kubernetes.io/name: x}}".to_owned(),
            "spec.labels.app.kubernetes.io/name",
            "controllers",
        ),
        ("{match: {}, labels: {x.io/a: 'a b'}}".to_owned(), "spec.labels.x.io/a", "label value"),
        (
            "{match: {}, annotations: {supercargo.dev/placement: x}}".to_owned(),
            "spec.annotations.supercargo.dev/placement",
            "domain of your own",
        ),
        (placement("mode: pack"), "spec.placement.mode", "Pack"),
        (placement("mode: Spread"), "spec.placement.spread.topologyKeys", "topology.kubernetes.io/zone"),
        (placement("mode: Pack, maxPerNode: -1"), "spec.placement.maxPerNode", "-1"),
        (placement("groupBy: ['a b']"), "spec.placement.groupBy[0]", "no valid key"),
        (placement("tolerations: [{value: a}]"), "spec.placement.tolerations[0]", "no key"),
        (
            placement("tolerations: [{key: a, operator: Exists, value: b}]"),
            "spec.placement.tolerations[0].value",
            "takes no value",
        ),
        (
            placement("tolerations: [{key: 'a b', operator: Exists}]"),
            "spec.placement.tolerations[0].key",
            "no valid key",
        ),
        (
            placement("tolerations: [{key: a, tolerationSeconds: 3}]"),
            "spec.placement.tolerations[0].tolerationSeconds",
            "NoExecute",
        ),
        (resources("containers: {limits: {memory: 1GB}}"), "spec.resources.containers.limits.memory", "not a quantity"),
        (
            resources("containers: {limits: {memory: true}}"),
            "spec.resources.containers.limits.memory",
            "not a quantity",
        ),
        (resources("containers: {limits: {cpu: -1}}"), "spec.resources.containers.limits.cpu", "negative"),
        (resources("containers: {limits: {cpus: 1}}"), "spec.resources.containers.limits.cpus", "no resource"),
        (
            resources("initContainers: {requests: {cpu: 2}, limits: {cpu: 1500m}}"),
            "spec.resources.initContainers.requests.cpu",
            "more than the limit",
        ),
        (resources("sidecars: {limit: {}}"), "spec.resources.sidecars.limit", "limits"),
        (volume("{name: v, hostPath: {path: /}}"), "spec.volumes[0].hostPath", "persistentVolumeClaim"),
        (volume("{name: v, secret: {secretName: x}}"), "spec.volumes[0].secret", "persistentVolumeClaim"),
        (volume("{name: v}"), "spec.volumes[0]", "exactly one source"),
        (volume("{name: v, emptyDir: {}, nfs: {}}"), "spec.volumes[0]", "exactly one source"),
        (volume("{emptyDir: {}}"), "spec.volumes[0].name", "needs a name"),
        (volume("{name: Bad_Name, emptyDir: {}}"), "spec.volumes[0].name", "lower-case"),
        (
            volume("{name: v, persistentVolumeClaim: {}}"),
            "spec.volumes[0].persistentVolumeClaim.claimName",
            "is missing",
        ),
        (volume("{name: v, configMap: {}}"), "spec.volumes[0].configMap.name", "is missing"),
        (volume("{name: v, nfs: {server: a}}"), "spec.volumes[0].nfs.path", "is missing"),
        (volume("{name: v, emptyDir: {sizeLimit: big}}"), "spec.volumes[0].emptyDir.sizeLimit", "not a quantity"),
        (volume("{name: v, emptyDir: {}}, {name: v, emptyDir: {}}"), "spec.volumes[1].name", "twice"),
        (mount("{volume: other, mountPath: /a}"), "spec.volumeMounts[0].volume", "none of the profile's volumes"),
        (mount("{volume: v, mountPath: a}"), "spec.volumeMounts[0].mountPath", "absolute"),
        (mount("{volume: v, mountPath: /a/../b}"), "spec.volumeMounts[0].mountPath", "absolute"),
        (mount("{volume: v, mountPath: /a/}"), "spec.volumeMounts[0].mountPath", "'/' at its end"),
        (mount("{volume: v, mountPath: /a, containers: []}"), "spec.volumeMounts[0].containers", "is empty"),
        (
            mount("{volume: v, mountPath: /a, containers: ['scan-*']}"),
            "spec.volumeMounts[0].containers[0]",
            "no valid name",
        ),
        (
            mount("{volume: v, mountPath: /a, subPathFrom: {annotation: a, prefix: ../x}}"),
            "spec.volumeMounts[0].subPathFrom.prefix",
            "relative path",
        ),
        (
            mount("{volume: v, mountPath: /a, subPathFrom: {annotation: a, prefix: '{pod}/'}}"),
            "spec.volumeMounts[0].subPathFrom.prefix",
            "only placeholder",
        ),
        (mount("{volume: v, mountPath: /a, subPath: x}"), "spec.volumeMounts[0].subPath", "subPathFrom"),
    ] {
        refused("PodProfile", &spec, field, words);
    }
}

#[test]
fn documents() {
    let one = |document: Value| {
        let (_, errors) = compile(vec![document]);
        errors.into_iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("\n")
    };
    let spec = json!({"rules": {"required-limits": {}}});
    for (document, words) in [
        (
            json!({"apiVersion": "supercargo.dev/v1", "kind": "GuardPolicy", "metadata": {"name": "a"}, "spec": spec}),
            "apiVersion: \"supercargo.dev/v1\" is not known here: write supercargo.dev/v1alpha1",
        ),
        (json!({"kind": "Guard", "spec": spec}), "kind: \"Guard\" is none of our kinds"),
        (json!({"kind": "GuardPolicy", "metadata": {}, "spec": spec}), "metadata.name: is missing"),
        (
            json!({"kind": "GuardPolicy", "metadata": {"name": "Base Line"}, "spec": spec}),
            "metadata.name: \"Base Line\" is no valid name",
        ),
        (json!({"kind": "GuardPolicy", "specs": spec}), "specs: unknown field"),
        (json!({"kind": "GuardPolicy"}), "missing field `spec`"),
        (json!({"kind": "GuardPolicy", "spec": []}), "spec: "),
    ] {
        let said = one(document.clone());
        assert!(said.contains(words), "{document}: {said}");
    }
}

/// One that does not compile takes no other with it; two of one name are one too many.
#[test]
fn the_others_are_kept() {
    let guard =
        |name: &str, rules: Value| json!({"kind": "GuardPolicy", "metadata": {"name": name}, "spec": {"rules": rules}});
    let (set, errors) = compile(vec![
        guard("a", json!({"required-limits": {}})),
        guard("b", json!({"x": {}})),
        guard("c", json!({"required-probes": {}})),
    ]);
    assert_eq!(set.guards().iter().map(|guard| guard.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(errors.iter().map(|error| error.document).collect::<Vec<_>>(), [1]);
    let (set, errors) =
        compile(vec![guard("a", json!({"required-limits": {}})), guard("a", json!({"required-limits": {}}))]);
    assert_eq!((set.guards().len(), errors.len()), (1, 1));
    assert!(errors[0].message.contains("two objects GuardPolicy/a"));
}

/// A profile may not select by a label that a profile adds: whether it matches would change with every call.
#[test]
fn profiles_do_not_select_by_what_profiles_add() {
    let profile =
        |name: &str, spec: &str| json!({"kind": "PodProfile", "metadata": {"name": name}, "spec": yaml(spec)});
    for documents in [
        vec![
            profile("a", "{match: {}, labels: {x.io/a: b}}"),
            profile("b", "{match: {podSelector: {matchLabels: {x.io/a: b}}}}"),
        ],
        vec![profile(
            "b",
            "{match: {podSelector: {matchExpressions: [{key: x.io/a, operator: DoesNotExist}]}}, labels: {x.io/a: b}}",
        )],
    ] {
        let (set, errors) = compile(documents);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].policy.as_str(), errors[0].field.as_str()), ("PodProfile/b", "spec.match.podSelector"));
        assert!(set.profiles().iter().all(|profile| profile.name != "b"));
    }
}

/// The built-in set compiles.
#[test]
fn the_built_in_policies_compile() {
    let world = World::built_in();
    assert_eq!((world.policies.guards().len(), world.policies.profiles().len()), (1, 1));
}
