//! Who is believed to be a controller, and by what names an object is known through its owner.
//!
//! A controller is believed by its own service account only: anyone who may create pods can write ownerReferences.

use crate::workload::Workload;

/// The service accounts in kube-system that make pods, or what pods are made from.
const ACCOUNTS: [&str; 7] = [
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "job-controller",
    "replicaset-controller",
    "replication-controller",
    "statefulset-controller",
];

/// Whether this user is one of Kubernetes' own controllers.
pub(super) fn is_trusted(username: &str) -> bool {
    username == "system:kube-controller-manager"
        || username
            .strip_prefix("system:serviceaccount:kube-system:")
            .is_some_and(|account| ACCOUNTS.contains(&account))
}

/// The (kind, name) pairs by which exemptions may mean an object: its own, and its owners' when a controller made it. A
/// ReplicaSet is named after its Deployment and a hash, a CronJob's Job after it and a time: both are cut off.
pub(super) fn known_as(workload: &Workload<'_>, name: &str, kind: &str, trusted: bool) -> Vec<(String, String)> {
    let mut known = vec![(kind.to_owned(), name.to_owned())];
    if let Some((kind, name)) = workload.controller().filter(|_| trusted) {
        known.push((kind.to_owned(), name.to_owned()));
        let above = match (kind, name.rsplit_once('-')) {
            ("ReplicaSet", Some((stem, hash))) if is_template_hash(hash) => Some(("Deployment", stem)),
            ("Job", Some((stem, minutes))) if is_schedule(minutes) => Some(("CronJob", stem)),
            _ => None,
        };
        known.extend(above.map(|(kind, stem)| (kind.to_owned(), stem.to_owned())));
    }
    known
}

/// What the Deployment controller puts behind a ReplicaSet's name: a 32-bit number in letters that spell no words
/// (apimachinery's `SafeEncodeString`). A ReplicaSet that a person called `team-web` is not the Deployment `team`'s.
fn is_template_hash(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

/// What the CronJob controller puts behind a Job's name: the minutes since 1970, eight digits from 1989 to 2160. A Job that
/// a person called `scan-2` is not the CronJob `scan`'s.
fn is_schedule(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn only_the_controllers_own_accounts_are_trusted() {
        assert!(is_trusted("system:serviceaccount:kube-system:job-controller"));
        assert!(is_trusted("system:kube-controller-manager"));
        for forged in [
            "",
            "job-controller",
            "system:serviceaccount:shop:job-controller",
            "system:serviceaccount:kube-system:default",
        ] {
            assert!(!is_trusted(forged), "{forged}");
        }
    }
}
