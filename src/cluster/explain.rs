//! What the API server knows of a pod, for explaining it: fetched once, nothing is watched.

use std::collections::BTreeMap;

use anyhow::Context;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, TypeMeta};
use kube::{Client, ResourceExt};

use super::batch::said;
use crate::explain::Planned;
use crate::tree::Node;
use crate::workload;

/// Nodes that are looked at for pods that follow their mates: those with the most.
const MOST_NODES: usize = 8;

/// What was found.
#[derive(Debug, Default)]
pub struct Seen {
    /// Objects with `apiVersion` and `kind`.
    pub documents: Vec<Node<'static>>,
    /// What could not be asked for, in words.
    pub notes: Vec<String>,
}

/// The pod with its events, namespace and owner; the nodes that were planned for it, or that its mates are on; and what runs on them.
pub async fn documents(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Seen> {
    let asking = Asking { client, namespace };
    let pod = asking.api("", "v1", "Pod", Some(namespace)).get(name).await;
    let pod = pod.map_err(|error| anyhow::anyhow!("{}", said(&error))).context("cannot see the pod")?;
    let mut seen = Seen::default();
    seen.put(asking.get("", "v1", "Namespace", None, namespace).await);
    let about = format!("involvedObject.kind=Pod,involvedObject.name={name}");
    seen.put(asking.list("Event", Some(namespace), &ListParams::default().fields(&about)).await);
    for owner in pod.owner_references().iter().filter(|owner| owner.controller == Some(true)) {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        if workload::kind(group, &owner.kind).is_some() {
            seen.put(asking.get(group, version, &owner.kind, Some(namespace), &owner.name).await);
        }
    }
    let tree = Node::from(serde_json::to_value(&pod)?);
    let planned = Planned::read(&tree);
    let mut nodes: Vec<String> = planned.nodes().map(str::to_owned).collect();
    nodes.extend(tree.path(&["spec", "nodeName"]).and_then(Node::as_str).map(str::to_owned));
    if matches!(planned, Planned::Mates(_)) {
        // Its group may be anywhere; a namespace has far fewer pods than a cluster.
        let others = asking.list("Pod", Some(namespace), &ListParams::default()).await;
        if let Ok(others) = &others {
            nodes.extend(busiest(others));
        }
        seen.put(others);
    } else {
        seen.documents.push(tree);
    }
    nodes.sort();
    nodes.dedup();
    for node in &nodes {
        seen.put(asking.get("", "v1", "Node", None, node).await);
        let on_it = ListParams::default().fields(&format!("spec.nodeName={node}"));
        seen.put(asking.list("Pod", None, &on_it).await);
    }
    seen.notes.dedup();
    Ok(seen)
}

/// The nodes with the most of these pods.
fn busiest(pods: &[Node<'_>]) -> Vec<String> {
    let mut nodes: BTreeMap<&str, usize> = BTreeMap::new();
    for node in pods.iter().filter_map(|pod| pod.path(&["spec", "nodeName"])?.as_str()) {
        *nodes.entry(node).or_default() += 1;
    }
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    nodes.sort_by_key(|(_, pods)| std::cmp::Reverse(*pods));
    nodes.into_iter().map(|(node, _)| node.to_owned()).take(MOST_NODES).collect()
}

impl Seen {
    fn put(&mut self, found: Result<Vec<Node<'static>>, String>) {
        match found {
            Ok(documents) => self.documents.extend(documents),
            Err(note) => self.notes.push(note),
        }
    }
}

struct Asking<'c> {
    client: &'c Client,
    namespace: &'c str,
}

impl Asking<'_> {
    fn api(&self, group: &str, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// One object; none when there is none.
    async fn get(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Vec<Node<'static>>, String> {
        match self.api(group, version, kind, namespace).get_opt(name).await {
            Ok(found) => Ok(found.into_iter().filter_map(|object| document(object, group, version, kind)).collect()),
            Err(error) => Err(format!("cannot see {kind} {name}: {}", said(&error))),
        }
    }

    /// Objects of the core group.
    async fn list(
        &self,
        kind: &str,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Vec<Node<'static>>, String> {
        match self.api("", "v1", kind, namespace).list(params).await {
            Ok(found) => Ok(found.items.into_iter().filter_map(|object| document(object, "", "v1", kind)).collect()),
            Err(error) => {
                let place = namespace.map_or_else(|| "all namespaces".to_owned(), |_| self.namespace.to_owned());
                Err(format!("cannot list {kind}s in {place}: {}", said(&error)))
            }
        }
    }
}

/// Items of a list come without their kind.
fn document(mut object: DynamicObject, group: &str, version: &str, kind: &str) -> Option<Node<'static>> {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    object.types = Some(TypeMeta { api_version, kind: kind.to_owned() });
    Some(Node::from(serde_json::to_value(&object).ok()?))
}
