//! Every kind that makes pods: judged when a person writes it, and believed when its controller makes what was there before.

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, good_container, scan_pod};
use crate::install::{Setup, install, scan_namespace};
use crate::objects::{SOON, namespace, nodes, pods, refusal};
use crate::wait::wait_for;

/// `apiVersion`, kind, plural.
type Kind = (&'static str, &'static str, &'static str);

const LONG_RUNNING: [Kind; 5] = [
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("v1", "ReplicationController", "replicationcontrollers"),
];

/// A bad one of each kind that was there before makes its pods anew; a bad new one is refused; the pods of a good new one run.
pub async fn each_kind_is_judged_once(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "controllers", &[]).await?;
    nodes(plane, "node", 1, "8", "16Gi", 60).await?;
    let create = async |kind: Kind, name: &str, container: &Value| {
        let object = serde_json::from_value(long_running(kind, name, container))?;
        anyhow::Ok(api(plane, kind, &namespace).create(&PostParams::default(), &object).await)
    };
    for kind in LONG_RUNNING {
        create(kind, &name("old", kind), &bare_container("app")).await??;
    }
    running(plane, &namespace, "age=old", LONG_RUNNING.len()).await?;
    let _installed = install(plane, &Setup::default()).await?;

    plane.kubectl(User::Admin, &["-n", &namespace, "delete", "pods", "--all", "--now"], None).await?.success()?;
    running(plane, &namespace, "age=old", LONG_RUNNING.len()).await.context("made anew")?;
    for kind in LONG_RUNNING {
        let status = refusal(create(kind, &name("bad", kind), &bare_container("app")).await?).context(kind.1)?;
        for part in ["container app: no liveness probe", "container app: no memory limit"] {
            ensure!(status.message.contains(part), "{}: {}", kind.1, status.message);
        }
        create(kind, &name("new", kind), &good_container("app")).await?.context(kind.1)?;
    }
    running(plane, &namespace, "age=new", LONG_RUNNING.len()).await
}

/// A CronJob: a bad one from before goes on making Jobs, a bad new one is refused, and the pods of one in a namespace for scans are
/// equipped.
pub async fn cron_jobs_go_on(plane: &ControlPlane) -> Result<()> {
    const KIND: Kind = ("batch/v1", "CronJob", "cronjobs");
    let namespace = namespace(plane, "cron", &[]).await?;
    let scans = scan_namespace(plane, "cron-scans").await?;
    nodes(plane, "node", 1, "8", "16Gi", 60).await?;
    let bare = json!({"spec": {"restartPolicy": "Never", "containers": [bare_container("app")]}});
    let create = async |namespace: &str, name: &str, template: &Value| {
        let object = serde_json::from_value(cron_job(name, template))?;
        anyhow::Ok(api(plane, KIND, namespace).create(&PostParams::default(), &object).await)
    };
    let _installed = {
        // There before the webhook, and suspended until it is there.
        create(&namespace, "old", &bare).await??;
        install(plane, &Setup::default()).await?
    };
    let status = refusal(create(&namespace, "bad", &bare).await?)?;
    ensure!(status.message.contains("container app: no memory limit"), "{}", status.message);
    let scan = scan_pod("scan");
    let template = json!({"metadata": scan["metadata"], "spec": scan["spec"]});
    create(&scans, "scan", &template).await??;

    let go = r#"{"spec": {"suspend": false}}"#;
    for (namespace, name) in [(&namespace, "old"), (&scans, "scan")] {
        let args = ["-n", namespace, "patch", "cronjob", name, "-p", go];
        plane.kubectl(User::Admin, &args, None).await?.success()?;
    }
    // One is made each minute.
    let first = async |namespace: &str| {
        wait_for("a pod of the CronJob", SOON * 2, async || Ok(pods(plane, namespace, "").await?.into_iter().next()))
            .await
    };
    let (old, scan) = tokio::try_join!(first(&namespace), first(&scans))?;
    ensure!(old["spec"]["containers"][0]["resources"] == json!({}), "changed: {old}");
    let equipped = &scan["metadata"]["annotations"]["supercargo.dev/profile"];
    ensure!(equipped == "scan", "not equipped: {scan}");
    Ok(())
}

fn api(plane: &ControlPlane, (version, kind, plural): Kind, namespace: &str) -> Api<DynamicObject> {
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: short.to_owned(),
        api_version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::namespaced_with(plane.admin(), namespace, &resource)
}

fn name(age: &str, (_, kind, _): Kind) -> String {
    format!("{age}-{}", kind.to_lowercase())
}

/// One pod around this container; the label `age` is what the name begins with.
fn long_running((version, kind, _): Kind, name: &str, container: &Value) -> Value {
    let age = name.split('-').next().unwrap_or_default();
    let labels = json!({"app.kubernetes.io/name": name, "age": age});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let mut object = json!({
        "apiVersion": version, "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    });
    match kind {
        "ReplicationController" => object["spec"]["selector"] = labels,
        "StatefulSet" => object["spec"]["serviceName"] = json!("none"),
        _ => {}
    }
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(1);
    }
    object
}

/// Each minute, but suspended.
fn cron_job(name: &str, template: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {"schedule": "* * * * *", "suspend": true, "jobTemplate": {"spec": {"template": template}}},
    })
}

async fn running(plane: &ControlPlane, namespace: &str, selector: &str, count: usize) -> Result<()> {
    wait_for(&format!("{count} pods ({selector}) to run"), SOON, async || {
        let found = pods(plane, namespace, selector).await?;
        let there = found
            .iter()
            .filter(|pod| pod["metadata"].get("deletionTimestamp").is_none() && pod["status"]["phase"] == "Running")
            .count();
        ensure!(there == count, "{there} of {} do", found.len());
        Ok(Some(()))
    })
    .await
}
