//! The command line, as a person uses it: the real binary, its output and exit codes.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

mod batch;
mod check;
mod fingerprints;
mod formats;
mod mutate;
mod review;
mod secrecy;
mod simulate;
mod tables;
mod yaml;

/// The binary, with an environment that says nothing.
fn supercargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
    command.args(arguments).env_remove("NO_COLOR").env_remove("TERM");
    command
}

/// What a run printed, and its exit code.
struct Run {
    out: String,
    err: String,
    code: i32,
}

#[track_caller]
fn run(folder: &Path, arguments: &[&str], stdin: &str) -> Run {
    let output = supercargo(arguments).current_dir(folder).write_stdin(stdin).output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The findings of `check -o json` as (rule, file, document, line, column, kind, namespace/name, pointer).
type Found = (String, String, u64, u64, u64, String, String);

#[track_caller]
fn findings(folder: &Path, arguments: &[&str], stdin: &str) -> (Vec<Found>, serde_json::Value, Run) {
    let run = run(folder, &[&["check", "-o", "json"], arguments].concat(), stdin);
    let report: serde_json::Value =
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out));
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let number = |finding: &serde_json::Value, key: &str| finding[key].as_u64().unwrap();
    let found = report["findings"].as_array().unwrap().iter();
    let found = found
        .map(|f| {
            let object = format!("{}/{}", text(f, "namespace"), text(f, "name"));
            (
                text(f, "rule"),
                text(f, "file"),
                number(f, "document"),
                number(f, "line"),
                number(f, "column"),
                object,
                text(f, "pointer"),
            )
        })
        .collect();
    (found, report["summary"].clone(), run)
}

/// A GuardPolicy that asks for a memory limit and nothing else.
const MEMORY: &str = "\
apiVersion: supercargo.dev/v1alpha1
kind: GuardPolicy
metadata: {name: memory}
spec:
  rules:
    required-limits: {cpu: false}
";

/// A pod without limits.
const BARE: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  containers:
    - name: app
      image: registry.example.com/app:1
";
