//! What the sources of volumes may hold, field by field, as core/v1 of Kubernetes 1.36 has it.
//!
//! The API server drops a field that it does not know, so that a mistyped `readOnly` would be a volume that can be written; and it
//! refuses every pod with a volume of the wrong type, which a profile would hand to all that it matches.

use serde_json::{Map, Value};

use self::Need::{Needed, Optional};
use self::Shape::{
    Absolute, Amount, Anything, Fields, Flag, List, Medium, Mode, Name, Relative, Size, Text, Texts, Whole, Word,
};
use crate::fields::Problems;
use crate::quantity::{self, Quantity};
use crate::tree::escape;

type Field = (&'static str, Need, Shape);

/// Whether a volume means anything without a field.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Needed,
    Optional,
}

/// What may stand in a field.
enum Shape {
    Text,
    /// The name of an object.
    Name,
    /// One of these words; where the first is empty, it may be left empty.
    Word(&'static [&'static str]),
    Flag,
    /// A whole number that is not negative.
    Whole,
    /// A file's permissions.
    Mode,
    /// A quantity.
    Amount,
    /// A quantity of more than nothing.
    Size,
    /// What an emptyDir is made of.
    Medium,
    Absolute,
    /// A path that stays below the volume.
    Relative,
    /// A map of texts.
    Texts,
    List(&'static Shape),
    Fields(&'static [Field]),
    /// Still changing from one Kubernetes to the next: left to the API server.
    Anything,
}

const ITEMS: Shape = List(&Fields(&[("key", Needed, Text), ("path", Needed, Relative), ("mode", Optional, Mode)]));

const REFERENCE: Shape = Fields(&[("name", Needed, Name)]);

const STORAGE: Shape = Fields(&[("storage", Needed, Size)]);

const SELECTOR: Shape = Fields(&[
    ("matchLabels", Optional, Texts),
    (
        "matchExpressions",
        Optional,
        List(&Fields(&[
            ("key", Needed, Text),
            ("operator", Needed, Word(&["In", "NotIn", "Exists", "DoesNotExist"])),
            ("values", Optional, List(&Text)),
        ])),
    ),
]);

const CLAIM: Shape = Fields(&[
    ("metadata", Optional, Fields(&[("labels", Optional, Texts), ("annotations", Optional, Texts)])),
    (
        "spec",
        Needed,
        Fields(&[
            (
                "accessModes",
                Needed,
                List(&Word(&["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"])),
            ),
            ("resources", Needed, Fields(&[("requests", Needed, STORAGE), ("limits", Optional, STORAGE)])),
            ("storageClassName", Optional, Text),
            ("volumeMode", Optional, Word(&["Filesystem", "Block"])),
            ("volumeName", Optional, Text),
            ("volumeAttributesClassName", Optional, Text),
            ("selector", Optional, SELECTOR),
            (
                "dataSource",
                Optional,
                Fields(&[("apiGroup", Optional, Text), ("kind", Needed, Text), ("name", Needed, Text)]),
            ),
            (
                "dataSourceRef",
                Optional,
                Fields(&[
                    ("apiGroup", Optional, Text),
                    ("kind", Needed, Text),
                    ("name", Needed, Text),
                    ("namespace", Optional, Text),
                ]),
            ),
        ]),
    ),
]);

const POD_FIELDS: Shape = List(&Fields(&[
    ("path", Needed, Relative),
    ("fieldRef", Optional, Fields(&[("fieldPath", Needed, Text), ("apiVersion", Optional, Text)])),
    (
        "resourceFieldRef",
        Optional,
        Fields(&[("resource", Needed, Text), ("containerName", Optional, Text), ("divisor", Optional, Amount)]),
    ),
    ("mode", Optional, Mode),
]));

const PROJECTED_OBJECT: Shape =
    Fields(&[("name", Needed, Name), ("items", Optional, ITEMS), ("optional", Optional, Flag)]);

const PROJECTIONS: Shape = List(&Fields(&[
    ("configMap", Optional, PROJECTED_OBJECT),
    ("secret", Optional, PROJECTED_OBJECT),
    ("downwardAPI", Optional, Fields(&[("items", Needed, POD_FIELDS)])),
    (
        "serviceAccountToken",
        Optional,
        Fields(&[("path", Needed, Relative), ("audience", Optional, Text), ("expirationSeconds", Optional, Whole)]),
    ),
    ("clusterTrustBundle", Optional, Anything),
    ("podCertificate", Optional, Anything),
]));

/// Every type of volume that a profile may add, those that have to be granted among them.
const SOURCES: [(&str, Shape); 15] = [
    ("persistentVolumeClaim", Fields(&[("claimName", Needed, Name), ("readOnly", Optional, Flag)])),
    ("emptyDir", Fields(&[("medium", Optional, Medium), ("sizeLimit", Optional, Amount)])),
    (
        "configMap",
        Fields(&[
            ("name", Needed, Name),
            ("items", Optional, ITEMS),
            ("defaultMode", Optional, Mode),
            ("optional", Optional, Flag),
        ]),
    ),
    ("ephemeral", Fields(&[("volumeClaimTemplate", Needed, CLAIM)])),
    ("nfs", Fields(&[("server", Needed, Text), ("path", Needed, Absolute), ("readOnly", Optional, Flag)])),
    (
        "csi",
        Fields(&[
            ("driver", Needed, Name),
            ("readOnly", Optional, Flag),
            ("fsType", Optional, Text),
            ("volumeAttributes", Optional, Texts),
            ("nodePublishSecretRef", Optional, REFERENCE),
        ]),
    ),
    ("azureFile", Fields(&[("secretName", Needed, Name), ("shareName", Needed, Text), ("readOnly", Optional, Flag)])),
    ("downwardAPI", Fields(&[("items", Needed, POD_FIELDS), ("defaultMode", Optional, Mode)])),
    (
        "fc",
        Fields(&[
            ("targetWWNs", Optional, List(&Text)),
            ("wwids", Optional, List(&Text)),
            ("lun", Optional, Whole),
            ("fsType", Optional, Text),
            ("readOnly", Optional, Flag),
        ]),
    ),
    (
        "flexVolume",
        Fields(&[
            ("driver", Needed, Text),
            ("fsType", Optional, Text),
            ("secretRef", Optional, REFERENCE),
            ("readOnly", Optional, Flag),
            ("options", Optional, Texts),
        ]),
    ),
    (
        "hostPath",
        Fields(&[
            // On Windows it begins with a letter.
            ("path", Needed, Text),
            (
                "type",
                Optional,
                Word(&[
                    "",
                    "Directory",
                    "DirectoryOrCreate",
                    "File",
                    "FileOrCreate",
                    "Socket",
                    "CharDevice",
                    "BlockDevice",
                ]),
            ),
        ]),
    ),
    (
        "image",
        Fields(&[
            ("reference", Needed, Text),
            ("pullPolicy", Optional, Word(&["", "Always", "IfNotPresent", "Never"])),
        ]),
    ),
    (
        "iscsi",
        Fields(&[
            ("targetPortal", Needed, Text),
            ("iqn", Needed, Text),
            ("lun", Optional, Whole),
            ("portals", Optional, List(&Text)),
            ("iscsiInterface", Optional, Text),
            ("initiatorName", Optional, Text),
            ("fsType", Optional, Text),
            ("readOnly", Optional, Flag),
            ("chapAuthDiscovery", Optional, Flag),
            ("chapAuthSession", Optional, Flag),
            ("secretRef", Optional, REFERENCE),
        ]),
    ),
    ("projected", Fields(&[("sources", Needed, PROJECTIONS), ("defaultMode", Optional, Mode)])),
    (
        "secret",
        Fields(&[
            ("secretName", Needed, Name),
            ("items", Optional, ITEMS),
            ("defaultMode", Optional, Mode),
            ("optional", Optional, Flag),
        ]),
    ),
];

/// Reports every mistake in the source of a volume, which stands at a pointer, at its own.
pub(super) fn check(source: &str, value: &Value, at: &str, problems: &mut Problems) {
    if let Some((source, shape)) = SOURCES.iter().find(|(name, _)| *name == source) {
        Checker { source, problems }.check(value, shape, at);
    }
}

struct Checker<'c> {
    source: &'static str,
    problems: &'c mut Problems,
}

impl Checker<'_> {
    fn check(&mut self, value: &Value, shape: &Shape, at: &str) {
        match (shape, value) {
            (Anything, _) | (Text, Value::String(_)) | (Flag, Value::Bool(_)) => {}
            (Fields(fields), Value::Object(map)) => self.fields(map, fields, at),
            (Texts, Value::Object(map)) => {
                for (key, value) in map {
                    self.check(value, &Text, &format!("{at}/{}", escape(key)));
                }
            }
            (List(each), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(item, each, &format!("{at}/{index}"));
                }
            }
            (Name, Value::String(name)) => self.problems.object_name(at, name),
            (Amount, Value::String(_) | Value::Number(_)) => self.problems.quantity(at, &text(value)),
            (Size, Value::String(_) | Value::Number(_)) => {
                self.problems.quantity(at, &text(value));
                if quantity::parse(&text(value)) == Ok(Quantity::ZERO) {
                    self.problems.add(at, "is 0: write more than nothing, such as 10Gi");
                }
            }
            _ if fits(value, shape) => {}
            _ => self.problems.add(at, wrong(value, shape)),
        }
    }

    fn fields(&mut self, map: &Map<String, Value>, fields: &[Field], at: &str) {
        for key in map.keys().filter(|key| !fields.iter().any(|(name, _, _)| name == key)) {
            let known: Vec<_> = fields.iter().map(|(name, _, _)| format!("`{name}`")).collect();
            self.problems.add(
                format!("{at}/{}", escape(key)),
                format!("unknown field `{key}`, expected one of {}", known.join(", ")),
            );
        }
        for (name, need, shape) in fields {
            let at = format!("{at}/{name}");
            match map.get(*name).filter(|value| !value.is_null()) {
                Some(value) if *need == Optional || !is_empty(value) => self.check(value, shape, &at),
                None if *need == Optional => {}
                _ => self.problems.add(at, format!("is missing: a volume of type {} needs it", self.source)),
            }
        }
    }
}

/// Whether a text or number is what a field may hold.
fn fits(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Whole, Value::Number(number)) => number.as_u64().is_some(),
        (Mode, Value::Number(number)) => number.as_u64().is_some_and(|mode| mode <= 0o777),
        (Word(words), Value::String(word)) => words.contains(&word.as_str()),
        (Medium, Value::String(medium)) => {
            matches!(medium.as_str(), "" | "Memory" | "HugePages")
                || medium.strip_prefix("HugePages-").is_some_and(|size| quantity::parse(size).is_ok())
        }
        (Absolute, Value::String(path)) => path.starts_with('/'),
        (Relative, Value::String(path)) => {
            !path.starts_with(['/']) && !path.starts_with("..") && path.split('/').all(|part| part != "..")
        }
        _ => false,
    }
}

/// What is wrong with a value, and what would be right.
fn wrong(value: &Value, shape: &Shape) -> String {
    match shape {
        Word(words) => {
            let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
            format!("{value} is not known here: write one of {}", words.join(", "))
        }
        Medium => {
            format!("{value} is no medium: write Memory or HugePages-2Mi, or leave it out for the node's disk")
        }
        Mode => format!("{value} is no file mode: write a number from 0 to 0777 without quotes, such as 0644"),
        Absolute => format!("{value} is no absolute path: write one that begins with '/'"),
        Relative => format!("{value} leads out of the volume: write a path without '/' at its beginning and '..'"),
        Flag => "is no boolean: write true or false, without quotes".to_owned(),
        Whole => "is no whole number of 0 or more: write one, without quotes".to_owned(),
        Amount | Size => "is not a quantity: write a number or text such as \"1Gi\"".to_owned(),
        List(_) => "is not a list".to_owned(),
        Fields(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _, _)| *name).collect();
            format!("is not a map: write one with {}", names.join(", "))
        }
        Texts => "is not a map of texts".to_owned(),
        Text | Name | Anything => "is not text: write it in quotes".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::volumes::{HARMLESS, VolumeTypes};
    use super::*;

    #[track_caller]
    fn mistakes(source: &str, value: &Value) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        check(source, value, "", &mut problems);
        problems.list()
    }

    #[test]
    fn every_type_that_may_be_added_is_known() {
        let known: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, [&HARMLESS[..], &VolumeTypes::GRANTABLE[..]].concat());
    }

    #[test]
    fn what_kubernetes_takes_is_taken() {
        let claim = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": "10Gi"}},
            "selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
            "dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}}});
        let items = json!([{"key": "a", "path": "b/c", "mode": 256}]);
        for (source, value) in [
            ("persistentVolumeClaim", json!({"claimName": "c", "readOnly": null})),
            ("emptyDir", json!({})),
            ("emptyDir", json!({"medium": "", "sizeLimit": 1_073_741_824})),
            ("emptyDir", json!({"medium": "HugePages-2Mi", "sizeLimit": "1Gi"})),
            ("configMap", json!({"name": "c", "items": items, "defaultMode": 420, "optional": true})),
            ("ephemeral", json!({"volumeClaimTemplate": claim})),
            ("nfs", json!({"server": "10.0.0.1", "path": "/", "readOnly": true})),
            (
                "csi",
                json!({"driver": "efs.csi.aws.com", "volumeAttributes": {"a": "1"}, "nodePublishSecretRef": {"name": "s"}}),
            ),
            ("azureFile", json!({"secretName": "s", "shareName": "x"})),
            ("downwardAPI", json!({"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]})),
            (
                "downwardAPI",
                json!({"items": [{"path": "cpu", "resourceFieldRef": {"resource": "limits.cpu", "containerName": "a", "divisor": "0"}}]}),
            ),
            ("fc", json!({"targetWWNs": ["5"], "lun": 0})),
            ("flexVolume", json!({"driver": "a/b", "options": {"x": "y"}, "secretRef": {"name": "s"}})),
            ("hostPath", json!({"path": "C:\\data", "type": ""})),
            ("image", json!({"reference": "registry.example.com/models:1", "pullPolicy": "Always"})),
            (
                "iscsi",
                json!({"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:disk", "lun": 0, "chapAuthSession": true}),
            ),
            (
                "projected",
                json!({"defaultMode": 256, "sources": [{"configMap": {"name": "c", "items": items}}, {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}, {"podCertificate": {"x": 1}}]}),
            ),
            ("secret", json!({"secretName": "s", "optional": false})),
        ] {
            assert_eq!(mistakes(source, &value), [], "{source} {value}");
        }
    }

    #[test]
    fn what_kubernetes_drops_or_refuses_is_a_mistake() {
        const SPEC: &str = "/volumeClaimTemplate/spec";
        let claim = |member: &str, value: Value| {
            let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            spec[member] = value;
            json!({"volumeClaimTemplate": {"spec": spec}})
        };
        for (source, value, at, words) in [
            (
                "persistentVolumeClaim",
                json!({"claimName": "x", "readonly": true}),
                "/readonly",
                "expected one of `claimName`, `readOnly`",
            ),
            ("persistentVolumeClaim", json!({"claimName": "A b"}), "/claimName", "no valid name"),
            ("persistentVolumeClaim", json!({"claimName": 5}), "/claimName", "not text"),
            ("emptyDir", json!({"sizelimit": "1Gi"}), "/sizelimit", "`sizeLimit`"),
            ("emptyDir", json!({"medium": "memory"}), "/medium", "write Memory"),
            ("emptyDir", json!(null), "", "write one with medium, sizeLimit"),
            ("configMap", json!({"name": "c", "defaultMode": "0644"}), "/defaultMode", "without quotes"),
            ("configMap", json!({"name": "c", "defaultMode": 644}), "/defaultMode", "0777"),
            ("configMap", json!({"name": "c", "items": [{"key": "a", "path": "../b"}]}), "/items/0/path", "leads out"),
            ("configMap", json!({"name": "c", "items": [{"key": "a"}]}), "/items/0/path", "is missing"),
            ("configMap", json!({"name": "c", "items": {"key": "a"}}), "/items", "not a list"),
            (
                "ephemeral",
                claim("accessModes", json!(["RWO"])),
                "/volumeClaimTemplate/spec/accessModes/0",
                "\"RWO\" is not known here: write one of ReadWriteOnce",
            ),
            ("ephemeral", claim("accessModes", json!([])), "/volumeClaimTemplate/spec/accessModes", "is missing"),
            ("ephemeral", claim("storageclassName", json!("x")), &format!("{SPEC}/storageclassName"), "unknown field"),
            (
                "ephemeral",
                claim("resources", json!({"requests": {"storage": "1GB"}})),
                &format!("{SPEC}/resources/requests/storage"),
                "not a quantity",
            ),
            (
                "ephemeral",
                claim("resources", json!({"requests": {"storage": 0}})),
                &format!("{SPEC}/resources/requests/storage"),
                "is 0",
            ),
            ("nfs", json!({"server": "s", "path": "rel/x"}), "/path", "absolute"),
            ("csi", json!({"driver": "d", "readOnly": "true"}), "/readOnly", "true or false, without quotes"),
            ("csi", json!({"driver": "a b"}), "/driver", "no valid name"),
            ("csi", json!({"driver": "d", "volumeAttributes": {"a": 1}}), "/volumeAttributes/a", "in quotes"),
            ("hostPath", json!({"path": "/x", "type": "Folder"}), "/type", "write one of Directory,"),
            ("fc", json!({"lun": "0"}), "/lun", "whole number"),
            ("projected", json!({"sources": [{"secrets": {}}]}), "/sources/0/secrets", "unknown field"),
        ] {
            let found = mistakes(source, &value);
            let [(pointer, message)] = &found[..] else { panic!("wanted one mistake in {source} {value}: {found:?}") };
            assert_eq!(pointer, at, "{source} {value}");
            assert!(message.contains(words), "{source} {value}: {message}");
        }
    }
}
