//! Packing with a view of the nodes, through the engine: what must hold of every pod on every cluster, shown with random ones
//! against an independent model of the scheduler's filters (`model.rs`).

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use supercargo::engine::{Engine, Facts, Outcome};
use supercargo::facts::Namespace;
use supercargo::packing::{
    self, Karpenter, Ledger, Lifetimes, NodeSeen, Options, Plan, PodSeen, Reservation, Snapshot, Store, View,
};
use supercargo::patch::Patch;
use supercargo::policy::PolicySet;
use supercargo::policy::profile::Neighbours;
use supercargo::review;
use supercargo::tree::{Arena, Node};

use crate::properties::dice::Dice;
use crate::support::{JOB_CONTROLLER, Review, compile, patched, store, with};

mod model;

const NOW: &str = "2026-01-01T00:00:00Z";

/// A cluster, a profile, and a pod that comes.
struct Case {
    nodes: Vec<Value>,
    pods: Vec<Value>,
    placement: Value,
    pod: Value,
}

fn labels(dice: &mut Dice<'_>) -> Value {
    let mut labels = json!({"zone": dice.pick(&["a", "b"])});
    if dice.one_in(3) {
        labels["cores"] = json!(dice.pick(&["4", "8", "many"]));
    }
    labels
}

fn node(dice: &mut Dice<'_>, index: usize) -> Value {
    let taint = |dice: &mut Dice<'_>| {
        let key = dice.pick(&["pool", "gpu", "ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler"]);
        json!({"key": key, "value": dice.pick(&["scan", ""]), "effect": dice.pick(&["NoSchedule", "PreferNoSchedule", "NoExecute"])})
    };
    let taints: Vec<_> = if dice.one_in(3) { vec![taint(dice)] } else { Vec::new() };
    let ready = if dice.one_in(10) { "Unknown" } else { "True" };
    let mut conditions = vec![json!({"type": "Ready", "status": ready})];
    if dice.one_in(10) {
        conditions.push(json!({"type": "MemoryPressure", "status": dice.pick(&["True", "False"])}));
    }
    let mut allocatable = json!({"cpu": dice.pick(&["4", "8", "2"]), "memory": "16", "pods": dice.pick(&["10", "3"])});
    if dice.one_in(3) {
        allocatable["example.com/gpu"] = json!("1");
    }
    if dice.one_in(3) {
        allocatable["ephemeral-storage"] = json!("5");
    }
    let mut node = json!({
        "metadata": {"name": format!("n{index}"), "labels": labels(dice)},
        "spec": {"taints": taints},
        "status": {"allocatable": allocatable, "conditions": conditions},
    });
    if dice.one_in(12) {
        node["spec"]["unschedulable"] = json!(true);
    }
    if dice.one_in(15) {
        node["metadata"]["deletionTimestamp"] = json!(NOW);
    }
    node
}

fn container(dice: &mut Dice<'_>) -> Value {
    let mut requests = json!({"cpu": dice.pick(&["1", "0", "2"]), "memory": dice.pick(&["1", "4", "9"])});
    if dice.one_in(8) {
        requests["example.com/gpu"] = json!("1");
    }
    if dice.one_in(8) {
        requests["ephemeral-storage"] = json!(dice.pick(&["1", "3"]));
    }
    json!({"name": "c", "image": dice.pick(&["scan", "other"]), "resources": {"requests": requests}})
}

fn spec(dice: &mut Dice<'_>) -> Value {
    let mut spec = json!({"containers": [container(dice)], "restartPolicy": "Never"});
    if dice.one_in(4) {
        let port = json!({"containerPort": 1, "hostPort": dice.pick(&[80, 81]), "hostIP": dice.pick(&["0.0.0.0", "10.0.0.1"])});
        spec["containers"][0]["ports"] = json!([port]);
    }
    if dice.one_in(4) {
        let mut init: Vec<_> = (0..=dice.below(2)).map(|_| container(dice)).collect();
        for (index, container) in init.iter_mut().enumerate() {
            container["name"] = json!(format!("i{index}"));
            if dice.one_in(2) {
                container["restartPolicy"] = json!("Always");
            }
        }
        spec["initContainers"] = json!(init);
    }
    if dice.one_in(8) {
        spec["overhead"] = json!({"cpu": "1"});
    }
    spec
}

/// A pod that is there, bound to one of the nodes.
fn neighbour(dice: &mut Dice<'_>, index: usize, nodes: usize) -> Value {
    let mut pod = json!({
        "metadata": {"name": format!("p{index}"), "uid": format!("u{index}"), "namespace": "shop", "creationTimestamp": NOW},
        "spec": spec(dice),
        "status": {"phase": dice.pick(&["Running", "Pending", "Succeeded", "Failed"]), "startTime": NOW},
    });
    pod["spec"]["nodeName"] = json!(format!("n{}", dice.below(nodes)));
    match dice.below(4) {
        0 => {}
        1 => pod["metadata"]["annotations"] = json!({"supercargo.dev/profile": "scan"}),
        2 => {
            pod["metadata"]["ownerReferences"] =
                json!([{"kind": "DaemonSet", "name": "d", "uid": "d", "controller": true}]);
        }
        _ => pod["metadata"]["deletionTimestamp"] = json!(NOW),
    }
    pod
}

fn requirement(dice: &mut Dice<'_>) -> Value {
    let operator = dice.pick(&["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]);
    let key = dice.pick(&["zone", "cores", "none"]);
    match operator {
        "Exists" | "DoesNotExist" => json!({"key": key, "operator": operator}),
        "Gt" | "Lt" => json!({"key": "cores", "operator": operator, "values": ["5"]}),
        _ => json!({"key": key, "operator": operator, "values": [dice.pick(&["a", "b", "8"])]}),
    }
}

fn incoming(dice: &mut Dice<'_>) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "scan-", "labels": {"app": "scan"},
                     "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": true}]},
        "spec": spec(dice),
    });
    if dice.one_in(4) {
        pod["spec"]["nodeSelector"] = json!({"zone": dice.pick(&["a", "b"])});
    }
    if dice.one_in(3) {
        let toleration = match dice.below(4) {
            0 => json!({"operator": "Exists"}),
            1 => json!({"key": "pool", "value": "scan"}),
            2 => json!({"key": "pool", "operator": "Exists", "effect": dice.pick(&["NoSchedule", "PreferNoSchedule"])}),
            _ => json!({"key": "gpu", "operator": "Equal", "value": "x"}),
        };
        pod["spec"]["tolerations"] = json!([toleration]);
    }
    let mut affinity = json!({});
    if dice.one_in(3) {
        let mut terms: Vec<_> = (0..=dice.below(2)).map(|_| json!({"matchExpressions": [requirement(dice)]})).collect();
        if dice.one_in(3) {
            let operator = dice.pick(&["NotIn", "In"]);
            terms[0]["matchFields"] = json!([{"key": "metadata.name", "operator": operator, "values": ["n0"]}]);
        }
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": terms});
    }
    if dice.one_in(4) {
        let term = |dice: &mut Dice<'_>| json!({"weight": dice.pick(&[1, 50]), "preference": {"matchExpressions": [requirement(dice)]}});
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = json!([term(dice), term(dice)]);
    }
    if affinity != json!({}) {
        pod["spec"]["affinity"] = json!({"nodeAffinity": affinity});
    }
    pod
}

fn case(dice: &mut Dice<'_>) -> Case {
    let pod = incoming(dice);
    let mut placement = json!({"mode": "Pack"});
    if dice.one_in(5) {
        placement["tolerations"] = json!([{"key": "pool", "operator": "Exists"}]);
    }
    let nodes: Vec<_> = (0..=dice.below(20)).map(|index| node(dice, index)).collect();
    let pods = (0..dice.below(25)).map(|index| neighbour(dice, index, nodes.len() + 1)).collect();
    Case { nodes, pods, placement, pod }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

impl Case {
    fn policies(&self) -> PolicySet {
        let spec = json!({"match": {"podSelector": {"matchLabels": {"app": "scan"}}}, "placement": self.placement});
        let (policies, errors) =
            compile(vec![json!({"kind": "PodProfile", "metadata": {"name": "scan"}, "spec": spec})]);
        assert!(errors.is_empty(), "{errors:?}");
        policies
    }

    fn mutate(&self, snapshot: Option<&Snapshot>, ledger: &Ledger, dry_run: bool) -> Outcome {
        let lifetimes = Lifetimes::default();
        let state = snapshot.map(|snapshot| (snapshot, ledger));
        let packing = state.as_ref().map(|state| View {
            state,
            lifetimes: &lifetimes,
            karpenter: Karpenter::Auto(None),
            now: now(),
        });
        let (policies, namespace) = (self.policies(), Namespace::named("scans"));
        let facts = Facts { namespace: &namespace, policies: &policies, now: now(), packing };
        let bytes = Review::create(self.pod.clone()).by(JOB_CONTROLLER).bytes("scans");
        let arena = Arena::default();
        let mut request = review::read(&bytes, &arena).unwrap();
        request.dry_run = dry_run;
        Engine::default().mutate(&request, facts).unwrap()
    }

    fn stored(&self, outcome: &Outcome) -> Value {
        patched(&self.pod, &outcome.patch)
    }

    fn running(&self, node: &Value) -> Vec<&Value> {
        running(&self.pods, node)
    }
}

fn running<'p>(pods: &'p [Value], node: &Value) -> Vec<&'p Value> {
    let here = |pod: &&Value| pod["spec"]["nodeName"] == node["metadata"]["name"] && model::counts(pod);
    pods.iter().filter(here).collect()
}

/// The nodes that a pod's preferred terms name, the heaviest first.
fn rungs(pod: &Value) -> Vec<String> {
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    let named = terms.as_array().into_iter().flatten().filter_map(|term| {
        let name = term["preference"]["matchFields"][0]["values"][0].as_str()?;
        Some((-term["weight"].as_i64().unwrap(), name.to_owned()))
    });
    let mut named: Vec<_> = named.collect();
    named.sort();
    named.into_iter().map(|(_, name)| name).collect()
}

/// What Karpenter makes of the preferred terms.
fn heaviest(pod: &Value) -> Value {
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    let heaviest = terms.as_array().into_iter().flatten().rev().max_by_key(|term| term["weight"].as_u64());
    heaviest.map(|term| term["preference"]["matchExpressions"].clone()).unwrap_or_default()
}

fn holds(bytes: &[u8]) {
    let case = case(&mut Dice::new(bytes));
    let (mut first, ledger) = (store(&case.nodes, &case.pods), Ledger::default());
    let snapshot = first.snapshot(now());
    let outcome = case.mutate(Some(&snapshot), &ledger, false);
    assert_eq!(outcome.held_back, None);
    let stored = case.stored(&outcome);
    let plain = case.stored(&case.mutate(None, &ledger, false));

    // Never a requirement, and never both.
    let patch = serde_json::to_string(&outcome.patch).unwrap();
    assert!(!patch.contains("requiredDuringScheduling") && !patch.contains("podAffinityTerm"), "{patch}");

    // What could be scheduled without us still can, and nothing else.
    let open: Vec<&str> = case
        .nodes
        .iter()
        .filter(|node| {
            let running = case.running(node);
            let feasible = model::feasible(&stored, node, &running);
            assert_eq!(feasible, model::feasible(&plain, node, &running), "{node}");
            feasible && !model::avoided(&stored, node, &running, &case.placement)
        })
        .map(|node| node["metadata"]["name"].as_str().unwrap())
        .collect();

    // No closed node is named; of the open ones those that are most as the author wants them.
    let named = rungs(&stored);
    let wish = |name: &str| {
        let node = case.nodes.iter().find(|node| node["metadata"]["name"] == name).unwrap();
        model::wish(&case.pod, node)
    };
    let best = open.iter().map(|name| wish(name)).min().unwrap_or(0);
    let wanted: Vec<_> = open.iter().filter(|name| wish(name) == best).collect();
    assert!(named.iter().all(|name| wanted.contains(&&name.as_str())), "{named:?} of {wanted:?}");
    assert_eq!(named.len(), wanted.len().min(if best > 0 { 7 } else { 8 }), "{named:?} of {wanted:?}");
    // Karpenter still looks at the author's heaviest term first.
    assert_eq!(heaviest(&stored), heaviest(&case.pod));
    let reserved = outcome.reservation.as_ref().map(|reservation| reservation.node.to_string());
    assert_eq!(reserved.as_ref(), named.first());
    assert_eq!(stored["metadata"]["annotations"]["supercargo.dev/placement"].as_str(), reserved.as_deref());

    for (neighbours, max_per_node) in [(Neighbours::ScansOnly, 0), (Neighbours::Any, 1), (Neighbours::ScansOnly, 2)] {
        let tree = Node::from(stored.clone());
        let options = Options {
            namespace: "scans",
            profiles: "scan",
            group: None,
            neighbours,
            max_per_node,
            karpenter: Karpenter::Ladder,
            volumes: &[],
        };
        let pod = supercargo::workload::Pod::new("", &tree);
        let planned = packing::plan(&pod, &snapshot, &ledger, &Lifetimes::default(), &options, now());
        let Plan::Ladder(ladder) = planned else { continue };
        let profile = json!({"neighbours": neighbours, "maxPerNode": max_per_node});
        for rung in ladder.rungs {
            let node = case.nodes.iter().find(|node| node["metadata"]["name"] == *rung.node).unwrap();
            assert!(!model::avoided(&stored, node, &case.running(node), &profile), "{profile} {}", rung.node);
        }
    }

    // The same for the same snapshot, and however the snapshot came about.
    assert_eq!(case.mutate(Some(&snapshot), &ledger, false).patch, outcome.patch);
    let mut second = other_way(&case);
    let dry = case.mutate(Some(&second.snapshot(now())), &ledger, true);
    assert_eq!(dry.patch, outcome.patch);
    assert_eq!(dry.reservation, None, "a dry run reserves nothing");

    // Once written, placement stays.
    let again = Case { pod: stored.clone(), ..case };
    assert_eq!(again.mutate(Some(&snapshot), &ledger, false).patch, Patch::default());
}

/// The same cluster by other events: pods before their nodes, nodes that come and go, pods that move, lists that begin again.
fn other_way(case: &Case) -> Store {
    let lifetimes = Lifetimes::default();
    let mut store = Store::default();
    let pod = |pod: &Value| PodSeen::read(&Node::from(pod.clone()), &[]).unwrap();
    let node = |node: &Value| NodeSeen::read(&Node::from(node.clone())).unwrap();
    for (index, value) in case.pods.iter().enumerate() {
        store.apply_pod(pod(&with(value.clone(), "/spec/nodeName", json!("n1"))), &lifetimes);
        store.apply_pod(pod(&with(value.clone(), "/metadata/uid", json!(format!("gone-{index}")))), &lifetimes);
    }
    for value in case.nodes.iter().rev() {
        store.apply_node(node(&with(value.clone(), "/metadata/name", json!("gone"))));
        store.apply_node(node(&with(value.clone(), "/spec/unschedulable", json!(true))));
        store.apply_node(node(value));
    }
    store.remove_node("gone");
    store.list_pods();
    for value in case.pods.iter().rev() {
        store.apply_pod(pod(value), &lifetimes);
    }
    store.listed_pods();
    store.list_nodes();
    for value in &case.nodes {
        store.apply_node(node(value));
    }
    store.listed_nodes();
    store
}

/// A burst: all plans are reserved, and none of them overfills a node. Returns how often a node was named that is planned full.
fn burst(bytes: &[u8], closed: usize) -> usize {
    let mut case = case(&mut Dice::new(bytes));
    // Of many nodes the scheduler scores a part, and ladders have rungs of more kinds.
    case.nodes.extend((0..closed).map(|index| {
        let allocatable = json!({"cpu": "4", "memory": "16", "pods": "10"});
        let name = format!("closed-{index}");
        json!({"metadata": {"name": name}, "spec": {"unschedulable": true}, "status": {"allocatable": allocatable}})
    }));
    let snapshot = store(&case.nodes, &case.pods).snapshot(now());
    let mut ledger = Ledger::default();
    let (there, mut late) = (case.pods.len(), 0);
    for index in 0..12 {
        case.pod["metadata"]["generateName"] = json!(format!("scan-{index}-"));
        let outcome = case.mutate(Some(&snapshot), &ledger, false);
        let Some(reservation): Option<Reservation> = outcome.reservation.clone() else { break };
        let mut planned = case.stored(&outcome);
        let node = |name: &str| case.nodes.iter().find(|node| node["metadata"]["name"] == name).unwrap();
        let reserved = node(&reservation.node);
        assert!(model::feasible(&planned, reserved, &case.running(reserved)), "the {index}th on {}", reservation.node);
        for name in rungs(&planned) {
            let (node, all) = (node(&name), case.running(node(&name)));
            let now = running(&case.pods[..there], node);
            assert!(model::feasible(&planned, node, &now), "the {index}th could not go to {name}");
            assert!(!model::avoided(&planned, node, &all, &case.placement), "the {index}th on {name}");
            late += usize::from(!model::feasible(&planned, node, &all));
        }
        // As if it ran there already, for the model; the planner knows it from the ledger alone.
        planned["spec"]["nodeName"] = json!(*reservation.node);
        planned["metadata"]["uid"] = json!(format!("planned-{index}"));
        case.pods.push(planned);
        ledger.reserve(reservation, now());
    }
    late
}

struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { nodes, pods, placement, pod } = case(&mut Dice::new(&self.0));
        writeln!(f, "{placement}\n{pod}\n{}\n{}", json!(nodes), json!(pods))
    }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..700).prop_map(Bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    /// Issue 5: "the planner never makes a pod unschedulable that was schedulable (against a model of the filters), is deterministic
    /// for the same snapshot, never writes required terms, never names a closed node."
    #[test]
    fn no_pod_becomes_unschedulable_and_no_closed_node_is_named(bytes in bytes()) {
        holds(&bytes.0);
    }

    #[test]
    fn what_is_reserved_is_not_given_away_twice(bytes in bytes()) {
        assert_eq!(burst(&bytes.0, 0), 0);
    }

    #[test]
    fn of_what_is_planned_full_only_what_has_room_is_named_and_nothing_reserved(bytes in bytes()) {
        burst(&bytes.0, 101);
    }
}

/// The cases are worth something: most get a ladder, many nodes are closed, some pods have nowhere to go.
#[test]
fn the_random_clusters_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut ladders, mut none, mut closed, mut full, mut late) = (0, 0, 0, 0, 0);
    for _ in 0..300 {
        let Bytes(bytes) = bytes().new_tree(&mut runner).unwrap().current();
        let case = case(&mut Dice::new(&bytes));
        let snapshot = store(&case.nodes, &case.pods).snapshot(now());
        let named = rungs(&case.stored(&case.mutate(Some(&snapshot), &Ledger::default(), false)));
        ladders += usize::from(!named.is_empty());
        none += usize::from(named.is_empty());
        full += usize::from(named.len() == 8);
        closed += usize::from(named.len() < case.nodes.len().min(8));
        late += usize::from(burst(&bytes, 101) > 0);
    }
    assert!(
        ladders > 150 && none > 20 && closed > 100 && full > 10 && late > 20,
        "{ladders} {none} {closed} {full} {late}"
    );
}
