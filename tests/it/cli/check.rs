//! `supercargo check`: what is read, what is left out, where findings are, how it ends.

use std::io::Read;
use std::process::Stdio;

use super::{BARE, MEMORY, findings, folder, run, supercargo};

#[test]
fn findings_point_into_the_file() {
    let deployment = "\
# A comment in front of the first separator is no document.
---
apiVersion: v1
kind: Service
metadata: {name: web}
---
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
      - name: first
        resources: {limits: {memory: 1Gi}}
      - name: second
        image: é
        resources:
          limits:
            cpu: 1
      - image: third
        name: third
";
    let here = folder(&[("p.yaml", MEMORY), ("web.yaml", deployment)]);
    let (found, summary, run) = findings(here.path(), &["--policies", "p.yaml", "web.yaml"], "");
    let at = |document, line, column, pointer: &str| {
        let pointer = format!("/spec/template/spec/containers/{pointer}/resources/limits/memory");
        ("required-limits".to_owned(), "web.yaml".to_owned(), document, line, column, "shop/web".to_owned(), pointer)
    };
    assert_eq!(found, [at(2, 22, 11, "1"), at(2, 24, 9, "2")]);
    assert_eq!(
        summary,
        serde_json::json!({"files": 1, "documents": 2, "denied": 2, "warned": 0, "audited": 0, "exempted": 0, "skipped": 0, "problems": 0})
    );
    assert_eq!(run.code, 1);
}

#[test]
fn lists_are_taken_apart() {
    let list = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: c}
- apiVersion: v1
  kind: PodList
  items:
  - metadata: {name: inner}
    spec:
      containers: [{name: app}]
";
    let here = folder(&[("p.yaml", MEMORY)]);
    let (found, summary, _) = findings(here.path(), &["--policies", "p.yaml", "-n", "jobs", "-"], list);
    let pointer = "/items/1/items/0/spec/containers/0/resources/limits/memory".to_owned();
    assert_eq!(found, [("required-limits".into(), "stdin".into(), 0, 12, 20, "jobs/inner".into(), pointer)]);
    assert_eq!(summary["documents"], 2);
}

#[test]
fn json_files_have_places_too() {
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\"containers\": [\n    {\"name\": \"x\\\"y\"}]}}\n\
                {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}, \"spec\": {\"containers\": [{\"name\": \"\\ud83d\\ude00\"}]}}";
    let here = folder(&[("p.yaml", MEMORY), ("a.json", json)]);
    let (found, ..) = findings(here.path(), &["--policies", "p.yaml", "a.json"], "");
    let places: Vec<_> = found.iter().map(|f| (f.2, f.3, f.4)).collect();
    assert_eq!(places, [(0, 3, 5), (1, 4, 88)]);
}

#[test]
fn a_bad_document_does_not_stop_the_rest() {
    let text = format!("{BARE}---\nkind: [\n---\n{BARE}");
    let here = folder(&[("p.yaml", MEMORY), ("d/a.yaml", &text), ("d/b.yaml", BARE), ("d/c.json", "{\"kind\": ")]);
    let (found, _, run) = findings(here.path(), &["--policies", "p.yaml", "d"], "");
    let seen: Vec<_> = found.iter().map(|f| (f.1.as_str(), f.2)).collect();
    assert_eq!(seen, [("d/a.yaml", 0), ("d/a.yaml", 2), ("d/b.yaml", 0)]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("error: d/a.yaml:9:") && run.err.contains("error: d/c.json:1:"), "{}", run.err);
}

#[test]
fn what_is_no_manifest_is_left_out_or_named() {
    let here = folder(&[
        ("d/kustomization.yaml", "resources: [a.yaml]\n"),
        ("d/values.yaml", "replicas: 1\n"),
        ("d/compose.yml", "services: {}\n"),
        ("d/list.yaml", "- 1\n"),
        ("d/notes.txt", "no YAML: ["),
        ("d/.hidden/a.yaml", "kind: ["),
        ("d/half.yaml", "kind: Pod\n"),
        ("alone.yaml", "a: 1\n"),
    ]);
    let run1 = run(here.path(), &["check", "d"], "");
    assert_eq!(run1.code, 2);
    let notes = run1.err.matches("note: ").count();
    assert_eq!((notes, run1.err.matches("error: ").count()), (4, 1), "{}", run1.err);
    assert!(run1.err.contains("error: d/half.yaml:1:1: is no Kubernetes object"), "{}", run1.err);
    assert_eq!(run(here.path(), &["check", "alone.yaml"], "").code, 2);
    assert_eq!(run(here.path(), &["check", "d/kustomization.yaml"], "").code, 0);
    assert_eq!(run(here.path(), &["check", "missing.yaml"], "").code, 2);
}

#[test]
fn helm_templates_are_recognised() {
    let template =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n{{- if .Values.x }}\n{{- end }}\n";
    let quoted = "apiVersion: v1\nkind: Pod\nmetadata: {name: \"{{ .Release.Name }}\"}\n";
    let here = folder(&[
        ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\n"),
        ("charts/web/values.yaml", "a: 1\n"),
        ("charts/web/templates/pod.yaml", template),
        ("charts/web/templates/quoted.yaml", quoted),
        (
            "charts/web/crds/crd.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n",
        ),
        ("loose.yaml", template),
    ]);
    let said = |path: &str| run(here.path(), &["check", path], "");
    for (path, chart) in [
        ("charts", "charts/web"),
        ("charts/web/templates/pod.yaml", "charts/web"),
        ("charts/web/templates/quoted.yaml", "charts/web"),
        ("loose.yaml", "CHART"),
    ] {
        let run = said(path);
        assert_eq!(run.code, 2, "{path}");
        assert!(
            run.err.contains(&format!("type: helm template RELEASE {chart} | supercargo check -")),
            "{path}: {}",
            run.err
        );
        assert_eq!(run.err.matches("helm template").count(), 1, "{path}: {}", run.err);
    }
    assert!(said("charts").out.contains("in 1 document of 1 file"), "the crds of a chart are plain YAML");
    // A template language in a value is nobody's error.
    let alert = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {t: \"{{ .Labels }}\"}\n";
    assert_eq!(run(here.path(), &["check", "-"], alert).code, 0);
    let braces = run(here.path(), &["check", "-"], "{{- if .Values.x }}\nkind: Pod\n{{- end }}\n");
    assert!(braces.err.contains("helm template RELEASE CHART"), "{}", braces.err);
}

/// Templates that quote their actions are YAML.
#[test]
fn quoted_helm_templates_are_recognised() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n    - name: c\n      image: i\n      resources:\n        limits: {cpu: 1, memory: 1Gi}\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      initContainers: [{name: i, image: \"{{ .Values.image }}:{{ .Values.tag }}\"}]\n".to_owned();
    let list = |text: &str| format!("apiVersion: v1\nkind: List\nitems:\n  - {}", text.replace('\n', "\n    "));
    let named = pod.replace("name: p", "name: \"{{ .Release.Name }}-web\"");
    let here = folder(&[]);
    for (text, place) in [
        (named.clone(), "4:3"),
        (pod.replace("name: p", "generateName: '{{ .Release.Name }}-'"), "4:3"),
        (pod.replace("name: p", "name: p\n  namespace: '{{ .Release.Namespace }}'"), "5:3"),
        (pod.replace("image: i", "image: \"{{ .Values.image.repository }}\""), "8:7"),
        (pod.replace("cpu: 1", "cpu: \"{{ .Values.cpu }}\""), "10:9"),
        (deployment, "7:34"),
        (list(&named), "7:7"),
        (format!("{pod}---\n{named}---\n{named}---\na: {{{{ x }}}}\n"), "15:3"),
    ] {
        for command in ["check", "mutate", "review"] {
            let run = run(here.path(), &[command, "-"], &text);
            assert_eq!(run.code, 2, "{text}\n{}{}", run.out, run.err);
            let said = format!("stdin:{place}: is a Helm template that has not been rendered");
            assert!(run.err.contains(&said), "{place}: {}", run.err);
            assert_eq!(run.err.matches(&format!("helm template RELEASE CHART | supercargo {command} -")).count(), 1);
            assert!(!run.err.contains("quantity"), "{}", run.err);
        }
    }
    // Braces where somebody else may read them, and braces of another language.
    let level = "env: [{name: LEVEL, value: \"{{ .Values.level }}\"}]\n      resources";
    for text in [
        pod.replace("resources", level),
        pod.replace("image: i", "image: i\n      args: [\"{{ with secret }}x{{ end }}\"]"),
        pod.replace("image: i", "image: \"${{ values.image }}\""),
        pod.replace("name: p", "name: p\n  annotations: {a: \"{{ .x }}\"}"),
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: \"{{workflow.name}}\"}\nspec: {templates: [{container: {image: \"{{inputs.image}}\"}}]}\n".to_owned(),
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: a}\nspec: {template: {metadata: {name: \"{{cluster}}-app\"}}}\n".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {pod.yaml: \"kind: Pod, image: '{{ x }}'\"}\n".to_owned(),
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  pod.yaml: |\n    {}", named.replace('\n', "\n    ")),
    ] {
        let run = run(here.path(), &["check", "-"], &text);
        assert!(run.code < 2 && !run.err.contains("Helm"), "{text}\n{}", run.err);
    }
}

#[test]
fn documents_are_facts_for_each_other_in_any_order() {
    let range = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {limits: [{type: Container, default: {memory: 1Gi}}]}\n";
    let here = folder(&[("p.yaml", MEMORY), ("bare.yaml", BARE), ("range.yaml", range)]);
    let code = |arguments: &[&str]| findings(here.path(), &[&["--policies", "p.yaml"], arguments].concat(), "").2.code;
    assert_eq!(code(&["bare.yaml"]), 1);
    assert_eq!(code(&["bare.yaml", "range.yaml"]), 0);
    assert_eq!(code(&["--facts", "range.yaml", "bare.yaml"]), 0);
    assert_eq!(code(&["--facts", "range.yaml", "-n", "other", "bare.yaml"]), 0, "both are in the same namespace");
    let stdin = format!("{BARE}---\n{range}");
    assert_eq!(findings(here.path(), &["--policies", "p.yaml", "-"], &stdin).2.code, 0);
}

#[test]
fn exit_codes_follow_what_was_asked() {
    let warn = MEMORY.replace("rules:", "enforcement: Warn\n  rules:");
    let here = folder(&[("p.yaml", MEMORY), ("w.yaml", &warn), ("bare.yaml", BARE), ("bad.yaml", "apiVersion: [")]);
    let code = |arguments: &[&str]| run(here.path(), &[&["check"], arguments].concat(), "").code;
    assert_eq!(code(&["--policies", "p.yaml", "bare.yaml"]), 1);
    assert_eq!(code(&["--policies", "w.yaml", "bare.yaml"]), 0);
    assert_eq!(code(&["--policies", "w.yaml", "--fail-on", "warn", "bare.yaml"]), 1);
    assert_eq!(code(&["--policies", "p.yaml", "bare.yaml", "bad.yaml"]), 2);
    assert_eq!(code(&["--policies", "bad.yaml", "bare.yaml"]), 2);
    assert_eq!(code(&["--policy", "nobody", "bare.yaml"]), 2);
    assert_eq!(code(&[]), 2);
    assert_eq!(code(&["--no-such-flag"]), 2);
    assert_eq!(code(&["--help"]), 0);
}

#[test]
fn unreadable_input_is_named() {
    let here = folder(&[]);
    std::fs::write(here.path().join("latin.yaml"), b"apiVersion: v1\nkind: \xc3\xa9 \xe9\n").unwrap();
    std::fs::write(here.path().join("bom.yaml"), format!("\u{feff}{BARE}")).unwrap();
    let file = std::fs::File::create(here.path().join("huge.yaml")).unwrap();
    file.set_len(65 * 1024 * 1024).unwrap();
    let run = run(here.path(), &["check", "."], "");
    assert_eq!(run.code, 2);
    assert!(run.err.contains("latin.yaml:2:9: is not UTF-8 text"), "{}", run.err);
    assert!(run.err.contains("huge.yaml: is larger than 64 MiB"), "{}", run.err);
    assert!(run.out.contains("bom.yaml:6:7 (Pod default/bare)"), "{}", run.out);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let here = folder(&[("p.yaml", MEMORY)]);
    let pods = format!("---\n{BARE}").repeat(20_000);
    std::fs::write(here.path().join("pods.yaml"), pods).unwrap();
    for format in ["text", "json", "sarif", "github"] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args(["check", "-o", format, "--policies", "p.yaml", "pods.yaml"])
            .current_dir(here.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{format}");
    }
    let mut help = supercargo(&["help"]);
    help.assert().success();
}

#[test]
fn what_is_left_out_for_its_namespace_is_counted() {
    let there = |namespace: &str| BARE.replace("name: bare", &format!("name: bare, namespace: {namespace}"));
    let all = ["kube-system", "supercargo", "shop"].map(there).join("---\n");
    let here = folder(&[("p.yaml", MEMORY), ("all.yaml", &all)]);
    let (found, summary, _) = findings(here.path(), &["--policies", "p.yaml", "all.yaml"], "");
    assert_eq!(found.len(), 1);
    assert_eq!((&summary["documents"], &summary["skipped"], &summary["denied"]), (&1.into(), &2.into(), &1.into()));
    let text = run(here.path(), &["check", "--policies", "p.yaml", "all.yaml"], "").out;
    assert!(
        text.contains("in 1 document of 1 file; 2 not judged, for their namespace (--exclude-namespaces)"),
        "{text}"
    );
    let (found, summary, _) =
        findings(here.path(), &["--policies", "p.yaml", "--exclude-namespaces", "", "all.yaml"], "");
    assert_eq!((found.len(), &summary["skipped"]), (3, &0.into()));
    let (found, summary, _) =
        findings(here.path(), &["--policies", "p.yaml", "--exclude-namespaces", "s*", "all.yaml"], "");
    assert_eq!((found.len(), &summary["skipped"]), (1, &2.into()));
}

#[test]
fn policies_that_refuse_nothing_are_no_accident() {
    let exemption = "apiVersion: supercargo.dev/v1alpha1\nkind: Exemption\nmetadata: {name: e}\n\
                     spec: {owner: o, reason: r, expires: \"2027-01-01\", rules: [required-limits], match: {namespaces: [x]}}\n";
    let profile = "apiVersion: supercargo.dev/v1alpha1\nkind: PodProfile\nmetadata: {name: p}\nspec: {match: {}}\n";
    let here = folder(&[("e/e.yaml", exemption), ("p/p.yaml", profile), ("g/g.yaml", MEMORY), ("bare.yaml", BARE)]);
    for command in ["check", "review", "mutate"] {
        let alone = run(here.path(), &[command, "--policies", "e", "bare.yaml"], "");
        assert_eq!((alone.code, alone.out.as_str()), (2, ""), "{command}");
        assert!(alone.err.contains("put them beside the GuardPolicies"), "{command}: {}", alone.err);
    }
    for (command, policies, warned) in [
        ("check", "p", true),
        ("review", "p", true),
        ("mutate", "p", false),
        ("check", "g", false),
        ("review", "g", false),
    ] {
        let said = run(here.path(), &[command, "--policies", policies, "bare.yaml"], "");
        assert_eq!(said.err.contains("no GuardPolicy is in force"), warned, "{command} {policies}: {}", said.err);
    }
    assert_eq!(run(here.path(), &["policies", "check", "e"], "").code, 0);
}

#[test]
fn nothing_to_judge_is_not_the_same_as_nothing_wrong() {
    let here = folder(&[("empty/a.yaml", "# nothing\n")]);
    for (path, stdin) in [("-", ""), ("-", "---\n# nothing\n"), ("empty", "")] {
        let run = run(here.path(), &["check", path], stdin);
        assert_eq!(run.code, 0);
        assert!(run.err.contains("warning: there is no object in this input"), "{path}: {}", run.err);
    }
    assert!(!run(here.path(), &["check", "-"], BARE).err.contains("no object"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_named() {
    let here = folder(&[("d/a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")]);
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, here.path().join("d").join(name)).unwrap();
    link("a.yaml", "b.yaml");
    link("nowhere", "notes.txt");
    assert_eq!(run(here.path(), &["check", "d"], "").code, 0);
    link("nowhere.yaml", "c.yaml");
    let dangling = run(here.path(), &["check", "d"], "");
    assert_eq!(dangling.code, 2);
    assert!(dangling.err.contains("d/c.yaml: is a link that leads to no file"), "{}", dangling.err);
}

#[test]
fn an_exemption_for_what_may_have_no_namespace_claims_none() {
    let secret = concat!("q7!Zr", "0pW_x", "2Lk9");
    let issuer = format!(
        "apiVersion: example.com/v1\nkind: ClusterIssuer\nmetadata: {{name: le}}\nspec: {{password: \"{secret}\"}}\n"
    );
    let here = folder(&[("issuer.yaml", &issuer)]);
    let refused = run(here.path(), &["check", "issuer.yaml"], "");
    assert!(
        refused.out.contains("metadata: {name: le}") && refused.out.contains(r#"namespaces: ["*"]"#),
        "{}",
        refused.out
    );
    let (_, draft) = refused.out.split_once("(--policies):\n").unwrap();
    let draft =
        draft.split("\n\n").next().unwrap().replace("owner: \"\"", "owner: o").replace("reason: \"\"", "reason: r");
    std::fs::create_dir(here.path().join("p")).unwrap();
    std::fs::write(here.path().join("p/e.yaml"), draft.replace("expires: \"\"", "expires: \"2999-01-01\"")).unwrap();
    let guard = MEMORY.replace("required-limits: {cpu: false}", "embedded-secret: {}");
    std::fs::write(here.path().join("p/g.yaml"), guard).unwrap();
    let allowed = run(here.path(), &["check", "--policies", "p", "issuer.yaml"], "");
    assert_eq!(allowed.code, 0, "{}{}", allowed.out, allowed.err);
}

#[test]
fn advice_is_not_called_what_the_last_line_counts() {
    let group = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples/group/jobs.yaml");
    let facts = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples/namespace.yaml");
    let here = folder(&[]);
    let run = run(here.path(), &["check", "--facts", facts, group], "");
    assert!(run.out.contains("note: redundant-affinity") && run.out.contains("0 warnings"), "{}", run.out);
    assert!(!run.out.contains("warning:"), "{}", run.out);
}

/// A program that reads JSON learns what was not judged.
#[test]
fn json_names_what_could_not_be_judged() {
    let here = folder(&[("broken.yaml", "kind: Pod\nmetadata: [\n"), ("p.yaml", MEMORY)]);
    let run = run(here.path(), &["check", "-o", "json", "--policies", "p.yaml", "broken.yaml", "nowhere.yaml"], "");
    assert_eq!(run.code, 2);
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let files: Vec<_> = problems.iter().map(|problem| problem["file"].as_str().unwrap()).collect();
    assert_eq!((files, &report["summary"]["problems"]), (vec!["nowhere.yaml", "broken.yaml"], &2.into()));
    assert!(problems[1]["line"].is_u64() && problems[1]["message"].is_string(), "{problems:?}");
}

/// What is meant as a fact and counts for nothing is named where it stands.
#[test]
fn facts_that_count_for_nothing_are_named() {
    let range = |limits: &str| {
        format!(
            "apiVersion: v1\nkind: LimitRange\nmetadata: {{name: r, namespace: shop}}\nspec: {{limits: {limits}}}\n"
        )
    };
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a.io/b: true}}\n".to_owned();
    for (fact, said) in [
        (
            range("[{type: Container, default: {cpu: abc}}]"),
            "facts.yaml:4:45: spec.limits[0].default.cpu is no quantity",
        ),
        (range("{type: Container}"), "facts.yaml:4:8: spec.limits is no list"),
        (range("[{type: container}]"), "facts.yaml:4:17: spec.limits[0].type is none of a LimitRange"),
        (namespace, "label a.io/b is no text, and so no label: write the value in quotes"),
    ] {
        let here =
            folder(&[("p.yaml", MEMORY), ("web.yaml", "kind: ConfigMap\napiVersion: v1\n"), ("facts.yaml", &fact)]);
        let given = run(here.path(), &["check", "--policies", "p.yaml", "--facts", "facts.yaml", "web.yaml"], "");
        assert!(given.code == 2 && given.err.contains(said), "{said}: {}", given.err);
        // Among what is judged it is only said.
        let judged = run(here.path(), &["check", "--policies", "p.yaml", "facts.yaml", "web.yaml"], "");
        assert!(judged.code == 0 && judged.err.contains(said), "{said}: {}", judged.err);
    }
}

/// Names from objects stand in the lines of a fix, and make none of their own.
#[test]
fn a_name_in_a_fix_makes_no_line() {
    let key = concat!("DB\\n::error::PASS", "WORD");
    let value = concat!("Xk29fj", "Qz81LmPq");
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: \"a\\n::error::b\"}}\nspec:\n  containers:\n  - {{name: c, image: i, env: [{{name: \"{key}\", value: {value}}}]}}\n"
    );
    let here = folder(&[("pod.yaml", &pod)]);
    let text = run(here.path(), &["check", "pod.yaml"], "").out;
    assert!(text.contains("secretKeyRef"), "{text}");
    assert!(text.lines().all(|line| !line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn what_is_left_out_is_named_as_namespaces_are() {
    let here = folder(&[]);
    for name in ["A B", "kube_sys"] {
        let run = run(here.path(), &["check", "--exclude-namespaces", name, "."], "");
        assert!(run.code == 2 && run.err.contains("is the name of no namespace"), "{}", run.err);
    }
}
