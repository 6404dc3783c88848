//! Volumes and mounts: the shared source volume, one folder of it for each repository.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Stowing, fill_in, map, text};
use crate::facts::Namespace;
use crate::fields::odd_in_folder;
use crate::finding::{Objection, ObjectionTo, Subject};
use crate::patch::EditError;
use crate::policy::Profile;
use crate::policy::profile::{Mount, SubPathFrom};
use crate::tree::{Node, Path, escape};
use crate::workload::resources::quantity;
use crate::workload::{Container, Pod, Role};

pub(super) fn apply(stowing: &mut Stowing<'_, '_>) -> Result<(), EditError> {
    let mut plan = Plan::default();
    {
        let pod = stowing.pod();
        let mut usable = Vec::new();
        for volume in &stowing.profile.spec.volumes {
            plan.volume(&pod, volume, stowing.profile, stowing.namespace, &mut usable);
        }
        for container in pod.containers() {
            plan.mounts(&pod, &container, stowing.profile, stowing.namespace, &usable);
        }
    }
    for objection in plan.objections {
        stowing.object(objection);
    }
    plan.appends.into_iter().try_for_each(|(path, value)| stowing.editor.append(&path, value))
}

/// What will be appended, and what stands in the way. Volumes and mounts are merged by key when a manifest is applied again,
/// so their lists may be appended to, whoever wrote them.
#[derive(Default)]
struct Plan<'p> {
    appends: Vec<(Path, Node<'p>)>,
    objections: Vec<Objection>,
    /// Annotations that have been objected to: once is enough, however many containers need them.
    seen: Vec<String>,
}

impl<'p> Plan<'p> {
    fn volume(
        &mut self,
        pod: &Pod<'_>,
        volume: &'p Map<String, Value>,
        profile: &Profile,
        namespace: &Namespace,
        usable: &mut Vec<&'p str>,
    ) {
        let Some(name) = volume.get("name").and_then(Value::as_str) else { return };
        self.claim(pod, volume, name, namespace);
        match pod.volume(name) {
            None => {
                let members = volume.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), Node::from(value)));
                let added = Node::Object(members.collect());
                if !self.made_claims(pod, &added, name, profile) {
                    return;
                }
                self.appends.push((pod.path(["spec", "volumes"]), added));
            }
            Some(own) if is_same_volume(own, volume) => {}
            Some(_) => {
                let index = pod.spec().map(|spec| spec.items("volumes")).unwrap_or_default().iter();
                let index = index.take_while(|volume| volume.str("name") != Some(name)).count();
                self.object(
                    pod.pointer(&format!("/spec/volumes/{index}")),
                    None,
                    name,
                    format!("volume {name} is not the one that profile {} adds under this name", profile.name),
                    format!("give your volume another name than {name}"),
                    false,
                );
                return;
            }
        }
        usable.push(name);
    }

    /// Looks at the claims that are made for ephemeral volumes, with this one among them; whether they are fine.
    fn made_claims(&mut self, pod: &Pod<'_>, added: &Node<'_>, name: &str, profile: &Profile) -> bool {
        let mut volumes: Vec<&Node<'_>> =
            pod.spec().map(|spec| spec.items("volumes")).unwrap_or_default().iter().collect();
        let before = pod.wrong_claim(&volumes);
        volumes.push(added);
        let Some(wrong) = pod.wrong_claim(&volumes).filter(|_| before.is_none()) else { return true };
        let message = format!("{wrong}, with volume {name} of profile {}", profile.name);
        self.object(pod.pointer("/spec/volumes"), None, name, message, "give the pod another name".to_owned(), false);
        false
    }

    /// Looks at the claim behind a volume, where the namespace's claims are known.
    fn claim(&mut self, pod: &Pod<'_>, volume: &Map<String, Value>, name: &str, namespace: &Namespace) {
        let claim =
            volume.get("persistentVolumeClaim").and_then(|source| source.get("claimName")).and_then(Value::as_str);
        let (Some(claim), Some(claims)) = (claim, &namespace.claims) else { return };
        let trouble = match claims.iter().find(|known| known.name == claim) {
            None => format!(
                "PersistentVolumeClaim {claim} does not exist in namespace {}: the pod will wait for it",
                namespace.name
            ),
            Some(known)
                if !known
                    .access_modes
                    .iter()
                    .any(|mode| mode.starts_with("ReadWriteMany") || mode == "ReadOnlyMany") =>
            {
                format!("PersistentVolumeClaim {claim} is not ReadWriteMany: pods on other nodes cannot mount it")
            }
            Some(_) => return,
        };
        let fix = format!("create a ReadWriteMany PersistentVolumeClaim {claim} in namespace {}", namespace.name);
        self.object(pod.pointer("/spec/volumes"), None, name, trouble, fix, true);
    }

    fn mounts(
        &mut self,
        pod: &Pod<'_>,
        container: &Container<'_>,
        profile: &'p Profile,
        namespace: &Namespace,
        usable: &[&str],
    ) {
        if container.role() == Role::Ephemeral {
            return;
        }
        let mut paths: Vec<&str> = Vec::new();
        for mount in &profile.spec.volume_mounts {
            if paths.contains(&mount.mount_path.as_str()) {
                continue;
            }
            let Some(mount) = choose(&profile.spec.volume_mounts, &mount.mount_path, container) else { continue };
            paths.push(&mount.mount_path);
            if usable.contains(&mount.volume.as_str()) {
                self.mount(pod, container, mount, profile, namespace);
            }
        }
    }

    fn mount(
        &mut self,
        pod: &Pod<'_>,
        container: &Container<'_>,
        mount: &'p Mount,
        profile: &Profile,
        namespace: &Namespace,
    ) {
        let path = &mount.mount_path;
        let own = container.mount(path);
        if own.is_none() && self.is_device(container, mount, profile) {
            return;
        }
        let read_only = match own {
            None => mount.read_only,
            Some(own) if own.str("name") == Some(&mount.volume) => {
                own.get("readOnly").and_then(Node::as_bool) == Some(true)
            }
            Some(_) => false,
        };
        if read_only {
            self.mounts_inside(container, mount, profile);
        }
        if let Some(own) = own {
            if own.str("name") != Some(&mount.volume) {
                self.object(
                    container.pointer("/volumeMounts"),
                    Some(container.name()),
                    &mount.volume,
                    format!(
                        "another volume is mounted at {path}, where profile {} mounts {}",
                        profile.name, mount.volume
                    ),
                    format!("mount your volume at another path than {path}"),
                    false,
                );
            }
            return;
        }
        let mut members = vec![("mountPath", text(path)), ("name", text(&mount.volume))];
        if mount.read_only {
            members.push(("readOnly", Node::Bool(true)));
        }
        if let Some(from) = &mount.sub_path_from {
            match sub_path(pod, from, namespace) {
                Ok(None) => {}
                Ok(Some(folder)) => members.push(("subPath", Node::String(Cow::Owned(folder)))),
                Err(trouble) => {
                    let key = &from.annotation;
                    if !self.seen.contains(key) {
                        self.seen.push(key.clone());
                        self.object(
                            pod.pointer(&format!("/metadata/annotations/{}", escape(key))),
                            None,
                            &mount.volume,
                            format!("annotation {key} {trouble}, and profile {} needs it to mount {path}", profile.name),
                            format!("set annotation {key} on the pod template to the folder that the pod needs, such as my-repository"),
                            false,
                        );
                    }
                    return;
                }
            }
        }
        self.appends.push((container.path(["volumeMounts"]), map(members)));
    }

    /// Looks at block devices: the API server takes no mount at the path of one, or of a volume that is one.
    fn is_device(&mut self, container: &Container<'_>, mount: &Mount, profile: &Profile) -> bool {
        let (path, volume) = (&mount.mount_path, &mount.volume);
        let (message, fix) = if container.device(path).is_some() {
            (
                format!("a block device is at {path}, where profile {} mounts {volume}", profile.name),
                format!("give your block device another path than {path}"),
            )
        } else if container.uses_as_device(volume) {
            (
                format!("volume {volume} is a block device here, and profile {} mounts it at {path}", profile.name),
                format!("use another volume than {volume} as a block device"),
            )
        } else {
            return false;
        };
        self.object(container.pointer("/volumeDevices"), Some(container.name()), volume, message, fix, false);
        true
    }

    /// Looks at the pod's own mounts below one that cannot be written: the runtime makes the folder that a mount needs, and
    /// cannot make it there.
    fn mounts_inside(&mut self, container: &Container<'_>, mount: &Mount, profile: &Profile) {
        let path = mount.mount_path.trim_end_matches('/');
        let ours = |at: &str| profile.spec.volume_mounts.iter().any(|mount| mount.mount_path == at);
        for (index, own) in container.node().items("volumeMounts").iter().enumerate() {
            let (Some(name), Some(at)) = (own.str("name"), own.str("mountPath")) else { continue };
            let below = at.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
            let Some(below) = below.map(|below| below.trim_matches('/')).filter(|below| !below.is_empty()) else {
                continue;
            };
            if !ours(at) {
                self.object(
                    container.pointer(&format!("/volumeMounts/{index}")),
                    Some(container.name()),
                    name,
                    format!(
                        "{name} is mounted at {at} inside the read-only {}: without a folder {below} there it cannot start",
                        mount.mount_path
                    ),
                    format!("mount {name} outside of {}", mount.mount_path),
                    true,
                );
            }
        }
    }

    #[cold]
    fn object(
        &mut self,
        pointer: String,
        container: Option<&str>,
        volume: &str,
        message: String,
        fix: String,
        mild: bool,
    ) {
        let subject = Subject { container: container.map(str::to_owned), key: Some(volume.to_owned()) };
        self.objections.push(Objection {
            to: ObjectionTo::Volume,
            by: String::new(),
            mild,
            pointer,
            subject,
            message,
            fix,
        });
    }
}

/// The entry for this path and container: one that names the container wins over one that says `*`, then the first.
fn choose<'m>(mounts: &'m [Mount], path: &str, container: &Container<'_>) -> Option<&'m Mount> {
    let name = container.name();
    let at_path = || mounts.iter().filter(|mount| mount.mount_path == path);
    at_path().find(|mount| mount.containers.iter().any(|wanted| wanted == name)).or_else(|| {
        at_path().find(|mount| {
            let everywhere = mount.containers.iter().any(|wanted| wanted == "*");
            everywhere && container.role() == Role::App && !mount.except_containers.iter().any(|except| except == name)
        })
    })
}

/// Whether the pod's own volume has everything that the profile's has. Ours comes back from the API server with defaults
/// added, without what is empty or false, and with quantities written its own way (1024Mi as 1Gi).
fn is_same_volume(own: &Node<'_>, wanted: &Map<String, Value>) -> bool {
    // The source itself is there even when it is empty: `emptyDir: {}`.
    wanted.iter().all(|(key, value)| own.get(key).is_some_and(|node| has_all_of(key, node, value)))
}

fn has_all_of(key: &str, own: &Node<'_>, wanted: &Value) -> bool {
    match (own, wanted) {
        (Node::Object(_), Value::Object(map)) => map.iter().all(|(key, value)| match own.get(key) {
            Some(node) => has_all_of(key, node, value),
            None => is_empty(value),
        }),
        (Node::Array(items), Value::Array(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| has_all_of("", item, value))
        }
        // The only quantities below a volume: an emptyDir's, and an ephemeral claim's.
        _ if matches!(key, "sizeLimit" | "storage") => {
            let wanted = Node::from(wanted.clone());
            matches!((quantity(own), quantity(&wanted)), (Ok(own), Ok(wanted)) if own == wanted)
        }
        _ => own.equals(wanted),
    }
}

/// Whether the API server leaves this out of what it stores.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(true) => false,
    }
}

/// The folder that a pod gets: `None` is the whole volume. The error reads on from "annotation x …".
fn sub_path(pod: &Pod<'_>, from: &SubPathFrom, namespace: &Namespace) -> Result<Option<String>, String> {
    let prefix = fill_in(&from.prefix, namespace);
    match pod.annotation(&from.annotation) {
        None | Some("") if from.required => Err("is missing".to_owned()),
        None | Some("") => Ok(Some(prefix.trim_end_matches('/').to_owned()).filter(|prefix| !prefix.is_empty())),
        Some(folder) => match odd_in_folder(folder) {
            None => Ok(Some(format!("{prefix}{folder}"))),
            Some(odd) => Err(format!("is no plain relative path (it has {odd})")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_same_volume;
    use crate::fields::is_plain_folder;
    use crate::tree::Node;

    #[test]
    fn a_volume_is_known_again_after_the_api_server_wrote_it_down() {
        let same = |own: serde_json::Value, wanted: serde_json::Value| {
            is_same_volume(&Node::from(own), wanted.as_object().unwrap())
        };
        assert!(same(
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}),
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": false}})
        ));
        assert!(same(
            json!({"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}),
            json!({"name": "v", "emptyDir": {"sizeLimit": "1024Mi", "medium": ""}})
        ));
        assert!(same(json!({"name": "v", "emptyDir": {}}), json!({"name": "v", "emptyDir": {}})));
        assert!(same(
            json!({"name": "v", "configMap": {"name": "c", "defaultMode": 420, "items": [{"key": "a", "path": "b"}]}}),
            json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}})
        ));
        // The other source is what matters, also where the profile's is empty.
        assert!(!same(json!({"name": "v", "hostPath": {"path": "/"}}), json!({"name": "v", "emptyDir": {}})));
        assert!(!same(
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}),
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": true}})
        ));
        // Names are no quantities.
        assert!(!same(
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "1k"}}),
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "1000"}})
        ));
    }

    #[test]
    fn folders_stay_below_their_prefix() {
        for path in ["web-shop", "team/web-shop", "a b", "..a", "ä"] {
            assert!(is_plain_folder(path), "{path}");
        }
        for path in ["", "/abs", "../x", "a/../b", "a//b", "a/", ".", "a/./b", "a\\b", "C:x", "$(X)", "a\nb"] {
            assert!(!is_plain_folder(path), "{path}");
        }
    }
}
