//! Layer A: the formats of known tokens, and how a candidate is told from a look-alike.
//!
//! Owns the table (one line an entry, by field in `tokens/`), its patterns (compiled on first use, never at start) and what is
//! asked of a match: boundaries, randomness, checksum. Knows nothing of where the text stands in an object.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::Regex;

use super::meter::Meter;
use super::random;

mod ai;
mod apps;
mod checksum;
mod cloud;
mod code;
mod message;
mod money;
mod observe;
mod whole;

/// The table, by field.
const TABLES: &[&[Entry]] =
    &[code::ENTRIES, cloud::ENTRIES, ai::ENTRIES, money::ENTRIES, message::ENTRIES, observe::ENTRIES, apps::ENTRIES];

/// Far longer than most tokens; entries of longer ones say so.
const USUAL_MAX: usize = 256;

/// What a regex attempt costs beside the bytes it reads, in bytes of plain scanning.
const ATTEMPT: usize = 48;

/// One known format.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// Who issues it.
    pub issuer: &'static str,
    /// What it is, after the issuer's name.
    pub what: &'static str,
    /// Any of these stands in every such token; matched without case, so the pattern decides.
    pub keywords: &'static [&'static str],
    /// The whole token, as a byte regex; `UUID` stands for one.
    pub pattern: &'static str,
    /// How far before the keyword a token may begin.
    back: usize,
    /// So many digits stand right before the keyword.
    digits: usize,
    /// The longest match.
    max: usize,
    /// Whether the shape is common enough that the rest must look random.
    strict: bool,
    /// Whether the issuer's checksum is right.
    check: Option<fn(&[u8]) -> bool>,
    /// Whether what the token encodes is what this issuer encodes; without that it is something else.
    parse: Option<fn(&[u8]) -> bool>,
    /// Whether what the token encodes goes on to its end.
    whole: Option<fn(&[u8]) -> bool>,
}

/// An entry with nothing out of the ordinary.
const fn entry(
    id: &'static str,
    issuer: &'static str,
    what: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
) -> Entry {
    Entry {
        id,
        issuer,
        what,
        keywords,
        pattern,
        back: 0,
        digits: 0,
        max: USUAL_MAX,
        strict: false,
        check: None,
        parse: None,
        whole: None,
    }
}

impl Entry {
    const fn back(mut self, bytes: usize) -> Self {
        self.back = bytes;
        self
    }

    const fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    const fn max(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    const fn check(mut self, check: fn(&[u8]) -> bool) -> Self {
        self.check = Some(check);
        self
    }

    const fn parse(mut self, parse: fn(&[u8]) -> bool) -> Self {
        self.parse = Some(parse);
        self
    }

    const fn whole(mut self, whole: fn(&[u8]) -> bool) -> Self {
        self.whole = Some(whole);
        self
    }

    /// The public prefix that tells a reader which token is meant.
    pub fn prefix(&self) -> Option<&'static str> {
        if self.back == 0 && self.keywords.len() == 1 { self.keywords.first().copied() } else { None }
    }
}

/// Every entry, in a fixed order.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// Keys that their issuer has written into public samples, by [`digest`]. Like a default password, everybody knows them: Google's of the
/// Firebase SDK for Android, as gitleaks' catalogue lists them.
#[rustfmt::skip] // a list of numbers
const PUBLISHED: &[u64] = &[
    0xC800_BF21_00A2_1C67, 0x6ACB_D824_BD32_BBD4, 0x29A3_36C7_244F_48DD, 0x08B5_4596_2ADC_7D8B, 0xE766_6DBB_286C_6C2E,
    0x99B2_7263_46A1_E92A, 0x1211_3C2E_6979_F447, 0x8288_18F8_3325_7868, 0x6835_E0F2_8883_2A40, 0x816C_D10F_DB11_EAD0,
    0xADBD_04E3_FE1B_6D49, 0xDB94_22F1_DD33_2DCC, 0x515C_B771_A423_8032, 0xE754_678E_A2B1_4EF1, 0xC73F_1E61_952E_6987,
    0x294C_63F8_344D_5DF1,
];

/// FNV-1a, 64 bits: for looking up [`PUBLISHED`] without writing keys into this file.
fn digest(token: &[u8]) -> u64 {
    token.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A table entry and its pattern once somebody needed it.
struct Line {
    entry: &'static Entry,
    regex: OnceLock<Option<Regex>>,
    /// Whether blanks or an equals sign may follow the keyword.
    loose: bool,
}

static LINES: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let loose = |entry: &Entry| [" ", r"\s", "="].iter().any(|part| entry.pattern.contains(part));
    entries().map(|entry| Line { entry, regex: OnceLock::new(), loose: loose(entry) }).collect()
});

/// Whether what follows a keyword cannot be a token's body, which most words that begin like one show at once: `path=`, `key: `.
fn ends_at_once(after: &[u8]) -> bool {
    after.len() < 6 || after[..6].iter().any(|byte| byte.is_ascii_whitespace() || b"=,;:\"'()<>{}".contains(byte))
}

const UUID: &str = "[[:xdigit:]]{8}-[[:xdigit:]]{4}-[[:xdigit:]]{4}-[[:xdigit:]]{4}-[[:xdigit:]]{12}";

impl Line {
    /// `None` when the pattern is no regex, which a test rules out.
    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let anchor = if self.entry.back == 0 { "^" } else { "" };
            Regex::new(&format!("(?-u){anchor}(?:{})", self.entry.pattern.replace("UUID", UUID))).ok()
        };
        self.regex.get_or_init(compile).as_ref()
    }
}

/// A token and where it stands.
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) entry: &'static Entry,
    /// Whether its own checksum speaks against it.
    pub(super) doubtful: bool,
    /// Whether it opens nothing: its issuer has published it, or it is only a piece of one.
    pub(super) void: bool,
}

/// The token of entry `index` around the keyword that was seen at `hit`.
pub(super) fn at(text: &[u8], hit: &Range<usize>, index: usize, meter: &mut Meter) -> Option<Token> {
    let line = LINES.get(index)?;
    let entry = line.entry;
    let keyword = &text[hit.clone()];
    // The automaton is blind to case; most prefixes are not, and this is cheaper than asking the regex.
    if !entry.pattern.starts_with("(?i)") && !entry.keywords.iter().any(|known| known.as_bytes() == keyword) {
        return None;
    }
    if entry.back == 0 && !line.loose && ends_at_once(&text[hit.end..]) {
        return None;
    }
    let from = hit.start.saturating_sub(entry.back);
    let begins = if entry.back == 0 {
        boundary_before(text, hit.start)
    } else {
        // Something of the token must stand there; without this a text of nothing but keywords would cost a search for each.
        let digits = hit.start.checked_sub(entry.digits).map(|at| &text[at..hit.start]);
        let word = hit.start.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric());
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit)) && (word || entry.back < 5)
    };
    if !begins || (is_common(keyword) && inside_a_name(text, hit.start)) {
        return None;
    }
    let window = &text[from..text.len().min(hit.start + entry.max)];
    // An anchored attempt mostly fails within a few bytes; how far it went, it does not say, so half the window is charged; a search goes
    // through all of it, and may begin anew.
    if !meter.spend(ATTEMPT + if entry.back == 0 { window.len() / 2 } else { window.len() * 2 }) {
        return None;
    }
    let found = line.regex()?.find(window)?;
    let range = from + found.start()..from + found.end();
    if range.start > hit.start || range.end < hit.end {
        return None;
    }
    meter.spend(range.len());
    let whole = (entry.back == 0 || boundary_before(text, range.start)) && boundary_after(text, range.end);
    let token = &text[range.clone()];
    let doubtful = entry.check.is_some_and(|check| !check(token));
    if !whole || entry.parse.is_some_and(|parse| !parse(token)) || !is_plausible(entry, token, doubtful) {
        return None;
    }
    let void = PUBLISHED.contains(&digest(token)) || entry.whole.is_some_and(|whole| !whole(token));
    Some(Token { range, entry, doubtful, void })
}

/// Not in the middle of a word; an escape such as `\n` or `%3D` before it is no word.
pub(super) fn boundary_before(text: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| text.get(at)).copied();
    match before(1) {
        Some(byte) if byte.is_ascii_alphanumeric() => {
            (before(2) == Some(b'\\') && matches!(byte, b'n' | b'r' | b't'))
                || (before(3) == Some(b'%')
                    && before(2).is_some_and(|b| b.is_ascii_hexdigit())
                    && byte.is_ascii_hexdigit())
        }
        _ => true,
    }
}

/// The token ends here: it is not a piece of a longer run.
pub(super) fn boundary_after(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

/// Whether a match could be somebody's token and not documentation's.
fn is_plausible(entry: &Entry, token: &[u8], doubtful: bool) -> bool {
    let keyword = entry.keywords.iter().map(|keyword| keyword.len()).min().unwrap_or_default();
    let body = if entry.back == 0 { &token[keyword.min(token.len())..] } else { token };
    if random::is_sample(body) || is_sentence(body) {
        return false;
    }
    !(entry.strict || doubtful)
        || (random::is_random(body) && !(entry.strict && (random::is_typed(body) || random::has_count(body))))
}

/// Words that begin values of many issuers and of none.
const COMMON: &[&str] = &[
    "api", "key", "token", "secret", "live", "test", "pat", "sdk", "sandbox", "console", "access", "standard", "perm",
    "ext",
];

/// Whether a keyword is one of the [`COMMON`] words with a separator after it.
fn is_common(keyword: &[u8]) -> bool {
    keyword
        .split_last()
        .is_some_and(|(end, word)| b"_-".contains(end) && COMMON.iter().any(|known| known.as_bytes() == word))
}

/// Whether a word stands before `at`, joined to what follows: `task_test_` begins no token, where `test_` does.
fn inside_a_name(text: &[u8], at: usize) -> bool {
    at.checked_sub(2).is_some_and(|two| b"_-".contains(&text[two + 1]) && text[two].is_ascii_alphanumeric())
}

/// Whether a value begins as an issuer's token and is none: cut off, mistyped, made up. Asked of values that are no token of any entry. A
/// prefix has to be of one issuer alone, or `name` has to say whose it is.
pub(super) fn is_misshapen(name: &str, value: &str) -> bool {
    let letters = random::letters_of(name);
    let begins = |keyword: &&&str| value.starts_with(**keyword) && value.len() > keyword.len();
    entries().filter(|entry| entry.back == 0).any(|entry| {
        entry.keywords.iter().filter(begins).any(|keyword| is_distinctive(keyword) || names_issuer(&letters, entry))
    })
}

/// Whether a prefix is of one issuer alone: a word of its own with a separator after it, or letters that no word begins with.
fn is_distinctive(keyword: &str) -> bool {
    let (body, end) = keyword.as_bytes().split_at(keyword.len() - 1);
    let separated = (body.len() >= 3 || keyword == "sk-")
        && b"-_.".contains(&end[0])
        && !COMMON.iter().any(|word| word.as_bytes() == body);
    separated || (keyword.len() >= 5 && keyword.bytes().any(|b| b.is_ascii_digit()))
}

/// Whether a name, of which only letters and digits are left, has the first word of the issuer's name in it.
fn names_issuer(letters: &str, entry: &Entry) -> bool {
    let first = entry.issuer.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    first.len() >= 3 && letters.contains(&first.to_ascii_lowercase())
}

/// "AppConfigurationAccessTokenHere": words where the issuer puts random letters.
fn is_sentence(body: &[u8]) -> bool {
    body.len() >= 12
        && body.iter().all(|b| b.is_ascii_alphabetic() || b"_-".contains(b))
        && random::looks_like_name(body)
        && !random::is_random(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_ids_are_unique() {
        let mut ids = std::collections::BTreeSet::new();
        for line in LINES.iter() {
            assert!(line.regex().is_some(), "{} does not compile", line.entry.id);
            assert!(ids.insert(line.entry.id), "{} is there twice", line.entry.id);
            assert!(!line.entry.keywords.is_empty() && !line.entry.what.is_empty(), "{}", line.entry.id);
        }
    }

    #[test]
    fn the_table_covers_the_issuers_it_promises() {
        let issuers: std::collections::BTreeSet<_> = entries().map(|entry| entry.issuer).collect();
        assert!(issuers.len() >= 220, "{} issuers", issuers.len());
    }
}
