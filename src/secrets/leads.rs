//! The one pass over every string: an Aho-Corasick automaton of all that can begin a secret.
//!
//! Owns which layer looks closer at which keyword; judges nothing itself. A string without a lead costs this pass and nothing else.

use std::ops::Range;
use std::sync::LazyLock;

use super::lanes::{Automaton, Hits};
use super::{shell, tokens};

/// Who shall look closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// Layer A: the table's entry of this index.
    Token(usize),
    /// Layer B: `://`, and the Go driver's `@tcp(`.
    Url,
    /// Layer B: `user:password@tcp(host)`.
    Dsn,
    /// Layer C.
    Pem,
    /// Layer C: a PEM block in base64.
    Pem64,
    /// Layer C.
    Jwt,
    /// Layer C: a JSON web key.
    Jwk,
    /// `Basic ` or `Bearer ` of an HTTP header.
    Scheme,
    /// Layer E: a word that may name a secret.
    Word,
    /// A command that takes a password in a notation of its own.
    Command,
}

/// Words that the name of a secret has at least one of.
const WORDS: &[&str] =
    &["pass", "pw", "secret", "token", "key", "cred", "auth", "connectionstring", "licen", "sonar.login"];

/// The automaton, and the lead that each of its patterns is; `None` when it could not be built, which a test rules out.
static AUTOMATON: LazyLock<Option<(Automaton, Vec<Lead>)>> = LazyLock::new(|| {
    let fixed = [
        ("://", Lead::Url),
        ("@tcp(", Lead::Dsn),
        ("@unix(", Lead::Dsn),
        ("-----begin ", Lead::Pem),
        ("putty-user-key-file-", Lead::Pem),
        ("LS0tLS1CRUdJTi", Lead::Pem64),
        ("eyJ", Lead::Jwt),
        ("\"kty\"", Lead::Jwk),
        ("basic ", Lead::Scheme),
        ("bearer ", Lead::Scheme),
        ("authorization: token ", Lead::Scheme),
    ];
    let mut patterns: Vec<&str> = Vec::new();
    let mut leads = Vec::new();
    for (text, lead) in fixed {
        patterns.push(text);
        leads.push(lead);
    }
    for word in WORDS {
        patterns.push(word);
        leads.push(Lead::Word);
    }
    for command in shell::COMMANDS {
        patterns.push(command);
        leads.push(Lead::Command);
    }
    for (index, entry) in tokens::entries().enumerate() {
        for keyword in entry.keywords {
            patterns.push(keyword);
            leads.push(Lead::Token(index));
        }
    }
    Some((Automaton::new(&patterns)?, leads))
});

/// Every lead in `text`, overlapping ones too, in the order in which they end.
pub(super) fn of(text: &str) -> impl Iterator<Item = (Lead, Range<usize>)> + '_ {
    find(text).into_iter().flatten()
}

/// The same; `None` for most texts without a lead.
pub(super) fn find(text: &str) -> Option<impl Iterator<Item = (Lead, Range<usize>)> + '_> {
    let (automaton, leads) = AUTOMATON.as_ref()?;
    let hits = Hits::new(automaton, text)?;
    Some(hits.map(|(pattern, range)| (leads[pattern], range)))
}

/// The texts that have no lead, of some that are looked through together: in one by itself each step waits for the one before. Of long ones, and
/// of those that hold nothing at any rate, nothing is said.
pub(super) fn quiet<const N: usize>(texts: [Option<&str>; N]) -> [Option<&str>; N] {
    let Some((automaton, _)) = AUTOMATON.as_ref() else { return [None; N] };
    let quiet = automaton.are_quiet(texts.map(|text| text.unwrap_or_default().as_bytes()));
    std::array::from_fn(|at| texts[at].filter(|_| quiet[at]))
}

/// Two letters of each of the [`WORDS`], rare ones, in both cases.
const PAIRS: [&[u8; 2]; 9] = [b"ss", b"pw", b"cr", b"ok", b"ey", b"au", b"nn", b"li", b".l"];

/// A letter is the first of these pairs, the second of those: a bit each.
const IN_PAIRS: [[u16; 256]; 2] = {
    let mut letters = [[0; 256]; 2];
    let mut at = 0;
    while at < 2 * PAIRS.len() {
        let (pair, place) = (at / 2, at % 2);
        let letter = PAIRS[pair][place];
        letters[place][letter as usize] |= 1 << pair;
        letters[place][letter.to_ascii_uppercase() as usize] |= 1 << pair;
        at += 1;
    }
    letters
};

/// Whether a name has one of the [`WORDS`]. Most have none of the [`PAIRS`] either: looking for those waits for nothing, where the
/// automaton waits for its last step.
pub(super) fn names_a_secret(name: &str) -> bool {
    let [first, second] = &IN_PAIRS;
    let has_pair = |pair: &[u8]| first[usize::from(pair[0])] & second[usize::from(pair[1])] != 0;
    name.as_bytes().windows(2).any(has_pair)
        && find(name).is_some_and(|mut leads| leads.any(|(lead, _)| lead == Lead::Word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_pair() {
        for word in WORDS {
            assert!(names_a_secret(word) && names_a_secret(&format!("x{}x", word.to_uppercase())), "{word}");
        }
        assert!(!names_a_secret("app.kubernetes.io/component") && !names_a_secret("cluster-autoscaler"));
    }

    #[test]
    fn the_automaton_builds_and_sees_every_kind_of_lead() {
        assert!(AUTOMATON.is_some());
        let seen: Vec<Lead> = of("DB_PASSWORD=1 https://x -----BEGIN y").map(|(lead, _)| lead).collect();
        assert!(seen.contains(&Lead::Word) && seen.contains(&Lead::Url) && seen.contains(&Lead::Pem));
    }
}
