//! The engine alone: parse, decide, answer. `cargo bench --bench engine`

mod reviews;

use divan::{Bencher, black_box};
use supercargo::engine::{Engine, Facts, Settings};
use supercargo::facts::Namespace;
use supercargo::policy::{Document, PolicySet};
use supercargo::review;
use supercargo::tree::Node;

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
        let trees: Vec<Node<'static>> = reviews::POLICIES
            .iter()
            .map(|text| Node::from(serde_saphyr::from_str::<serde_json::Value>(text).expect("YAML")))
            .collect();
        let documents: Vec<_> = trees.iter().map(|tree| Document { tree }).collect();
        let (policies, errors) = PolicySet::compile(&documents);
        assert!(errors.is_empty(), "{errors:?}");
        let mut namespace = Namespace::named(namespace);
        if namespace.name == "scans" {
            namespace.labels.insert("supercargo.dev/scans".into(), "true".into());
        }
        Desk { engine: Engine::new(Settings::default()), policies, namespace }
    }

    fn facts(&self) -> Facts<'_> {
        Facts { namespace: &self.namespace, policies: &self.policies, now: jiff::Timestamp::UNIX_EPOCH }
    }

    fn mutate(&self, body: &[u8]) -> Vec<u8> {
        let request = review::read(body).expect("a review");
        self.engine.mutate(&request, self.facts()).expect("an outcome").response().encode(&request.uid)
    }

    fn validate(&self, body: &[u8]) -> Vec<u8> {
        let request = review::read(body).expect("a review");
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
    let body = reviews::review(&reviews::scan_pod(), JOB_CONTROLLER);
    bencher.bench_local(|| desk.validate(black_box(&body)));
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
    let body = reviews::review(&reviews::deployment(), "ann");
    bencher.bench_local(|| desk.validate(black_box(&body)));
}

#[divan::bench]
fn config_map_1_mb_validate(bencher: Bencher<'_, '_>) {
    let desk = Desk::new("shop");
    let body = reviews::review(&reviews::config_map(), "ann");
    bencher.bench_local(|| desk.validate(black_box(&body)));
}
