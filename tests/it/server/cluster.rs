//! The view of a cluster, against an API server that says what the test wants.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use supercargo::cluster::facts::{Missing, View};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::client::{Body, eventually, full};

/// Watch events of one kind, for as long as the sender lives.
struct Events(mpsc::UnboundedReceiver<Value>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n"))))))
    }
}

/// Answers lists, one watch a kind, and single namespaces.
#[derive(Default)]
struct FakeApi {
    lists: Mutex<HashMap<&'static str, Vec<Value>>>,
    watches: Mutex<HashMap<&'static str, mpsc::UnboundedSender<Value>>>,
    single: Mutex<HashMap<String, Value>>,
    silent: AtomicBool,
    /// What was asked for beside lists and watches.
    asked: Mutex<Vec<String>>,
}

const KINDS: [(&str, &str); 4] = [
    ("namespaces", "PartialObjectMetadata"),
    ("limitranges", "LimitRange"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ("persistentvolumes", "PersistentVolume"),
];

impl FakeApi {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/api/v1/namespaces/") {
            self.asked.lock().unwrap().push(request.uri().to_string());
            if self.silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let found = self.single.lock().unwrap().get(name).cloned();
            let missing =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
            let code = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            return Response::builder().status(code).body(full(found.unwrap_or(missing).to_string())).unwrap();
        }
        let (plural, kind) =
            KINDS.into_iter().find(|(plural, _)| path.ends_with(plural)).expect("a kind that is watched");
        if request.uri().query().unwrap_or_default().contains("watch=true") {
            let (sender, receiver) = mpsc::unbounded_channel();
            self.watches.lock().unwrap().insert(plural, sender);
            return Response::new(Events(receiver).boxed());
        }
        let items = self.lists.lock().unwrap().get(plural).cloned().unwrap_or_default();
        let list = json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items});
        Response::new(full(list.to_string()))
    }

    fn list(&self, plural: &'static str, object: Value) {
        self.lists.lock().unwrap().entry(plural).or_default().push(object);
    }

    fn send(&self, plural: &str, event: &str, object: &Value) {
        self.watches.lock().unwrap()[plural].send(json!({"type": event, "object": object})).unwrap();
    }

    async fn serve(self: Arc<Self>) -> kube::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let api = Arc::clone(&self);
                let service = service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap()
    }
}

fn namespace(name: &str, label: &str) -> Value {
    let metadata = json!({"name": name, "resourceVersion": "2", "labels": {"team": label}});
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

fn limit_range(name: &str) -> Value {
    let spec = json!({"limits": [{"type": "Container", "default": {"cpu": "500m"}}]});
    json!({"kind": "LimitRange", "apiVersion": "v1", "spec": spec,
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "2"}})
}

#[tokio::test]
async fn the_view_follows_the_cluster_and_asks_for_what_is_new() {
    let api = Arc::new(FakeApi::default());
    api.list("namespaces", namespace("shop", "a"));
    api.list("limitranges", limit_range("defaults"));
    let claim = json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "spec": {"accessModes": ["ReadWriteMany"]},
        "metadata": {"name": "source", "namespace": "shop", "resourceVersion": "2"}});
    api.list("persistentvolumeclaims", claim);

    let open = Arc::new(AtomicBool::new(false));
    let client = Arc::clone(&api).serve().await;
    let (view, task) = View::follow(client.clone(), client, {
        let open = Arc::clone(&open);
        move || open.store(true, Ordering::Relaxed)
    });
    tokio::spawn(task);
    eventually("the gate opens", async || open.load(Ordering::Relaxed)).await;
    eventually("claims are known", async || view.namespace("shop").await.unwrap().claims.is_some()).await;
    let shop = view.namespace("shop").await.unwrap();
    assert_eq!(shop.labels["team"], "a");
    assert_eq!(shop.labels["kubernetes.io/metadata.name"], "shop");
    assert_eq!(shop.limit_ranges[0].default["cpu"], "500m");
    assert_eq!(shop.claims.as_ref().unwrap()[0].name, "source");

    eventually("everything is watched", async || api.watches.lock().unwrap().len() == 4).await;
    api.send("namespaces", "MODIFIED", &namespace("shop", "b"));
    eventually("a label changes", async || view.namespace("shop").await.unwrap().labels["team"] == "b").await;
    api.send("limitranges", "DELETED", &limit_range("defaults"));
    eventually("a LimitRange goes", async || view.namespace("shop").await.unwrap().limit_ranges.is_empty()).await;

    // Created a moment ago: only a live GET knows it.
    api.single.lock().unwrap().insert("new".to_owned(), namespace("new", "c"));
    assert_eq!(view.namespace("new").await.unwrap().labels["team"], "c");
    assert_eq!(view.namespace("never").await.unwrap_err(), Missing::Absent);
    api.silent.store(true, Ordering::Relaxed);
    let unanswered = view.namespace("new").await.unwrap_err();
    assert_eq!(unanswered, Missing::Unanswered, "an API server that does not answer is not waited for");
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_what_is_none_not_at_all() {
    let api = Arc::new(FakeApi::default());
    api.single.lock().unwrap().insert("new".to_owned(), namespace("new", "c"));
    let client = Arc::clone(&api).serve().await;
    let (view, _task) = View::follow(client.clone(), client, || {});
    let long = "x".repeat(64);
    for name in [
        "../../api/v1/namespaces/x",
        "a?watch=1&x=",
        "kube-system/secrets/db",
        "%2e%2e",
        "a b",
        "x#y",
        "..",
        "A",
        "-a",
        &long,
    ] {
        assert_eq!(view.namespace(name).await.unwrap_err(), Missing::Absent, "{name}");
    }
    assert!(api.asked.lock().unwrap().is_empty());

    for found in futures::future::join_all((0..50).map(|_| view.namespace("new"))).await {
        assert_eq!(found.unwrap().labels["team"], "c");
    }
    assert_eq!(api.asked.lock().unwrap().len(), 1);
    // The answer is not kept.
    api.single.lock().unwrap().clear();
    assert_eq!(view.namespace("new").await.unwrap_err(), Missing::Absent);
}

#[tokio::test]
async fn the_gate_stays_closed_while_nothing_is_listed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Nobody listens there: the port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let (view, task) = View::follow(client.clone(), client, move || gate.store(true, Ordering::Relaxed));
    let task = tokio::spawn(task);
    assert_eq!(view.namespace("shop").await.unwrap_err(), Missing::Unanswered);
    assert!(!open.load(Ordering::Relaxed) && !task.is_finished());
}
