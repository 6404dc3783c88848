//! The documents say what the program does: every command in the README is run here, or is a target that CI runs; our own manifests
//! pass our own check; the examples do what they are there to show.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn supercargo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_supercargo")).args(arguments).current_dir(root()).output().unwrap()
}

/// The text between ```language and ``` , one string a block.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A command as it is typed, without its comment.
fn command(line: &str) -> &str {
    line.split(" #").next().unwrap().trim()
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = read("README.md");
    let mut shown = 0;
    for block in blocks(&readme, "console") {
        let (first, expected) = block.split_once('\n').unwrap();
        let words: Vec<&str> = first.strip_prefix("$ supercargo ").expect(first).split_whitespace().collect();
        let output = supercargo(&words);
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        // "…" stands for lines left out.
        let mut rest = printed.as_str();
        for part in expected.split("…\n") {
            let at = rest.find(part).unwrap_or_else(|| panic!("{first} does not print\n{part}\nbut\n{printed}"));
            rest = &rest[at + part.len()..];
        }
        shown += 1;
    }
    assert!(shown >= 2);
}

#[test]
fn every_command_in_the_readme_is_run_somewhere() {
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    for line in
        blocks(&readme, "sh").iter().flat_map(|block| block.lines()).map(command).filter(|line| !line.is_empty())
    {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("make", target) => assert!(makefile.contains(&format!("\n{target}:")), "there is no target {target}"),
            ("supercargo", arguments) => {
                let output = supercargo(&arguments.split_whitespace().collect::<Vec<_>>());
                assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            }
            // `make build` is this; what a cluster is needed for is run by tests/e2e.
            ("cargo", "build --release") | ("export", _) => {}
            ("kubectl", "label namespace scans supercargo.dev/scans=true") => {}
            _ => panic!("{line} is in the README and is run nowhere"),
        }
    }
}

#[test]
fn the_document_on_batches_shows_what_works() {
    let document = read("docs/batch.md");
    let commands = blocks(&document, "sh");
    let commands: Vec<&str> = commands.iter().flat_map(|block| block.lines()).map(command).collect();
    assert!(commands.len() >= 2);
    for line in commands {
        let arguments = line.strip_prefix("supercargo ").expect(line);
        let output = supercargo(&arguments.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("batch.json");
    std::fs::write(&file, &blocks(&document, "json")[0]).unwrap();
    for file in [file.to_str().unwrap(), "manifests/examples/batch.json"] {
        let printed = supercargo(&["batch", file, "-o", "yaml", "-n", "scans-demo"]);
        std::fs::write(folder.path().join("jobs.yaml"), printed.stdout).unwrap();
        let jobs = folder.path().join("jobs.yaml");
        let facts = ["--facts", "manifests/examples/namespace.yaml", jobs.to_str().unwrap()];
        let output = supercargo(&[&["check", "--fail-on", "warn"], &facts[..]].concat());
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn our_own_manifests_pass_our_own_check() {
    for path in [
        "install",
        "overlays",
        "networkpolicies",
        "efs",
        "rbac",
        "mtls",
        "monitoring",
        "samples",
        "examples/good",
        "examples/group",
    ] {
        let path = format!("manifests/{path}");
        // Our own namespace is one of those that the webhook leaves out.
        let output = supercargo(&[
            "check",
            "--exclude-namespaces",
            "",
            "--fail-on",
            "warn",
            "--facts",
            "manifests/examples/namespace.yaml",
            &path,
        ]);
        // A Job of the group brings an affinity that it does not need, to show what is said of it: no finding.
        assert_eq!(output.status.code(), Some(0), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let output = supercargo(&["check", "certs"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The check above would say of it if it were otherwise.
#[test]
fn our_own_deployment_is_judged() {
    let deployment = read("manifests/install/deployment.yaml");
    let (head, _) = deployment.split_once("          startupProbe:").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("deployment.yaml");
    std::fs::write(&bare, head).unwrap();
    let output = supercargo(&["check", "-o", "json", "--exclude-namespaces", "", bare.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["denied"], 4, "{report}");
}

/// The documents of a file.
fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap()
}

/// The Deployment that is installed says to `serve` what it understands: there is no cluster here, and that is all that is wrong.
#[test]
fn serve_knows_the_arguments_of_our_own_deployment() {
    let objects = documents("manifests/install/deployment.yaml");
    let pod = objects.iter().find_map(|object| object.pointer("/spec/template/spec/containers/0/args")).unwrap();
    let arguments: Vec<&str> = pod.as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
    let home = tempfile::tempdir().unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_supercargo"));
    serve.args(&arguments).env_clear().env("HOME", home.path());
    let output = serve.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), arguments[0]), (Some(2), "serve"), "{text}");
    assert!(text.contains("cannot find a cluster"), "{text}");
}

#[test]
fn the_job_of_the_queue_is_a_scan() {
    let mut queue = documents("manifests/samples/keda/scaledjob.yaml");
    let scaled = queue.iter_mut().find(|document| document["kind"] == "ScaledJob").unwrap();
    // What KEDA makes of it.
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "queue-scan-x"}, "spec": scaled["spec"]["jobTargetRef"].take()});
    World::built_in().check(&job).assert_clean();
    let mut pod = job["spec"]["template"].clone();
    (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
    let (stored, _) = World::built_in().admit(&Review::create(pod));
    assert_eq!(stored["metadata"]["annotations"]["supercargo.dev/profile"], "scan");
    assert_eq!(stored["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "scan-source");
}

#[test]
fn the_samples_speak_of_one_pool() {
    let profile = documents("manifests/samples/scan-pool/profile.yaml").remove(0);
    let placement = &profile["spec"]["placement"];
    let pool = &documents("manifests/samples/karpenter/nodepool.yaml")[0]["spec"]["template"];
    assert_eq!(pool["metadata"]["labels"], placement["nodeSelector"]);
    let taint = &pool["spec"]["taints"][0];
    for key in ["key", "value", "effect"] {
        assert_eq!(taint[key], placement["tolerations"][0][key]);
    }
    let spare = documents("manifests/samples/spare-capacity/spare-capacity.yaml");
    let spare = spare.iter().find(|document| document["kind"] == "CronJob").unwrap();
    let spare = &spare["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(
        (&spare["nodeSelector"], &spare["tolerations"]),
        (&placement["nodeSelector"], &placement["tolerations"])
    );

    // Beside the built-in profile, which goes on packing.
    let policies = BUILT_IN.iter().map(|text| yaml(text)).chain([profile.clone()]).collect();
    let (stored, _) = World::from_values(policies).admit(&Review::create(scan_pod()));
    assert_eq!(stored["metadata"]["annotations"]["supercargo.dev/profile"], "scan-pool,scan");
    assert_eq!(stored["spec"]["nodeSelector"], placement["nodeSelector"]);
    assert!(stored["spec"]["tolerations"].as_array().unwrap().contains(&placement["tolerations"][0]));
    assert!(stored["spec"]["affinity"]["podAffinity"].is_object());
}

#[test]
fn bad_examples_are_refused_for_what_their_names_say() {
    for (file, rules) in [
        ("no-probes-no-limits", vec!["required-limits", "required-probes"]),
        ("secret-in-configmap", vec!["embedded-secret"]),
        ("secret-in-env-and-args", vec!["embedded-secret"]),
    ] {
        let output = supercargo(&["check", "-o", "json", &format!("manifests/examples/bad/{file}.yaml")]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut found: Vec<&str> =
            report["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, rules, "{file}");
        assert!(!String::from_utf8(output.stdout).unwrap().contains("correct-horse"), "{file}");
    }
}

#[test]
fn the_built_in_policies_compile() {
    let output = supercargo(&["policies", "check", "manifests/policies"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_profile_keeps_its_sources_from_what_others_inject() {
    let profile = yaml(BUILT_IN[1]);
    for mount in profile["spec"]["volumeMounts"].as_array().unwrap() {
        if mount["containers"] == json!(["*"]) {
            assert_eq!(mount["exceptContainers"], json!(supercargo::workload::INJECTED));
        }
    }
}

/// A renewed CA with the same key and name is believed by what knows the old one; a new key is not.
#[test]
fn the_ca_of_cert_manager_keeps_its_key() {
    let certificates = documents("certs/cert-manager.yaml");
    let mut authorities = certificates.iter().filter(|document| document["spec"]["isCA"] == true);
    let authority = &authorities.next().unwrap()["spec"];
    assert_eq!(authority["privateKey"]["rotationPolicy"], "Never");
    let hours = |field: &str| authority[field].as_str().unwrap().strip_suffix('h').unwrap().parse::<u32>().unwrap();
    assert!(hours("renewBefore") * 10 <= hours("duration"));
}

#[test]
fn the_network_label_is_one_and_the_same() {
    let profile = yaml(BUILT_IN[1]);
    let labels = profile["spec"]["labels"].as_object().unwrap();
    let policy = &documents("manifests/networkpolicies/results-only.yaml")[0];
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"].as_object(), Some(labels));
    let kept = &documents("manifests/install/network-labels.yaml")[0]["spec"];
    for (key, value) in labels {
        for variable in kept["variables"].as_array().unwrap() {
            assert!(variable["expression"].as_str().unwrap().contains(&format!("[?'{key}']")), "{variable}");
        }
        let expression = kept["validations"][0]["expression"].as_str().unwrap();
        assert!(expression.contains(&format!("variables.now == '{}'", value.as_str().unwrap())), "{expression}");
    }
}

#[test]
fn webhooks_leave_out_the_namespaces_that_the_engine_leaves_out() {
    let webhooks = read("manifests/install/webhooks.yaml");
    for namespace in supercargo::engine::EXCLUDED_NAMESPACES.iter().filter(|name| **name != "kube-*") {
        let lines = webhooks.lines().filter(|line| line.trim() == format!("- {namespace}")).count();
        assert_eq!(lines, 2, "{namespace}: once for the mutating and once for the validating webhooks");
    }
}

#[test]
fn the_exemption_in_the_document_on_secrets_is_the_one_that_is_proposed() {
    let env = json!([{"name": "DB_PASSWORD", "value": concat!("q7!Zr", "0pW_x", "2Lk9")}]);
    let object = with(good_deployment(), "/spec/template/spec/containers/0/env", env);
    let proposed = World::built_in().in_namespace("shop").check(&object).outcome.allowance().unwrap();
    assert_eq!(blocks(&read("docs/secrets.md"), "yaml"), [format!("{proposed}\n")]);
}
