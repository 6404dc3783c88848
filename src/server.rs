//! The webhook as a server.
//!
//! A request comes in by `accept` (socket, TLS, HTTP) and is answered in `webhook` (bytes in, bytes out), which asks the engine; `router` says
//! which path leads where. Beside it: `health` (readiness and metrics over plain HTTP, with axum), `tls` (certificates that change), `connections` (who may
//! be connected), `workers` (the threads that hold connections), `lifecycle` (start and end). Decides nothing about objects.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::policy::PolicySet;

mod accept;
mod body;
mod connections;
mod deadline;
mod expiry;
pub mod facts;
mod fault;
mod health;
mod lifecycle;
pub mod metrics;
pub mod open_files;
mod record;
mod router;
mod seldom;
pub mod tls;
mod webhook;
mod workers;

pub use body::MAX_BODY;
pub use connections::Limits;
pub use fault::Fault;
pub use health::{Gate, Health, Readiness};
pub use lifecycle::{Drain, Stop};
pub use webhook::{Door, Judge, Load, Webhook};

/// What every request gets.
pub type Answer = hyper::Response<http_body_util::Full<hyper::body::Bytes>>;

/// The kubelet and Prometheus need a handful of connections each, and nobody gets so many that others find none.
const HEALTH_CONNECTIONS: usize = 64;
const HEALTH_CONNECTIONS_PER_PEER: usize = 16;

/// Where to listen, and within which limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// The webhook's address.
    pub listen: SocketAddr,
    /// The address of /healthz, /readyz and /metrics.
    pub http_listen: SocketAddr,
    /// The webhook's certificates.
    pub tls: tls::Files,
    /// How many threads answer reviews.
    pub workers: usize,
    /// Connections.
    pub limits: Limits,
    /// Requests.
    pub load: Load,
    /// The end.
    pub drain: Drain,
}

/// What answers are made of.
pub struct Decider {
    /// The engine.
    pub judge: Arc<dyn Judge>,
    /// The policies in force; whoever holds the other end may change them.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What is known of namespaces.
    pub facts: facts::Source,
}

/// A server that listens, and answers once it runs.
pub struct Server {
    webhook: SocketAddr,
    http: SocketAddr,
    metrics: Arc<metrics::Metrics>,
    lifecycle: lifecycle::Lifecycle,
}

impl Server {
    /// Reads the certificates and listens; nothing can be wrong with either afterwards.
    ///
    /// `readiness` brings the gates of the others; the server answers reviews when all are open.
    pub async fn bind(options: Options, decider: Decider, readiness: Readiness) -> anyhow::Result<Server> {
        let metrics = Arc::<metrics::Metrics>::default();
        let readiness = Arc::new(readiness);
        let (tls, seen) = tls::Tls::load(options.tls, Arc::clone(&metrics))?;
        let (webhook_listener, webhook_address) = listen("webhook", options.listen).await?;
        let (http_listener, http_address) = listen("http", options.http_listen).await?;

        let connections = connections::Connections::new(options.limits, Arc::clone(&metrics));
        let (phase, _) = watch::channel(lifecycle::Phase::Serving);
        let (http_phase, _) = watch::channel(lifecycle::Phase::Serving);
        let webhook = Webhook::new(
            decider.judge,
            decider.policies,
            decider.facts,
            Arc::clone(&readiness),
            Arc::clone(&metrics),
            options.load,
        );
        let (workers, worker_ended) =
            workers::Workers::start(options.workers).context("cannot start the worker threads")?;
        let workers = Arc::new(workers);
        let webhook = accept::Acceptor {
            listener: webhook_listener,
            tls: Some(Arc::clone(&tls)),
            connections: Arc::clone(&connections),
            most: Arc::clone(&connections),
            respond: Arc::new(webhook),
            workers: Some(Arc::clone(&workers)),
            phase: phase.subscribe(),
            metrics: Arc::clone(&metrics),
        };
        let health = health::Health { readiness: Arc::clone(&readiness), metrics: Arc::clone(&metrics) };
        let http = accept::Acceptor {
            listener: http_listener,
            tls: None,
            connections: connections::Connections::new(
                Limits { connections: HEALTH_CONNECTIONS, per_peer: HEALTH_CONNECTIONS_PER_PEER, ..options.limits },
                Arc::default(),
            ),
            most: Arc::clone(&connections),
            respond: router::health(&Arc::new(health)),
            workers: None,
            phase: http_phase.subscribe(),
            metrics: Arc::default(),
        };

        let mut tasks = lifecycle::Tasks::default();
        tasks.spawn("certificates", tls.watch(seen));
        tasks.spawn("worker", worker_ended);
        tasks.spawn("webhook", webhook.run());
        tasks.spawn("http", http.run());
        let drain = options.drain;
        let lifecycle =
            lifecycle::Lifecycle { tasks, phase, _http: http_phase, readiness, connections, _workers: workers, drain };
        Ok(Server { webhook: webhook_address, http: http_address, metrics, lifecycle })
    }

    /// Where the webhook listens, with the port that the system chose.
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook
    }

    /// Where /metrics is.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// What the server counts.
    pub fn metrics(&self) -> &Arc<metrics::Metrics> {
        &self.metrics
    }

    /// Adds a task that must not end before the server does.
    pub fn supervise(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.lifecycle.tasks.spawn(name, task);
    }

    /// Runs until it is asked to stop; fails when one of its tasks ends before that.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        Ok(self.lifecycle.run(stop).await?)
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({what})"))?;
    let address = listener.local_addr()?;
    // Tests and scripts that let the system choose the port read it from this line.
    tracing::info!(%what, %address, "listening");
    Ok((listener, address))
}
