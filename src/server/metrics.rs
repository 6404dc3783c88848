//! What can be counted, by the conventions of Prometheus.
//!
//! Every label set is closed: kinds come from the table of workloads, rules and mutators from the program, so nothing that a
//! client sends can make a new time series.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::webhook::Door;
use crate::engine::Outcome;
use crate::mutators;
use crate::packing::Packed;
use crate::review::Operation;
use crate::workload::KINDS;

/// From the cheapest review (tens of microseconds) to a second; a 1-2-5 ladder as the work spans five decades.
const SECONDS: [f64; 16] = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];

/// From an empty ConfigMap to the largest body that is read; each step is four times the one before.
const BYTES: [f64; 8] = [2_048.0, 8_192.0, 32_768.0, 131_072.0, 524_288.0, 2_097_152.0, 8_388_608.0, 33_554_432.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    webhook: &'static str,
    operation: &'static str,
    kind: &'static str,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MutatorLabels {
    mutator: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlanLabels {
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    watch: &'static str,
}

/// Every metric of the program, and the registry that prints them.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    seconds: Closed<Histogram>,
    body_bytes: Histogram,
    findings: Family<FindingLabels, Counter>,
    mutations: Closed<Counter>,
    plans: Family<PlanLabels, Counter>,
    faults: Family<ReasonLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    handshake_failures: Family<ReasonLabels, Counter>,
    certificate_end: Family<CertificateLabels, Gauge>,
    facts_age: Family<WatchLabels, Gauge<f64, AtomicU64>>,
    /// Patches that were made, found wrong and not sent.
    pub held_back: Counter,
    /// Reviews that ended in a panic.
    pub panics: Counter,
    /// Requests between their head and their answer.
    pub requests_in_flight: Gauge,
    /// Bytes of bodies that are held now.
    pub body_bytes_in_flight: Gauge,
    /// Connections of the webhook's listener.
    pub connections_open: Gauge,
    /// Times that new certificate files took effect.
    pub certificate_reloads: Counter,
    /// Times that changed certificate files could not be used.
    pub certificate_reload_failures: Counter,
    /// What is known of nodes and pods.
    pub snapshot: SnapshotGauges,
}

/// The metrics of a family by the words of its one label, which are all known: found without the hash that a [`Family`] makes of its labels.
struct Closed<M>(Vec<(&'static str, M)>);

impl<M> Closed<M> {
    fn new(words: impl IntoIterator<Item = &'static str>, metric: impl Fn(&'static str) -> M) -> Self {
        Closed(words.into_iter().map(|word| (word, metric(word))).collect())
    }

    fn get(&self, word: &str) -> Option<&M> {
        self.0.iter().find_map(|(known, metric)| (*known == word).then_some(metric))
    }
}

/// The view of nodes and pods, as it was a second ago at most.
#[derive(Clone)]
pub struct SnapshotGauges {
    /// Nodes in it.
    pub nodes: Gauge,
    /// Pods that count on a node.
    pub pods: Gauge,
    /// Seconds since the API server was last heard.
    pub age: Gauge<f64, AtomicU64>,
    /// 1 when pods are packed without it.
    pub stale: Gauge,
    /// Plans whose pods were not seen yet.
    pub reservations: Gauge,
    /// Kinds of scans of which a duration is known.
    pub kinds: Gauge,
}

impl Default for SnapshotGauges {
    fn default() -> Self {
        let gauges = SnapshotGauges {
            nodes: Gauge::default(),
            pods: Gauge::default(),
            age: Gauge::default(),
            stale: Gauge::default(),
            reservations: Gauge::default(),
            kinds: Gauge::default(),
        };
        gauges.stale.set(1);
        gauges
    }
}

impl SnapshotGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("snapshot_nodes", "Nodes in the view that pods are packed by", self.nodes.clone());
        registry.register("snapshot_pods", "Pods that count on a node of that view", self.pods.clone());
        registry.register_with_unit(
            "snapshot_age",
            "Time since the API server was last heard on the watches of nodes and pods",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register(
            "snapshot_stale",
            "1 when there is no fresh view of the nodes, and pods are packed by podAffinity",
            self.stale.clone(),
        );
        registry.register(
            "reservations",
            "Plans of this replica whose pods were not seen yet",
            self.reservations.clone(),
        );
        registry.register("lifetime_kinds", "Kinds of scans of which durations were seen", self.kinds.clone());
    }
}

/// What a review is counted under.
#[derive(Clone, Copy, Debug)]
pub struct Review {
    /// "mutate" or "validate".
    pub webhook: &'static str,
    /// The word on the wire.
    pub operation: Operation,
    /// A kind of the table, or "other".
    pub kind: &'static str,
    /// What was answered.
    pub decision: &'static str,
}

/// Counts up while it lives.
pub struct Held {
    gauge: Gauge,
    amount: i64,
}

impl Held {
    /// Adds `amount` to the gauge until this is dropped.
    pub fn new(gauge: &Gauge, amount: usize) -> Held {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        gauge.inc_by(amount);
        Held { gauge: gauge.clone(), amount }
    }

    /// Adds more.
    pub fn grow(&mut self, amount: usize) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        self.gauge.inc_by(amount);
        self.amount += amount;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec_by(self.amount);
    }
}

/// The label for a kind: what is in no table is one thing, whatever it calls itself.
pub fn kind_label(kind: &str) -> &'static str {
    KINDS.iter().find(|known| known.name == kind).map_or("other", |known| known.name)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("supercargo");
        let seconds = Family::<_, _, fn() -> Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        let mutations = Family::<_, Counter>::default();
        let metrics = Metrics {
            registry: Registry::default(),
            reviews: Family::default(),
            seconds: Closed::new(Door::ALL.map(Door::word), |webhook| {
                seconds.get_or_create_owned(&WebhookLabels { webhook })
            }),
            body_bytes: Histogram::new(BYTES),
            findings: Family::default(),
            mutations: Closed::new(mutators::all(), |mutator| {
                mutations.get_or_create_owned(&MutatorLabels { mutator })
            }),
            plans: Family::default(),
            faults: Family::default(),
            refused: Family::default(),
            handshake_failures: Family::default(),
            certificate_end: Family::default(),
            facts_age: Family::default(),
            held_back: Counter::default(),
            panics: Counter::default(),
            requests_in_flight: Gauge::default(),
            body_bytes_in_flight: Gauge::default(),
            connections_open: Gauge::default(),
            certificate_reloads: Counter::default(),
            certificate_reload_failures: Counter::default(),
            snapshot: SnapshotGauges::default(),
        };
        registry.register("build", "What is running", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("reviews", "Reviews answered, by webhook and decision", metrics.reviews.clone());
        registry.register_with_unit(
            "review_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            seconds,
        );
        registry.register_with_unit("request_body", "Size of reviews", Unit::Bytes, metrics.body_bytes.clone());
        registry.register("findings", "What rules found, by the action that was left", metrics.findings.clone());
        registry.register("mutations", "Pods that a mutator added something to", mutations);
        registry.register(
            "plans",
            "Pods of packing profiles, by what they were packed with and why not by a ladder",
            metrics.plans.clone(),
        );
        registry.register("patches_held_back", "Patches found wrong and not sent", metrics.held_back.clone());
        registry.register("panics", "Reviews that ended in a panic", metrics.panics.clone());
        registry.register("faults", "Requests answered with an HTTP error", metrics.faults.clone());
        registry.register("requests_in_flight", "Requests being answered", metrics.requests_in_flight.clone());
        registry.register(
            "body_in_flight_bytes",
            "Bytes of bodies being read or judged",
            metrics.body_bytes_in_flight.clone(),
        );
        registry.register("connections_open", "Open webhook connections", metrics.connections_open.clone());
        registry.register("connections_refused", "Connections closed for a limit", metrics.refused.clone());
        registry.register("handshake_failures", "TLS handshakes that failed", metrics.handshake_failures.clone());
        registry.register_with_unit(
            "facts_age",
            "Time since the API server was last heard on a watch of what surrounds a pod",
            Unit::Seconds,
            metrics.facts_age.clone(),
        );
        registry.register(
            "certificate_not_after_timestamp_seconds",
            "When the certificate in use ends, in Unix time",
            metrics.certificate_end.clone(),
        );
        registry.register(
            "certificate_reloads",
            "Changed certificate files taken into use",
            metrics.certificate_reloads.clone(),
        );
        registry.register(
            "certificate_reload_failures",
            "Changed certificate files that could not be used; the old ones stay",
            metrics.certificate_reload_failures.clone(),
        );
        metrics.snapshot.register(&mut registry);
        Metrics { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a review.
    pub fn reviewed(&self, review: Review, took: Duration) {
        let Review { webhook, operation, kind, decision } = review;
        let labels = ReviewLabels { webhook, operation: operation.word(), kind, decision };
        self.reviews.get_or_create(&labels).inc();
        if let Some(seconds) = self.seconds.get(webhook) {
            seconds.observe(took.as_secs_f64());
        }
    }

    /// Counts what a decision says beside its answer.
    pub fn decided(&self, outcome: &Outcome) {
        for verdict in &outcome.verdicts {
            let labels = FindingLabels { rule: verdict.finding.rule, action: verdict.action.word() };
            self.findings.get_or_create(&labels).inc();
        }
        for mutations in outcome.mutators.iter().filter_map(|mutator| self.mutations.get(mutator)) {
            mutations.inc();
        }
        if let Some(packed) = outcome.packed {
            let (outcome, reason) = match packed {
                Packed::Ladder => ("ladder", ""),
                Packed::Affinity(reason) => ("affinity", reason.word()),
                Packed::Nothing(reason) => ("nothing", reason.word()),
            };
            self.plans.get_or_create(&PlanLabels { outcome, reason }).inc();
        }
        if outcome.held_back.is_some() {
            self.held_back.inc();
        }
    }

    /// Counts a body of this many bytes.
    #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^52 bytes")]
    pub fn read(&self, bytes: usize) {
        self.body_bytes.observe(bytes as f64);
    }

    /// Counts an HTTP error.
    pub fn fault(&self, reason: &'static str) {
        self.faults.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a connection that was closed for a limit.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a handshake that came to nothing.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshake_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Says when the certificate called `certificate` ends.
    pub fn certificate_ends(&self, certificate: &'static str, unix_seconds: u64) {
        let end = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
        self.certificate_end.get_or_create(&CertificateLabels { certificate }).set(end);
    }

    /// Says how long ago the API server was heard on a watch of what surrounds a pod, such as "namespaces".
    pub fn facts_are(&self, watch: &'static str, age: Duration) {
        self.facts_age.get_or_create(&WatchLabels { watch }).set(age.as_secs_f64());
    }

    /// All of it as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_labels_are_closed() {
        let metrics = Metrics::default();
        let kind = kind_label("MadeUp");
        let review = Review { webhook: "validate", operation: Operation::Create, kind, decision: "allowed" };
        metrics.reviewed(review, Duration::from_micros(40));
        metrics.certificate_ends("server", 1_900_000_000);
        metrics.fault("panic");
        let packed = Some(Packed::Affinity(crate::packing::Reason::NoView));
        metrics.decided(&Outcome { packed, mutators: vec!["placement"], ..Outcome::default() });
        let text = metrics.text();
        for line in [
            r#"supercargo_reviews_total{webhook="validate",operation="CREATE",kind="other",decision="allowed"} 1"#,
            r#"supercargo_review_duration_seconds_bucket{le="0.00005",webhook="validate"} 1"#,
            r#"supercargo_certificate_not_after_timestamp_seconds{certificate="server"} 1900000000"#,
            r#"supercargo_faults_total{reason="panic"} 1"#,
            r#"supercargo_plans_total{outcome="affinity",reason="no-view"} 1"#,
            r#"supercargo_mutations_total{mutator="placement"} 1"#,
            r#"supercargo_mutations_total{mutator="labels"} 0"#,
            "supercargo_snapshot_stale 1",
            "supercargo_snapshot_age_seconds 0",
            "supercargo_build_info{version=\"",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_gauge_is_held_for_a_life_time() {
        let metrics = Metrics::default();
        let held = Held::new(&metrics.body_bytes_in_flight, 7);
        assert_eq!(metrics.body_bytes_in_flight.get(), 7);
        drop(held);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    /// The page for operators and the alerts name what there is: all of it, and nothing else.
    #[test]
    fn documents_name_the_metrics_that_there_are() {
        let metrics = Metrics::default();
        let review =
            Review { webhook: "mutate", operation: Operation::Create, kind: kind_label("Pod"), decision: "mutated" };
        metrics.reviewed(review, Duration::from_micros(40));
        metrics.findings.get_or_create(&FindingLabels { rule: "required-limits", action: "deny" }).inc();
        metrics.plans.get_or_create(&PlanLabels { outcome: "ladder", reason: "" }).inc();
        metrics.certificate_ends("server", 0);
        metrics.facts_are("namespaces", Duration::ZERO);
        metrics.fault("deadline");
        metrics.refused("total");
        metrics.handshake_failed("tls");
        let text = metrics.text();
        let there: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();

        let read = |path: &str| {
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the project")
        };
        let page = read("docs/operations.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `supercargo_")?.split_once('`'));
        let described: BTreeSet<String> = rows.map(|(name, _)| format!("supercargo_{name}")).collect();
        assert_eq!(described.iter().map(String::as_str).collect::<BTreeSet<_>>(), there);

        let alerts = read("manifests/monitoring/alerts.yaml");
        let mut watched = 0;
        for (at, _) in alerts.match_indices("supercargo_") {
            let name =
                alerts[at..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
            let bare = name.trim_end_matches("_total").trim_end_matches("_bucket");
            assert!(there.contains(bare), "{name}");
            watched += 1;
        }
        assert!(watched > 5, "{watched}");
    }
}
