//! The pods and Deployments that scenarios start from, as JSON to be changed before it is sent.

use serde_json::{Value, json};

/// A container with everything that the rules ask for.
pub fn good_container(name: &str) -> Value {
    json!({
        "name": name,
        "image": "registry.example/app:1",
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}},
    })
}

/// A container with nothing of it.
pub fn bare_container(name: &str) -> Value {
    json!({"name": name, "image": "registry.example/app:1"})
}

/// A pod that runs to its end and breaks `required-limits`, twice.
pub fn bare_pod(name: &str) -> Value {
    pod(name, &bare_container("app"))
}

/// A pod that runs to its end and passes.
pub fn good_pod(name: &str) -> Value {
    pod(name, &good_container("app"))
}

fn pod(name: &str, container: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    })
}

/// A pod that the profile `scan` equips: what it lacks is filled in, so it passes in a namespace for scans.
pub fn scan_pod(name: &str) -> Value {
    let mut pod = bare_pod(name);
    pod["metadata"]["labels"] = json!({"app.kubernetes.io/component": "scan", "batchjobs-group": "fixtures"});
    pod["metadata"]["annotations"] = json!({"supercargo.dev/source": "repository"});
    pod
}

/// A Deployment of one replica around this container.
pub fn deployment(name: &str, container: &Value) -> Value {
    let labels = json!({"app.kubernetes.io/name": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}
