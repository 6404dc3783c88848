//! what a refusal and a warning look like on the wire.

use serde_json::{Value, json};

use crate::support::*;

fn world() -> World {
    World::built_in().in_namespace("shop")
}

/// "A refusal is HTTP 200 with `allowed: false`, code 403, every finding at once, each naming container, JSON pointer, rule id
/// and fix"
#[test]
fn a_refusal_word_by_word() {
    let answer = world().validate(&Review::create(bad_deployment()));
    assert_eq!(answer.wire["allowed"], false);
    assert_eq!(answer.wire["status"]["code"], 403);
    assert_eq!(answer.wire["status"]["reason"], "Forbidden");
    assert_eq!(
        answer.message(),
        "Deployment shop/web is refused, 4 findings:
  [required-limits] container app: no cpu limit
      at  /spec/template/spec/containers/0/resources/limits/cpu
      fix set resources.limits.cpu on it, for example cpu: 500m
  [required-limits] container app: no memory limit
      at  /spec/template/spec/containers/0/resources/limits/memory
      fix set resources.limits.memory on it, for example memory: 256Mi
  [required-probes] container app: no liveness probe
      at  /spec/template/spec/containers/0/livenessProbe
      fix add livenessProbe to it, for example livenessProbe: {httpGet: {path: /healthz, port: 8080}}
  [required-probes] container app: no readiness probe
      at  /spec/template/spec/containers/0/readinessProbe
      fix add readinessProbe to it, for example readinessProbe: {httpGet: {path: /readyz, port: 8080}}
Why: supercargo explain required-limits; supercargo explain required-probes"
    );
}

/// "and `status.details.causes` with the same"
#[test]
fn causes_say_the_same_to_programs() {
    let answer = world().validate(&Review::create(bad_deployment()));
    let causes = answer.wire["status"]["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 4);
    assert_eq!(
        causes[0],
        json!({"reason": "required-limits", "field": "/spec/template/spec/containers/0/resources/limits/cpu",
            "message": "container app: no cpu limit; set resources.limits.cpu on it, for example cpu: 500m"})
    );
}

/// "every finding at once": thirty containers, a hundred findings; what nobody would read is counted.
/// A rule stops looking after a thousand.
#[test]
fn many_findings_are_all_named_and_absurdly_many_counted() {
    let containers = |count| Value::from((0..count).map(|n| json!({"name": format!("c{n}")})).collect::<Vec<_>>());
    let object = |count| with(good_deployment(), "/spec/template/spec/containers", containers(count));
    let answer = world().validate(&Review::create(object(25)));
    assert_eq!(answer.causes().len(), 100);
    assert_eq!(answer.message().matches("\n  [").count(), 100);
    assert!(!answer.message().contains("more"));
    let answer = world().validate(&Review::create(object(5_000)));
    assert_eq!(answer.causes().len(), 100);
    assert!(answer.message().contains("2000 findings") && answer.message().contains("… and 1900 more"));
    assert!(answer.wire.to_string().len() < 100_000);
}

/// "Warnings: at most 120 characters each, few."
#[test]
fn warnings_are_short_and_few() {
    let long = "c".repeat(300);
    let old = with(bad_deployment(), "/spec/template/spec/containers/0/name", json!(long));
    let mut old = with(old, "/spec/template/spec/containers/1", json!({"name": "two"}));
    for index in 2..9 {
        old = with(old, &format!("/spec/template/spec/containers/{index}"), json!({"name": format!("c{index}")}));
    }
    let answer = world().validate(&Review::update(old.clone(), with(old, "/spec/replicas", json!(3))));
    let warnings = answer.warnings();
    assert_eq!(warnings.len(), 8);
    assert!(warnings.iter().all(|warning| warning.chars().count() <= 120), "{warnings:?}");
    assert!(warnings[0].ends_with('…'));
    assert_eq!(warnings[7], "… and 29 more: `supercargo check` lists them all");
}

/// "Text from objects is escaped wherever it is printed."
#[test]
fn control_characters_do_not_reach_a_terminal() {
    let evil = "a\u{1b}[2Jb\u{202e}c\nd";
    let object = with(bad_deployment(), "/spec/template/spec/containers/0/name", json!(evil));
    let object = with(object, "/metadata/name", json!(evil));
    let refused = world().validate(&Review::create(object.clone()));
    let warned = world().validate(&Review::update(object.clone(), with(object, "/spec/replicas", json!(3))));
    for answer in [refused, warned] {
        for text in strings(&answer.wire) {
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
            assert!(!text.contains("c\nd"), "{text:?}");
        }
    }
}

/// Every string in an answer, keys included.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(map) => {
            map.iter().flat_map(|(key, value)| [vec![key.clone()], strings(value)].concat()).collect()
        }
        _ => vec![],
    }
}

/// "Exemption used, rule and policy go into `auditAnnotations`."
#[test]
fn the_audit_log_says_what_was_let_pass_and_why() {
    let exemption = "{kind: Exemption, metadata: {name: legacy}, spec: {owner: t, reason: r, expires: '2027-01-01', rules: [required-probes], match: {namespaces: [shop]}}}";
    let answer = World::new(&[BUILT_IN[0], exemption]).in_namespace("shop").validate(&Review::create(bad_deployment()));
    let audit = answer.wire["auditAnnotations"].as_object().unwrap();
    assert_eq!(
        audit["exempted"],
        "required-probes of GuardPolicy/baseline by Exemption/legacy: container app: no liveness probe; \
         required-probes of GuardPolicy/baseline by Exemption/legacy: container app: no readiness probe"
    );
    assert!(
        audit["denied"]
            .as_str()
            .unwrap()
            .starts_with("required-limits of GuardPolicy/baseline: container app: no cpu limit")
    );
    // The API server puts the webhook's name and a slash in front.
    assert!(audit.keys().all(|key| !key.contains('/')));
}

/// "A fault of ours ... is an HTTP error": what cannot be read is an error, no refusal.
#[test]
fn an_object_that_cannot_be_read_is_a_fault_and_no_refusal() {
    let world = world();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let review = Review::create(bad_deployment()).bytes("shop");
    let review = String::from_utf8(review).unwrap().replace("\"replicas\":1", &format!("\"replicas\":{deep}"));
    // Either the envelope or the object says so; neither decides.
    let arena = supercargo::tree::Arena::default();
    if let Ok(request) = supercargo::review::read(review.as_bytes(), &arena) {
        let facts = supercargo::engine::Facts {
            namespace: &world.namespace,
            policies: &world.policies,
            now: world.now,
            packing: None,
        };
        let fault = world.engine.validate(&request, facts).unwrap_err().to_string();
        assert!(fault.contains("not readable as JSON"), "{fault}");
    }
}

/// Terminals obey control characters wherever they stand, a cause's field included.
#[test]
fn a_cause_names_its_field_in_harmless_characters() {
    let secret = json!({"db\u{1b}[2J\u{202e}url": concat!("postgres://web:q7Zr", "0pWx", "2Lk9@db.example.com/web")});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": secret});
    let answer = World::built_in().in_namespace("shop").validate(&Review::create(map));
    answer.assert_refused(&[r"embedded-secret /data/db\u{1b}[2J\u{202e}url"]);
    assert!(!answer.wire.to_string().contains(r"\u001b"), "{}", answer.wire);
}
