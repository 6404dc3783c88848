//! What is learned from the API server.
//!
//! Watches, and prunes what it sees to what is needed. Decides nothing; the server asks it for facts.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

mod asking;
pub mod batch;
pub mod explain;
pub mod facts;
mod index;
pub mod inventory;
mod karpenter;
pub mod ledger;
mod lifetimes;
mod object;
mod pulse;
pub mod snapshot;
mod thread;

pub use thread::Thread;

/// A connection on which nothing was heard for so long is dead: bookmarks come once a minute.
const SILENCE: Duration = Duration::from_secs(120);

/// Does `work` with a client for [`config`]'s cluster, and waits for it: for commands that ask and end.
pub fn ask<T>(kubeconfig: Option<&Path>, work: impl AsyncFnOnce(Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async { work(client(config(kubeconfig).await?)?).await })
}

/// Who to ask: the cluster that this pod runs in, or the one that the kubeconfig names.
pub async fn config(kubeconfig: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context(
            "cannot find a cluster: run in a pod with a service account, set KUBECONFIG, or name a file with --kubeconfig",
        )?,
    };
    config.read_timeout.get_or_insert(SILENCE);
    tracing::info!(cluster = %config.cluster_url, "facts come from the cluster");
    Ok(config)
}

/// Who asks: does its work in the runtime that it is made in.
pub fn client(config: Config) -> anyhow::Result<Client> {
    // Fails when there is one already, which then is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(config).context("cannot make a client for the cluster")
}
