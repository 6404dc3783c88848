//! The safety nets, seen from the cluster: a mutator that is wrong and one that panics (a build with feature `sabotage`)
//! stop nobody's pod.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;

use crate::controlplane::ControlPlane;
use crate::fixtures::{good_container, scan_pod};
use crate::install::{Setup, install, scan_namespace};
use crate::objects::object;

const PROFILE: &str = "supercargo.dev/profile";

/// What the panic's message quotes of the pod.
const QUOTED: &str = "hunter-two-9";

/// A wrong patch is held back and the pod admitted; a panic costs one HTTP 500 and is counted, says nothing of what it held, and the pod is
/// admitted.
pub async fn catch_a_wrong_patch_and_a_panic(plane: &ControlPlane) -> Result<()> {
    let Some(program) = std::env::var_os("SUPERCARGO_SABOTAGE_BIN").map(PathBuf::from) else {
        // `make e2e` names the program that it tests; then this one must be there too.
        if std::env::var_os("SUPERCARGO_BIN").is_some() {
            bail!("SUPERCARGO_SABOTAGE_BIN names no build with feature `sabotage`");
        }
        println!("    left out: set SUPERCARGO_SABOTAGE_BIN to a build with feature `sabotage`");
        return Ok(());
    };
    let scans = scan_namespace(plane, "nets").await?;
    let installed = install(plane, &Setup { program: Some(&program), ..Setup::default() }).await?;
    let webhook = &installed.webhook;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &scans);

    let create = async |how: &str| {
        let mut pod = scan_pod(how);
        pod["metadata"]["annotations"]["sabotage.supercargo.dev/mutator"] = how.into();
        pod["metadata"]["annotations"]["sabotage.supercargo.dev/say"] = QUOTED.into();
        // Not equipped, it has to pass by itself: limits, and the label without which `profile-label` refuses a scan pod.
        pod["metadata"]["labels"]["network.supercargo.dev/egress"] = "results-only".into();
        pod["spec"]["containers"] = serde_json::json!([good_container("app")]);
        let pod = pods.create(&PostParams::default(), &object(pod)?).await.with_context(|| how.to_owned())?;
        anyhow::Ok(pod.metadata.annotations.unwrap_or_default().contains_key(PROFILE))
    };
    ensure!(create("none").await?, "a pod without sabotage was not equipped");
    ensure!(!create("wrong").await?, "the wrong patch was applied");
    let held_back = webhook.metric("supercargo_patches_held_back_total", &[]).await?;
    ensure!(held_back == 1, "{held_back} patches held back, say the metrics");
    webhook.logged("a wrong patch was held back").await?;

    ensure!(!create("panic").await?, "the pod whose review panicked was equipped");
    let panics = webhook.metric("supercargo_panics_total", &[]).await?;
    let faults = webhook.metric("supercargo_faults_total", &[]).await?;
    ensure!(panics == 1 && faults == 1, "{panics} panics and {faults} faults, say the metrics");
    webhook.logged("panicked; please report the place").await?;
    let log = webhook.log().await?;
    ensure!(!log.contains(QUOTED), "what the panic quoted is in the log: {log}");
    let (_, metrics) = webhook.get("/metrics").await?;
    ensure!(!metrics.contains(QUOTED), "what the panic quoted is in the metrics: {metrics}");
    let (ready, body) = webhook.get("/readyz").await?;
    ensure!(ready == 200, "not ready after a panic: {body}");
    ensure!(create("afterwards").await?, "no pod is equipped after a panic");
    Ok(())
}
