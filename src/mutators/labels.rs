//! Labels that NetworkPolicies select by, and annotations.

use super::{Stowing, text};
use crate::finding::{Objection, ObjectionTo, Subject};
use crate::patch::EditError;
use crate::tree::escape;

pub(super) fn apply(stowing: &mut Stowing<'_, '_>) -> Result<(), EditError> {
    let mut additions = Vec::new();
    let mut objections = Vec::new();
    {
        let pod = stowing.pod();
        for (key, wanted) in &stowing.profile.spec.labels {
            match pod.label(key) {
                None => additions.push((key.as_str(), text(wanted))),
                Some(value) if value == wanted => {}
                Some(_) => objections.push(Objection {
                    to: ObjectionTo::Label,
                    by: String::new(),
                    mild: false,
                    pointer: pod.pointer(&format!("/metadata/labels/{}", escape(key))),
                    subject: Subject { container: None, key: Some(key.clone()) },
                    message: format!("label {key} is not {wanted}, as profile {} wants it", stowing.profile.name),
                    fix: format!("remove the label {key}: the profile adds it"),
                }),
            }
        }
    }
    for objection in objections {
        stowing.object(objection);
    }
    let path = stowing.path(["metadata", "labels"]);
    stowing.editor.add_members(&path, additions)?;
    let profile = stowing.profile;
    stowing.annotate(profile.spec.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}
