//! The paths of both listeners.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use tower::ServiceExt;

use super::Answer;
use super::accept::{Arriving, Respond};
use super::health::{Health, no_such_path, only_get};
use super::webhook::{Door, Webhook};

/// What the API server asks. Whatever is wrong with a request is answered as a `v1/Status`, a wrong path and method included, so the
/// routes take any method.
pub(super) fn webhook(webhook: &Arc<Webhook>) -> Router {
    let at = |door| {
        let webhook = Arc::clone(webhook);
        move |request: Request| async move { webhook.answer(door, request).await }
    };
    Router::new()
        .route("/mutate", any(at(Some(Door::Mutate))))
        .route("/validate", any(at(Some(Door::Validate))))
        .fallback(at(None))
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
    async fn respond(&self, request: hyper::Request<Arriving>) -> Answer {
        // A router fails no request: the error is a type without values.
        self.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}
