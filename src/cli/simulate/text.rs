//! A simulation in the terminal: the table, the nodes as bars, and the nodes over time.

use std::collections::HashSet;
use std::io::{self, Write};

use super::{Simulated, Way};
use crate::output::count;
use crate::packing::simulate::Bar;
use crate::printable::printable;

/// More nodes than this are too many to look at; the table has them all.
const MOST_ROWS: usize = 30;
/// Characters of a bar; two stand side by side.
const WIDTH: usize = 28;
/// Characters of a line of time.
const MOMENTS: usize = 60;
/// The longest name that leaves the bars room in a narrow terminal.
const LONGEST_NAME: usize = 20;

pub(super) fn print(out: &mut impl Write, simulated: &Simulated) -> io::Result<()> {
    table(out, simulated)?;
    verdict(out, simulated)?;
    for note in &simulated.notes {
        writeln!(out, "\n{}", printable(note))?;
    }
    if simulated.is_moment() { bars(out, simulated) } else { over_time(out, simulated) }
}

fn table(out: &mut impl Write, simulated: &Simulated) -> io::Result<()> {
    let Simulated { jobs, nodes, pods, .. } = simulated;
    writeln!(out, "{} on {} with {}\n", count(*jobs, "job"), count(*nodes, "node"), count(*pods, "pod"))?;
    let hours = simulated.timed;
    write!(out, "{:16} {:>10} {:>12} {:>8}", "", "nodes used", "newly woken", "pending")?;
    if hours {
        write!(out, " {:>11}", "node-hours")?;
    }
    if hours && simulated.price.is_some() {
        write!(out, " {:>10}", "cost")?;
    }
    writeln!(out)?;
    for way in &simulated.ways {
        write!(out, "{:16} {:>10} {:>12} {:>8}", way.name, way.report.used, way.report.woken, way.report.pending)?;
        if hours {
            write!(out, " {:>11}", super::hours(way.report.woken_millis))?;
        }
        if let Some(cost) = simulated.cost(way.report.woken_millis).filter(|_| hours) {
            write!(out, " {cost:>10}")?;
        }
        writeln!(out)?;
    }
    if simulated.is_moment()
        && let Some(bound) = simulated.bound
    {
        writeln!(out, "{:16} {:>10} {bound:>12}", "no way does with", "")?;
    }
    if let Some(fluid) = simulated.fluid {
        write!(out, "{:16} {:>32} {:>11}", "nor with", "", super::hours(fluid))?;
        if let Some(cost) = simulated.cost(fluid) {
            write!(out, " {cost:>10}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What to make of the table.
fn verdict(out: &mut impl Write, simulated: &Simulated) -> io::Result<()> {
    if simulated.is_moment() && simulated.bound.is_none() {
        writeln!(out, "\nThe nodes do not hold all the jobs at once, however they are placed.")?;
    }
    if simulated.ways.iter().all(|way| way.report.pending == simulated.jobs) {
        return Ok(());
    }
    let score = |name: &str| simulated.way(name).map(|way| simulated.score(way));
    if score("podAffinity") <= score("supercargo") {
        writeln!(out, "\npodAffinity does as well here: a view of the nodes is not needed for these jobs.")?;
    } else if score("MostAllocated") <= score("supercargo") {
        writeln!(out, "\nA scheduler set to MostAllocated does as well here, for all pods and without the webhook.")?;
    }
    Ok(())
}

/// Today's way and ours, node by node.
fn bars(out: &mut impl Write, simulated: &Simulated) -> io::Result<()> {
    let (Some(today), Some(ours)) = (simulated.way("podAffinity"), simulated.way("supercargo")) else { return Ok(()) };
    let mut rows: Vec<(&Bar, &Bar)> = today.bars.iter().zip(&ours.bars).collect();
    let all = rows.len();
    rows.retain(|(today, ours)| today.before + today.taken() + ours.taken() > 0);
    let unused = all - rows.len();
    // Those that work already, and then the fullest first.
    rows.sort_by_key(|(today, ours)| (ours.before == 0, std::cmp::Reverse((ours.taken(), today.taken()))));
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let names = shortened(rows.iter().map(|(_, ours)| printable(&ours.node).into_owned()).collect());
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max(LONGEST_NAME);
    writeln!(out, "\n{:wide$} {:WIDTH$} supercargo", "░ before █ jobs", "podAffinity")?;
    for (name, (today, ours)) in names.iter().zip(&rows) {
        writeln!(out, "{name:wide$} {} {}", bar(today), bar(ours))?;
    }
    match (more, unused) {
        (0, 0) => Ok(()),
        (0, _) => writeln!(out, "and {} that nothing runs on", count(unused, "node")),
        (_, 0) => writeln!(out, "and {} more", count(more, "node")),
        _ => writeln!(out, "and {} more, and {} that nothing runs on", count(more, "node"), count(unused, "node")),
    }
}

/// Names cut at their end, in the middle or in front, wherever they stay different, and no shorter than that takes.
fn shortened(names: Vec<String>) -> Vec<String> {
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for width in (LONGEST_NAME..longest).step_by(5) {
        for head in [width - 1, width / 2, 0] {
            let cut: Vec<String> = names.iter().map(|name| cut(name, width, head)).collect();
            if cut.iter().collect::<HashSet<_>>().len() == cut.len() {
                return cut;
            }
        }
    }
    names
}

/// The first `head` characters, and as many of the last as `width` leaves.
fn cut(name: &str, width: usize, head: usize) -> String {
    let characters = name.chars().count();
    if characters <= width {
        return name.to_owned();
    }
    let tail = name.chars().skip(characters - (width - 1 - head));
    name.chars().take(head).chain(['…']).chain(tail).collect()
}

fn bar(bar: &Bar) -> String {
    let characters = |thousandths: u64| usize::try_from(thousandths).unwrap_or(usize::MAX).min(1000) * WIDTH / 1000;
    let before = characters(bar.before);
    let full = characters(bar.before + bar.taken()).max(before);
    format!("{}{}{}", "░".repeat(before), "█".repeat(full - before), "·".repeat(WIDTH - full))
}

/// Nodes awake for the jobs, over time: one line a way, all of one height.
fn over_time(out: &mut impl Write, simulated: &Simulated) -> io::Result<()> {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = simulated.highest();
    if highest == 0 {
        return Ok(());
    }
    writeln!(out, "\nnodes awake for the jobs, 0 to {highest}, over {} h", super::hours(simulated.end()))?;
    for way in &simulated.ways {
        let line: String = moments(way, simulated.end())
            .into_iter()
            .map(|nodes| HEIGHTS.get((nodes * 8).div_ceil(highest)).copied().unwrap_or('█'))
            .collect();
        writeln!(out, "{:16} {line}", way.name)?;
    }
    Ok(())
}

/// The most nodes awake within each of equal parts of the time.
fn moments(way: &Way, end: u64) -> Vec<usize> {
    let parts = u64::try_from(MOMENTS).unwrap_or(u64::MAX);
    let mut changes = way.report.timeline.iter().peekable();
    let mut nodes = 0;
    (1..=parts)
        .map(|part| {
            let mut most = nodes;
            while let Some((_, now)) =
                changes.next_if(|(at, _)| u128::from(*at) * u128::from(parts) < u128::from(end) * u128::from(part))
            {
                nodes = *now;
                most = most.max(nodes);
            }
            most
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_they_stay_different() {
        for (names, shown) in [
            (["n1", "n2"], ["n1", "n2"]),
            (
                ["ip-10-0-12-34.eu-west-1.compute.internal", "ip-10-0-12-35.eu-west-1.compute.internal"],
                ["ip-10-0-12-34.eu-we…", "ip-10-0-12-35.eu-we…"],
            ),
            (
                ["gke-main-default-pool-1a2b3c4d-x7k2", "gke-main-default-pool-1a2b3c4d-p9q8"],
                ["gke-main-d…3c4d-x7k2", "gke-main-d…3c4d-p9q8"],
            ),
            (
                ["the-same-again-1-and-the-same-in-the-end", "the-same-again-2-and-the-same-in-the-end"],
                ["the-same-again-1-an…", "the-same-again-2-an…"],
            ),
            (
                ["the-same-in-front-of-1-and-the-same-in-the-end", "the-same-in-front-of-2-and-the-same-in-the-end"],
                ["the-same-in-front-of-1-a…", "the-same-in-front-of-2-a…"],
            ),
        ] {
            assert_eq!(shortened(names.map(str::to_owned).to_vec()), shown);
        }
    }
}
