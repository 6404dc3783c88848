//! `supercargo review` with the engine in it; asking a server is tested where there is one.

use serde_json::{Value, json};

use super::{BARE, MEMORY, folder, run};

fn answers(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect()
}

#[test]
fn an_object_is_wrapped_and_a_new_pod_goes_through_both_doors() {
    let here = folder(&[("p.yaml", MEMORY), ("bare.yaml", BARE)]);
    let run1 = run(here.path(), &["review", "--policies", "p.yaml", "bare.yaml"], "");
    assert_eq!(run1.code, 1, "{}", run1.err);
    let answers1 = answers(&run1.out);
    assert_eq!(answers1.len(), 2);
    assert_eq!(
        (&answers1[0]["response"]["allowed"], &answers1[1]["response"]["allowed"]),
        (&true.into(), &false.into())
    );
    let uid = answers1[0]["response"]["uid"].as_str().unwrap();
    assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
    assert_eq!(answers1[1]["response"]["status"]["details"]["causes"][0]["reason"], "required-limits");

    for (flag, allowed, code) in [("--mutate", true, 0), ("--validate", false, 1)] {
        let run = run(here.path(), &["review", flag, "--policies", "p.yaml", "-"], BARE);
        let answers = answers(&run.out);
        assert_eq!((answers.len(), &answers[0]["response"]["allowed"], run.code), (1, &allowed.into(), code));
    }
}

#[test]
fn a_review_is_answered_as_it_is() {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-7", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "name": "bare", "namespace": "x",
        "operation": "DELETE", "userInfo": {"username": "ann"}, "object": null, "oldObject": {}}});
    let here = folder(&[("p.yaml", MEMORY)]);
    let run1 = run(here.path(), &["review", "--policies", "p.yaml", "-"], &review.to_string());
    assert_eq!(answers(&run1.out)[0]["response"], json!({"uid": "u-7", "allowed": true}));
    assert_eq!(run1.code, 0);
    let other = review.to_string().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let run2 = run(here.path(), &["review", "-"], &other);
    assert_eq!(run2.code, 2);
    assert!(run2.err.contains("admissionReviewVersions"), "{}", run2.err);
}

#[test]
fn people_read_the_refusal_and_the_diff() {
    let here = folder(&[("p.yaml", MEMORY)]);
    let refused = run(here.path(), &["review", "-o", "text", "--policies", "p.yaml", "-"], BARE);
    assert_eq!(refused.code, 1);
    assert!(
        refused.out.starts_with("Pod bare: nothing is added\nPod default/bare is refused, 1 finding:\n"),
        "{}",
        refused.out
    );

    let job = include_str!("../../../manifests/examples/good/scan-job.yaml");
    let namespace = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples/namespace.yaml");
    let equipped = run(here.path(), &["review", "--pods", "-o", "text", "--facts", namespace, "-"], job);
    assert_eq!(equipped.code, 0, "{}{}", equipped.out, equipped.err);
    assert!(equipped.out.contains("+    network.supercargo.dev/egress: results-only"), "{}", equipped.out);
    assert!(equipped.out.ends_with("Pod of Job scan-payments-api: allowed\n"), "{}", equipped.out);
}

#[test]
fn nothing_to_ask_is_an_error() {
    let here = folder(&[]);
    for stdin in ["", "# nothing\n", "kind: [\n"] {
        assert_eq!(run(here.path(), &["review", "-"], stdin).code, 2, "{stdin}");
    }
    #[cfg(feature = "server")]
    {
        std::fs::write(here.path().join("ca.crt"), "no certificate").unwrap();
        let run = run(here.path(), &["review", "--server", "https://localhost:1", "--ca", "ca.crt", "-"], BARE);
        assert_eq!(run.code, 2);
        assert!(run.err.contains("ca.crt holds no certificate"), "{}", run.err);
    }
}

#[cfg(feature = "server")]
#[test]
fn a_webhook_that_is_not_there_is_named() {
    let here = folder(&[]);
    assert_eq!(run(here.path(), &["certs", "dev"], "").code, 0);
    let run = run(here.path(), &["review", "--server", "https://localhost:1", "--ca", "dev/ca.crt", "-"], BARE);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("is `supercargo serve` running there?"), "{}", run.err);
}

#[test]
fn an_operators_account_is_named_whole() {
    let account = "system:serviceaccount:cnpg-system:cnpg-manager";
    let pod: Value = serde_saphyr::from_str(BARE).unwrap();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-8", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "name": "bare", "namespace": "x",
        "operation": "CREATE", "userInfo": {"username": account}, "object": pod, "oldObject": null}});
    let here = folder(&[("p.yaml", MEMORY)]);
    let code = |more: &[&str]| {
        let arguments = [&["review", "--validate", "--policies", "p.yaml"], more, &["-"]].concat();
        run(here.path(), &arguments, &review.to_string()).code
    };
    assert_eq!(code(&[]), 1);
    assert_eq!(code(&["--controller", account]), 0);
    assert_eq!(code(&["--controller", &format!("system:serviceaccount:a:b,{account}")]), 0);
    assert_eq!(code(&["--controller", "system:serviceaccount:cnpg-system:other"]), 1);
    for wrong in ["cnpg-manager", "system:serviceaccount:cnpg-system:*", "system:serviceaccount:cnpg-system"] {
        assert_eq!(code(&["--controller", wrong]), 2, "{wrong}");
    }
}

#[test]
fn what_is_in_a_review_is_called_by_its_name() {
    let pod: Value = serde_saphyr::from_str(BARE).unwrap();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-9", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "name": "", "namespace": "x",
        "operation": "CREATE", "userInfo": {"username": "ann"}, "object": pod, "oldObject": null}});
    let here = folder(&[("p.yaml", MEMORY)]);
    let text =
        |review: &Value| run(here.path(), &["review", "-o", "text", "--policies", "p.yaml", "-"], &review.to_string());
    assert!(
        text(&review).out.starts_with("Pod bare: nothing is added\nPod x/bare is refused, 1 finding:\n"),
        "{}",
        text(&review).out
    );
}

#[test]
fn a_template_that_is_not_rendered_is_for_the_command_that_met_it() {
    let here = folder(&[("c/Chart.yaml", "name: c\n"), ("c/templates/a.yaml", "kind: {{ .Values.kind }}\n")]);
    for command in ["check", "mutate", "review"] {
        let run = run(here.path(), &[command, "c/templates/a.yaml"], "");
        assert_eq!(run.code, 2);
        assert!(run.err.contains(&format!("helm template RELEASE c | supercargo {command} -\n")), "{}", run.err);
    }
}
