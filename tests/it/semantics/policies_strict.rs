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

/// What could never do anything is a slip, not a setting.
#[test]
fn guards_that_would_judge_nothing() {
    let matches = |matches: &str| format!("{{match: {{{matches}}}, rules: {{required-limits: {{}}}}}}");
    let rule = |rule: &str| format!("{{rules: {{{rule}}}}}");
    for (spec, field, words) in [
        (matches("namespaces: {include: []}"), "spec.match.namespaces.include", "leave it out for all"),
        (matches("namespaces: {include: ['[a']}"), "spec.match.namespaces.include[0]", "the name of no namespace"),
        (matches("namespaces: {include: [a, Shop]}"), "spec.match.namespaces.include[1]", "lower-case"),
        (matches("namespaces: {exclude: ['']}"), "spec.match.namespaces.exclude[0]", "the name of no namespace"),
        (matches("namespaces: {exclude: ['*']}"), "spec.match.namespaces.exclude", "nothing is judged"),
        (
            matches("namespaces: {include: [shop, 'kube-a*'], exclude: [shop, 'kube-*']}"),
            "spec.match.namespaces.exclude",
            "takes back all",
        ),
        (matches("kinds: [ConfigMap]"), "spec.rules.required-limits", "none of match.kinds"),
        (
            rule("required-limits: {cpu: false, memory: false, ephemeralStorage: false}"),
            "spec.rules.required-limits",
            "leave the rule out",
        ),
        (rule("required-limits: {cpu: false, memory: false}"), "spec.rules.required-limits", "requires no limit"),
        (rule("required-probes: {probes: []}"), "spec.rules.required-probes.probes", "leave the rule out"),
        (rule("required-probes: {probes: [liveness, liveness]}"), "spec.rules.required-probes.probes[1]", "twice"),
        (
            rule("required-probes: {exceptContainers: [a, 'b*']}"),
            "spec.rules.required-probes.exceptContainers[1]",
            "no valid name",
        ),
        (
            rule("required-probes: {exceptContainers: ['']}"),
            "spec.rules.required-probes.exceptContainers[0]",
            "no valid name",
        ),
    ] {
        refused("GuardPolicy", &spec, field, words);
    }
    let (set, errors) = compile(
        [
            matches("namespaces: {include: ['a*', b], exclude: ['a-*', b]}"),
            matches("kinds: [ConfigMap, Job]"),
            rule("required-limits: {cpu: false, memory: false, ephemeralStorage: true}"),
            rule("required-probes: {probes: [startup], exceptContainers: []}"),
        ]
        .map(|spec| json!({"kind": "GuardPolicy", "spec": yaml(&spec)}))
        .into(),
    );
    assert_eq!((set.guards().len(), errors), (4, Vec::new()));
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

/// Compiles one profile after the other and wants no complaint.
#[track_caller]
fn compiles(specs: &[String]) {
    let documents = specs.iter().map(|spec| json!({"kind": "PodProfile", "spec": yaml(spec)})).collect();
    let (set, errors) = compile(documents);
    assert_eq!((set.profiles().len(), errors), (specs.len(), Vec::new()));
}

/// What the API server (1.36) would refuse in every container that gets it.
#[test]
fn amounts_that_would_spoil_their_pods() {
    let containers = |amounts: &str| format!("{{match: {{}}, resources: {{containers: {{{amounts}}}}}}}");
    for (amounts, field, words) in [
        ("requests: {nvidia.com/gpu: 1}", "requests.nvidia.com/gpu", "write limits: {nvidia.com/gpu: 1}, too"),
        (
            "requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 2}",
            "requests.nvidia.com/gpu",
            "is not the limit of 2",
        ),
        ("limits: {nvidia.com/gpu: 500m}", "limits.nvidia.com/gpu", "no whole number"),
        ("requests: {nvidia.com/gpu: 1.5}", "requests.nvidia.com/gpu", "no whole number"),
        ("limits: {cpu: '0'}", "limits.cpu", "a limit of 0 bounds nothing"),
        ("limits: {memory: 512m}", "limits.memory", "write one such as 512Mi"),
        ("requests: {cpu: 0.0001}", "requests.cpu", "thousandths of a core"),
        ("requests: {ephemeral-storage: 99999999999E}", "requests.ephemeral-storage", "write less than 8Ei"),
        ("limits: {cpu: '1e99999'}", "limits.cpu", "write less than 8Ei"),
        ("limits: {a/b c: 1}", "limits.a/b c", "no valid key"),
        ("limits: {requests.example.com/a: 1}", "limits.requests.example.com/a", "there is no resource"),
        ("limits: {hugepages-2Mi: 1Gi}", "limits.hugepages-2Mi", "without cpu and memory"),
        ("requests: {cpu: 1, hugepages-2Mi: 1Gi}", "requests.hugepages-2Mi", "needs a limit of the same amount"),
        ("requests: {cpu: 1}, limits: {hugepages-2Mi: 3Mi}", "limits.hugepages-2Mi", "in pages of 2097152 bytes"),
        ("requests: {cpu: 1}, limits: {hugepages-big: 1Gi}", "limits.hugepages-big", "no size of a page"),
    ] {
        refused("PodProfile", &containers(amounts), &format!("spec.resources.containers.{field}"), words);
    }
    compiles(
        &[
            "limits: {nvidia.com/gpu: 1}",
            "requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: '1'}",
            "requests: {cpu: 1}, limits: {hugepages-2Mi: 1Gi}",
            "requests: {kubernetes.io/batch-cpu: 500, cpu: 100m}",
            "requests: {cpu: 0, memory: '0'}, limits: {cpu: 0.001, memory: 1}",
        ]
        .map(containers),
    );
}

/// What the API server reads itself is not a profile's to add; what platforms write into pods is.
#[test]
fn annotations_that_would_spoil_their_pods() {
    let annotation = |key: &str, value: &str| format!("{{match: {{}}, annotations: {{{key}: '{value}'}}}}");
    for (key, value, words) in [
        ("kubernetes.io/config.mirror", "x", "kubelet"),
        ("seccomp.security.alpha.kubernetes.io/pod", "z", "seccompProfile"),
        ("container.seccomp.security.alpha.kubernetes.io/scan", "z", "seccompProfile"),
        ("container.apparmor.security.beta.kubernetes.io/scan", "runtime/default", "appArmorProfile"),
        ("scheduler.alpha.kubernetes.io/tolerations", "x", "spec.placement"),
        ("controller.kubernetes.io/pod-deletion-cost", "z", "whole number"),
        ("controller.kubernetes.io/pod-deletion-cost", "+1", "whole number"),
    ] {
        refused("PodProfile", &annotation(key, value), &format!("spec.annotations.{key}"), words);
    }
    refused("PodProfile", &annotation("x.io/a", &"x".repeat(256 * 1024)), "spec.annotations", "256 KiB");
    compiles(
        &[
            ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
            ("karpenter.sh/do-not-disrupt", "true"),
            ("prometheus.io/scrape", "true"),
            ("sidecar.istio.io/inject", "false"),
            ("k8s.v1.cni.cncf.io/networks", "storage"),
            ("kubernetes.io/egress-bandwidth", "10M"),
            ("controller.kubernetes.io/pod-deletion-cost", "-100"),
        ]
        .map(|(key, value)| annotation(key, value)),
    );
}

/// Fields that the API server would drop; folders of other namespaces; mounts that nobody would get.
#[test]
fn volumes_and_mounts_that_would_spoil_their_pods() {
    const PREFIX: &str = "spec.volumeMounts[0].subPathFrom.prefix";
    let volume = |source: &str| format!("{{match: {{}}, volumes: [{{name: v, {source}}}]}}");
    let mounts =
        |mounts: &str| format!("{{match: {{}}, volumes: [{{name: v, emptyDir: {{}}}}], volumeMounts: [{mounts}]}}");
    let folder = |prefix: &str| {
        mounts(&format!("{{volume: v, mountPath: /a, subPathFrom: {{annotation: x.io/a, prefix: '{prefix}'}}}}"))
    };
    for (spec, field, words) in [
        (
            volume("persistentVolumeClaim: {claimName: x, readonly: true}"),
            "spec.volumes[0].persistentVolumeClaim.readonly",
            "expected one of `claimName`, `readOnly`",
        ),
        (volume("emptyDir: {sizelimit: 1Gi}"), "spec.volumes[0].emptyDir.sizelimit", "`sizeLimit`"),
        (volume("csi: {driver: d, readOnly: 'true'}"), "spec.volumes[0].csi.readOnly", "without quotes"),
        (folder("{namespace}"), PREFIX, "write \"{namespace}/\""),
        (folder("all/{namespace}-"), PREFIX, "a folder beside it"),
        (folder("scans"), PREFIX, "write \"scans/\""),
        (folder("{namespace}//"), PREFIX, "no relative path"),
        (
            mounts("{volume: v, mountPath: /a}, {volume: v, mountPath: /a, readOnly: true}"),
            "spec.volumeMounts[1].containers[0]",
            "\"*\" is in volumeMounts[0] for /a already",
        ),
        (
            mounts("{volume: v, mountPath: /a, containers: [x, z, x]}"),
            "spec.volumeMounts[0].containers[2]",
            "\"x\" is in this entry",
        ),
        (
            "{match: {}, placement: {mode: Spread, spread: {topologyKeys: [a, b, a]}}}".to_owned(),
            "spec.placement.spread.topologyKeys[2]",
            "twice",
        ),
    ] {
        refused("PodProfile", &spec, field, words);
    }
    compiles(&[
        folder(""),
        folder("all/{namespace}/"),
        folder("scans/"),
        mounts("{volume: v, mountPath: /a}, {volume: v, mountPath: /b}, {volume: v, mountPath: /a, containers: [x]}"),
        mounts("{volume: v, mountPath: /a, exceptContainers: [x]}, {volume: v, mountPath: /a, exceptContainers: []}"),
    ]);
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
        (json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {}}), "kind: \"ConfigMap\" is none of our kinds"),
        (json!({"kind": "GuardPolicy", "metadata": {}, "spec": spec}), "metadata.name: is missing"),
        (
            json!({"kind": "GuardPolicy", "metadata": {"name": "Base Line"}, "spec": spec}),
            "metadata.name: \"Base Line\" is no valid name",
        ),
        (json!({"kind": "GuardPolicy", "specs": spec}), "specs: unknown field"),
        (json!({"kind": "GuardPolicy"}), "missing field `spec`"),
        (json!({"kind": "GuardPolicy", "spec": []}), "spec: "),
        (
            json!({"kind": "GuardPolicy", "metadata": {"name": "a", "namespace": "foo"}, "spec": spec}),
            "metadata.namespace: our kinds are the cluster's and have no namespace: leave it out",
        ),
        (
            json!({"kind": "GuardPolicy", "metadata": {"name": "a", "anotations": {}}, "spec": spec}),
            "metadata.anotations: unknown field `anotations`, expected one of `name`, `labels`, `annotations`",
        ),
        (
            json!({"kind": "GuardPolicy", "metadata": {"name": "a", "labels": {"a": 1}}, "spec": spec}),
            "metadata.labels.a: invalid type",
        ),
    ] {
        let said = one(document.clone());
        assert!(said.contains(words), "{document}: {said}");
    }
    // As `kubectl get -o yaml` prints it.
    let printed = json!({"name": "a", "labels": {"a": "b"}, "annotations": {"a": "b"}, "creationTimestamp": null, "generation": 1,
        "resourceVersion": "7", "uid": "u", "managedFields": [{}], "finalizers": ["x"], "ownerReferences": [{}]});
    assert_eq!(one(json!({"kind": "GuardPolicy", "metadata": printed, "spec": spec})), "");
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
