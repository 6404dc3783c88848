//! A simulation as a picture: a panel for each way, of bars where everything stands still, of a line where it goes on.

use std::fmt::Write;

use super::{Simulated, Way};
use crate::printable::printable;

const WIDTH: u64 = 900;
/// Of a panel, its title included.
const PANEL: u64 = 150;
const TITLE: u64 = 30;
const HEIGHT: u64 = PANEL - TITLE - 20;
const MARGIN: u64 = 20;
/// What ran before.
const GREY: &str = "#b0b0b0";
/// Told apart by people who do not see all colours (Okabe and Ito's).
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];

/// An SVG document.
pub(super) fn draw(simulated: &Simulated) -> String {
    let panels = u64::try_from(simulated.ways.len()).unwrap_or_default();
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {}" font-family="sans-serif" font-size="13">"#,
        panels * PANEL
    );
    svg.push_str("\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    for (index, way) in (0..).zip(&simulated.ways) {
        // Writing to a String cannot fail.
        let _ = writeln!(svg, r#"<g transform="translate(0 {})">"#, index * PANEL);
        let _ = writeln!(svg, r#"<text x="{MARGIN}" y="20">{}</text>"#, escape(&caption(simulated, way)));
        if simulated.is_moment() {
            bars(&mut svg, way);
        } else {
            line(&mut svg, simulated, way);
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn caption(simulated: &Simulated, way: &Way) -> String {
    let report = &way.report;
    let hours =
        if simulated.timed { format!(", {} node-hours", super::hours(report.woken_millis)) } else { String::new() };
    format!("{}: {} nodes used, {} newly woken, {} pending{hours}", way.name, report.used, report.woken, report.pending)
}

/// A bar for each node, filled from below.
fn bars(svg: &mut String, way: &Way) {
    let nodes = u64::try_from(way.bars.len()).unwrap_or(u64::MAX).max(1);
    // Groups have the same colour in every panel.
    let mut groups: Vec<&String> = way.bars.iter().flat_map(|bar| bar.jobs.keys()).collect();
    groups.sort_unstable();
    groups.dedup();
    let colour = |group: &String| {
        let place = groups.binary_search(&group).unwrap_or_default();
        COLOURS.get(place % COLOURS.len()).copied().unwrap_or(GREY)
    };
    for (index, bar) in (0..).zip(&way.bars) {
        // In thousandths of a pixel, as many nodes share it.
        let width = (WIDTH - 2 * MARGIN) * 1000 / nodes;
        let (x, wide) = (MARGIN * 1000 + index * width, (width * 9 / 10).max(1));
        let _ = write!(svg, "<g><title>{}</title>", escape(&printable(&bar.node)));
        let mut below = 0;
        let before = (bar.before > 0).then_some((bar.before, GREY));
        for (share, colour) in before.into_iter().chain(bar.jobs.iter().map(|(group, share)| (*share, colour(group)))) {
            let (share, low) = (share.min(1000 - below.min(1000)), below);
            below += share;
            let _ = write!(
                svg,
                r#"<rect x="{}" y="{}" width="{}" height="{}" fill="{colour}"/>"#,
                thousandths(x),
                thousandths(TITLE * 1000 + HEIGHT * (1000 - low - share)),
                thousandths(wide),
                thousandths(HEIGHT * share),
            );
        }
        svg.push_str("</g>\n");
    }
    let base = TITLE + HEIGHT;
    let _ = writeln!(svg, r#"<path d="M{MARGIN} {base}H{}" stroke="black"/>"#, WIDTH - MARGIN);
}

/// Nodes awake over time, as steps.
fn line(svg: &mut String, simulated: &Simulated, way: &Way) {
    let (end, highest) = (simulated.end().max(1), u64::try_from(simulated.highest()).unwrap_or(u64::MAX).max(1));
    let base = TITLE + HEIGHT;
    let mut path = format!("M{MARGIN} {base}");
    for (at, nodes) in &way.report.timeline {
        let x = u128::from(MARGIN) * 1000 + u128::from(WIDTH - 2 * MARGIN) * 1000 * u128::from(*at) / u128::from(end);
        let nodes = u64::try_from(*nodes).unwrap_or(u64::MAX).min(highest);
        let y = base * 1000 - HEIGHT * 1000 * nodes / highest;
        let _ = write!(path, "H{}V{}", thousandths(u64::try_from(x).unwrap_or(u64::MAX)), thousandths(y));
    }
    let _ = writeln!(svg, r#"<path d="{path}" fill="none" stroke="{}"/>"#, COLOURS[0]);
    let _ = writeln!(svg, r#"<path d="M{MARGIN} {base}H{}" stroke="black"/>"#, WIDTH - MARGIN);
    let _ = writeln!(svg, r#"<text x="{MARGIN}" y="{TITLE}" font-size="10">{highest}</text>"#);
}

fn thousandths(number: u64) -> String {
    match number % 1000 {
        0 => (number / 1000).to_string(),
        rest => format!("{}.{rest:03}", number / 1000),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
