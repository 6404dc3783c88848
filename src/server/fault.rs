//! Why a request gets no answer but an HTTP error, and how that reads on the wire.
//!
//! A fault is never a refusal: the API server applies the operator's `failurePolicy` to it. The body is a `v1/Status`, whose
//! message reaches the user; there is never a `Retry-After`, as the API server would try again until its deadline is over.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::Answer;
use super::body::MAX_BODY;
use super::facts::FactsError;
use crate::review::EnvelopeError;

/// What went wrong, on either side.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another path.
    #[error("there is nothing at this path: point the webhook's clientConfig at /mutate or /validate")]
    NoSuchPath,
    /// Another method.
    #[error("only POST is answered here: send an AdmissionReview")]
    NotPost,
    /// Another content type.
    #[error("the Content-Type must be application/json: send the AdmissionReview as JSON")]
    NotJson,
    /// `?timeout=` makes no sense.
    #[error("?timeout= must be a duration above zero such as 2s or 500ms, or be left out")]
    BadTimeout,
    /// More bytes than any legal review has.
    #[error(
        "the body is larger than {} MiB, more than a review of any object that the API server stores: send one object",
        MAX_BODY >> 20
    )]
    TooLarge,
    /// The client stopped in the middle of the body.
    #[error("the body ended before it was complete: send it again")]
    BrokenBody,
    /// The body came too slowly.
    #[error("the body did not arrive in time: look at the network between the API server and the webhook")]
    SlowBody,
    /// No AdmissionReview that is spoken here.
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
    /// The engine cannot read the object.
    #[error("{0}: look at what was sent, the API server writes no such object")]
    Object(#[from] crate::engine::Fault),
    /// Nothing is known about the request's namespace.
    #[error("{0}")]
    Facts(#[from] FactsError),
    /// A gate is closed.
    #[error("not ready yet, waiting for {0}: try again in a few seconds, or look at /readyz and the log")]
    NotReady(String),
    /// Too much at once.
    #[error("too many requests at once: try again, add replicas, or raise the limits of `supercargo serve`")]
    Overloaded,
    /// The time is up.
    #[error("judging took longer than the webhook's timeout: raise timeoutSeconds, add CPU, or try again")]
    Deadline,
    /// A mistake of this program.
    #[error("supercargo failed while judging this object; its log says where: please report it")]
    Panicked,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: WireNothing,
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

#[derive(Serialize)]
struct WireNothing {}

impl Fault {
    /// The label in metrics and the log.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::NoSuchPath => "path",
            Fault::NotPost => "method",
            Fault::NotJson => "content-type",
            Fault::BadTimeout => "timeout-parameter",
            Fault::TooLarge => "too-large",
            Fault::BrokenBody => "broken-body",
            Fault::SlowBody => "slow-body",
            Fault::Envelope(_) => "envelope",
            Fault::Object(_) => "object",
            Fault::Facts(_) => "namespace",
            Fault::NotReady(_) => "not-ready",
            Fault::Overloaded => "overloaded",
            Fault::Deadline => "deadline",
            Fault::Panicked => "panic",
        }
    }

    /// The status code, and the word of `metav1.StatusReason` for it.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Fault::NoSuchPath => (StatusCode::NOT_FOUND, "NotFound"),
            Fault::NotPost => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Fault::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Fault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Fault::SlowBody => (StatusCode::REQUEST_TIMEOUT, "Timeout"),
            Fault::BadTimeout | Fault::BrokenBody | Fault::Envelope(_) | Fault::Object(_) => {
                (StatusCode::BAD_REQUEST, "BadRequest")
            }
            Fault::Facts(_) | Fault::NotReady(_) | Fault::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            Fault::Deadline => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
            Fault::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    /// Whether the program itself is to blame, so that the log should shout.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Fault::Panicked)
    }

    /// Whether the time was up when it was decided, so that the answer must leave now.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Fault::SlowBody | Fault::Overloaded | Fault::Deadline)
    }

    /// The HTTP error.
    pub(super) fn answer(&self) -> Answer {
        let (code, reason) = self.code();
        let message = format!("supercargo: {self}");
        let status = WireStatus {
            api_version: "v1",
            kind: "Status",
            metadata: WireNothing {},
            status: "Failure",
            message: &message,
            reason,
            code: code.as_u16(),
        };
        // Strings and a number: serde_json has nothing to refuse here.
        let body = Bytes::from(serde_json::to_vec(&status).unwrap_or_default());
        let mut answer = Answer::new(body.into());
        *answer.status_mut() = code;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Fault::NotPost => _ = headers.insert(ALLOW, HeaderValue::from_static("POST")),
            // What is left of the body is not worth reading.
            Fault::TooLarge | Fault::SlowBody | Fault::BrokenBody => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        answer
    }
}
