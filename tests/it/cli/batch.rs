//! `supercargo batch` without a cluster: what is said of bad files, and the Jobs that good ones become.

use serde_json::{Value, json};

use super::{folder, run};
use crate::support::BUILT_IN;

const GOOD: &str = r#"{
  "night": [
    {"jobName": "api", "image": "registry.example.com/scanner:1.4.2", "requestMem": "500Mi", "requestCpu": "200m", "source": "payments/api",
     "args": ["scan", "/src"], "env": {"LEVEL": "deep"}},
    {"jobName": "web", "image": "registry.example.com/scanner:1.4.2", "requestMem": "1Gi", "requestCpu": "1500m", "source": "payments/web"}
  ],
  "pull request #7": [
    {"jobName": "pr7", "image": "registry.example.com/scanner:1.4.2", "requestMem": "500Mi", "requestCpu": "200m", "source": "shop"}
  ]
}"#;

const BAD: &str = r#"{
  "night": [
    {"jobName": "API", "image": "Registry/Scanner", "requestMem": "500", "requestCpu": "0"},
    {"jobName": "web", "image": "scan", "requestMem": "1Gi", "requestCpuu": "1500m"},
    {"jobName": "web", "image": "scan", "requestMem": "1Gi", "requestCpu": "900"}
  ],
  "day": {},
  "none": []
}"#;

const BAD_YAML: &str = "night:
- jobName: a
  image: scan
  requestMem: 1Gi
  requestCpu: 8
  env: {TOKEN: 1}
- just text
";

const NODE: &str = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
    "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}}}"#;

/// Objects in the order in which they are printed.
fn jobs(yaml: &str) -> Vec<Value> {
    yaml.split("---\n").skip(1).map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

#[test]
fn every_mistake_is_said_at_once_with_line_and_column() {
    let here = folder(&[("bad.json", BAD), ("bad.yaml", BAD_YAML), ("nodes.json", NODE)]);
    let bad = run(here.path(), &["batch", "bad.json", "-o", "yaml", "--nodes", "nodes.json"], "");
    assert_eq!((bad.code, bad.out.as_str()), (2, ""));
    assert_eq!(
        bad.err,
        "\
error: bad.json:3:6: night[0].jobName: \"API\" is no valid name: write at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit
error: bad.json:3:24: night[0].image: is no image: its name holds capital letters, which only a tag may
error: bad.json:3:53: night[0].requestMem: is less than 1Mi: memory is counted in bytes: write 500Mi, 2Gi
error: bad.json:3:74: night[0].requestCpu: is not more than nothing: cpu is counted in cores: write 200m for a fifth of one, or 2
error: bad.json:4:5: night[1]: requestCpu is missing: write \"requestCpu\": \"200m\"
error: bad.json:4:62: night[1].requestCpuu: unknown field \"requestCpuu\": did you mean requestCpu?
error: bad.json:5:6: night[2].jobName: \"web\" stands twice: group \"night\" has it already, and Jobs of one namespace need different names
error: bad.json:5:62: night[2].requestCpu: no node holds so much: the largest has 4000m for pods
error: bad.json:7:3: day: a group is a list of jobs, and this is a map
error: bad.json:8:3: none: the group is empty: give it a job, or leave it out
error: nothing was done; correct the 10 places named above
"
    );
    let bad = run(here.path(), &["batch", "bad.yaml", "-o", "yaml", "--nodes", "nodes.json"], "");
    assert_eq!((bad.code, bad.out.as_str()), (2, ""));
    assert_eq!(
        bad.err,
        "\
error: bad.yaml:5:3: night[0].requestCpu: no node holds so much: the largest has 4000m for pods
error: bad.yaml:6:9: night[0].env.TOKEN: is a number: write a text in quotes; for valueFrom write env as a list
error: bad.yaml:7:3: night[1]: a job is a map, and this is a text
error: nothing was done; correct the 3 places named above
"
    );
}

#[test]
fn what_is_no_batch_is_named_by_its_place() {
    let here = folder(&[("folder/x.json", "{}")]);
    for (text, said) in [
        ("{\"a\": [", "error: stdin:1:7: the file ends within a value\n"),
        ("", "error: stdin: is empty\n"),
        (
            "{\n  \"a\": [],\n  \"a\": 1\n}",
            "error: stdin:2:3: a: the group is empty: give it a job, or leave it out\n\
             error: stdin:3:3: a key stands twice in the same map: leave one out, put both into one, or call one differently\n\
             error: stdin:3:3: a (2): a group is a list of jobs, and this is a number\n\
             error: nothing was done; correct the 3 places named above\n",
        ),
        ("a: [}", "error: stdin:1:"),
        ("{}{}", "error: stdin:1:3: holds a second document"),
        ("[]", "error: stdin:1:1: is no batch, which is lists of jobs by group: {\"GROUP\": "),
    ] {
        let bad = run(here.path(), &["batch", "-", "-o", "yaml"], text);
        assert_eq!((bad.code, bad.out.as_str()), (2, ""), "{text}");
        assert!(bad.err.starts_with(said), "{text}: {}", bad.err);
    }
    for (file, said) in [("none.json", "No such file"), ("folder", "is a folder: name one file")] {
        let bad = run(here.path(), &["batch", file, "-o", "yaml"], "");
        assert!(bad.code == 2 && bad.err.contains(said), "{file}: {}", bad.err);
    }
}

#[test]
fn a_key_that_stands_twice_does_not_hide_other_mistakes() {
    let json = r#"{
  "night": [
    {"jobName": "a", "image": "Scan", "requestMem": "1Gi", "requestCpu": "1"}
  ],
  "night": [
    {"jobName": "b", "image": "scan", "image": "Scan", "requestMem": "1Gi", "requestCpu": "1"},
    {"jobName": "a", "image": "scan", "requestMem": "500", "requestCpu": "1"}
  ]
}"#;
    let yaml = "night:
- {jobName: a, image: Scan, requestMem: 1Gi, requestCpu: 1}
night:
- {jobName: b, image: scan, image: Scan, requestMem: 1Gi, requestCpu: 1}
- {jobName: a, image: scan, requestMem: 500, requestCpu: 1}
";
    let said = |file: &str, [image, group, field, name, amount]: [&str; 5]| {
        let twice = "a key stands twice in the same map: leave one out, put both into one, or call one differently";
        let capital = "is no image: its name holds capital letters, which only a tag may";
        format!(
            "error: {file}:{image}: night[0].image: {capital}\n\
             error: {file}:{group}: {twice}\n\
             error: {file}:{field}: {twice}\n\
             error: {file}:{field}: night (2)[0].image: {capital}\n\
             error: {file}:{name}: night (2)[1].jobName: \"a\" stands twice: group \"night\" has it already, and Jobs of one namespace need different names\n\
             error: {file}:{amount}: night (2)[1].requestMem: is less than 1Mi: memory is counted in bytes: write 500Mi, 2Gi\n\
             error: nothing was done; correct the 6 places named above\n"
        )
    };
    let here = folder(&[("b.json", json), ("b.yaml", yaml)]);
    for (file, places) in
        [("b.json", ["3:22", "5:3", "6:39", "7:6", "7:39"]), ("b.yaml", ["2:16", "3:1", "4:29", "5:4", "5:29"])]
    {
        let bad = run(here.path(), &["batch", file, "-o", "yaml"], "");
        assert_eq!((bad.code, bad.out.as_str(), bad.err.as_str()), (2, "", &*said(file, places)), "{file}");
    }
}

#[test]
fn names_are_unique_in_the_namespace_that_is_given() {
    let job =
        |more: &str| format!(r#"[{{"jobName": "a", "image": "scan", "requestMem": "1Gi", "requestCpu": "1"{more}}}]"#);
    let text = format!("{{\"x\": {},\n\"y\": {}}}", job(""), job(r#", "namespace": "scans""#));
    let here = folder(&[("b.json", &text)]);
    let bad = run(here.path(), &["batch", "b.json", "-o", "yaml", "-n", "scans"], "");
    assert_eq!((bad.code, bad.out.as_str()), (2, ""));
    assert!(
        bad.err.starts_with("error: b.json:2:8: y[0].jobName: \"a\" stands twice: group \"x\" has it"),
        "{}",
        bad.err
    );
    for options in [&["-n", "other"][..], &[]] {
        let printed = run(here.path(), &[&["batch", "b.json", "-o", "yaml"], options].concat(), "");
        assert_eq!((printed.code, jobs(&printed.out).len()), (0, 2), "{}", printed.err);
    }
}

#[test]
fn the_jobs_pass_our_own_check_and_get_what_the_profile_gives() {
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: scans, labels: {supercargo.dev/scans: \"true\"}}\n";
    let here = folder(&[("batch.json", GOOD), ("scans.yaml", namespace)]);
    let printed = run(here.path(), &["batch", "batch.json", "-o", "yaml", "-n", "scans", "--run", "r1"], "");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let check = run(here.path(), &["check", "--fail-on", "warn", "--facts", "scans.yaml", "-"], &printed.out);
    assert_eq!(check.code, 0, "{}", check.out);
    let mutated = run(here.path(), &["mutate", "-o", "yaml", "--facts", "scans.yaml", "-"], &printed.out);
    // The two groups are packed apart from one another.
    for (group, pods) in [("night-r1", 2), ("pull-request--7-r1", 1)] {
        let packed = format!("matchLabels:\n              batchjobs-group: {group}\n");
        assert_eq!(mutated.out.matches(&packed).count(), pods, "{group}: {}", mutated.out);
    }
    assert!(mutated.out.contains("subPath: scans/payments/api"), "{}", mutated.out);
    assert!(BUILT_IN[1].contains("batchjobs-group"), "the profile groups by the label that a batch sets");
}

#[test]
fn the_jobs_are_those_of_the_design() {
    let here = folder(&[("batch.json", GOOD)]);
    let options = ["--run", "r1", "--retries", "2", "--deadline", "30m", "--keep", "10m", "--run-as-user", "0"];
    let printed = run(here.path(), &[&["batch", "batch.json", "-o", "yaml"], &options[..]].concat(), "");
    let jobs = jobs(&printed.out);
    assert_eq!(
        jobs.iter().map(|job| job["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["api", "web", "pr7"]
    );
    let labels = json!({"app.kubernetes.io/component": "scan", "app.kubernetes.io/managed-by": "supercargo",
        "batchjobs-group": "night-r1", "supercargo.dev/batch": "r1"});
    let container = json!({
        "name": "main", "image": "registry.example.com/scanner:1.4.2", "args": ["scan", "/src"],
        "env": [{"name": "LEVEL", "value": "deep"}],
        "resources": {"requests": {"cpu": "200m", "memory": "500Mi"}, "limits": {"cpu": "1", "memory": "500Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    let disrupted = json!({"type": "DisruptionTarget", "status": "True"});
    let expected = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "api", "labels": labels},
        "spec": {
            "activeDeadlineSeconds": 1800, "backoffLimit": 2, "ttlSecondsAfterFinished": 600,
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [disrupted]}]},
            "template": {
                "metadata": {"labels": labels,
                    "annotations": {"supercargo.dev/batch-group": "night", "supercargo.dev/source": "payments/api"}},
                "spec": {
                    "automountServiceAccountToken": false, "restartPolicy": "Never", "containers": [container],
                    "securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}},
                },
            },
        },
    });
    assert_eq!(jobs[0], expected);

    let list = run(here.path(), &[&["batch", "-", "-o", "json"], &options[..]].concat(), GOOD);
    let list: Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!((&list["kind"], &list["items"]), (&json!("List"), &json!(jobs)));
}

#[test]
fn each_run_has_groups_of_its_own() {
    let here = folder(&[("batch.json", GOOD)]);
    let group = || {
        let printed = run(here.path(), &["batch", "batch.json", "-o", "json"], "");
        let list: Value = serde_json::from_str(&printed.out).unwrap();
        list["items"][0]["spec"]["template"]["metadata"]["labels"]["batchjobs-group"].as_str().unwrap().to_owned()
    };
    let (one, other) = (group(), group());
    assert!(one.starts_with("night-") && other.starts_with("night-") && one != other, "{one} {other}");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let here = folder(&[("batch.json", GOOD)]);
    for options in [
        vec!["--nodes", "nodes.json"],
        vec!["-o", "yaml", "--cleanup"],
        vec!["-o", "yaml", "--timeout", "5m"],
        vec!["--no-wait", "--cleanup"],
        vec!["--timeout", "soon"],
        vec!["--run", "Not-This"],
        vec!["-n", "Not_This"],
        // What the API server would refuse.
        vec!["-o", "yaml", "--keep", "700000h"],
        vec!["-o", "yaml", "--run-as-user", "2147483648"],
        vec!["-o", "yaml", "--source", "../.."],
        vec!["-o", "yaml", "--source", ""],
    ] {
        let bad = run(here.path(), &[&["batch", "batch.json"], &options[..]].concat(), "");
        assert_eq!((bad.code, bad.out.as_str()), (2, ""), "{options:?}");
    }
}
