//! What a client may send, and what it gets: an answer, or an HTTP error that the failure policy decides on.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Bytes, Frame};
use supercargo::engine::{Facts, Fault, Outcome};
use supercargo::policy::PolicySet;
use supercargo::review;
use supercargo::server::{Judge, MAX_BODY, Readiness};

use super::client::{Body, Client, Reply, eventually, full, metric, post};
use super::running::{self, engine, start};

/// Works until the object says otherwise; looks at every object, as the real one does when a policy wants its kind.
#[derive(Default)]
struct Fragile(AtomicUsize);

impl Judge for Fragile {
    fn passes_unseen(&self, _: &review::Request<'_>, _: &PolicySet) -> bool {
        false
    }
    fn mutate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        self.validate(request, facts)
    }
    fn validate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        assert_eq!(facts.namespace.name, "shop");
        self.0.fetch_add(1, Ordering::Relaxed);
        let object = request.object.tree()?.unwrap();
        let name = object.path(&["metadata", "name"]).and_then(|name| name.as_str()).unwrap_or_default().to_owned();
        assert!(name != "hunter-two-9", "{name}");
        Ok(Outcome::default())
    }
}

/// A body that does not say how long it is: this many MiB.
struct Pieces(usize);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        Poll::Ready(left.map(|_| Ok(Frame::data(vec![b' '; 1 << 20].into()))))
    }
}

/// It would pass, were it sent as it must be.
const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":{"kind":"Pod"},"operation":"DELETE"}}"#;

async fn answers(client: &Client) {
    let reply = client.post("/validate?timeout=10s", running::review("u-1", "Pod", "{}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["response"], serde_json::json!({"uid": "u-1", "allowed": true}));
}

#[tokio::test]
async fn each_wrong_request_gets_its_own_error_and_the_next_one_is_answered() {
    let server = start(engine(), |_| {}).await;
    let request = |method: &str, path: &str, content_type: &str, body: &'static str| {
        let builder = Request::builder().method(method).uri(path).header("host", "localhost");
        builder.header("content-type", content_type).body(full(body)).unwrap()
    };
    let json = "application/json";
    let cases = [
        (request("POST", "/validate", json, "{\"apiVersion\": hunter-two-9"), 400, "not valid JSON"),
        (request("POST", "/validate", json, ""), 400, "ends too early"),
        (request("POST", "/mutate", json, "[]"), 400, "no apiVersion and kind"),
        (
            request("POST", "/validate", json, r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#),
            400,
            "admissionReviewVersions: [v1]",
        ),
        (
            request("POST", "/validate", json, r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#),
            400,
            "no request",
        ),
        (request("POST", "/validate", "text/yaml", "{}"), 415, "application/json"),
        (request("POST", "/validate", "", "{}"), 415, "application/json"),
        (request("GET", "/validate", json, ""), 405, "only POST"),
        (request("PUT", "/validate", json, REVIEW), 405, "only POST"),
        (request("DELETE", "/mutate", json, REVIEW), 405, "only POST"),
        (request("POST", "/", json, "{}"), 404, "/mutate or /validate"),
        (request("POST", "/validate?timeout=soon", json, "{}"), 400, "?timeout="),
    ];
    for (request, code, word) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        let message = server.client.send(request).await.unwrap().fault(code);
        assert!(message.contains(word), "{what}: {message}");
        assert!(!message.contains("hunter"), "{message}");
    }
    answers(&server.client).await;
    let charset = request("POST", "/validate", "Application/JSON; charset=utf-8", "");
    assert_eq!(server.client.send(charset).await.unwrap().status, 400);
    assert!(metric(server.http, r#"supercargo_faults_total{reason="content-type"}"#).await >= 2);
}

#[tokio::test]
async fn a_body_may_have_32_mib_and_not_one_byte_more() {
    let server = start(engine(), |_| {}).await;
    let limit = server.client.post("/validate", vec![b' '; MAX_BODY]).await;
    assert!(limit.fault(400).contains("ends too early"));

    let over = server.client.post("/validate", vec![b' '; MAX_BODY + 1]).await;
    assert!(over.fault(413).contains("32 MiB"));

    let chunked: Body = Pieces(33).boxed();
    let over = server.client.send(post("/validate", chunked)).await.unwrap();
    over.fault(413);

    answers(&server.client).await;
    assert!(metric(server.http, "supercargo_body_in_flight_bytes").await == 0);
}

#[tokio::test]
async fn a_hundred_thousand_levels_of_nesting_cost_one_answer() {
    let server = start(Arc::new(Fragile::default()), |_| {}).await;
    let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
    for object in [deep("[", "]"), deep(r#"{"a":"#, "}")] {
        let reply = server.client.post("/validate", running::review("u-2", "Pod", &object)).await;
        reply.fault(400);
        server.client.post("/validate", object).await.fault(400);
    }
    answers(&server.client).await;
}

#[tokio::test]
async fn a_large_review_is_judged_too() {
    let judge = Arc::new(Fragile::default());
    let server = start(judge.clone(), |_| {}).await;
    let object = format!(r#"{{"data":{{"page":"{}"}}}}"#, "\\u003c".repeat(2 << 20));
    assert!(object.len() > 12 << 20);
    let reply = server.client.post("/validate", running::review("u-3", "ConfigMap", &object)).await;
    assert_eq!(reply.json()["response"]["uid"], "u-3");
    assert_eq!(judge.0.load(Ordering::Relaxed), 1);
}

/// Judges when it is told to.
struct Patient(Mutex<std::sync::mpsc::Receiver<()>>);

impl Judge for Patient {
    fn passes_unseen(&self, _: &review::Request<'_>, _: &PolicySet) -> bool {
        false
    }
    fn mutate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, Fault> {
        self.validate(request, facts)
    }
    fn validate(&self, _: &review::Request<'_>, _: Facts<'_>) -> Result<Outcome, Fault> {
        self.0.lock().unwrap().recv_timeout(super::client::PATIENCE).unwrap();
        Ok(Outcome::default())
    }
}

#[tokio::test]
async fn a_large_review_past_its_deadline_counts_as_a_fault_alone() {
    let (go, wait) = std::sync::mpsc::channel();
    let server = start(Arc::new(Patient(Mutex::new(wait))), |_| {}).await;
    let object = format!("{{{}}}", " ".repeat(400_000));
    let late = server.client.post("/validate?timeout=3s", running::review("u-7", "ConfigMap", &object)).await;
    late.fault(504);
    go.send(()).unwrap();
    let reviews = |decision: &str| {
        format!(
            r#"supercargo_reviews_total{{webhook="validate",operation="CREATE",kind="ConfigMap",decision="{decision}"}}"#
        )
    };
    eventually("it is recorded", async || metric(server.http, &reviews("fault")).await == 1).await;
    assert_eq!(metric(server.http, &reviews("allowed")).await, 0);
    assert_eq!(metric(server.http, r#"supercargo_faults_total{reason="deadline"}"#).await, 1);
}

#[tokio::test]
async fn a_panic_costs_one_http_500_and_a_metric() {
    let server = start(Arc::new(Fragile::default()), |_| {}).await;
    let small = r#"{"metadata":{"name":"hunter-two-9"}}"#;
    let large = format!(r#"{{"metadata":{{"name":"hunter-two-9"}},"data":"{}"}}"#, " ".repeat(100_000));
    for (path, object) in [("/mutate", small), ("/validate", small), ("/validate", &large)] {
        let message = server.client.post(path, running::review("u-4", "Pod", object)).await.fault(500);
        assert!(message.contains("report") && !message.contains("hunter"), "{message}");
        answers(&server.client).await;
    }
    assert_eq!(metric(server.http, "supercargo_panics_total").await, 3);
    let faults = r#"supercargo_reviews_total{webhook="validate",operation="CREATE",kind="Pod",decision="fault"}"#;
    assert_eq!(metric(server.http, faults).await, 2);
}

#[tokio::test]
async fn an_answer_is_an_admission_review_and_carries_no_more_than_it_must() {
    let server = start(engine(), |_| {}).await;
    let Reply { headers, text, .. } =
        server.client.post("/mutate?timeout=2s", running::review("u-5", "Pod", "{}")).await;
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("connection"), "keep-alive is what makes calls cheap");
    let expected =
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u-5","allowed":true}}"#;
    assert_eq!(text, expected);
}

/// What is judged before the namespaces are known would be judged wrongly, in silence.
#[tokio::test]
async fn nothing_is_judged_while_a_gate_is_closed() {
    let mut readiness = Readiness::default();
    let gate = readiness.gate("namespaces");
    let server = running::start_with(readiness, engine(), |_| {}).await;
    let early = server.client.post("/validate", running::review("u-6", "Pod", "{}")).await.fault(503);
    assert!(early.contains("waiting for namespaces"), "{early}");
    gate.open();
    answers(&server.client).await;
}
