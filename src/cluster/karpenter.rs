//! Which Karpenter there is, if any: before 1.5 it makes no node for a pod with a preferred term on a node's name.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt};

use crate::packing::Karpenter;

/// Where its documentation has it installed, under this name; the ClusterRole allows these two questions and no others.
const NAMESPACES: [&str; 2] = ["kube-system", "karpenter"];
const NAME: &str = "karpenter";

/// Upgrades are seen within a minute.
const PERIOD: Duration = Duration::from_secs(60);

/// Who does not answer in this time is asked again later.
const ANSWER: Duration = Duration::from_secs(5);

/// Keeps `found` up to date; calls `looked` when the first look is over, whatever it found.
pub(super) async fn follow(client: Client, found: Arc<ArcSwap<Karpenter>>, looked: impl FnOnce()) {
    let mut looked = Some(looked);
    loop {
        match tokio::time::timeout(ANSWER, look(&client)).await {
            Ok(Ok(version)) => {
                let now = Karpenter::Auto(version);
                if **found.load() != now {
                    tracing::info!(?version, "Karpenter's version");
                    found.store(Arc::new(now));
                }
            }
            // What was known stays in use.
            Ok(Err(error)) => tracing::warn!("cannot ask for Karpenter's version: {error}"),
            Err(_) => tracing::warn!("cannot ask for Karpenter's version: no answer in {ANSWER:?}"),
        }
        if let Some(looked) = looked.take() {
            looked();
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn look(client: &Client) -> kube::Result<Option<(u32, u32)>> {
    for namespace in NAMESPACES {
        let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
        if let Some(deployment) = deployments.get_opt(NAME).await? {
            // One that does not say is taken for an old one.
            return Ok(Some(version(&deployment).unwrap_or_default()));
        }
    }
    Ok(None)
}

/// By its label, or by the tag of its image.
fn version(deployment: &Deployment) -> Option<(u32, u32)> {
    let label = deployment.labels().get("app.kubernetes.io/version").and_then(|version| parse(version));
    label.or_else(|| {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        let image = pod.containers.first()?.image.as_deref()?;
        let image = image.split('@').next()?;
        parse(image.rsplit('/').next()?.split_once(':')?.1)
    })
}

/// "1.5.0", "v1.5.0-rc.1".
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(labels: &serde_json::Value, image: &str) -> Deployment {
        let template = json!({"spec": {"containers": [{"name": "controller", "image": image}]}});
        let deployment = json!({"metadata": {"labels": labels}, "spec": {"selector": {}, "template": template}});
        serde_json::from_value(deployment).unwrap()
    }

    #[test]
    fn the_label_comes_before_the_image() {
        let labelled = json!({"app.kubernetes.io/version": "1.4.2"});
        assert_eq!(version(&deployment(&labelled, "r.io:5000/karpenter:1.6.0")), Some((1, 4)));
        for image in ["public.ecr.aws/karpenter/controller:1.5.0@sha256:0a:b", "r.io:5000/controller:v1.5.1"] {
            assert_eq!(version(&deployment(&json!({}), image)), Some((1, 5)), "{image}");
        }
        for image in ["controller", "r.io:5000/controller", "controller:latest", "controller@sha256:12.3"] {
            assert_eq!(version(&deployment(&json!({}), image)), None, "{image}");
        }
    }
}
