//! An AdmissionReview around an object, as the API server makes it at CREATE.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use serde_json::json;

use crate::review;
use crate::tree::Node;
use crate::workload;

/// A user like any other.
pub(super) const PERSON: &str = "supercargo-review";

/// Who asks is `username`; `namespace` is that of objects that name none.
pub(super) fn around(
    mut object: Node<'static>,
    group: &str,
    kind: &str,
    namespace: &str,
    username: &str,
) -> Node<'static> {
    let known = workload::kind(group, kind);
    let text = |keys: &[&str]| object.path(keys).and_then(Node::as_str).unwrap_or_default().to_owned();
    let (said, name) = (text(&["metadata", "namespace"]), text(&["metadata", "name"]));
    let api_version = text(&["apiVersion"]);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let plural = known.map_or_else(|| format!("{}s", kind.to_lowercase()), |kind| kind.plural.to_owned());
    let of = json!({"group": group, "version": version, "kind": kind});
    let resource = json!({"group": group, "version": version, "resource": plural});
    // Of an unknown kind it is not known whether it lives in a namespace.
    let namespace = match &*said {
        "" if known.is_some() => namespace,
        said => said,
    };
    let mut review: Node<'static> = json!({
        "apiVersion": review::API_VERSION,
        "kind": "AdmissionReview",
        "request": {
            "uid": uid(),
            "kind": of,
            "requestKind": of,
            "resource": resource,
            "requestResource": resource,
            "name": name,
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": username, "groups": ["system:authenticated"]},
            "object": null,
            "oldObject": null,
            "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
    .into();
    // As the API server fills it in from the URL.
    if !namespace.is_empty()
        && let Some(Node::Object(metadata)) = object.pointer_mut("/metadata")
    {
        metadata.insert("namespace", Node::String(namespace.to_owned().into()));
    }
    if let Some(place) = review.pointer_mut("/request/object") {
        *place = object;
    }
    review
}

/// A random version 4 UUID, as the API server makes them.
fn uid() -> String {
    let random = || RandomState::new().hash_one(SystemTime::now());
    let (high, low) = (random(), random());
    let version = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let variant = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        (version >> 16) & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    )
}
