//! The largest reviews that there are.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::controlplane::ControlPlane;
use crate::install::{Setup, fail_closed, install, register};
use crate::objects::{namespace, object};

/// A ConfigMap of 1 MiB made of `<`: the API server writes each as six bytes and sends old and new, 12.6 MB in all. It is
/// judged in time: the webhook is set to Fail, so an error or a timeout would refuse the UPDATE.
pub async fn judges_twelve_megabytes_in_time(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "large", &[]).await?;
    let installed = install(plane, &Setup::default()).await?;
    let webhook = &installed.webhook;
    register(plane, webhook.tls, &installed.certs.join("ca.crt"), fail_closed).await?;

    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &namespace);
    // The key counts too.
    let text = "<".repeat((1 << 20) - "page".len());
    let page =
        |label: &str| json!({"metadata": {"name": "page", "labels": {"edition": label}}, "data": {"page": text}});
    maps.create(&PostParams::default(), &object(page("first"))?).await.context("CREATE")?;
    let mut second: ConfigMap = object(page("second"))?;
    second.metadata.resource_version = maps.get("page").await?.metadata.resource_version;
    maps.replace("page", &PostParams::default(), &second).await.context("UPDATE")?;

    let update = [("webhook", "validate"), ("kind", "ConfigMap"), ("operation", "UPDATE")];
    let updates = webhook.metric("supercargo_reviews_total", &update).await?;
    ensure!(updates == 1, "{updates} UPDATEs of ConfigMaps, say the metrics");
    let faults = webhook.metric("supercargo_faults_total", &[]).await?;
    ensure!(faults == 0, "{faults} faults, say the metrics");
    let bytes = webhook.metric("supercargo_request_body_bytes_sum", &[]).await?;
    ensure!(bytes > 18_000_000, "only {bytes} bytes came: the bodies were not what this test is about");
    let line = webhook.logged("UPDATE").await?;
    println!("    {} MB in two reviews; the second: {line}", bytes / 1_000_000);
    Ok(())
}
