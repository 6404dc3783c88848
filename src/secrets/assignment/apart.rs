//! Notations that put no sign between a name and its value: XML's elements, the arguments of a setter, Terraform's variables, and pairs
//! whose name is a value itself (`name: X` and then `value: Y`).

use std::ops::Range;

use memchr::memmem;

use super::{Assignment, MAX_VALUE, Reader, finish, quoted};
use crate::secrets::classify::Manner;
use crate::secrets::meter::Meter;

/// `<password>value</password>`.
pub(super) fn element(text: &str, key: Range<usize>, start: usize) -> Option<Assignment> {
    let rest = &text.as_bytes()[start..text.len().min(start + MAX_VALUE)];
    let end = rest.iter().position(|b| *b == b'<')?;
    rest[end..].starts_with(b"</").then_some(())?;
    finish(key, start..start + end, Manner::Quoted)
}

/// `<name>DB_PASSWORD</name>` and then `<value>x</value>`, as Hadoop and .NET write it.
pub(super) fn sibling(text: &str, key: Range<usize>, mut reader: Reader<'_>) -> Option<Assignment> {
    let ahead = |reader: &Reader<'_>| reader.bytes.len().min(reader.at + 64);
    let close = reader.bytes[reader.at..ahead(&reader)].iter().position(|b| *b == b'>')?;
    reader.at += close + 1;
    let blanks = reader.bytes[reader.at..ahead(&reader)].iter().take_while(|b| b.is_ascii_whitespace()).count();
    reader.at += blanks;
    reader.next_is(b"<value>").then(|| element(text, key, reader.at + b"<value>".len()))?
}

/// `define('DB_PASSWORD', 'x')`, `setProperty("password", "x")`: a name and a value as arguments of what sets one to the other.
pub(super) fn argument(
    text: &str,
    key: &Range<usize>,
    line: &[u8],
    mut reader: Reader<'_>,
    meter: &mut Meter,
) -> Option<Assignment> {
    const SETTERS: [&[u8]; 4] = [b"define", b"setproperty", b"setenv", b"putenv"];
    let callee = line
        .strip_suffix(b"'")
        .or_else(|| line.strip_suffix(b"\""))?
        .trim_ascii_end()
        .strip_suffix(b"(")?
        .trim_ascii_end();
    let ends =
        |name: &&[u8]| callee.len() >= name.len() && callee[callee.len() - name.len()..].eq_ignore_ascii_case(name);
    if !SETTERS.iter().any(ends) {
        return None;
    }
    reader.skip_blanks();
    reader.eat(b',').then_some(())?;
    reader.skip_blanks();
    let quote = reader.quote()?;
    let found = quoted(text, key.clone(), reader.at, quote, meter)?;
    let rest = &reader.bytes[found.value.end + 1..];
    rest[..rest.len().min(8)].trim_ascii_start().starts_with(b")").then_some(found)
}

/// `variable "db_password" { default = "x" }` of Terraform.
pub(super) fn terraform(text: &str, key: Range<usize>, meter: &mut Meter) -> Option<Assignment> {
    let bytes = text.as_bytes();
    let body = &bytes[key.end..bytes.len().min(key.end + 256)];
    let body = &body[..memchr::memchr(b'}', body).unwrap_or(body.len())];
    let at = memmem::find(body, b"default")? + b"default".len();
    let from = body[at..].iter().position(|b| !b" \t=".contains(b))? + at;
    let mut reader = Reader { bytes, at: key.end + from };
    let quote = reader.quote()?;
    quoted(text, key, reader.at, quote, meter)
}

/// `name: DB_PASSWORD` and then `value: x`, in YAML, JSON and XML: the name is a value itself.
pub(super) fn named_value(
    text: &str,
    key: Range<usize>,
    line: &[u8],
    mut reader: Reader<'_>,
    meter: &mut Meter,
) -> Option<Assignment> {
    let named = line.trim_ascii_end();
    let named = named.strip_suffix(b"\"").or_else(|| named.strip_suffix(b"'")).unwrap_or(named);
    let named = named.strip_suffix(b"\\").unwrap_or(named).trim_ascii_end();
    let named = named.strip_suffix(b":").or_else(|| named.strip_suffix(b"="))?.trim_ascii_end();
    let is_name = |b: &[u8]| {
        let b = b.strip_suffix(b"\"").or_else(|| b.strip_suffix(b"'")).unwrap_or(b);
        let b = b.strip_suffix(b"\\").unwrap_or(b);
        b.ends_with(b"name") || b.ends_with(b"key") || b.ends_with(b"Name") || b.ends_with(b"Key")
    };
    if !is_name(named) {
        return None;
    }
    let start = reader.at;
    while reader.at - start < 64 && reader.peek().is_some_and(|b| b.is_ascii_whitespace() || b == b',') {
        reader.at += 1;
    }
    while reader.next_is(b"\\n") && reader.at - start < 64 {
        reader.at += 2;
        reader.skip_blanks();
    }
    if reader.at == start {
        return None;
    }
    let quote = reader.quote();
    let word = [&b"value"[..], b"Value", b"defaultValue", b"stringValue", b"VALUE"]
        .into_iter()
        .find(|word| reader.next_is(word))?;
    reader.at += word.len();
    if quote.is_some() {
        reader.quote()?;
    }
    reader.skip_blanks();
    if !matches!(reader.peek(), Some(b':' | b'=')) {
        return None;
    }
    reader.at += 1;
    reader.skip_blanks();
    if let Some(quote) = reader.quote() {
        return quoted(text, key, reader.at, quote, meter);
    }
    let rest = &text.as_bytes()[reader.at..text.len().min(reader.at + MAX_VALUE + 1)];
    let len = rest.iter().position(|b| b"\n\r,}".contains(b)).unwrap_or(rest.len());
    let len = rest[..len].trim_ascii_end().len();
    finish(key, reader.at..reader.at + len, Manner::Line)
}
