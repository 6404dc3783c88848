//! An API server of the test's own: Jobs, pods, events and nodes, with lists, watches that go on from a version, and faults.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

type Body = BoxBody<Bytes, io::Error>;

/// Plural and kind of what it knows.
const KINDS: [(&str, &str); 4] = [("jobs", "Job"), ("pods", "Pod"), ("events", "Event"), ("nodes", "Node")];

/// The events of a watch, until it is cut.
struct Watch(mpsc::UnboundedReceiver<Value>);

impl HttpBody for Watch {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|event| match event {
            Some(event) => Some(Ok(Frame::data(Bytes::from(format!("{event}\n"))))),
            // In the middle of the answer, as a connection that is lost.
            None => Some(Err(io::ErrorKind::ConnectionReset.into())),
        })
    }
}

#[derive(Default)]
struct State {
    version: u64,
    /// By plural, then namespace and name.
    objects: HashMap<&'static str, BTreeMap<String, Value>>,
    /// What happened, in order: version, plural, event.
    history: Vec<(u64, &'static str, Value)>,
    /// Versions up to this one are forgotten: a watch that goes on from there is answered 410.
    forgotten: u64,
    watches: Vec<(&'static str, mpsc::UnboundedSender<Value>)>,
    /// What is answered instead, each as often as it stands here: (method, part of the path, Status).
    faults: Vec<(Method, &'static str, Value)>,
    /// Nobody answers.
    away: bool,
    /// Methods, paths and queries of what was asked.
    asked: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Listens on loopback and returns a kubeconfig's text that leads there; its namespace is `scans`.
    pub async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let api = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let api = api.clone();
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { api.answer(request).await }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c", "namespace": "scans"}}]})
        .to_string()
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        let mut state = self.state();
        if state.away {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        state.asked.push(format!("{method} {path}?{query}"));
        let fault = state.faults.iter().position(|(m, part, ..)| *m == method && path.contains(part));
        if let Some(at) = fault {
            return Ok(said(&state.faults.remove(at).2));
        }
        let parts: Vec<&str> = path.split('/').collect();
        let plural = KINDS.iter().find(|(plural, _)| parts.contains(plural)).map(|(plural, _)| *plural).unwrap();
        Ok(match method {
            Method::GET if query.contains("watch=true") => state.watch(plural, &query),
            Method::GET if parts.last() != Some(&plural) => {
                let name = parts.last().copied().unwrap_or_default();
                match state.objects.get(plural).and_then(|objects| objects.get(&format!("scans/{name}"))) {
                    Some(object) => answer(200, object),
                    None => said(&status(404, "not found")),
                }
            }
            Method::GET => state.list(plural, &query),
            Method::PATCH => {
                assert_eq!(plural, "jobs");
                let mut job: Value = serde_json::from_slice(&body).unwrap();
                let name = job["metadata"]["name"].as_str().unwrap().to_owned();
                assert!(path.ends_with(&format!("/namespaces/scans/jobs/{name}")), "{path}");
                if let Some(there) = state.objects.get("jobs").and_then(|jobs| jobs.get(&format!("scans/{name}"))) {
                    // Server-side apply of the same changes nothing.
                    return Ok(answer(200, there));
                }
                job["metadata"]["uid"] = json!(format!("uid-{name}"));
                state.put(job.clone());
                answer(201, &job)
            }
            Method::DELETE => {
                for object in state.objects.remove(plural).into_iter().flat_map(BTreeMap::into_values) {
                    state.say(plural, "DELETED", object);
                }
                said(&status(200, "deleted"))
            }
            other => panic!("{other} {path}"),
        })
    }

    /// An object is there, or has changed.
    pub fn put(&self, object: Value) {
        self.state().put(object);
    }

    /// An object goes.
    pub fn remove(&self, plural: &'static str, name: &str) {
        let mut state = self.state();
        let object =
            state.objects.get_mut(plural).and_then(|objects| objects.remove(&format!("scans/{name}"))).unwrap();
        state.say(plural, "DELETED", object);
    }

    /// A part of a Job or pod changes.
    pub fn change(&self, plural: &'static str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let mut object = state.objects[plural][&format!("scans/{name}")].clone();
        change(&mut object);
        state.put(object);
    }

    /// Cuts every watch in the middle, and answers nobody until [`Api::come_back`].
    pub fn go_away(&self) {
        let mut state = self.state();
        state.away = true;
        state.watches.clear();
    }

    /// Answers again. Who goes on from where he was is told that this is too long ago: 410.
    pub fn come_back(&self) {
        let mut state = self.state();
        state.away = false;
        state.forgotten = state.version;
    }

    /// The next request of this kind is answered like this.
    pub fn fail(&self, method: Method, part: &'static str, code: u16, message: &'static str) {
        self.fail_with(method, part, status(code, message));
    }

    /// The same, with all that a Status holds.
    pub fn fail_with(&self, method: Method, part: &'static str, status: Value) {
        self.state().faults.push((method, part, status));
    }

    /// The names of the objects of a kind.
    pub fn names(&self, plural: &str) -> Vec<String> {
        let state = self.state();
        let objects = state.objects.get(plural).into_iter().flat_map(BTreeMap::values);
        objects.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Methods, paths and queries so far.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }
}

impl State {
    fn put(&mut self, object: Value) {
        let (plural, _) = *KINDS.iter().find(|(_, kind)| object["kind"] == *kind).unwrap();
        let namespace = if plural == "nodes" { "" } else { "scans" };
        let key = format!("{namespace}/{}", object["metadata"]["name"].as_str().unwrap());
        let known = self.objects.get(plural).is_some_and(|objects| objects.contains_key(&key));
        let object = self.say(plural, if known { "MODIFIED" } else { "ADDED" }, object);
        self.objects.entry(plural).or_default().insert(key, object);
    }

    fn say(&mut self, plural: &'static str, event: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if plural != "nodes" {
            object["metadata"]["namespace"] = json!("scans");
        }
        let event = json!({"type": event, "object": object});
        self.watches.retain(|(watched, sender)| *watched != plural || sender.send(event.clone()).is_ok());
        self.history.push((self.version, plural, event));
        object
    }

    fn list(&self, plural: &str, query: &str) -> Response<Body> {
        let items = self.objects.get(plural).into_iter().flat_map(BTreeMap::values);
        let items: Vec<&Value> = items.filter(|object| is_selected(object, query)).collect();
        let kind = KINDS.iter().find(|(known, _)| *known == plural).unwrap().1;
        let metadata = json!({"resourceVersion": self.version.to_string()});
        answer(200, &json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    fn watch(&mut self, plural: &'static str, query: &str) -> Response<Body> {
        let version = query.split('&').find_map(|part| part.strip_prefix("resourceVersion=")).unwrap();
        let version: u64 = version.parse().unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        if version < self.forgotten {
            let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
                "message": "too old resource version"});
            sender.send(json!({"type": "ERROR", "object": gone})).unwrap();
        }
        let later = self
            .history
            .iter()
            .filter(|(at, kind, event)| *at > version && *kind == plural && is_selected(&event["object"], query));
        later.for_each(|(_, _, event)| sender.send(event.clone()).unwrap());
        self.watches.push((plural, sender));
        Response::new(Watch(receiver).boxed())
    }
}

/// Of the Jobs, those of the run that the label selector names; all of the others, which the tests give no labels.
fn is_selected(object: &Value, query: &str) -> bool {
    let run = query.split("labelSelector=supercargo.dev%2Fbatch%3D").nth(1).and_then(|rest| rest.split('&').next());
    object["kind"] != "Job" || run.is_none_or(|run| object["metadata"]["labels"]["supercargo.dev/batch"] == run)
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

fn status(code: u16, message: &str) -> Value {
    let outcome = if code < 300 { "Success" } else { "Failure" };
    let reason = if code == 404 { "NotFound" } else { "" };
    json!({"kind": "Status", "apiVersion": "v1", "status": outcome, "code": code, "reason": reason, "message": message})
}

fn said(status: &Value) -> Response<Body> {
    answer(u16::try_from(status["code"].as_u64().unwrap()).unwrap(), status)
}
