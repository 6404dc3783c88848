//! Layer C: what has a structure to be read: PEM, JWT, JSON web keys, HTTP credentials, password files.
//!
//! Each is parsed as far as it takes to know it from a certificate, a public key or a sample. Knows nothing of objects.

use std::ops::Range;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::meter::Meter;
use super::{Certainty, Kind, Secret, placeholder, random, tokens, weak};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
/// Base64 with or without padding.
pub(super) const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
/// The URL-safe alphabet, with or without padding.
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A private key's PEM block has at least this much base64; less is a stub in a test or a document.
const PEM_MIN: usize = 64;

/// Headers hold an algorithm, a key id, perhaps a chain of certificates.
const JWT_HEADER: usize = 8192;
/// Payloads go through HTTP headers, which servers limit to this at most.
const JWT_PART: usize = 65_536;
/// Claims of so many characters say something about somebody; looking for it in longer ones would cost more than all else about a token.
const NOBODYS: usize = 512;

/// Longer PEM bodies exist, but this much has been seen to be one.
const PEM_LOOK: usize = 4096;

fn certain(what: &'static str) -> Secret {
    Secret { kind: Kind { issuer: "", what }, prefix: None, certainty: Certainty::Certain, doubtful: false }
}

/// A private key whose `-----BEGIN ` (or the header of a `PuTTY` key) stands at `hit`.
pub(super) fn pem(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    let line = &bytes[hit.end..bytes.len().min(hit.end + 64)];
    let putty = bytes[hit.start] != b'-';
    let label_end = if putty {
        line.iter().position(|b| *b == b'\n' || *b == b'\\').unwrap_or(line.len())
    } else {
        let end = line.windows(5).position(|w| w == b"-----")?;
        let label = &line[..end];
        if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
            return None;
        }
        end + 5
    };
    let start = hit.end + label_end;
    let body = &bytes[start..bytes.len().min(start + PEM_LOOK)];
    let end = body.windows(5).position(|w| w == b"-----").unwrap_or(body.len());
    let body = &body[..end];
    if !putty && is_stub(body) {
        return None;
    }
    let end = text.floor(start + end);
    let certainty = if is_of_sample_account(bytes, hit.start, end) { Certainty::Weak } else { Certainty::Certain };
    Some((hit.start..end, Secret { certainty, ..certain("private key") }))
}

/// Whether the private key between `start` and `end` is that of a Google service account whose key id Google never issued: it counts,
/// where 40 random digits should be. Documentation and tests write these.
fn is_of_sample_account(bytes: &[u8], start: usize, end: usize) -> bool {
    const ID: &[u8] = b"private_key_id";
    let near = [&bytes[start.saturating_sub(256)..start], &bytes[end..bytes.len().min(end + 256)]];
    near.into_iter().any(|around| {
        let Some(at) = memchr::memmem::find(around, ID) else { return false };
        let after = &around[at + ID.len()..];
        let Some(from) = after.iter().take(48).position(u8::is_ascii_alphanumeric) else { return false };
        let len = after[from..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        len >= 32 && random::is_typed(&after[from..from + len])
    })
}

/// Too short, too uniform, or with an ellipsis in it.
fn is_stub(body: &[u8]) -> bool {
    let base64 = body.iter().filter(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)).count();
    base64 < PEM_MIN
        || random::distinct(body) < 16
        || body.windows(3).any(|w| w == b"..." || w == b"xxx" || w == b"XXX")
        || body.iter().any(|b| b"<>[]{}$".contains(b))
}

/// A private key's PEM in base64, which begins at `hit`.
pub(super) fn pem_in_base64(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    if !tokens::boundary_before(bytes, hit.start) {
        return None;
    }
    let run = &bytes[hit.start..bytes.len().min(hit.start + PEM_LOOK)];
    let len = run.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+/".contains(b))).unwrap_or(run.len());
    let decoded = STANDARD.decode(&run[..len - len % 4]).ok()?;
    let decoded = std::str::from_utf8(&decoded).ok()?;
    let at = decoded.find("-----BEGIN ")?;
    pem(decoded, &(at..at + 11))?;
    Some((hit.start..hit.start + len, certain("private key in base64")))
}

/// A signed JSON web token (or an encrypted one) that begins with the `eyJ` at `hit`.
pub(super) fn jwt(text: &str, hit: &Range<usize>, meter: &mut Meter) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    // Within a run of the alphabet it is no beginning; asking so also keeps a run of `-eyJ-eyJ` from being read again and again.
    let inside = hit.start.checked_sub(1).is_some_and(|at| b"-_".contains(&bytes[at]));
    if inside || !tokens::boundary_before(bytes, hit.start) {
        return None;
    }
    let mut parts = [0..0, 0..0, 0..0, 0..0, 0..0];
    let (mut count, mut at) = (0, hit.start);
    for part in &mut parts {
        let most = if count == 0 { JWT_HEADER } else { JWT_PART };
        let rest = &bytes[at..bytes.len().min(at + most)];
        let len = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"_-=".contains(b))).unwrap_or(rest.len());
        if !meter.spend(len + 16) {
            return None;
        }
        *part = at..at + len;
        at += len;
        count += 1;
        if bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    let whole = hit.start..parts[count - 1].end;
    if count < 3 {
        return None;
    }
    let header = URL_SAFE.decode(trim_padding(&bytes[parts[0].clone()])).ok()?;
    let has = |word: &str| random::contains_ignoring_case(&header, word.as_bytes());
    let signature = &bytes[parts[2].clone()];
    let signed = has("\"alg\"") && !has("\"none\"") && signature.len() >= 16 && !random::is_filler(signature);
    // The sample of jwt.io and of half the tutorials there are.
    let sample = signature.starts_with(b"SflKxwRJ");
    let encrypted = count == 5 && has("\"enc\"");
    let claims = &bytes[parts[1].clone()];
    if signed && claims.len() <= NOBODYS {
        // Each of the words that matter is looked for.
        meter.charge(24 * claims.len());
    }
    let void = signed && claims.starts_with(b"eyJ") && (is_edited(&header, signature) || speaks_of_nobody(claims));
    let certainty = if void { Certainty::Weak } else { Certainty::Certain };
    ((signed && !sample) || encrypted).then(|| (whole, Secret { certainty, ..certain("JSON web token") }))
}

/// Whether claims name nobody, no right and no time (RFC 7519, 4.1, and what services put there beside): `{"confidence": 0.8}` is signed, and
/// opens nothing.
fn speaks_of_nobody(claims: &[u8]) -> bool {
    #[rustfmt::skip] // a list of words
    const MATTERS: &[&str] = &[
        "\"iss\"", "\"sub\"", "\"aud\"", "\"exp\"", "\"iat\"", "\"nbf\"", "\"jti\"", "id\"", "user", "mail", "name", "role", "scope", "right",
        "perm", "key", "account", "client", "tenant", "group", "org", "session", "token", "access", "admin", "auth", "login",
    ];
    if claims.len() > NOBODYS {
        return false;
    }
    let Ok(claims) = URL_SAFE.decode(trim_padding(claims)) else { return false };
    !MATTERS.iter().any(|word| random::contains_ignoring_case(&claims, word.as_bytes()))
}

/// Whether a signature has the length of its algorithm's (RFC 7518), and an ending that no encoder writes: the last character stands for
/// fewer bits than it has, and the rest of them are zero (RFC 4648, 3.5). Somebody has changed it by hand.
fn is_edited(header: &[u8], signature: &[u8]) -> bool {
    const LENGTHS: [(&[u8], usize); 5] =
        [(b"\"HS256\"", 43), (b"\"HS384\"", 64), (b"\"HS512\"", 86), (b"\"ES256\"", 86), (b"\"RS256\"", 342)];
    let signature = trim_padding(signature);
    let usual =
        LENGTHS.iter().any(|(name, len)| signature.len() == *len && memchr::memmem::find(header, name).is_some());
    let stray = match signature.len() % 4 {
        2 => b"AQgw".as_slice(),
        3 => b"AEIMQUYcgkosw048",
        _ => return false,
    };
    usual && !signature.last().is_some_and(|last| stray.contains(last))
}

/// Whether a value is a bot token of Discord: the bot's number in base64, when it was made, a signature. There is no keyword to find
/// one within a text by, so only whole values are asked.
pub(super) fn discord(value: &str) -> Option<Secret> {
    if !(56..=80).contains(&value.len()) || !value.starts_with(['M', 'N', 'O']) {
        return None;
    }
    let mut parts = value.split('.');
    let (Some(bot), Some(made), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let in_url = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let number = URL_SAFE.decode(bot).ok()?;
    let digits = (17..=20).contains(&number.len()) && number.iter().all(u8::is_ascii_digit);
    // A bot's number is a time and a counter; one that counts is a sample's.
    (digits
        && !random::is_typed(&number)
        && made.len() == 6
        && (27..=38).contains(&signature.len())
        && in_url(made)
        && in_url(signature))
    .then(|| Secret { kind: Kind { issuer: "Discord", what: "bot token" }, ..certain("bot token") })
}

/// Whether a value is a private key of Mailgun's: hexadecimal digits, 32 and eight and eight.
pub(super) fn mailgun(value: &str) -> Option<Secret> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let fits = value.len() == 50
        && value.bytes().enumerate().all(|(at, b)| if matches!(at, 32 | 41) { b == b'-' } else { hex(b) })
        && !random::is_filler(value.as_bytes());
    fits.then(|| Secret { kind: Kind { issuer: "Mailgun", what: "API key" }, ..certain("API key") })
}

/// Whether a value has the looks of a JSON web token; asked of values that are none.
pub(super) fn is_misshapen(value: &str) -> bool {
    value.starts_with("eyJ") && value.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// A registry's `{"auths": ...}` in base64, which begins with the `eyJ` at `hit`, as `.dockerconfigjson` holds it.
pub(super) fn json_in_base64(text: &str, hit: &Range<usize>, meter: &mut Meter) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    let inside = hit.start.checked_sub(1).is_some_and(|at| b"-_+/".contains(&bytes[at]));
    if inside || !tokens::boundary_before(bytes, hit.start) || !bytes[hit.start..].starts_with(b"eyJhdXRo") {
        return None;
    }
    let rest = &bytes[hit.start..bytes.len().min(hit.start + JWT_PART)];
    let len = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+/".contains(b))).unwrap_or(rest.len());
    if !meter.spend(2 * len) {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(&rest[..len]).ok()?).ok()?;
    Some((hit.start..hit.start + len, registry_auth(&decoded)?))
}

/// The first credentials of a docker config: `"auth": "<base64 of user:password>"`.
pub(super) fn registry_auth(text: &str) -> Option<Secret> {
    text.match_indices("\"auth\"").take(64).find_map(|(at, name)| {
        let rest = text[at + name.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        basic(rest.split('"').next()?)
    })
}

fn trim_padding(part: &[u8]) -> &[u8] {
    let len = part.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    &part[..len]
}

/// A private JSON web key around the `"kty"` at `hit`: one with a member `d`, or `k` of a symmetric one.
pub(super) fn jwk(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    let from = hit.start.saturating_sub(2048);
    let open = bytes[from..hit.start].iter().rposition(|b| *b == b'{').map(|at| from + at)?;
    let to = bytes.len().min(open + 4096);
    let close = bytes[hit.end..to].iter().position(|b| *b == b'}').map(|at| hit.end + at)?;
    let key = &bytes[open..close];
    for member in [&b"\"d\""[..], b"\"k\""] {
        let Some(at) = key.windows(3).position(|w| w == member) else { continue };
        let value = key[at + 3..].iter().position(|b| *b == b'"').map(|quote| at + 4 + quote)?;
        let len = key[value..].iter().position(|b| *b == b'"')?;
        if len >= 16 && !random::is_filler(&key[value..value + len]) {
            return Some((open + value..open + value + len, certain("private JSON web key")));
        }
    }
    None
}

/// What follows `Basic ` or `Bearer `, the scheme standing at `hit`.
pub(super) fn http_credentials(text: &str, hit: &Range<usize>) -> Option<(Range<usize>, Secret)> {
    let bytes = text.as_bytes();
    if !tokens::boundary_before(bytes, hit.start) {
        return None;
    }
    let rest = &bytes[hit.end..bytes.len().min(hit.end + 2048)];
    let len = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"_-=+/.~".contains(b))).unwrap_or(rest.len());
    let range = hit.end..hit.end + len;
    let value = text.get(range.clone())?;
    if bytes[hit.start].eq_ignore_ascii_case(&b'b') && bytes[hit.start + 1].eq_ignore_ascii_case(&b'a') {
        return Some((range, basic(value)?));
    }
    (len >= 20
        && !placeholder::is_placeholder(value)
        && !random::is_filler(value.as_bytes())
        && random::is_random(value.as_bytes()))
    .then(|| (range, certain("bearer token")))
}

/// Base64 of `user:password`, as in HTTP's Basic and in a registry's `auth`.
pub(super) fn basic(value: &str) -> Option<Secret> {
    if value.len() < 6 || value.len() > 4096 {
        return None;
    }
    let decoded = STANDARD.decode(value).ok()?;
    let decoded = std::str::from_utf8(&decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    if password.is_empty()
        || decoded.starts_with('{')
        || decoded.bytes().any(|b| b.is_ascii_control())
        || placeholder::is_placeholder(password)
    {
        return None;
    }
    let weak = weak::is_weak(password) || password == user || password.len() < 4;
    let certainty = if weak { Certainty::Weak } else { Certainty::Certain };
    Some(Secret {
        kind: Kind { issuer: "", what: "user and password in base64" },
        prefix: None,
        certainty,
        doubtful: false,
    })
}

/// The password of one line of `.pgpass`: host:port:database:user:password.
pub(super) fn pgpass(line: &str) -> Option<Range<usize>> {
    if line.starts_with('#') {
        return None;
    }
    let fields: Vec<&str> = line.splitn(5, ':').collect();
    let password = fields.get(4).filter(|password| !password.is_empty())?;
    (fields[1] == "*" || fields[1].bytes().all(|b| b.is_ascii_digit())).then(|| line.len() - password.len()..line.len())
}

/// Cuts an offset down to a character's boundary.
trait Floor {
    fn floor(&self, at: usize) -> usize;
}

impl Floor for str {
    fn floor(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or_default()
    }
}
