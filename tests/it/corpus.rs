//! The golden cases in `tests/corpus/RULE/CASE/`: `input.yaml`, what is found in it (`expected.txt`, a line a verdict), and
//! `policy.yaml` where the built-in policies are not meant.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it corpus` writes what is found now; read the diff before you commit it. `@@PASSWORD@@` and
//! `@@FILL n@@` in an input stand for a random-looking password and for n bytes of text: neither belongs into a repository.

use std::fs;
use std::path::{Path, PathBuf};

use supercargo::facts::Namespace;

use crate::support::*;

fn folders(at: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Fills in what does not lie in the repository.
fn fill(text: &str) -> String {
    let text = text.replace("@@PASSWORD@@", concat!("q7!Zr", "0pW_x", "2Lk9"));
    match text.split_once("@@FILL ").and_then(|(before, rest)| Some((before, rest.split_once("@@")?))) {
        Some((before, (count, after))) => {
            let filler = "lorem ipsum dolor sit amet ";
            let count = count.parse::<usize>().unwrap();
            format!("{before}{}{after}", &filler.repeat(count / filler.len() + 1)[..count])
        }
        None => text,
    }
}

/// What is found in a case, as the lines of `expected.txt`.
fn found(case: &Path) -> String {
    let own = fs::read_to_string(case.join("policy.yaml"));
    let mut world = match &own {
        Ok(policy) => World::new(&[policy]),
        Err(_) => World::built_in(),
    }
    .in_namespace("shop");
    let input = fill(&fs::read_to_string(case.join("input.yaml")).unwrap());
    let mut lines = Vec::new();
    for document in input.split("\n---\n").map(yaml) {
        let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match document["kind"].as_str().unwrap() {
            "Namespace" => {
                let known = std::mem::replace(&mut world.namespace, Namespace::named(name.as_str()));
                world.namespace.limit_ranges = known.limit_ranges;
                world.namespace.claims = known.claims;
                world.learns(document);
            }
            "LimitRange" | "PersistentVolumeClaim" => world.learns(document),
            kind => {
                for verdict in &world.check(&document).outcome.verdicts {
                    let finding = &verdict.finding;
                    let line = format!(
                        "{:?} {} {kind}/{name} {}: {}\n",
                        verdict.action,
                        finding.rule,
                        finding.pointer,
                        finding.sentence()
                    );
                    lines.push(line);
                }
            }
        }
    }
    lines.concat()
}

/// Each case says what its rule finds, and its name what to expect of it.
#[test]
fn every_case_is_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for rule in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")) {
        let id = rule.file_name().unwrap().to_str().unwrap();
        for case in folders(&rule) {
            let (found, expected) = (found(&case), case.join("expected.txt"));
            if update {
                fs::write(&expected, &found).unwrap();
            }
            let known = fs::read_to_string(&expected).unwrap_or_default();
            let name = case.file_name().unwrap().to_str().unwrap();
            let complains = found.contains(&format!(" {id} "));
            let fits = match name.split('-').next().unwrap() {
                "good" => found.is_empty(),
                "bad" => complains,
                _ => true,
            };
            if known != found || !fits {
                wrong.push(format!("{id}/{name}:\n{found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every rule of the table has cases of each sort.
#[test]
fn every_rule_has_cases() {
    for rule in supercargo::rules::RULES {
        let cases = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(rule.id));
        for sort in ["good-", "bad-", "edge-"] {
            assert!(
                cases.iter().any(|case| case.file_name().unwrap().to_str().unwrap().starts_with(sort)),
                "{} has no {sort} case",
                rule.id
            );
        }
    }
}
