//! What is learned from the API server.
//!
//! Watches, and prunes what it sees to what is needed. Decides nothing; the server asks it for facts.

use std::path::Path;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub mod batch;
pub mod explain;
pub mod facts;
mod index;

/// Who to ask: the cluster that this pod runs in, or the one that the kubeconfig names.
pub async fn connect(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    // Fails when there is one already, which then is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context(
            "cannot find a cluster: run in a pod with a service account, set KUBECONFIG, or name a file with --kubeconfig",
        )?,
    };
    tracing::info!(cluster = %config.cluster_url, "facts come from the cluster");
    Client::try_from(config).context("cannot make a client for the cluster")
}
