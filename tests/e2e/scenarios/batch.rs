//! `supercargo batch` in a real cluster, run by somebody who has nothing but the roles that manifests/rbac gives for it.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{Setup, documents, install, manifest, path, repository, scan_namespace};
use crate::objects::{SOON, nodes, nodes_used, pods, set};
use crate::wait::wait_for;
use crate::webhook::program;

/// The groups of [`jobs`].
const GROUPS: [&str; 2] = ["night", "pull request #7"];

/// The example and two groups run to their end without the webhook and with it; with it each pod has its group's label and
/// names nodes, and the Jobs are gone when that was asked for.
pub async fn runs_to_its_end_with_and_without_the_webhook(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "batch").await?;
    nodes(plane, "node", 6, "4", "16Gi", 110).await?;
    let_dev_run_batches(plane, &namespace).await?;
    let example = path(&repository("manifests/examples/batch.json"))?;

    let ran = batch(plane, &["-n", &namespace, "--cleanup", &example]).await?;
    ended(&ran, 0, &["3 jobs in 2 groups: 3 succeeded, after ", "removed the Jobs and their pods"])?;
    for line in String::from_utf8_lossy(&ran.stdout).lines() {
        println!("      {line}");
    }
    let (alone, _) = run_groups(plane, &namespace, "alone").await?;

    let installed = install(plane, &Setup::default()).await?;
    let (packed, pods) = run_groups(plane, &namespace, "packed").await?;
    println!("    nodes used by two groups of 8 jobs on 6 nodes: {alone} without the webhook, {packed} with it");
    ensure!(packed < alone, "packed on {packed} nodes, {alone} without the webhook");
    for pod in &pods {
        let group = &pod["metadata"]["annotations"]["supercargo.dev/batch-group"];
        ensure!(group.as_str().is_some_and(|group| GROUPS.contains(&group)), "its lifetime is kept by {group}");
        let placement = &pod["metadata"]["annotations"]["supercargo.dev/placement"];
        ensure!(placement.is_string(), "it was not packed: {}", pod["metadata"]);
        // Where the webhook has no view of the nodes.
        if placement == "podAffinity" {
            let group = &pod["metadata"]["labels"]["batchjobs-group"];
            let terms = &pod["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
            let selected = &terms[0]["podAffinityTerm"]["labelSelector"]["matchLabels"]["batchjobs-group"];
            ensure!(group == selected, "the pods of {group} are packed by {selected}");
        }
    }
    let placed = installed.webhook.metric("supercargo_mutations_total", &[("mutator", "placement")]).await?;
    ensure!(placed >= 16, "{placed} pods were placed, say the metrics");
    Ok(())
}

/// What the webhook refuses, what Pod Security refuses, and a name that is taken: each is said, and the exit code is 1.
pub async fn says_why_jobs_are_refused(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "batch-refused").await?;
    nodes(plane, "node", 1, "4", "16Gi", 110).await?;
    let_dev_run_batches(plane, &namespace).await?;
    // Dropping it ends it.
    let _installed = install(plane, &Setup::default()).await?;

    // The profile wants to know which sources to mount.
    let mut night = jobs(&["no-source", "fine"], "100m");
    night[0].as_object_mut().context("a job")?.remove("source");
    let file = write(plane, "refused", &json!({"night": night}))?;
    let ran = batch(plane, &["-n", &namespace, "--run", "one", &file]).await?;
    ended(
        &ran,
        1,
        &[
            "night/no-source: refused: ",
            "denied the request",
            "[profile-volume]",
            "fix ",
            "night/fine: succeeded",
            "2 jobs in 1 group: 1 succeeded, 1 refused, after ",
        ],
    )?;

    // The Job of the run before is kept for a while.
    let ran = batch(plane, &["-n", &namespace, "--run", "two", &file]).await?;
    ended(&ran, 1, &["night/fine: refused: another Job of this name is there: remove it (kubectl delete job fine"])?;
    let ran = batch(plane, &["-n", &namespace, "--run", "one", &file]).await?;
    ended(&ran, 1, &["night/fine: succeeded", "1 succeeded, 1 refused"])?;

    // A Job is taken, and its pods are not.
    let label = ["label", "namespace", &namespace, "pod-security.kubernetes.io/enforce=restricted"];
    plane.kubectl(User::Admin, &label, None).await?.success()?;
    let root = write(plane, "root", &json!({"night": jobs(&["root"], "100m")}))?;
    let ran = batch(plane, &["-n", &namespace, "--run-as-user", "0", &root]).await?;
    ended(
        &ran,
        1,
        &[
            "night/root: its pod is refused: pods \"root-",
            "violates PodSecurity",
            "1 job has not ended, and goes on",
            "to remove all jobs of this run:",
        ],
    )?;
    let user = write(plane, "user", &json!({"night": jobs(&["user"], "100m")}))?;
    let ran = batch(plane, &["-n", &namespace, "--cleanup", &user]).await?;
    ended(&ran, 0, &["night/user: succeeded"])
}

/// A job that no node takes is waited for until its deadline (1) or the end of somebody's patience (2); quotas of pods and of Jobs are
/// waited for; what no node could hold is not sent.
pub async fn waits_for_nodes_and_quotas(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "batch-waits").await?;
    nodes(plane, "node", 2, "4", "16Gi", 110).await?;
    let_dev_run_batches(plane, &namespace).await?;
    let file = write(plane, "large", &json!({"night": jobs(&["large"], "5")}))?;

    let ran = batch(plane, &["-n", &namespace, &file]).await?;
    ended(&ran, 2, &["night[0].requestCpu: no node holds so much: the largest has 4000m for pods", "--scale-up"])?;
    let left: Api<Job> = Api::namespaced(plane.admin(), &namespace);
    ensure!(left.list(&ListParams::default()).await?.items.is_empty(), "it was sent");

    let ran = batch(plane, &["-n", &namespace, "--scale-up", "--deadline", "10s", "--cleanup", &file]).await?;
    let waits = "night/large: no node takes it: 0/2 nodes are available: 2 Insufficient cpu";
    ended(&ran, 1, &[waits, "night/large: failed: no node takes it: 0/2 nodes", "DeadlineExceeded"])?;
    let ran = batch(plane, &["-n", &namespace, "--scale-up", "--timeout", "8s", "--run", "r2", &file]).await?;
    ended(
        &ran,
        2,
        &[waits, "1 waiting, after", "stopped, as the time of --timeout was over", "--run r2 -n ", " --only-watch\n"],
    )?;
    let again = ["-n", &namespace, "--scale-up", "--timeout", "8s", "--run", "r2", "--only-watch", &file];
    let ran = batch(plane, &again).await?;
    ended(&ran, 2, &[waits, "1 waiting, after"])?;
    // The deletion goes on in the background.
    let remove = ["-n", &namespace, "delete", "jobs", "-l", "supercargo.dev/batch=r2", "--cascade=foreground"];
    plane.kubectl(User::Admin, &remove, None).await?.success()?;

    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one-pod", "namespace": namespace},
        "spec": {"hard": {"pods": "1"}}});
    plane.apply(&[quota]).await?;
    let file = write(plane, "quota", &json!({"night": jobs(&["one", "other"], "100m")}))?;
    let ran = batch(plane, &["-n", &namespace, "--cleanup", &file]).await?;
    ended(&ran, 0, &["the quota is used up: pods ", "exceeded quota: one-pod", "2 succeeded"])?;

    // Jobs that have ended count, too, as long as they are kept.
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one-job", "namespace": namespace},
        "spec": {"hard": {"count/jobs.batch": "1"}}});
    plane.apply(&[quota]).await?;
    let ran = batch(plane, &["-n", &namespace, "--keep", "1s", &file]).await?;
    ended(&ran, 0, &["the quota is used up: jobs.batch ", "exceeded quota: one-job", "2 succeeded"])
}

/// Runs two groups of 8 jobs each; the number of nodes used, and the pods.
async fn run_groups(plane: &ControlPlane, namespace: &str, run: &str) -> Result<(usize, Vec<Value>)> {
    // All 16 do with one node and are there at once.
    let names = |group: usize| (0..8).map(|job| format!("{run}-{group}-{job}")).collect::<Vec<_>>();
    let group = |group: usize| jobs(&names(group).iter().map(String::as_str).collect::<Vec<_>>(), "200m");
    let file = write(plane, run, &json!({GROUPS[0]: group(0), GROUPS[1]: group(1)}))?;
    let ran = batch(plane, &["-n", namespace, "--run", run, &file]).await?;
    let said = ["16 jobs in 2 groups: 16 succeeded, after ", " used, at most ", "node-minutes against a bound of "];
    ended(&ran, 0, &said)?;
    let selector = format!("supercargo.dev/batch={run}");
    let used = nodes_used(plane, namespace, &selector, 16).await?.len();
    let pods = pods(plane, namespace, &selector).await?;
    let groups: std::collections::BTreeSet<_> =
        pods.iter().map(|pod| pod["metadata"]["labels"]["batchjobs-group"].to_string()).collect();
    let expected = [format!("\"night-{run}\""), format!("\"pull-request--7-{run}\"")];
    ensure!(groups.iter().eq(&expected), "the groups are {groups:?}");
    Ok((used, pods))
}

/// Jobs as a file has them.
fn jobs(names: &[&str], cpu: &str) -> Value {
    let job = |name: &&str| json!({"jobName": name, "image": "registry.example/scan:1", "requestMem": "256Mi", "requestCpu": cpu, "source": "repository"});
    names.iter().map(job).collect()
}

fn write(plane: &ControlPlane, name: &str, batch: &Value) -> Result<String> {
    let file = plane.folder().join(format!("batch-{name}.json"));
    std::fs::write(&file, batch.to_string())?;
    path(&file)
}

/// Runs the program as `dev`.
async fn batch(plane: &ControlPlane, args: &[&str]) -> Result<Output> {
    let kubeconfig = path(&plane.kubeconfig(User::Dev))?;
    let mut command = Command::new(program());
    command.args(["batch", "--kubeconfig", &kubeconfig]).args(args).kill_on_drop(true);
    Ok(tokio::time::timeout(Duration::from_secs(120), command.output())
        .await
        .context("a batch that does not end")??)
}

/// It ended with this code, and these words are in what it said, in this order for each of both streams.
fn ended(ran: &Output, code: i32, words: &[&str]) -> Result<()> {
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.code() == Some(code), "{}, not {code}:\n{out}{err}", ran.status);
    for words in words {
        ensure!(out.contains(words) || err.contains(words), "{words:?} is not said:\n{out}{err}");
    }
    Ok(())
}

/// Gives `dev` the two roles, the first in one namespace, and waits until they count.
async fn let_dev_run_batches(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let mut objects = documents(&manifest("manifests/rbac/batch-runner.yaml", &[])?)?;
    for (kind, role) in [("RoleBinding", "supercargo-batch-runner"), ("ClusterRoleBinding", "supercargo-node-viewer")] {
        let mut binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": format!("dev-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": User::Dev.name()}],
        });
        if kind == "RoleBinding" {
            set(&mut binding, "/metadata/namespace", json!(namespace));
        }
        objects.push(binding);
    }
    plane.apply(&objects).await?;
    let jobs: Api<Job> = Api::namespaced(plane.client(User::Dev).await?, namespace);
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(plane.client(User::Dev).await?);
    wait_for("dev to be let in", SOON, async || {
        jobs.list(&ListParams::default()).await?;
        let names: Vec<String> = nodes.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
        Ok((!names.is_empty()).then_some(()))
    })
    .await
}
