//! AdmissionReviews of the sizes that facts of the field name, as an API server writes them.

use serde_json::{Value, json};

fn managed_fields() -> Value {
    json!([{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-21T10:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app.kubernetes.io/component": {},
        "f:batch.kubernetes.io/controller-uid": {}, "f:batch.kubernetes.io/job-name": {}, "f:batchjobs-group": {}, "f:controller-uid": {}},
        "f:ownerReferences": {".": {}, "k:{\"uid\":\"0d7e2f0c-3b1c-4c53-9d3c-6a0f6a8a9a11\"}": {}}, "f:finalizers": {".": {}, "v:\"batch.kubernetes.io/job-tracking\"": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"scan\"}": {".": {}, "f:args": {}, "f:command": {}, "f:env": {".": {},
        "k:{\"name\":\"LOG_LEVEL\"}": {".": {}, "f:name": {}, "f:value": {}}, "k:{\"name\":\"REPOSITORY\"}": {".": {}, "f:name": {}, "f:value": {}},
        "k:{\"name\":\"RESULTS_URL\"}": {".": {}, "f:name": {}, "f:value": {}}, "k:{\"name\":\"RULES\"}": {".": {}, "f:name": {}, "f:value": {}}},
        "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}},
        "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}}}])
}

fn env(count: usize) -> Vec<Value> {
    let given = [
        ("LOG_LEVEL", "info"),
        ("REPOSITORY", "web-shop"),
        ("RESULTS_URL", "https://results.example.com/api/v1"),
        ("RULES", "/rules/default.yaml"),
    ];
    (0..count)
        .map(|index| match given.get(index) {
            Some((name, value)) => json!({"name": name, "value": value}),
            None => json!({"name": format!("SETTING_{index}"), "value": format!("some value of setting number {index}, in words")}),
        })
        .collect()
}

/// A Job's pod of about 4 KB, as its controller creates it.
pub fn scan_pod() -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "scan-web-shop-", "namespace": "scans", "creationTimestamp": null,
        "labels": {"app.kubernetes.io/component": "scan", "batch.kubernetes.io/controller-uid": "0d7e2f0c-3b1c-4c53-9d3c-6a0f6a8a9a11",
        "batch.kubernetes.io/job-name": "scan-web-shop", "batchjobs-group": "nightly", "controller-uid": "0d7e2f0c-3b1c-4c53-9d3c-6a0f6a8a9a11", "job-name": "scan-web-shop"},
        "annotations": {"supercargo.dev/source": "web-shop"}, "finalizers": ["batch.kubernetes.io/job-tracking"],
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "scan-web-shop", "uid": "0d7e2f0c-3b1c-4c53-9d3c-6a0f6a8a9a11", "controller": true, "blockOwnerDeletion": true}],
        "managedFields": managed_fields()},
        "spec": {"volumes": [{"name": "kube-api-access-x7k2p", "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}], "defaultMode": 420}}],
        "containers": [{"name": "scan", "image": "registry.example.com/scanner:4.2.1", "command": ["/usr/local/bin/scan"], "args": ["--format=sarif", "--rules", "$(RULES)", "/src"],
        "env": env(4), "resources": {}, "volumeMounts": [{"name": "kube-api-access-x7k2p", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}],
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default", "serviceAccount": "default",
        "securityContext": {}, "schedulerName": "default-scheduler",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
        "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority"}, "status": {}})
}

/// A Deployment with nothing to refuse: 4 KB with 25 variables, 100 KB with 1,000.
pub fn deployment(variables: usize) -> Value {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}});
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "namespace": "shop", "managedFields": managed_fields()},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example.com/web:1.0", "env": env(variables), "livenessProbe": probe, "readinessProbe": probe,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}], "restartPolicy": "Always"}}}})
}

/// A ConfigMap that holds a properties file: 4 KB with 60 lines, 1 MB with 16,000.
pub fn config_map(lines: usize) -> Value {
    let lines: Vec<String> = (0..lines)
        .map(|line| format!("section.{line}.title = The title of section number {line}, in words\n"))
        .collect();
    let lines = lines.concat();
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "texts", "namespace": "shop"}, "data": {"texts.properties": lines}})
}

/// The review of a CREATE, its members in the order in which the API server writes them: the uid before the object.
pub fn review(object: &Value, username: &str) -> Vec<u8> {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap_or_default();
    let resource = format!("{}s", kind.to_lowercase());
    let gvk = json!({"group": group, "version": version, "kind": kind});
    let gvr = json!({"group": group, "version": version, "resource": resource});
    let user =
        json!({"username": username, "uid": "5b2f", "groups": ["system:serviceaccounts", "system:authenticated"]});
    let namespace = &object["metadata"]["namespace"];
    format!(
        "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\
         \"uid\":\"3f6b8a3e-8f0e-4a93-9d0b-0d5e5d0b8c52\",\"kind\":{gvk},\"resource\":{gvr},\"requestKind\":{gvk},\
         \"requestResource\":{gvr},\"namespace\":{namespace},\"operation\":\"CREATE\",\"userInfo\":{user},\
         \"object\":{object},\"oldObject\":null,\"dryRun\":false,\
         \"options\":{{\"kind\":\"CreateOptions\",\"apiVersion\":\"meta.k8s.io/v1\"}}}}}}"
    )
    .into_bytes()
}
