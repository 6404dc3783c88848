//! Who is believed to be a controller, and by what names an object is known through its owner.
//!
//! A controller is believed by its own service account only: anyone who may create pods can write ownerReferences.

use crate::fields::Problems;
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

/// What every service account's username begins with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Whether this user is one of Kubernetes' own controllers, or one of `more`.
pub(super) fn is_trusted(username: &str, more: &[String]) -> bool {
    username == "system:kube-controller-manager"
        || username
            .strip_prefix(SERVICE_ACCOUNT)
            .and_then(|account| account.strip_prefix("kube-system:"))
            .is_some_and(|account| ACCOUNTS.contains(&account))
        || more.iter().any(|account| account == username)
}

/// A service account that an operator trusts as a controller, as the API server names it: a person's name, a group or a pattern
/// would trust more than one program.
pub fn account(text: &str) -> Result<String, String> {
    let parts = text.strip_prefix(SERVICE_ACCOUNT).and_then(|account| account.split_once(':'));
    let mut problems = Problems::default();
    if let Some((namespace, name)) = parts {
        problems.part_name("", namespace);
        problems.object_name("", name);
    }
    if parts.is_none() || !problems.is_empty() {
        return Err(format!("write {SERVICE_ACCOUNT}NAMESPACE:NAME, the whole name of one service account"));
    }
    Ok(text.to_owned())
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
    use super::{account, is_trusted};

    #[test]
    fn only_the_controllers_own_accounts_are_trusted() {
        assert!(is_trusted("system:serviceaccount:kube-system:job-controller", &[]));
        assert!(is_trusted("system:kube-controller-manager", &[]));
        let more = ["system:serviceaccount:cnpg-system:cnpg-manager".to_owned()];
        assert!(is_trusted(&more[0], &more) && !is_trusted(&more[0], &[]));
        for forged in [
            "",
            "job-controller",
            "system:serviceaccount:shop:job-controller",
            "system:serviceaccount:kube-system:default",
            "system:serviceaccount:shop:cnpg-manager",
            "system:serviceaccount:cnpg-system:cnpg-manager-2",
            "cnpg-manager",
        ] {
            assert!(!is_trusted(forged, &more), "{forged}");
        }
    }

    #[test]
    fn an_account_is_named_whole() {
        let name = "system:serviceaccount:cnpg-system:cnpg-manager";
        assert_eq!(account(name).as_deref(), Ok(name));
        for wrong in [
            "",
            "ann",
            "system:serviceaccounts",
            "system:serviceaccounts:shop",
            "system:serviceaccount:",
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:",
            "system:serviceaccount::x",
            "system:serviceaccount:shop:*",
            "system:serviceaccount:*:x",
            "system:serviceaccount:shop:a:b",
            "system:serviceaccount:shop: x",
        ] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
    }
}
