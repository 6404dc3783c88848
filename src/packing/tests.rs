use serde_json::{Value, json};

use super::*;

fn node(name: &str, extra: Value) -> NodeSeen {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"zone": "a"}},
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    json_patch::merge(&mut node, &extra);
    NodeSeen::read(&Node::from(node)).unwrap()
}

fn scan(extra: Value) -> Value {
    let mut pod = json!({
        "metadata": {"generateName": "scan-", "ownerReferences": [{"uid": "1", "controller": true}]},
        "spec": {"containers": [{"image": "scan:1", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]},
    });
    json_patch::merge(&mut pod, &extra);
    pod
}

#[derive(Default)]
struct World {
    store: Store,
    ledger: Ledger,
    lifetimes: Lifetimes,
    pods: u32,
}

const OPTIONS: Options<'_> = Options {
    namespace: "scans",
    profiles: "scan",
    group: None,
    neighbours: Neighbours::Any,
    max_per_node: 0,
    karpenter: Karpenter::Auto(None),
    volumes: &[],
};

impl World {
    fn with(nodes: &[&str]) -> World {
        let mut world = World::default();
        for name in nodes {
            world.store.apply_node(node(name, json!({})));
        }
        world
    }

    /// A pod of something else, bound.
    fn runs(mut self, node: &str, cpu: &str) -> World {
        self.pods += 1;
        let pod = Node::from(json!({"metadata": {"uid": self.pods.to_string()},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu}}}]}}));
        self.store.apply_pod(PodSeen::read(&pod, &[]).unwrap(), &self.lifetimes);
        self
    }

    fn plan_with(&mut self, pod: Value, options: &Options<'_>) -> Plan {
        let tree = Node::from(pod);
        let now = Timestamp::UNIX_EPOCH;
        let snapshot = self.store.snapshot(now);
        plan(&Pod::new("", &tree), &snapshot, &self.ledger, &self.lifetimes, options, now)
    }

    fn plan(&mut self, pod: Value) -> Plan {
        self.plan_with(pod, &OPTIONS)
    }

    fn ladder(&mut self, pod: Value) -> Ladder {
        match self.plan(pod) {
            Plan::Ladder(ladder) => ladder,
            other => panic!("{other:?}"),
        }
    }
}

fn names(ladder: &Ladder) -> Vec<&str> {
    ladder.rungs.iter().map(|rung| &*rung.node).collect()
}

#[test]
fn the_fullest_node_with_room_comes_first_and_the_unused_last() {
    let mut world = World::with(&["a", "b", "c", "d", "e"]).runs("b", "1").runs("c", "3").runs("d", "3800m");
    let ladder = world.ladder(scan(json!({})));
    assert_eq!(names(&ladder)[..2], ["c", "b"]);
    let mut rest = names(&ladder)[2..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, ["a", "e"], "d is full");
    assert_eq!(ladder.rungs.iter().map(|rung| rung.weight).collect::<Vec<_>>(), [100, 50, 25, 13]);
    assert_eq!(
        ladder.terms[0],
        json!({"weight": 100, "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}})
    );
    assert_eq!((&*ladder.reservation.node, ladder.reservation.requests.amounts.cpu), ("c", 500));
}

#[test]
fn what_was_planned_counts_as_used() {
    let mut world = World::with(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let mut nodes = std::collections::BTreeMap::new();
    for index in 0..20 {
        let ladder = world.ladder(scan(json!({"metadata": {"generateName": format!("scan-{index}-")}})));
        assert_eq!(ladder.rungs.len(), 8);
        *nodes.entry(ladder.rungs[0].node.to_string()).or_insert(0) += 1;
        world.ledger.reserve(ladder.reservation, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(nodes.into_values().collect::<Vec<_>>().iter().sum::<i32>(), 20);
    assert_eq!(
        world.ledger.held().filter(|(_, load)| load.amounts.cpu == 4000).count(),
        2,
        "eight on a node of four cores"
    );
    assert_eq!(world.ledger.held().count(), 3);
}

#[test]
fn the_more_nodes_there_are_the_more_rungs_a_ladder_has() {
    let weights = |nodes: u32| {
        let mut world = World::default();
        (0..nodes).for_each(|index| world.store.apply_node(node(&format!("n{index}"), json!({}))));
        let ladder = world.ladder(scan(json!({})));
        assert_eq!(ladder.rungs.len(), ladder.terms.len());
        ladder.rungs.iter().map(|rung| rung.weight).collect::<Vec<_>>()
    };
    assert_eq!(weights(100), [100, 50, 25, 13, 6, 3, 2, 1]);
    assert_eq!(weights(101), [100, 68, 46, 32, 22, 15, 10, 7, 5, 3, 2, 1, 1]);
    assert_eq!(weights(1_501)[..6], [100, 85, 73, 62, 53, 45]);
    assert_eq!(weights(1_501).len(), 30);
}

/// More nodes than the scheduler scores for a pod.
fn many() -> World {
    let mut world = World::default();
    (0..101).for_each(|index| world.store.apply_node(node(&format!("n{index:03}"), json!({}))));
    world
}

fn planned_for(world: &mut World, node: &str, cpu: &str) {
    world.pods += 1;
    let annotations = json!({"supercargo.dev/profile": "scan", "supercargo.dev/placement": node});
    let pod = Node::from(json!({
        "metadata": {"uid": world.pods.to_string(), "creationTimestamp": "1970-01-01T00:00:00Z", "annotations": annotations},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]},
    }));
    world.store.apply_pod(PodSeen::read(&pod, &[]).unwrap(), &world.lifetimes);
}

/// Those that it was planned for may never come.
#[test]
fn a_node_that_is_planned_full_and_has_room_comes_before_the_unused() {
    let mut world = many().runs("n001", "1").runs("n002", "2").runs("n003", "2");
    let first = names(&world.ladder(scan(json!({}))))[3].to_owned();
    for (node, cpu) in [("n001", "3"), ("n002", "2"), ("n004", "4")] {
        planned_for(&mut world, node, cpu);
    }
    let ladder = world.ladder(scan(json!({})));
    assert_eq!(names(&ladder)[..3], ["n003", "n001", &*first], "n002 has less room, and n004 is not in use yet");
    assert_eq!(&*ladder.reservation.node, "n003");
    planned_for(&mut world, "n003", "2");
    let ladder = world.ladder(scan(json!({})));
    assert_eq!(names(&ladder)[..2], [&*first, "n001"], "the plan is made for room that nobody else has");
    assert_eq!(&*ladder.reservation.node, &*first);

    let one = Options { max_per_node: 1, ..OPTIONS };
    let Plan::Ladder(ladder) = world.plan_with(scan(json!({})), &one) else { panic!() };
    assert!(!names(&ladder).contains(&"n001"), "one of them is on its way there");
}

#[test]
fn of_more_nodes_in_use_than_there_are_rungs_the_last_are_those_with_the_most_room() {
    let mut world = many();
    for index in 0..20 {
        world = world.runs(&format!("n{index:03}"), &format!("{}m", 3500 - index * 100));
    }
    let ladder = world.ladder(scan(json!({})));
    let expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 19, 18, 17, 16].map(|index| format!("n{index:03}"));
    assert_eq!(names(&ladder), expected);
}

#[test]
fn a_pod_that_is_not_scheduled_now_by_the_usual_scheduler_gets_no_ladder() {
    for spec in
        [json!({"schedulingGates": [{"name": "kueue"}]}), json!({"schedulerName": "volcano"}), json!({"nodeName": "a"})]
    {
        assert_eq!(World::with(&["a"]).plan(scan(json!({"spec": spec}))), Plan::Affinity(Reason::Scheduler), "{spec}");
    }
    assert_eq!(World::default().plan(scan(json!({}))), Plan::Nothing);
}

#[test]
fn an_old_or_unknown_karpenter_gets_no_ladder() {
    let mut world = World::with(&["a"]);
    let plans = |world: &mut World, karpenter| {
        matches!(world.plan_with(scan(json!({})), &Options { karpenter, ..OPTIONS }), Plan::Ladder(_))
    };
    assert!(plans(&mut world, Karpenter::Auto(None)), "there is none");
    assert!(!plans(&mut world, Karpenter::Auto(Some((1, 4)))), "it may not have made a node yet");
    world.store.apply_node(node("k", json!({"metadata": {"labels": {"karpenter.sh/nodepool": "default"}}})));
    assert!(!plans(&mut world, Karpenter::Auto(None)));
    assert!(plans(&mut world, Karpenter::Auto(Some((1, 5)))) && plans(&mut world, Karpenter::Ladder));
    assert!(!plans(&mut world, Karpenter::Affinity));
    world.store.remove_node("k");
    assert!(plans(&mut world, Karpenter::Auto(None)), "it is gone");
}

#[test]
fn the_authors_heaviest_preference_is_repeated_and_kept() {
    let mut world = World::with(&["a"]).runs("a", "2");
    world.store.apply_node(node("b", json!({"metadata": {"labels": {"zone": "b"}}})));
    let zone = |zone: &str| json!([{"key": "zone", "operator": "In", "values": [zone]}]);
    let preferred = json!([
        {"weight": 10, "preference": {"matchExpressions": zone("a")}},
        {"weight": 50, "preference": {"matchExpressions": zone("b"), "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["x"]}]}},
        {"weight": 50, "preference": {"matchExpressions": zone("c")}},
    ]);
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
    let ladder = world.ladder(scan(json!({"spec": {"affinity": affinity}})));
    assert_eq!(names(&ladder), ["b"], "a is fuller, but not what the author wants");
    assert_eq!(ladder.terms[0]["preference"]["matchExpressions"], zone("b"));
}

/// A preference is soft: where no open node meets it, the pod goes to one that does not, and had better share it.
#[test]
fn what_no_open_node_meets_of_the_authors_preference_stands_above_the_rungs() {
    let mut world = World::with(&["a"]).runs("a", "2");
    world.store.apply_node(node("b", json!({"metadata": {"labels": {"zone": "b"}}})));
    let shut = json!({"metadata": {"labels": {"capacity": "spot"}}, "spec": {"unschedulable": true}});
    world.store.apply_node(node("spot", shut));
    let wants = |key: &str, value: &str| json!([{"key": key, "operator": "In", "values": [value]}]);
    let mut planned = |terms: Value| {
        let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}});
        world.ladder(scan(json!({"spec": {"affinity": affinity}})))
    };
    let named = |node: &str| json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
    let spot = json!({"weight": 1, "preference": {"matchExpressions": wants("capacity", "spot")}});
    let copy = json!({"weight": 100, "preference": {"matchExpressions": wants("capacity", "spot")}});

    let ladder = planned(json!([spot]));
    assert_eq!((names(&ladder), &*ladder.reservation.node), (vec!["a", "b"], "a"));
    assert_eq!(
        json!(ladder.terms),
        json!([
            copy,
            {"weight": 50, "preference": {"matchFields": named("a")}},
            {"weight": 25, "preference": {"matchFields": named("b")}},
        ]),
        "a node that comes meanwhile wins, and Karpenter buys what the author wants"
    );
    // The next of his wishes is met by b.
    let heavier = json!({"weight": 9, "preference": {"matchExpressions": wants("capacity", "spot")}});
    let zone = json!({"weight": 5, "preference": {"matchExpressions": wants("zone", "b")}});
    let ladder = planned(json!([zone, heavier, spot]));
    let rung = json!({"weight": 50, "preference": {"matchFields": named("b"), "matchExpressions": wants("zone", "b")}});
    assert_eq!(json!(ladder.terms), json!([copy, rung]));
}

#[test]
fn pods_that_end_together_sit_together() {
    let mut world = World::with(&["a", "b"]);
    let kind = |image: &str| {
        let tree = Node::from(json!({"spec": {"containers": [{"image": image}]}}));
        Kind::of(&Pod::new("", &tree), "scan", None)
    };
    (0..9).for_each(|_| {
        world.lifetimes.learn(Ended { kind: kind("short"), seconds: 60, at: 0 });
        world.lifetimes.learn(Ended { kind: kind("long"), seconds: 7000, at: 0 });
    });
    for (index, (node, image, cpu)) in [("a", "short", "1"), ("b", "long", "2")].into_iter().enumerate() {
        let pod = Node::from(json!({
            "metadata": {"uid": format!("{index}"), "annotations": {"supercargo.dev/profile": "scan"}},
            "spec": {"nodeName": node, "containers": [{"image": image, "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]},
            "status": {"startTime": "1970-01-01T00:00:00Z"},
        }));
        world.store.apply_pod(PodSeen::read(&pod, &[]).unwrap(), &world.lifetimes);
    }
    let mut first = |image: &str| {
        let mut pod = scan(json!({}));
        pod["spec"]["containers"][0]["image"] = json!(image);
        world.ladder(pod).rungs[0].node.to_string()
    };
    assert_eq!(first("long:2"), "b", "a would be kept in use for it");
    assert_eq!(first("short:2"), "a", "it would go on for longer on b, which has less room");
    assert_eq!(first("unknown"), "b", "nothing is known of it: best fit");
}
