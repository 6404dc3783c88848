//! A JSON file -> trees and their places. Several values may follow one another, as kubectl reads them.

use std::collections::HashSet;

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::marks::{Marks, Place};
use super::value::Value;
use super::yaml::Wrong;
use crate::tree::Node;

/// Each value of `text`, until one cannot be read or has a key twice.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<(Node<'_>, Marks), Wrong>> {
    let mut stopped = false;
    read_whole(text).map_while(move |value| {
        if stopped {
            return None;
        }
        let value = value.and_then(Value::strict);
        stopped = value.is_err();
        Some(value)
    })
}

/// Each value of `text`, until one cannot be read.
pub(super) fn read_whole(text: &str) -> impl Iterator<Item = Result<Value<'_>, Wrong>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut stopped = false;
    let mut place = Place { line: 1, column: 1 };
    let mut seen = 0;
    std::iter::from_fn(move || {
        if stopped {
            return None;
        }
        let value = match values.next()? {
            Ok(raw) => {
                let start = raw.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
                advance(&mut place, text.get(seen..start).unwrap_or_default());
                seen = start;
                one(raw.get(), place)
            }
            Err(error) => Err(wrong(&error)),
        };
        stopped = value.is_err();
        Some(value)
    })
}

fn one(text: &str, place: Place) -> Result<Value<'_>, Wrong> {
    let tree = Node::read(text).map_err(|_| Wrong { place, what: "nested deeper than 128 levels".into() })?;
    let mut scan = Scan { rest: text, place, twice: Vec::new() };
    let marks = scan.value(&tree);
    Ok(Value { tree, marks, twice: scan.twice })
}

fn wrong(error: &serde_json::Error) -> Wrong {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = Place { line: number(error.line()), column: number(error.column().max(1)) };
    // The text after the words is the place again.
    let what = match error.classify() {
        Category::Eof => "the file ends within a value".into(),
        _ => error.to_string().split(" at line ").next().unwrap_or("not valid JSON").to_owned().into(),
    };
    Wrong { place, what }
}

fn advance(place: &mut Place, over: &str) {
    for character in over.chars() {
        if character == '\n' {
            *place = Place { line: place.line.saturating_add(1), column: 1 };
        } else {
            place.column = place.column.saturating_add(1);
        }
    }
}

/// Walks text that serde_json has read already, side by side with the tree it made.
struct Scan<'t> {
    rest: &'t str,
    place: Place,
    twice: Vec<Place>,
}

impl<'t> Scan<'t> {
    fn eat(&mut self, bytes: usize) -> &'t str {
        let (eaten, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        advance(&mut self.place, eaten);
        self.rest = rest;
        eaten
    }

    /// Over white space, commas and colons.
    fn gap(&mut self) {
        let gap = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']).len();
        self.eat(gap);
    }

    /// Over a string, number or word.
    fn scalar(&mut self) {
        let bytes = self.rest.as_bytes();
        let end = if bytes.first() == Some(&b'"') {
            let mut at = 1;
            loop {
                match bytes.get(at) {
                    Some(b'\\') => at += 2,
                    Some(b'"') => break at + 1,
                    Some(_) => at += 1,
                    None => break bytes.len(),
                }
            }
        } else {
            self.rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(bytes.len())
        };
        self.eat(end);
    }

    fn value(&mut self, node: &Node<'_>) -> Marks {
        self.gap();
        let place = self.place;
        let mut below = Vec::new();
        match node {
            Node::Array(items) => {
                self.eat(1);
                below.extend(items.iter().map(|item| self.value(item)));
                self.gap();
                self.eat(1);
            }
            Node::Object(map) => {
                self.eat(1);
                let mut keys = HashSet::with_capacity(map.len());
                for (key, node) in map.iter() {
                    self.gap();
                    let place = self.place;
                    if !keys.insert(key) {
                        self.twice.push(place);
                    }
                    self.scalar();
                    below.push(Marks { place, ..self.value(node) });
                }
                self.gap();
                self.eat(1);
            }
            _ => self.scalar(),
        }
        Marks { place, below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_places() {
        let text = "{\"a\": [1, {\"é\\\"\": true}],\n \"b\": {}}\n {\"c\": \"x\"}";
        let read: Vec<_> = read(text).map(Result::unwrap).collect();
        let at = |index: usize, pointer| {
            let (node, marks) = &read[index];
            let place = marks.place(node, pointer);
            (place.line, place.column)
        };
        assert_eq!(at(0, "/a/1/é\""), (1, 12));
        assert_eq!(at(0, "/a/0"), (1, 8));
        assert_eq!(at(0, "/b/missing/below"), (2, 2));
        assert_eq!((at(1, ""), at(1, "/c")), ((3, 2), (3, 3)));
    }

    #[test]
    fn errors_have_places_and_quote_nothing() {
        let errors = |text| read(text).filter_map(Result::err).collect::<Vec<_>>();
        for text in ["{\"a\": hunter2}", "{\"a\": \"hunter2", "{\"a\": 1}\n{\"hunter2\": 1, \"hunter2\": 2}"] {
            let errors = errors(text);
            assert_eq!(errors.len(), 1, "{text}");
            assert!(!errors[0].what.contains("hunter"), "{errors:?}");
        }
    }
}
