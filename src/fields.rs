//! Reading what operators write, strictly: every complaint carries the field it is about.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::quantity;
use crate::tree::escape;

/// What is wrong in one document: pointers into it, and words.
#[derive(Debug, Default)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// One more problem at an RFC 6901 pointer.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push((pointer.into(), message.into()));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pointer and message of each.
    pub fn list(self) -> Vec<(String, String)> {
        self.0
    }

    /// What was typed, when nothing is wrong with it: for an argument of the command line.
    pub fn accept(mut self, typed: &str) -> Result<String, String> {
        self.0.pop().map_or_else(|| Ok(typed.to_owned()), |(_, message)| Err(message))
    }

    /// A label's or annotation's key: `[domain/]name`, each part as Kubernetes wants it.
    pub fn label_key(&mut self, at: &str, key: &str) {
        let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
        if !is_label_part(name) || name.is_empty() || domain.is_some_and(|domain| !is_domain(domain)) {
            self.add(
                at,
                format!("{key:?} is no valid key: write name or domain/name, the name of at most 63 letters, digits, '-', '_', '.'"),
            );
        }
    }

    /// A label's value.
    pub fn label_value(&mut self, at: &str, key: &str, value: &str) {
        if !is_label_part(value) {
            self.add(
                format!("{at}/{}", escape(key)),
                format!("{value:?} is no valid label value: at most 63 letters, digits, '-', '_', '.', beginning and ending with a letter or digit"),
            );
        }
    }

    /// The name of an object that others refer to: a DNS subdomain.
    pub fn object_name(&mut self, at: &str, name: &str) {
        if !is_domain(name) {
            self.add(at, format!("{name:?} is no valid name: write lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"));
        }
    }

    /// The name of a volume or container: a DNS label.
    pub fn part_name(&mut self, at: &str, name: &str) {
        if !is_dns_label(name) {
            self.add(at, format!("{name:?} is no valid name: write at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"));
        }
    }

    /// A namespace's name, in which `*` stands for any run of characters.
    pub fn namespace_pattern(&mut self, at: &str, pattern: &str) {
        let name = pattern.replace('*', "x");
        if !is_domain(&name) || name.contains('.') || pattern.replace('*', "").len() > 63 {
            self.add(at, format!("{pattern:?} is the name of no namespace: write lower-case letters, digits and '-', and '*' for any run of them"));
        }
    }

    /// A quantity that is not negative, and no more than Kubernetes counts.
    pub fn quantity(&mut self, at: &str, text: &str) {
        match quantity::parse(text) {
            Ok(amount) if amount.is_negative() => {
                self.add(at, format!("{text:?} is negative: write an amount of 0 or more"));
            }
            Ok(amount) if amount.units() > i64::MAX.unsigned_abs() => {
                self.add(at, format!("{text:?} is more than Kubernetes can count: write less than 8Ei"));
            }
            Ok(_) => {}
            Err(error) => self.add(at, error.to_string()),
        }
    }
}

/// Letters, digits, `-`, `_`, `.`; letters or digits at both ends; 63 at most; empty is fine for values.
fn is_label_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = text.bytes().next().is_none_or(|b| b.is_ascii_alphanumeric())
        && text.bytes().last().is_none_or(|b| b.is_ascii_alphanumeric());
    text.len() <= 63 && ends && text.bytes().all(inner)
}

/// A DNS label (RFC 1123), as the names of namespaces, volumes and containers are.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_domain(text)
}

/// A DNS subdomain, as the domain of a label key has to be.
fn is_domain(text: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Deserializes `value`, which stands at pointer `at`; a mistake is reported with its own pointer.
pub fn read<T: DeserializeOwned>(value: Value, at: &str, problems: &mut Problems) -> Option<T> {
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(Strict(value), &mut track);
    match T::deserialize(deserializer) {
        Ok(read) => Some(read),
        Err(error) => {
            let mut pointer = at.to_owned();
            for segment in &track.path() {
                match segment {
                    Segment::Seq { index } => pointer += &format!("/{index}"),
                    Segment::Map { key } => pointer += &format!("/{}", escape(key)),
                    Segment::Enum { .. } | Segment::Unknown => {}
                }
            }
            let message = error.to_string();
            // The path of an unknown field ends at its parent in some places; the message names it in all.
            if let Some(field) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
                let field = format!("/{}", escape(field));
                if !pointer.ends_with(&field) {
                    pointer.push_str(&field);
                }
            }
            problems.add(pointer, message);
            None
        }
    }
}

/// A value that is read as a struct only when it is a map. serde also takes a list, field by field, and so would take
/// `namespaces: []` for the default of a struct: all of them.
struct Strict(Value);

impl IntoDeserializer<'_, serde_json::Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Strict))),
            Value::Object(map) => {
                visitor.visit_map(MapDeserializer::new(map.into_iter().map(|(key, value)| (key, Strict(value)))))
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.0.is_object() {
            return self.deserialize_any(visitor);
        }
        Err(Self::Error::custom(format!("is not a map: write one with {}", fields.join(", "))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.0.is_string() {
            return self.0.deserialize_enum(name, variants, visitor);
        }
        Err(Self::Error::custom(format!("is not text: write one of {}", variants.join(", "))))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// "/spec/rules/required-limits/cpu" as a person writes it: "spec.rules.required-limits.cpu".
pub fn dotted(pointer: &str) -> String {
    let tokens = crate::tree::tokens(pointer).into_iter().flatten();
    let mut text = String::new();
    for token in tokens {
        if token.bytes().all(|b| b.is_ascii_digit()) {
            text += &format!("[{token}]");
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&token);
        }
    }
    text
}

/// Whether a folder inside a volume stays where it is put: relative, every part a name.
pub fn is_plain_folder(path: &str) -> bool {
    odd_in_folder(path).is_none()
}

/// What keeps a path from being a plain folder; reads on from "it has …".
pub fn odd_in_folder(path: &str) -> Option<String> {
    const MOST: usize = 1024;
    let odd = path.chars().find(|c| c.is_control() || matches!(c, '\\' | ':' | '$'));
    let part = |odd: &str| path.split('/').any(|part| part == odd);
    Some(match odd {
        _ if path.len() > MOST => format!("{} bytes, and {MOST} are allowed", path.len()),
        Some(c) if c.is_control() => "a control character in it".to_owned(),
        Some(c) => format!("'{c}' in it"),
        None if path.starts_with('/') => "'/' in front".to_owned(),
        None if part("..") => "'..' in it".to_owned(),
        None if part(".") => "'.' in it".to_owned(),
        None if part("") => "an empty part".to_owned(),
        None => return None,
    })
}

/// The name that differs least from what was typed, when it is not too far from it.
pub fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Nobody types more by mistake, and the table below is quadratic.
    if typed.len() > 64 {
        return None;
    }
    let typed = typed.to_lowercase();
    let (name, away) =
        names.map(|name| (name, distance(&typed, &name.to_lowercase()))).min_by_key(|(_, away)| *away)?;
    // A part of the name ("probes") is far in letters and near in meaning.
    let part = typed.len() >= 4 && name.to_lowercase().contains(&typed);
    (away <= 3 || away * 3 <= name.len() || part).then_some(name)
}

/// Levenshtein's: how many letters to add, drop or change.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (b, &above) in other.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_kubernetes() {
        let mut problems = Problems::default();
        for key in ["app", "a.b/c", "network.supercargo.dev/egress", "A_b.c"] {
            problems.label_key("/x", key);
        }
        for value in ["", "a", "a-b_c.D9"] {
            problems.label_value("/x", "k", value);
        }
        assert!(problems.is_empty());
        let bad_keys = ["", "-a", "a/", "/a", "a/b/c", "UP.case/x", "ä", &"a".repeat(64)];
        for key in bad_keys {
            problems.label_key("/x", key);
        }
        problems.label_value("/x", "k", "has space");
        assert_eq!(problems.list().len(), bad_keys.len() + 1);
    }

    #[test]
    fn patterns_can_match_some_namespace() {
        let bad = ["", "Shop", "[a", "shop.a", "-*", "a b", "*_x", &"a".repeat(64)];
        for (patterns, expected) in [(&["*", "kube-*", "*-a-*", "1", &"a".repeat(63)][..], 0), (&bad[..], bad.len())] {
            let mut problems = Problems::default();
            for pattern in patterns {
                problems.namespace_pattern("/x", pattern);
            }
            assert_eq!(problems.list().len(), expected);
        }
    }

    #[test]
    fn pointers_read_like_fields() {
        assert_eq!(dotted("/spec/rules/required-limits/cpu"), "spec.rules.required-limits.cpu");
        assert_eq!(dotted("/spec/volumes/0/name"), "spec.volumes[0].name");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["required-limits", "required-probes", "embedded-secret"];
        let nearest = |typed| nearest(typed, names.into_iter());
        assert_eq!(nearest("required-limit"), Some("required-limits"));
        assert_eq!(nearest("Probes"), Some("required-probes"));
        assert_eq!(nearest("secret"), Some("embedded-secret"));
        assert_eq!(nearest("latest-tag"), None);
        assert_eq!((distance("abc", "abc"), distance("abc", "axcd"), distance("", "ab")), (0, 2, 2));
    }
}
