//! When the API server is away, silent, or has forgotten: back to podAffinity, nothing waits, and it comes back by itself.

use std::time::Duration;

use supercargo::packing::{Packed, Reason};

use super::api::Mood;
use super::cluster::{Replica, api, node, scan, service};
use crate::server::eventually;

/// Short enough for a test to see it pass, and far longer than the API server's bookmarks are apart.
const STALE_AFTER: Duration = Duration::from_secs(2);

async fn falls_back_and_returns(mood: Mood) {
    let api = api(&["a", "b"]);
    api.put("pods", service("web", "b", "1"));
    let replica = Replica::ready_with(&api, |settings| settings.stale_after = STALE_AFTER).await;
    api.behave(mood);
    let stale = async || replica.admit_at(scan("one", "100m"), jiff::Timestamp::now(), true).await;
    eventually("no ladder", async || stale().await.ladder().is_none()).await;
    let fallback = stale().await;
    assert!(fallback.has_affinity());
    assert_eq!(fallback.outcome.packed, Some(Packed::Affinity(Reason::NoView)));
    assert!(fallback.outcome.reservation.is_none());
    eventually("the metric says so", async || replica.status().stale).await;

    // What happens meanwhile is seen afterwards.
    api.delete("pods", "shop", "web");
    api.put("pods", service("db", "a", "1"));
    api.behave(Mood::Well);
    replica.sees("it is back", &["a", "b"]).await;
    eventually("the metric says so", async || {
        let status = replica.status();
        !status.stale && status.age < STALE_AFTER
    })
    .await;
}

#[tokio::test]
async fn silence_of_the_api_server() {
    falls_back_and_returns(Mood::Silent).await;
}

#[tokio::test]
async fn an_api_server_that_is_away() {
    falls_back_and_returns(Mood::Refusing).await;
}

/// Each watch is opened, and then fails: that the API server answers does not make the view any newer.
#[tokio::test]
async fn watches_that_break_off_with_an_error() {
    falls_back_and_returns(Mood::Failing).await;
}

/// Where nothing happens, watches that end when their time is over are the only sign of life.
#[tokio::test]
async fn an_idle_cluster_does_not_go_stale() {
    let api = api(&["a"]);
    let replica = Replica::ready_with(&api, |settings| settings.stale_after = STALE_AFTER).await;
    let lists = (api.lists("pods"), api.lists("nodes"));
    api.behave(Mood::Idle);
    tokio::time::sleep(2 * STALE_AFTER).await;
    replica.sees("there is a ladder after that", &["a"]).await;
    assert_eq!((api.lists("pods"), api.lists("nodes")), lists, "nothing was listed again");
}

#[tokio::test]
async fn a_start_without_an_api_server_is_delayed_and_no_more() {
    let api = api(&["a"]);
    api.behave(Mood::Silent);
    let replica = Replica::start(&api, |settings| settings.patience = Duration::from_millis(50)).await;
    eventually("it is ready all the same", async || replica.is_open()).await;
    eventually("the metric says so", async || replica.status().stale).await;
    api.behave(Mood::Well);
    replica.sees("a ladder by itself", &["a"]).await;
}

/// What the log of the API server does not reach back to is listed anew, and what is gone meanwhile leaves no ghost.
#[tokio::test]
async fn a_watch_that_has_expired() {
    let api = api(&["a", "b", "c"]);
    for (name, node) in [("web", "b"), ("db", "c")] {
        api.put("pods", service(name, node, "1"));
    }
    let replica = Replica::ready(&api).await;
    eventually("both are seen", async || replica.status().pods == 2).await;
    let lists = (api.lists("pods"), api.lists("nodes"));
    api.expire("pods", |api| api.delete("pods", "shop", "web"));
    api.expire("nodes", |api| {
        api.delete("nodes", "", "c");
        api.put("nodes", node("d"));
    });
    eventually("both are listed again", async || api.lists("pods") > lists.0 && api.lists("nodes") > lists.1).await;
    eventually("nothing is left over", async || {
        replica.ladder().await.is_some_and(|mut ladder| {
            ladder.sort();
            ladder == ["a", "b", "d"]
        })
    })
    .await;
    // The pod of node c is still there, and counts should the node come back.
    eventually("one pod is left", async || (replica.status().pods, replica.status().nodes) == (1, 3)).await;
}

#[tokio::test]
async fn five_thousand_pods_deleted_at_once() {
    let names: Vec<String> = (0..100).map(|index| format!("n{index:02}")).collect();
    let api = api(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for index in 0..5_000 {
        api.put("pods", service(&format!("web-{index}"), &names[index % 99], "10m"));
    }
    let replica = Replica::ready(&api).await;
    eventually("all are seen", async || replica.status().pods == 5_000).await;
    for index in 0..5_000 {
        api.delete("pods", "shop", &format!("web-{index}"));
    }
    // Pods are planned while they go.
    while replica.status().pods > 0 {
        assert!(replica.ladder().await.is_some());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api.put("pods", service("last", "n99", "1"));
    eventually("it goes on", async || replica.ladder().await.is_some_and(|ladder| ladder[0] == "n99")).await;
}

/// A lookup that hangs for ever must not keep requests from being answered.
#[tokio::test]
async fn nothing_waits_for_the_api_server() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    api.behave(Mood::Silent);
    let burst = async {
        for index in 0..500 {
            replica.admit(scan(&format!("job-{index}"), "100m")).await;
        }
    };
    tokio::time::timeout(crate::server::PATIENCE, burst).await.unwrap();
}
