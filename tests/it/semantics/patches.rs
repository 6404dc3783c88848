//! Patches.

use serde_json::{Value, json};

use crate::support::*;

fn paths(answer: &Answer) -> Vec<&str> {
    answer.patch.as_array().unwrap().iter().map(|operation| operation["path"].as_str().unwrap()).collect()
}

/// "Work on an untyped JSON tree, never a typed round trip: a typed one drops fields that the type does not know"
#[test]
fn fields_that_nobody_knows_survive() {
    let pod = with(scan_pod(), "/spec/containers/0/fieldOfTheFuture", json!({"a": [1, null, {"b/c~d": 2.50}]}));
    let pod =
        with(pod, "/spec/initContainers", json!([{"name": "proxy", "restartPolicy": "Always", "newField": true}]));
    let stored = World::built_in().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER)).applied_to(&pod);
    assert_eq!(stored["spec"]["containers"][0]["fieldOfTheFuture"], pod["spec"]["containers"][0]["fieldOfTheFuture"]);
    assert_eq!(stored["spec"]["initContainers"][0]["restartPolicy"], "Always");
    assert_eq!(stored["spec"]["initContainers"][0]["newField"], true);
}

/// "judging reads a borrowed tree without managedFields"
#[test]
fn managed_fields_are_neither_read_nor_touched() {
    let pod = with(scan_pod(), "/metadata/managedFields", json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]));
    let answer = World::built_in().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
    assert!(!paths(&answer).is_empty());
    assert_eq!(answer.applied_to(&pod)["metadata"]["managedFields"], pod["metadata"]["managedFields"]);
    // Nor does an UPDATE of them alone count as a change.
    let old = bad_deployment();
    let new = with(with(old.clone(), "/metadata/managedFields", json!([1])), "/metadata/resourceVersion", json!("8"));
    World::built_in().validate(&Review::update(old, new)).assert_clean();
}

/// "`add` of a missing key, `add` at `/-` of a list. `remove` is impossible by construction"
#[test]
fn the_whole_patch_of_a_scan_pod() {
    let answer = World::built_in().mutate(&Review::create(scan_pod()).by(JOB_CONTROLLER));
    assert_eq!(
        answer.patch,
        json!([
            {"op": "add", "path": "/metadata/labels/network.supercargo.dev~1egress", "value": "results-only"},
            {"op": "add", "path": "/spec/containers/0/resources/limits", "value": {"cpu": "1", "memory": "1Gi"}},
            {"op": "add", "path": "/spec/containers/0/resources/requests", "value": {"cpu": "250m", "memory": "512Mi"}},
            {"op": "add", "path": "/spec/volumes/-",
             "value": {"name": "supercargo-source", "persistentVolumeClaim": {"claimName": "scan-source"}}},
            {"op": "add", "path": "/spec/containers/0/volumeMounts/-",
             "value": {"name": "supercargo-source", "mountPath": "/src", "readOnly": true, "subPath": "scans/web-shop"}},
            {"op": "add", "path": "/metadata/annotations/karpenter.sh~1do-not-disrupt", "value": "true"},
            {"op": "add", "path": "/metadata/annotations/cluster-autoscaler.kubernetes.io~1safe-to-evict", "value": "false"},
            {"op": "add", "path": "/spec/affinity", "value": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": {"batchjobs-group": "nightly"}},
                 "topologyKey": "kubernetes.io/hostname"}}]}}},
            {"op": "add", "path": "/metadata/annotations/supercargo.dev~1placement", "value": "podAffinity"},
            {"op": "add", "path": "/metadata/annotations/supercargo.dev~1profile", "value": "scan"},
        ])
    );
}

/// "Missing parents are created; `~` and `/` in keys are escaped."
#[test]
fn missing_parents_and_awkward_keys() {
    let world = World::new(&[r#"
kind: PodProfile
spec:
  match: {}
  labels: {example.com/fence: "on"}
  annotations: {example.com/note: a}
  placement: {nodeSelector: {example.com/pool: scans}, tolerations: [{key: example.com/scans, operator: Exists}]}
"#]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}});
    let answer = world.mutate(&Review::create(pod.clone()));
    assert_eq!(answer.patch[0], json!({"op": "add", "path": "/metadata/labels", "value": {"example.com/fence": "on"}}));
    let stored = answer.applied_to(&pod);
    assert_eq!(stored["spec"]["nodeSelector"], json!({"example.com/pool": "scans"}));
    assert_eq!(stored["spec"]["tolerations"], json!([{"key": "example.com/scans", "operator": "Exists"}]));
    // Null is what Go writes for a list or map that was never made.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": null, "annotations": null},
        "spec": {"containers": null, "nodeSelector": null, "tolerations": null, "volumes": null, "affinity": null}});
    let stored = world.mutate(&Review::create(pod.clone())).applied_to(&pod);
    assert_eq!(stored["metadata"]["labels"], json!({"example.com/fence": "on"}));
    assert_eq!(stored["spec"]["tolerations"], json!([{"key": "example.com/scans", "operator": "Exists"}]));
    // With a slash and a tilde in keys that are there already, the pointers lead past them.
    let pod = with(scan_pod(), "/metadata/labels/a~1b~0c", json!("x"));
    let stored = world.mutate(&Review::create(pod.clone())).applied_to(&pod);
    assert_eq!(
        (&stored["metadata"]["labels"]["a/b~c"], &stored["metadata"]["labels"]["example.com/fence"]),
        (&json!("x"), &json!("on"))
    );
}

/// "Never overwrite what the author wrote." and "Lists are never reordered or rewritten."
#[test]
fn what_the_author_wrote_stays() {
    let pod = with(
        scan_pod(),
        "/spec/containers/0/resources",
        json!({"requests": {"cpu": "2"}, "limits": {"memory": "64Mi"}}),
    );
    let pod = with(pod, "/metadata/annotations/karpenter.sh~1do-not-disrupt", json!("false"));
    let pod = with(pod, "/spec/nodeSelector", json!({"disk": "ssd"}));
    let pod = with(pod, "/spec/tolerations/-", json!({"key": "mine", "operator": "Exists"}));
    let answer = World::built_in().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
    let stored = answer.applied_to(&pod);
    let resources = &stored["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"]["cpu"], "2");
    assert_eq!(resources["limits"], json!({"cpu": "2", "memory": "64Mi"}));
    assert_eq!(resources["requests"]["memory"], "64Mi");
    assert_eq!(stored["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"], "false");
    assert_eq!(stored["spec"]["tolerations"], pod["spec"]["tolerations"]);
    assert_eq!(stored["spec"]["volumes"][0], pod["spec"]["volumes"][0]);
    assert_eq!(stored["spec"]["nodeSelector"], json!({"disk": "ssd"}));
    assert!(answer.patch.as_array().unwrap().iter().all(|operation| operation["op"] == "add"));
}

/// "Affinity is merged deep: existing terms stay as they are."
#[test]
fn affinity_is_merged_deep() {
    let own = json!({
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}},
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 3, "podAffinityTerm": {"labelSelector": {"matchLabels": {"cache": "warm"}}, "topologyKey": "zone"}}]}});
    let pod = with(scan_pod(), "/spec/affinity", own.clone());
    let answer = World::built_in().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
    let stored = answer.applied_to(&pod);
    let affinity = &stored["spec"]["affinity"];
    assert_eq!(affinity["nodeAffinity"], own["nodeAffinity"]);
    let terms = affinity["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"].as_array().unwrap();
    assert_eq!(terms.len(), 2);
    assert_eq!(
        terms[0], own["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0],
        "the author's first"
    );
}

/// "In a pod without a trusted controller owner no list that the author wrote is appended to (a second `kubectl apply`
/// would fail)." — where applying replaces the list as a whole. Volumes and mounts are merged by key.
#[test]
fn a_bare_pods_own_lists_stay_as_they_are() {
    let world = World::new(&[r"
kind: PodProfile
spec:
  match: {}
  placement: {mode: Pack, groupBy: [g], nodeSelector: {pool: scans}, tolerations: [{key: scans, operator: Exists}]}
  volumes: [{name: src, emptyDir: {}}]
  volumeMounts: [{volume: src, mountPath: /src}]
"]);
    let defaults = json!([
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
    let term = json!({"weight": 1, "podAffinityTerm": {"labelSelector": {"matchLabels": {"x": "y"}}, "topologyKey": "kubernetes.io/hostname"}});
    let bare = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"g": "1"}}, "spec": {
        "containers": [{"name": "c", "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets"}]}],
        "volumes": [{"name": "token", "projected": {}}], "tolerations": defaults}});
    // The ServiceAccount's volume and DefaultTolerationSeconds' tolerations are not the author's.
    let stored = world.mutate(&Review::create(bare.clone())).applied_to(&bare);
    assert_eq!(stored["spec"]["tolerations"].as_array().unwrap().len(), 3);
    assert_eq!(stored["spec"]["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(stored["spec"]["containers"][0]["volumeMounts"].as_array().unwrap().len(), 2);
    assert_eq!(stored["spec"]["nodeSelector"], json!({"pool": "scans"}));
    assert!(stored["spec"]["affinity"]["podAffinity"].is_object());

    let own = with(bare, "/spec/tolerations/-", json!({"key": "mine", "operator": "Exists"}));
    let own = with(own, "/spec/nodeSelector/disk", json!("ssd"));
    let own = with(own, "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution", json!([term]));
    let stored = world.mutate(&Review::create(own.clone())).applied_to(&own);
    for list in ["tolerations", "nodeSelector", "affinity"] {
        assert_eq!(stored["spec"][list], own["spec"][list], "{list} of a person's pod");
    }
    assert_eq!(stored["metadata"].get("annotations").and_then(|a| a.get("supercargo.dev/placement")), None);
    // A controller applies nothing twice.
    let stored = world.mutate(&Review::create(own.clone()).by(REPLICASET_CONTROLLER)).applied_to(&own);
    assert_eq!(stored["spec"]["tolerations"].as_array().unwrap().len(), 4);
    assert_eq!(stored["spec"]["nodeSelector"], json!({"disk": "ssd", "pool": "scans"}));
}

/// "Checked before it is sent: ... If not: an empty patch, a warning, a metric, an error in the log."
#[test]
fn a_patch_that_cannot_be_made_is_held_back() {
    let pod = with(scan_pod(), "/metadata/annotations/karpenter.sh~1do-not-disrupt", json!({"not": "text"}));
    let answer = World::built_in().mutate(&Review::create(pod).by(JOB_CONTROLLER));
    assert!(answer.allowed());
    assert_eq!(answer.patch, json!([]));
    assert!(answer.held_back.is_some());
    assert_eq!(answer.warnings().len(), 1);
    assert!(answer.warnings()[0].starts_with("profile scan was not applied: "), "{:?}", answer.warnings());
    assert!(answer.wire["auditAnnotations"]["patch-held-back"].is_string());
}

/// An annotation for which there is no room is left out, and the pod is not packed without the one that says so.
#[test]
fn annotations_stay_below_what_the_api_server_takes() {
    const MOST: usize = 256 * 1024;
    let size = |pod: &Value| -> usize {
        let annotations = pod["metadata"]["annotations"].as_object().unwrap();
        annotations.iter().map(|(key, value)| key.len() + value.as_str().unwrap().len()).sum()
    };
    let full = |room: usize| {
        let key = "kubectl.kubernetes.io/last-applied-configuration";
        let taken = size(&scan_pod()) + key.len() + room;
        with(scan_pod(), &format!("/metadata/annotations/{}", key.replace('/', "~1")), json!("x".repeat(MOST - taken)))
    };
    let ours = |pod: &Value| {
        let keys = ["karpenter.sh/do-not-disrupt", "supercargo.dev/placement", "supercargo.dev/profile"];
        keys.map(|key| pod["metadata"]["annotations"].get(key).is_some())
    };
    for (room, expected) in [
        (1000, [true; 3]),
        (110, [true, false, true]),
        (31, [true, false, false]),
        (30, [false, false, true]),
        (0, [false; 3]),
    ] {
        let pod = full(room);
        let answer = World::built_in().mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER));
        assert_eq!(answer.held_back, None);
        let stored = answer.applied_to(&pod);
        assert!(size(&stored) <= MOST);
        assert_eq!(ours(&stored), expected, "with room for {room}");
        assert_eq!(stored["spec"].get("affinity").is_some(), expected[1]);
        assert_eq!(stored["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
        assert_eq!(answer.warnings().is_empty(), room == 1000);
        for warning in answer.warnings() {
            assert!(warning.ends_with(" left out: a pod has room for 262144 bytes of them"), "{warning}");
        }
        let again = World::built_in().mutate(&Review::create(stored.clone()).by(JOB_CONTROLLER));
        assert_eq!(again.patch, json!([]), "a second time");
        World::built_in().validate(&Review::create(stored)).assert_clean();
    }
    // The profile's own.
    let world = World::new(&["{kind: PodProfile, spec: {match: {}, annotations: {x.io/note: text}}}"]);
    for (room, added) in [(13, true), (12, false)] {
        let pod = full(room);
        let stored = world.mutate(&Review::create(pod.clone())).applied_to(&pod);
        assert_eq!(stored["metadata"]["annotations"].get("x.io/note").is_some(), added);
    }
}

/// What the patch would break is held back, and `check` says that it will be.
#[test]
fn a_pod_that_a_patch_would_make_invalid_is_left_as_it_is() {
    let template = "{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    let world = World::new(&[&format!(
        "{{kind: PodProfile, metadata: {{name: odd}}, spec: {{match: {{}}, labels: {{x.io/a: b}}, volumes: [{{name: v, ephemeral: {{volumeClaimTemplate: {template}}}}}, \
         {{name: w, persistentVolumeClaim: {{claimName: p-v}}}}]}}}}"
    )]);
    let pod = with(without(scan_pod(), "/metadata/generateName"), "/metadata/name", json!("p"));
    let answer = world.mutate(&Review::create(pod.clone()));
    assert_eq!(answer.patch, json!([]));
    assert!(answer.held_back.as_ref().is_some_and(|why| why.contains("PersistentVolumeClaim p-v")), "{answer:?}");
    let offline = world.check(&pod);
    assert!(offline.warnings()[0].starts_with("profile odd was not applied: "), "{offline:?}");
}

/// The kubelet refuses a pod whose node it is and whose nodeSelector says another.
#[test]
fn a_pod_that_has_its_node_gets_no_node_selector() {
    let world = World::new(&[
        "{kind: PodProfile, spec: {match: {}, labels: {x.io/a: b}, placement: {nodeSelector: {pool: scans}}}}",
    ]);
    for (name, selector) in [(json!("node-7"), Value::Null), (json!(""), json!({"pool": "scans"}))] {
        let pod = with(scan_pod(), "/spec/nodeName", name);
        let stored = world.mutate(&Review::create(pod.clone()).by(JOB_CONTROLLER)).applied_to(&pod);
        assert_eq!(stored["spec"]["nodeSelector"], selector);
    }
}

/// "`spec.resources` set: no container cpu or memory is injected, and limits are judged there."
#[test]
fn resources_on_the_pod_are_left_alone() {
    let pod = with(scan_pod(), "/spec/resources", json!({"limits": {"cpu": "2", "memory": "2Gi"}}));
    let (stored, answer) = World::built_in().admit(&Review::create(pod));
    assert_eq!(stored["spec"]["containers"][0]["resources"], json!({}));
    answer.assert_clean();

    let pod = with(scan_pod(), "/spec/resources", json!({"limits": {"memory": "2Gi"}}));
    let (stored, answer) = World::built_in().admit(&Review::create(pod));
    assert_eq!(stored["spec"]["containers"][0]["resources"], json!({}));
    answer.assert_refused(&["required-limits /spec/containers/0/resources/limits/cpu"]);

    // Only cpu and memory can be set on the pod.
    let world = World::new(&[
        "kind: PodProfile\nspec: {match: {}, resources: {containers: {limits: {ephemeral-storage: 1Gi}}}}",
    ]);
    let pod = with(scan_pod(), "/spec/resources", json!({"limits": {"memory": "2Gi"}}));
    let stored = world.mutate(&Review::create(pod.clone())).applied_to(&pod);
    assert_eq!(stored["spec"]["containers"][0]["resources"]["limits"], json!({"ephemeral-storage": "1Gi"}));
}

/// "the patch of a pod that matches no profile is empty"
#[test]
fn other_pods_get_nothing() {
    let world = World::built_in();
    let other = with(scan_pod(), "/metadata/labels/app.kubernetes.io~1component", json!("web"));
    assert_eq!(world.mutate(&Review::create(other)).patch, json!([]));
    let elsewhere = World::built_in().in_namespace("shop");
    let answer = elsewhere.mutate(&Review::create(scan_pod()));
    assert_eq!(answer.patch, json!([]));
    assert_eq!(answer.wire.get("patchType"), None);
}

/// "Pods only, at CREATE only. Templates (Deployment, Job, ...) are never mutated"
#[test]
fn only_pods_and_only_at_create() {
    let world = World::built_in();
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"metadata": scan_pod()["metadata"], "spec": scan_pod()["spec"]}}});
    assert_eq!(world.mutate(&Review::create(job)).patch, json!([]));
    assert_eq!(world.mutate(&Review::update(scan_pod(), scan_pod())).patch, json!([]));
    for sub_resource in ["ephemeralcontainers", "resize", "status", "binding"] {
        assert_eq!(world.mutate(&Review::create(scan_pod()).through(sub_resource)).patch, json!([]), "{sub_resource}");
    }
    let other_group = with(scan_pod(), "/apiVersion", json!("metrics.k8s.io/v1beta1"));
    assert_eq!(world.mutate(&Review::create(other_group)).patch, json!([]));
}

/// "Skip mirror pods (`kubernetes.io/config.mirror`) and pods being deleted."
#[test]
fn mirror_pods_and_pods_on_their_way_out_are_skipped() {
    let world = World::built_in();
    let mirror = with(scan_pod(), "/metadata/annotations/kubernetes.io~1config.mirror", json!("x"));
    let leaving = with(scan_pod(), "/metadata/deletionTimestamp", json!("2026-11-21T10:00:00Z"));
    for pod in [mirror, leaving] {
        assert_eq!(world.mutate(&Review::create(pod.clone())).patch, json!([]));
        world.validate(&Review::create(pod)).assert_clean();
    }
}

/// "Pods arrive with `generateName` and no name or uid."
#[test]
fn a_pod_without_a_name_is_called_by_what_it_will_begin_with() {
    let pod = without(scan_pod(), "/metadata/annotations");
    let (_, answer) = World::built_in().admit(&Review::create(pod));
    assert!(answer.message().starts_with("Pod scans/scan-web-shop- is refused"), "{}", answer.message());
}

/// "Reinvocation: everything runs again (another webhook may have added a container); only placement, once written, stays."
#[test]
fn a_second_call_adds_nothing_but_to_what_is_new() {
    let world = World::built_in();
    let review = Review::create(scan_pod()).by(JOB_CONTROLLER);
    let first = world.mutate(&review).applied_to(&review.object);
    let again = world.mutate(&Review { object: first.clone(), ..review.clone() });
    assert_eq!(again.patch, json!([]));
    assert_eq!(again.warnings(), Vec::<&str>::new());

    // Another webhook adds a sidecar and a term of its own between the calls.
    let more = with(first, "/spec/initContainers", json!([{"name": "late", "restartPolicy": "Always"}]));
    let terms = "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution";
    let more = with(more, &format!("{terms}/-"), json!({"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}));
    let second = world.mutate(&Review { object: more.clone(), ..review });
    let stored = second.applied_to(&more);
    assert_eq!(stored["spec"]["initContainers"][0]["resources"]["limits"], json!({"cpu": "500m", "memory": "256Mi"}));
    assert_eq!(stored.pointer(terms), more.pointer(terms), "placement stays");
    let stays: Vec<&Value> = second
        .patch
        .as_array()
        .unwrap()
        .iter()
        .filter(|o| !o["path"].as_str().unwrap().starts_with("/spec/initContainers/0/"))
        .collect();
    assert_eq!(stays, Vec::<&Value>::new());
}

/// The API server writes an emptyDir of 1024Mi down as 1Gi and leaves `readOnly: false` out: that is still our volume.
#[test]
fn our_own_volume_is_known_again_after_a_round_trip() {
    let world = World::new(&[r"
kind: PodProfile
spec:
  match: {}
  volumes: [{name: tmp, emptyDir: {sizeLimit: 1024Mi}}, {name: src, persistentVolumeClaim: {claimName: c, readOnly: false}}]
  volumeMounts: [{volume: tmp, mountPath: /scratch}, {volume: src, mountPath: /src}]
"]);
    let review = Review::create(scan_pod()).by(JOB_CONTROLLER);
    let stored = world.mutate(&review).applied_to(&review.object);
    let stored = with(stored, "/spec/volumes/1/emptyDir/sizeLimit", json!("1Gi"));
    let stored = without(stored, "/spec/volumes/2/persistentVolumeClaim/readOnly");
    assert_eq!(world.mutate(&Review { object: stored.clone(), ..review.clone() }).patch, json!([]));
    world.validate(&Review { object: stored, ..review }).assert_clean();
}
