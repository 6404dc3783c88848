//! What a Service does for the replicas behind it: a new connection goes to one that was ready at the last look.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::objects::SOON;
use crate::wait::wait_for;
use crate::webhook::{Webhook, get};

/// The readiness probe of manifests/install looks every 2 s; the program waits longer than that before it closes.
const LOOK: Duration = Duration::from_secs(2);

/// A running switch; dropping it ends it, with the connections that go through it.
pub struct Switch {
    /// Where to connect to.
    pub address: SocketAddr,
    replicas: Arc<Vec<Replica>>,
    _tasks: JoinSet<()>,
}

struct Replica {
    tls: SocketAddr,
    http: SocketAddr,
    ready: AtomicBool,
}

impl Switch {
    /// Listens, and starts to look at the replicas.
    pub async fn start(webhooks: &[&Webhook]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let replica =
            |webhook: &&Webhook| Replica { tls: webhook.tls, http: webhook.http, ready: AtomicBool::new(false) };
        let replicas: Arc<Vec<Replica>> = Arc::new(webhooks.iter().map(replica).collect());
        let mut tasks = JoinSet::new();
        let watched = replicas.clone();
        tasks.spawn(async move {
            loop {
                for replica in watched.iter() {
                    let ready = get(replica.http, "/readyz").await.is_ok_and(|(status, _)| status == 200);
                    replica.ready.store(ready, Ordering::Relaxed);
                }
                sleep(LOOK).await;
            }
        });
        tasks.spawn(accept(listener, replicas.clone()));
        Ok(Self { address, replicas, _tasks: tasks })
    }

    /// Waits until all replicas have been seen ready.
    pub async fn both_ready(&self) -> Result<()> {
        wait_for("all replicas to be ready", SOON, async || {
            let ready = self.replicas.iter().filter(|replica| replica.ready.load(Ordering::Relaxed)).count();
            ensure!(ready == self.replicas.len(), "{ready} are");
            Ok(Some(()))
        })
        .await
    }
}

async fn accept(listener: TcpListener, replicas: Arc<Vec<Replica>>) {
    let mut connections = JoinSet::new();
    let turn = AtomicUsize::new(0);
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let ready: Vec<SocketAddr> = replicas
            .iter()
            .filter(|replica| replica.ready.load(Ordering::Relaxed))
            .map(|replica| replica.tls)
            .collect();
        // Nobody is there: the client sees its connection closed.
        if ready.is_empty() {
            continue;
        }
        let chosen = ready[turn.fetch_add(1, Ordering::Relaxed) % ready.len()];
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(chosen).await {
                // An error is the end of one of the two; both are closed, and each sees it.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
