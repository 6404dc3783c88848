//! Where program text ends, and what it falls back to: `${X:-literal}`, `getenv("X", "literal")`, `a.b || 'literal'`.
//!
//! Reads the notations of shells and of the usual languages; what a literal is worth is asked of others.

use std::ops::Range;

use super::meter::Meter;

/// Longer program text is nobody's value.
const MAX: usize = 1024;
/// Brackets in brackets; deeper ones are hardly a value, and looking for their end would cost more than it is worth.
const NESTED: usize = 16;
/// An expansion in an expansion in an expansion.
const DEPTH: usize = 4;

/// How far an unquoted value goes: to the first of `stops` outside of the brackets that it opens itself, and over a literal that it falls
/// back to.
pub(super) fn extent(bytes: &[u8], stops: &[u8], meter: &mut Meter) -> usize {
    let mut at = 0;
    let mut nested = true;
    while at < bytes.len() {
        if nested && opens(bytes, at) {
            // Tried once in vain, the rest is not tried again: a text of brackets stays linear.
            let Some(end) = close(bytes, at, meter) else {
                nested = false;
                continue;
            };
            at = end;
            continue;
        }
        if stops.contains(&bytes[at]) {
            break;
        }
        at += 1;
    }
    // A line of nothing but names would be read from each of them again.
    meter.spend(at * 2);
    with_fallback(bytes, at)
}

/// Whether a call, an index, a substitution or an expansion begins at `at`.
fn opens(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    match bytes[at] {
        b'(' | b'[' => before.is_none_or(|b| b.is_ascii_alphanumeric() || b"_$)]>!".contains(&b)),
        b'{' => before == Some(b'$'),
        b'`' => before.is_none(),
        _ => false,
    }
}

/// Behind the bracket that closes the one at `open`. Quotes hide brackets; a line may only end within a substitution, or right behind
/// the bracket that opens.
pub(super) fn close(bytes: &[u8], open: usize, meter: &mut Meter) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(open + MAX)];
    let substitution = open > 0 && bytes[open - 1] == b'$';
    let lines = substitution || bytes.get(open + 1) == Some(&b'\n');
    let found = closing(bytes, open, lines);
    let (Ok(end) | Err(end)) = found;
    // Twice what plain scanning costs.
    meter.spend((end - open) * 2).then_some(())?;
    found.ok()
}

/// Where it closes; or where the search ended in vain.
fn closing(bytes: &[u8], open: usize, lines: bool) -> Result<usize, usize> {
    let (mut expected, mut depth) = ([0; NESTED], 0);
    let mut quotes = [true; 2];
    let mut at = open;
    while let Some(byte) = bytes.get(at) {
        let closer = match byte {
            b'(' => Some(b')'),
            b'[' => Some(b']'),
            b'{' => Some(b'}'),
            b'`' if depth == 0 => Some(b'`'),
            _ => None,
        };
        if let Some(closer) = closer {
            *expected.get_mut(depth).ok_or(at)? = closer;
            depth += 1;
            at += 1;
            continue;
        }
        match byte {
            b'\n' if !lines => return Err(at),
            byte if depth > 0 && expected[depth - 1] == *byte => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            b'\\' => at += 1,
            quote @ (b'"' | b'\'') => {
                // "don't": an apostrophe without a second one is none. Looked for in vain once, it is not looked for again.
                let kind = usize::from(*quote == b'"');
                let len = quotes[kind].then(|| memchr::memchr(*quote, &bytes[at + 1..])).flatten();
                quotes[kind] = len.is_some();
                at += len.map_or(0, |len| len + 1);
            }
            _ => {}
        }
        at += 1;
    }
    Err(bytes.len())
}

/// Operators that put another value in the place of a missing one.
const OTHERWISE: [&str; 4] = ["||", "??", "?:", "or"];

/// `len`, or the end of the quoted literal behind it that an operator falls back to.
fn with_fallback(bytes: &[u8], len: usize) -> usize {
    let rest = &bytes[len..bytes.len().min(len + MAX)];
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    let operator = OTHERWISE.iter().find(|operator| blanks > 0 && rest[blanks..].starts_with(operator.as_bytes()));
    let Some(operator) = operator else { return len };
    let behind = blanks + operator.len();
    let gap = rest[behind..].iter().take_while(|b| **b == b' ').count();
    let Some(quote) = rest.get(behind + gap).filter(|b| b"\"'".contains(b)) else { return len };
    let literal = behind + gap + 1;
    match memchr::memchr2(*quote, b'\n', &rest[literal..]) {
        Some(end) if gap > 0 && rest[literal + end] == *quote => len + literal + end + 1,
        _ => len,
    }
}

/// The literal that a whole value falls back to; `None` when it is no expression, or falls back to none.
pub(super) fn literal(value: &str) -> Option<Range<usize>> {
    let mut range = inner(value)?;
    for _ in 0..DEPTH {
        match inner(&value[range.clone()]) {
            Some(deeper) => range = range.start + deeper.start..range.start + deeper.end,
            None => break,
        }
    }
    // A variable or a substitution, in whole or in part.
    (!value[range.clone()].contains(['$', '`'])).then_some(range)
}

fn inner(value: &str) -> Option<Range<usize>> {
    let found = if value.starts_with("${") { expansion(value)? } else { lookup(value)? };
    (!found.is_empty()).then(|| unquoted(value, found))
}

fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = &text.as_bytes()[range.clone()];
    let quoted = bytes.len() >= 2 && b"\"'".contains(&bytes[0]) && bytes.last() == bytes.first();
    if quoted { range.start + 1..range.end - 1 } else { range }
}

/// Where an expansion says that its variable comes from: `${env:X}`, `${sys:X}`, `${!X}`.
pub(super) const SOURCES: [&str; 6] = ["${", "${!", "${env:", "${ENV:", "${sys:", "${?"];

/// The default of `${X:-default}`, `${X-default}`, `${X:=default}`, `${X=default}` and, in Spring's notation, `${x.y:default}`. The other
/// operators test a variable or cut it: what follows them is a message, a flag, a pattern or a number.
fn expansion(value: &str) -> Option<Range<usize>> {
    let body = value.strip_suffix('}')?;
    let source = SOURCES.iter().rev().find(|source| source.len() > 2 && body.starts_with(**source));
    let from = source.map_or(2, |source| source.len());
    let name = body[from..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let dotted = body[from..].bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b)).count();
    let property = body[from..from + dotted].contains('.');
    let operator = from + if property { dotted } else { name };
    let rest = &body[operator..];
    let word = match rest.as_bytes() {
        [b':', b'-' | b'=', ..] => 2,
        [b'-' | b'=', ..] => 1,
        [b':', b'?' | b'+', ..] => return None,
        // `${X:0:16}`, `${X: -4}`.
        [b':', rest @ ..] if rest.iter().all(|b| b.is_ascii_digit() || b": -".contains(b)) => return None,
        [b':', ..] => 1,
        _ => return None,
    };
    Some(operator + word..body.len())
}

/// The last argument of a call that looks a variable up, or what stands behind an operator for missing values.
fn lookup(value: &str) -> Option<Range<usize>> {
    let end = value.trim_end_matches([';', ',', ' ']).len();
    let quote = value[..end].trim_end_matches(')').trim_end();
    let calls = end > quote.len();
    let mark = quote.chars().last().filter(|c| matches!(c, '"' | '\''))?;
    let close = quote.len() - 1;
    let open = quote[..close].rfind(mark)?;
    let before = quote[..open].trim_end();
    let first = before.split(['(', '"', '\'']).next().unwrap_or_default();
    let named = first.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || b"$_".contains(b));
    let contains = |text: &str, word: &str| super::random::contains_ignoring_case(text.as_bytes(), word.as_bytes());
    let otherwise = OTHERWISE.iter().any(|operator| before.ends_with(&format!(" {operator}")));
    let default = ["default=", "default:", "fallback=", "default ="].iter().any(|word| before.ends_with(word));
    let second = before.ends_with(',') && ["env", "getordefault", "getorelse"].iter().any(|call| contains(first, call));
    (named && (otherwise || calls && (default || second))).then_some(open..close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_literals_and_tests_are_none() {
        for (value, expected) in [
            ("${X:-abc}", Some("abc")),
            ("${X-abc}", Some("abc")),
            ("${X:=abc}", Some("abc")),
            ("${X=abc}", Some("abc")),
            ("${X:-'abc'}", Some("abc")),
            ("${X:-${Y:-abc}}", Some("abc")),
            ("${x.y-z:abc}", Some("abc")),
            ("${X:abc}", Some("abc")),
            ("${env:X:-abc}", Some("abc")),
            ("os.getenv(\"X\", \"abc\")", Some("abc")),
            ("env('X', default='abc')", Some("abc")),
            ("getenv('X') ?: 'abc'", Some("abc")),
            ("process.env.X || 'abc'", Some("abc")),
            ("${X}", None),
            ("${X:-}", None),
            ("${X:?not set}", None),
            ("${X?not set}", None),
            ("${X:+abc}", None),
            ("${X#abc}", None),
            ("${X%%:*}", None),
            ("${X/a/b}", None),
            ("${X:0:16}", None),
            ("${X: -4}", None),
            ("${X:-$Y}", None),
            ("${X:-$(cat y)}", None),
            ("${X:-${Y:?no}}", None),
            ("config.get(\"a\", \"b\")", None),
            ("\"a\" || \"b\"", None),
            ("abc", None),
        ] {
            assert_eq!(literal(value).map(|range| &value[range]), expected, "{value}");
        }
    }

    #[test]
    fn a_value_goes_to_the_end_of_what_it_opens() {
        for (text, expected) in [
            ("os.getenv(\"X\"), y", "os.getenv(\"X\")"),
            ("$(cat /x y) z", "$(cat /x y)"),
            ("${X:-$(a b)} z", "${X:-$(a b)}"),
            ("${X:?don't} z", "${X:?don't}"),
            ("f(\n  \"X\",\n), z", "f(\n  \"X\",\n)"),
            ("x.y || 'abc', z", "x.y || 'abc'"),
            ("ab(c d", "ab(c"),
            ("a(b\n) d", "a(b\n)"),
            ("abc,d", "abc"),
        ] {
            let len = extent(text.as_bytes(), b" ,\"'", &mut Meter::new(1 << 20));
            if text.starts_with("a(b") {
                assert_eq!(len, "a(b\n)".len(), "no stop at a newline was asked for");
            } else {
                assert_eq!(&text[..len], expected, "{text}");
            }
        }
    }
}
