//! `make demo-cluster`: the examples through a real API server, as a person would type them, and a picture of the nodes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::install::{Setup, install, manifest, path, repository};
use crate::objects::{SOON, get, nodes};
use crate::wait::wait_for;

const NODES: usize = 12;

/// How often the example Jobs are run at once, under as many names.
const COPIES: usize = 8;

/// Those of manifests/examples/group that do not pack by hand: the fourth draws all others to itself, webhook or not.
const JOBS: [&str; 3] = ["cart", "monorepo", "payments"];

/// The pods must still run when they are counted.
const RUN_FOR: &str = "e2e.supercargo.dev/run-for: 600s";

/// Pods by node, and the letter of each.
type Picture = BTreeMap<String, Vec<char>>;

/// Applies the examples without and with the webhook, and draws what came of it.
pub async fn cluster(plane: &ControlPlane) -> Result<()> {
    nodes(plane, "node", NODES, "4", "16Gi", 110).await?;
    say("A cluster, and nobody who decides what comes aboard.");
    shown(plane, &["get", "nodes"], None).await?;
    file(plane, "manifests/examples/namespace.yaml").await?;
    file(plane, "manifests/examples/source-claim.yaml").await?;

    say(&format!("A batch of scan Jobs, {COPIES} times {}, and their pods where the scheduler puts them.", JOBS.len()));
    jobs(plane).await?;
    let without = picture(plane).await?;
    remove_jobs(plane).await?;

    say(
        "Supercargo comes aboard: manifests/install, and `supercargo serve --cluster` on loopback instead of its pods.",
    );
    let _installed = install(plane, &Setup::default()).await?;
    shown(plane, &["get", "mutatingwebhookconfigurations,validatingwebhookconfigurations"], None).await?;

    say("What should not come aboard bounces, and says what to type next.");
    for name in ["no-probes-no-limits", "secret-in-env-and-args", "secret-in-configmap"] {
        let file = format!("manifests/examples/bad/{name}.yaml");
        println!("$ kubectl apply -f {file}");
        let folder = path(&repository(""))?;
        let stderr = plane.kubectl(User::Admin, &["apply", "-f", &path(&repository(&file))?], None).await?.failure()?;
        // kubectl names the file as it was given.
        print(&stderr.replace(&folder, ""));
    }

    say("What is good passes, and passes again.");
    for _ in 0..2 {
        file(plane, "manifests/examples/good/deployment.yaml").await?;
    }

    say("The same scan Jobs once more. What one of their pods has now that its Job does not say:");
    jobs(plane).await?;
    let pod = "-l job-name=nightly-cart-1 -o".split(' ');
    let columns = "custom-columns=CPU:.spec.containers[0].resources.limits.cpu,\
                   MEMORY:.spec.containers[0].resources.limits.memory,\
                   FOLDER:.spec.containers[0].volumeMounts[0].subPath,\
                   EGRESS:.metadata.labels.network\\.supercargo\\.dev/egress,\
                   PROFILE:.metadata.annotations.supercargo\\.dev/profile";
    let args: Vec<&str> = ["-n", "scans-demo", "get", "pods"].into_iter().chain(pod).chain([columns]).collect();
    shown(plane, &args, None).await?;
    let with = picture(plane).await?;

    say("Which scan pod sits on which node, without and with Supercargo:");
    draw("without", &without);
    draw("with", &with);
    println!("  c cart   m monorepo   p payments");
    ensure!(used(&with) * 2 <= used(&without), "not packed: {} nodes, {} without", used(&with), used(&without));
    Ok(())
}

/// Applies manifests/examples/group, in copies.
async fn jobs(plane: &ControlPlane) -> Result<()> {
    const FILE: &str = "manifests/examples/group/jobs.yaml";
    println!("$ kubectl apply -f {FILE}    # {}; {COPIES} copies of each", JOBS.join(", "));
    for copy in 1..=COPIES {
        let mut text =
            manifest(FILE, &[("supercargo.dev/source:", &format!("{RUN_FOR}\n        supercargo.dev/source:"))])?;
        for name in JOBS {
            text = text.replace(&format!("name: nightly-{name}\n"), &format!("name: nightly-{name}-{copy}\n"));
        }
        let chosen = text.split("\n---\n").filter(|job| !job.contains("name: nightly-search\n"));
        let text = chosen.collect::<Vec<_>>().join("\n---\n");
        let said = plane.kubectl(User::Admin, &["apply", "-f", "-"], Some(&text)).await?.success()?;
        if copy == 1 {
            print(&format!("{said}..."));
        }
    }
    Ok(())
}

/// Takes the Jobs away with their pods.
async fn remove_jobs(plane: &ControlPlane) -> Result<()> {
    shown(plane, &["-n", "scans-demo", "delete", "jobs", "--all", "--cascade=foreground"], Some(2)).await
}

/// Waits until every pod of the Jobs sits on a node.
async fn picture(plane: &ControlPlane) -> Result<Picture> {
    let wanted = COPIES * JOBS.len();
    wait_for(&format!("{wanted} pods to be bound"), SOON, async || {
        let list = get(plane, "/api/v1/namespaces/scans-demo/pods").await?;
        let mut picture = Picture::new();
        for pod in list["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let letter = name.strip_prefix("nightly-").and_then(|rest| rest.chars().next()).context("whose pod?")?;
            if let Some(node) = pod.pointer("/spec/nodeName").and_then(Value::as_str) {
                picture.entry(node.to_owned()).or_default().push(letter);
            }
        }
        let bound: usize = picture.values().map(Vec::len).sum();
        ensure!(bound == wanted, "{bound} are");
        Ok(Some(picture))
    })
    .await
}

fn draw(title: &str, picture: &Picture) {
    let pods: usize = picture.values().map(Vec::len).sum();
    println!("  {title} Supercargo: {pods} pods on {} of {NODES} nodes", used(picture));
    for index in 0..NODES {
        let node = format!("node-{index:03}");
        let mut marks = picture.get(&node).cloned().unwrap_or_default();
        marks.sort_unstable();
        println!("    {node} |{}", marks.iter().flat_map(|&mark| [' ', mark]).collect::<String>());
    }
    println!();
}

fn used(picture: &Picture) -> usize {
    picture.len()
}

/// Applies a file of the repository.
async fn file(plane: &ControlPlane, file: &str) -> Result<()> {
    println!("$ kubectl apply -f {file}");
    let said = plane.kubectl(User::Admin, &["apply", "-f", "-"], Some(&manifest(file, &[])?)).await?;
    print(&said.stderr);
    print(&said.success()?);
    Ok(())
}

/// Runs kubectl, and prints the command and its answer, the first `lines` of it.
async fn shown(plane: &ControlPlane, args: &[&str], lines: Option<usize>) -> Result<()> {
    let quoted = args.iter().map(|arg| if arg.contains(['\\', '[']) { format!("'{arg}'") } else { (*arg).to_owned() });
    println!("$ kubectl {}", quoted.collect::<Vec<_>>().join(" "));
    let said = plane.kubectl(User::Admin, args, None).await?.success()?;
    if said.is_empty() {
        bail!("kubectl said nothing");
    }
    let shown: Vec<&str> = said.lines().take(lines.unwrap_or(usize::MAX)).collect();
    let more = if shown.len() < said.lines().count() { "\n..." } else { "" };
    print(&format!("{}{more}", shown.join("\n")));
    Ok(())
}

fn say(text: &str) {
    println!("\n== {text}\n");
}

fn print(text: &str) {
    for line in text.lines() {
        println!("  {line}");
    }
}
