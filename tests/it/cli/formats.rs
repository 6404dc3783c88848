//! Every format of `check` is read back, with names in it that would break out if they were not escaped.

use serde_json::Value;

use super::{BARE, MEMORY, folder, run};

/// A pod whose every name tries something, a good one, and a document that is no YAML.
fn nasty() -> String {
    let name = "evil\\u001b[31m\\u202e\\n::error::x<&\\\"'%,:]]>\\u009b";
    let bare = BARE.replace("bare", &format!("\"{name}\"")).replace("name: app", &format!("name: \"c{name}\""));
    format!("{bare}---\n{}---\nkind: [\n", BARE.replace("image:", "resources: {limits: {memory: 1Gi}}\n      image:"))
}

fn report(format: &str) -> (String, i32) {
    let here = folder(&[("p.yaml", MEMORY), ("a b,c:%.yaml", &nasty())]);
    let run = run(here.path(), &["check", "-o", format, "--policies", "p.yaml", "a b,c:%.yaml"], "");
    for text in [&run.out, &run.err] {
        assert!(
            !text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7f}']),
            "{format} lets a control character through: {text:?}"
        );
    }
    (run.out, run.code)
}

#[test]
fn text() {
    let (out, code) = report("text");
    assert_eq!(code, 2);
    let expected = r#"error[required-limits]: container cevil\u{1b}[31m\u{202e}\u{a}::error::x<&"'%,:]]>\u{9b}: no memory limit
 --> a b,c:%.yaml:6:7 (Pod default/evil\u{1b}[31m\u{202e}\u{a}::error::x<&"'%,:]]>\u{9b})
  = at: /spec/containers/0/resources/limits/memory
  = fix: set resources.limits.memory on it, for example memory: 256Mi
  = policy: GuardPolicy/memory

1 error, 0 warnings, 1 could not be judged in 2 documents of 1 file
Why a rule exists, with good and bad examples: supercargo explain RULE
"#;
    assert_eq!(out, expected);
}

#[test]
fn json() {
    let (out, _) = report("json");
    let report: Value = serde_json::from_str(&out).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["name"], "evil\u{1b}[31m\u{202e}\n::error::x<&\"'%,:]]>\u{9b}");
    let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "action",
            "column",
            "container",
            "document",
            "file",
            "fix",
            "key",
            "kind",
            "line",
            "message",
            "name",
            "namespace",
            "pointer",
            "policy",
            "rule"
        ]
    );
    assert_eq!((&finding["action"], &finding["policy"]), (&"deny".into(), &"GuardPolicy/memory".into()));

    let here = folder(&[("p.yaml", MEMORY)]);
    let clean = run(here.path(), &["check", "-o", "json", "--policies", "p.yaml", "-"], "");
    let report: Value = serde_json::from_str(&clean.out).unwrap();
    assert_eq!((report["findings"].as_array().unwrap().len(), clean.code), (0, 0));
}

#[test]
fn sarif() {
    let (out, _) = report("sarif");
    let log: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"required-limits".into(), &"error".into()));
    let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], "required-limits");
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), supercargo::rules::RULES.len());
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "./a%20b,c:%25.yaml");
    assert_eq!(place["region"], serde_json::json!({"startLine": 6, "startColumn": 7}));
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"].as_array().unwrap().len(), 1);

    let here = folder(&[]);
    let clean = super::run(here.path(), &["check", "-o", "sarif", "-"], "");
    let log: Value = serde_json::from_str(&clean.out).unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn junit() {
    let (out, _) = report("junit");
    let elements = elements(&out);
    let count = |name: &str| elements.iter().filter(|element| element.as_str() == name).count();
    assert_eq!((count("testcase"), count("failure"), count("error")), (3, 1, 1), "{out}");
    assert!(out.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{out}");
    assert!(out.contains("x&lt;&amp;&quot;'%,:]]&gt;"), "{out}");
}

/// The names of all elements; panics when the text is not well-formed.
fn elements(xml: &str) -> Vec<String> {
    let (mut names, mut open) = (Vec::new(), Vec::new());
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(
            !text.contains('>')
                && !text
                    .replace("&amp;", "")
                    .replace("&lt;", "")
                    .replace("&gt;", "")
                    .replace("&quot;", "")
                    .contains('&'),
            "{text}"
        );
        let end = rest[at..].find('>').unwrap() + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        assert!(!tag.contains('<') && tag.matches('"').count().is_multiple_of(2), "{tag}");
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        names.push(name.clone());
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    names
}

#[test]
fn github() {
    let (out, _) = report("github");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(
        lines[0].starts_with("::error file=a b%2Cc%3A%25.yaml,line=6,col=7,title=required-limits::Pod default/evil"),
        "{out}"
    );
    assert!(lines[0].ends_with("%0Afix: set resources.limits.memory on it, for example memory: 256Mi"), "{out}");
    assert!(lines[1].starts_with("::error file=a b%2Cc%3A%25.yaml,line=18,col=7,title=could not be judged::"), "{out}");
    assert_eq!(lines[2], "1 error, 0 warnings, 1 could not be judged in 2 documents of 1 file");
}
