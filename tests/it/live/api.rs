//! An API server of the test's own: lists in pages, watches that replay, bookmarks, 410, silence, refusal, errors in watches; one ConfigMap that can be
//! written, with conflicts. It knows no type: objects are what the test puts in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

type Body = BoxBody<Bytes, std::io::Error>;

/// For how long an idle watch stands.
const IDLE: Duration = Duration::from_millis(1_100);

/// Changes of a kind that a watch can still ask for.
const LOG: usize = 20_000;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// It takes requests and says nothing, and nothing comes on watches that are open.
    Silent,
    /// Every request is answered with 503, and open watches break off.
    Refusing,
    /// Watches are answered with 200, and then say that they cannot be.
    Failing,
    /// Nothing is told on watches, not even bookmarks; they end as they should.
    Idle,
}

/// What is stored, and who waits for changes of it.
pub struct Api {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    mood: watch::Sender<Mood>,
    bookmarks: Duration,
}

#[derive(Default)]
struct State {
    version: u64,
    kinds: HashMap<String, Kind>,
}

#[derive(Default)]
struct Kind {
    objects: BTreeMap<String, Bytes>,
    /// A watch from before this version is answered with 410.
    floor: u64,
    log: VecDeque<(u64, Bytes)>,
    /// How often it was listed from the beginning.
    lists: usize,
}

impl Api {
    /// An empty one that sends bookmarks this often.
    pub fn new(bookmarks: Duration) -> Arc<Api> {
        let state = Mutex::new(State { version: 1, ..State::default() });
        Arc::new(Api { state, changed: watch::Sender::new(1), mood: watch::Sender::new(Mood::Well), bookmarks })
    }

    /// Creates or replaces an object of a kind ("pods"), and tells the watches.
    pub fn put(&self, plural: &str, object: Value) {
        self.change(plural, |kind, version| kind.put(object, version));
    }

    /// Takes an object away, by namespace and name, and tells the watches.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.change(plural, |kind, version| kind.delete(&key(namespace, name), version));
    }

    /// Forgets what has changed: watches that ask for it, and those that are open, are answered with 410. What `unseen` does
    /// nobody is told.
    pub fn expire(&self, plural: &str, unseen: impl FnOnce(&Api)) {
        unseen(self);
        self.change(plural, |kind, version| {
            kind.log.clear();
            kind.floor = version;
        });
    }

    /// The object, if it is there.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        Some(serde_json::from_slice(state.kinds.get(plural)?.objects.get(&key(namespace, name))?).unwrap())
    }

    /// How often a kind was listed.
    pub fn lists(&self, plural: &str) -> usize {
        self.state.lock().unwrap().kinds.get(plural).map_or(0, |kind| kind.lists)
    }

    /// From now on it behaves so.
    pub fn behave(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    fn change(&self, plural: &str, change: impl FnOnce(&mut Kind, u64)) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        change(state.kinds.entry(plural.to_owned()).or_default(), version);
        drop(state);
        self.changed.send_replace(version);
    }

    /// Answers on a port of the system's choice, for as long as the runtime lives.
    pub async fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let api = Arc::clone(&api);
                let service = service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        address
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let mut mood = self.mood.subscribe();
        let _ = mood.wait_for(|mood| *mood != Mood::Silent).await;
        if *self.mood.borrow() == Mood::Refusing {
            return status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        let (head, body) = request.into_parts();
        let query: HashMap<_, _> =
            head.uri.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('=')).collect();
        let parts: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
        // /api/v1/… or /apis/GROUP/VERSION/…
        let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        match *rest {
            [plural] if query.get("watch") == Some(&"true") => self.watch(plural, &query),
            [plural] => self.list(plural, &query),
            ["namespaces", name] => self.one("namespaces", "", name),
            ["namespaces", namespace, plural, name] if head.method == Method::PUT => {
                let body = body.collect().await.unwrap().to_bytes();
                self.replace(plural, namespace, name, serde_json::from_slice(&body).unwrap())
            }
            ["namespaces", namespace, plural, name] => self.one(plural, namespace, name),
            _ => status(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn one(&self, plural: &str, namespace: &str, name: &str) -> Response<Body> {
        match self.get(plural, namespace, name) {
            Some(object) => Response::new(full(object.to_string())),
            None => status(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn replace(&self, plural: &str, namespace: &str, name: &str, object: Value) -> Response<Body> {
        // The check and the change under one lock, or two could win.
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let Some(kind) = state.kinds.get_mut(plural) else { return status(StatusCode::NOT_FOUND, "NotFound") };
        let Some(old) = kind.objects.get(&key(namespace, name)) else {
            return status(StatusCode::NOT_FOUND, "NotFound");
        };
        let old: Value = serde_json::from_slice(old).unwrap();
        if old["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return status(StatusCode::CONFLICT, "Conflict");
        }
        kind.put(object, version);
        drop(state);
        self.one(plural, namespace, name)
    }

    fn list(&self, plural: &str, query: &HashMap<&str, &str>) -> Response<Body> {
        let mut state = self.state.lock().unwrap();
        let version = state.version;
        let kind = state.kinds.entry(plural.to_owned()).or_default();
        let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let after = query.get("continue").map(|token| String::from_utf8(unhex(token)).unwrap());
        kind.lists += usize::from(after.is_none());
        let from = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let mut page = kind.objects.range((from, Bound::Unbounded));
        let (mut text, mut last, mut count) = (String::new(), String::new(), 0);
        for (key, object) in page.by_ref().take(limit) {
            text.push_str(if count == 0 { "" } else { "," });
            text.push_str(std::str::from_utf8(object).unwrap());
            (last, count) = (key.clone(), count + 1);
        }
        let next = if page.next().is_some() { hex(last.as_bytes()) } else { String::new() };
        Response::new(full(format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{text}]}}"#
        )))
    }

    fn watch(self: Arc<Self>, plural: &str, query: &HashMap<&str, &str>) -> Response<Body> {
        let seconds = query.get("timeoutSeconds").map_or(290, |seconds| seconds.parse().unwrap());
        let watching = Watching {
            plural: plural.to_owned(),
            seen: query.get("resourceVersion").map_or(0, |version| version.parse().unwrap()),
            end: Instant::now() + Duration::from_secs(seconds),
            changed: self.changed.subscribe(),
            mood: self.mood.subscribe(),
            api: self,
            over: false,
        };
        let frames = stream::unfold(watching, |mut watching| async {
            let frame = watching.next().await?;
            Some((frame.map(Frame::data), watching))
        });
        Response::new(BodyExt::boxed(StreamBody::new(frames)))
    }
}

impl Kind {
    fn put(&mut self, mut object: Value, version: u64) {
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let text = |of: &str| object["metadata"][of].as_str().unwrap_or_default().to_owned();
        let (key, bytes) = (key(&text("namespace"), &text("name")), Bytes::from(object.to_string()));
        let event = if self.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        self.tell(event, &bytes, version);
        self.objects.insert(key, bytes);
    }

    fn delete(&mut self, key: &str, version: u64) {
        let Some(object) = self.objects.remove(key) else { return };
        let mut object: Value = serde_json::from_slice(&object).unwrap();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        self.tell("DELETED", &Bytes::from(object.to_string()), version);
    }

    fn tell(&mut self, event: &str, object: &Bytes, version: u64) {
        let object = std::str::from_utf8(object).unwrap();
        self.log.push_back((version, Bytes::from(format!("{{\"type\":\"{event}\",\"object\":{object}}}\n"))));
        if self.log.len() > LOG {
            self.floor = self.log.pop_front().map_or(0, |(version, _)| version);
        }
    }
}

/// One open watch.
struct Watching {
    api: Arc<Api>,
    plural: String,
    seen: u64,
    end: Instant,
    changed: watch::Receiver<u64>,
    mood: watch::Receiver<Mood>,
    over: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if self.over {
            return None;
        }
        let mut bookmark = Instant::now() + self.api.bookmarks;
        loop {
            let mood = *self.mood.borrow_and_update();
            if mood == Mood::Refusing {
                self.over = true;
                return Some(Err(std::io::Error::other("broken off")));
            }
            if mood == Mood::Silent {
                let _ = self.mood.changed().await;
                bookmark = Instant::now();
                continue;
            }
            if mood == Mood::Failing {
                self.over = true;
                return Some(Ok(event("ERROR", &failure(500, "InternalError", "etcdserver: leader changed"))));
            }
            if mood == Mood::Idle {
                if tokio::time::timeout(IDLE, self.mood.changed()).await.is_err() {
                    return None;
                }
                continue;
            }
            let version = *self.changed.borrow_and_update();
            if let Some(bytes) = self.news() {
                return Some(Ok(bytes));
            }
            let now = Instant::now();
            if now >= self.end {
                return None;
            }
            if now >= bookmark {
                self.seen = self.seen.max(version);
                let metadata = json!({"resourceVersion": self.seen.to_string()});
                let object = json!({"kind": "Any", "apiVersion": "v1", "metadata": metadata, "spec": {}});
                return Some(Ok(event("BOOKMARK", &object)));
            }
            let until = bookmark.min(self.end);
            tokio::select! {
                _ = timeout_at(until, self.changed.changed()) => {}
                _ = self.mood.changed() => {}
            }
        }
    }

    fn news(&mut self) -> Option<Bytes> {
        let state = self.api.state.lock().unwrap();
        let kind = state.kinds.get(&self.plural)?;
        if self.seen < kind.floor {
            self.over = true;
            return Some(event("ERROR", &failure(410, "Expired", "too old resource version")));
        }
        let from = kind.log.partition_point(|(version, _)| *version <= self.seen);
        let new: Vec<_> = kind.log.range(from..).take(500).collect();
        self.seen = new.last()?.0;
        Some(Bytes::from(new.iter().map(|(_, event)| &**event).collect::<Vec<_>>().concat()))
    }
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    Response::builder().status(code).body(full(failure(code.as_u16(), reason, reason).to_string())).unwrap()
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message, "code": code})
}

/// A line of a watch: the type first, as the real one has it.
fn event(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}
