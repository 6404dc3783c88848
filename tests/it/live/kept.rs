//! Lifetimes: learned, written down, shared between replicas, read again at the start.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::{Api, Mood};
use super::cluster::{Replica, api, scan};
use crate::server::eventually;

const NAME: &str = "supercargo-lifetimes";

fn empty_map(api: &Api) {
    let metadata = json!({"name": NAME, "namespace": "supercargo", "labels": {"app.kubernetes.io/name": "supercargo"}});
    api.put("configmaps", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}));
}

/// What is written, as kinds and how many ended of each.
fn written(api: &Api) -> Vec<u64> {
    let map = api.get("configmaps", "supercargo", NAME).unwrap();
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/name"], "supercargo", "the rest of it stays");
    let Some(text) = map["data"]["lifetimes.json"].as_str() else { return Vec::new() };
    let kinds: std::collections::BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
    let count = |kind: &Value| kind["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum();
    kinds.values().map(count).collect()
}

/// A scan that was admitted, ran for a minute on node a, and ended some seconds ago.
async fn ended(replica: &Replica, image: &str, name: &str, ago: i64) -> (Value, Value) {
    let mut pod = scan("job", "100m");
    pod["spec"]["containers"][0]["image"] = json!(image);
    let mut pod = replica.admit_at(pod, Timestamp::now(), true).await.pending(name);
    let time = |ago: i64| {
        json!((Timestamp::now() - SignedDuration::from_secs(ago)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    };
    pod["spec"]["nodeName"] = json!("a");
    pod["status"] = json!({"phase": "Running", "startTime": time(ago + 60)});
    let mut ended = pod.clone();
    ended["status"]["phase"] = json!("Succeeded");
    ended["status"]["containerStatuses"] =
        json!([{"name": "main", "state": {"terminated": {"finishedAt": time(ago)}}}]);
    (pod, ended)
}

async fn run(api: &Api, replica: &Replica, image: &str, name: &str, ago: i64) {
    let (running, ended) = ended(replica, image, name, ago).await;
    api.put("pods", running);
    api.put("pods", ended);
}

#[tokio::test]
async fn what_was_learned_survives_a_restart_and_is_not_learned_twice() {
    let api = api(&["a"]);
    empty_map(&api);
    let replica = Replica::ready(&api).await;
    // Two of a kind: by group and image, and by image alone.
    run(&api, &replica, "scan:1", "one", 20).await;
    eventually("it is written", async || written(&api) == [1, 1]).await;
    drop(replica);

    // Its pod is still there, and is in the first list.
    let replica = Replica::ready(&api).await;
    eventually("it is known", async || replica.status().kinds == 2).await;
    run(&api, &replica, "scan:2", "two", 10).await;
    eventually("the second is written, too", async || written(&api) == [2, 2]).await;
}

#[tokio::test]
async fn what_replicas_write_at_once_is_all_there_and_counted_once() {
    let api = api(&["a"]);
    empty_map(&api);
    let (first, second) = (Replica::ready(&api).await, Replica::ready(&api).await);
    run(&api, &first, "scan:1", "one", 20).await;
    eventually("both have learned", async || first.status().kinds == 2 && second.status().kinds == 2).await;
    // Whoever was second has found what the first wrote.
    eventually("it is written", async || written(&api) == [1, 1]).await;
    let third = Replica::ready(&api).await;
    run(&api, &third, "other:1", "two", 10).await;
    eventually("the new kind stands beside the old one", async || written(&api) == [1, 1, 1, 1]).await;
    eventually("all know it", async || [&first, &second].iter().all(|replica| replica.status().kinds == 4)).await;
}

#[tokio::test]
async fn without_the_config_map_or_with_nonsense_in_it_packing_goes_on() {
    let api = api(&["a"]);
    let replica = Replica::ready(&api).await;
    run(&api, &replica, "scan:1", "one", 20).await;
    eventually("it is learned", async || replica.status().kinds == 2).await;
    assert!(replica.ladder().await.is_some());
    drop(replica);

    let metadata = json!({"name": NAME, "namespace": "supercargo", "labels": {"app.kubernetes.io/name": "supercargo"}});
    let data = json!({"lifetimes.json": "not JSON"});
    api.put("configmaps", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}));
    let _replica = Replica::ready(&api).await;
    // The pod of before is in the first list.
    eventually("it is overwritten", async || {
        let map = api.get("configmaps", "supercargo", NAME).unwrap();
        map["data"]["lifetimes.json"] != "not JSON"
    })
    .await;
    assert_eq!(written(&api), [1, 1]);
}

#[tokio::test]
async fn a_config_map_that_does_not_answer_delays_nothing_but_itself() {
    let api = api(&["a"]);
    empty_map(&api);
    let replica = Replica::ready(&api).await;
    api.behave(Mood::Refusing);
    api.behave(Mood::Well);
    run(&api, &replica, "scan:1", "one", 20).await;
    eventually("it is learned", async || replica.status().kinds == 2).await;
}
