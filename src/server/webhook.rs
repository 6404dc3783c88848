//! A review as HTTP: bytes in, bytes out.
//!
//! Owns what stands between the socket and the engine: who may send what, the deadline, the panic guard, where large bodies are
//! judged, the log line and the metrics. Decides nothing about objects (engine.rs) and knows no socket (accept.rs).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::Instrument;

use super::body::{self, Budget};
use super::deadline::in_time;
use super::facts::Source;
use super::fault::Fault;
use super::health::Readiness;
use super::metrics::{Held, Metrics};
use super::{Answer, deadline, record};
use crate::engine::{self, Engine, Facts, Outcome};
use crate::policy::PolicySet;
use crate::review;
use crate::tree::Arena;

/// A large review that gets its turn with less time left than this would be judged for nobody.
const LEAST_TIME: Duration = Duration::from_millis(20);

thread_local! {
    /// What the last review on this thread was read into. Large blocks come from where both workers wait for each other.
    static SPARE: Cell<Option<Arena>> = const { Cell::new(None) };
}

/// What judges a request; [`Engine`] does, and a test may put something worse in its place.
pub trait Judge: Send + Sync + 'static {
    /// See [`Engine::passes_unseen`].
    fn passes_unseen(&self, request: &review::Request<'_>, policies: &PolicySet) -> bool;
    /// See [`Engine::mutate`].
    fn mutate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, engine::Fault>;
    /// See [`Engine::validate`].
    fn validate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, engine::Fault>;
}

impl Judge for Engine {
    fn passes_unseen(&self, request: &review::Request<'_>, policies: &PolicySet) -> bool {
        self.passes_unseen(request, policies)
    }

    fn mutate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, engine::Fault> {
        self.mutate(request, facts)
    }

    fn validate(&self, request: &review::Request<'_>, facts: Facts<'_>) -> Result<Outcome, engine::Fault> {
        self.validate(request, facts)
    }
}

/// The two paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// What a pod gets.
    Mutate,
    /// Whether an object may pass.
    Validate,
}

impl Door {
    /// Both.
    pub const ALL: [Door; 2] = [Door::Mutate, Door::Validate];

    /// The label in metrics and the log.
    pub fn word(self) -> &'static str {
        match self {
            Door::Mutate => "mutate",
            Door::Validate => "validate",
        }
    }
}

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests that are judged at once; more wait until their deadline.
    pub requests: usize,
    /// How long a body may stand still.
    pub body_timeout: Duration,
    /// Bytes of bodies above 256 KiB, over all requests; one that is larger than all of it is read alone. Those of 64 to 256 KiB
    /// have half as much beside.
    pub body_bytes: usize,
    /// Bodies above 256 KiB that are judged at the same time.
    pub large: usize,
}

impl Default for Load {
    fn default() -> Self {
        // Bodies above 16 KiB take 38 MiB at most: 512 of 64 KiB, and 6 MiB of larger ones; a single one of up to 32 MiB is read alone.
        // Judging is what takes time, so more large ones in memory would only wait there.
        Load { requests: 512, body_timeout: Duration::from_secs(1), body_bytes: 4 << 20, large: 2 }
    }
}

/// Answers reviews.
pub struct Webhook {
    judge: Arc<dyn Judge>,
    policies: Arc<ArcSwap<PolicySet>>,
    facts: Source,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    budget: Budget,
    requests: Semaphore,
    large: Arc<Semaphore>,
    /// Has the threads for large reviews.
    runtime: Handle,
}

impl Webhook {
    /// A webhook that asks `judge`; large reviews are judged on threads of the runtime that it is made in.
    pub fn new(
        judge: Arc<dyn Judge>,
        policies: Arc<ArcSwap<PolicySet>>,
        facts: Source,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
        load: Load,
    ) -> Webhook {
        Webhook {
            judge,
            policies,
            facts,
            readiness,
            metrics,
            budget: Budget::new(load.body_bytes, load.body_timeout),
            requests: Semaphore::new(load.requests.clamp(1, Semaphore::MAX_PERMITS)),
            large: Arc::new(Semaphore::new(load.large.clamp(1, Semaphore::MAX_PERMITS))),
            runtime: Handle::current(),
        }
    }

    /// The answer to an HTTP request at a door, or at a path that is none.
    pub async fn answer<B>(self: &Arc<Self>, door: Option<Door>, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
    {
        let began = Instant::now();
        let _in_flight = Held::new(&self.metrics.requests_in_flight, 1);
        let (head, body) = request.into_parts();
        let mut body = pin!(body);
        match self.review(door, &head, body.as_mut(), began).await {
            Ok(bytes) => {
                let mut answer = Answer::new(Bytes::from(bytes).into());
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                answer
            }
            Err(fault) => {
                self.metrics.fault(fault.word());
                if !body.is_end_stream() && !fault.is_late() && !head.headers.contains_key("expect") {
                    body::discard(body).await;
                }
                fault.answer()
            }
        }
    }

    /// Reads the body and has it judged, here or off the workers.
    async fn review<B>(
        self: &Arc<Self>,
        door: Option<Door>,
        head: &Parts,
        body: Pin<&mut B>,
        began: Instant,
    ) -> Result<Vec<u8>, Fault>
    where
        B: Body<Data = Bytes>,
    {
        let door = door.ok_or(Fault::NoSuchPath).inspect_err(record::unread)?;
        let deadline = self.admit(head, began).inspect_err(record::unread)?;
        // A turn is for those whose body is there: clients that stop half-way take none away.
        let read = self.budget.read(body, deadline, &self.metrics).await.inspect_err(record::unread)?;
        let _turn = self.turn(deadline).await.inspect_err(record::unread)?;

        let answer = if read.bytes.len() <= body::MEDIUM {
            // On the worker that read it: a hand-over would cost more than judging most of them.
            in_time(deadline, pin!(self.judge(door, &read.bytes, began, deadline))).await
        } else {
            let permit = in_time(deadline, Arc::clone(&self.large).acquire_owned()).await;
            let is_early = Instant::now() + LEAST_TIME <= deadline;
            let permit = permit.and_then(Result::ok).filter(|_| is_early);
            let permit = permit.ok_or(Fault::Overloaded).inspect_err(record::unread)?;
            let webhook = Arc::clone(self);
            let work = self.runtime.spawn_blocking(move || {
                let answer = webhook.runtime.block_on(webhook.judge(door, &read.bytes, began, deadline));
                // They came along so that work that outlives its deadline is still counted.
                drop((read, permit));
                answer
            });
            // It goes on past its deadline, and is recorded when it ends.
            let answer = in_time(deadline, work).await.unwrap_or(Ok(Err(Fault::Deadline)));
            return answer.unwrap_or(Err(Fault::Panicked));
        };
        answer.unwrap_or_else(|| Err(Fault::Deadline).inspect_err(record::unread))
    }

    /// One of the places for those who are judged at once.
    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Fault> {
        // As a rule there is one, for which no future has to be made.
        if let Ok(turn) = self.requests.try_acquire() {
            return Ok(turn);
        }
        let turn = in_time(deadline, self.requests.acquire()).await;
        turn.and_then(Result::ok).ok_or(Fault::Overloaded)
    }

    /// What the head alone says.
    fn admit(&self, head: &Parts, began: Instant) -> Result<Instant, Fault> {
        if head.method != Method::POST {
            return Err(Fault::NotPost);
        }
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Fault::NotJson);
        }
        let allowance = deadline::allowance(head.uri.query()).ok_or(Fault::BadTimeout)?;
        let missing: Vec<_> = self.readiness.missing().collect();
        if !missing.is_empty() {
            return Err(Fault::NotReady(missing.join(", ")));
        }
        Ok(began + allowance)
    }

    /// Decides, whatever happens, and keeps a record of it.
    async fn judge(&self, door: Door, body: &[u8], began: Instant, deadline: Instant) -> Result<Vec<u8>, Fault> {
        let arena = SPARE.take().unwrap_or_else(|| Arena::for_text(body.len()));
        let read = catch_unwind(AssertUnwindSafe(|| review::read(body, &arena)));
        let (seen, decided) = match read {
            Ok(Ok(request)) => {
                // In its place, as whoever takes it by value moves it.
                let span = record::span(door, &request);
                let decided = guarded(pin!(self.decide(door, &request))).instrument(span).await;
                (Some(request), decided)
            }
            Ok(Err(error)) => (None, Err(error.into())),
            Err(_) => (None, Err(Fault::Panicked)),
        };
        // What nobody waits for any more was not answered, and does not count as if it were.
        let decided =
            decided.and_then(|decided| if Instant::now() < deadline { Ok(decided) } else { Err(Fault::Deadline) });
        record::decided(&self.metrics, door, seen.as_ref(), &decided, began.elapsed());
        drop(seen);
        SPARE.set(arena.cleared());
        decided.map(|(_, answer)| answer)
    }

    async fn decide(&self, door: Door, request: &review::Request<'_>) -> Result<(Outcome, Vec<u8>), Fault> {
        let policies = self.policies.load();
        let outcome = if self.judge.passes_unseen(request, &policies) {
            Outcome::default()
        } else {
            let namespace = self.facts.namespace(&request.namespace).await?;
            let now = jiff::Timestamp::now();
            let facts = Facts { namespace: &namespace, policies: &policies, now, packing: None };
            match door {
                Door::Mutate => {
                    self.facts.plan(now, |packing| self.judge.mutate(request, Facts { packing, ..facts }))?
                }
                Door::Validate => self.judge.validate(request, facts)?,
            }
        };
        let answer = outcome.response().encode(&request.uid);
        Ok((outcome, answer))
    }
}

/// A panic in `work` costs this one request. What it was working on is dropped, so nothing half-done is seen by another.
async fn guarded<T>(mut work: Pin<&mut impl Future<Output = Result<T, Fault>>>) -> Result<T, Fault> {
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(Fault::Panicked)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::Full;

    use super::*;

    /// Counts what it is asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Judge for Counting {
        fn passes_unseen(&self, _: &review::Request<'_>, _: &PolicySet) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
        fn mutate(&self, _: &review::Request<'_>, _: Facts<'_>) -> Result<Outcome, engine::Fault> {
            Ok(Outcome::default())
        }
        fn validate(&self, _: &review::Request<'_>, _: Facts<'_>) -> Result<Outcome, engine::Fault> {
            Ok(Outcome::default())
        }
    }

    fn webhook(judge: Arc<Counting>, load: Load) -> Arc<Webhook> {
        let facts = Source::Files(Arc::default());
        Arc::new(Webhook::new(judge, Arc::default(), facts, Arc::default(), Arc::default(), load))
    }

    /// What a future holds is moved with it, and drives out of the cache what the review needs: four kilobytes for the namespaces that have to be
    /// asked for were a twentieth of a review's CPU.
    #[tokio::test]
    async fn a_review_has_no_room_with_it_that_it_hardly_ever_needs() {
        let webhook = webhook(Arc::default(), Load::default());
        let now = Instant::now();
        let request = Request::new(Full::new(Bytes::new()));
        let sizes =
            (size_of_val(&webhook.answer(None, request)), size_of_val(&webhook.judge(Door::Mutate, b"", now, now)));
        assert!(sizes.0 < 4096 && sizes.1 < 2048, "{sizes:?} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_too_late_is_not_spent() {
        let judge = Arc::new(Counting::default());
        let webhook = webhook(Arc::clone(&judge), Load { large: 1, ..Load::default() });
        let review = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":{"kind":"Pod"},"operation":"DELETE"}}"#;
        let body = format!("{review}{}", " ".repeat(body::MEDIUM));
        // An answer to `?timeout=1s` leaves after 900 ms.
        for (turn, status, judged) in [(890, 503, 0), (500, 200, 1)] {
            let others = Arc::clone(&webhook.large).acquire_owned().await.unwrap();
            let request = Request::post("/validate?timeout=1s").header(CONTENT_TYPE, "application/json");
            let request = request.body(Full::new(Bytes::from(body.clone()))).unwrap();
            let answering = tokio::spawn({
                let webhook = Arc::clone(&webhook);
                async move { webhook.answer(Some(Door::Validate), request).await }
            });
            tokio::time::sleep(Duration::from_millis(turn)).await;
            drop(others);
            assert_eq!(answering.await.unwrap().status(), status);
            assert_eq!(judge.0.load(Ordering::Relaxed), judged);
        }
    }
}
