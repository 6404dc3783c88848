//! Nothing is lost while certificates are swapped and a replica goes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::PostParams;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::controlplane::ControlPlane;
use crate::fixtures::scan_pod;
use crate::install::{Setup, base, fail_closed, register, scan_namespace, serve};
use crate::objects::{SOON, object};
use crate::pki::Ca;
use crate::switch::Switch;
use crate::wait::wait_for;
use crate::webhook::Webhook;

/// More than the program's own drain takes.
const END: Duration = Duration::from_secs(40);

/// Creates that must have succeeded before the next step is taken, and after the last one.
const MORE: usize = 40;

/// A steady stream of creates with every webhook set to Fail, so that any error of ours shows; meanwhile the certificate is
/// swapped the way the kubelet does it, and one of two replicas is told to go. No create fails.
pub async fn loses_nothing_by_rotation_and_drain(plane: &ControlPlane) -> Result<()> {
    let scans = scan_namespace(plane, "stream").await?;
    let kubeconfig = base(plane).await?;
    let ca = Ca::new("supercargo e2e rotation")?;
    let secret = Secret::new(plane.folder().join("rotation"))?;
    fs::write(secret.folder.join("ca.crt"), ca.pem())?;
    let old = secret.write(&ca, "first")?;
    let first = serve(plane, &Setup::default(), &secret.folder, &kubeconfig).await?;
    let second = serve(plane, &Setup::default(), &secret.folder, &kubeconfig).await?;
    let switch = Switch::start(&[&first, &second]).await?;
    switch.both_ready().await?;
    register(plane, switch.address, &secret.folder.join("ca.crt"), fail_closed).await?;

    let stream = Arc::new(Stream::default());
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (stream, client, namespace) = (stream.clone(), plane.admin(), scans.clone());
        writers.spawn(async move { stream.write(client, &namespace, writer).await });
    }
    let steps = async {
        stream.more("at the start").await?;
        let new = secret.write(&ca, "second")?;
        ensure!(old != new, "the same certificate again");
        for webhook in [&first, &second] {
            wait_for("the new certificate to be shown", SOON, async || {
                Ok((shown(webhook, &ca).await? == new).then_some(()))
            })
            .await?;
        }
        stream.more("after the swap").await?;
        first.process().terminate()?;
        let status = first.process().wait(END).await?;
        ensure!(status.success(), "the replica ended with {status}; {}", first.process().tail(10));
        stream.more("after the end of the first replica").await
    };
    let outcome = steps.await;
    stream.stop.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    outcome?;
    let created = stream.created.load(Ordering::Relaxed);
    println!("    {created} creates, none failed");
    for replica in [&first, &second] {
        replica.logged("decision=mutated").await.context("a replica was never asked")?;
    }
    ensure!(second.metric("supercargo_faults_total", &[]).await? == 0, "the second replica had faults");
    Ok(())
}

/// Creates, one after the other from several writers, until told to stop.
#[derive(Default)]
struct Stream {
    created: AtomicUsize,
    stop: AtomicBool,
    failed: AtomicBool,
}

impl Stream {
    async fn write(&self, client: kube::Client, namespace: &str, writer: usize) -> Result<()> {
        let written = self.write_all(client, namespace, writer).await;
        self.failed.fetch_or(written.is_err(), Ordering::Relaxed);
        written
    }

    async fn write_all(&self, client: kube::Client, namespace: &str, writer: usize) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        for index in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("writer-{writer}-{index}");
            let created = self.created.load(Ordering::Relaxed);
            let context = || format!("create {name}, after {created} that succeeded");
            // A pod passes both webhooks; thousands of them need not be kept for that.
            let pod = pods.create(&dry_run, &object(scan_pod(&name))?).await.with_context(context)?;
            let annotations = pod.metadata.annotations.unwrap_or_default();
            ensure!(annotations.contains_key("supercargo.dev/profile"), "{name} was not equipped");
            let map = object(json!({"metadata": {"name": name}, "data": {"index": index.to_string()}}))?;
            maps.create(&PostParams::default(), &map).await.with_context(context)?;
            self.created.fetch_add(2, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until more have succeeded, or one has failed: its writer says why.
    async fn more(&self, when: &str) -> Result<()> {
        let before = self.created.load(Ordering::Relaxed);
        wait_for(&format!("{MORE} more creates {when}"), SOON, async || {
            let more = self.created.load(Ordering::Relaxed) - before;
            Ok((more >= MORE || self.failed.load(Ordering::Relaxed)).then_some(()))
        })
        .await
    }
}

/// A Secret as the kubelet mounts it: files are links into `..data`, itself a link that is replaced at once.
struct Secret {
    folder: PathBuf,
}

impl Secret {
    fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder)?;
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), folder.join(file))?;
        }
        Ok(Self { folder })
    }

    /// Issues a pair and swaps it in; returns the certificate.
    fn write(&self, ca: &Ca, version: &str) -> Result<CertificateDer<'static>> {
        let pair = ca.server(&["127.0.0.1"])?;
        let version = format!("..{version}");
        fs::create_dir(self.folder.join(&version))?;
        pair.write(&self.folder.join(&version), "tls")?;
        let old = fs::read_link(self.folder.join("..data")).ok();
        symlink(&version, self.folder.join("..data_tmp"))?;
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data"))?;
        if let Some(old) = old {
            fs::remove_dir_all(self.folder.join(old))?;
        }
        Ok(CertificateDer::from_pem_slice(pair.cert.as_bytes())?)
    }
}

/// The certificate that a replica shows to a new connection.
async fn shown(webhook: &Webhook, ca: &Ca) -> Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes())?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(webhook.tls).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1")?, stream).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(certificates.first().context("no certificate")?.clone().into_owned())
}
