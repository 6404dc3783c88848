//! A reader of JSON text that makes a tree in one pass, or leaves out what is not wanted.
//!
//! JSON is most of what a review costs, and this takes half the time of reading the same through serde. It takes what serde_json takes and
//! nothing else (a property test compares the two); only in what is skipped does it bound nesting and numbers where serde_json does not. Of
//! anything odd it says no more than that, and who wants to know asks serde_json.

use std::borrow::Cow;
use std::mem;

use serde_json::Number;

use super::items::{Arena, Items};
use super::{List, Map, Member, Node, ReadError, deserialize};

/// What the reader leaves out below the value it stands at.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Keep {
    /// Nothing.
    All,
    /// At the root of an API object.
    Unmanaged,
    /// In the object's `metadata`.
    UnmanagedMetadata,
}

/// A legal object has 1.5 MB and seldom 50,000 values. A tree of 32 MiB of `{"":1},` would take gigabytes.
pub(super) const MOST_VALUES: usize = 500_000;

/// Lists and objects within each other, as in serde_json.
const MOST_LEVELS: u8 = 127;

/// Not JSON, too deep, too many values, or not what was asked for.
#[derive(Debug)]
pub(crate) struct Unreadable;

type Result<T> = std::result::Result<T, Unreadable>;

/// A place in a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels: u8,
    values: usize,
    arena: Option<&'a Arena>,
    /// Members and items are gathered here until their object or list ends, so that each of those is allocated once and as large as it is.
    members: Vec<Member<'a>>,
    items: Vec<Node<'a>>,
    unescaped: String,
}

/// Reads all of `text`.
pub(super) fn read<'a>(
    text: &'a str,
    keep: Keep,
    arena: Option<&'a Arena>,
) -> std::result::Result<Node<'a>, ReadError> {
    let mut reader = Reader::new(text, arena);
    match reader.value(keep).and_then(|node| reader.end().map(|()| node)) {
        Ok(node) => Ok(node),
        Err(Unreadable) => deserialize::read(text, keep).map_err(ReadError),
    }
}

impl<'a> Reader<'a> {
    /// At the beginning of `text`. What is read goes to `arena`, if there is one.
    pub fn new(text: &'a str, arena: Option<&'a Arena>) -> Self {
        let (members, items) = (Vec::with_capacity(48), Vec::with_capacity(16));
        Reader { text, at: 0, levels: 0, values: 0, arena, members, items, unescaped: String::new() }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<()> {
        if self.next_byte().is_none() { Ok(()) } else { Err(Unreadable) }
    }

    /// Any value, as a tree.
    pub fn value(&mut self, keep: Keep) -> Result<Node<'a>> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Unreadable);
        }
        match self.next_byte() {
            Some(b'"') => self.string().map(Node::String),
            Some(b'{') => self.map(keep).map(Node::Object),
            Some(b'[') => self.list().map(Node::Array),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => self.number().map(Node::Number),
        }
    }

    /// Any value, as the text that it is.
    pub fn skip(&mut self) -> Result<&'a str> {
        let first = self.next_byte();
        let start = self.at;
        match first {
            Some(b'"') => self.skip_string()?,
            Some(b'{') => self.nested(b'{', b'}', |reader| {
                reader.skip_string()?;
                reader.take(b':')?;
                reader.skip().map(drop)
            })?,
            Some(b'[') => self.nested(b'[', b']', |reader| reader.skip().map(drop))?,
            Some(b't') => self.word("true", ())?,
            Some(b'f') => self.word("false", ())?,
            Some(b'n') => self.word("null", ())?,
            _ => self.number().map(|_| ())?,
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// A string.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain(&self.text.as_bytes()[start..]);
        let text = &self.text[start..self.at];
        match self.byte() {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.escaped(text),
            _ => Err(Unreadable),
        }
    }

    fn skip_string(&mut self) -> Result<()> {
        self.take(b'"')?;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            if self.byte() != Some(b'\\') {
                return self.exactly(b'"');
            }
            self.escape()?;
        }
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool> {
        match self.next_byte() {
            Some(b't') => self.word("true", true),
            _ => self.word("false", false),
        }
    }

    /// Whether `null` is next; it is passed over then.
    pub fn null(&mut self) -> Result<bool> {
        if self.next_byte() == Some(b'n') { self.word("null", true) } else { Ok(false) }
    }

    /// An object, a member at a time: `member` is told the name and has to read the value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<()> {
        self.nested(b'{', b'}', |reader| {
            let name = reader.string()?;
            reader.take(b':')?;
            member(reader, name)
        })
    }

    fn map(&mut self, keep: Keep) -> Result<Map<'a>> {
        let start = self.members.len();
        self.object(|reader, name| {
            if keep == Keep::UnmanagedMetadata && name == "managedFields" {
                return reader.skip().map(drop);
            }
            let unmanaged = keep == Keep::Unmanaged && name == "metadata";
            let value = reader.value(if unmanaged { Keep::UnmanagedMetadata } else { Keep::All })?;
            reader.members.push((name, value));
            Ok(())
        })?;
        Ok(Map(taken(&mut self.members, start, self.arena)))
    }

    fn list(&mut self) -> Result<List<'a>> {
        let start = self.items.len();
        self.nested(b'[', b']', |reader| {
            let item = reader.value(Keep::All)?;
            reader.items.push(item);
            Ok(())
        })?;
        Ok(List(taken(&mut self.items, start, self.arena)))
    }

    /// What stands between `open` and `close`, with commas between.
    fn nested(&mut self, open: u8, close: u8, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.take(open)?;
        self.levels += 1;
        if self.levels > MOST_LEVELS {
            return Err(Unreadable);
        }
        if self.next_byte() != Some(close) {
            loop {
                each(self)?;
                if self.next_byte() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.levels -= 1;
        self.take(close)
    }

    fn word<T>(&mut self, word: &str, meaning: T) -> Result<T> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unreadable);
        }
        self.at += word.len();
        Ok(meaning)
    }

    fn number(&mut self) -> Result<Number> {
        /// So many digits fit into 64 bits.
        const SHORT: usize = 18;
        let start = self.at;
        let mut value = 0;
        while let Some(digit @ b'0'..=b'9') = self.byte().filter(|_| self.at - start < SHORT) {
            value = value * 10 + u64::from(digit - b'0');
            self.at += 1;
        }
        let digits = &self.text.as_bytes()[start..self.at];
        let is_more = self.byte().is_some_and(is_numeric);
        if !is_more && (digits == b"0" || digits.first().is_some_and(|first| *first != b'0')) {
            return Ok(value.into());
        }
        while self.byte().is_some_and(is_numeric) {
            self.at += 1;
        }
        serde_json::from_str(&self.text[start..self.at]).map_err(|_| Unreadable)
    }

    /// The rest of a string that begins with `text` and goes on with an escape.
    fn escaped(&mut self, text: &'a str) -> Result<Cow<'a, str>> {
        self.unescaped.clear();
        self.unescaped.push_str(text);
        while self.byte() == Some(b'\\') {
            let character = self.escape()?;
            self.unescaped.push(character);
            let start = self.at;
            self.at += plain(&self.text.as_bytes()[start..]);
            self.unescaped.push_str(&self.text[start..self.at]);
        }
        self.exactly(b'"')?;
        Ok(match self.arena {
            Some(arena) => Cow::Borrowed(arena.keep_str(&self.unescaped)),
            None => Cow::Owned(mem::take(&mut self.unescaped)),
        })
    }

    /// One escape, from its backslash on.
    fn escape(&mut self) -> Result<char> {
        self.exactly(b'\\')?;
        let escape = self.byte();
        self.at += 1;
        match escape {
            Some(character @ (b'"' | b'\\' | b'/')) => Ok(char::from(character)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.code_point(),
            _ => Err(Unreadable),
        }
    }

    /// What follows `\u`, with the second half of a pair where there is one.
    fn code_point(&mut self) -> Result<char> {
        let first = u32::from(self.four_digits()?);
        let code = if (0xd800..0xdc00).contains(&first) {
            self.exactly(b'\\')?;
            self.exactly(b'u')?;
            let second = u32::from(self.four_digits()?).wrapping_sub(0xdc00);
            if second >= 0x400 {
                return Err(Unreadable);
            }
            0x10000 + ((first - 0xd800) << 10) + second
        } else {
            first
        };
        char::from_u32(code).ok_or(Unreadable)
    }

    fn four_digits(&mut self) -> Result<u16> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unreadable)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Unreadable);
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| Unreadable)
    }

    /// This byte, after any white space.
    #[inline]
    fn take(&mut self, byte: u8) -> Result<()> {
        self.next_byte();
        self.exactly(byte)
    }

    #[inline]
    fn exactly(&mut self, byte: u8) -> Result<()> {
        if self.byte() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// The first byte that is no white space, which is where the reader then stands.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        match self.byte() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.next_after_space(),
        }
    }

    #[cold]
    fn next_after_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

fn is_numeric(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// What was gathered from `start` on. Nothing needs no memory.
pub(super) fn taken<'a, T>(gathered: &mut Vec<T>, start: usize, arena: Option<&'a Arena>) -> Items<'a, T> {
    if gathered.len() == start {
        return Items::default();
    }
    let items = gathered.drain(start..);
    match arena {
        Some(arena) => Items::Kept(arena.keep(items)),
        None => items.collect(),
    }
}

/// How many bytes there are before the first quote, backslash or control character. Eight are looked at together: of each byte the highest bit is
/// left where it is one of those; what is carried out of one can only be wrong above it.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const SPACES: u64 = ONES * b' ' as u64;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let eight = u64::from_le_bytes(*eight);
        let (quote, backslash) = (eight ^ QUOTES, eight ^ BACKSLASHES);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (eight.wrapping_sub(SPACES) & !eight);
        if found & HIGHEST != 0 {
            return at + ((found & HIGHEST).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// JSON, with corners of strings, numbers and white space.
    fn json() -> impl Strategy<Value = String> {
        let string = prop_oneof![
            "[a-zA-Z ./-]{0,20}",
            r#"([a-z]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude0[0-9]|[ä€😀]){0,12}"#,
            Just("managedFields".to_owned()),
            Just("metadata".to_owned()),
        ]
        .prop_map(|text| format!("\"{text}\""));
        let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?";
        let word = prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned);
        let leaf = prop_oneof![string.clone(), number, word];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            let space = "[ \n\t\r]{0,2}";
            let list = (proptest::collection::vec(inner.clone(), 0..6), space)
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},"))));
            let member =
                (string.clone(), inner, space).prop_map(|(name, value, space)| format!("{name}{space}:{value}"));
            let object = (proptest::collection::vec(member, 0..6), space)
                .prop_map(|(members, space)| format!("{{{}{space}}}", members.join(&format!(",{space}"))));
            prop_oneof![list, object]
        })
    }

    /// The tree, or nothing, from either reader; equal when both read the same.
    fn compare(text: &str) -> std::result::Result<(), TestCaseError> {
        for keep in [Keep::All, Keep::Unmanaged] {
            let arena = Arena::default();
            for arena in [None, Some(&arena)] {
                let mut reader = Reader::new(text, arena);
                let ours = reader.value(keep).and_then(|node| reader.end().map(|()| node));
                match (ours, deserialize::read(text, keep)) {
                    (Ok(ours), Ok(theirs)) => {
                        prop_assert_eq!(ours.to_value(), theirs.to_value());
                        let mut reader = Reader::new(text, arena);
                        prop_assert_eq!(reader.skip().unwrap(), text.trim_matches([' ', '\n', '\t', '\r']));
                    }
                    (Err(Unreadable), Err(_)) => {}
                    (Ok(_), Err(error)) => prop_assert!(false, "serde_json does not take {text:?}: {error}"),
                    // A number out of range where nothing is kept, and lone surrogates there.
                    (Err(Unreadable), Ok(_)) => prop_assert!(keep == Keep::Unmanaged, "serde_json takes {text:?}"),
                }
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(text in json()) {
            compare(&text)?;
        }

        #[test]
        fn takes_nothing_that_serde_json_does_not(text in json(), at in any::<prop::sample::Index>(), other in r#"[\\"{}\[\],:0-9eE.+\-a \x00-\x20u]{0,2}"#) {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = *at.get(&places);
            let (before, after) = text.split_at(at);
            compare(&format!("{before}{other}{after}"))?;
            let rest = after.chars().next().map_or("", |first| &after[first.len_utf8()..]);
            compare(&format!("{before}{other}{rest}"))?;
            compare(before)?;
        }

        #[test]
        fn plain_text_ends_where_it_ends(text in "[ -~äß€\\x00-\\x20]{0,40}", at in 0_usize..8) {
            let bytes = text.as_bytes().get(at..).unwrap_or_default();
            let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(plain(bytes), end);
        }
    }

    #[test]
    fn nesting_ends_where_serde_json_ends_it() {
        for levels in [126, 127, 128, 129, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                let ours = Reader::new(&text, None).value(Keep::All);
                assert_eq!(ours.is_ok(), deserialize::read(&text, Keep::All).is_ok(), "{levels}");
                assert_eq!(Reader::new(&text, None).skip().is_ok(), levels < 128);
            }
        }
    }

    #[test]
    fn corners_of_strings_and_numbers() {
        for text in [
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\ud83d\n""#,
            r#""\u12""#,
            r#""\u+123""#,
            r#""\u00e4""#,
            "\"a\tb\"",
            "\"\u{7f}\"",
            "\"",
            "\"\\",
            "\"\\u",
            "\"\\ud83d\\",
            "-",
            "-0",
            "0",
            "00",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e5",
            "1E+400",
            "-1E400",
            "1e-400",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678",
            "1234567890123456789",
            "0.1",
            "1.0",
            "123456789012345678901234567890",
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "[1 2]",
            "[1]]",
            "\u{feff}1",
            "NaN",
            "1 2",
            "[1}",
            "{\"a\":1]",
        ] {
            compare(text).unwrap();
        }
    }
}
