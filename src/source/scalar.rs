//! What a YAML scalar means to kubectl.
//!
//! kubectl reads YAML 1.1 with sigs.k8s.io/yaml, not 1.2: `yes` is true, `0777` is 511, `1_000` is 1000. Whoever reads it
//! otherwise judges another object than the cluster gets. The table follows that library's `resolve.go`, tried against
//! kubectl 1.32; tests/it/cli_yaml.rs holds the values tried.

use std::borrow::Cow;

use base64::Engine as _;
use granit_parser::Tag;
use serde_json::Number;

use crate::tree::Node;

/// The value of a scalar, or why kubectl refuses it.
pub(super) fn resolve<'t>(text: Cow<'t, str>, plain: bool, tag: Option<&Tag>) -> Result<Node<'t>, &'static str> {
    let kind = match tag {
        None if plain => return implied(text),
        None => return Ok(Node::String(text)),
        Some(tag) => tag.suffix_in_namespace("tag:yaml.org,2002:"),
    };
    let node = match kind.as_deref() {
        Some("binary") => return binary(&text),
        Some("int" | "float" | "bool" | "null") => implied(text)?,
        // Of an unknown tag only the text is left, as of `!!str` and `!!timestamp`.
        _ => return Ok(Node::String(text)),
    };
    match (kind.as_deref(), &node) {
        (Some("int"), Node::Number(number)) if !number.is_f64() => Ok(node),
        (Some("float"), Node::Number(_)) => Ok(node),
        (Some("bool"), Node::Bool(_)) | (Some("null"), Node::Null) => Ok(node),
        _ => Err("the value is not of the type that its tag names"),
    }
}

/// The member name that a key stands for; kubectl writes `on:` as "true" and `0x10:` as "16".
pub(super) fn key<'t>(text: Cow<'t, str>, plain: bool, tag: Option<&Tag>) -> Result<Cow<'t, str>, &'static str> {
    match resolve(text, plain, tag)? {
        Node::String(text) => Ok(text),
        Node::Bool(value) => Ok(Cow::Borrowed(if value { "true" } else { "false" })),
        Node::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err("a key is null; quote it"),
    }
}

fn implied(text: Cow<'_, str>) -> Result<Node<'_>, &'static str> {
    let Some(first) = text.bytes().next() else { return Ok(Node::Null) };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => match &*text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Ok(Node::Bool(true)),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                Ok(Node::Bool(false))
            }
            "~" | "null" | "Null" | "NULL" => Ok(Node::Null),
            _ => Ok(Node::String(text)),
        },
        b'0'..=b'9' | b'+' | b'-' | b'.' => {
            let bare = text.trim_start_matches(['+', '-']);
            if matches!(bare, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
                return Err("JSON has no infinity and no NaN; quote the value");
            }
            Ok(number(&text, first == b'.').map_or(Node::String(text), Node::Number))
        }
        _ => Ok(Node::String(text)),
    }
}

fn number(text: &str, point_first: bool) -> Option<Number> {
    // Text that only begins like a number is the usual case: versions, quantities, images, dates.
    if text.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'x' | b'X' | b'o' | b'O' | b'_' | b'.' | b'+' | b'-')) {
        return None;
    }
    let plain: Cow<'_, str> =
        if text.contains('_') && !point_first { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    integer(&plain).or_else(|| float(&plain))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, base) = if let Some(digits) = radix(["0x", "0X"]) {
        (digits, 16)
    } else if let Some(digits) = radix(["0o", "0O"]) {
        (digits, 8)
    } else if let Some(digits) = radix(["0b", "0B"]) {
        (digits, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let amount = u64::from_str_radix(digits, base).ok()?;
    match (negative, i64::try_from(amount)) {
        (false, Ok(amount)) => Some(amount.into()),
        (false, Err(_)) => Some(amount.into()),
        (true, Ok(amount)) => Some((-amount).into()),
        (true, Err(_)) => (amount == i64::MIN.unsigned_abs()).then(|| i64::MIN.into()),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`; a whole one becomes an integer, as Go writes it without a point.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let well_formed = match fraction {
        None => digits(whole),
        Some(fraction) if whole.is_empty() => digits(fraction),
        Some(fraction) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    if !(well_formed && exponent_fits) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // 2^63: what is below it and whole is exact as an integer.
    #[allow(clippy::cast_possible_truncation)]
    if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 {
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

fn binary(text: &str) -> Result<Node<'static>, &'static str> {
    let packed: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| "!!binary is not valid base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "!!binary holds bytes that are not text")?;
    Ok(Node::String(Cow::Owned(text)))
}
