//! What tells a random string from words, samples and filler.
//!
//! Never enough to refuse anything by itself: it only weighs what a key or a token's shape already points to.

/// Words that stand in samples and in no random token.
#[rustfmt::skip] // a list of words
const SAMPLE_WORDS: &[&str] = &[
    "example", "placeholder", "redacted", "changeme", "change-me", "change_me", "replace", "your_", "your-", "insert-", "xxxxx", "00000000", "***",
    "...", "dummy", "foobar", "notreal", "todo",
];

/// So many letters or figures in a row that count on, or are the same: a generator of hexadecimal digits does it once in 10¹³ times.
const COUNTED: usize = 12;

/// Whether a known token's body is what documentation puts there: masks, the alphabet, the word "example". Uniformity alone is no
/// excuse for a known format.
pub(super) fn is_sample(body: &[u8]) -> bool {
    let masked = |byte: &u8| b"xX*.0_-#".contains(byte);
    let uniform = body.len() >= 16 && (distinct(body) <= 2 || has_period(body, 3));
    // `ABC123DEF456`: the alphabet with figures in between.
    let letters = || body.iter().copied().filter(u8::is_ascii_alphabetic);
    body.iter().all(masked)
        || uniform
        || has_sample_word(body)
        || longest_sequence(body.iter().copied()) >= COUNTED
        || longest_sequence(letters()) >= 20
        || is_masked(body)
}

/// Whether a third of it is masks: one character twelve times or more.
fn is_masked(body: &[u8]) -> bool {
    let runs = body.chunk_by(|one, two| one == two).map(<[u8]>::len);
    runs.filter(|run| *run >= COUNTED).sum::<usize>() * 3 >= body.len()
}

/// Whether a token of a shape that is common all the same counts where a random one hardly would: eight in a row stand in one of 10⁷
/// tokens of 32 hexadecimal digits, and in fewer of others.
pub(super) fn has_count(body: &[u8]) -> bool {
    longest_sequence(body.iter().copied()) >= 8
}

/// Whether the same few bytes come again and again, from its beginning to its end: `123123123`.
fn has_period(body: &[u8], period: usize) -> bool {
    body.iter().zip(body.iter().skip(period)).all(|(one, two)| one == two)
}

/// How much of a string is looked at to tell whether a hand typed it.
const LOOK: usize = 192;

/// Whether a hand typed it on the keyboard's rows of habit: more than half of it counts (`abc`, `321`, `aaa`), or it says the
/// same again. No generator does this: three neighbours in a row have a chance of 1 in 400, and here half of the string must be such.
pub(super) fn is_typed(body: &[u8]) -> bool {
    let body = &body[..body.len().min(LOOK)];
    body.len() >= 12 && (counts(body) || repeats(body) || weaves(body))
}

/// Half of the letters and digits belong to two or three counts that take turns: `a1B2c3D4`, `aA1bB2cC3`.
fn weaves(body: &[u8]) -> bool {
    let mut text = [0; LOOK];
    let mut len = 0;
    for byte in body.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        text[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    let text = &text[..len];
    let next = |one: u8, two: u8| two == one.wrapping_add(1) || (one, two) == (b'9', b'0');
    [2, 3].into_iter().any(|turns| {
        let on = |at: usize| next(text[at - turns], text[at]) && next(text[at - 2 * turns], text[at - turns]);
        let counted = (2 * turns..text.len()).filter(|at| on(*at)).count();
        counted > 0 && (counted + 2 * turns) * 2 > text.len()
    })
}

/// Half of the letters and digits stand in runs of three or more that go up by one, down by one, or stay.
fn counts(body: &[u8]) -> bool {
    let step = |one: u8, two: u8| match (one.to_ascii_lowercase(), two.to_ascii_lowercase()) {
        (b'9', b'0') => 1,
        (b'0', b'9') => -1,
        (one, two) if one.is_ascii_alphanumeric() && two.is_ascii_alphanumeric() => i16::from(two) - i16::from(one),
        _ => i16::MAX,
    };
    let (mut covered, mut run, mut last) = (0, 1, i16::MAX);
    for pair in body.windows(2) {
        let now = step(pair[0], pair[1]);
        if now.abs() <= 1 && now == last {
            run += 1;
        } else {
            covered += if run >= 3 { run } else { 0 };
            run = if now.abs() <= 1 { 2 } else { 1 };
        }
        last = now;
    }
    covered += if run >= 3 { run } else { 0 };
    let all = body.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    covered * 2 > all
}

/// A piece of eight bytes comes again, and with it nearly half of the string.
fn repeats(body: &[u8]) -> bool {
    const PIECE: usize = 8;
    [0, body.len() / 4].into_iter().any(|start| {
        let Some(piece) = body.get(start..start + PIECE) else { return false };
        let Some(apart) = memchr::memmem::find(&body[start + 1..], piece).map(|at| at + 1) else { return false };
        let again = body.iter().zip(&body[apart..]).filter(|(one, two)| one.eq_ignore_ascii_case(two)).count();
        again * 5 >= body.len() * 2
    })
}

/// Whether a value that only its key speaks for is filler: too uniform, or counting up.
pub(super) fn is_filler(body: &[u8]) -> bool {
    let need = match body.len() {
        0..8 => 2,
        8..24 => 5,
        _ => 7,
    };
    distinct(body) < need
        || has_sample_word(body)
        || longest_sequence(body.iter().copied()) >= COUNTED
        || is_typed(body)
}

/// Whether one of the [`SAMPLE_WORDS`] stands anywhere in it.
pub(super) fn has_sample_word(body: &[u8]) -> bool {
    SAMPLE_WORDS.iter().any(|word| contains_ignoring_case(body, word.as_bytes()))
}

/// Whether `needle` (lower case) stands in `text` in any case.
pub(super) fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len().max(1)).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The letters and digits of a name, in lower case: however it is written, it names the same.
pub(super) fn letters_of(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// How many different bytes there are.
pub(super) fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [0u64; 4];
    for byte in bytes {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|word| word.count_ones() as usize).sum()
}

/// The longest run in which each byte is the one before plus one, in any case: `abcdef`, `AbCd`, `123456`, `8901`.
fn longest_sequence(bytes: impl Iterator<Item = u8>) -> usize {
    let (mut best, mut run, mut before) = (0, 0, 0_u8);
    for byte in bytes.map(|byte| byte.to_ascii_lowercase()) {
        run = if byte == before.wrapping_add(1) || (before, byte) == (b'9', b'0') { run + 1 } else { 1 };
        best = best.max(run);
        before = byte;
    }
    best
}

/// Whether it reads like the output of a generator: letters and digits mixed, or letters of both cases jumbled, and no words.
pub(super) fn is_random(bytes: &[u8]) -> bool {
    if bytes.len() < 8 || distinct(bytes) < 6 {
        return false;
    }
    // A name made of parts ("my-service-2") is judged by its most random part.
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).any(|part| part.len() >= 8 && jumbled(part))
        || (bytes.len() >= 16 && jumbled(bytes) && !looks_like_name(bytes))
}

/// Parts of letters only, or of digits only, joined by separators: how people and Kubernetes name things.
pub(super) fn looks_like_name(bytes: &[u8]) -> bool {
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).all(|part| {
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        let tail = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        (digits == tail && tail <= 5 && part.len() - tail <= 24 && !mixed_case_jumble(part))
            || digits == part.len() && digits <= 8
    })
}

/// Changes of class (upper, lower, digit) between neighbours are rare in words and frequent in random strings.
fn jumbled(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = part.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if letters == 0 {
        return false;
    }
    if digits == 0 {
        return mixed_case_jumble(part) || (part.len() >= 20 && !reads_like_words(part));
    }
    let tail = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &part[..part.len() - tail];
    // "keyFromConfig1": a name with a number at its end is a name.
    if digits == tail && tail <= 4 && stem.len() >= 8 {
        return mixed_case_jumble(stem) || !reads_like_words(stem);
    }
    if digits <= 2 && part.len() >= 12 && !reads_like_words(part) {
        return true;
    }
    let changes = changes(part);
    // "abc123" changes class once in six; a random alphanumeric string of one case does so about every third time.
    changes >= 2 && changes * 7 >= part.len()
}

fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    }
}

fn changes(part: &[u8]) -> usize {
    part.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count()
}

/// Lower to upper is how CamelCase goes; upper to lower after one letter too. Count the turns that CamelCase does not make.
fn mixed_case_jumble(part: &[u8]) -> bool {
    let odd = part.windows(3).filter(|w| {
        let (a, b, c) = (class(w[0]), class(w[1]), class(w[2]));
        (a == 2 && b == 1 && c == 1) || (a == 1 && b == 1 && c == 2) || (a == 2 && b == 1 && c == 0)
    });
    let short_humps = part.windows(3).filter(|w| class(w[0]) == 1 && class(w[1]) == 2 && class(w[2]) == 1);
    let all = odd.count() + short_humps.count();
    part.len() >= 12 && all >= 3 && all * 7 >= part.len()
}

/// Vowels where words have them, and no long run of consonants.
fn reads_like_words(part: &[u8]) -> bool {
    let vowel = |byte: &u8| matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let vowels = part.iter().filter(|byte| vowel(byte)).count();
    let (mut run, mut longest) = (0, 0);
    for byte in part {
        run = if vowel(byte) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    vowels * 100 >= part.len() * 24 && longest <= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_random() {
        for name in [
            "my-release-postgresql",
            "ThisIsALongCamelCaseIdentifierForTheRegistry",
            "prod-cache-v2",
            "letsencrypt-prod",
            "kafka-cluster-2-tls",
        ] {
            assert!(!is_random(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn generated_strings_are() {
        for text in
            ["fW4z0gcLH0HV229fFzNeAr4Pg68HdM97", "077dc85bd8f251a576b24c32", "dKqWvXnZRtYbLmPsGhJf", "9275fa9574a42c4c"]
        {
            assert!(is_random(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn samples_are_filler() {
        for text in ["xxxxxxxxxxxxxxxx", "AAAAAAAAAAAAAAAAAAAAAAAA", "abcdefghijklmnopqrstuvwxyz", "IOSFODNN7EXAMPLE"] {
            assert!(is_filler(text.as_bytes()), "{text}");
            assert!(is_sample(text.as_bytes()) || !text.contains(['x', 'E']), "{text}");
        }
    }
}
