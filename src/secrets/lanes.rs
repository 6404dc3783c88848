//! Takes texts through an Aho-Corasick automaton: a long one in several places at once, short ones several together.
//!
//! Each step needs the state of the one before, so a single walk waits for memory at every byte. Walks that know nothing of each
//! other wait together. A walk that begins in the middle is as good as one from the start as soon as it has read as many bytes as the
//! longest pattern has: what it sees before that is left to the walk in front of it.

use std::array;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

/// Walks through a block of a long text: as many as there are registers for their states.
const LANES: usize = 6;

/// How far they lie apart; as a constant, so that one register tells where all of them are.
const STRIDE: usize = 1024;

/// What each reads of the next one's part: at least as many bytes as the longest pattern has.
const OVERLAP: usize = 64;

const BLOCK: usize = LANES * STRIDE + OVERLAP;

/// Walks through texts of any kind, each with a register that tells where it is.
const FEW: usize = 4;

/// A text shorter than this is walked through once: the beginnings that are read twice would cost more.
const SHORT: usize = 256;
const _: () = assert!(SHORT > OVERLAP, "lanes have to be apart");

/// Kinds of bytes at most; as a power of two, so that a state and a kind are put together without a multiplication.
const KINDS: usize = 64;
const ROW: u32 = 64;

/// What texts are made of, for the most part. These kinds come first: of each state that is met in them half a row is read.
const USUAL: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz -._/:";

/// Patterns, without case, in a table of two thirds of a megabyte, of which what is read for usual texts lies together: the crate's has twice as
/// much, and the caches of a core do not hold it.
pub(super) struct Automaton {
    /// The kind of each byte.
    kinds: [u8; 256],
    /// The state after a state and a kind. A state is where its row begins.
    next: Vec<u32>,
    start: usize,
    /// From here on, patterns end in the state.
    first_end: usize,
    /// Which.
    ends: Vec<Vec<usize>>,
    /// How many bytes each pattern has.
    lengths: Vec<usize>,
}

impl Automaton {
    /// `None` when the table would have more than 2^32 places, or they are of more than 63 kinds of bytes, or one is longer than 64.
    pub(super) fn new(patterns: &[&str]) -> Option<Automaton> {
        let mut builder = DFA::builder();
        // A prefilter looks for what patterns begin with, and these begin with nearly everything.
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard).prefilter(false);
        let built = builder.build(patterns).ok().filter(|built| built.max_pattern_len() <= OVERLAP)?;
        let (kinds, samples) = kinds(patterns)?;
        let lengths = patterns.iter().map(|pattern| pattern.len()).collect();

        // All states, with those last in which patterns end.
        let start = built.start_state(Anchored::No).ok()?;
        let (mut states, mut known) = (vec![start], HashSet::from([start]));
        let mut at = 0;
        while let Some(state) = states.get(at).copied() {
            let next = samples.iter().map(|byte| built.next_state(Anchored::No, state, *byte));
            states.extend(next.filter(|next| known.insert(*next)).collect::<Vec<_>>());
            at += 1;
        }
        states.sort_by_key(|state| built.is_match(*state));
        let plain = states.iter().filter(|state| !built.is_match(**state)).count();
        // A power of two, so that several states together tell whether a pattern ends in any of them.
        let first_end = plain.next_power_of_two();
        let row =
            |at: usize| u32::try_from(if at < plain { at } else { first_end + at - plain }).ok()?.checked_mul(ROW);
        let rows: HashMap<StateID, u32> =
            states.iter().enumerate().map(|(at, state)| Some((*state, row(at)?))).collect::<Option<_>>()?;

        let mut next = vec![0; (first_end + states.len() - plain) * KINDS];
        for (at, state) in states.iter().enumerate() {
            let from = row(at)? as usize;
            for (byte, to) in samples.iter().zip(next.get_mut(from..)?) {
                *to = *rows.get(&built.next_state(Anchored::No, *state, *byte))?;
            }
        }
        let ends = states.iter().filter(|state| built.is_match(**state));
        let ends: Vec<Vec<usize>> = ends
            .map(|state| (0..built.match_len(*state)).map(|at| built.match_pattern(*state, at).as_usize()).collect())
            .collect();
        let first_end = row(plain)? as usize;
        Some(Automaton { kinds, next, start: *rows.get(&start)? as usize, first_end, ends, lengths })
    }

    #[inline]
    fn step(&self, state: usize, byte: u8) -> usize {
        self.next[state + usize::from(self.kinds[usize::from(byte)])] as usize
    }

    /// The patterns that end in the state.
    fn ends(&self, state: usize) -> &[usize] {
        let end = state.checked_sub(self.first_end).map(|rows| rows / KINDS);
        end.and_then(|end| self.ends.get(end)).map_or(&[], Vec::as_slice)
    }

    /// Where the first match ends, and the state there.
    fn walk(&self, text: &[u8], mut state: usize) -> Option<(usize, usize)> {
        for (index, byte) in text.iter().enumerate() {
            state = self.step(state, *byte);
            if state >= self.first_end {
                return Some((index + 1, state));
            }
        }
        None
    }

    /// Walks through texts until a pattern ends in any of them, or to the end of the shortest; how far that was.
    #[inline(never)]
    fn walk_together(&self, [a, b, c, d]: [&[u8]; FEW], states: &mut [usize; FEW]) -> usize {
        let [mut in_a, mut in_b, mut in_c, mut in_d] = *states;
        let mut steps = 0;
        for ((a, b), (c, d)) in a.iter().zip(b).zip(c.iter().zip(d)) {
            (in_a, in_b, in_c, in_d) =
                (self.step(in_a, *a), self.step(in_b, *b), self.step(in_c, *c), self.step(in_d, *d));
            steps += 1;
            // One look at all four, as a pattern seldom ends.
            if in_a | in_b | in_c | in_d >= self.first_end {
                break;
            }
        }
        *states = [in_a, in_b, in_c, in_d];
        steps
    }

    /// Walks on through all lanes of a block, from `at` in each, until a pattern ends in any of them, or to their end; how far that was.
    #[inline(never)]
    fn walk_block(&self, block: &[u8; BLOCK], mut at: usize, states: &mut [usize; LANES]) -> usize {
        let mut now = *states;
        while at < STRIDE + OVERLAP {
            let mut all = 0;
            for (lane, state) in now.iter_mut().enumerate() {
                *state = self.step(*state, block[lane * STRIDE + at]);
                all |= *state;
            }
            at += 1;
            if all >= self.first_end {
                break;
            }
        }
        *states = now;
        at
    }

    /// Whether no pattern ends in it, of each text. Long ones are not looked at, and nothing is said of them.
    pub(super) fn are_quiet<const N: usize>(&self, texts: [&[u8]; N]) -> [bool; N] {
        let mut quiet = texts.map(|text| !is_long(text));
        let mut waiting = (0..N).zip(texts).filter(|(_, text)| !is_long(text));
        let (mut at, mut rest, mut states): ([usize; FEW], [&[u8]; FEW], _) = ([0; FEW], [&[]; FEW], [self.start; FEW]);
        loop {
            for lane in 0..FEW {
                while rest[lane].is_empty()
                    && let Some((index, text)) = waiting.next()
                {
                    (at[lane], rest[lane], states[lane]) = (index, text, self.start);
                }
            }
            if rest.iter().any(|rest| rest.is_empty()) {
                break;
            }
            let steps = self.walk_together(rest, &mut states);
            for lane in 0..FEW {
                let ends = states[lane] >= self.first_end;
                quiet[at[lane]] &= !ends;
                rest[lane] = if ends { &[] } else { &rest[lane][steps..] };
            }
        }
        // No more are waiting: what is left of up to three.
        for lane in 0..FEW {
            quiet[at[lane]] &= self.walk(rest[lane], states[lane]).is_none();
        }
        quiet
    }
}

/// Whether lanes are worth their while.
fn is_long(text: &[u8]) -> bool {
    text.len() >= SHORT
}

/// The kind of each byte, and a byte of each kind. What stands in no pattern is of one kind.
fn kinds(patterns: &[&str]) -> Option<([u8; 256], Vec<u8>)> {
    let mut stands: [bool; 256] = [false; 256];
    for byte in patterns.iter().flat_map(|pattern| pattern.bytes()) {
        stands[usize::from(byte.to_ascii_lowercase())] = true;
    }
    let other = (0..=u8::MAX).find(|byte| !byte.is_ascii_uppercase() && !stands[usize::from(*byte)])?;
    let (mut kinds, mut samples) = ([0; 256], vec![other]);
    for byte in USUAL.iter().copied().chain(0..=u8::MAX) {
        if std::mem::take(&mut stands[usize::from(byte)]) {
            let kind = u8::try_from(samples.len()).ok().filter(|kind| usize::from(*kind) < KINDS)?;
            kinds[usize::from(byte)] = kind;
            kinds[usize::from(byte.to_ascii_uppercase())] = kind;
            samples.push(byte);
        }
    }
    Some((kinds, samples))
}

/// Every match in a text, overlapping ones too, in the order in which they end.
pub(super) struct Hits<'t> {
    automaton: &'t Automaton,
    text: &'t [u8],
    /// How far the text was walked through, and the state there.
    at: usize,
    state: usize,
    /// What is being told: where patterns end, and those of them that were not told.
    now: (usize, &'t [usize]),
    /// What the lanes found behind it, the last first.
    found: Vec<(usize, usize)>,
}

impl<'t> Hits<'t> {
    /// `None` for a short text without a match, as most are: that is all that it costs.
    pub(super) fn new(automaton: &'t Automaton, text: &'t str) -> Option<Hits<'t>> {
        let text = text.as_bytes();
        let (at, state) = if is_long(text) { (0, automaton.start) } else { automaton.walk(text, automaton.start)? };
        Some(Hits { automaton, text, at, state, now: (at, automaton.ends(state)), found: Vec::new() })
    }

    /// Walks on to the next match, or to the end.
    fn walk(&mut self) -> Option<(usize, usize)> {
        let hit = self.automaton.walk(&self.text[self.at..], self.state);
        let hit = hit.map(|(end, state)| (self.at + end, state));
        (self.at, self.state) = hit.unwrap_or((self.text.len(), self.state));
        hit
    }

    /// Walks through the next block, or through all that is left of a text.
    fn walk_in_lanes(&mut self) {
        let (automaton, rest) = (self.automaton, &self.text[self.at..]);
        if let Some(block) = rest.first_chunk() {
            self.collect(STRIDE, |at, states| automaton.walk_block(block, at, states));
        } else {
            let stride = (rest.len() - OVERLAP) / FEW;
            let lanes: [&[u8]; FEW] = array::from_fn(|lane| &rest[lane * stride..][..stride + OVERLAP]);
            let walk = |at, states: &mut _| at + automaton.walk_together(lanes.map(|lane: &[u8]| &lane[at..]), states);
            self.collect(stride, walk);
        }
    }

    /// What is found in lanes that begin a `stride` apart; `walk` walks on from a place in all of them.
    fn collect<const N: usize>(&mut self, stride: usize, walk: impl Fn(usize, &mut [usize; N]) -> usize) {
        let first = self.at;
        let start = |lane: usize| first + lane * stride;
        let mut states = [self.automaton.start; N];
        states[0] = self.state;
        let mut at = 0;
        while at < stride + OVERLAP {
            at = walk(at, &mut states);
            for (lane, state) in states.into_iter().enumerate() {
                let was_read_before = lane > 0 && at <= OVERLAP;
                if state >= self.automaton.first_end && !was_read_before {
                    self.found.push((start(lane) + at, state));
                }
            }
        }
        self.found.sort_unstable_by(|a, b| b.cmp(a));
        (self.at, self.state) = (start(N) + OVERLAP, states[N - 1]);
    }
}

impl Iterator for Hits<'_> {
    /// The pattern's index and where it stands.
    type Item = (usize, Range<usize>);

    fn next(&mut self) -> Option<(usize, Range<usize>)> {
        loop {
            let (end, patterns) = self.now;
            if let Some((pattern, others)) = patterns.split_first() {
                self.now = (end, others);
                return Some((*pattern, end - self.automaton.lengths[*pattern]..end));
            }
            let (end, state) = match self.found.pop() {
                Some(hit) => hit,
                None if is_long(&self.text[self.at..]) => {
                    self.walk_in_lanes();
                    continue;
                }
                None => self.walk()?,
            };
            self.now = (end, self.automaton.ends(state));
        }
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 6] = ["a", "aba", "bab", "abcabc", "cc", "bcabcabcabcabcabcabcab"];

    /// A text, in most of which nothing is found, now and then a long one.
    #[derive(Debug)]
    struct Lot(String);

    impl Arbitrary for Lot {
        type Parameters = ();
        type Strategy = BoxedStrategy<Lot>;

        fn arbitrary_with((): ()) -> BoxedStrategy<Lot> {
            prop_oneof!["[xyz]{0,60}", "[xyz]{0,20}(cc|bab)?[xyzb]{0,20}", "[xyz]{250,260}"].prop_map(Lot).boxed()
        }
    }

    fn ours(text: &str) -> Vec<(usize, Range<usize>)> {
        let automaton = Automaton::new(&PATTERNS).unwrap();
        Hits::new(&automaton, text).into_iter().flatten().collect()
    }

    fn the_crate(text: &str) -> Vec<(usize, Range<usize>)> {
        let mut builder = AhoCorasick::builder();
        let automaton = builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).build(PATTERNS).unwrap();
        automaton.find_overlapping_iter(text).map(|hit| (hit.pattern().as_usize(), hit.range())).collect()
    }

    proptest! {
        #[test]
        fn texts_that_are_looked_through_together_are_quiet_as_each_by_itself(texts: [Lot; 7]) {
            let texts = texts.map(|Lot(text)| text);
            let automaton = Automaton::new(&PATTERNS).unwrap();
            let quiet = automaton.are_quiet(texts.each_ref().map(String::as_bytes));
            for (text, quiet) in texts.iter().zip(quiet) {
                prop_assert_eq!(quiet, text.len() < SHORT && the_crate(text).is_empty(), "{}", text);
            }
        }

        #[test]
        fn many_lanes_find_what_one_walk_finds(text in "([abC]{0,40}|(abc){5,30}|[^abc]{0,9}){0,40}", times in 1..20_usize) {
            let text = text.repeat(times);
            prop_assert_eq!(ours(&text), the_crate(&text));
        }
    }

    #[test]
    fn every_length_about_the_borders_is_covered() {
        let text = "abcabcAbaccbab".repeat(900);
        for length in (0..600).chain(BLOCK - 200..BLOCK + 600) {
            assert_eq!(ours(&text[..length]), the_crate(&text[..length]), "{length}");
        }
    }

    #[test]
    fn more_kinds_of_bytes_than_there_is_room_for_are_refused() {
        let most: Vec<String> = (b'!'..=b'@').chain(b'['..=b'y').map(|byte| char::from(byte).to_string()).collect();
        let patterns: Vec<&str> = most.iter().map(String::as_str).collect();
        assert_eq!(patterns.len(), KINDS - 1);
        assert!(Automaton::new(&patterns).is_some());
        assert!(Automaton::new(&[&patterns[..], &["z"]].concat()).is_none());
    }

    #[test]
    fn a_pattern_that_is_longer_than_what_lanes_read_twice_is_refused() {
        assert!(Automaton::new(&[&"a".repeat(OVERLAP)]).is_some());
        assert!(Automaton::new(&[&"a".repeat(OVERLAP + 1)]).is_none());
    }
}
