//! `supercargo mutate`: what pods get, and the pods of templates.

use serde_json::Value;

use super::{folder, run};

const SCANS: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: scans, labels: {supercargo.dev/scans: \"true\"}}\n";

const CRON: &str = "\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: scans}
spec:
  schedule: \"0 3 * * *\"
  jobTemplate:
    spec:
      template:
        metadata:
          labels: {app.kubernetes.io/component: scan, batchjobs-group: g}
          annotations: {supercargo.dev/source: repo}
        spec:
          restartPolicy: Never
          containers:
            - {name: scan, image: i}
";

#[test]
fn a_template_shows_the_pod_that_its_controller_makes() {
    let here = folder(&[("cron.yaml", CRON), ("ns.yaml", SCANS)]);
    let run1 = run(here.path(), &["mutate", "-o", "json", "cron.yaml", "ns.yaml"], "");
    assert_eq!(run1.code, 0, "{}", run1.err);
    let list: Value = serde_json::from_str(&run1.out).unwrap();
    let pod = &list["items"][0];
    assert_eq!((&pod["kind"], &pod["metadata"]["generateName"]), (&"Pod".into(), &"nightly-".into()));
    assert_eq!(pod["metadata"]["namespace"], "scans");
    assert_eq!(pod["metadata"]["labels"]["network.supercargo.dev/egress"], "results-only");
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["memory"], "1Gi");

    let patch = run(here.path(), &["mutate", "-o", "patch", "cron.yaml", "ns.yaml"], "");
    let patches: Value = serde_json::from_str(&patch.out).unwrap();
    assert_eq!(patches.as_array().unwrap().len(), 1);
    assert_eq!(patches[0]["object"], "CronJob scans/nightly");
    assert!(patches[0]["patch"].as_array().unwrap().iter().all(|operation| operation["op"] == "add"));

    // Without the Namespace nobody knows that scans run there.
    let alone = run(here.path(), &["mutate", "cron.yaml"], "");
    assert_eq!((alone.out.as_str(), alone.code), ("", 0));
    assert!(
        alone.err.contains("CronJob scans/nightly: nothing is added: what labels namespace scans has"),
        "{}",
        alone.err
    );
}

#[test]
fn why_nothing_is_added_is_said() {
    let said = |cron: &str, namespace: &str, more: &[&str]| {
        let here = folder(&[("cron.yaml", cron), ("ns.yaml", namespace), ("g.yaml", super::MEMORY)]);
        let run = run(here.path(), &[&["mutate", "cron.yaml", "--facts", "ns.yaml"], more].concat(), "");
        assert_eq!((run.out.as_str(), run.code), ("", 0));
        run.err
    };
    let unlabelled = SCANS.replace("\"true\"", "\"false\"");
    assert!(said(CRON, &unlabelled, &[]).contains("nothing is added: no PodProfile serves namespace scans"));
    let other = CRON.replace("component: scan", "component: web");
    assert!(said(&other, SCANS, &[]).contains("nothing is added: no PodProfile that serves the namespace matches"));
    assert!(said(CRON, SCANS, &["--policies", "g.yaml"]).contains("nothing is added: there is no PodProfile"));
    let system = CRON.replace("namespace: scans", "namespace: kube-system");
    assert!(said(&system, SCANS, &[]).contains("nothing is added: namespace kube-system is left out"));
}

#[test]
fn facts_that_are_none_are_named() {
    let here = folder(&[("cron.yaml", CRON), ("ns.yaml", SCANS)]);
    for (facts, said) in [("cron.yaml", true), ("ns.yaml", false)] {
        for command in ["mutate", "check", "review"] {
            let run = run(here.path(), &[command, "--facts", facts, "cron.yaml"], "");
            assert_eq!(run.err.contains("nothing is learned from it"), said, "{command} {facts}: {}", run.err);
        }
    }
}

#[test]
fn the_diff_only_adds() {
    let here = folder(&[("cron.yaml", CRON), ("ns.yaml", SCANS)]);
    let run = run(here.path(), &["mutate", "--facts", "ns.yaml", "cron.yaml"], "");
    let mut lines = run.out.lines();
    assert_eq!(lines.next(), Some("--- cron.yaml CronJob scans/nightly: pod as sent"));
    assert_eq!(lines.next(), Some("+++ cron.yaml CronJob scans/nightly: pod as admitted"));
    assert!(run.out.contains("\n+    network.supercargo.dev/egress: results-only\n"), "{}", run.out);
    assert!(lines.all(|line| line.starts_with(['+', ' ', '@'])), "{}", run.out);
}

#[test]
fn input_without_pods_says_so() {
    let here = folder(&[("ns.yaml", SCANS)]);
    let run = run(here.path(), &["mutate", "-o", "json", "ns.yaml"], "");
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["items"], serde_json::json!([]));
    assert!(run.err.contains("no pods"), "{}", run.err);
}
