//! What must hold of every pod, shown with random ones.
//!
//! A case is a string of random bytes that `dice.rs` turns into profiles, LimitRanges and a pod (`objects.rs`): fewer and smaller
//! bytes give a simpler case, so proptest's shrinking finds a small one. `PROPTEST_CASES` sets how many; `make ci` runs 100,000.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use supercargo::mutators::{self, Author, Combined};
use supercargo::patch::Editor;
use supercargo::tree::Node;
use supercargo::workload::Pod;

use crate::support::*;

pub mod dice;
mod objects;
mod oracle;

use dice::Dice;

/// A case: who asks, in which world, for which pod.
struct Case {
    world: World,
    /// The LimitRanges that the world knows.
    ranges: Vec<Value>,
    review: Review,
    controller: bool,
    /// Picks among the doors, as going through all of them each time would take most of the time.
    door: usize,
}

fn case(dice: &mut Dice<'_>) -> Case {
    let mut policies: Vec<Value> = (0..dice.below(4)).map(|index| objects::profile(dice, index)).collect();
    policies.push(json!({"kind": "GuardPolicy", "metadata": {"name": "guard"}, "spec": {"rules":
        {"required-limits": {}, "required-probes": {}, "embedded-secret": {}, "weak-credential": {}}}}));
    let cluster = dice.one_in(2).then(|| objects::cluster(dice));
    if dice.one_in(if cluster.is_some() { 2 } else { 4 }) {
        policies.push(scan_profile());
    }
    // A profile that does not compile is left out, as in a cluster.
    let (policies, _) = compile(policies);
    let mut world = World::from_values(Vec::new());
    world.policies = policies;
    world.cluster = cluster;
    let ranges: Vec<Value> = (0..dice.below(3)).map(|_| objects::limit_range(dice)).collect();
    for range in &ranges {
        world.learns(range.clone());
    }
    if dice.one_in(4) {
        world.namespace.claims = Some(Vec::new());
    }
    let (controller, door) = (dice.one_in(2), dice.below(6));
    let review = Review::create(objects::pod(dice)).by(if controller { JOB_CONTROLLER } else { "ann@example.com" });
    Case { world, ranges, review, controller, door }
}

/// The built-in profile, parsed once for all cases.
fn scan_profile() -> Value {
    use std::sync::LazyLock;
    static PARSED: LazyLock<Value> = LazyLock::new(|| yaml(BUILT_IN[1]));
    PARSED.clone()
}

/// The template of a pod in a CronJob, a Job, a Deployment.
fn template(pod: &Value, door: usize) -> Value {
    let template = json!({"metadata": pod["metadata"], "spec": pod["spec"]});
    let (api_version, kind, spec) = match door % 3 {
        0 => ("batch/v1", "CronJob", json!({"jobTemplate": {"spec": {"template": template}}})),
        1 => ("batch/v1", "Job", json!({"template": template})),
        _ => ("apps/v1", "Deployment", json!({"template": template})),
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec})
}

/// Everything that holds of a pod that the API server would send.
fn holds(bytes: &[u8]) {
    let Case { world, ranges, review, controller, door } = case(&mut Dice::new(bytes));
    let pod = &review.object;
    let first = world.mutate(&review);
    assert_eq!(first.held_back, None, "no patch is wrong");

    // The patch applied by another implementation gives the edited copy.
    let stored = first.applied_to(pod);
    let tree = Node::from(pod.clone());
    let view = Pod::new("", &tree);
    let profiles = world.policies.profiles().iter();
    let matching = profiles.filter(|profile| profile.serves(&world.namespace) && profile.matches(&view)).collect();
    let skipped = view.is_mirror() || pod.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
    match Combined::of(matching).filter(|_| !skipped) {
        None => assert_eq!(first.patch, json!([]), "the patch of a pod that matches no profile is empty"),
        Some(profiles) => {
            let author = if controller { Author::Controller } else { Author::Person };
            let mut editor = Editor::new(&tree);
            mutators::stow(&profiles, &world.namespace, author, "", world.facts().packing, &mut editor).unwrap();
            assert_eq!(editor.tree().to_value(), stored, "the patch leads to the edited copy");
        }
    }

    // Additions only, none of them a requirement.
    for operation in first.patch.as_array().unwrap() {
        assert_eq!(operation["op"], "add");
        assert!(!operation.to_string().contains("requiredDuringScheduling"), "{operation}");
    }
    oracle::kept(pod, &stored, "");
    oracle::invariants(pod, &stored, first.outcome.reservation.is_some());
    oracle::bounds(pod, &stored, &ranges);
    if !controller {
        oracle::lists_of_a_person(pod, &stored);
    }

    // Twice is once, also after the API server has written the result down its own way.
    let again = if door % 2 == 0 { stored.clone() } else { oracle::as_the_api_server_writes_it(&stored) };
    let second = world.mutate(&Review { object: again, ..review.clone() });
    assert_eq!(second.patch, json!([]), "mutating twice equals mutating once");
    let told = first.warnings();
    assert!(second.warnings().iter().all(|warning| told.contains(warning)), "{:?}", second.warnings());

    judged(&world, &review, &stored, door);
}

/// A door judges it, and what it says can be sent.
fn judged(world: &World, review: &Review, stored: &Value, door: usize) {
    let answer = match door {
        0 => world.validate(&Review { object: stored.clone(), ..review.clone() }),
        1 => world.validate(&Review::update(review.object.clone(), stored.clone())),
        2 => world.validate(&Review::update(stored.clone(), review.object.clone()).through("resize")),
        3 => world.check(&review.object),
        4 => world.validate(&Review::create(template(&review.object, world.policies.profiles().len()))),
        _ => world.check(&template(&review.object, world.policies.profiles().len())),
    };
    assert!(answer.warnings().iter().all(|warning| warning.chars().count() <= 120));
    assert!(answer.warnings().len() <= 8);
    assert_eq!(answer.allowed(), answer.causes().is_empty());
    assert_eq!(answer.patch, json!([]), "judging changes nothing");
    // What the old object had is never held against the new one.
    if door == 0 {
        let touched = with(stored.clone(), "/metadata/annotations/touched", json!("1"));
        let same = world.validate(&Review::update(stored.clone(), touched));
        assert!(same.allowed(), "{}", same.message());
    }
}

/// Nothing that a client may send makes it panic, and a patch that is sent at all only adds.
fn survives(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let Case { world, mut review, door, .. } = case(&mut dice);
    for _ in 0..=dice.below(3) {
        objects::spoil(&mut dice, &mut review.object);
    }
    let answer = world.mutate(&review);
    let stored = answer.applied_to(&review.object);
    oracle::kept(&review.object, &stored, "");
    if answer.held_back.is_none() && answer.patch != json!([]) {
        assert_eq!(world.mutate(&Review { object: stored.clone(), ..review.clone() }).patch, json!([]));
    }
    let facts = world.facts();
    let check = |object: Value| {
        let request = supercargo::engine::create_request(Node::from(object), "scans");
        let _ = world.engine.check(&request, facts);
    };
    match door {
        0 => drop(world.validate(&review)),
        1 => drop(world.validate(&Review::update(review.object, stored))),
        2 => drop(
            world.validate(&Review { old: objects::anything(&mut dice, 3), ..Review::update(Value::Null, stored) }),
        ),
        3 => check(review.object),
        4 => drop(world.validate(&Review::create(template(&review.object, dice.below(3))))),
        _ => check(template(&review.object, dice.below(3))),
    }
}

/// The bytes of a case, which print as what they make.
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { world, review, .. } = case(&mut Dice::new(&self.0));
        for profile in world.policies.profiles() {
            writeln!(f, "{}: {}", profile.name, serde_json::to_string(&profile.spec).map_err(|_| std::fmt::Error)?)?;
        }
        writeln!(f, "{:?}", world.namespace)?;
        writeln!(f, "{:?}", world.cluster)?;
        writeln!(f, "{} by {}", review.object, review.username)
    }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..800).prop_map(Bytes)
}

fn settings() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    /// "apply(patch, pod) equals the edited copy; mutating twice equals mutating once; unknown fields survive; the patch of
    /// a pod that matches no profile is empty."
    #[test]
    fn every_pod_is_finished_and_none_is_spoilt(bytes in bytes()) {
        holds(&bytes.0);
    }

    /// Issue 3: "Nothing a client sends can crash or wedge it"
    #[test]
    fn no_value_in_any_place_is_too_odd(bytes in bytes()) {
        survives(&bytes.0);
    }
}

/// The cases are worth something: most get a patch, and every mutator and every way of being left alone comes up.
#[test]
fn the_random_pods_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..400 {
        let Bytes(bytes) = bytes().new_tree(&mut runner).unwrap().current();
        let Case { world, review, .. } = case(&mut Dice::new(&bytes));
        let answer = world.mutate(&review);
        let mut count = |what: &str| *seen.entry(what.to_owned()).or_insert(0) += 1;
        for mutator in &answer.outcome.mutators {
            count(mutator);
        }
        if answer.patch == json!([]) {
            count("nothing to add");
        }
        if answer.outcome.reservation.is_some() {
            count("packed by the nodes");
        }
        if answer.warnings().iter().any(|warning| warning.starts_with("redundant-affinity")) {
            count("packed by its author");
        }
        for warning in answer.warnings() {
            for what in ["defaults left out", "262144 bytes"] {
                if warning.contains(what) {
                    count(what);
                }
            }
        }
        for cause in world.validate(&review).causes() {
            count(cause.split(' ').next().unwrap());
        }
    }
    for (what, at_least) in [
        ("labels", 60),
        ("resources", 60),
        ("volumes", 60),
        ("placement", 60),
        ("nothing to add", 20),
        ("packed by the nodes", 10),
        ("packed by its author", 2),
        ("defaults left out", 1),
        ("262144 bytes", 4),
        ("profile-label", 8),
        ("profile-volume", 20),
        ("required-limits", 100),
        ("required-probes", 40),
    ] {
        assert!(seen.get(what).is_some_and(|count| *count >= at_least), "{what}: {seen:?}");
    }
}
