//! Who may break which rule, where and until when.

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan, Unit};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::fixtures::{deployment, good_container};
use crate::install::{Setup, base, certs, policies, register, serve};
use crate::objects::{SOON, namespace, object, refusal};
use crate::wait::wait_for;

/// An Exemption admits what it names and nothing else, and the audit log says so; when it has expired, what it admitted
/// stays changeable and new objects are refused.
pub async fn admit_until_they_expire(plane: &ControlPlane) -> Result<()> {
    let billing = namespace(plane, "billing", &[]).await?;
    let (certs, kubeconfig) = (certs(plane).await?, base(plane).await?);
    let today = Timestamp::now().round(Unit::Second)?.to_zoned(jiff::tz::TimeZone::UTC).date();
    let until = |days: i64| -> Result<Value> {
        let expires = today.checked_add(days.days())?.to_string();
        Ok(json!({
            "apiVersion": "supercargo.dev/v1alpha1",
            "kind": "Exemption",
            "metadata": {"name": "billing-legacy"},
            "spec": {
                "owner": "team-billing",
                "reason": "moves to another base image, TICKET-123",
                "expires": expires,
                "rules": ["required-probes"],
                "match": {"namespaces": [billing], "kinds": ["Deployment"], "names": ["legacy-*"]},
            },
        }))
    };
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &billing);
    let create = async |deployment: Value| -> Result<kube::Result<Deployment>> {
        Ok(deployments.create(&PostParams::default(), &object(deployment)?).await)
    };
    let mut unprobed = good_container("app");
    for probe in ["livenessProbe", "readinessProbe"] {
        unprobed[probe] = Value::Null;
    }
    let mut unlimited = unprobed.clone();
    unlimited["resources"] = Value::Null;

    {
        // A date ahead, so that midnight may pass.
        let folder = policies(plane, &[("exemption.yaml", until(2)?)])?;
        let setup = Setup { policies: Some(&folder), ..Setup::default() };
        let webhook = serve(plane, &setup, &certs, &kubeconfig).await?;
        register(plane, webhook.tls, &certs.join("ca.crt"), |_| ()).await?;
        create(deployment("legacy-invoices", &unprobed)).await?.context("exempted")?;
        refusal(create(deployment("invoices", &unprobed)).await?).context("another name")?;
        let status = refusal(create(deployment("legacy-unlimited", &unlimited)).await?).context("another rule")?;
        ensure!(!status.message.contains("required-probes"), "refused for what is exempted: {}", status.message);
        let note = wait_for("the audit log to name the exemption", SOON, async || {
            let log = plane.audit_log()?;
            Ok(log.iter().find_map(|event| exempted(event, "legacy-invoices")))
        })
        .await?;
        ensure!(note.contains("required-probes") && note.contains("Exemption/billing-legacy"), "{note}");
    }

    let folder = policies(plane, &[("exemption.yaml", until(-2)?)])?;
    let setup = Setup { policies: Some(&folder), ..Setup::default() };
    let webhook = serve(plane, &setup, &certs, &kubeconfig).await?;
    register(plane, webhook.tls, &certs.join("ca.crt"), |_| ()).await?;
    let change =
        Patch::Merge(json!({"spec": {"replicas": 2, "template": {"metadata": {"labels": {"team": "billing"}}}}}));
    deployments.patch("legacy-invoices", &PatchParams::default(), &change).await.context("what it admitted")?;
    let status = refusal(create(deployment("legacy-receipts", &unprobed)).await?).context("new, and too late")?;
    ensure!(status.message.contains("[required-probes]"), "{}", status.message);
    Ok(())
}

/// The audit annotation of an exemption in an event about the Deployment `name`.
fn exempted(event: &Value, name: &str) -> Option<String> {
    if event["objectRef"]["name"] != name {
        return None;
    }
    let annotations = event["annotations"].as_object()?;
    annotations.iter().find(|(key, _)| key.ends_with("/exempted"))?.1.as_str().map(str::to_owned)
}
