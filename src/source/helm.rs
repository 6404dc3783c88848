//! Recognises Helm templates that have not been rendered, and says what to type.

use std::path::Path;

use super::marks::{Marks, Place};
use super::{File, Problem};
use crate::tree::Node;
use crate::workload::{self, Workload};

/// A file of a chart's templates folder with an action in it: even where it happens to be YAML, it is not what Helm will send.
pub(super) fn unrendered(file: &File, text: &str) -> Option<Problem> {
    let path = file.path.as_deref()?;
    let chart = chart_of(path)?;
    let place = first_action(text)?;
    Some(problem(file, Some(chart)).at(place))
}

/// A file that is no YAML, and has an action in it.
pub(super) fn unparsable(file: &File, text: &str) -> Option<Problem> {
    let place = first_action(text)?;
    Some(problem(file, file.path.as_deref().and_then(chart_of)).at(place))
}

/// A pod, or a template of one, with an action where no API server takes braces: who quotes his actions writes YAML, too. Elsewhere they
/// may be meant: Argo, Prometheus and Grafana write theirs the same way.
pub(super) fn quoted(file: &File, group: &str, kind: &str, tree: &Node<'_>, marks: &Marks) -> Option<Problem> {
    let kind = workload::kind(group, kind).filter(|kind| kind.pod.is_some())?;
    let pointer = quoted_action(&Workload::new(kind, tree))?;
    Some(problem(file, file.path.as_deref().and_then(chart_of)).at(marks.place(tree, &pointer)))
}

/// Where in names, images and quantities the first action stands.
fn quoted_action(workload: &Workload<'_>) -> Option<String> {
    let metadata = workload.object.get("metadata");
    let named =
        ["name", "generateName", "namespace"].into_iter().find(|field| is_action(metadata.and_then(|m| m.get(field))));
    if let Some(field) = named {
        return Some(format!("/metadata/{field}"));
    }
    workload.pod()?.containers().find_map(|container| {
        if is_action(container.node().get("image")) {
            return Some(container.pointer("/image"));
        }
        let resources = container.node().get("resources")?;
        let side = ["limits", "requests"]
            .into_iter()
            .find(|side| resources.entries(side).any(|(_, quantity)| is_action(Some(quantity))))?;
        Some(container.pointer(&format!("/resources/{side}")))
    })
}

/// Whether a text holds `{{ … }}`, but not `${{ … }}`, which others use.
fn is_action(node: Option<&Node<'_>>) -> bool {
    let text = node.and_then(Node::as_str).unwrap_or_default();
    let Some(end) = text.rfind("}}") else { return false };
    text.match_indices("{{").any(|(at, _)| at < end && !text[..at].ends_with('$'))
}

/// A chart's folder, met on the way through folders.
pub(super) fn chart(name: &str) -> Problem {
    Problem::new(name, "is a Helm chart: its templates are judged when they are rendered")
        .help(format!("type: helm template RELEASE {} | supercargo check -", shell(name)))
}

fn problem(file: &File, chart: Option<&Path>) -> Problem {
    let chart = chart.map_or_else(|| "CHART".to_owned(), |path| shell(&path.to_string_lossy()));
    Problem::new(&file.name, "is a Helm template that has not been rendered")
        .help(format!("type: helm template RELEASE {chart} | supercargo check -"))
}

/// The chart in whose templates folder a file lies.
fn chart_of(path: &Path) -> Option<&Path> {
    let templates =
        path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "templates"))?;
    let chart = templates.parent()?;
    let chart = if chart.as_os_str().is_empty() { Path::new(".") } else { chart };
    chart.join("Chart.yaml").is_file().then_some(chart)
}

fn first_action(text: &str) -> Option<Place> {
    let at = text.find("{{").filter(|&at| text.get(at..).is_some_and(|rest| rest.contains("}}")))?;
    let before = text.get(..at)?;
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Place { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
}

/// The path as it can be typed.
fn shell(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':' | '@' | '%');
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
