//! The program itself with `--cluster`: flags, readiness, metrics, over TLS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use super::cluster::{api, scan, service};
use crate::server::{Client, Serve, eventually, get, issue, metric};
use crate::support::{JOB_CONTROLLER, Review};

#[tokio::test(flavor = "multi_thread")]
async fn serve_packs_by_what_it_sees_and_counts_it() {
    let api = api(&["a", "b"]);
    api.put("pods", service("web", "b", "1"));
    let address = api.serve().await;
    let (folder, issued) = (TempDir::new().unwrap(), issue());
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "supercargo"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let serve = tokio::task::block_in_place(|| {
        Serve::start(folder.path(), &issued, &["--cluster", "--kubeconfig", kubeconfig, "--drain-delay", "0"])
    });
    eventually("ready", async || get(serve.http, "/readyz").await.0 == 200).await;

    let client = Client::new(serve.webhook, &[issued.authority.certificate.as_bytes()], None);
    let body = Review::create(scan("one", "500m")).by(JOB_CONTROLLER).bytes("scans");
    let answer = client.post("/mutate", body).await.json();
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    let mut pod = scan("one", "500m");
    json_patch::patch(&mut pod, &serde_json::from_slice::<json_patch::Patch>(&patch).unwrap()).unwrap();
    assert_eq!(pod["metadata"]["annotations"]["supercargo.dev/placement"], "b");
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    let names: Vec<_> =
        terms.as_array().unwrap().iter().map(|term| &term["preference"]["matchFields"][0]["values"][0]).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(metric(serve.http, r#"supercargo_plans_total{outcome="ladder",reason=""}"#).await, 1);
    eventually("the view is counted", async || {
        metric(serve.http, "supercargo_snapshot_nodes").await == 2
            && metric(serve.http, "supercargo_snapshot_pods").await == 1
            && metric(serve.http, "supercargo_snapshot_stale").await == 0
            && get(serve.http, "/metrics").await.1.contains("supercargo_facts_age_seconds{watch=\"limitranges\"}")
    })
    .await;
}
