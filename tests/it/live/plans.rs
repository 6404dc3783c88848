//! What is seen is what is planned with.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::cluster::{Replica, api, node, scan, service};
use crate::server::eventually;

/// §6: "first the best fit among nodes already in use, then the other nodes in use by fit, then a few unused ones"
#[tokio::test]
async fn a_scan_gets_a_ladder_of_the_nodes_as_they_are_now() {
    let api = api(&["a", "b", "c"]);
    api.put("pods", service("web", "b", "1"));
    let replica = Replica::ready(&api).await;
    assert_eq!(replica.ladder().await.unwrap()[0], "b");
    let admitted = replica.admit(scan("one", "500m")).await;
    assert_eq!(admitted.pod["metadata"]["annotations"]["supercargo.dev/placement"], "b");
    assert!(!admitted.has_affinity(), "never both");
    eventually("it is reported", async || (replica.status().nodes, replica.status().pods) == (3, 1)).await;

    api.put("pods", service("db", "c", "3"));
    replica.sees("c is the fullest now", &["c", "b", "a"]).await;
    api.put("nodes", {
        let mut node = node("c");
        node["spec"] = json!({"unschedulable": true});
        node
    });
    replica.sees("c is cordoned", &["b", "a"]).await;
    api.delete("pods", "shop", "web");
    api.put("nodes", node("d"));
    eventually("all are unused", async || replica.ladder().await.is_some_and(|nodes| nodes.len() == 3)).await;
}

#[tokio::test]
async fn a_node_that_vanishes_is_not_named_any_more_though_its_pods_are_still_there() {
    let api = api(&["a", "b"]);
    api.put("pods", service("web", "b", "1"));
    let replica = Replica::ready(&api).await;
    let planned = replica.admit(scan("one", "500m")).await;
    assert_eq!(planned.ladder().unwrap()[0], "b");
    api.delete("nodes", "", "b");
    replica.sees("b is gone", &["a"]).await;
    // What was planned for it comes into view and finds no place there.
    api.put("pods", planned.pending("one-1"));
    api.delete("pods", "shop", "web");
    eventually("nothing is left of it", async || (replica.status().nodes, replica.status().pods) == (1, 0)).await;
}

/// §6: "what was planned but not yet seen bound counts as used". Eight scans of 500m fill a node of four cores.
#[tokio::test]
async fn two_hundred_at_once_never_share_a_place() {
    let names: Vec<String> = (0..40).map(|index| format!("n{index:02}")).collect();
    let api = api(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let replica = std::sync::Arc::new(Replica::ready(&api).await);
    let mut tasks = tokio::task::JoinSet::new();
    // A plan lives for three seconds, and the test may be late on a busy machine: these are from a clock that is two ahead.
    let now = Timestamp::now() + SignedDuration::from_secs(2);
    for index in 0..200 {
        let replica = std::sync::Arc::clone(&replica);
        // Half of them are the pods of one parallel Job, which look alike.
        let job = if index % 2 == 0 { "parallel".to_owned() } else { format!("job-{index}") };
        tasks.spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(replica.admit_at(scan(&job, "500m"), now, false))
        });
    }
    let mut used: HashMap<String, usize> = HashMap::new();
    for admitted in tasks.join_all().await {
        *used.entry(admitted.ladder().unwrap()[0].clone()).or_default() += 1;
    }
    assert_eq!(used.values().sum::<usize>(), 200);
    assert!(used.values().all(|count| *count <= 8), "{used:?}");
    assert_eq!(used.len(), 25, "and none is left half empty: {used:?}");
}

#[tokio::test]
async fn a_dry_run_reserves_nothing() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    let now = Timestamp::now();
    for _ in 0..20 {
        let admitted = replica.admit_at(scan("one", "3"), now, true).await;
        assert_eq!(admitted.ladder().unwrap(), ["a"]);
    }
    assert!(replica.admit_at(scan("one", "3"), now, false).await.ladder().is_some());
    let second = replica.admit_at(scan("two", "3"), now, false).await;
    assert_eq!(second.ladder(), None, "a is full, and no other node is there");
}

/// A controller tries again what was refused by somebody else after us; the plans that come to nothing go by themselves.
#[tokio::test]
async fn a_pod_that_is_refused_and_tried_again_books_nothing_twice() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    let start = Timestamp::now();
    for attempt in 0..5 {
        let now = start + SignedDuration::from_secs(attempt);
        assert!(replica.admit_at(scan("one", "2"), now, false).await.ladder().is_some(), "attempt {attempt}");
    }
    let last = start + SignedDuration::from_secs(4);
    assert!(replica.admit_at(scan("two", "2"), last, false).await.ladder().is_some(), "there is room for one more");
    assert!(replica.admit_at(scan("three", "2"), last, false).await.ladder().is_none());
    let later = last + SignedDuration::from_secs(3);
    assert!(replica.admit_at(scan("three", "4"), later, true).await.ladder().is_some(), "nobody came");
}

/// Nor does it stand in its own way: its place is still the best.
#[tokio::test]
async fn a_pod_that_fills_a_node_gets_it_again_after_it_was_refused() {
    let api = api(&["a", "b"]);
    api.put("pods", service("web", "b", "1"));
    let replica = Replica::ready(&api).await;
    let start = Timestamp::now();
    for seconds in [0, 1, 3] {
        let now = start + SignedDuration::from_secs(seconds);
        assert_eq!(replica.admit_at(scan("one", "3"), now, false).await.ladder().unwrap(), ["b", "a"]);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_costs_nothing_for_good() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    let now = Timestamp::now();
    let ahead = now + SignedDuration::from_hours(2);
    assert!(replica.admit_at(scan("one", "4"), ahead, false).await.ladder().is_some());
    // Set back: what was planned in the future does not stand; set forward again: neither does this.
    assert!(replica.admit_at(scan("two", "4"), now, false).await.ladder().is_some());
    assert!(replica.admit_at(scan("three", "4"), ahead, true).await.ladder().is_some());
    eventually("nothing is left", async || replica.status().reservations == 0).await;
}

/// §6: "pending pods that carry it, match a Pack profile and are younger than 30 s are counted by every replica"
#[tokio::test]
async fn what_one_replica_plans_the_other_counts() {
    let api = api(&["a", "b"]);
    let (first, second) = (Replica::ready(&api).await, Replica::ready(&api).await);
    let one = first.admit(scan("one", "3")).await;
    let place = one.ladder().unwrap()[0].clone();
    api.put("pods", one.pending("one-1"));
    eventually("the second sees it", async || second.status().pods == 1).await;
    let two = second.admit(scan("two", "3")).await;
    assert_ne!(two.ladder().unwrap()[0], place, "{place} has no room for both");
    eventually("the first lets its own reservation go", async || {
        first.status().pods == 1 && first.status().reservations == 0
    })
    .await;
    // Not counted twice: one core is left there.
    let small = first.admit_at(scan("small", "1"), Timestamp::now(), true).await;
    assert_eq!(small.ladder().unwrap()[0], place);
}

/// The pods of a parallel Job have one key. One that was created then, and changes now, is not the one that was planned last.
async fn a_change_settles_no_other_pods_reservation(created: &str) {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    let first = replica.admit_at(scan("parallel", "1"), Timestamp::now(), true).await;
    let mut changing = first.pending("parallel-1");
    changing["metadata"]["creationTimestamp"] = json!(created);
    // On a machine so slow that the reservation has expired nothing was shown, and it is done again.
    for round in 1.. {
        let start = Timestamp::now();
        let second = replica.admit_at(scan("parallel", "3"), start, false).await;
        assert_eq!(second.ladder().unwrap(), ["a"]);
        api.put("pods", changing.clone());
        // Comes after it, so it has been seen.
        api.put("pods", service(&format!("web-{round}"), "a", "10m"));
        eventually("the change is seen", async || replica.status().pods == round).await;
        let third = replica.admit_at(scan("other", "2"), start, true).await;
        let late = Timestamp::now().duration_since(start) > SignedDuration::from_millis(2_500);
        assert!(third.ladder().is_none() || late, "round {round}");
        if !late {
            break;
        }
        eventually("it has expired", async || replica.status().reservations == 0).await;
    }
}

#[tokio::test]
async fn a_pod_that_changes_long_after_it_came_settles_no_other_pods_reservation() {
    a_change_settles_no_other_pods_reservation("2026-01-01T00:00:00Z").await;
}

#[tokio::test]
async fn a_pod_from_the_future_settles_no_other_pods_reservation() {
    a_change_settles_no_other_pods_reservation("2099-01-01T00:00:00Z").await;
}

#[tokio::test]
async fn a_plan_that_nobody_made_is_not_believed() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    let planned = replica.admit_at(scan("one", "4"), Timestamp::now(), true).await;
    // No profile packs it; its namespace is no namespace for scans; it is too old; it is not scheduled now, or not by
    // kube-scheduler; it would not fit.
    let mut unlabelled = planned.pending("forged-1");
    unlabelled["metadata"]["labels"] = json!({});
    let mut elsewhere = planned.pending("forged-2");
    elsewhere["metadata"]["namespace"] = json!("shop");
    let mut old = planned.pending("forged-3");
    old["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut gated = planned.pending("forged-4");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/never"}]);
    let mut others = planned.pending("forged-5");
    others["spec"]["schedulerName"] = json!("volcano");
    let mut absurd = planned.pending("forged-6");
    absurd["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("5");
    for pod in [unlabelled, elsewhere, old, gated, others, absurd] {
        api.put("pods", pod);
    }
    // Comes after them, so they have been seen.
    api.put("pods", service("web", "a", "1"));
    eventually("the last one is seen", async || replica.status().pods > 0).await;
    assert_eq!(replica.status().pods, 1);
    assert!(replica.admit_at(scan("two", "3"), Timestamp::now(), true).await.ladder().is_some());
}

#[tokio::test]
async fn an_old_karpenter_gets_no_node_names() {
    let deployment = |version: &str| {
        json!({"kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"name": "karpenter", "namespace": "kube-system", "labels": {"app.kubernetes.io/version": version}},
            "spec": {"selector": {}, "template": {"spec": {"containers": []}}}})
    };
    for (version, allowed) in [("1.4.0", false), ("nightly", false), ("1.5.0", true)] {
        let api = api(&["a"]);
        api.put("deployments", deployment(version));
        let replica = Replica::start(&api, |_| {}).await;
        eventually("a first view", async || replica.is_open()).await;
        let admitted = replica.admit(scan("one", "1")).await;
        assert_eq!(admitted.ladder().is_some(), allowed, "{version}");
        assert_eq!(admitted.has_affinity(), !allowed, "{version}");
    }
}

#[tokio::test]
async fn a_volume_that_one_node_can_mount_keeps_the_scan_to_it() {
    let api = api(&["a", "b"]);
    api.put("pods", service("web", "b", "1"));
    let hostname = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]});
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [hostname]}]});
    api.put(
        "persistentvolumes",
        json!({"kind": "PersistentVolume", "apiVersion": "v1", "metadata": {"name": "disk"},
        "spec": {"nodeAffinity": {"required": required}}}),
    );
    api.put("persistentvolumeclaims", json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1",
        "metadata": {"name": "cache", "namespace": "scans"}, "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "disk"}}));
    let replica = Replica::ready(&api).await;
    let mut pod = scan("one", "500m");
    pod["spec"]["volumes"] = json!([{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}]);
    eventually("the volume is known", async || {
        replica.admit_at(pod.clone(), Timestamp::now(), true).await.ladder().unwrap() == ["a"]
    })
    .await;
    assert_eq!(replica.ladder().await.unwrap(), ["b", "a"], "others go where they fit best");
}
