//! An object of a watch as a tree: read once, looked at, and dropped. A type with every field would drop what it does not know, and
//! costs more.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::tree::Node;

/// An object of kind `K`.
#[derive(Clone, Debug)]
pub(super) struct Object<K> {
    /// `resourceVersion` and nothing else, which is what the watcher asks for.
    metadata: ObjectMeta,
    /// All of it but `managedFields`.
    pub tree: Node<'static>,
    kind: PhantomData<K>,
}

impl<'de, K> Deserialize<'de> for Object<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Node::deserialize_unmanaged(deserializer)?.into_owned();
        let version = tree.get("metadata").and_then(|metadata| metadata.str("resourceVersion")).map(str::to_owned);
        let metadata = ObjectMeta { resource_version: version, ..ObjectMeta::default() };
        Ok(Object { metadata, tree, kind: PhantomData })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Object<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
