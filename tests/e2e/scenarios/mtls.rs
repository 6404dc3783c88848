//! What the control plane gives to webhooks that want to know who calls.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use crate::controlplane::ControlPlane;
use crate::fixtures::scan_pod;
use crate::install::{Setup, install, path};
use crate::objects::{SOON, namespace, object};
use crate::pki::Ca;
use crate::wait::wait_for;
use crate::webhook::{program, redirect};

/// A listener that lets nobody in without a certificate of [`ControlPlane::webhook_clients`] sees the API server come in.
pub async fn api_server_shows_its_certificate(plane: &ControlPlane) -> Result<()> {
    let ca = Ca::new("supercargo e2e webhook")?;
    let pair = ca.server(&["127.0.0.1"])?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(plane.webhook_clients().by_url.pem().as_bytes())?)?;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build()?)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.cert.as_bytes())?],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?,
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;

    let name = namespace(plane, "mtls", &[]).await?;
    let mut configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "zz-mtls"},
        "webhooks": [{
            "name": "mtls.e2e.supercargo.dev",
            "clientConfig": {"service": {"namespace": "supercargo", "name": "supercargo", "path": "/validate"}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
            // The listener hangs up without an answer.
            "failurePolicy": "Ignore",
            "timeoutSeconds": 2,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    redirect(&mut configuration, listener.local_addr()?, &ca.pem())?;
    plane.apply(&[configuration]).await?;

    let accept = async {
        let (stream, _) = listener.accept().await?;
        let stream = acceptor.accept(stream).await.context("the API server showed no certificate")?;
        anyhow::Ok(stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len))
    };
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &name);
    let probe = object(json!({"metadata": {"generateName": "probe-"}}))?;
    // The first ones pass unseen: the API server takes a moment to learn of a new configuration.
    let create = wait_for::<()>("the API server to call", SOON, async || {
        maps.create(&PostParams::default(), &probe).await?;
        Ok(None)
    });
    let certificates = tokio::select! {
        certificates = accept => certificates?,
        late = create => return late,
    };
    ensure!(certificates == 1, "{certificates} certificates");
    Ok(())
}

/// With `--client-ca` the API server is served, by the certificate that it shows; whoever shows another one or none gets no
/// answer.
pub async fn answers_the_api_server_only(plane: &ControlPlane) -> Result<()> {
    let folder = plane.folder();
    let clients = folder.join("webhook-clients.crt");
    std::fs::write(&clients, plane.webhook_clients().by_url.pem())?;
    let clients = path(&clients)?;
    // It returns when the API server has been answered.
    let installed = install(plane, &Setup { args: &["--client-ca", &clients], ..Setup::default() }).await?;

    let pod = folder.join("mtls-pod.json");
    std::fs::write(&pod, scan_pod("asked").to_string())?;
    let known = plane.webhook_clients().by_url.client("somebody")?.write(folder, "mtls-known")?;
    // `supercargo certs` made it: a good certificate, of another CA.
    let stranger = (installed.certs.join("client.crt"), installed.certs.join("client.key"));
    let ask = async |pair: Option<&(PathBuf, PathBuf)>| -> Result<Output> {
        let mut command = Command::new(program());
        command.arg("review").arg("--server").arg(format!("https://{}", installed.webhook.tls));
        command.arg("--ca").arg(installed.certs.join("ca.crt"));
        if let Some((cert, key)) = pair {
            command.arg("--cert").arg(cert).arg("--key").arg(key);
        }
        Ok(command.arg("--mutate").arg(&pod).output().await?)
    };
    let answer = ask(Some(&known)).await?;
    let (stdout, stderr) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    ensure!(answer.status.success() && stdout.contains("allowed"), "{}: {stdout}{stderr}", answer.status);
    for (who, pair) in [("another CA's certificate", Some(&stranger)), ("no certificate", None)] {
        let answer = ask(pair).await?;
        let stdout = String::from_utf8_lossy(&answer.stdout);
        ensure!(!answer.status.success() && !stdout.contains("allowed"), "with {who}, {}: {stdout}", answer.status);
    }
    let failures = installed.webhook.metric("supercargo_handshake_failures_total", &[]).await?;
    ensure!(failures >= 2, "{failures} handshakes failed, say the metrics");
    Ok(())
}
