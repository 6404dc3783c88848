//! What was measured, as a table: medians over the rounds, percentiles over all of them, and the ratio of each round's two values.

use std::fmt;

/// One quantity.
#[derive(Clone, Copy, PartialEq)]
pub struct Row {
    pub name: &'static str,
    /// The highest ratio to the echo that is aimed for; of memory, the highest value.
    pub goal: Option<f64>,
}

/// What a round says of a quantity.
pub enum Measured {
    Value(f64),
    /// The smallest value that this share of the sample does not exceed.
    Percentile(f64, Vec<f64>),
}

/// What was measured of two servers.
pub struct Table {
    names: [&'static str; 2],
    /// Phase, quantity, and what each round said: one server's and the other's.
    rows: Vec<(&'static str, Row, [Vec<Measured>; 2])>,
}

impl Table {
    /// An empty one of these servers.
    pub fn new(names: [&'static str; 2]) -> Self {
        Table { names, rows: Vec::new() }
    }

    /// What one more round says of a quantity.
    pub fn put(&mut self, phase: &'static str, row: Row, target: usize, measured: Measured) {
        let known = self.rows.iter().position(|(other, known, _)| *other == phase && *known == row);
        let at = known.unwrap_or_else(|| {
            self.rows.push((phase, row, Default::default()));
            self.rows.len() - 1
        });
        self.rows[at].2[target].push(measured);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut phase = "";
        for (of, row, [beside, ours]) in &self.rows {
            if *of != phase {
                phase = of;
                writeln!(
                    f,
                    "\n{phase}\n{:44} {:>9} {:>11} {:>7} {:>13}  goal",
                    "", self.names[0], self.names[1], "ratio", "(of rounds)"
                )?;
            }
            let ratios: Vec<f64> =
                beside.iter().zip(ours).map(|(beside, ours)| ours.value() / beside.value()).collect();
            let (floor, value) = (overall(beside), overall(ours));
            // Few of a round's answers lie beyond its 99th percentile: that of all rounds together varies less than the median of theirs.
            let ratio =
                if matches!(ours[..], [Measured::Percentile(..), ..]) { value / floor } else { median(&ratios) };
            let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let high = ratios.iter().copied().fold(0.0, f64::max);
            let spread = format!("{low:.2}–{high:.2}");
            write!(f, "  {:42} {:>9} {:>11} {ratio:>7.2} {spread:>13}", row.name, short(floor), short(value))?;
            let is_memory = phase.contains("memory");
            match row.goal {
                None => writeln!(f)?,
                Some(goal) => {
                    let met = if is_memory { value <= goal } else { ratio <= goal };
                    let unit = if is_memory { "MB" } else { "×" };
                    writeln!(f, "  ≤ {goal} {unit}{}", if met { "" } else { ", missed" })?;
                }
            }
        }
        Ok(())
    }
}

impl Measured {
    fn value(&self) -> f64 {
        match self {
            Measured::Value(value) => *value,
            Measured::Percentile(share, sample) => percentile(sample, *share),
        }
    }
}

/// The median of the rounds' values, or the percentile of their samples put together.
fn overall(rounds: &[Measured]) -> f64 {
    let mut together = Vec::new();
    let mut share = None;
    for round in rounds {
        match round {
            Measured::Value(value) => together.push(*value),
            Measured::Percentile(of, sample) => {
                share = Some(*of);
                together.extend_from_slice(sample);
            }
        }
    }
    share.map_or_else(|| median(&together), |share| percentile(&together, share))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest value that `share` of all do not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into thousands of values"
)]
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Three or four digits that matter.
fn short(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
