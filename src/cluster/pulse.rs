//! Whether a watch is alive: when the API server last said something that brings the view up to date.
//!
//! That is a list that is complete, an event, a bookmark, or a watch that has ended as it should after it stood for a while: on an idle
//! cluster there is nothing else. Not that a watch was opened: the API server answers 200, and then says in the body that it
//! cannot. kube's watcher keeps bookmarks to itself, and says nothing when it opens a watch anew; so what is listened to is the client
//! that it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, stream};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::Request;
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

/// A watch that ends sooner has said nothing. What is wrong with one is said at its beginning.
const STOOD: Duration = Duration::from_secs(1);

/// What the lines of a watch begin with when something is told, spaces left out. The API server writes the type first.
const EVENTS: [&[u8]; 4] =
    [br#"{"type":"ADDED""#, br#"{"type":"MODIFIED""#, br#"{"type":"DELETED""#, br#"{"type":"BOOKMARK""#];

/// No longer than any of them.
const HEAD: usize = 24;

/// The last heartbeat.
pub(super) struct Pulse {
    start: Instant,
    /// In milliseconds after `start`.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { start: Instant::now(), last: AtomicU64::default() }
    }
}

impl Pulse {
    /// The same client, whose watches are listened to.
    pub fn listen(self: &Arc<Self>, client: Client) -> Client {
        let pulse = Arc::clone(self);
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, pulse) = (client.clone(), Arc::clone(&pulse));
            async move {
                let watches = request.uri().query().is_some_and(|query| query.split('&').any(|p| p == "watch=true"));
                let response = client.send(request).await?;
                let listened = watches && response.status().is_success();
                Ok::<_, kube::Error>(response.map(|body| {
                    if listened { Either::Left(StreamBody::new(pulse.hear(body))) } else { Either::Right(body) }
                }))
            }
        });
        Client::new(service, namespace)
    }

    /// The body of a watch, unchanged.
    fn hear<B>(self: Arc<Self>, body: B) -> impl Stream<Item = Result<Frame<Bytes>, B::Error>> + Send
    where
        B: hyper::body::Body<Data = Bytes, Error: Send> + Send + Unpin,
    {
        let opened = Instant::now();
        stream::unfold((self, body, Lines::default()), move |(pulse, mut body, mut lines)| async move {
            let frame = body.frame().await;
            let beats = match &frame {
                Some(Ok(frame)) => frame.data_ref().is_some_and(|bytes| lines.tell(bytes)),
                Some(Err(_)) => {
                    lines.failed = true;
                    false
                }
                None => lines.end() || (!lines.failed && opened.elapsed() >= STOOD),
            };
            if beats {
                pulse.beat();
            }
            Some((frame?, (pulse, body, lines)))
        })
    }

    /// The view is up to date.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// How long ago the last one was, or the start.
    pub fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// Tells events from errors by how their lines begin.
#[derive(Default)]
struct Lines {
    line: Line,
    /// How the line begins.
    head: Vec<u8>,
    /// There was a line that is no event.
    failed: bool,
}

#[derive(Clone, Copy, Default)]
enum Line {
    #[default]
    Begins,
    Event,
    Other,
}

impl Lines {
    /// Whether an event was completed by this.
    fn tell(&mut self, bytes: &[u8]) -> bool {
        let mut told = false;
        for &byte in bytes {
            match (byte, self.line) {
                (b'\n', _) => told |= self.end(),
                (b',', Line::Begins) => {
                    let is_event = EVENTS.contains(&&*self.head);
                    self.line = if is_event { Line::Event } else { Line::Other };
                }
                (_, Line::Begins) if byte.is_ascii_whitespace() => {}
                (_, Line::Begins) if self.head.len() < HEAD => self.head.push(byte),
                (_, Line::Begins) => self.line = Line::Other,
                (_, Line::Event | Line::Other) => {}
            }
        }
        told
    }

    /// The line is over; whether it was an event.
    fn end(&mut self) -> bool {
        let is_event = matches!(std::mem::take(&mut self.line), Line::Event);
        self.failed |= !is_event && !self.head.is_empty();
        self.head.clear();
        is_event
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use hyper::Response;

    use super::*;

    const ADDED: &str = "{\"type\":\"ADDED\",\"object\":{\"type\":\"ERROR\",\"a\":1}}\n";
    const ERROR: &str = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500}}\n";

    /// After which of the pieces of a watch, and whether at its end, there was a heartbeat. A second passes before each.
    async fn beats(pieces: &[&'static str]) -> Vec<bool> {
        let pulse = Arc::<Pulse>::default();
        let frames = pieces.iter().map(|piece| Ok::<_, kube::Error>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let frames: Vec<_> = frames.collect();
        let body = StreamBody::new(stream::iter(frames));
        let mut heard = Box::pin(Arc::clone(&pulse).hear(body));
        let mut beats = Vec::new();
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
            let frame = heard.next().await;
            beats.push(pulse.age().is_zero());
            if frame.is_none() {
                return beats;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_is_a_heartbeat_and_an_error_is_none() {
        assert_eq!(beats(&[ADDED, "{ \"type\" : \"BOOKMARK\", \"object\": {}}\n"]).await, [true, true, true]);
        assert_eq!(
            beats(&["{\"type\":\"DELE", "TED\",\"object\"", ":{}}\n", ERROR]).await,
            [false, false, true, false, false]
        );
        assert_eq!(beats(&[ERROR]).await, [false, false]);
        assert_eq!(beats(&["{\"kind\":\"Status\",\"code\":500}"]).await, [false, false]);
        for no_event in ["<html><title>Bad gateway</title></html>", "Bad gateway", "Bad gateway\n"] {
            assert_eq!(beats(&[no_event]).await, [false, false], "{no_event}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn that_a_watch_is_answered_is_no_heartbeat() {
        let answer = |_| async { Ok::<_, kube::Error>(Response::new(Body::from(ERROR.as_bytes().to_vec()))) };
        let pulse = Arc::<Pulse>::default();
        let client = pulse.listen(Client::new(tower::service_fn(answer), "default"));
        tokio::time::advance(Duration::from_secs(3)).await;
        let request = Request::get("/api/v1/pods?&watch=true&timeoutSeconds=10").body(Body::empty()).unwrap();
        let body = client.send(request).await.unwrap().collect().await.unwrap().to_bytes();
        assert_eq!((&*body, pulse.age()), (ERROR.as_bytes(), Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_stood_and_ended_is_a_heartbeat() {
        assert_eq!(beats(&[]).await, [true], "it ends after a second");
        let pulse = Arc::<Pulse>::default();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(Arc::clone(&pulse).hear(Body::empty()).boxed().next().await.is_none());
        assert_eq!(pulse.age(), Duration::from_secs(5), "it did not stand");
    }
}
