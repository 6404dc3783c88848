//! Takes a text through an Aho-Corasick automaton, long ones in several places at once.
//!
//! Each step needs the state of the one before, so a single walk waits for memory at every byte. Four walks that know nothing of each
//! other wait together. A walk that begins in the middle is as good as one from the start as soon as it has read as many bytes as the
//! longest pattern has: what it sees before that is left to the walk in front of it.

use std::array;
use std::ops::Range;
use std::vec;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;

const LANES: usize = 4;

/// Bytes of a lane at most: what is found in a block waits until it is asked for.
const LANE: usize = 2048;

/// A text shorter than this is walked through once: the beginnings that are read twice would cost more.
const SHORT: usize = 256;

/// Every match in a text, overlapping ones too, in the order in which they end.
pub(super) struct Hits<'t> {
    automaton: &'t DFA,
    text: &'t [u8],
    /// How far the text was walked through, and the state there.
    at: usize,
    state: StateID,
    /// What is being told: where patterns end, the state there, and how many of them were told.
    now: Option<(usize, StateID, usize)>,
    /// What the lanes found behind it.
    found: vec::IntoIter<(usize, StateID)>,
}

impl<'t> Hits<'t> {
    /// `None` for a short text without a match, as most are: that is all that it costs. Also for an automaton that cannot be
    /// entered without an anchor; those of [`DFA::builder`] can.
    pub(super) fn new(automaton: &'t DFA, text: &'t str) -> Option<Hits<'t>> {
        let start = automaton.start_state(Anchored::No).ok()?;
        let text = text.as_bytes();
        let first = if is_long(automaton, text) { None } else { Some(walk(automaton, text, start)?) };
        let (at, state) = first.unwrap_or((0, start));
        let now = first.map(|(end, state)| (end, state, 0));
        Some(Hits { automaton, text, at, state, now, found: Vec::new().into_iter() })
    }

    /// Walks on to the next match, or to the end.
    fn walk(&mut self) -> Option<(usize, StateID)> {
        let hit = walk(self.automaton, &self.text[self.at..], self.state);
        let hit = hit.map(|(end, state)| (self.at + end, state));
        (self.at, self.state) = hit.unwrap_or((self.text.len(), self.state));
        hit
    }

    /// Walks through the next block.
    fn walk_in_lanes(&mut self) {
        let rest = self.text.len() - self.at;
        let overlap = self.automaton.max_pattern_len();
        let length = LANE.min((rest + (LANES - 1) * overlap) / LANES);
        let start = |lane: usize| self.at + lane * (length - overlap);
        let text: [&[u8]; LANES] = array::from_fn(|lane| &self.text[start(lane)..start(lane) + length]);
        let root = self.automaton.start_state(Anchored::No).unwrap_or_default();
        let mut states: [StateID; LANES] = array::from_fn(|lane| if lane == 0 { self.state } else { root });
        let mut found: [Vec<(usize, StateID)>; LANES] = Default::default();
        #[expect(clippy::needless_range_loop, reason = "one index goes through all lanes")]
        for index in 0..length {
            for lane in 0..LANES {
                let state = self.automaton.next_state(Anchored::No, states[lane], text[lane][index]);
                states[lane] = state;
                if is_match(self.automaton, state) {
                    found[lane].push((start(lane) + index + 1, state));
                }
            }
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
            if let Some((end, state, told)) = self.now {
                if told < self.automaton.match_len(state) {
                    self.now = Some((end, state, told + 1));
                    let pattern = self.automaton.match_pattern(state, told);
                    return Some((pattern.as_usize(), end - self.automaton.pattern_len(pattern)..end));
                }
                self.now = None;
            }
            let hit = match self.found.next() {
                Some(hit) => hit,
                None if is_long(self.automaton, &self.text[self.at..]) => {
                    self.walk_in_lanes();
                    continue;
                }
                None => self.walk()?,
            };
            self.now = Some((hit.0, hit.1, 0));
        }
    }
}

/// Whether lanes are worth their while.
fn is_long(automaton: &DFA, text: &[u8]) -> bool {
    text.len() >= SHORT.max(2 * automaton.max_pattern_len())
}

fn is_match(automaton: &DFA, state: StateID) -> bool {
    automaton.is_special(state) && automaton.is_match(state)
}

/// Where the first match ends, and the state there.
fn walk(automaton: &DFA, text: &[u8], mut state: StateID) -> Option<(usize, StateID)> {
    for (index, byte) in text.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, *byte);
        if is_match(automaton, state) {
            return Some((index + 1, state));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use aho_corasick::{AhoCorasick, MatchKind};
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 6] = ["a", "aba", "bab", "abcabc", "cc", "bcabcabcabcabcabcabcab"];

    fn ours(text: &str) -> Vec<(usize, Range<usize>)> {
        let automaton = DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(PATTERNS).unwrap();
        Hits::new(&automaton, text).into_iter().flatten().collect()
    }

    fn the_crate(text: &str) -> Vec<(usize, Range<usize>)> {
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(PATTERNS).unwrap();
        automaton.find_overlapping_iter(text).map(|hit| (hit.pattern().as_usize(), hit.range())).collect()
    }

    proptest! {
        #[test]
        fn many_lanes_find_what_one_walk_finds(text in "([abc]{0,40}|(abc){5,30}|[^abc]{0,9}){0,40}", times in 1..20_usize) {
            let text = text.repeat(times);
            prop_assert_eq!(ours(&text), the_crate(&text));
        }
    }

    #[test]
    fn every_length_about_the_borders_is_covered() {
        let text = "abcabcabaccbab".repeat(900);
        for length in (0..600).chain(LANES * LANE - 200..LANES * LANE + 600) {
            assert_eq!(ours(&text[..length]), the_crate(&text[..length]), "{length}");
        }
    }
}
