//! Which labels and annotations a profile may add: none that Kubernetes itself reads.

use super::PodProfileSpec;
use crate::fields::Problems;
use crate::tree::escape;

/// Annotations that are not a profile's to add, by how their keys begin, and what to do instead. Those of Kubernetes are what the
/// API server looks at (ValidatePodSpecificAnnotations, 1.36): it refuses pods for them, or nobody heeds them any more.
const RESERVED: [(&str, &str); 6] = [
    ("supercargo.dev/", "annotations of supercargo.dev are written by Supercargo itself: use a domain of your own"),
    (
        "kubernetes.io/config.",
        "marks pods that a kubelet has read from a file, and the API server refuses others: leave it out",
    ),
    (
        "scheduler.alpha.kubernetes.io/",
        "was read by schedulers of old: write nodeSelector or tolerations into spec.placement",
    ),
    ("seccomp.security.alpha.kubernetes.io/", SECURITY_CONTEXT),
    ("container.seccomp.security.alpha.kubernetes.io/", SECURITY_CONTEXT),
    ("container.apparmor.security.beta.kubernetes.io/", SECURITY_CONTEXT),
];

const SECURITY_CONTEXT: &str = "was replaced by securityContext, and is refused or not heeded: write seccompProfile or appArmorProfile into \
     the pods' templates";

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// TotalAnnotationSizeLimitB of apimachinery.
const MOST_BYTES: usize = 256 * 1024;

/// Reports every mistake in labels and annotations at its pointer.
pub(super) fn check(spec: &PodProfileSpec, problems: &mut Problems) {
    for (key, value) in &spec.labels {
        check_label(key, value, problems);
    }
    for (key, value) in &spec.annotations {
        let at = format!("/spec/annotations/{}", escape(key));
        problems.label_key(&at, key);
        if let Some((_, instead)) = RESERVED.iter().find(|(start, _)| key.starts_with(start)) {
            problems.add(&at, *instead);
        }
        if key == DELETION_COST && value.parse::<i32>().map(|cost| cost.to_string()).as_ref() != Ok(value) {
            problems.add(at, format!("{value:?} is no cost: write a whole number of 32 bits, such as \"-100\""));
        }
    }
    if spec.annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MOST_BYTES {
        problems.add("/spec/annotations", "are more than the 256 KiB that a pod can have: write less into them");
    }
}

fn check_label(key: &str, value: &str, problems: &mut Problems) {
    let at = format!("/spec/labels/{}", escape(key));
    problems.label_key(&at, key);
    problems.label_value("/spec/labels", key, value);
    let domain = key.split_once('/').map(|(domain, _)| domain);
    match domain {
        None => problems.add(at, format!("{key:?} has no domain, and a Service or a controller may select by it: write a domain of your own in front, such as example.com/{key}")),
        Some(domain) if ["kubernetes.io", "k8s.io"].iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}"))) => {
            problems.add(at, format!("labels of {domain} belong to controllers and Services: use a domain of your own"));
        }
        Some(_) => {}
    }
}
