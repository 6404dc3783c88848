//! The documents say what the program does: every command in the README is run here, or is a target that CI runs; our own manifests
//! pass our own check; the examples do what they are there to show.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

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
fn our_own_manifests_pass_our_own_check() {
    for path in [
        "install",
        "overlays",
        "networkpolicies",
        "efs",
        "rbac",
        "mtls",
        "monitoring",
        "examples/good",
        "examples/group",
    ] {
        let path = format!("manifests/{path}");
        let output = supercargo(&["check", "--fail-on", "warn", "--facts", "manifests/examples/namespace.yaml", &path]);
        // A Job of the group brings an affinity that it does not need, to show what is said of it: no finding.
        assert_eq!(output.status.code(), Some(0), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let output = supercargo(&["check", "certs"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
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

/// cargo-deny is not run in CI; what it would say of versions can be read from the lock.
#[test]
fn every_crate_that_is_locked_twice_is_excused() {
    let field = |block: &str, name: &str| {
        let (_, rest) = block.split_once(&format!("{name} = \""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let lock = read("Cargo.lock");
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        versions.entry(field(block, "name").unwrap()).or_default().push(field(block, "version").unwrap());
    }
    // Packages are sorted by version within a name, and the last one is the one to move to.
    let mut twice: Vec<(String, String)> = Vec::new();
    for (name, versions) in versions {
        twice.extend(versions.iter().rev().skip(1).map(|version| (name.clone(), version.clone())));
    }
    let deny = read("deny.toml");
    let excused: Vec<(&str, &str)> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split_once('"')?.0.split_once('@'))
        .collect();
    let covers = |excuse: &(&str, &str), (name, version): &(String, String)| {
        excuse.0 == name && version.strip_prefix(excuse.1).is_some_and(|rest| rest.starts_with('.'))
    };
    for crate_ in &twice {
        assert!(excused.iter().any(|excuse| covers(excuse, crate_)), "deny.toml does not excuse {crate_:?}");
    }
    for excuse in &excused {
        assert!(twice.iter().any(|crate_| covers(excuse, crate_)), "deny.toml excuses {excuse:?}, which is not there");
    }
}
