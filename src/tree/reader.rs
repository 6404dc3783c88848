//! A reader of JSON text that makes a tree in one pass, or leaves out what is not wanted.
//!
//! JSON is most of what a review costs, and this takes a third of the time of reading the same through serde. It takes what serde_json takes
//! and nothing else (a property test compares the two), but for what is skipped, of which only strings and brackets are followed, no deeper than 127
//! levels, and 64 bytes at a time. Of anything odd it says no more than that, and who wants to know asks serde_json.

use std::borrow::Cow;

use serde_json::Number;
use wide::u8x16;

use super::items::{Arena, Gathered, Items, taken};
use super::{List, Map, Member, Node};

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

/// What is small enough to be returned in registers, as strings and slices are. A whole [`Node`] is not, and one that is moved through memory
/// costs as much as reading it did: it is written in other pieces than it is read in, and the processor waits for that.
type Result<T> = std::result::Result<T, Unreadable>;

/// A place in a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels: u8,
    /// Of the tree that is being read.
    values: usize,
    arena: &'a Arena,
    /// Members and items are gathered here until their object or list ends, so that each of those is allocated once and as large as it is.
    members: Gathered<'a, Member<'a>>,
    items: Gathered<'a, Node<'a>>,
}

impl<'a> Reader<'a> {
    /// At the beginning of `text`. What is read goes to `arena`.
    pub fn new(text: &'a str, arena: &'a Arena) -> Self {
        let (members, items) = (arena.gather(48), arena.gather(16));
        Reader { text, at: 0, levels: 0, values: 0, arena, members, items }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<()> {
        if self.next_byte().is_none() { Ok(()) } else { Err(Unreadable) }
    }

    /// Any value, as a tree.
    pub fn value(&mut self, keep: Keep) -> Result<Node<'a>> {
        self.values = 0;
        let mut value = Node::Null;
        self.read(keep, |_, node| value = node)?;
        Ok(value)
    }

    /// The same; what has too many values for a tree, as the text that it is.
    pub fn value_or_text(&mut self, keep: Keep) -> Result<std::result::Result<Node<'a>, &'a str>> {
        let (at, levels, members, items) = (self.at, self.levels, self.members.len(), self.items.len());
        match self.value(keep) {
            Ok(value) => Ok(Ok(value)),
            Err(Unreadable) if self.values > MOST_VALUES => {
                (self.at, self.levels) = (at, levels);
                self.members.truncate(members);
                self.items.truncate(items);
                self.skip().map(Err)
            }
            Err(Unreadable) => Err(Unreadable),
        }
    }

    /// Any value, handed to `put`: made there, in the place where it stays.
    #[inline]
    fn read(&mut self, keep: Keep, put: impl FnOnce(&mut Self, Node<'a>)) -> Result<()> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Unreadable);
        }
        match self.next_byte() {
            Some(b'"') => {
                let text = self.quoted()?;
                put(self, Node::String(Cow::Borrowed(text)));
            }
            Some(b'{') => {
                let members = self.map(keep)?;
                put(self, Node::Object(Map(Items::Kept(members))));
            }
            Some(b'[') => {
                let items = self.list()?;
                put(self, Node::Array(List(Items::Kept(items))));
            }
            Some(b't') => {
                self.word("true")?;
                put(self, Node::Bool(true));
            }
            Some(b'f') => {
                self.word("false")?;
                put(self, Node::Bool(false));
            }
            Some(b'n') => {
                self.word("null")?;
                put(self, Node::Null);
            }
            _ => {
                let number = self.number()?;
                put(self, Node::Number(number));
            }
        }
        Ok(())
    }

    /// Any value, as the text that it is.
    pub fn skip(&mut self) -> Result<&'a str> {
        let first = self.next_byte();
        let start = self.at;
        match first {
            Some(b'"') => self.skip_string()?,
            Some(b'{' | b'[') => self.skip_nested()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => self.number().map(drop)?,
        }
        self.text.get(start..self.at).ok_or(Unreadable)
    }

    /// An object or a list: up to where as many brackets were closed as opened, and nothing but strings can hide one. What stands behind it in
    /// the same block is looked at as well, and may be what is wrong.
    fn skip_nested(&mut self) -> Result<()> {
        let most = MOST_LEVELS - self.levels;
        let (mut levels, mut strings) = (0, Strings::default());
        loop {
            let rest = self.text.as_bytes().get(self.at..).filter(|rest| !rest.is_empty()).ok_or(Unreadable)?;
            let block = rest.first_chunk().copied().unwrap_or_else(|| padded(rest, b' '));
            let block = Block::of(&block);
            let inside = strings.follow(&block)?;
            let mut brackets = (block.opening | block.closing) & !inside;
            while brackets != 0 {
                let bracket = brackets.trailing_zeros();
                brackets &= brackets - 1;
                if block.opening >> bracket & 1 == 1 {
                    levels += 1;
                    if levels > most {
                        return Err(Unreadable);
                    }
                } else {
                    levels -= 1;
                    if levels == 0 {
                        self.at += bracket as usize + 1;
                        return Ok(());
                    }
                }
            }
            self.at += BLOCK;
        }
    }

    /// A string.
    pub fn string(&mut self) -> Result<&'a str> {
        if self.next_byte() == Some(b'"') { self.quoted() } else { Err(Unreadable) }
    }

    /// The string at whose first quote the reader stands.
    #[inline]
    fn quoted(&mut self) -> Result<&'a str> {
        let start = self.at + 1;
        let end = plain(self.text.as_bytes(), start);
        self.at = end;
        if self.byte() != Some(b'"') {
            return self.escaped(start);
        }
        self.at += 1;
        self.text.get(start..end).ok_or(Unreadable)
    }

    fn skip_string(&mut self) -> Result<()> {
        self.exactly(b'"')?;
        self.at = past_string(self.text.as_bytes(), self.at).ok_or(Unreadable)?;
        Ok(())
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool> {
        let is_true = self.next_byte() == Some(b't');
        self.word(if is_true { "true" } else { "false" })?;
        Ok(is_true)
    }

    /// Whether `null` is next; it is passed over then.
    pub fn null(&mut self) -> Result<bool> {
        let is_null = self.next_byte() == Some(b'n');
        if is_null {
            self.word("null")?;
        }
        Ok(is_null)
    }

    /// An object, a member at a time: `member` is told the name and has to read the value.
    #[inline]
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Result<()>) -> Result<()> {
        self.nested(b'{', b'}', |reader| {
            let is_quoted = reader.next_byte() == Some(b'"');
            let name = if is_quoted { reader.quoted()? } else { return Err(Unreadable) };
            reader.take(b':')?;
            member(reader, name)
        })
    }

    fn map(&mut self, keep: Keep) -> Result<&'a [Member<'a>]> {
        let start = self.members.len();
        self.object(|reader, name| {
            let keep = match (keep, name) {
                (Keep::UnmanagedMetadata, "managedFields") => return reader.skip().map(drop),
                (Keep::Unmanaged, "metadata") => Keep::UnmanagedMetadata,
                _ => Keep::All,
            };
            reader.read(keep, |reader, value| reader.members.push((Cow::Borrowed(name), value)))
        })?;
        Ok(taken(&mut self.members, start))
    }

    fn list(&mut self) -> Result<&'a [Node<'a>]> {
        let start = self.items.len();
        self.nested(b'[', b']', |reader| reader.read(Keep::All, |reader, item| reader.items.push(item)))?;
        Ok(taken(&mut self.items, start))
    }

    /// What stands between `open` and `close`, with commas between.
    #[inline]
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

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text.as_bytes().get(self.at..).unwrap_or_default().starts_with(word.as_bytes()) {
            return Err(Unreadable);
        }
        self.at += word.len();
        Ok(())
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

    /// The rest of a string that began at `start`, from its first escape on.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<&'a str> {
        let mut unescaped = self.arena.text(self.text.len() - start);
        unescaped.push_str(self.text.get(start..self.at).unwrap_or_default());
        while self.byte() == Some(b'\\') {
            unescaped.push(self.escape()?);
            let start = self.at;
            self.at = plain(self.text.as_bytes(), start);
            unescaped.push_str(self.text.get(start..self.at).unwrap_or_default());
        }
        self.exactly(b'"')?;
        unescaped.shrink_to_fit();
        Ok(unescaped.into_bump_str())
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
        if self.byte() != Some(byte) && self.next_after_space() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
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

/// Where, from `at` on, the first quote, backslash or control character is, or the end.
#[inline]
pub(super) fn plain(bytes: &[u8], at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((sixteen, after)) = rest.split_first_chunk::<16>() {
        let odd = odd(*sixteen);
        if odd != 0 {
            return bytes.len() - rest.len() + odd.trailing_zeros() as usize;
        }
        rest = after;
    }
    bytes.len() - rest.len() + plain_end(rest)
}

/// The same of less than sixteen bytes: as if they went on with an end.
#[inline(never)]
fn plain_end(rest: &[u8]) -> usize {
    odd(padded(rest, b'"')).trailing_zeros() as usize
}

/// What is left of a text, with something behind it.
#[inline]
fn padded<const N: usize>(rest: &[u8], with: u8) -> [u8; N] {
    let mut padded = [with; N];
    for (into, byte) in padded.iter_mut().zip(rest) {
        *into = *byte;
    }
    padded
}

/// A bit for each of the bytes that cannot stand in a string as it is.
#[inline]
fn odd(sixteen: [u8; 16]) -> u32 {
    let sixteen = u8x16::new(sixteen);
    let is_control = sixteen.min(u8x16::splat(b' ' - 1)).simd_eq(sixteen);
    let odd = sixteen.simd_eq(u8x16::splat(b'"')) | sixteen.simd_eq(u8x16::splat(b'\\')) | is_control;
    odd.to_bitmask()
}

/// So many bytes are looked at together where values are passed over.
const BLOCK: usize = 64;

/// A bit for each byte of a block, of what matters where values are passed over.
struct Block {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    opening: u64,
    closing: u64,
}

impl Block {
    #[inline]
    fn of(bytes: &[u8; BLOCK]) -> Self {
        let mut block = Block { quotes: 0, backslashes: 0, controls: 0, opening: 0, closing: 0 };
        for (index, bytes) in bytes.as_chunks().0.iter().enumerate() {
            let bytes = u8x16::new(*bytes);
            let put = |bits: &mut u64, found: u8x16| *bits |= u64::from(found.to_bitmask()) << (16 * index);
            put(&mut block.quotes, bytes.simd_eq(u8x16::splat(b'"')));
            put(&mut block.backslashes, bytes.simd_eq(u8x16::splat(b'\\')));
            put(&mut block.controls, bytes.min(u8x16::splat(b' ' - 1)).simd_eq(bytes));
            // This bit is all in which square brackets differ from curly ones.
            let bracket = bytes | u8x16::splat(0x20);
            put(&mut block.opening, bracket.simd_eq(u8x16::splat(b'{')));
            put(&mut block.closing, bracket.simd_eq(u8x16::splat(b'}')));
        }
        block
    }
}

/// What of a text stands in strings, a block after the other.
#[derive(Default)]
struct Strings {
    /// Whether the block before ended in a string, and with a backslash.
    inside: bool,
    escaped: bool,
}

impl Strings {
    /// A bit for each byte of the next block that is in a string or is its first quote.
    #[inline]
    fn follow(&mut self, block: &Block) -> Result<u64> {
        let mut escaped = u64::from(std::mem::take(&mut self.escaped));
        let mut backslashes = block.backslashes;
        while backslashes != 0 {
            let backslash = backslashes & backslashes.wrapping_neg();
            backslashes ^= backslash;
            if escaped & backslash == 0 {
                escaped |= backslash << 1;
                self.escaped = backslash == 1 << (BLOCK - 1);
            }
        }
        // Each bit becomes whether the number of quotes up to there is odd.
        let mut inside = block.quotes & !escaped;
        for distance in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << distance;
        }
        if self.inside {
            inside = !inside;
        }
        self.inside = inside >> (BLOCK - 1) == 1;
        if block.controls & inside | block.backslashes & !inside == 0 { Ok(inside) } else { Err(Unreadable) }
    }
}

/// Where a string ends, from behind its first quote on.
#[inline]
fn past_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::deserialize;
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
            let mut reader = Reader::new(text, &arena);
            let ours = reader.value(keep).and_then(|node| reader.end().map(|()| node));
            // What is left out is looked at by serde_json only; and a number out of range there, or a lone surrogate, is none to it.
            let leaves_out = keep == Keep::Unmanaged && text.contains("managedFields");
            match (ours, deserialize::read(text, keep)) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.to_value(), theirs.to_value());
                    let mut reader = Reader::new(text, &arena);
                    prop_assert_eq!(reader.skip().unwrap(), text.trim_matches([' ', '\n', '\t', '\r']));
                }
                (Err(Unreadable), Err(_)) => {}
                (Ok(_), Err(error)) => prop_assert!(leaves_out, "serde_json does not take {text:?}: {error}"),
                (Err(Unreadable), Ok(_)) => prop_assert!(leaves_out, "serde_json takes {text:?}"),
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
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let odd = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let end = bytes[at..].iter().position(odd).map_or(bytes.len(), |end| at + end);
            prop_assert_eq!(plain(bytes, at), end);
        }
    }

    #[test]
    fn nesting_ends_where_serde_json_ends_it() {
        for levels in [126, 127, 128, 129, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                let arena = Arena::default();
                let ours = Reader::new(&text, &arena).value(Keep::All);
                assert_eq!(ours.is_ok(), deserialize::read(&text, Keep::All).is_ok(), "{levels}");
                assert_eq!(Reader::new(&text, &arena).skip().is_ok(), levels < 128);
            }
        }
    }

    #[test]
    fn what_is_skipped_ends_where_it_ends_wherever_the_blocks_do() {
        let arena = Arena::default();
        for letters in 0..2 * BLOCK + 2 {
            let value = format!(r#"["{}\\\"]{{",{{"\"":[1]}}]"#, "a".repeat(letters));
            for behind in ["", r#","x\"y\\":[1]}"#, "]]}} \n"] {
                let text = format!("{value}{behind}");
                assert_eq!(Reader::new(&text, &arena).skip().ok(), Some(&*value), "{letters} {behind}");
            }
            for end in 0..value.len() {
                assert!(Reader::new(&value[..end], &arena).skip().is_err(), "{letters} {end}");
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
