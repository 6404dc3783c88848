//! What is kept of the objects that a watch brings: Jobs, their pods, and the warnings about both.

use super::jobs::Key;
use crate::packing::{Amounts, Requests};
use crate::tree::Node;
use crate::workload::Pod;

/// Why a job waits or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The kind of it.
    pub cause: Cause,
    /// What the cluster says.
    pub message: String,
}

/// The kinds of reasons, as far as they ask for different remedies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No node takes the pod.
    Unschedulable,
    /// The image does not come; it is tried again.
    Image,
    /// The image will never come: its name is none, or it may not be pulled.
    ImageForGood,
    /// A ResourceQuota is used up.
    Quota,
    /// A policy refuses the pod: a webhook, a ValidatingAdmissionPolicy, Pod Security, a LimitRange.
    Policy,
    /// Something that the pod needs is not there or not right: a volume, a Secret, the user id.
    Setup,
    /// Anything else that keeps the pod from being made.
    Creation,
}

impl Cause {
    /// In front of what the cluster says.
    pub fn words(self) -> &'static str {
        match self {
            Cause::Unschedulable => "no node takes it",
            Cause::Image | Cause::ImageForGood => "its image cannot be pulled",
            Cause::Quota => "the quota is used up",
            Cause::Policy => "its pod is refused",
            Cause::Setup => "its pod cannot start",
            Cause::Creation => "its pod cannot be made",
        }
    }

    /// Whether waiting changes nothing.
    pub fn is_final(self) -> bool {
        matches!(self, Cause::Policy | Cause::ImageForGood)
    }
}

/// A `batch/v1` Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSeen {
    /// Which.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: String,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Condition Complete.
    Complete,
    /// Condition Failed: its reason and message.
    Failed(String, String),
}

/// A pod of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// The Job that made it.
    pub job: Key,
    /// `metadata.name`.
    pub name: String,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// How far it is.
    pub phase: Phase,
    /// What the scheduler counts for it.
    pub takes: Amounts,
    /// When it was made, in seconds since 1970; `i64::MAX` when that is not known.
    pub made: i64,
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not running yet, and why, where something is wrong.
    Pending(Option<Reason>),
    /// Its containers run.
    Running,
    /// All containers ended with 0.
    Succeeded,
    /// One ended otherwise, or the pod was evicted; in words.
    Failed(String),
}

/// An Event of type Warning about a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarningSeen {
    /// About which Job.
    pub job: Key,
    /// The uid of that Job: an event may be about an older one of the same name.
    pub uid: String,
    /// What it says of its pods.
    pub reason: Reason,
    /// When that was so last, in seconds since 1970; `i64::MIN` when that is not known.
    pub at: i64,
}

impl JobSeen {
    /// Reads a Job; `None` without a name.
    pub fn read(object: &Node<'_>) -> Option<JobSeen> {
        let metadata = object.get("metadata")?;
        let conditions = object.get("status").map(|status| status.items("conditions")).unwrap_or_default();
        let mut ended = None;
        for condition in conditions.iter().filter(|condition| condition.str("status") == Some("True")) {
            let text = |key| condition.str(key).unwrap_or_default().to_owned();
            match condition.str("type") {
                Some("Complete") => ended = Some(Ended::Complete),
                Some("Failed") => ended = Some(Ended::Failed(text("reason"), text("message"))),
                _ => {}
            }
        }
        Some(JobSeen { key: key(metadata)?, uid: metadata.str("uid").unwrap_or_default().to_owned(), ended })
    }
}

impl PodSeen {
    /// Reads a pod; `None` when no Job made it.
    pub fn read(object: &Node<'_>) -> Option<PodSeen> {
        let metadata = object.get("metadata")?;
        let Key { namespace, name } = key(metadata)?;
        let labels = metadata.get("labels")?;
        // The second is what it was called before 1.27.
        let job = labels.str("batch.kubernetes.io/job-name").or_else(|| labels.str("job-name"))?.to_owned();
        let node = object.path(&["spec", "nodeName"]).and_then(Node::as_str);
        let phase = match object.path(&["status", "phase"]).and_then(Node::as_str) {
            Some("Running") => Phase::Running,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed(failure(object)),
            _ => Phase::Pending(waits_for(object)),
        };
        Some(PodSeen {
            job: Key { namespace, name: job },
            name,
            node: node.filter(|node| !node.is_empty()).map(str::to_owned),
            phase,
            takes: Requests::of(&Pod::new("", object)).amounts,
            made: metadata.str("creationTimestamp").and_then(seconds).unwrap_or(i64::MAX),
        })
    }

    /// Whether it takes room on a node.
    pub fn is_on_a_node(&self) -> bool {
        self.node.is_some() && !self.has_ended()
    }

    /// Whether its containers have ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed(_))
    }
}

impl WarningSeen {
    /// Reads an Event; `None` when it is not about a Job whose pods cannot be made.
    pub fn read(object: &Node<'_>) -> Option<WarningSeen> {
        let about = object.get("involvedObject")?;
        if about.str("kind") != Some("Job") || object.str("reason") != Some("FailedCreate") {
            return None;
        }
        let text = |key| about.str(key).unwrap_or_default().to_owned();
        let message = object.str("message").unwrap_or_default();
        let message = message.strip_prefix("Error creating: ").unwrap_or(message);
        Some(WarningSeen {
            job: Key { namespace: text("namespace"), name: about.str("name")?.to_owned() },
            uid: text("uid"),
            reason: Reason { cause: refusal(message), message: message.to_owned() },
            // An event is written anew when the same happens again. Which of these times it has is up to its writer.
            at: [
                &["lastTimestamp"][..],
                &["eventTime"],
                &["series", "lastObservedTime"],
                &["metadata", "creationTimestamp"],
            ]
            .into_iter()
            .filter_map(|path| object.path(path)?.as_str().and_then(seconds))
            .max()
            .unwrap_or(i64::MIN),
        })
    }
}

/// What kind of refusal the API server's words are. They are all that a Job's event or an answer of it holds.
pub fn refusal(message: &str) -> Cause {
    // A webhook that is away does not refuse, and is back some time.
    if message.contains("failed calling webhook") {
        Cause::Creation
    } else if message.contains("exceeded quota") || message.contains("failed quota") {
        Cause::Quota
    } else if message.contains("denied the request")
        || message.contains("denied request:")
        || message.contains("violates PodSecurity")
        || message.contains("is forbidden: [")
        || message.contains("is forbidden: maximum ")
        || message.contains("is forbidden: minimum ")
    {
        Cause::Policy
    } else {
        Cause::Creation
    }
}

fn key(metadata: &Node<'_>) -> Option<Key> {
    let name = metadata.str("name")?.to_owned();
    Some(Key { namespace: metadata.str("namespace").unwrap_or_default().to_owned(), name })
}

fn seconds(time: &str) -> Option<i64> {
    Some(time.parse::<jiff::Timestamp>().ok()?.as_second())
}

/// The statuses of all containers, those that run first in front.
fn statuses<'t>(object: &'t Node<'t>) -> impl Iterator<Item = &'t Node<'t>> {
    let status = object.get("status");
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .flat_map(move |key| status.map(|status| status.items(key)).unwrap_or_default())
}

fn waits_for(object: &Node<'_>) -> Option<Reason> {
    let conditions = object.get("status").map(|status| status.items("conditions")).unwrap_or_default();
    let unscheduled = conditions
        .iter()
        .find(|condition| condition.str("type") == Some("PodScheduled") && condition.str("status") == Some("False"));
    if let Some(condition) = unscheduled {
        let message = condition.str("message").or_else(|| condition.str("reason")).unwrap_or_default().to_owned();
        return Some(Reason { cause: Cause::Unschedulable, message });
    }
    statuses(object).find_map(|status| {
        let waiting = status.path(&["state", "waiting"])?;
        let reason = waiting.str("reason")?;
        let cause = match reason {
            "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => Cause::Image,
            "InvalidImageName" | "ErrImageNeverPull" => Cause::ImageForGood,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Cause::Setup,
            _ => return None,
        };
        let message = match waiting.str("message") {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        };
        Some(Reason { cause, message })
    })
}

/// What a pod failed of.
fn failure(object: &Node<'_>) -> String {
    let ended = statuses(object).find_map(|status| {
        let ended = status.path(&["state", "terminated"])?;
        let code = match ended.get("exitCode") {
            Some(Node::Number(code)) => code.as_i64().unwrap_or_default(),
            _ => 0,
        };
        let reason = ended.str("reason").filter(|reason| !matches!(*reason, "Error" | "Completed"));
        if code == 0 && reason.is_none() {
            return None;
        }
        let container = status.str("name").unwrap_or_default();
        let mut words = format!("container {container} ended with exit code {code}");
        for more in [reason, ended.str("message")].into_iter().flatten() {
            words = format!("{words}: {}", more.trim());
        }
        Some(words)
    });
    let status = object.get("status");
    let whole = status.and_then(|status| {
        let reason = status.str("reason")?;
        Some(status.str("message").map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}")))
    });
    // An eviction ends the containers, too, and is what explains it.
    whole.or(ended).unwrap_or_else(|| "its pod failed and says no more".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> PodSeen {
        let labels = json!({"batch.kubernetes.io/job-name": "a"});
        let container = json!({"name": "main", "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}}});
        let object = json!({
            "metadata": {"name": "a-x", "namespace": "scans", "labels": labels},
            "spec": {"containers": [container], "nodeName": ""},
            "status": status,
        });
        PodSeen::read(&Node::from(object)).unwrap()
    }

    #[test]
    fn a_pod_says_why_it_does_not_run() {
        let waiting = |reason: &str| json!({"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason, "message": "m"}}}]});
        let cause = |status: Value| match pod(&status).phase {
            Phase::Pending(reason) => reason.map(|reason| (reason.cause, reason.message)),
            other => panic!("{other:?}"),
        };
        assert_eq!(cause(waiting("ImagePullBackOff")), Some((Cause::Image, "ImagePullBackOff: m".to_owned())));
        assert_eq!(cause(waiting("InvalidImageName")).unwrap().0, Cause::ImageForGood);
        assert_eq!(cause(waiting("CreateContainerConfigError")).unwrap().0, Cause::Setup);
        assert_eq!(cause(waiting("ContainerCreating")), None);
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
        ]});
        assert_eq!(cause(unscheduled), Some((Cause::Unschedulable, "0/3 nodes are available".to_owned())));
        assert_eq!(pod(&json!({})).takes, Amounts { cpu: 200, memory: 1 << 30, storage: 0 });
        assert_eq!(pod(&json!({})).node, None);
    }

    #[test]
    fn a_pod_says_what_it_failed_of() {
        let ended = |state: Value| json!({"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": state}}]});
        let failed = |status: Value| match pod(&status).phase {
            Phase::Failed(words) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(ended(json!({"exitCode": 3, "reason": "Error"}))), "container main ended with exit code 3");
        assert!(failed(ended(json!({"exitCode": 137, "reason": "OOMKilled"}))).ends_with("137: OOMKilled"));
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
        assert_eq!(failed(evicted), "Evicted: low on memory");
        assert!(failed(json!({"phase": "Failed"})).contains("says no more"));
    }

    #[test]
    fn refusals_are_told_apart_by_their_words() {
        for (message, cause) in [
            ("admission webhook \"pods.supercargo.dev\" denied the request: …", Cause::Policy),
            (
                "pods \"a-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Cause::Policy,
            ),
            ("pods \"a-x\" is forbidden: violates PodSecurity \"restricted:latest\": …", Cause::Policy),
            ("pods \"a-x\" is forbidden: maximum cpu usage per Container is 1, but limit is 2", Cause::Policy),
            ("pods \"a-x\" is forbidden: exceeded quota: q, requested: pods=1", Cause::Quota),
            ("Internal error occurred: failed calling webhook \"w\": denied the request", Cause::Creation),
            ("pods \"a-x\" is forbidden: error looking up service account", Cause::Creation),
        ] {
            assert_eq!(refusal(message), cause, "{message}");
        }
    }

    #[test]
    fn events_count_when_they_are_about_the_pods_of_a_job() {
        let event = |kind: &str, reason: &str| {
            let about = json!({"kind": kind, "namespace": "scans", "name": "a", "uid": "u"});
            let object =
                json!({"involvedObject": about, "reason": reason, "message": "Error creating: exceeded quota"});
            WarningSeen::read(&Node::from(object))
        };
        let warning = event("Job", "FailedCreate").unwrap();
        assert_eq!((warning.reason.cause, warning.reason.message.as_str()), (Cause::Quota, "exceeded quota"));
        assert!(event("Pod", "FailedCreate").is_none() && event("Job", "BackoffLimitExceeded").is_none());
        assert_eq!(warning.at, i64::MIN);
    }

    #[test]
    fn an_event_counts_from_when_it_was_last_so() {
        let about = json!({"kind": "Job", "name": "a"});
        let mut object = json!({"metadata": {"creationTimestamp": "1970-01-01T00:00:10Z"}, "involvedObject": about,
            "reason": "FailedCreate", "lastTimestamp": null, "eventTime": null});
        let at = |object: &Value| WarningSeen::read(&Node::from(object)).unwrap().at;
        assert_eq!(at(&object), 10);
        object["lastTimestamp"] = json!("1970-01-01T00:01:00Z");
        assert_eq!(at(&object), 60);
        object["series"] = json!({"lastObservedTime": "1970-01-01T00:02:00.500000Z"});
        assert_eq!(at(&object), 120);
    }

    #[test]
    fn a_job_ends_by_its_conditions() {
        let job = |kind: &str| {
            let condition = json!({"type": kind, "status": "True", "reason": "R", "message": "m"});
            let object = json!({"metadata": {"name": "a", "uid": "u"}, "status": {"conditions": [condition]}});
            JobSeen::read(&Node::from(object)).unwrap().ended
        };
        assert_eq!(job("Complete"), Some(Ended::Complete));
        assert_eq!(job("Failed"), Some(Ended::Failed("R".to_owned(), "m".to_owned())));
        // The pods are still being ended.
        assert_eq!((job("FailureTarget"), job("SuccessCriteriaMet")), (None, None));
    }
}
