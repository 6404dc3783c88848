//! Ways around the door: forged owners, subresources, labels written where no webhook is asked. And the way out, which is
//! always open.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::access::User;
use crate::controlplane::ControlPlane;
use crate::fixtures::{bare_container, bare_pod, deployment, good_container, good_pod, scan_pod};
use crate::install::{Setup, install, scan_namespace};
use crate::objects::{SOON, namespace, object, refusal};
use crate::wait::wait_for;

/// A user who may only create pods names a real ReplicaSet as owner, and gains nothing by it; nor does a service account
/// that is called like a controller's. The controller itself is believed.
pub async fn a_forged_owner_gains_nothing(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "forged", &[]).await?;
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &namespace);
    // Without replicas, so that the controller has no reason to look at its pods.
    let mut owner = deployment("owner", &bare_container("app"));
    owner["spec"]["replicas"] = json!(0);
    deployments.create(&PostParams::default(), &object(owner)?).await?;
    let sets: Api<ReplicaSet> = Api::namespaced(plane.admin(), &namespace);
    let set = wait_for("the ReplicaSet", SOON, async || {
        Ok(sets.list(&ListParams::default()).await?.items.into_iter().next())
    })
    .await?;
    may_create_pods(plane, &namespace).await?;
    let _installed = install(plane, &Setup::default()).await?;

    let mut forged = bare_pod("forged");
    forged["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.name_any(), "uid": set.uid(), "controller": true,
    }]);
    forged["metadata"]["labels"] = json!({"app.kubernetes.io/name": "owner"});
    let forged: Pod = object(forged)?;
    let of = |client: Client| -> Api<Pod> { Api::namespaced(client, &namespace) };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };

    // The authorizer watches roles, so it knows them a moment later: first a pod that may pass.
    let dev = of(plane.client(User::Dev).await?);
    let good: Pod = object(good_pod("good"))?;
    wait_for("dev to be let in", SOON, async || Ok(Some(dev.create(&dry_run, &good).await?))).await?;
    let status = refusal(dev.create(&PostParams::default(), &forged).await)?;
    ensure!(status.message.contains("container app: no memory limit"), "{}", status.message);

    let pretender = "system:serviceaccount:shop:replicaset-controller";
    let pretender = of(plane.client_as(pretender, &["developers"]).await?);
    refusal(pretender.create(&PostParams::default(), &forged).await).context("an account of the same name")?;

    let controller = "system:serviceaccount:kube-system:replicaset-controller";
    let controller = of(plane.client_as(controller, &[]).await?);
    controller.create(&dry_run, &forged).await.context("the controller itself")?;
    Ok(())
}

async fn may_create_pods(plane: &ControlPlane, namespace: &str) -> Result<()> {
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    let role = json!({
        "apiVersion": version, "kind": "Role", "metadata": {"name": "pods", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}],
    });
    let binding = json!({
        "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "pods", "namespace": namespace},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "pods"},
        "subjects": [{"kind": "Group", "apiGroup": api, "name": "developers"}],
    });
    plane.apply(&[role, binding]).await
}

/// `pods/ephemeralcontainers` and `pods/resize` go past a webhook for `pods`; ours is asked.
pub async fn judges_subresources(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "subresources", &[]).await?;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &namespace);
    // Older than the webhook, with a limit missing.
    let mut old = good_pod("old");
    old["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "128Mi"}});
    pods.create(&PostParams::default(), &object(old)?).await?;
    let _installed = install(plane, &Setup::default()).await?;
    pods.create(&PostParams::default(), &object(good_pod("new"))?).await?;

    let debug = |value: &str| {
        let variables = json!([{"name": "DB_PASSWORD", "value": value}]);
        let container = json!({"name": "debug", "image": "registry.example/debug:1", "env": variables});
        Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}))
    };
    let (name, params) = ("new", PatchParams::default());
    let secret = pods.patch_ephemeral_containers(name, &params, &debug("correct-horse-battery-7")).await;
    let status = refusal(secret)?;
    ensure!(status.message.contains("container debug: "), "{}", status.message);
    // It cannot have limits or probes, so none are asked for.
    pods.patch_ephemeral_containers(name, &params, &debug("$(FROM_ELSEWHERE)")).await.context("without a secret")?;

    let resize = |name: &'static str| {
        let resources = r#"{"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "256Mi"}}}]}}"#;
        ["patch", "pod", name, "--subresource=resize", "-p", resources]
    };
    let resized = async |name| {
        let args: Vec<&str> = ["-n", namespace.as_str()].into_iter().chain(resize(name)).collect();
        plane.kubectl(User::Admin, &args, None).await
    };
    // A resize cannot take a limit away (the API server sees to that), so what shows that it is judged is a warning.
    let old = resized("old").await?;
    ensure!(old.stderr.contains("no cpu limit (it was there before)"), "no warning: {old:?}");
    old.success()?;
    let new = resized("new").await?;
    ensure!(!new.stderr.contains("Warning"), "a warning about nothing: {new:?}");
    new.success()?;
    Ok(())
}

/// The label that NetworkPolicies select by: the webhook keeps it on `pods`, the ValidatingAdmissionPolicy on
/// `pods/status` and in bindings.
pub async fn keeps_network_labels(plane: &ControlPlane) -> Result<()> {
    const EGRESS: &str = "network.supercargo.dev/egress";
    let namespace = scan_namespace(plane, "labels").await?;
    let installed = install(plane, &Setup::default()).await?;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &namespace);
    let pod = pods.create(&PostParams::default(), &object(scan_pod("scan"))?).await?;
    ensure!(pod.labels().get(EGRESS).map(String::as_str) == Some("results-only"), "labels {:?}", pod.labels());

    let mut contrary = scan_pod("contrary");
    contrary["metadata"]["labels"][EGRESS] = json!("anywhere");
    let status = refusal(pods.create(&PostParams::default(), &object(contrary)?).await)?;
    ensure!(status.message.contains("[profile-label]"), "{}", status.message);

    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    for value in [json!("anywhere"), Value::Null] {
        let change = Patch::Merge(json!({"metadata": {"labels": {EGRESS: value}}}));
        // The policy takes a moment to be known; a dry run changes nothing until then.
        let status = wait_for("the policy to refuse", SOON, async || {
            refusal(pods.patch_status("scan", &dry_run, &change).await).map(Some)
        })
        .await?;
        ensure!(status.message.contains("ValidatingAdmissionPolicy 'supercargo-network-labels'"), "{}", status.message);
        refusal(pods.patch_status("scan", &PatchParams::default(), &change).await)?;
        refusal(pods.patch("scan", &PatchParams::default(), &change).await).context("an UPDATE of the pod")?;
    }
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "scan", "labels": {EGRESS: "anywhere"}},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "nowhere"},
    });
    let bound: kube::Result<Value> = pods.create_subresource("binding", "scan", &PostParams::default(), &binding).await;
    let status = refusal(bound)?;
    ensure!(status.message.contains("a binding cannot set label"), "{}", status.message);

    let kept = pods.get("scan").await?;
    ensure!(kept.labels().get(EGRESS).map(String::as_str) == Some("results-only"), "labels {:?}", kept.labels());
    let other = Patch::Merge(json!({"metadata": {"labels": {"team": "blue"}}}));
    pods.patch("scan", &PatchParams::default(), &other).await.context("another label")?;

    let label = |value: &str| Patch::Merge(json!({"metadata": {"labels": {EGRESS: value}}}));
    let opened = ["label", "namespace", &namespace, "supercargo.dev/scans-"];
    plane.kubectl(User::Admin, &opened, None).await?.success()?;
    let moved = pods.patch_status("scan", &PatchParams::default(), &label("anywhere")).await;
    refusal(moved).context("in a namespace that is no longer open for scans")?;

    installed.webhook.process().kill();
    let bare = pods.create(&PostParams::default(), &object(scan_pod("bare"))?).await?;
    ensure!(!bare.labels().contains_key(EGRESS), "labels {:?}", bare.labels());
    refusal(pods.patch("bare", &PatchParams::default(), &label("anywhere")).await).context("another value, added")?;
    pods.patch("bare", &PatchParams::default(), &label("results-only")).await.context("the profile's value, added")?;
    Ok(())
}

/// Whatever is wrong with an object, it can go: while the webhook runs, and in a fail-closed namespace when it does not.
pub async fn deletion_always_works(plane: &ControlPlane) -> Result<()> {
    let namespace = namespace(plane, "deletion", &[("supercargo.dev/fail-closed", "true")]).await?;
    let pods: Api<Pod> = Api::namespaced(plane.admin(), &namespace);
    let deployments: Api<Deployment> = Api::namespaced(plane.admin(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &namespace);
    for name in ["first", "second"] {
        let mut pod = bare_pod(name);
        pod["metadata"]["finalizers"] = json!(["example.com/hold"]);
        pods.create(&PostParams::default(), &object(pod)?).await?;
        let mut idle = deployment(name, &bare_container("app"));
        idle["spec"]["replicas"] = json!(0);
        deployments.create(&PostParams::default(), &object(idle)?).await?;
        let map = json!({"metadata": {"name": name}, "data": {"DB_PASSWORD": "correct-horse-battery-7"}});
        maps.create(&PostParams::default(), &object(map)?).await?;
    }
    let installed = install(plane, &Setup::default()).await?;
    for name in ["first", "second"] {
        if name == "second" {
            installed.webhook.process().kill();
            let good = object(deployment("good", &good_container("app")))?;
            refusal(deployments.create(&PostParams::default(), &good).await)
                .context("fail-closed without a webhook")?;
        }
        pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
        let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        pods.patch(name, &PatchParams::default(), &release).await.context("its finalizer")?;
        deployments.delete(name, &DeleteParams::default()).await?;
        maps.delete(name, &DeleteParams::default()).await?;
        wait_for(&format!("{name} to be gone"), SOON, async || {
            let left = pods.get_opt(name).await?.is_some()
                || deployments.get_opt(name).await?.is_some()
                || maps.get_opt(name).await?.is_some();
            Ok((!left).then_some(()))
        })
        .await?;
    }
    Ok(())
}
