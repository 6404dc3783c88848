//! What a scan pod gets, and that nothing else changes.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::install::{Setup, documents, install, manifest, scan_namespace};
use crate::objects::{SOON, get, nodes, object, pods};
use crate::wait::wait_for;

/// The example Job, before and after the webhook is there: its pod is equipped and runs to Succeeded, and the Job is the
/// same both times.
pub async fn equips_the_pod_and_leaves_the_job_alone(plane: &ControlPlane) -> Result<()> {
    let namespace = scan_namespace(plane, "stow").await?;
    nodes(plane, "node", 1, "4", "8Gi", 30).await?;
    let before = run(plane, &namespace, "before").await?;
    ensure!(before.pod.pointer("/spec/affinity").is_none(), "equipped without a webhook: {}", before.pod);

    let installed = install(plane, &Setup::default()).await?;
    let after = run(plane, &namespace, "after").await?;
    let pod = &after.pod;
    let at = |pointer: &str| pod.pointer(pointer).cloned().unwrap_or_default();

    let name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-000"]}]});
    let packing = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": name}]}});
    ensure!(at("/spec/affinity") == packing, "affinity {}", at("/spec/affinity"));
    let resources = at("/spec/containers/0/resources");
    let defaults = json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
    ensure!(resources == defaults, "resources {resources}");

    let volume = json!({"name": "supercargo-source", "persistentVolumeClaim": {"claimName": "scan-source"}});
    ensure!(has(&at("/spec/volumes"), &volume), "volumes {}", at("/spec/volumes"));
    let folder = format!("{namespace}/payments-api");
    let mount = json!({"name": "supercargo-source", "mountPath": "/src", "readOnly": true, "subPath": folder});
    ensure!(has(&at("/spec/containers/0/volumeMounts"), &mount), "mounts {}", at("/spec/containers/0/volumeMounts"));

    for (pointer, value) in [
        ("/metadata/labels/network.supercargo.dev~1egress", "results-only"),
        ("/metadata/labels/batchjobs-group", "pull-request-4711"),
        ("/metadata/annotations/supercargo.dev~1profile", "scan"),
        ("/metadata/annotations/supercargo.dev~1placement", "node-000"),
        ("/metadata/annotations/karpenter.sh~1do-not-disrupt", "true"),
        ("/metadata/annotations/cluster-autoscaler.kubernetes.io~1safe-to-evict", "false"),
    ] {
        ensure!(at(pointer) == value, "{pointer} is {}", at(pointer));
    }

    ensure!(after.template == before.template, "the template changed: {} and was {}", after.template, before.template);
    let mutated = [("webhook", "mutate"), ("kind", "Pod"), ("decision", "mutated")];
    let count = installed.webhook.metric("supercargo_reviews_total", &mutated).await?;
    ensure!(count >= 1, "{count} pods mutated, say the metrics");
    Ok(())
}

struct Ran {
    pod: Value,
    template: Value,
}

/// Runs the example Job under another name to its end.
async fn run(plane: &ControlPlane, namespace: &str, name: &str) -> Result<Ran> {
    let replace = [("scans-demo", namespace), ("scan-payments-api", name)];
    let job = documents(&manifest("manifests/examples/good/scan-job.yaml", &replace)?)?;
    let jobs: Api<Job> = Api::namespaced(plane.admin(), namespace);
    jobs.create(&PostParams::default(), &object(job.into_iter().next().context("no Job in the file")?)?).await?;
    wait_for(&format!("the pod of Job {name} to have succeeded"), SOON, async || {
        let found = pods(plane, namespace, &format!("job-name={name}")).await?;
        let pod = found.into_iter().next().context("no pod yet")?;
        let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
        if phase != "Succeeded" {
            return Err(anyhow::anyhow!("phase {phase}"));
        }
        let job = get(plane, &format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}")).await?;
        ensure!(job.pointer("/status/succeeded") == Some(&json!(1)), "the Job has not: {}", job["status"]);
        Ok(Some(Ran { pod, template: without_names(&job) }))
    })
    .await
}

/// A Job's annotations and template, without what names it.
fn without_names(job: &Value) -> Value {
    let mut template = job["spec"]["template"].clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !key.ends_with("controller-uid") && !key.ends_with("job-name"));
    }
    json!({"annotations": job["metadata"]["annotations"], "template": template})
}

fn has(list: &Value, item: &Value) -> bool {
    list.as_array().is_some_and(|list| list.contains(item))
}
