//! Finds the value that a name in a text is given: `key=value`, `key: value`, `"key": "value"`, `--key value`, `<key>value</key>`,
//! `name: key` followed by `value: ...`.
//!
//! Works outwards from one place in the text and looks no further than a bounded way, so that a text with many such places stays
//! linear. Knows notations and nothing of what makes a name or a value a secret.

use std::ops::Range;

use memchr::memmem;

use super::classify::Manner;
use super::meter::Meter;
use super::{comment, expression};

mod apart;

/// A name, its value, and how they were told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) manner: Manner,
}

/// Longer names are no names.
const MAX_KEY: usize = 96;
/// Longer values are files, which other layers read.
const MAX_VALUE: usize = 2048;
/// How far back a line's beginning is looked for.
const LOOK_BACK: usize = 160;

/// A cursor over the text.
struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_is(&self, text: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(text)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn skip_blanks(&mut self) -> usize {
        let start = self.at;
        while self.at - start < 64 && matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at - start
    }

    /// A quote, or one behind a backslash; returns how it closes.
    fn quote(&mut self) -> Option<Quote> {
        let escaped = self.peek() == Some(b'\\') && self.bytes.get(self.at + 1).is_some_and(|b| b"\"'".contains(b));
        let mark = self.bytes.get(self.at + usize::from(escaped)).copied().filter(|b| b"\"'`".contains(b))?;
        self.at += 1 + usize::from(escaped);
        Some(Quote { mark, escaped })
    }
}

#[derive(Clone, Copy)]
struct Quote {
    mark: u8,
    escaped: bool,
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The whole name around the word at `hit`; when it is too long to be one, how far it was read.
pub(super) fn name(bytes: &[u8], hit: &Range<usize>) -> Result<Range<usize>, usize> {
    let back = bytes[..hit.start].iter().rev().take(MAX_KEY).take_while(|b| in_name(**b)).count();
    let ahead = bytes[hit.end..].iter().take(MAX_KEY).take_while(|b| in_name(**b)).count();
    if back == MAX_KEY || ahead == MAX_KEY {
        return Err(hit.end + ahead);
    }
    let (mut start, mut end) = (hit.start - back, hit.end + ahead);
    // `${X-default}`: a variable has no hyphen.
    if bytes[..start].ends_with(b"${")
        && let Some(hyphen) = memchr::memchr(b'-', &bytes[hit.end..end])
    {
        end = hit.end + hyphen;
    }
    while end > hit.end && b".-".contains(&bytes[end - 1]) {
        end -= 1;
    }
    while start < hit.start && bytes[start] == b'.' {
        start += 1;
    }
    // `\npassword` in an escaped text.
    if start < hit.start && start > 0 && bytes[start - 1] == b'\\' && b"nrt".contains(&bytes[start]) {
        start += 1;
    }
    if bytes[start..end].eq_ignore_ascii_case(b"key") {
        start = qualified(bytes, start);
    }
    Ok(start..end)
}

/// Where "Old Private Key" begins, whose last word stands at `start`: a key alone says nothing of what it is.
fn qualified(bytes: &[u8], start: usize) -> usize {
    const KINDS: [&[u8]; 7] = [b"api", b"private", b"access", b"secret", b"encryption", b"signing", b"unseal"];
    const MOST: usize = 4;
    let is_kind = |word: &[u8]| KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(word));
    let mut from = start;
    for words in 0..MOST {
        let Some(before) = bytes[..from].strip_suffix(b" ") else { break };
        let len = before.iter().rev().take(MAX_KEY).take_while(|b| in_name(**b)).count();
        let word = &before[before.len() - len..];
        if word.is_empty() || !word.iter().all(u8::is_ascii_alphabetic) || (words == 0 && !is_kind(word)) {
            break;
        }
        from = before.len() - len;
    }
    from
}

/// The assignment to the name at `key`.
pub(super) fn at(text: &str, key: Range<usize>, meter: &mut Meter) -> Option<Assignment> {
    let bytes = text.as_bytes();
    let before = key.start.checked_sub(1).map(|at| bytes[at]);
    let line = line_before(bytes, key.start);
    let whole = line.len() == key.start || bytes[key.start - line.len() - 1] == b'\n';
    if comment::covers(line, whole) {
        return None;
    }
    if let Some(source) = expression::SOURCES.iter().find(|source| line.ends_with(source.as_bytes())) {
        return expansion(text, key, source.len(), meter);
    }
    let mut reader = Reader { bytes, at: key.end };
    if before == Some(b'<') && reader.eat(b'>') {
        return apart::element(text, key, reader.at);
    }
    if before == Some(b'>') && reader.next_is(b"</") {
        return apart::sibling(text, key, reader);
    }
    if line.trim_ascii_start().starts_with(b"variable") && reader.peek() == Some(b'"') {
        return apart::terraform(text, key, meter);
    }
    let key_quote = reader.quote();
    if key_quote.is_some() {
        if let Some(found) = apart::argument(text, &key, line, Reader { bytes, at: reader.at }, meter) {
            return Some(found);
        }
        reader.eat(b']');
    }
    let after_name = reader.at;
    let blanks = reader.skip_blanks();
    let flag = bytes[key.start] == b'-' && matches!(before, None | Some(b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'='));
    let after_blanks = reader.at;
    if let Some(sign) = separator(&mut reader, key_quote.is_none()) {
        let spaced = reader.skip_blanks() > 0 || blanks > 0;
        return value(text, key, line, reader, sign, (spaced, key_quote.is_some()), meter);
    }
    reader.at = after_blanks;
    if flag && blanks > 0 && key_quote.is_none() {
        return word(text, key, reader, Manner::Line, meter).filter(|found| bytes[found.value.start] != b'-');
    }
    if blanks > 0 && key_quote.is_none() && takes_a_blank(bytes, &key, line, reader.peek()) {
        return word(text, key, reader, Manner::Line, meter);
    }
    reader.at = after_name;
    apart::named_value(text, key, line, reader, meter)
}

/// The default of the expansion whose variable is the name at `key`, behind `source` bytes of opening.
fn expansion(text: &str, key: Range<usize>, source: usize, meter: &mut Meter) -> Option<Assignment> {
    let start = key.start - source;
    let end = expression::close(text.as_bytes(), start + 1, meter)?;
    let literal = expression::literal(text.get(start..end)?)?;
    finish(key, start + literal.start..start + literal.end, Manner::Quoted)
}

/// `=`, `:`, `:=`, `=>`, also behind a type's name; not `==`, `::`, `://`.
fn separator(reader: &mut Reader<'_>, may_be_typed: bool) -> Option<u8> {
    let start = reader.at;
    for _ in 0..2 {
        match reader.peek() {
            // Makefiles assign with these, too.
            Some(b'?' | b'+') if reader.bytes.get(reader.at + 1) == Some(&b'=') => {
                reader.at += 2;
                return Some(b'=');
            }
            Some(b':') if reader.next_is(b"::=") || reader.next_is(b":::=") => {
                reader.at += if reader.next_is(b"::=") { 3 } else { 4 };
                return Some(b'=');
            }
            Some(b':') if reader.next_is(b"::") || reader.next_is(b"://") => return None,
            Some(b'=') if reader.next_is(b"==") || reader.next_is(b"=~") => return None,
            Some(sign @ (b':' | b'=')) => {
                reader.at += 1;
                if sign == b':' && reader.eat(b'=') {
                    return Some(b'=');
                }
                if sign == b'=' {
                    reader.eat(b'>');
                }
                // `token: string = "..."`
                let annotated = reader.at;
                if sign == b':' {
                    reader.skip_blanks();
                    if type_name(reader) && reader.eat(b'=') {
                        return Some(b'=');
                    }
                }
                reader.at = annotated;
                return Some(sign);
            }
            Some(b'a'..=b'z' | b'A'..=b'Z')
                if may_be_typed && (reader.at > start || reader.bytes.get(start.wrapping_sub(1)) == Some(&b' ')) =>
            {
                if !type_name(reader) || !matches!(reader.peek(), Some(b'=')) {
                    return None;
                }
            }
            _ => return None,
        }
    }
    None
}

/// Skips a short word of letters and the blanks after it.
fn type_name(reader: &mut Reader<'_>) -> bool {
    let len = reader.bytes[reader.at..].iter().take(14).take_while(|b| b.is_ascii_alphabetic()).count();
    reader.at += len;
    reader.skip_blanks();
    (2..14).contains(&len)
}

/// The text between the line's beginning and `at`, as far as it is looked at.
fn line_before(bytes: &[u8], at: usize) -> &[u8] {
    let from = at.saturating_sub(LOOK_BACK);
    let start = memchr::memrchr(b'\n', &bytes[from..at]).map_or(from, |newline| from + newline + 1);
    &bytes[start..at]
}

/// Whether the name is the first thing on its line, but for what assignments begin with.
fn begins_line(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty()
        || [
            &b"-"[..],
            b"export",
            b"- export",
            b"set",
            b"ENV",
            b"\"",
            b"'",
            b"- \"",
            b"-\"",
            b"- '",
            b"let",
            b"var",
            b"const",
            b"{",
            b"{\"",
            b"declare",
        ]
        .contains(&line)
}

/// Names that a blank separates from the value: .netrc, redis.conf, and SQL.
fn takes_a_blank(bytes: &[u8], key: &Range<usize>, line: &[u8], next: Option<u8>) -> bool {
    let any = |text: &[u8], words: &[&[u8]]| words.iter().any(|word| memmem::find(text, word).is_some());
    match &bytes[key.clone()] {
        b"requirepass" | b"masterauth" => line.trim_ascii().is_empty(),
        // `machine h` and `login u` stand on the same line or on the ones before.
        b"password" | b"passwd" if next != Some(b'\'') => {
            any(&bytes[key.start.saturating_sub(LOOK_BACK)..key.start], &[b"login ", b"machine "])
        }
        b"password" | b"PASSWORD" if next == Some(b'\'') => any(line, &[b"user ", b"USER ", b"role ", b"ROLE "]),
        _ => false,
    }
}

/// The value that follows a separator.
fn value(
    text: &str,
    key: Range<usize>,
    line: &[u8],
    mut reader: Reader<'_>,
    sign: u8,
    (spaced, key_is_quoted): (bool, bool),
    meter: &mut Meter,
) -> Option<Assignment> {
    let bytes = text.as_bytes();
    // `b"..."`, `@"..."` and `!!str "..."` of languages that mark their strings.
    if matches!(reader.peek(), Some(b'b' | b'r' | b'u' | b'@'))
        && reader.bytes.get(reader.at + 1).is_some_and(|b| b"\"'".contains(b))
    {
        reader.at += 1;
    }
    if let Some(quote) = reader.quote() {
        // `'password = ' + x`: the quote ends a string that the name stands in.
        let open = memchr::memchr_iter(quote.mark, line).count() % 2 == 1 && !key_is_quoted;
        if open && !quote.escaped && !line.contains(&b'\\') {
            return None;
        }
        return quoted(text, key, reader.at, quote, meter);
    }
    if sign == b':' && matches!(reader.peek(), Some(b'|' | b'>')) {
        return block(text, key, reader.at);
    }
    let first = begins_line(line);
    let to_the_end = first && (sign == b':' || spaced);
    let rest = &bytes[reader.at..bytes.len().min(reader.at + MAX_VALUE + 1)];
    let stops: &[u8] = match (to_the_end, first) {
        (true, _) => b"\n\r",
        (false, true) => b"\n\r \t;\"'`",
        (false, false) => b"\n\r \t,;&\"'`<>)]}|",
    };
    let mut len = expression::extent(rest, stops, meter);
    if to_the_end {
        if let Some(comment) = rest[..len].windows(2).position(|w| w == b" #") {
            len = comment;
        }
        let another = |w: &[u8]| w[0] == b';' && w[1].is_ascii_alphabetic() && w[2].is_ascii_alphanumeric();
        if let Some(more) = rest[..len].windows(3).position(another) {
            len = more;
        }
    }
    // The text may be a string inside another: `a=b\nc=d`.
    if let Some(escape) = rest[..len].windows(2).position(|w| w[0] == b'\\' && b"nrt\"".contains(&w[1])) {
        len = escape;
    }
    let trimmed = rest[..len].trim_ascii_end();
    let trimmed = trimmed.strip_suffix(b",").or_else(|| trimmed.strip_suffix(b";")).unwrap_or(trimmed);
    let manner = if to_the_end && sign == b'=' || !first && spaced { Manner::Bare } else { Manner::Line };
    finish(key, reader.at..reader.at + trimmed.len(), manner)
}

fn finish(key: Range<usize>, value: Range<usize>, manner: Manner) -> Option<Assignment> {
    (!value.is_empty() && value.len() <= MAX_VALUE).then_some(Assignment { key, value, manner })
}

/// Up to the closing quote, on the same line.
fn quoted(text: &str, key: Range<usize>, start: usize, quote: Quote, meter: &mut Meter) -> Option<Assignment> {
    let rest = &text.as_bytes()[start..text.len().min(start + MAX_VALUE + 2)];
    let mut at = 0;
    let mut nested = quote.mark == b'"' && !quote.escaped;
    let end = loop {
        match rest.get(at)? {
            b'\n' => return None,
            // `"$(cat "$FILE")"`: the quotes inside are the substitution's own.
            b'$' if nested && matches!(rest.get(at + 1), Some(b'(' | b'{')) => {
                match expression::close(rest, at + 1, meter) {
                    Some(end) => at = end,
                    None => nested = false,
                }
            }
            b'\\' if quote.escaped && rest.get(at + 1) == Some(&quote.mark) => break at,
            b'\\' if !quote.escaped => at += 2,
            byte if *byte == quote.mark && !quote.escaped => break at,
            _ => at += 1,
        }
    };
    finish(key, start..start + end, Manner::Quoted)
}

/// One word, quoted or not.
fn word(
    text: &str,
    key: Range<usize>,
    mut reader: Reader<'_>,
    manner: Manner,
    meter: &mut Meter,
) -> Option<Assignment> {
    if let Some(quote) = reader.quote() {
        return quoted(text, key, reader.at, quote, meter);
    }
    let rest = &text.as_bytes()[reader.at..text.len().min(reader.at + MAX_VALUE + 1)];
    let len = rest.iter().position(|b| b.is_ascii_whitespace() || b"\"'`;|&<>".contains(b)).unwrap_or(rest.len());
    finish(key, reader.at..reader.at + len, manner)
}

/// The first line of a YAML block.
fn block(text: &str, key: Range<usize>, at: usize) -> Option<Assignment> {
    let bytes = text.as_bytes();
    let rest = &bytes[at..bytes.len().min(at + MAX_VALUE)];
    let header = rest.iter().position(|b| *b == b'\n')?;
    if header > 4 {
        return None;
    }
    let start = at + header + 1;
    let rest = &bytes[start..bytes.len().min(start + MAX_VALUE)];
    let indent = rest.iter().take_while(|b| **b == b' ').count();
    let len = rest[indent..].iter().position(|b| *b == b'\n').unwrap_or(rest.len() - indent);
    let len = rest[indent..indent + len].trim_ascii_end().len();
    finish(key, start + indent..start + indent + len, Manner::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, word: &str) -> Option<(String, String, Manner)> {
        let start = text.find(word)?;
        let key = name(text.as_bytes(), &(start..start + word.len())).ok()?;
        at(text, key, &mut Meter::new(1 << 20)).map(|a| (text[a.key].to_owned(), text[a.value].to_owned(), a.manner))
    }

    fn value(text: &str, word: &str) -> Option<String> {
        of(text, word).map(|(_, value, _)| value)
    }

    #[test]
    fn every_notation_gives_its_value() {
        for (text, expected) in [
            ("DB_PASSWORD=x1y2", "x1y2"),
            ("export DB_PASSWORD=x1y2 && run", "x1y2"),
            ("db:\n  password: x1y2 # note", "x1y2"),
            ("password: \"x1 y2\"", "x1 y2"),
            ("{\"password\": \"x1y2\", \"a\": 1}", "x1y2"),
            ("{\\\"password\\\": \\\"x1y2\\\"}", "x1y2"),
            ("--admin-password x1y2 --foo", "x1y2"),
            ("--admin-password=x1y2 --foo", "x1y2"),
            ("<password>x1y2</password>", "x1y2"),
            ("<p name=\"password\" value=\"x1y2\"/>", "x1y2"),
            ("- name: DB_password\n  value: x1y2", "x1y2"),
            ("{\"name\": \"DB_password\", \"value\": \"x1y2\"}", "x1y2"),
            ("Server=a;User=b;password=x1y2;Encrypt=True", "x1y2"),
            ("jdbc:mysql://h/db?user=a&password=x1y2", "x1y2"),
            ("machine h login u password x1y2", "x1y2"),
            ("my_password := `x1y2`", "x1y2"),
            ("var password string = \"x1y2\"", "x1y2"),
            ("config['password'] = 'x1y2'", "x1y2"),
            ("password: |\n    x1y2\n", "x1y2"),
            ("a=b\\npassword=x1y2\\nc=d", "x1y2"),
        ] {
            assert_eq!(
                value(text, "password").or_else(|| value(text, "PASSWORD")).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_assigns_nothing_gives_nothing() {
        for text in [
            "# password: x1y2",
            "if password == x1y2",
            "password",
            "password:",
            "DB_PASSWORD=<password>\n<b>",
            "the password is x",
            "password::new",
        ] {
            assert_eq!(value(text, "password"), None, "{text}");
        }
    }
}
