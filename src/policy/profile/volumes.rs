//! The volumes and mounts of a profile: which types it may add, and what they need.

use serde_json::{Map, Value};

use super::{Mount, PodProfileSpec, SubPathFrom, sources};
use crate::fields::{Problems, is_plain_folder};
use crate::tree::escape;

/// Volume types that every profile may add: none of them gives a pod more than the namespace or the storage has.
pub(super) const HARMLESS: [&str; 6] = ["persistentVolumeClaim", "emptyDir", "configMap", "ephemeral", "nfs", "csi"];

/// The volume types that profiles may add.
#[derive(Clone, Debug, Default)]
pub struct VolumeTypes {
    granted: Vec<String>,
}

impl VolumeTypes {
    /// Types that give a pod what its namespace does not have (a node's files, other people's secrets), so that whoever installs the
    /// webhook has to grant them; those of `core/v1` Volume that Kubernetes still mounts.
    pub const GRANTABLE: [&str; 9] =
        ["azureFile", "downwardAPI", "fc", "flexVolume", "hostPath", "image", "iscsi", "projected", "secret"];

    /// The harmless ones and these.
    pub fn granting(granted: impl IntoIterator<Item = String>) -> Self {
        VolumeTypes { granted: granted.into_iter().collect() }
    }

    fn allows(&self, volume_type: &str) -> bool {
        HARMLESS.contains(&volume_type) || self.granted.iter().any(|granted| granted == volume_type)
    }

    fn names(&self) -> String {
        let granted = self.granted.iter().map(String::as_str);
        HARMLESS.into_iter().chain(granted).collect::<Vec<_>>().join(", ")
    }
}

/// Reports every mistake in volumes and mounts at its pointer.
pub(super) fn check(spec: &PodProfileSpec, types: &VolumeTypes, problems: &mut Problems) {
    let mut names = Vec::new();
    for (index, volume) in spec.volumes.iter().enumerate() {
        let at = format!("/spec/volumes/{index}");
        match volume.get("name").and_then(Value::as_str) {
            None | Some("") => problems.add(format!("{at}/name"), "is missing: a volume needs a name"),
            Some(name) if names.contains(&name) => {
                problems.add(format!("{at}/name"), format!("{name:?} is there twice"));
            }
            Some(name) => {
                problems.part_name(&format!("{at}/name"), name);
                names.push(name);
            }
        }
        check_source(&at, volume, types, problems);
    }
    for (index, mount) in spec.volume_mounts.iter().enumerate() {
        check_mount(&format!("/spec/volumeMounts/{index}"), mount, &names, problems);
        check_reach(index, &spec.volume_mounts, problems);
    }
}

fn check_source(at: &str, volume: &Map<String, Value>, types: &VolumeTypes, problems: &mut Problems) {
    let sources: Vec<&String> = volume.keys().filter(|key| *key != "name").collect();
    let [source] = sources.as_slice() else {
        return problems.add(at, format!("needs exactly one source: one of {}", types.names()));
    };
    let pointer = format!("{at}/{}", escape(source));
    if !types.allows(source) {
        let grant = if VolumeTypes::GRANTABLE.contains(&source.as_str()) {
            format!(", or grant it with --allow-volume-type {source}")
        } else {
            String::new()
        };
        let message =
            format!("a profile may not add volumes of type {source:?}: write one of {}{grant}", types.names());
        return problems.add(pointer, message);
    }
    sources::check(source, &volume[*source], &pointer, problems);
}

fn check_mount(at: &str, mount: &Mount, volumes: &[&str], problems: &mut Problems) {
    if !volumes.contains(&mount.volume.as_str()) {
        problems.add(format!("{at}/volume"), format!("{:?} is none of the profile's volumes", mount.volume));
    }
    let plain = mount
        .mount_path
        .strip_prefix('/')
        .is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains(':'));
    if !plain {
        problems.add(
            format!("{at}/mountPath"),
            format!(
                "{:?} is no plain absolute path: write one such as /src, without '..', '//', ':' and a '/' at its end",
                mount.mount_path
            ),
        );
    }
    for (list, names) in [("containers", &mount.containers), ("exceptContainers", &mount.except_containers)] {
        for (position, name) in names.iter().enumerate() {
            if !(name == "*" && list == "containers") {
                problems.part_name(&format!("{at}/{list}/{position}"), name);
            }
        }
    }
    if mount.containers.is_empty() {
        problems.add(format!("{at}/containers"), "is empty: name containers, or leave it out for all app containers");
    }
    if let Some(from) = &mount.sub_path_from {
        check_sub_path(&format!("{at}/subPathFrom"), from, problems);
    }
}

/// Reports the containers of a mount that get another one at this path, so that this one never would be.
fn check_reach(index: usize, mounts: &[Mount], problems: &mut Problems) {
    let mount = &mounts[index];
    for (position, name) in mount.containers.iter().enumerate() {
        let earlier =
            mounts[..index].iter().position(|other| other.mount_path == mount.mount_path && other.reaches(name, mount));
        let by = match earlier {
            Some(other) => format!("volumeMounts[{other}]"),
            None if mount.containers[..position].contains(name) => "this entry".to_owned(),
            None => continue,
        };
        let message = format!(
            "{name:?} is in {by} for {} already, and the first wins: leave it out, or mount at another path",
            mount.mount_path
        );
        problems.add(format!("/spec/volumeMounts/{index}/containers/{position}"), message);
    }
}

impl Mount {
    /// Whether all containers that `later` means by this name have this mount.
    fn reaches(&self, name: &str, later: &Mount) -> bool {
        self.containers.iter().any(|own| own == name)
            && (name != "*" || self.except_containers.iter().all(|except| later.except_containers.contains(except)))
    }
}

fn check_sub_path(at: &str, from: &SubPathFrom, problems: &mut Problems) {
    problems.label_key(&format!("{at}/annotation"), &from.annotation);
    let (prefix, at) = (&from.prefix, format!("{at}/prefix"));
    if prefix.is_empty() {
        return;
    }
    let folder = prefix.replace("{namespace}", "n");
    let folder = folder.strip_suffix('/').unwrap_or(&folder);
    if !is_plain_folder(folder) || folder.contains(['{', '}']) {
        problems.add(
            at,
            format!("{prefix:?} is no relative path: {{namespace}} is the only placeholder, and '..' is not allowed"),
        );
    } else if !prefix.ends_with('/') {
        let message =
            format!("{prefix:?} does not end in '/', so that a pod could name a folder beside it: write \"{prefix}/\"");
        problems.add(at, message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn mistakes(volume: &Value, types: &VolumeTypes) -> Vec<(String, String)> {
        let spec = serde_json::from_value(json!({"match": {}, "volumes": [volume]})).unwrap();
        let mut problems = Problems::default();
        check(&spec, types, &mut problems);
        problems.list()
    }

    #[test]
    fn a_type_that_is_granted_may_be_added_and_no_other() {
        let node = json!({"name": "v", "hostPath": {"path": "/var/cache"}});
        let [(pointer, message)] = &mistakes(&node, &VolumeTypes::default())[..] else { panic!("one mistake") };
        assert_eq!(pointer, "/spec/volumes/0/hostPath");
        assert!(message.ends_with("or grant it with --allow-volume-type hostPath"), "{message}");

        let granting = VolumeTypes::granting(["hostPath".to_owned()]);
        assert_eq!(mistakes(&node, &granting), []);
        assert_eq!(mistakes(&json!({"name": "v", "emptyDir": {}}), &granting), []);
        let [(_, message)] = &mistakes(&json!({"name": "v", "secret": {"secretName": "s"}}), &granting)[..] else {
            panic!("one mistake")
        };
        assert!(message.contains("csi, hostPath, or grant it with"), "{message}");
        // gitRepo runs a program as root on the node.
        let [(_, message)] = &mistakes(&json!({"name": "v", "gitRepo": {}}), &granting)[..] else {
            panic!("one mistake")
        };
        assert!(!message.contains("grant"), "{message}");
    }

    #[test]
    fn a_type_means_nothing_without_its_fields() {
        let granting = VolumeTypes::granting(["projected".to_owned()]);
        let empty = mistakes(&json!({"name": "v", "projected": {"sources": []}}), &granting);
        assert_eq!(empty[0].0, "/spec/volumes/0/projected/sources");
        let filled = json!({"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}]}});
        assert_eq!(mistakes(&filled, &granting), []);
    }
}
