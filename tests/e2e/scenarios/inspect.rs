//! What is refused, and how it reads in a terminal.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, deployment};
use crate::install::{Setup, install, manifest};
use crate::objects::{namespace, object, refusal};

/// The examples in manifests/examples/bad: kubectl prints every finding at once, with container, rule, place and fix; with
/// `--dry-run=server` as without.
pub async fn refuses_the_bad_examples(plane: &ControlPlane) -> Result<()> {
    let installed = install(plane, &Setup::default()).await?;
    let shop = namespace(plane, "shop", &[]).await?;
    let examples: [(&str, &[&str]); 3] = [
        (
            "no-probes-no-limits",
            &[
                "is refused, 6 findings:",
                "[required-limits] container migrate: no cpu limit",
                "at  /spec/template/spec/initContainers/0/resources/limits/cpu",
                "[required-limits] container migrate: no memory limit",
                "[required-limits] container app: no cpu limit",
                "[required-limits] container app: no memory limit",
                "at  /spec/template/spec/containers/0/resources/limits/memory",
                "fix set resources.limits.memory on it",
                "[required-probes] container app: no liveness probe",
                "fix add livenessProbe to it",
                "[required-probes] container app: no readiness probe",
                "Why: supercargo explain required-limits",
            ],
        ),
        (
            "secret-in-env-and-args",
            &[
                "is refused, 2 findings:",
                "[embedded-secret] container app: ",
                "DB_PASSWORD",
                "at  /spec/template/spec/containers/0/env/0/value",
                "at  /spec/template/spec/containers/0/args/1",
                "fix ",
            ],
        ),
        (
            "secret-in-configmap",
            &[
                "is refused, 2 findings:",
                "[embedded-secret] ",
                "at  /data/DB_PASSWORD",
                "at  /data/application.properties",
                "fix ",
            ],
        ),
    ];
    for (name, expected) in examples {
        let yaml = manifest(
            &format!("manifests/examples/bad/{name}.yaml"),
            &[("namespace: shop", &format!("namespace: {shop}"))],
        )?;
        for extra in [None, Some("--dry-run=server")] {
            let args: Vec<&str> = ["apply", "-f", "-"].into_iter().chain(extra).collect();
            let stderr = plane.kubectl(User::Admin, &args, Some(&yaml)).await?.failure()?;
            for text in expected {
                ensure!(stderr.contains(text), "{name} {extra:?}: no {text:?} in:\n{stderr}");
            }
            ensure!(!stderr.contains("correct-horse"), "{name}: the secret is printed:\n{stderr}");
        }
    }
    ensure!(!installed.webhook.log().await?.contains("correct-horse"), "the secret is in the log");
    let denied = installed.webhook.metric("supercargo_reviews_total", &[("decision", "denied")]).await?;
    ensure!(denied >= 6, "{denied} denied, say the metrics");
    Ok(())
}

/// One Deployment with everything wrong, through the API: code 403, and `details.causes` as complete as the message.
pub async fn gives_programs_the_causes(plane: &ControlPlane) -> Result<()> {
    let _installed = install(plane, &Setup::default()).await?;
    let shop = namespace(plane, "shop", &[]).await?;
    let mut container = bare_container("app");
    container["env"] = json!([{"name": "DB_PASSWORD", "value": "correct-horse-battery-7"}]);
    container["args"] = json!(["--database-url=postgres://app:correct-horse-7@db.shop.svc:5432/shop"]);
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &shop);
    let wrong = object(deployment("wrong", &container))?;
    let status = refusal(deployments.create(&PostParams::default(), &wrong).await)?;
    ensure!(status.code == 403, "code {}", status.code);

    let mut causes: Vec<(String, String)> = Vec::new();
    for cause in status.details.map(|details| details.causes).unwrap_or_default() {
        ensure!(cause.message.contains("container app: "), "a cause without its container: {cause:?}");
        ensure!(!cause.message.contains("correct-horse"), "a cause with the secret in it");
        causes.push((cause.reason, cause.field));
    }
    causes.sort();
    let app = "/spec/template/spec/containers/0";
    let mut expected = [
        ("required-limits", "/resources/limits/cpu"),
        ("required-limits", "/resources/limits/memory"),
        ("required-probes", "/livenessProbe"),
        ("required-probes", "/readinessProbe"),
        ("embedded-secret", "/env/0/value"),
        ("embedded-secret", "/args/0"),
    ]
    .map(|(rule, below)| (rule.to_owned(), format!("{app}{below}")));
    expected.sort();
    ensure!(causes == expected, "causes {causes:?}");
    for (rule, field) in &expected {
        ensure!(status.message.contains(&format!("[{rule}]")) && status.message.contains(field), "{}", status.message);
    }
    Ok(())
}
