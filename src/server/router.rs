//! The paths of both listeners.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use tower::ServiceExt;

use super::Answer;
use super::accept::{Arriving, Respond};
use super::health::{Health, no_such_path, only_get};
use super::webhook::{Door, Webhook};

/// What the API server asks. Whatever is wrong with a request is answered as a `v1/Status`, a wrong path and method included; so this is no more
/// than two paths, and a router would cost a review more than finding its way does.
impl Respond for Arc<Webhook> {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Arriving>) -> Answer {
        let door = match request.uri().path() {
            "/mutate" => Some(Door::Mutate),
            "/validate" => Some(Door::Validate),
            _ => None,
        };
        self.answer(door, request).await
    }
}

/// What the kubelet and Prometheus ask.
pub(super) fn health(health: &Arc<Health>) -> Router {
    let at = |answer: fn(&Health) -> Answer| {
        let health = Arc::clone(health);
        move || async move { answer(&health) }
    };
    Router::new()
        .route("/healthz", get(at(|_| Health::alive())))
        .route("/readyz", get(at(Health::ready)))
        .route("/metrics", get(at(Health::metrics)))
        .method_not_allowed_fallback(async || only_get())
        .fallback(async || no_such_path())
}

impl Respond for Router {
    type Body = Body;

    async fn respond(&self, request: Request<Arriving>) -> Response<Body> {
        // A router fails no request: the error is a type without values.
        self.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}
