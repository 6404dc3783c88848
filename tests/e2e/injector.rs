//! Somebody else's mutating webhook, called before or after ours by the name of its configuration: it adds a container to every pod that
//! lacks it.

use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::controlplane::ControlPlane;
use crate::pki::Ca;
use crate::webhook::redirect;

/// A running injector; dropping it ends it.
pub struct Injector {
    _tasks: JoinSet<()>,
}

impl Injector {
    /// Adds `container` to the pods of namespaces that have this label. Webhooks are called in the order of their configurations' names.
    pub async fn start(plane: &ControlPlane, name: &str, label: (&str, &str), container: Value) -> Result<Self> {
        let ca = Ca::new("supercargo e2e injector")?;
        let pair = ca.server(&["127.0.0.1"])?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.cert.as_bytes())?],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?,
        )?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::new(container)));

        let mut configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "injector.e2e.supercargo.dev",
                "clientConfig": {"service": {"namespace": "mesh", "name": "injector", "path": "/inject"}},
                "namespaceSelector": {"matchLabels": {label.0: label.1}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        redirect(&mut configuration, address, &ca.pem())?;
        plane.apply(&[configuration]).await?;
        Ok(Self { _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, container: Arc<Value>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, container) = (tls.clone(), container.clone());
        connections.spawn(async move {
            // Whatever goes wrong, the API server says so: the policy is Fail.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, &container));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, container: &Value) -> Result<Response<Full<Bytes>>> {
    let review: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let containers = review.pointer("/request/object/spec/containers").and_then(Value::as_array);
    let there = containers.context("no containers")?.iter().any(|own| own["name"] == container["name"]);
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if !there {
        let patch = json!([{"op": "add", "path": "/spec/containers/-", "value": container}]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Ok(Response::new(Full::new(Bytes::from(answer.to_string()))))
}
