//! A cluster on the synthetic API server, and one replica of the webhook that watches it: engine, view and ledger, without sockets of
//! its own, so that tests give the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo::cluster::facts::View;
use supercargo::cluster::snapshot::{Live, Settings, Status};
use supercargo::engine::{Engine, Facts, Outcome};
use supercargo::packing::View as Nodes;
use supercargo::policy::PolicySet;
use supercargo::review;
use supercargo::server::facts::Source;
use supercargo::tree::Arena;
use tokio::task::JoinSet;

use super::api::Api;
use crate::server::eventually;
use crate::support::{BUILT_IN, JOB_CONTROLLER, Review, compile, patched, yaml};

const BOOKMARKS: Duration = Duration::from_millis(100);
/// Longer than any test: a machine that is busy makes no view stale.
const NEVER: Duration = Duration::from_secs(3600);

/// One replica. Dropping it ends its tasks.
pub struct Replica {
    source: Source,
    policies: Arc<ArcSwap<PolicySet>>,
    engine: Engine,
    opened: Arc<AtomicBool>,
    status: Arc<Mutex<Option<Status>>>,
    _tasks: JoinSet<()>,
}

/// A pod that went through the webhook.
#[derive(Debug)]
pub struct Admitted {
    pub outcome: Outcome,
    pub pod: Value,
}

/// An API server with a namespace for scans and these nodes, of four cores and 16 GiB.
pub fn api(nodes: &[&str]) -> Arc<Api> {
    let api = Api::new(BOOKMARKS);
    let metadata = json!({"name": "scans", "labels": {"supercargo.dev/scans": "true"}});
    api.put(
        "namespaces",
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
    );
    for name in nodes {
        api.put("nodes", node(name));
    }
    api
}

pub fn node(name: &str) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A running pod of something else.
pub fn service(name: &str, node: &str, cpu: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "web", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]},
        "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"},
    })
}

/// A scan's pod as its Job's controller sends it.
pub fn scan(job: &str, cpu: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "generateName": format!("{job}-"), "namespace": "scans",
            "labels": {"app.kubernetes.io/component": "scan", "batchjobs-group": "nightly"},
            "annotations": {"supercargo.dev/source": "repository"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": format!("uid-{job}"), "controller": true}],
        },
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/scan:1",
            "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": {"cpu": "4", "memory": "2Gi"}}}]},
    })
}

impl Replica {
    /// Starts to watch.
    pub async fn start(api: &Arc<Api>, tune: impl FnOnce(&mut Settings)) -> Replica {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = api.serve().await;
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        "supercargo".clone_into(&mut config.default_namespace);
        let client = kube::Client::try_from(config).unwrap();
        let (policies, errors) = compile(BUILT_IN.iter().map(|text| yaml(text)).collect());
        assert!(errors.is_empty(), "{errors:?}");
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let keep_every = Duration::from_millis(10);
        let mut settings = Settings { stale_after: NEVER, keep_every, ..Settings::default() };
        tune(&mut settings);

        let mut tasks = JoinSet::new();
        let (namespaces, watch) = View::follow(client.clone(), client.clone(), || {});
        tasks.spawn(watch);
        let (packing, follower) = Live::new(client, Arc::clone(&namespaces), Arc::clone(&policies), settings);
        let (opened, status) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Option<Status>>>::default());
        let (open, report) = (Arc::clone(&opened), Arc::clone(&status));
        tasks.spawn(
            follower
                .run(move || open.store(true, Ordering::Release), move |status| *report.lock().unwrap() = Some(status)),
        );
        let source = Source::Cluster { namespaces, packing };
        Replica { source, policies, engine: Engine::default(), opened, status, _tasks: tasks }
    }

    /// Starts to watch, and returns when pods get ladders.
    pub async fn ready(api: &Arc<Api>) -> Replica {
        Replica::ready_with(api, |_| {}).await
    }

    /// The same, with settings of its own.
    pub async fn ready_with(api: &Arc<Api>, tune: impl FnOnce(&mut Settings)) -> Replica {
        let replica = Replica::start(api, tune).await;
        eventually("a first view", async || replica.is_open() && replica.ladder().await.is_some()).await;
        replica
    }

    pub fn is_open(&self) -> bool {
        self.opened.load(Ordering::Acquire)
    }

    /// What the metrics say; before the first report, what they say then.
    pub fn status(&self) -> Status {
        let nothing = Status { nodes: 0, pods: 0, age: Duration::ZERO, stale: true, reservations: 0, kinds: 0 };
        self.status.lock().unwrap().unwrap_or(nothing)
    }

    /// Sends a pod through, as the webhook does.
    pub async fn admit_at(&self, pod: Value, now: Timestamp, dry_run: bool) -> Admitted {
        let namespace = self.source.namespace("scans").await.unwrap();
        let policies = self.policies.load_full();
        let bytes = Review::create(pod.clone()).by(JOB_CONTROLLER).bytes("scans");
        let arena = Arena::default();
        let mut request = review::read(&bytes, &arena).unwrap();
        request.dry_run = dry_run;
        let decide = |packing: Option<Nodes<'_>>| {
            self.engine.mutate(&request, Facts { namespace: &namespace, policies: &policies, now, packing })
        };
        let outcome = self.source.plan(now, decide).unwrap();
        let pod = patched(&pod, &outcome.patch);
        Admitted { outcome, pod }
    }

    pub async fn admit(&self, pod: Value) -> Admitted {
        self.admit_at(pod, Timestamp::now(), false).await
    }

    /// The nodes that a pod would be sent to, reserving nothing; `None` without a ladder.
    pub async fn ladder(&self) -> Option<Vec<String>> {
        self.admit_at(scan("probe", "100m"), Timestamp::now(), true).await.ladder()
    }

    /// Waits until the ladder is these nodes.
    pub async fn sees(&self, what: &str, nodes: &[&str]) {
        eventually(what, async || self.ladder().await.is_some_and(|ladder| ladder == nodes)).await;
    }
}

impl Admitted {
    /// The nodes named, the best first; `None` when there are none.
    pub fn ladder(&self) -> Option<Vec<String>> {
        let terms = self.pod.pointer("/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution")?;
        let name = |term: &Value| term["preference"]["matchFields"][0]["values"][0].as_str().unwrap().to_owned();
        Some(terms.as_array().unwrap().iter().map(name).collect())
    }

    pub fn has_affinity(&self) -> bool {
        self.pod.pointer("/spec/affinity/podAffinity").is_some()
    }

    /// The pod as the API server stores it: with a name and a uid, pending.
    pub fn pending(&self, name: &str) -> Value {
        let mut pod = self.pod.clone();
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["uid"] = json!(format!("uid-{name}"));
        pod["metadata"]["creationTimestamp"] = json!(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        pod["status"] = json!({"phase": "Pending"});
        pod
    }
}
