//! A pod, or the template of one, at its place in an object.

use super::{Container, Role, resources};
use crate::tree::{Node, Path};

/// A node with `metadata` and `spec` of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Pod<'t> {
    at: &'static str,
    node: &'t Node<'t>,
}

/// The three lists of containers, in the order in which the kubelet starts them.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// What the API server takes of most names.
pub const LONGEST_NAME: usize = 253;

/// What the API server takes of annotations, `TotalAnnotationSizeLimitB`.
pub const MOST_ANNOTATION_BYTES: usize = 256 * 1024;

impl<'t> Pod<'t> {
    /// Views `node`, which stands at pointer `at` of its object.
    pub fn new(at: &'static str, node: &'t Node<'t>) -> Self {
        Pod { at, node }
    }

    /// Where in the object it stands.
    pub fn at(&self) -> &'static str {
        self.at
    }

    /// The pointer of something in it: `below` begins with "/metadata" or "/spec".
    pub fn pointer(&self, below: &str) -> String {
        [self.at, below].concat()
    }

    /// The path of something in it.
    #[inline]
    pub fn path<const N: usize>(&self, keys: [&'static str; N]) -> Path {
        Path::at(self.at).keys(keys)
    }

    /// `spec`; `None` in a template that has none yet.
    pub fn spec(&self) -> Option<&'t Node<'t>> {
        self.node.get("spec")
    }

    /// `metadata`.
    pub fn metadata(&self) -> Option<&'t Node<'t>> {
        self.node.get("metadata")
    }

    /// `status`; templates have none, and neither do pods that were not created yet.
    pub fn status(&self) -> Option<&'t Node<'t>> {
        self.node.get("status")
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&'t str> {
        self.metadata()?.get("labels")?.str(key)
    }

    /// All labels.
    pub fn labels(&self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.strings("labels")
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&'t str> {
        self.metadata()?.get("annotations")?.str(key)
    }

    /// All annotations.
    pub fn annotations(&self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.strings("annotations")
    }

    /// The bytes of all annotations, keys and values, of which it may have [`MOST_ANNOTATION_BYTES`].
    pub fn annotation_bytes(&self) -> usize {
        self.annotations().map(|(key, value)| key.len() + value.len()).sum()
    }

    fn strings(&self, key: &'static str) -> impl Iterator<Item = (&'t str, &'t str)> {
        let metadata = self.metadata();
        metadata.into_iter().flat_map(move |m| m.entries(key)).filter_map(|(k, v)| Some((k, v.as_str()?)))
    }

    /// Every container, init and ephemeral ones included.
    pub fn containers(&self) -> impl Iterator<Item = Container<'t>> {
        let (at, spec) = (self.at, self.spec());
        LISTS.into_iter().flat_map(move |list| {
            let items = spec.map(|spec| spec.items(list)).unwrap_or_default();
            items.iter().enumerate().map(move |(index, node)| Container::new(at, list, index, node))
        })
    }

    /// Whether it is restarted whenever it ends: `restartPolicy: Always`, which is also the default.
    pub fn restarts_always(&self) -> bool {
        self.spec().and_then(|spec| spec.str("restartPolicy")).is_none_or(|policy| policy == "Always")
    }

    /// Whether the kubelet made it from a file on the node; the API server accepts no change to it.
    pub fn is_mirror(&self) -> bool {
        self.annotation("kubernetes.io/config.mirror").is_some()
    }

    /// A request or limit of the whole pod as it is written, `null` as "0".
    pub fn resource(&self, side: &str, resource: &str) -> Option<&'t Node<'t>> {
        resources::written(self.spec()?, side, resource)
    }

    /// Whether the pod sets resources for all its containers together.
    pub fn has_pod_level_resources(&self) -> bool {
        let resources = self.spec().and_then(|spec| spec.get("resources"));
        resources.is_some_and(|r| ["requests", "limits"].iter().any(|side| r.entries(side).next().is_some()))
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Option<&'t Node<'t>> {
        self.spec()?.items("volumes").iter().find(|volume| volume.str("name") == Some(name))
    }

    /// What is wrong with the claims that will be made for the ephemeral ones of `volumes`. They are called by pod and volume,
    /// so a pod that has no name yet, and a template, have nothing wrong.
    pub fn wrong_claim(&self, volumes: &[&Node<'_>]) -> Option<String> {
        let name = self.metadata()?.str("name").filter(|name| self.at.is_empty() && !name.is_empty())?;
        let ephemeral = volumes.iter().filter(|volume| volume.get("ephemeral").is_some());
        let mut made = ephemeral.map(|volume| format!("{name}-{}", volume.str("name").unwrap_or_default()));
        made.find_map(|claim| {
            let used = volumes.iter().filter_map(|volume| volume.get("persistentVolumeClaim")?.str("claimName"));
            if used.into_iter().any(|used| used == claim) {
                return Some(format!("PersistentVolumeClaim {claim} would be claimed and made for the pod, too"));
            }
            (claim.len() > LONGEST_NAME)
                .then(|| format!("PersistentVolumeClaim {claim} would have a name of more than {LONGEST_NAME} bytes"))
        })
    }

    /// App containers only.
    pub fn app_containers(&self) -> impl Iterator<Item = Container<'t>> {
        self.containers().filter(|container| container.role() == Role::App)
    }
}
