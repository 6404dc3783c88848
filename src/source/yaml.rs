//! One YAML document -> a tree and its places.
//!
//! Built on the parser's events rather than through serde: that gives every value its place, keeps strings borrowed, lets
//! kubectl's own reading of scalars (scalar.rs) and merge keys stand, and bounds what aliases may blow up. No error text
//! here holds any text of the document: it may be the secret.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::marks::{Marks, Place};
use super::scalar;
use super::value::Value;
use crate::tree::Node;

/// As deep as serde_json reads; the API server's objects have about 15 levels.
const DEPTH: usize = 128;

/// How many values aliases may add to a document, where 64 bytes of text count as one more. A chart that repeats itself by
/// aliases stays below thousands; a bomb asks for billions.
const ALIAS_BUDGET: usize = 500_000;

/// From here on a map's keys are looked up by hash: linear look-ups are faster below, and quadratic above.
const HASHED: usize = 16;

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) what: Cow<'static, str>,
}

type Read<T> = Result<T, Wrong>;

/// Reads `text`, which begins on `line` of its file, and in which no key stands twice. `None`: there is nothing in it.
pub(super) fn read(text: &str, line: u32) -> Read<Option<(Node<'_>, Marks)>> {
    read_whole(text, line)?.map(Value::strict).transpose()
}

/// The same of text in which keys may stand twice.
pub(super) fn read_whole(text: &str, line: u32) -> Read<Option<Value<'_>>> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        spent: 0,
        offset: line.saturating_sub(1),
        twice: Vec::new(),
    };
    let mut found = None;
    loop {
        let (event, place) = reader.next()?;
        match event {
            Event::StreamEnd => {
                let twice = reader.twice;
                return Ok(found.map(|(tree, marks)| Value { tree, marks, twice }));
            }
            Event::DocumentStart(..) if found.is_some() => {
                return Err(Wrong {
                    place,
                    what: "kubectl does not read on after `...`; begin this document with `---`".into(),
                });
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => {
                let value = reader.value(event, place, 0)?;
                if !matches!(value.0, Node::Null) {
                    found = Some(value);
                }
            }
        }
    }
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, (Node<'t>, Marks)>,
    spent: usize,
    offset: u32,
    /// Where keys stand that their map had before.
    twice: Vec<Place>,
}

/// A map while it is read.
#[derive(Default)]
struct Members<'t> {
    list: Vec<(Cow<'t, str>, Node<'t>)>,
    marks: Vec<Marks>,
    /// Whether a member was written here, and not taken over by `<<`.
    written: Vec<bool>,
    by_key: HashMap<Cow<'t, str>, usize>,
}

impl<'t> Reader<'t> {
    fn place(&self, span: &Span) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: number(span.start.line()).saturating_add(self.offset), column: number(span.start.col() + 1) }
    }

    fn next(&mut self) -> Read<(Event<'t>, Place)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                let place = self.place(&span);
                Ok((event, place))
            }
            Some(Err(error)) => {
                let place = self.place(&Span::empty(*error.marker()));
                Err(Wrong { place, what: what(&error) })
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    /// Reads the value that `event` begins.
    fn value(&mut self, event: Event<'t>, place: Place, depth: usize) -> Read<(Node<'t>, Marks)> {
        if depth >= DEPTH {
            return Err(Wrong { place, what: "nested deeper than 128 levels".into() });
        }
        let leaf = Marks { place, below: Vec::new() };
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar::resolve(text, style == ScalarStyle::Plain, tag.as_deref())
                    .map_err(|what| Wrong { place, what: what.into() })?;
                ((node, leaf), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(place, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(place, depth)?, anchor),
            Event::Alias(id) => {
                let (node, marks) = self.alias(id, place)?;
                // The value stands where it is used: that is the object that is judged.
                return Ok((node, Marks { place, below: marks.below }));
            }
            _ => return Err(Wrong { place, what: "a value is missing".into() }),
        };
        if anchor != 0 {
            self.spend(&value.0, place)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize, place: Place) -> Read<(Node<'t>, Marks)> {
        let Some((node, marks)) = self.anchors.get(&id).cloned() else {
            return Err(Wrong { place, what: "an alias stands within its own anchor".into() });
        };
        self.spend(&node, place)?;
        Ok((node, marks))
    }

    fn spend(&mut self, node: &Node<'_>, place: Place) -> Read<()> {
        self.spent = self.spent.saturating_add(weight(node));
        if self.spent > ALIAS_BUDGET {
            return Err(Wrong { place, what: "aliases make this document too large; write the values out".into() });
        }
        Ok(())
    }

    fn list(&mut self, place: Place, depth: usize) -> Read<(Node<'t>, Marks)> {
        let (mut items, mut below) = (Vec::new(), Vec::new());
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok((Node::Array(items.into_iter().collect()), Marks { place, below }));
            }
            let (node, marks) = self.value(event, at, depth + 1)?;
            items.push(node);
            below.push(marks);
        }
    }

    fn map(&mut self, place: Place, depth: usize) -> Read<(Node<'t>, Marks)> {
        let mut members = Members::default();
        loop {
            let (event, at) = self.next()?;
            let (key, merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, anchor, tag) => {
                    let plain = style == ScalarStyle::Plain;
                    let merge = plain && text == "<<" && tag.is_none();
                    let key = scalar::key(text, plain, tag.as_deref())
                        .map_err(|what| Wrong { place: at, what: what.into() })?;
                    if anchor != 0 {
                        self.anchors
                            .insert(anchor, (Node::String(key.clone()), Marks { place: at, below: Vec::new() }));
                    }
                    (key, merge)
                }
                Event::Alias(id) => match self.alias(id, at)?.0 {
                    Node::String(key) => (key, false),
                    _ => return Err(Wrong { place: at, what: "a key must be a string".into() }),
                },
                _ => return Err(Wrong { place: at, what: "a key must be a string".into() }),
            };
            let (event, below) = self.next()?;
            let (node, mut marks) = self.value(event, below, depth + 1)?;
            if merge {
                members.merge(node, marks, below)?;
                continue;
            }
            marks.place = at;
            if !members.write(key, node, marks) {
                self.twice.push(at);
            }
        }
        let Members { list, marks, .. } = members;
        Ok((Node::Object(list.into_iter().collect()), Marks { place, below: marks }))
    }
}

impl<'t> Members<'t> {
    fn find(&self, key: &str) -> Option<usize> {
        if self.list.len() > HASHED {
            return self.by_key.get(key).copied();
        }
        self.list.iter().position(|(name, _)| name == key)
    }

    fn put(&mut self, key: Cow<'t, str>, node: Node<'t>, marks: Marks, written: bool) {
        if self.list.len() == HASHED {
            self.by_key = self.list.iter().enumerate().map(|(index, (key, _))| (key.clone(), index)).collect();
        }
        if self.list.len() >= HASHED {
            self.by_key.insert(key.clone(), self.list.len());
        }
        self.list.push((key, node));
        self.marks.push(marks);
        self.written.push(written);
    }

    fn replace(&mut self, index: usize, node: Node<'t>, marks: Marks) {
        if let (Some(member), Some(mark)) = (self.list.get_mut(index), self.marks.get_mut(index)) {
            member.1 = node;
            *mark = marks;
        }
    }

    /// Takes a member that stands here; false when one of its name did so before, which stays.
    fn write(&mut self, key: Cow<'t, str>, node: Node<'t>, marks: Marks) -> bool {
        let Some(index) = self.find(&key) else {
            self.put(key, node, marks, true);
            return true;
        };
        if self.written.get_mut(index).is_some_and(|written| std::mem::replace(written, true)) {
            self.put(key, node, marks, true);
            return false;
        }
        self.replace(index, node, marks);
        true
    }

    /// Takes over the members of the map, or of the maps in the list, behind `<<`. kubectl lets them win over members
    /// written above, and an earlier map in the list over a later one.
    fn merge(&mut self, node: Node<'t>, marks: Marks, place: Place) -> Read<()> {
        match node {
            Node::Object(map) => {
                for ((key, node), mut marks) in map.into_iter().zip(marks.into_below()) {
                    marks.place = place;
                    match self.find(&key) {
                        Some(index) => self.replace(index, node, marks),
                        None => self.put(key, node, marks, false),
                    }
                }
                Ok(())
            }
            Node::Array(items) if items.iter().all(|item| item.as_object().is_some()) => {
                let pairs = items.into_iter().zip(marks.into_below()).rev();
                pairs.into_iter().try_for_each(|(item, marks)| self.merge(item, marks, place))
            }
            _ => Err(Wrong { place, what: "`<<` takes a map or a list of maps".into() }),
        }
    }
}

fn weight(node: &Node<'_>) -> usize {
    match node {
        Node::String(text) => 1 + text.len() / 64,
        Node::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Node::Object(map) => 1 + map.iter().map(|(key, node)| key.len() / 64 + weight(node)).sum::<usize>(),
        _ => 1,
    }
}

/// The parser's own words hold no text of the document, except for one.
fn what(error: &ScanError) -> Cow<'static, str> {
    match error.kind() {
        ErrorKind::UnexpectedCharacter { .. } => "a value cannot begin with this character; quote it".into(),
        ErrorKind::RecursionLimitExceeded => "nested deeper than 128 levels".into(),
        ErrorKind::UnknownAnchor => "the alias names no anchor of this document".into(),
        _ => error.info().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::source::json;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~é]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z~/é ]{1,8}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Every place in a document, in the order of the tree.
    fn places(marks: &Marks, found: &mut Vec<(u32, u32)>) {
        found.push((marks.place.line, marks.place.column));
        marks.below.iter().for_each(|below| places(below, found));
    }

    proptest! {
        /// JSON is YAML: two readers that know nothing of each other agree on values and places.
        #[test]
        fn json_reads_the_same_either_way(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let (one, marks) = json::read(&text).next().unwrap().unwrap();
            match read(&text, 1).unwrap() {
                None => prop_assert!(matches!(one, Node::Null)),
                Some((other, others)) => {
                    prop_assert!(one == other && one.equals(&value));
                    let (mut here, mut there) = (Vec::new(), Vec::new());
                    places(&marks, &mut here);
                    places(&others, &mut there);
                    prop_assert_eq!(here, there);
                }
            }
        }

        /// Whatever is in a file, reading it ends, without a panic.
        #[test]
        fn any_text_is_read_or_refused(parts in prop::collection::vec(prop_oneof![
            "[a-z]{1,3}", Just("\n".to_owned()), Just("  ".to_owned()), Just(": ".to_owned()), Just("- ".to_owned()),
            "[&*!|>%@\"'{}\\[\\],?#~<\\\\]", Just("<<: ".to_owned()), Just("&a ".to_owned()), Just("*a ".to_owned()),
            Just("---\n".to_owned()), Just("...\n".to_owned()), Just("\t".to_owned()), "\\PC",
        ], 0..60)) {
            let text = parts.concat();
            let _ = read(&text, 1);
            json::read(&text).for_each(drop);
            crate::source::split::Chunks::new(&text).for_each(drop);
        }
    }
}
