//! Reading by serde: where there is no arena, where a tree is part of what another reader reads, and to say what is wrong with a text
//! that [`super::reader`] does not take.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::items::Items;
use super::reader::{Keep, MOST_VALUES};
use super::{List, Map, Member, Node};

/// Reads one value.
pub(super) struct Reader<'b, 'a> {
    pub keep: Keep,
    pub bench: &'b Bench<'a>,
}

/// What the readers of one text share. Members and items are gathered here until their object or list ends, so that each of
/// those is allocated once and as large as it is.
#[derive(Default)]
pub(super) struct Bench<'a> {
    values: Cell<usize>,
    members: RefCell<Vec<Member<'a>>>,
    items: RefCell<Vec<Node<'a>>>,
}

/// Reads all of `text`.
pub(super) fn read(text: &str, keep: Keep) -> Result<Node<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let node = Reader { keep, bench: &Bench::default() }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(node)
}

impl<'de> DeserializeSeed<'de> for Reader<'_, 'de> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        let values = self.bench.values.get() + 1;
        self.bench.values.set(values);
        if values > MOST_VALUES {
            return Err(serde::de::Error::custom(format_args!("more than {MOST_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let start = self.bench.items.borrow().len();
        while let Some(item) = list.next_element_seed(Reader { keep: Keep::All, ..self })? {
            self.bench.items.borrow_mut().push(item);
        }
        Ok(Node::Array(List(taken(&mut self.bench.items.borrow_mut(), start))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node<'de>, A::Error> {
        let start = self.bench.members.borrow().len();
        while let Some(key) = object.next_key_seed(Key)? {
            if self.keep == Keep::UnmanagedMetadata && key == "managedFields" {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            let keep =
                if self.keep == Keep::Unmanaged && key == "metadata" { Keep::UnmanagedMetadata } else { Keep::All };
            let value = object.next_value_seed(Reader { keep, ..self })?;
            self.bench.members.borrow_mut().push((key, value));
        }
        Ok(Node::Object(Map(taken(&mut self.bench.members.borrow_mut(), start))))
    }
}

/// What was gathered from `start` on. Nothing needs no memory.
fn taken<'a, T>(gathered: &mut Vec<T>, start: usize) -> Items<'a, T> {
    if gathered.len() == start { Items::default() } else { gathered.drain(start..).collect() }
}

/// A member's name, borrowed where serde's own `Cow` would copy it.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
