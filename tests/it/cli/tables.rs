//! What is printed from tables: rules, policies, schemas, help, reference pages.

use serde_json::Value;
use supercargo::rules::RULES;

use super::{MEMORY, folder, run};

#[test]
fn explain_knows_every_rule() {
    let here = folder(&[]);
    let list = run(here.path(), &["explain"], "");
    assert_eq!(list.code, 0);
    for rule in RULES {
        assert!(list.out.contains(rule.id));
        let one = run(here.path(), &["explain", rule.id], "");
        assert_eq!(one.code, 0);
        for part in ["Why: ", "Looks at: ", "Mend: ", "action: Deny | Warn | Audit", "\nBad:\n", "\nGood:\n"] {
            assert!(one.out.contains(part), "{}: {part}", rule.id);
        }
    }
    let secrets = run(here.path(), &["explain", "embedded-secret"], "").out;
    for entry in supercargo::secrets::entries() {
        assert!(secrets.contains(&format!("  {} ", entry.id)) && secrets.contains(entry.issuer), "{}", entry.id);
    }
    let limits = run(here.path(), &["explain", "required-limits"], "").out;
    assert!(limits.contains("  memory: boolean (default true)\n      A limit for memory.\n"), "{limits}");
    let probes = run(here.path(), &["explain", "required-probes"], "").out;
    for default in ["(default \"All\")", "(default [\"liveness\",\"readiness\"])", "(default [\"istio-proxy\","] {
        assert!(probes.contains(default), "{default}: {probes}");
    }
    let typo = run(here.path(), &["explain", "required-limit"], "");
    assert_eq!(typo.code, 2);
    assert!(typo.err.contains("did you mean `supercargo explain required-limits`?"), "{}", typo.err);
}

/// `serve` is parsed without the other commands.
#[test]
#[cfg(feature = "server")]
fn serve_explains_itself_as_any_command_does() {
    let here = folder(&[]);
    for command in ["serve", "check"] {
        let (asked, helped) = (run(here.path(), &[command, "--help"], ""), run(here.path(), &["help", command], ""));
        assert_eq!((asked.code, &asked.out), (0, &helped.out));
        assert!(asked.out.contains(&format!("Usage: supercargo {command} ")), "{}", asked.out);
        let wrong = run(here.path(), &[command, "--lissten"], "");
        let last = format!("\nUsage: supercargo {command} ");
        assert!(wrong.code == 2 && wrong.err.contains(&last), "{}", wrong.err);
        assert!(wrong.err.starts_with("error: unexpected argument '--lissten' found\n"), "{}", wrong.err);
    }
}

#[test]
fn mistakes_in_policies_have_a_place() {
    let bad = MEMORY.replace("cpu: false", "cpu: 1, cpus: 2");
    let here = folder(&[("good.yaml", MEMORY), ("bad.yaml", &bad), ("none.yaml", "")]);
    assert_eq!(run(here.path(), &["policies", "check", "good.yaml"], "").code, 0);
    let run1 = run(here.path(), &["policies", "check", "bad.yaml"], "");
    assert_eq!(run1.code, 1);
    assert!(
        run1.err.contains("bad.yaml:6:") && run1.err.contains("GuardPolicy/memory: spec.rules.required-limits.cpu"),
        "{}",
        run1.err
    );
    for (name, said) in [
        (MEMORY.replace("{name: memory}", "{name: 5}"), "metadata.name: is no text: write the name in quotes"),
        (MEMORY.replace("{name: memory}", "{}"), "metadata.name: is missing"),
        (MEMORY.replace("metadata: {name: memory}\n", ""), "GuardPolicy/(no name): missing field `metadata`"),
    ] {
        std::fs::write(here.path().join("name.yaml"), name).unwrap();
        let run = run(here.path(), &["policies", "check", "name.yaml"], "");
        assert!(run.code == 1 && run.err.contains(said), "{said}: {}", run.err);
    }
    let nope = run(here.path(), &["check", "--policy", "nope", "good.yaml"], "");
    assert_eq!(nope.code, 2);
    assert!(nope.err.contains("there are: baseline, scan\nerror: `supercargo policies list` shows"), "{}", nope.err);
    let nope = run(here.path(), &["check", "--policies", "good.yaml", "--policy", "nope", "good.yaml"], "");
    assert!(nope.err.contains("`supercargo policies list --policies good.yaml` shows"), "{}", nope.err);
    assert_eq!(run(here.path(), &["policies", "check", "none.yaml"], "").code, 2);
    assert_eq!(run(here.path(), &["policies", "check", "nowhere"], "").code, 2);
}

#[test]
fn a_volume_type_is_granted_by_whoever_runs_the_command() {
    let host = "apiVersion: supercargo.dev/v1alpha1\nkind: PodProfile\nmetadata: {name: cache}\nspec: {match: {}, \
                volumes: [{name: cache, hostPath: {path: /var/cache}}], volumeMounts: [{volume: cache, mountPath: /cache}]}\n";
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}";
    let here = folder(&[("p.yaml", host), ("pod.yaml", pod)]);
    let refused = run(here.path(), &["policies", "check", "p.yaml"], "");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--allow-volume-type hostPath"), "{}", refused.err);
    let granted = ["--allow-volume-type", "hostPath"];
    assert_eq!(run(here.path(), &[&["policies", "check", "p.yaml"][..], &granted].concat(), "").code, 0);
    let mutate = ["mutate", "--policies", "p.yaml", "-o", "yaml", "pod.yaml"];
    let mutated = run(here.path(), &[&mutate[..], &granted].concat(), "");
    assert_eq!(mutated.code, 0, "{}", mutated.err);
    assert!(mutated.out.contains("path: /var/cache"), "{}", mutated.out);
    let unknown = run(here.path(), &["policies", "check", "p.yaml", "--allow-volume-type", "gitRepo"], "");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("hostPath"), "{}", unknown.err);
}

#[test]
fn an_exemption_that_has_expired_compiles_and_is_counted() {
    let exemption = |name: &str, expires: &str| {
        format!(
            "apiVersion: supercargo.dev/v1alpha1\nkind: Exemption\nmetadata: {{name: {name}}}\n\
             spec: {{owner: o, reason: r, expires: \"{expires}\", rules: [required-limits], match: {{namespaces: [x]}}}}\n"
        )
    };
    let both = [exemption("a", "2020-01-01"), exemption("b", "2999-01-01")].join("---\n");
    let here = folder(&[("both.yaml", &both), ("one.yaml", &exemption("b", "2999-01-01"))]);
    let said = |path: &str| run(here.path(), &["policies", "check", path], "").out;
    assert_eq!(said("both.yaml"), "0 GuardPolicies, 0 PodProfiles, 2 Exemptions (1 expired): all compile\n");
    assert_eq!(said("one.yaml"), "0 GuardPolicies, 0 PodProfiles, 1 Exemption: all compile\n");
}

#[test]
fn the_built_in_policies_are_listed() {
    let here = folder(&[]);
    let list = run(here.path(), &["policies", "list"], "");
    for part in [
        "GuardPolicy/baseline\n",
        "  namespaces  * but kube-*",
        "    Deny  required-limits\n",
        "PodProfile/scan (order 100)\n",
    ] {
        assert!(list.out.contains(part), "{part}: {}", list.out);
    }
}

#[test]
fn schemas_describe_every_field() {
    let here = folder(&[]);
    let all: Value = serde_json::from_str(&run(here.path(), &["policies", "schema"], "").out).unwrap();
    for kind in ["GuardPolicy", "PodProfile", "Exemption"] {
        assert_eq!(all[kind]["properties"]["kind"]["const"], kind);
        let one: Value = serde_json::from_str(&run(here.path(), &["policies", "schema", kind], "").out).unwrap();
        assert_eq!(one, all[kind]);
        references_resolve(&one, &one);
    }
    let rules = &all["GuardPolicy"]["properties"]["spec"]["properties"]["rules"]["properties"];
    assert_eq!(rules.as_object().unwrap().len(), RULES.len());
    assert_eq!(rules["required-limits"]["properties"]["memory"]["default"], true);
    assert_eq!(rules["required-limits"]["properties"]["action"]["default"], "Deny");
    assert_eq!(run(here.path(), &["policies", "schema", "GuardPolic"], "").code, 2);
}

fn references_resolve(root: &Value, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(path) = map.get("$ref").and_then(Value::as_str) {
                assert!(root.pointer(path.trim_start_matches('#')).is_some(), "{path}");
            }
            map.values().for_each(|value| references_resolve(root, value));
        }
        Value::Array(items) => items.iter().for_each(|value| references_resolve(root, value)),
        _ => {}
    }
}

#[test]
fn the_reference_pages_in_docs_are_those_of_the_code() {
    for (name, page) in supercargo::cli::reference::pages() {
        // Without the server there are fewer commands.
        if name == "cli.md" && cfg!(not(feature = "cluster")) {
            continue;
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == page, "docs/{name} is out of date: run `make generate`");
    }
}

#[test]
fn every_command_explains_itself() {
    let here = folder(&[]);
    for command in ["check", "mutate", "review", "explain", "policies", "certs"] {
        let help = run(here.path(), &[command, "--help"], "");
        assert_eq!(help.code, 0);
        if command != "policies" && command != "certs" {
            assert!(help.out.contains("supercargo "), "{command} has no example");
        }
    }
    let typo = run(here.path(), &["chek"], "");
    assert_eq!(typo.code, 2);
    assert!(typo.err.contains("'check'"), "{}", typo.err);
}
