//! A secret in the input never gets out of the command line: no command, no format, no error.

use super::{folder, run};

/// Made up; it has to look real enough to be found.
const SECRET: &str = "xK93-vQz71mLp0wRt5";

fn manifests() -> Vec<(&'static str, String)> {
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    db.example.com/url: postgres://app:{SECRET}@db/x\nspec:\n  containers:\n    \
         - name: app\n      image: i\n      args: [\"--password={SECRET}\"]\n      env:\n        - name: DB_PASSWORD\n          value: {SECRET}\n"
    );
    let config = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  DB_PASSWORD: {SECRET}\n  app.ini: |\n    [db]\n    password = {SECRET}\n"
    );
    let job = format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j}}\nspec: {{template: {}}}\n", {
        let spec =
            format!("{{restartPolicy: Never, containers: [{{name: a, env: [{{name: API_TOKEN, value: {SECRET}}}]}}]}}");
        format!("{{spec: {spec}}}")
    });
    let other =
        format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{password: {SECRET}}}\n");
    // What kubectl leaves behind, in a pod that a diff is printed of.
    let applied = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: scans, labels: {{supercargo.dev/scans: \"true\"}}}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n  namespace: scans\n  labels: {{app.kubernetes.io/component: scan}}\n  annotations:\n    \
         supercargo.dev/source: a\n    kubectl.kubernetes.io/last-applied-configuration: |\n      \
         {{\"spec\":{{\"containers\":[{{\"env\":[{{\"name\":\"DB_PASSWORD\",\"value\":\"{SECRET}\"}}]}}]}}}}\nspec:\n  restartPolicy: Never\n  \
         containers: [{{name: c, image: i}}]\n"
    );
    // More findings than a refusal names, in front of it.
    let decoys: String = (0..300).map(|_| "        - {name: A, value: pass=word}\n").collect();
    let last = format!("        - name: DB_PASSWORD\n          value: {SECRET}\n");
    let behind = pod.replace(&last, &format!("{decoys}{last}"));
    assert_ne!(behind, pod);
    vec![
        ("applied.yaml", applied),
        ("behind.yaml", behind),
        ("pod.yaml", pod.clone()),
        ("config.yaml", config),
        ("job.yaml", job),
        ("other.yaml", other),
        ("unclosed.yaml", format!("{pod}          x: \"{SECRET}\n")),
        ("twice.yaml", format!("a: {{{SECRET}: 1, {SECRET}: 2}}\n")),
        ("alias.yaml", format!("a: *{SECRET}\n")),
        ("tag.yaml", format!("a: !!int {SECRET}\nb: !<{SECRET} x\n")),
        ("colon.yaml", format!("a: b: {SECRET}\n")),
        ("handle.yaml", format!("a: !{SECRET}!x y\n")),
        ("separator.yaml", format!("--- {SECRET}\na: 1\n")),
        ("directive.yaml", format!("%{SECRET} 1\n---\n{pod}")),
        ("kind.yaml", format!("kind: {SECRET}\n")),
        ("broken.json", format!("{{\"password\": \"{SECRET}\", }}")),
        ("bare.json", format!("{{\"password\": {SECRET}}}")),
        ("helm.yaml", format!("a: {{{{ {SECRET} }}}}\nb: {{{{\n")),
        (
            "review.json",
            format!(
                "{{\"apiVersion\": \"admission.k8s.io/v1\", \"kind\": \"AdmissionReview\", \"request\": \"{SECRET}\"}}"
            ),
        ),
    ]
}

#[test]
fn a_known_secret_is_in_no_output() {
    let manifests = manifests();
    let files: Vec<(&str, &str)> = manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let here = folder(&files);
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for format in ["text", "json", "sarif", "junit", "github"] {
        commands.push(vec!["check", "-o", format, "."]);
    }
    for format in ["yaml", "json", "patch", "diff"] {
        commands.push(vec!["mutate", "-o", format, "."]);
    }
    for (name, _) in &manifests {
        commands.push(vec!["review", name]);
        commands.push(vec!["review", "--pods", "-o", "text", name]);
        commands.push(vec!["policies", "check", name]);
        commands.push(vec!["check", "--policies", name, "pod.yaml"]);
        commands.push(vec!["check", "--facts", name, "pod.yaml"]);
    }
    for command in commands {
        let run = run(here.path(), &command, "");
        for text in [&run.out, &run.err] {
            assert!(!text.contains(SECRET), "{command:?} prints the secret: {text}");
        }
    }
    for command in [&["mutate", "applied.yaml"][..], &["review", "-o", "text", "--mutate", "applied.yaml"]] {
        let run = run(here.path(), command, "");
        assert!(run.out.contains("(a copy of the manifest: not shown)"), "{command:?} shows no copy: {}", run.out);
    }
    let all = run(here.path(), &["mutate", "--show-secrets", "-o", "json", "applied.yaml"], "");
    assert!(all.out.contains(SECRET), "{}", all.out);
    // It was there to be found.
    let found = run(here.path(), &["check", "pod.yaml", "config.yaml", "job.yaml", "other.yaml"], "");
    assert!(found.out.matches("[embedded-secret]").count() >= 6, "{}", found.out);
}
