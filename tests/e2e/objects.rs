//! What scenarios put into the cluster and count there: namespaces, fake nodes, Jobs, pods.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolume, Pod, Secret, Service, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use crate::controlplane::{ControlPlane, http_get};
use crate::wait::wait_for;

/// For what the controllers do within a second on an idle machine.
pub const SOON: Duration = Duration::from_secs(60);

/// The annotation by which a pod of a Job says how long it runs; see `stages.yaml`.
pub const RUN_FOR: &str = "e2e.supercargo.dev/run-for";

/// Namespaces that the API server makes itself, and ours: it takes seconds to go, and the next installation needs it.
const KEPT: [&str; 5] = ["default", "kube-node-lease", "kube-public", "kube-system", "supercargo"];

/// Makes an object of its JSON, for `Api::create`.
pub fn object<K: serde::de::DeserializeOwned>(json: Value) -> Result<K> {
    serde_json::from_value(json).context("not such an object")
}

/// Makes a map of labels or annotations.
pub fn map(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|&(key, value)| (key.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

/// Sets what stands at a JSON pointer, making the objects above it.
pub fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        at = match key.parse::<usize>() {
            Ok(index) if at.is_array() => &mut at[index],
            _ => &mut at[key.as_str()],
        };
    }
    *at = value;
}

/// GET of any path of the API, with every field that there is.
pub async fn get(plane: &ControlPlane, path: &str) -> Result<Value> {
    Ok(plane.admin().request(http_get(path)?).await?)
}

/// The pods of a namespace that `selector` selects, with every field that there is.
pub async fn pods(plane: &ControlPlane, namespace: &str, selector: &str) -> Result<Vec<Value>> {
    let mut list = get(plane, &format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")).await?;
    serde_json::from_value(list["items"].take()).context("a list without items")
}

/// The answer of an API server that refused something.
pub fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Result<kube::core::Status> {
    match result {
        Err(kube::Error::Api(status)) => Ok(*status),
        Err(error) => Err(error.into()),
        Ok(object) => bail!("it was not refused: {object:?}"),
    }
}

/// Creates a namespace named after `prefix`, waits until pods can be created in it, and returns its name.
pub async fn namespace(plane: &ControlPlane, prefix: &str, labels: &[(&str, &str)]) -> Result<String> {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let name = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let namespaces: Api<Namespace> = Api::all(plane.admin());
    let namespace = object(json!({"metadata": {"name": name, "labels": map(labels)}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.admin(), &name);
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &name);
    wait_for(&format!("the default service account of {name}"), SOON, async || {
        Ok(accounts.get_opt("default").await?.and(maps.get_opt("kube-root-ca.crt").await?))
    })
    .await?;
    Ok(name)
}

/// Creates nodes `PREFIX-000`, `PREFIX-001`, ... of one size and waits until all are Ready; returns their names.
pub async fn nodes(
    plane: &ControlPlane,
    prefix: &str,
    count: usize,
    cpu: &str,
    memory: &str,
    pods: u32,
) -> Result<Vec<String>> {
    let api: Api<Node> = Api::all(plane.admin());
    let created = try_join_all((0..count).map(|index| {
        let name = format!("{prefix}-{index:03}");
        let room = json!({"cpu": cpu, "memory": memory, "pods": pods.to_string(), "ephemeral-storage": "100Gi"});
        let labels = map(&[
            ("kubernetes.io/hostname", &name),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("node.kubernetes.io/instance-type", "kwok"),
        ]);
        let node = json!({
            "metadata": {"name": name, "labels": labels},
            "status": {"allocatable": room, "capacity": room},
        });
        let api = &api;
        async move { anyhow::Ok(api.create(&PostParams::default(), &object(node)?).await?.name_any()) }
    }))
    .await?;
    wait_for(&format!("{count} nodes {prefix}-* to be Ready"), SOON, async || {
        let all = api.list(&ListParams::default()).await?.items;
        let ready = all.iter().filter(|node| created.contains(&node.name_any()) && is_ready(node)).count();
        ensure!(ready == count, "{ready} are");
        Ok(Some(()))
    })
    .await?;
    Ok(created)
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Jobs of one pod each that belong together.
#[derive(Clone, Debug)]
pub struct Jobs<'a> {
    /// Where.
    pub namespace: &'a str,
    /// The value of label `batchjobs-group`; the Jobs are named `GROUP-0`, `GROUP-1`, ...
    pub group: &'a str,
    /// How many.
    pub count: usize,
    /// `requests` of the one container, named `main`; none when empty.
    pub requests: &'a [(&'a str, &'a str)],
    /// `limits` of it.
    pub limits: &'a [(&'a str, &'a str)],
    /// Labels of the pods besides `batchjobs-group` and `app.kubernetes.io/component: scan`.
    pub labels: &'a [(&'a str, &'a str)],
    /// How long the pods run; `None` is what the control plane was started with.
    pub run_for: Option<Duration>,
}

impl Default for Jobs<'_> {
    fn default() -> Self {
        Self {
            namespace: "default",
            group: "scan",
            count: 1,
            requests: &[("cpu", "200m"), ("memory", "256Mi")],
            limits: &[("cpu", "1"), ("memory", "512Mi")],
            labels: &[],
            run_for: None,
        }
    }
}

impl Jobs<'_> {
    /// One of them, as JSON, to be changed before it is created.
    pub fn job(&self, index: usize) -> Value {
        let mut labels = map(self.labels);
        labels["batchjobs-group"] = self.group.into();
        labels["app.kubernetes.io/component"] = "scan".into();
        let mut template = json!({
            "metadata": {"labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "main",
                    "image": "registry.example/scan:1",
                    "resources": {"requests": map(self.requests), "limits": map(self.limits)},
                }],
            },
        });
        if let Some(duration) = self.run_for {
            template["metadata"]["annotations"] = map(&[(RUN_FOR, &format!("{}ms", duration.as_millis()))]);
        }
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": format!("{}-{index}", self.group), "namespace": self.namespace},
            "spec": {"backoffLimit": 0, "template": template},
        })
    }

    /// Creates all of them at once, in the client's name.
    pub async fn create(&self, client: Client) -> Result<()> {
        self.create_changed(client, |_| ()).await
    }

    /// As [`Jobs::create`], each changed before.
    pub async fn create_changed(&self, client: Client, change: impl Fn(&mut Value)) -> Result<()> {
        let jobs: Api<Job> = Api::namespaced(client, self.namespace);
        try_join_all((0..self.count).map(|index| {
            let (jobs, mut job) = (&jobs, self.job(index));
            change(&mut job);
            async move { anyhow::Ok(jobs.create(&PostParams::default(), &object(job)?).await?) }
        }))
        .await?;
        Ok(())
    }

    /// Waits until every Job has succeeded.
    pub async fn succeeded(&self, plane: &ControlPlane) -> Result<()> {
        let jobs: Api<Job> = Api::namespaced(plane.admin(), self.namespace);
        wait_for(&format!("{} Jobs of group {} to succeed", self.count, self.group), SOON, async || {
            let list = jobs.list(&ListParams::default()).await?;
            let mine = list.items.iter().filter(|job| job.name_any().starts_with(&format!("{}-", self.group)));
            let done = mine.filter(|job| job.status.as_ref().is_some_and(|status| status.succeeded == Some(1))).count();
            ensure!(done == self.count, "{done} have");
            Ok(Some(()))
        })
        .await
    }
}

/// Waits until `count` pods that `selector` selects are bound; returns the nodes they are on, and how many on each.
///
/// Pods that have ended count: they keep the name of their node.
pub async fn nodes_used(
    plane: &ControlPlane,
    namespace: &str,
    selector: &str,
    count: usize,
) -> Result<BTreeMap<String, usize>> {
    let pods: Api<Pod> = Api::namespaced(plane.admin(), namespace);
    let wanted = ListParams::default().labels(selector);
    wait_for(&format!("{count} pods ({selector}) to be bound"), SOON, async || {
        let mut used = BTreeMap::new();
        for pod in pods.list(&wanted).await?.items {
            if let Some(node) = pod.spec.and_then(|spec| spec.node_name) {
                *used.entry(node).or_default() += 1;
            }
        }
        let bound: usize = used.values().sum();
        ensure!(bound >= count, "{bound} are");
        Ok(Some(used))
    })
    .await
}

/// Takes away what a scenario made: webhooks and policies first, or they would judge the rest; then its namespaces with
/// their pods; then all nodes. CRDs and RBAC objects stay.
///
/// Namespaces go on ending by themselves (the namespace controller lets each rest for 5 s): their names are not used again.
pub async fn clear(plane: &ControlPlane) -> Result<()> {
    let client = plane.admin();
    delete_all::<MutatingWebhookConfiguration>(&Api::all(client.clone())).await?;
    delete_all::<ValidatingWebhookConfiguration>(&Api::all(client.clone())).await?;
    delete_all::<ValidatingAdmissionPolicyBinding>(&Api::all(client.clone())).await?;
    delete_all::<ValidatingAdmissionPolicy>(&Api::all(client.clone())).await?;

    // Ours stays, so what is in it does not go by itself; its controllers would make its pods anew.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "supercargo");
    deployments.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
    delete_all::<Service>(&Api::namespaced(client.clone(), "supercargo")).await?;
    delete_all::<Secret>(&Api::namespaced(client.clone(), "supercargo")).await?;
    delete_all::<PersistentVolume>(&Api::all(client.clone())).await?;

    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&ListParams::default()).await? {
        let name = namespace.name_any();
        if KEPT.contains(&name.as_str()) {
            continue;
        }
        if namespace.metadata.deletion_timestamp.is_none() {
            namespaces.delete(&name, &DeleteParams::default()).await?;
        }
        // Nothing can be created in it any more. Pods without a node have nobody to end them but this.
        let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
        pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await?;
    }
    let pods: Api<Pod> = Api::all(client.clone());
    wait_for("the scenario's pods to be gone", SOON, async || {
        let left = pods.list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} are there");
        Ok(Some(()))
    })
    .await?;
    delete_all::<Node>(&Api::all(client)).await
}

async fn delete_all<K>(api: &Api<K>) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}
