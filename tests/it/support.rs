//! What the tests of the engine share: policies from YAML, reviews as a real API server writes them, answers read back
//! from the wire.

use serde_json::{Value, json};
use supercargo::engine::{Engine, Facts, Outcome, Settings};
use supercargo::facts::Namespace;
use supercargo::packing::{Karpenter, Ledger, Lifetimes, NodeSeen, PodSeen, Snapshot, State, Store, View};
use supercargo::policy::{Document, PolicyError, PolicySet, VolumeTypes};
use supercargo::review;
use supercargo::tree::{Arena, Node};

/// The built-in guard and profile.
pub const BUILT_IN: [&str; 2] =
    [include_str!("../../manifests/policies/baseline.yaml"), include_str!("../../manifests/policies/scan.yaml")];

pub const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";
pub const REPLICASET_CONTROLLER: &str = "system:serviceaccount:kube-system:replicaset-controller";

/// A moment on which nothing in the tests has expired that does not say so.
pub const NOW: &str = "2026-11-21T10:00:00Z";

/// One YAML document.
#[track_caller]
pub fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// An engine with policies, and one namespace.
pub struct World {
    pub engine: Engine,
    pub policies: PolicySet,
    pub namespace: Namespace,
    pub now: jiff::Timestamp,
    /// Pods are packed by it, where there is one.
    pub cluster: Option<Cluster>,
}

/// Nodes with what runs on them, and nothing planned.
#[derive(Debug)]
pub struct Cluster {
    snapshot: Snapshot,
    ledger: Ledger,
    lifetimes: Lifetimes,
}

impl Cluster {
    /// Nodes and pods as the API has them.
    #[track_caller]
    pub fn new(nodes: &[Value], pods: &[Value]) -> Cluster {
        let snapshot = store(nodes, pods).snapshot(NOW.parse().unwrap());
        Cluster { snapshot, ledger: Ledger::default(), lifetimes: Lifetimes::default() }
    }
}

/// What watches have seen when they have seen these nodes and pods.
#[track_caller]
pub fn store(nodes: &[Value], pods: &[Value]) -> Store {
    let (mut store, lifetimes) = (Store::default(), Lifetimes::default());
    for node in nodes {
        store.apply_node(NodeSeen::read(&Node::from(node.clone())).unwrap());
    }
    for pod in pods {
        store.apply_pod(PodSeen::read(&Node::from(pod.clone()), &[]).unwrap(), &lifetimes);
    }
    store
}

impl State for Cluster {
    fn get(&self) -> (&Snapshot, &Ledger) {
        (&self.snapshot, &self.ledger)
    }
}

impl World {
    /// Policies from YAML documents; `apiVersion` and a name may be left out. Namespace "scans", labelled for scans.
    #[track_caller]
    pub fn new(policies: &[&str]) -> World {
        World::from_values(policies.iter().map(|text| yaml(text)).collect())
    }

    #[track_caller]
    pub fn from_values(policies: Vec<Value>) -> World {
        let (policies, errors) = compile(policies);
        assert!(errors.is_empty(), "{errors:?}");
        let mut namespace = Namespace::named("scans");
        namespace.labels.insert("supercargo.dev/scans".to_owned(), "true".to_owned());
        World {
            engine: Engine::new(Settings::default()),
            policies,
            namespace,
            now: NOW.parse().unwrap(),
            cluster: None,
        }
    }

    /// The built-in policies.
    pub fn built_in() -> World {
        World::new(&BUILT_IN)
    }

    pub fn at(mut self, now: &str) -> World {
        self.now = now.parse().unwrap();
        self
    }

    pub fn in_namespace(mut self, name: &str) -> World {
        self.namespace = Namespace::named(name);
        self
    }

    /// Lets the namespace learn a LimitRange, claim, or labels.
    #[track_caller]
    pub fn knows(mut self, document: &str) -> World {
        self.learns(yaml(document));
        self
    }

    /// The same, of a value.
    #[track_caller]
    pub fn learns(&mut self, document: Value) {
        let object = Node::from(document);
        let kind = object.str("kind").unwrap_or_default().to_owned();
        assert!(self.namespace.learn(&kind, &object), "{kind} teaches nothing");
    }

    pub fn facts(&self) -> Facts<'_> {
        let packing = self.cluster.as_ref().map(|cluster| View {
            state: cluster,
            lifetimes: &cluster.lifetimes,
            karpenter: Karpenter::Auto(None),
            now: self.now,
        });
        Facts { namespace: &self.namespace, policies: &self.policies, now: self.now, packing }
    }

    /// Through the wire and back, at the mutating door.
    #[track_caller]
    pub fn mutate(&self, review: &Review) -> Answer {
        let bytes = review.bytes(&self.namespace.name);
        let arena = Arena::default();
        let request = review::read(&bytes, &arena).unwrap();
        Answer::new(self.engine.mutate(&request, self.facts()).unwrap())
    }

    /// Through the wire and back, at the validating door.
    #[track_caller]
    pub fn validate(&self, review: &Review) -> Answer {
        let bytes = review.bytes(&self.namespace.name);
        let arena = Arena::default();
        let request = review::read(&bytes, &arena).unwrap();
        Answer::new(self.engine.validate(&request, self.facts()).unwrap())
    }

    /// What `supercargo check` would say.
    #[track_caller]
    pub fn check(&self, object: &Value) -> Answer {
        let object = with(object.clone(), "/metadata/namespace", json!(self.namespace.name));
        let request = supercargo::engine::create_request(Node::from(object), "");
        Answer::new(self.engine.check(&request, self.facts()).unwrap())
    }

    /// Mutates at CREATE, applies the patch, and validates the result, as the API server does.
    #[track_caller]
    pub fn admit(&self, review: &Review) -> (Value, Answer) {
        let mutated = self.mutate(review);
        assert!(mutated.held_back.is_none(), "{:?}", mutated.held_back);
        let stored = mutated.applied_to(&review.object);
        let answer = self.validate(&Review { object: stored.clone(), ..review.clone() });
        (stored, answer)
    }
}

/// Compiles values, giving them `apiVersion` and a name where they have none.
pub fn compile(mut policies: Vec<Value>) -> (PolicySet, Vec<PolicyError>) {
    for (index, policy) in policies.iter_mut().enumerate() {
        if policy.get("apiVersion").is_none() {
            policy["apiVersion"] = json!("supercargo.dev/v1alpha1");
        }
        if policy.get("metadata").is_none() {
            policy["metadata"] = json!({"name": format!("policy-{index}")});
        }
    }
    let trees: Vec<Node<'_>> = policies.into_iter().map(Node::from).collect();
    let documents: Vec<Document<'_>> = trees.iter().map(|tree| Document { tree }).collect();
    PolicySet::compile(&documents, &VolumeTypes::default())
}

/// An AdmissionReview in the making.
#[derive(Clone, Debug)]
pub struct Review {
    pub object: Value,
    pub old: Value,
    pub operation: &'static str,
    pub sub_resource: &'static str,
    pub username: String,
    pub dry_run: bool,
}

impl Review {
    /// A person creates something.
    pub fn create(object: Value) -> Review {
        Review {
            object,
            old: Value::Null,
            operation: "CREATE",
            sub_resource: "",
            username: "ann@example.com".to_owned(),
            dry_run: false,
        }
    }

    /// A person changes something.
    pub fn update(old: Value, object: Value) -> Review {
        Review { old, operation: "UPDATE", ..Review::create(object) }
    }

    pub fn by(mut self, username: &str) -> Review {
        username.clone_into(&mut self.username);
        self
    }

    pub fn through(mut self, sub_resource: &'static str) -> Review {
        self.sub_resource = sub_resource;
        self
    }

    /// The bytes on the wire.
    pub fn bytes(&self, namespace: &str) -> Vec<u8> {
        let api_version = self.object["apiVersion"].as_str().unwrap_or("v1");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = self.object["kind"].as_str().unwrap_or_default();
        let gvk = json!({"group": group, "version": version, "kind": kind});
        let gvr = json!({"group": group, "version": version, "resource": format!("{}s", kind.to_lowercase())});
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": "3f6b8a3e-8f0e-4a93-9d0b-0d5e5d0b8c52", "kind": gvk, "resource": gvr, "subResource": self.sub_resource,
            "requestKind": gvk, "requestResource": gvr, "requestSubResource": self.sub_resource,
            "name": self.object["metadata"]["name"].as_str().unwrap_or_default(), "namespace": namespace,
            "operation": self.operation, "userInfo": {"username": self.username, "groups": ["system:authenticated"]},
            "object": self.object, "oldObject": self.old, "dryRun": self.dry_run,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}});
        serde_json::to_vec(&review).unwrap()
    }
}

/// What came back, read from the wire's bytes.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub wire: Value,
    /// The decoded patch; an empty list when there is none.
    pub patch: Value,
    pub held_back: Option<String>,
}

/// The object with a patch applied by another implementation than ours.
#[track_caller]
pub fn patched(object: &Value, patch: &impl serde::Serialize) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(json!(patch)).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

impl Answer {
    #[track_caller]
    fn new(outcome: Outcome) -> Answer {
        let uid = "3f6b8a3e-8f0e-4a93-9d0b-0d5e5d0b8c52";
        let wire: Value = serde_json::from_slice(&outcome.response().encode(uid)).unwrap();
        let wire = wire["response"].clone();
        assert_eq!(wire["uid"], uid);
        let patch = match wire["patch"].as_str() {
            Some(text) => {
                use base64::Engine as _;
                assert_eq!(wire["patchType"], "JSONPatch");
                serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
            }
            None => json!([]),
        };
        let held_back = outcome.held_back.clone();
        Answer { outcome, wire, patch, held_back }
    }

    pub fn allowed(&self) -> bool {
        self.wire["allowed"] == true
    }

    /// The refusal's text; "" when there is none.
    pub fn message(&self) -> &str {
        self.wire["status"]["message"].as_str().unwrap_or_default()
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.wire["warnings"].as_array().into_iter().flatten().map(|w| w.as_str().unwrap()).collect()
    }

    /// "rule pointer" of each cause of the refusal, sorted.
    pub fn causes(&self) -> Vec<String> {
        let causes = self.wire["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut causes: Vec<_> =
            causes.iter().map(|cause| format!("{} {}", text(&cause["reason"]), text(&cause["field"]))).collect();
        causes.sort();
        causes
    }

    /// "rule pointer" of everything that only warns, sorted.
    pub fn warned(&self) -> Vec<String> {
        self.with(supercargo::finding::Action::Warn)
    }

    /// "rule pointer" of everything that is only recorded, sorted.
    pub fn audited(&self) -> Vec<String> {
        self.with(supercargo::finding::Action::Audit)
    }

    fn with(&self, action: supercargo::finding::Action) -> Vec<String> {
        let verdicts = self.outcome.verdicts.iter().filter(|verdict| verdict.action == action);
        let mut list: Vec<_> = verdicts.map(|v| format!("{} {}", v.finding.rule, v.finding.pointer)).collect();
        list.sort();
        list
    }

    /// The object with the patch applied by another implementation.
    #[track_caller]
    pub fn applied_to(&self, object: &Value) -> Value {
        patched(object, &self.patch)
    }

    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.allowed(), "{}", self.message());
        assert_eq!(self.warnings(), Vec::<&str>::new());
        assert!(self.outcome.verdicts.is_empty(), "{:?}", self.outcome.verdicts);
    }

    #[track_caller]
    pub fn assert_refused(&self, causes: &[&str]) {
        assert_eq!(self.causes(), causes, "{}", self.message());
    }

    #[track_caller]
    pub fn assert_warned(&self, warned: &[&str]) {
        assert!(self.allowed(), "{}", self.message());
        assert_eq!(self.warned(), warned);
    }
}

/// A scan Job's pod as its controller sends it, after the API server's defaults.
pub fn scan_pod() -> Value {
    yaml(
        r"
apiVersion: v1
kind: Pod
metadata:
  generateName: scan-web-shop-
  creationTimestamp: null
  labels:
    app.kubernetes.io/component: scan
    batch.kubernetes.io/job-name: scan-web-shop
    batchjobs-group: nightly
  annotations: {supercargo.dev/source: web-shop}
  finalizers: [batch.kubernetes.io/job-tracking]
  ownerReferences:
    - {apiVersion: batch/v1, kind: Job, name: scan-web-shop, uid: u-1, controller: true, blockOwnerDeletion: true}
spec:
  restartPolicy: Never
  containers:
    - name: scan
      image: registry.example.com/scanner:4.2.1
      resources: {}
      volumeMounts: [{name: kube-api-access-x7k2p, readOnly: true, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]
  volumes: [{name: kube-api-access-x7k2p, projected: {defaultMode: 420, sources: []}}]
  tolerations:
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
    - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
",
    )
}

/// A Deployment with nothing to refuse.
pub fn good_deployment() -> Value {
    yaml(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: scans}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      restartPolicy: Always
      containers:
        - name: app
          image: registry.example.com/web:1.0
          livenessProbe: {httpGet: {path: /healthz, port: 8080}}
          readinessProbe: {httpGet: {path: /readyz, port: 8080}}
          resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: 500m, memory: 256Mi}}
",
    )
}

/// The same without probes and without limits.
pub fn bad_deployment() -> Value {
    let mut object = good_deployment();
    object["spec"]["template"]["spec"]["containers"][0] =
        json!({"name": "app", "image": "registry.example.com/web:1.0"});
    object
}

/// What is wrong with [`bad_deployment`].
pub const BAD: [&str; 4] = [
    "required-limits /spec/template/spec/containers/0/resources/limits/cpu",
    "required-limits /spec/template/spec/containers/0/resources/limits/memory",
    "required-probes /spec/template/spec/containers/0/livenessProbe",
    "required-probes /spec/template/spec/containers/0/readinessProbe",
];

/// Sets what stands at a pointer of an object, making maps on the way.
#[track_caller]
pub fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let mut node = &mut object;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !node.is_array() && !node.is_object() {
            *node = json!({});
        }
        node = match node {
            Value::Array(items) => {
                let index = token.parse().unwrap_or(items.len());
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            Value::Object(map) => map.entry(token).or_insert(Value::Null),
            _ => unreachable!(),
        };
    }
    *node = value;
    object
}

/// Takes away the member at a pointer.
#[track_caller]
pub fn without(mut object: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&key).unwrap()),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        _ => panic!("{parent} has no members"),
    }
    object
}
