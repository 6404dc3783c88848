//! The plain HTTP listener for the kubelet and Prometheus: /healthz, /readyz, /metrics.
//!
//! Owns the gates of readiness. Says nothing that is not for everybody: who can reach a pod can read this.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};

use super::Answer;
use super::metrics::Metrics;

/// What has to be there before a request can be judged, each by its name.
#[derive(Default)]
pub struct Readiness {
    gates: Vec<(&'static str, Arc<AtomicBool>)>,
    draining: AtomicBool,
}

/// One condition of readiness. It opens once and stays open.
#[derive(Clone)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Readiness {
    /// Adds a gate that is still closed.
    pub fn gate(&mut self, name: &'static str) -> Gate {
        let gate = Gate(Arc::default());
        self.gates.push((name, Arc::clone(&gate.0)));
        gate
    }

    /// The gates that are still closed.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.gates.iter().filter(|(_, open)| !open.load(Ordering::Acquire)).map(|(name, _)| *name)
    }

    /// From now on nobody should send anything more.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What keeps requests away: closed gates, and "draining".
    fn obstacles(&self) -> impl Iterator<Item = &'static str> {
        let draining = self.draining.load(Ordering::Acquire).then_some("draining");
        self.missing().chain(draining)
    }
}

/// What the three paths answer.
pub struct Health {
    /// The gates.
    pub readiness: Arc<Readiness>,
    /// What /metrics prints.
    pub metrics: Arc<Metrics>,
}

impl Health {
    /// The process answers at all.
    pub(super) fn alive() -> Answer {
        text(StatusCode::OK, "ok\n".to_owned())
    }

    /// What Prometheus reads.
    pub(super) fn metrics(&self) -> Answer {
        let mut answer = text(StatusCode::OK, self.metrics.text());
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(open));
        answer
    }

    /// Whether requests should be sent here, and what is missing if not.
    pub(super) fn ready(&self) -> Answer {
        let mut missing = String::new();
        for obstacle in self.readiness.obstacles() {
            let _ = writeln!(missing, "missing: {obstacle}");
        }
        match missing.as_str() {
            "" => text(StatusCode::OK, "ready\n".to_owned()),
            _ => text(StatusCode::SERVICE_UNAVAILABLE, missing),
        }
    }
}

/// To another method than GET.
pub(super) fn only_get() -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".to_owned());
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// To another path.
pub(super) fn no_such_path() -> Answer {
    text(StatusCode::NOT_FOUND, "try /healthz, /readyz or /metrics\n".to_owned())
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use hyper::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::server::router;

    async fn ask(health: &Arc<Health>, request: Request<Body>) -> (u16, String) {
        let answer = router::health(health).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(health: &Arc<Health>, path: &str) -> (u16, String) {
        ask(health, Request::get(path).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn not_ready_until_every_gate_is_open_and_no_more_when_draining() {
        let mut readiness = Readiness::default();
        let (certificate, namespaces) = (readiness.gate("certificate"), readiness.gate("namespaces"));
        let health = Arc::new(Health { readiness: Arc::new(readiness), metrics: Arc::default() });

        certificate.open();
        assert_eq!(get(&health, "/readyz").await, (503, "missing: namespaces\n".to_owned()));
        namespaces.open();
        assert_eq!(get(&health, "/readyz").await, (200, "ready\n".to_owned()));
        health.readiness.drain();
        assert_eq!(get(&health, "/readyz").await, (503, "missing: draining\n".to_owned()));
        assert_eq!(get(&health, "/healthz").await.0, 200);
        assert_eq!(health.readiness.missing().count(), 0);
    }

    #[tokio::test]
    async fn metrics_are_where_prometheus_looks_for_them() {
        let health = Arc::new(Health { readiness: Arc::default(), metrics: Arc::default() });
        let (status, body) = get(&health, "/metrics").await;
        assert!(status == 200 && body.contains("supercargo_build_info"), "{body}");
        assert_eq!(get(&health, "/merics").await.0, 404);
        assert_eq!(ask(&health, Request::post("/metrics").body(Body::empty()).unwrap()).await.0, 405);
    }
}
