//! Takes a text through an Aho-Corasick automaton, long ones in several places at once.
//!
//! Each step needs the state of the one before, so a single walk waits for memory at every byte. Four walks that know nothing of each
//! other wait together. A walk that begins in the middle is as good as one from the start as soon as it has read as many bytes as the
//! longest pattern has: what it sees before that is left to the walk in front of it.

use std::array;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::vec;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

const LANES: usize = 4;

/// Bytes of a lane at most: what is found in a block waits until it is asked for.
const LANE: usize = 2048;

/// A text shorter than this is walked through once: the beginnings that are read twice would cost more.
const SHORT: usize = 256;

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
    start: u32,
    /// From here on, patterns end in the state.
    first_end: u32,
    /// Which.
    ends: Vec<Vec<usize>>,
    /// How many bytes each pattern has.
    lengths: Vec<usize>,
    longest: usize,
}

impl Automaton {
    /// `None` when the table would have more than 2^32 places, or they are of more than 63 kinds of bytes.
    pub(super) fn new(patterns: &[&str]) -> Option<Automaton> {
        let mut builder = DFA::builder();
        // A prefilter looks for what patterns begin with, and these begin with nearly everything.
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard).prefilter(false);
        let built = builder.build(patterns).ok()?;
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
        let first_end = row(plain)?;
        let longest = patterns.iter().map(|pattern| pattern.len()).max()?;
        Some(Automaton { kinds, next, start: *rows.get(&start)?, first_end, ends, lengths, longest })
    }

    #[inline]
    fn step(&self, state: u32, byte: u8) -> u32 {
        let at = state as usize + usize::from(self.kinds[usize::from(byte)]);
        self.next.get(at).copied().unwrap_or_default()
    }

    /// The patterns that end in the state.
    fn ends(&self, state: u32) -> &[usize] {
        let end = state.checked_sub(self.first_end).map(|rows| rows as usize / KINDS);
        end.and_then(|end| self.ends.get(end)).map_or(&[], Vec::as_slice)
    }

    /// Where the first match ends, and the state there.
    fn walk(&self, text: &[u8], mut state: u32) -> Option<(usize, u32)> {
        for (index, byte) in text.iter().enumerate() {
            state = self.step(state, *byte);
            if state >= self.first_end {
                return Some((index + 1, state));
            }
        }
        None
    }

    /// Walks through texts of one length until a pattern ends in any of them, or to their end; how far that was.
    #[inline(never)]
    fn walk_together(&self, [a, b, c, d]: [&[u8]; LANES], states: &mut [u32; LANES]) -> usize {
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

    /// Whether lanes are worth their while.
    fn is_long(&self, text: &[u8]) -> bool {
        text.len() >= SHORT.max(2 * self.longest)
    }
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
    state: u32,
    /// What is being told: where patterns end, and those of them that were not told.
    now: (usize, &'t [usize]),
    /// What the lanes found behind it.
    found: vec::IntoIter<(usize, u32)>,
}

impl<'t> Hits<'t> {
    /// `None` for a short text without a match, as most are: that is all that it costs.
    pub(super) fn new(automaton: &'t Automaton, text: &'t str) -> Option<Hits<'t>> {
        let text = text.as_bytes();
        let (at, state) =
            if automaton.is_long(text) { (0, automaton.start) } else { automaton.walk(text, automaton.start)? };
        Some(Hits { automaton, text, at, state, now: (at, automaton.ends(state)), found: Vec::new().into_iter() })
    }

    /// Walks on to the next match, or to the end.
    fn walk(&mut self) -> Option<(usize, u32)> {
        let hit = self.automaton.walk(&self.text[self.at..], self.state);
        let hit = hit.map(|(end, state)| (self.at + end, state));
        (self.at, self.state) = hit.unwrap_or((self.text.len(), self.state));
        hit
    }

    /// Walks through the next block.
    fn walk_in_lanes(&mut self) {
        let automaton = self.automaton;
        let rest = self.text.len() - self.at;
        let overlap = automaton.longest;
        let length = LANE.min((rest + (LANES - 1) * overlap) / LANES);
        let start = |lane: usize| self.at + lane * (length - overlap);
        let lanes: [&[u8]; LANES] = array::from_fn(|lane| &self.text[start(lane)..start(lane) + length]);
        let mut states: [u32; LANES] = array::from_fn(|lane| if lane == 0 { self.state } else { automaton.start });
        let mut found: [Vec<(usize, u32)>; LANES] = Default::default();
        let mut at = 0;
        while at < length {
            at += automaton.walk_together(lanes.map(|lane| &lane[at..]), &mut states);
            let ending = states.into_iter().enumerate().filter(|(_, state)| *state >= automaton.first_end);
            ending.for_each(|(lane, state)| found[lane].push((start(lane) + at, state)));
        }
        let mut all = Vec::new();
        for (lane, found) in found.into_iter().enumerate() {
            let read_before = if lane == 0 { 0 } else { start(lane) + overlap };
            all.extend(found.into_iter().filter(|(end, _)| *end > read_before));
        }
        self.found = all.into_iter();
        (self.at, self.state) = (start(LANES - 1) + length, states[LANES - 1]);
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
            let (end, state) = match self.found.next() {
                Some(hit) => hit,
                None if self.automaton.is_long(&self.text[self.at..]) => {
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
        fn many_lanes_find_what_one_walk_finds(text in "([abC]{0,40}|(abc){5,30}|[^abc]{0,9}){0,40}", times in 1..20_usize) {
            let text = text.repeat(times);
            prop_assert_eq!(ours(&text), the_crate(&text));
        }
    }

    #[test]
    fn every_length_about_the_borders_is_covered() {
        let text = "abcabcAbaccbab".repeat(900);
        for length in (0..600).chain(LANES * LANE - 200..LANES * LANE + 600) {
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
}
