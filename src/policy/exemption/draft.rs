//! The Exemption that would let findings pass, as lines to paste; owner, reason and last day are left to whoever answers for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::finding::Finding;

/// Exemptions in one draft, and keys in one of them: more do not fit on a terminal's screen, and nobody means so many.
const MOST: (usize, usize) = (3, 16);

/// An object as Exemptions know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The namespace that it is judged in.
    pub namespace: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`, or `metadata.generateName` while it has no name.
    pub name: String,
}

impl Known {
    /// Exemptions that cover these findings of the object and as little else as can be said: by fingerprint where there is one, else
    /// by container and key. Each is one YAML flow mapping of two lines; `None` when there is nothing to exempt.
    pub fn draft<'f>(&self, findings: impl Iterator<Item = &'f Finding>) -> Option<String> {
        let mut drafts: BTreeMap<(&str, Match<'f>), Vec<&'f str>> = BTreeMap::new();
        for finding in findings {
            let subject = &finding.subject;
            let (by, what) = match (&finding.fingerprint, subject.key.as_deref()) {
                (Some(fingerprint), _) => (Match::Value, Some(fingerprint.as_str())),
                (None, Some(key)) => (Match::Keys(subject.container.as_deref()), Some(key)),
                (None, None) => (Match::All(subject.container.as_deref()), None),
            };
            let list = drafts.entry((finding.rule, by)).or_default();
            list.extend(what.filter(|what| !list.contains(what)));
        }
        let (more, all) = (drafts.len().saturating_sub(MOST.0), drafts.len());
        let mut text = String::new();
        for (index, ((rule, by), list)) in drafts.into_iter().take(MOST.0).enumerate() {
            let name = self.exemption(if all == 1 { None } else { Some(index + 1) });
            let matches = self.matches(by, &list);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{}{{apiVersion: {}, kind: Exemption, metadata: {{name: {name}}}, spec: {{owner: \"\", reason: \"\", expires: \"\",\n  \
                 rules: [{rule}], match: {{{matches}}}}}}}",
                if index == 0 { "" } else { "\n---\n" },
                crate::policy::API_VERSION,
            );
        }
        if more > 0 {
            let _ = write!(text, "\n# and {more} more like these");
        }
        (all > 0).then_some(text)
    }

    fn matches(&self, by: Match<'_>, list: &[&str]) -> String {
        let mut parts = vec![format!("namespaces: [{}]", scalar(&self.namespace))];
        if by != Match::Value {
            parts.push(format!("kinds: [{}]", scalar(&self.kind)));
            // The API server puts letters behind a generateName, which ends in a dash as no name does.
            let stars = if self.name.ends_with('-') { "*" } else { "" };
            if !self.name.is_empty() {
                parts.push(format!("names: [{}]", scalar(&format!("{}{stars}", self.name))));
            }
        }
        if let Match::Keys(Some(container)) | Match::All(Some(container)) = by {
            parts.push(format!("containers: [{}]", scalar(container)));
        }
        let field = if by == Match::Value { "fingerprints" } else { "keys" };
        if !list.is_empty() {
            let list: Vec<String> = list.iter().take(MOST.1).map(|one| scalar(one)).collect();
            parts.push(format!("{field}: [{}]", list.join(", ")));
        }
        parts.join(", ")
    }

    /// A name for it, of the object's own.
    fn exemption(&self, number: Option<usize>) -> String {
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        let parts = [self.namespace.as_str(), &self.name, &number];
        let word = |text: &str| text.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let parts = parts.map(|part| word(part).trim_matches('-').chars().take(80).collect::<String>());
        let name = parts.iter().filter(|part| !part.is_empty()).map(|part| part.trim_matches('-')).collect::<Vec<_>>();
        if name.is_empty() { "allowed".to_owned() } else { scalar(&name.join("-")) }
    }
}

/// What tells the exempted findings from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match<'f> {
    /// The secret itself.
    Value,
    /// Their keys, in this container.
    Keys(Option<&'f str>),
    /// Nothing: they have no key.
    All(Option<&'f str>),
}

/// Text as a YAML scalar that reads back as this string wherever it stands; ASCII only, so that nothing has to be escaped again.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b))
        // Words that YAML 1.1 or 1.2 reads as something else.
        && !["true", "false", "yes", "no", "on", "off", "y", "n", "null"].iter().any(|word| word.eq_ignore_ascii_case(text));
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match (c, u32::from(c)) {
            ('"' | '\\', _) => quoted.extend(['\\', c]),
            (' '..='~', _) => quoted.push(c),
            (_, code @ ..=0xff) => quoted.push_str(&format!("\\x{code:02X}")),
            (_, code @ ..=0xffff) => quoted.push_str(&format!("\\u{code:04X}")),
            (_, code) => quoted.push_str(&format!("\\U{code:08X}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Action, Subject};
    use crate::fingerprint::Key;
    use crate::policy::{Document, PolicySet, VolumeTypes};
    use crate::tree::Node;

    fn finding(container: Option<&str>, key: Option<&str>) -> Finding {
        Finding {
            rule: "embedded-secret",
            pointer: String::new(),
            subject: Subject { container: container.map(str::to_owned), key: key.map(str::to_owned) },
            message: String::new(),
            fix: String::new(),
            digest: None,
            fingerprint: None,
            at_most: Action::Deny,
        }
    }

    /// What the drafts exempt once somebody has filled them in.
    fn compiled(draft: &str) -> PolicySet {
        let filled = draft.replace("owner: \"\"", "owner: me").replace("reason: \"\"", "reason: why");
        let filled = filled.replace("expires: \"\"", "expires: \"2027-03-31\"");
        let trees: Vec<Node<'_>> = filled
            .split("\n---\n")
            .map(|text| {
                serde_saphyr::from_str::<serde_json::Value>(text).unwrap_or_else(|e| panic!("{e}\n{text}")).into()
            })
            .collect();
        let documents: Vec<_> = trees.iter().map(|tree| Document { tree }).collect();
        let (set, errors) = PolicySet::compile(&documents, &VolumeTypes::default());
        assert_eq!(errors, [], "{draft}");
        set
    }

    #[test]
    fn a_draft_lacks_only_who_why_and_when() {
        let known = Known { namespace: "shop".into(), kind: "Deployment".into(), name: "web".into() };
        let draft = known.draft([&finding(Some("app"), Some("DB_PASSWORD"))].into_iter()).unwrap();
        assert_eq!(
            draft,
            "{apiVersion: supercargo.dev/v1alpha1, kind: Exemption, metadata: {name: shop-web}, spec: {owner: \"\", reason: \"\", expires: \"\",\n  \
             rules: [embedded-secret], match: {namespaces: [shop], kinds: [Deployment], names: [web], containers: [app], keys: [DB_PASSWORD]}}}"
        );
        assert_eq!(known.draft(std::iter::empty()), None);
    }

    #[test]
    fn whatever_things_are_called_the_draft_covers_them() {
        let key = Key::new(&[7; 32]).unwrap();
        let names = ["web", "job-", "", "true", "1e3", "--x", "ü\u{202e}\"\\", "a: {b}, #c", "*", "\u{1b}[31m\n", "🎈"];
        for name in names {
            let known = Known { namespace: "shop".into(), kind: "Pod".into(), name: name.to_owned() };
            for (container, subject) in [(Some(name), Some(name)), (None, Some(name)), (Some(name), None), (None, None)]
            {
                for fingerprint in [None, Some(key.fingerprint(name))] {
                    let finding = Finding { fingerprint, ..finding(container, subject) };
                    let draft = known.draft([&finding].into_iter()).unwrap();
                    assert!(draft.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "{draft}");
                    let known_as = [("Pod".to_owned(), name.to_owned())];
                    assert!(compiled(&draft).exemptions()[0].covers(&finding, "shop", &known_as), "{draft}");
                }
            }
        }
    }

    #[test]
    fn containers_are_kept_apart_and_few() {
        let known = Known { namespace: "shop".into(), kind: "Pod".into(), name: "web".into() };
        let all: Vec<Finding> = ["a", "b", "c", "d", "e"].map(|name| finding(Some(name), Some("K"))).into();
        let draft = known.draft(all.iter()).unwrap();
        assert!(draft.ends_with("\n# and 2 more like these"), "{draft}");
        let set = compiled(&draft);
        let covered = |container| {
            let finding = finding(Some(container), Some("K"));
            set.exemptions().iter().any(|e| e.covers(&finding, "shop", &[("Pod".to_owned(), "web".to_owned())]))
        };
        assert_eq!(["a", "b", "c", "d", "e"].map(covered), [true, true, true, false, false]);
    }
}
