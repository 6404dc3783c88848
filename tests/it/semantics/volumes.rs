//! volumes and mounts, and rule profile-volume.

use serde_json::{Value, json};

use crate::support::*;

const SOURCE: &str = "/metadata/annotations/supercargo.dev~1source";
const MOUNTS: &str = "/spec/containers/0/volumeMounts";

fn admit(pod: Value) -> (Value, Answer) {
    World::built_in().admit(&Review::create(pod))
}

fn mount_of<'a>(pod: &'a Value, container: &str, path: &str) -> Option<&'a Value> {
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    containers
        .filter(|c| c["name"] == container)
        .flat_map(|c| c["volumeMounts"].as_array().into_iter().flatten())
        .find(|mount| mount["mountPath"] == path)
}

/// "subPathFrom: {annotation, prefix: "{namespace}/", required: true}   # relative, no "..", no symlink tricks"
#[test]
fn the_folder_comes_from_the_annotation_and_stays_below_its_prefix() {
    for folder in ["web-shop", "team/web-shop", "..hidden", "a b"] {
        let (stored, answer) = admit(with(scan_pod(), SOURCE, json!(folder)));
        answer.assert_clean();
        assert_eq!(mount_of(&stored, "scan", "/src").unwrap()["subPath"], format!("scans/{folder}"));
    }
    for folder in
        ["../billing", "/etc", "a/../../b", "a//b", "a/", ".", "./a", "$(EVIL)", "a\\..\\b", "C:x", "a\nb", ""]
    {
        let (stored, answer) = admit(with(scan_pod(), SOURCE, json!(folder)));
        answer.assert_refused(&["profile-volume /metadata/annotations/supercargo.dev~1source"]);
        assert_eq!(mount_of(&stored, "scan", "/src"), None, "{folder}");
    }
    let (_, answer) = admit(without(scan_pod(), SOURCE));
    answer.assert_refused(&["profile-volume /metadata/annotations/supercargo.dev~1source"]);
    assert!(answer.message().contains("annotation supercargo.dev/source is missing"), "{}", answer.message());
}

/// A folder that is not required: the prefix alone, or the whole volume.
#[test]
fn a_folder_that_is_not_required() {
    let world = |prefix: &str| {
        World::new(&[&format!(
            "{{kind: PodProfile, spec: {{match: {{}}, volumes: [{{name: src, emptyDir: {{}}}}], volumeMounts: [{{volume: src, mountPath: /src, subPathFrom: {{annotation: x.io/folder, prefix: '{prefix}', required: false}}}}]}}}}"
        )])
    };
    let (stored, answer) = world("{namespace}/").admit(&Review::create(scan_pod()));
    answer.assert_clean();
    assert_eq!(mount_of(&stored, "scan", "/src").unwrap()["subPath"], "scans");
    let (stored, _) = world("").admit(&Review::create(scan_pod()));
    assert_eq!(mount_of(&stored, "scan", "/src"), Some(&json!({"name": "src", "mountPath": "/src"})));
}

/// "containers: `*`: app containers, but no known injected proxy (exceptContainers)"; "the more specific entry wins"
#[test]
fn who_gets_a_mount() {
    let pod = with(scan_pod(), "/spec/containers/1", json!({"name": "istio-proxy", "image": "i"}));
    let pod = with(pod, "/spec/containers/2", json!({"name": "report", "image": "r"}));
    let pod = with(
        pod,
        "/spec/initContainers",
        json!([{"name": "fetch"}, {"name": "prepare"}, {"name": "proxy", "restartPolicy": "Always"}]),
    );
    let (stored, answer) = admit(pod);
    answer.assert_clean();
    assert_eq!(mount_of(&stored, "scan", "/src").unwrap()["readOnly"], true);
    assert_eq!(mount_of(&stored, "report", "/src").unwrap()["readOnly"], true);
    assert_eq!(mount_of(&stored, "fetch", "/src").unwrap().get("readOnly"), None, "named: the writer");
    for none in ["istio-proxy", "prepare", "proxy"] {
        assert_eq!(mount_of(&stored, none, "/src"), None, "{none}");
    }
    // An app container called fetch is the writer, too.
    let (stored, _) = admit(with(scan_pod(), "/spec/containers/0/name", json!("fetch")));
    assert_eq!(mount_of(&stored, "fetch", "/src").unwrap().get("readOnly"), None);
}

/// "volume: same name, same source: kept; other source: not added, refused by `profile-volume`"
#[test]
fn a_volume_of_the_same_name() {
    let own =
        json!({"name": "supercargo-source", "persistentVolumeClaim": {"claimName": "scan-source", "readOnly": true}});
    let (stored, answer) = admit(with(scan_pod(), "/spec/volumes/-", own));
    answer.assert_clean();
    assert_eq!(stored["spec"]["volumes"].as_array().unwrap().len(), 2);
    for other in [
        json!({"emptyDir": {}}),
        json!({"persistentVolumeClaim": {"claimName": "mine"}}),
        json!({"hostPath": {"path": "/"}}),
        json!({}),
    ] {
        let other = with(other, "/name", json!("supercargo-source"));
        let (stored, answer) = admit(with(scan_pod(), "/spec/volumes/-", other.clone()));
        answer.assert_refused(&["profile-volume /spec/volumes/1"]);
        assert_eq!(stored["spec"]["volumes"][1], other);
        assert_eq!(mount_of(&stored, "scan", "/src"), None, "the other volume is not mounted in its place");
    }
}

/// "mount: same mountPath, same volume: kept; another volume: refused by `profile-volume`"
#[test]
fn a_mount_at_the_same_path() {
    let own = json!({"name": "supercargo-source", "mountPath": "/src/", "subPath": "mine"});
    let (stored, answer) = admit(with(scan_pod(), &format!("{MOUNTS}/-"), own.clone()));
    answer.assert_clean();
    assert_eq!(stored.pointer(MOUNTS).unwrap()[1], own);
    assert_eq!(stored.pointer(MOUNTS).unwrap().as_array().unwrap().len(), 2);
    for path in ["/src", "/src/"] {
        let other = with(scan_pod(), &format!("{MOUNTS}/-"), json!({"name": "mine", "mountPath": path}));
        let (stored, answer) = admit(with(other, "/spec/volumes/-", json!({"name": "mine", "emptyDir": {}})));
        answer.assert_refused(&["profile-volume /spec/containers/0/volumeMounts"]);
        assert_eq!(stored.pointer(MOUNTS).unwrap().as_array().unwrap().len(), 2);
    }
    // Below it is another path, which the container may not find.
    let below = with(scan_pod(), &format!("{MOUNTS}/-"), json!({"name": "mine", "mountPath": "/src/cache"}));
    let (stored, answer) = admit(with(below, "/spec/volumes/-", json!({"name": "mine", "emptyDir": {}})));
    answer.assert_warned(&["profile-volume /spec/containers/0/volumeMounts/1"]);
    assert!(mount_of(&stored, "scan", "/src").is_some());
}

/// The API server takes no mount where a block device is, and none of a volume that is one: like "another volume".
#[test]
fn a_block_device_in_the_place_of_a_mount() {
    let devices = "/spec/containers/0/volumeDevices";
    let pod =
        |device: Value, volume: Value| with(with(scan_pod(), devices, json!([device])), "/spec/volumes/-", volume);
    let block = json!({"name": "b", "persistentVolumeClaim": {"claimName": "blk"}});
    for path in ["/src", "/src/", "//src", "src"] {
        let (stored, answer) = admit(pod(json!({"name": "b", "devicePath": path}), block.clone()));
        answer.assert_refused(&["profile-volume /spec/containers/0/volumeDevices"]);
        assert!(answer.message().contains("a block device is at /src"), "{}", answer.message());
        assert_eq!(mount_of(&stored, "scan", "/src"), None);
    }
    let source = json!({"name": "supercargo-source", "persistentVolumeClaim": {"claimName": "scan-source"}});
    let used = pod(json!({"name": "supercargo-source", "devicePath": "/dev/xvda"}), source);
    let (stored, answer) = admit(used);
    answer.assert_refused(&["profile-volume /spec/containers/0/volumeDevices"]);
    assert!(answer.message().contains("is a block device here"), "{}", answer.message());
    assert_eq!(mount_of(&stored, "scan", "/src"), None);
    // Elsewhere, and in another container, it is in nobody's way.
    let (stored, answer) = admit(pod(json!({"name": "b", "devicePath": "/dev/xvda"}), block.clone()));
    answer.assert_clean();
    assert!(mount_of(&stored, "scan", "/src").is_some());
    let proxy = json!({"name": "istio-proxy", "image": "i", "volumeDevices": [{"name": "b", "devicePath": "/src"}]});
    let (_, answer) = admit(with(with(scan_pod(), "/spec/containers/-", proxy), "/spec/volumes/-", block));
    answer.assert_clean();
}

/// The claim of an ephemeral volume is called by pod and volume: it needs a valid name, and nothing else may claim it.
#[test]
fn an_ephemeral_volume_whose_claim_cannot_be_made() {
    let template = "{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    let world = World::new(&[&format!(
        "{{kind: PodProfile, metadata: {{name: cache}}, spec: {{match: {{}}, volumes: [{{name: cache, ephemeral: {{volumeClaimTemplate: {template}}}}}]}}}}"
    )]);
    let named = |name: &str| with(without(scan_pod(), "/metadata/generateName"), "/metadata/name", json!(name));
    let claiming = |claim: &str| json!({"name": "own", "persistentVolumeClaim": {"claimName": claim}});
    world.admit(&Review::create(with(named("p"), "/spec/volumes/-", claiming("q-cache")))).1.assert_clean();
    world.admit(&Review::create(named(&"p".repeat(247)))).1.assert_clean();
    for pod in [with(named("p"), "/spec/volumes/-", claiming("p-cache")), named(&"p".repeat(248))] {
        let (stored, answer) = world.admit(&Review::create(pod.clone()));
        answer.assert_refused(&["profile-volume /spec/volumes"]);
        assert_eq!(stored["spec"]["volumes"], pod["spec"]["volumes"]);
    }
}

/// What is wrong with a folder is said, and nothing that is not.
#[test]
fn a_folder_is_refused_for_what_is_wrong_with_it() {
    let long = "a".repeat(1025);
    for (folder, reason) in [
        ("$(X)", "is no plain relative path (it has '$' in it)"),
        (&long, "is no plain relative path (it has 1025 bytes, and 1024 are allowed)"),
        ("/etc", "is no plain relative path (it has '/' in front)"),
        ("a/../b", "is no plain relative path (it has '..' in it)"),
        ("./a", "is no plain relative path (it has '.' in it)"),
        ("a/", "is no plain relative path (it has an empty part)"),
        ("a\nb", "is no plain relative path (it has a control character in it)"),
        ("C:x", "is no plain relative path (it has ':' in it)"),
        ("", "is missing"),
    ] {
        let (_, answer) = admit(with(scan_pod(), SOURCE, json!(folder)));
        let expected = format!("annotation supercargo.dev/source {reason}, and profile scan");
        assert!(answer.message().contains(&expected), "{folder}: {}", answer.message());
    }
}

/// "claim absent or not ReadWriteMany (Warn)"; where claims are not known nothing is said
#[test]
fn a_claim_that_cannot_work_is_warned_about() {
    let claim = |name: &str, mode: &str| {
        format!("{{kind: PersistentVolumeClaim, metadata: {{name: {name}}}, spec: {{accessModes: [{mode}]}}}}")
    };
    let review = Review::create(scan_pod());
    for (name, mode, warned) in [
        ("scan-source", "ReadWriteMany", false),
        ("scan-source", "ReadOnlyMany", false),
        ("scan-source", "ReadWriteOnce", true),
        ("scan-source", "ReadWriteOncePod", true),
        ("another", "ReadWriteMany", true),
    ] {
        let (_, answer) = World::built_in().knows(&claim(name, mode)).admit(&review);
        assert!(answer.allowed(), "{}", answer.message());
        assert_eq!(answer.warned().len(), usize::from(warned), "{name} {mode}");
    }
    World::built_in().admit(&review).1.assert_clean();
}

/// The template is told first, at its own pointers.
#[test]
fn a_template_is_refused_before_its_pods_are() {
    let pod = without(scan_pod(), SOURCE);
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
        "spec": {"jobTemplate": {"spec": {"template": {"metadata": pod["metadata"], "spec": pod["spec"]}}}}});
    World::built_in().validate(&Review::create(cron)).assert_refused(&[
        "profile-volume /spec/jobTemplate/spec/template/metadata/annotations/supercargo.dev~1source",
    ]);
}

/// A mount needs its folder, and the runtime cannot make it in what it mounted read-only.
#[test]
fn a_mount_inside_a_read_only_one_is_warned_about() {
    let pod = |path: &str| {
        let own = json!([{"name": "out", "mountPath": path}]);
        let pod = with(scan_pod(), MOUNTS, own);
        with(pod, "/spec/volumes", json!([{"name": "out", "emptyDir": {}}]))
    };
    for path in ["/src/out", "/src/out/", "/src//out", "/src/a/b"] {
        let (stored, answer) = admit(pod(path));
        assert!(mount_of(&stored, "scan", "/src").is_some(), "the mount is added all the same");
        answer.assert_warned(&["profile-volume /spec/containers/0/volumeMounts/0"]);
        assert!(answer.warnings()[0].contains("inside the read-only /src"), "{answer:?}");
    }
    for path in ["/srcs/out", "/out", "/sr"] {
        admit(pod(path)).1.assert_clean();
    }
    // What the author mounted there himself is not read-only, nor is the writer's.
    let own = json!([{"name": "out", "mountPath": "/src/out"}, {"name": "supercargo-source", "mountPath": "/src"}]);
    admit(with(pod("/src/out"), MOUNTS, own)).1.assert_clean();
    admit(with(pod("/src/out"), "/spec/containers/0/name", json!("fetch"))).1.assert_clean();
    // The author of a template reads it before there are pods.
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"metadata": scan_pod()["metadata"], "spec": pod("/src/out")["spec"]}}});
    let answer = World::built_in().validate(&Review::create(job));
    answer.assert_warned(&["profile-volume /spec/template/spec/containers/0/volumeMounts/0"]);
}

/// A pod that the mutating webhook was not asked about, or whose patch was held back, would scan nothing and find nothing: it may run,
/// and it is said.
#[test]
fn a_pod_without_its_volume_is_warned_of() {
    let (stored, _) = admit(scan_pod());
    World::built_in().validate(&Review::create(stored.clone())).assert_clean();
    let volumes = stored["spec"]["volumes"].as_array().unwrap().iter();
    let others: Vec<_> = volumes.filter(|volume| volume["name"] != "supercargo-source").cloned().collect();
    let answer = World::built_in().validate(&Review::create(with(stored, "/spec/volumes", json!(others))));
    answer.assert_warned(&["profile-volume /spec/volumes"]);
    assert!(answer.warnings()[0].contains("volume supercargo-source is missing"), "{:?}", answer.warnings());
}

/// No profile is applied to a pod of a thousand containers, so nothing that profiles keep would hold of it.
#[test]
fn more_containers_than_a_profile_is_applied_to() {
    let container = json!({"name": "x", "image": "busybox", "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}}});
    let many = |count: usize| -> Value {
        (0..count).map(|index| with(container.clone(), "/name", json!(format!("c{index}")))).collect()
    };
    let limited = with(scan_pod(), "/spec/containers/0/resources", container["resources"].clone());
    let (_, answer) = admit(with(limited.clone(), "/spec/initContainers", many(990)));
    answer.assert_clean();
    let crowded = with(limited, "/spec/initContainers", many(1_001));
    let (stored, answer) = admit(crowded.clone());
    answer.assert_refused(&["profile-volume /spec"]);
    assert!(stored.pointer("/spec/affinity").is_none());
    World::built_in().in_namespace("shop").admit(&Review::create(crowded)).1.assert_clean();
}
