//! How progress and summary are worded, for a terminal and for a log alike.

use std::fmt;
use std::time::Duration;

use super::jobs::RUN_LABEL;
use super::progress::{Counts, Line, Progress, Summary};
use crate::printable::{clip, printable, printable_lines};

/// A webhook's refusal with several findings is that long; a scheduler's message about 1,000 nodes is longer.
const LONGEST_TEXT: usize = 2000;

/// How many characters the bar has.
const WIDTH: usize = 24;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = clip(self.text.trim_end(), LONGEST_TEXT);
        // What the cluster said stays below the line that it belongs to.
        let text = printable_lines(&text).replace('\n', "\n            ");
        let at = format!("{:.1} s", self.at.as_secs_f64());
        write!(f, "{at:>10}  {}/{}: {text}", printable(&self.group), printable(&self.job))
    }
}

impl Counts {
    /// Those that nothing more is expected of.
    pub fn ended(&self) -> usize {
        self.jobs - self.open()
    }

    /// Those that something is still expected of.
    pub fn open(&self) -> usize {
        self.running + self.waiting
    }

    /// "11 succeeded, 1 failed", without what there is none of.
    fn words(&self) -> String {
        let parts = [
            (self.succeeded, "succeeded"),
            (self.failed, "failed"),
            (self.refused, "refused"),
            (self.unmade, "could not be made"),
            (self.running, "running"),
            (self.waiting, "waiting"),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        parts.join(", ")
    }
}

/// One line for a terminal, to be rewritten: a bar, how many jobs are how far, and the nodes that they take.
pub fn bar(progress: &Progress) -> String {
    let counts = progress.counts();
    let full = (counts.ended() * WIDTH).checked_div(counts.jobs).unwrap_or(WIDTH);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full));
    let nodes = match progress.nodes() {
        (0, _) => String::new(),
        (nodes, None) => format!(" · on {}", count(nodes, "node")),
        (nodes, Some(bound)) => format!(" · on {}, bound {bound}", count(nodes, "node")),
    };
    format!("{bar} {}/{} · {}{nodes}", counts.ended(), counts.jobs, counts.words())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (jobs, groups) = (count(self.counts.jobs, "job"), count(self.groups, "group"));
        write!(f, "{jobs} in {groups}: {}, after {}", self.counts.words(), duration(self.took))?;
        if self.nodes == 0 {
            return Ok(());
        }
        write!(f, "\n{} used, at most {} at once", count(self.nodes, "node"), self.most_nodes)?;
        if let Some(bound) = self.bound {
            write!(f, "; the lower bound is {bound}")?;
        }
        write!(f, "\n{:.1} node-minutes", self.node_seconds / 60.0)?;
        match self.bound_seconds {
            Some(bound) if bound > 0.0 => {
                let times = self.node_seconds / bound;
                write!(f, " against a bound of {:.1}, {times:.2} times as much", bound / 60.0)
            }
            _ => Ok(()),
        }
    }
}

/// "1 h 3 min", "3 min 20 s", "4.2 s".
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", time.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// "1 job", "2 jobs".
fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// The commands that remove a run from these namespaces.
pub fn commands<'n>(run: &str, namespaces: impl IntoIterator<Item = &'n str>) -> String {
    let one = |namespace| format!("  kubectl delete jobs -n {namespace} -l {RUN_LABEL}={run}");
    namespaces.into_iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_what_the_cluster_said_together() {
        let text = "refused: one\ntwo\u{1b}[31m".to_owned();
        let line = Line { at: Duration::from_millis(1234), group: "g\n".to_owned(), job: "a".to_owned(), text };
        assert_eq!(line.to_string(), "     1.2 s  g\\u{a}/a: refused: one\n            two\\u{1b}[31m");
    }

    #[test]
    fn a_summary_leaves_out_what_is_not_known() {
        let counts = Counts { jobs: 3, succeeded: 2, failed: 1, ..Counts::default() };
        let summary = Summary {
            groups: 1,
            counts,
            took: Duration::from_secs(200),
            nodes: 3,
            most_nodes: 2,
            bound: Some(1),
            node_seconds: 90.0,
            bound_seconds: Some(60.0),
        };
        assert_eq!(
            summary.to_string(),
            "3 jobs in 1 group: 2 succeeded, 1 failed, after 3 min 20 s\n3 nodes used, at most 2 at once; the lower bound is 1\n\
             1.5 node-minutes against a bound of 1.0, 1.50 times as much"
        );
        let unknown = Summary { bound: None, bound_seconds: None, ..summary.clone() };
        assert!(unknown.to_string().ends_with("at most 2 at once\n1.5 node-minutes"), "{unknown}");
        assert_eq!(Summary { nodes: 0, ..summary }.to_string().lines().count(), 1);
    }

    #[test]
    fn times_are_short() {
        let times = [4.26, 61.0, 3725.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(times, ["4.3 s", "1 min 1 s", "1 h 2 min"]);
    }

    #[test]
    fn an_empty_run_has_a_bar() {
        assert!(bar(&Progress::new(&[])).contains("0/0"));
    }
}
