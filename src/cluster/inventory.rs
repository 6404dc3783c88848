//! The nodes and what runs on them, asked for once: for simulations.

use std::fmt::Debug;

use anyhow::Context;
use k8s_openapi::api::core::v1;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::object::Object;
use crate::packing::{NodeSeen, PodSeen};
use crate::tree::Node;

/// Objects of an answer: of 150,000 pods only one page at a time is held whole.
const PAGE: u32 = 500;

/// All nodes, and all pods that have one.
pub async fn take(client: &Client) -> anyhow::Result<(Vec<NodeSeen>, Vec<PodSeen>)> {
    let (mut nodes, mut pods) = (Vec::new(), Vec::new());
    each::<v1::Node>(client, |node| nodes.extend(NodeSeen::read(node))).await.context("cannot list the nodes")?;
    each::<v1::Pod>(client, |pod| pods.extend(PodSeen::read(pod, &[]).filter(|pod| pod.node.is_some())))
        .await
        .context("cannot list the pods of all namespaces")?;
    Ok((nodes, pods))
}

async fn each<K>(client: &Client, mut see: impl FnMut(&Node<'_>)) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
    Object<K>: DeserializeOwned,
{
    let api = Api::<Object<K>>::all(client.clone());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        list.items.iter().for_each(|object| see(&object.tree));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}
