//! What the scheduler, and the autoscaler behind it, did with a pod.

use jiff::Timestamp;

use super::{Evidence, count, metadata, of_kind};
use crate::tree::Node;

/// Reasons of events that say why a pod waits, or what is done about it; of kube-scheduler, Karpenter and Cluster Autoscaler.
const REASONS: [&str; 7] =
    ["FailedScheduling", "Preempted", "Nominated", "TriggeredScaleUp", "NotTriggerScaleUp", "Evicted", "FailedMount"];

pub(super) fn lines(evidence: &Evidence<'_>) -> Vec<String> {
    let pod = evidence.pod;
    let node = pod.path(&["spec", "nodeName"]).and_then(Node::as_str).filter(|node| !node.is_empty());
    let mut lines = vec![match node {
        Some(node) => format!("on {node}{}", after(pod).unwrap_or_default()),
        None => unscheduled(pod),
    }];
    let mut events: Vec<&Node<'_>> = of_kind(evidence, "Event")
        .filter(|event| is_about(event, pod))
        .filter(|event| event.str("reason").is_some_and(|reason| REASONS.contains(&reason)))
        .collect();
    events.sort_by_key(|event| when(event));
    lines.extend(events.into_iter().map(|event| {
        let (reason, message) = (event.str("reason").unwrap_or_default(), event.str("message").unwrap_or_default());
        let times = times(event);
        let often = if times > 1 { format!(" ({})", count(times, "time")) } else { String::new() };
        format!("{reason}{often}: {}", message.trim())
    }));
    lines
}

/// ", 3 s after it was made"; the API counts in seconds.
fn after(pod: &Node<'_>) -> Option<String> {
    let made = metadata(pod, "creationTimestamp").parse::<Timestamp>().ok()?;
    let bound = condition(pod)?.str("lastTransitionTime")?.parse::<Timestamp>().ok()?;
    match bound.as_second() - made.as_second() {
        seconds if seconds < 1 => Some(", within a second".to_owned()),
        seconds => Some(format!(", {seconds} s after it was made")),
    }
}

fn unscheduled(pod: &Node<'_>) -> String {
    if !pod.get("spec").map(|spec| spec.items("schedulingGates")).unwrap_or_default().is_empty() {
        return "on no node yet: it waits behind its schedulingGates".to_owned();
    }
    let message = condition(pod).and_then(|condition| condition.str("message"));
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("on no node yet: {message}"),
        None => "on no node yet, and the scheduler says nothing of it".to_owned(),
    }
}

fn condition<'p>(pod: &'p Node<'p>) -> Option<&'p Node<'p>> {
    let conditions = pod.get("status")?.items("conditions");
    conditions.iter().find(|condition| condition.str("type") == Some("PodScheduled"))
}

fn is_about(event: &Node<'_>, pod: &Node<'_>) -> bool {
    // events.k8s.io calls it `regarding`.
    let Some(about) = event.get("involvedObject").or_else(|| event.get("regarding")) else { return false };
    let same = |key| about.str(key).is_none_or(|value| value == metadata(pod, key));
    about.str("kind") == Some("Pod")
        && about.str("name") == Some(metadata(pod, "name"))
        && same("namespace")
        && same("uid")
}

/// When it was last said.
fn when(event: &Node<'_>) -> Option<Timestamp> {
    let series = event.path(&["series", "lastObservedTime"]).and_then(Node::as_str);
    let texts = [series, event.str("lastTimestamp"), event.str("eventTime"), event.str("deprecatedLastTimestamp")];
    texts.into_iter().flatten().find_map(|text| text.parse().ok())
}

fn times(event: &Node<'_>) -> usize {
    let counts = [event.path(&["series", "count"]), event.get("count"), event.get("deprecatedCount")];
    let number = counts.into_iter().flatten().find_map(|count| match count {
        Node::Number(number) => number.as_u64(),
        _ => None,
    });
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(1)
}
