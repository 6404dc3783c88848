//! One container of a pod, with its role and its pointer.

use super::resources;
use crate::tree::{Node, Path};

/// What a container is for; each role may and must have different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs to its end before the app containers start; cannot have probes.
    Init,
    /// An init container with `restartPolicy: Always`: starts early, then runs beside the app containers.
    Sidecar,
    /// What the pod is there for.
    App,
    /// Added to a running pod for debugging; cannot have probes, ports or resources.
    Ephemeral,
}

/// The probes that a container can have, by the field's name.
pub const PROBES: [(&str, &str); 3] =
    [("liveness", "livenessProbe"), ("readiness", "readinessProbe"), ("startup", "startupProbe")];

/// Containers that service meshes, secret stores and clouds inject beside the author's own, by name.
pub const INJECTED: [&str; 10] = [
    "istio-proxy",
    "linkerd-proxy",
    "envoy",
    "envoy-sidecar",
    "consul-dataplane",
    "kuma-sidecar",
    "vault-agent",
    "cloud-sql-proxy",
    "datadog-agent",
    "aws-otel-collector",
];

/// One entry of `containers`, `initContainers` or `ephemeralContainers`.
#[derive(Clone, Copy, Debug)]
pub struct Container<'t> {
    pod: &'static str,
    list: &'static str,
    index: usize,
    node: &'t Node<'t>,
}

impl<'t> Container<'t> {
    /// The entry `index` of `list` in the spec of the pod at pointer `pod`.
    pub(super) fn new(pod: &'static str, list: &'static str, index: usize, node: &'t Node<'t>) -> Self {
        Container { pod, list, index, node }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        match self.list {
            "initContainers" if self.node.str("restartPolicy") == Some("Always") => Role::Sidecar,
            "initContainers" => Role::Init,
            "ephemeralContainers" => Role::Ephemeral,
            _ => Role::App,
        }
    }

    /// Its name; "" when it has none, which the API server will refuse.
    pub fn name(&self) -> &'t str {
        self.node.str("name").unwrap_or_default()
    }

    /// Whether both are the same entry of one pod, whatever they are called.
    pub fn is(&self, other: &Container<'_>) -> bool {
        (self.list, self.index) == (other.list, other.index)
    }

    /// The container's own tree.
    pub fn node(&self) -> &'t Node<'t> {
        self.node
    }

    /// The pointer of something in it: `below` is "" or begins with "/".
    pub fn pointer(&self, below: &str) -> String {
        [self.pod, "/spec/", self.list, "/", &self.index.to_string(), below].concat()
    }

    /// The path of something in it.
    #[inline]
    pub fn path<const N: usize>(&self, keys: [&'static str; N]) -> Path {
        Path::at(self.pod).keys(["spec", self.list]).index(self.index).keys(keys)
    }

    /// A request or limit as it is written, `null` as "0": `side` is "requests" or "limits".
    pub fn resource(&self, side: &str, resource: &str) -> Option<&'t Node<'t>> {
        resources::written(self.node, side, resource)
    }

    /// The field of a probe ("livenessProbe"), when it is set to something.
    pub fn probe(&self, field: &str) -> Option<&'t Node<'t>> {
        self.node.get(field).filter(|probe| probe.as_object().is_some_and(|map| !map.is_empty()))
    }

    /// The mount at this path.
    pub fn mount(&self, path: &str) -> Option<&'t Node<'t>> {
        at_path(self.node.items("volumeMounts"), "mountPath", path)
    }

    /// The block device at this path.
    pub fn device(&self, path: &str) -> Option<&'t Node<'t>> {
        at_path(self.node.items("volumeDevices"), "devicePath", path)
    }

    /// Whether the container uses a volume as a block device; it cannot mount it then.
    pub fn uses_as_device(&self, volume: &str) -> bool {
        self.node.items("volumeDevices").iter().any(|device| device.str("name") == Some(volume))
    }
}

/// The API server compares paths letter by letter, but to the container `/src`, `/src/`, `//src` and `src` are one.
fn at_path<'t>(items: &'t [Node<'t>], key: &str, path: &str) -> Option<&'t Node<'t>> {
    items.iter().find(|item| item.str(key).is_some_and(|at| at == path || parts(at).eq(parts(path))))
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}
