//! The engine alone: parse, decide, answer. `cargo bench --bench engine`

// A benchmark that cannot be set up has nothing to say.
#![allow(clippy::expect_used)]

mod reviews;

use divan::{Bencher, black_box};
use supercargo::engine::{Engine, Facts, Settings};
use supercargo::facts::Namespace;
use supercargo::policy::{Document, PolicySet, VolumeTypes};
use supercargo::review;
use supercargo::tree::{Arena, Node};

/// A policy set such as the built-in one: probes, limits, secrets, and a profile for scan pods.
const POLICIES: [&str; 2] =
    [include_str!("../manifests/policies/baseline.yaml"), include_str!("../manifests/policies/scan.yaml")];

const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";

fn main() {
    divan::main();
}

struct Desk {
    engine: Engine,
    policies: PolicySet,
    namespace: Namespace,
}

impl Desk {
    fn new(namespace: &str) -> Desk {
        let trees: Vec<Node<'static>> = POLICIES
            .iter()
            .map(|text| Node::from(serde_saphyr::from_str::<serde_json::Value>(text).expect("YAML")))
            .collect();
        let documents: Vec<_> = trees.iter().map(|tree| Document { tree }).collect();
        let (policies, errors) = PolicySet::compile(&documents, &VolumeTypes::default());
        assert!(errors.is_empty(), "{errors:?}");
        let mut namespace = Namespace::named(namespace);
        if namespace.name == "scans" {
            namespace.labels.insert("supercargo.dev/scans".into(), "true".into());
        }
        Desk { engine: Engine::new(Settings::default()), policies, namespace }
    }

    fn facts(&self) -> Facts<'_> {
        Facts { namespace: &self.namespace, policies: &self.policies, now: jiff::Timestamp::UNIX_EPOCH, packing: None }
    }

    fn mutate(&self, body: &[u8]) -> Vec<u8> {
        let arena = Arena::for_text(body.len());
        let request = review::read(body, &arena).expect("a review");
        self.engine.mutate(&request, self.facts()).expect("an outcome").response().encode(&request.uid)
    }

    /// The review that a validating webhook gets: of the pod as the mutating one left it.
    fn stored(&self, mut pod: serde_json::Value) -> Vec<u8> {
        let body = reviews::review(&pod, JOB_CONTROLLER);
        let arena = Arena::for_text(body.len());
        let request = review::read(&body, &arena).expect("a review");
        let outcome = self.engine.mutate(&request, self.facts()).expect("an outcome");
        assert!(!outcome.patch.is_empty());
        let patch: json_patch::Patch = serde_json::from_value(serde_json::json!(outcome.patch)).expect("a patch");
        json_patch::patch(&mut pod, &patch).expect("a patch that applies");
        reviews::review(&pod, JOB_CONTROLLER)
    }

    fn validate(&self, body: &[u8]) -> Vec<u8> {
        let arena = Arena::for_text(body.len());
        let request = review::read(body, &arena).expect("a review");
        self.engine.validate(&request, self.facts()).expect("an outcome").response().encode(&request.uid)
    }
}

#[divan::bench]
fn scan_pod_4_kb_mutate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("scans");
    let body = reviews::review(&reviews::scan_pod(), JOB_CONTROLLER);
    assert!(String::from_utf8_lossy(&desk.mutate(&body)).contains("patch"));
    bencher.bench_local(|| desk.mutate(black_box(&body)));
}

#[divan::bench]
fn scan_pod_4_kb_validate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("scans");
    let body = desk.stored(reviews::scan_pod());
    assert!(String::from_utf8_lossy(&desk.validate(&body)).contains(r#""allowed":true"#));
    bencher.bench_local(|| desk.validate(black_box(&body)));
}

/// The two calls that the API server makes for one pod.
#[divan::bench]
fn scan_pod_4_kb_both(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("scans");
    let (sent, stored) = (reviews::review(&reviews::scan_pod(), JOB_CONTROLLER), desk.stored(reviews::scan_pod()));
    bencher.bench_local(|| (desk.mutate(black_box(&sent)), desk.validate(black_box(&stored))));
}

#[divan::bench]
fn other_pod_4_kb_validate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("shop");
    let body = reviews::review(&reviews::scan_pod(), JOB_CONTROLLER);
    bencher.bench_local(|| desk.validate(black_box(&body)));
}

#[divan::bench]
fn deployment_100_kb_validate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("shop");
    let body = reviews::review(&reviews::deployment(1000), "ann");
    bencher.bench_local(|| desk.validate(black_box(&body)));
}

#[divan::bench]
fn config_map_1_mb_validate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("shop");
    let body = reviews::review(&reviews::config_map(16_000), "ann");
    bencher.bench_local(|| desk.validate(black_box(&body)));
}
