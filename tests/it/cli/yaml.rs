//! YAML is read as kubectl reads it. What is expected here was printed by kubectl 1.32.

use serde_json::{Value, json};

use super::{folder, run};

/// What `mutate -o json` makes of a pod's annotation-free body: the object as it was read.
#[track_caller]
fn read(yaml: &str) -> Value {
    let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: d}\n";
    let run = run(folder(&[]).path(), &["mutate", "-o", "json", "--show-secrets", "-"], &format!("{head}{yaml}"));
    assert_eq!(run.code, 0, "{yaml}: {}", run.err);
    let mut list: Value = serde_json::from_str(&run.out).unwrap();
    list["items"][0].take()
}

/// The error that a document gives.
#[track_caller]
fn refuse(yaml: &str) -> String {
    let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: d}\n";
    let run = run(folder(&[]).path(), &["mutate", "-o", "json", "-"], &format!("{head}{yaml}"));
    assert_eq!(run.code, 2, "{yaml}: {}", run.out);
    run.err
}

#[test]
fn scalars() {
    let yaml = "v: [yes, no, on, off, y, n, Y, TRUE, tRUE, 0777, 0o17, 0x1F, +0x1f, 1_000, 08, 00, 0o8, -0777, 1e3, 1.0, 1., 1.50, .5, \
                +.5, .1e1, 1_0.5, +1, -0, 12e, 0b11, -0b11, 0x_1F, 0777_7, 0_7, _1, 1_, 2020-01-01, 12:30:45, ~, null, '', \"1\", '2', =, \
                !!str 3, !!int \"4\", !!float 5, !!bool \"yes\", !foo 6, !!binary aGk=, !!timestamp 2020-01-01, 9223372036854775807, \
                18446744073709551615, 0.1, 1e-7, 1e400, 0xFFFFFFFFFFFFFFFFFF]";
    let expected = json!([
        true,
        false,
        true,
        false,
        true,
        false,
        true,
        true,
        "tRUE",
        511,
        15,
        31,
        31,
        1000,
        8,
        0,
        "0o8",
        -511,
        1000,
        1,
        1,
        1.5,
        0.5,
        0.5,
        1,
        10.5,
        1,
        0,
        "12e",
        3,
        -3,
        31,
        4095,
        7,
        "_1",
        1,
        "2020-01-01",
        "12:30:45",
        null,
        null,
        "",
        "1",
        "2",
        "=",
        "3",
        4,
        5,
        true,
        "6",
        "hi",
        "2020-01-01",
        9_223_372_036_854_775_807_i64,
        18_446_744_073_709_551_615_u64,
        0.1,
        1e-7,
        "1e400",
        "0xFFFFFFFFFFFFFFFFFF"
    ]);
    assert_eq!(read(yaml)["v"], expected);
}

#[test]
fn keys_and_merges() {
    let yaml = "keys: {1: a, n: b, 2.5: c, 0x10: d, true: f, 1e3: g}\nbase: &b {x: 1, w: 2}\nbefore: {x: 9, <<: *b}\n\
                after: {<<: *b, x: 9}\nmulti: {<<: [{x: 5}, {x: 6, z: 7}]}\nquoted: {\"<<\": {a: 1}}\nset: !!set {a, b}\npairs: [a: b]\n";
    let object = read(yaml);
    assert_eq!(object["keys"], json!({"1": "a", "false": "b", "2.5": "c", "16": "d", "true": "f", "1000": "g"}));
    // kubectl lets `<<` win over what stands above it.
    assert_eq!(object["before"], json!({"x": 1, "w": 2}));
    assert_eq!(object["after"], json!({"x": 9, "w": 2}));
    assert_eq!(object["multi"], json!({"x": 5, "z": 7}));
    assert_eq!(object["quoted"], json!({"<<": {"a": 1}}));
    assert_eq!(object["set"], json!({"a": null, "b": null}));
    assert_eq!(object["pairs"], json!([{"a": "b"}]));
}

#[test]
fn block_scalars_and_escapes() {
    let object = read("a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: \"\\u00e9\\x41\\n\"\nd: 'it''s'\n");
    assert_eq!(object["a"], "x\n y\n");
    assert_eq!((&object["b"], &object["c"], &object["d"]), (&json!("x y"), &json!("éA\n"), &json!("it's")));
}

#[test]
fn what_kubectl_refuses_is_refused_with_its_place() {
    for (yaml, place, words) in [
        ("v: .inf\n", ":4:4:", "infinity"),
        ("k: {~: 1}\n", ":4:5:", "null"),
        ("k: {[1]: 2}\n", ":4:5:", "string"),
        ("a: !!int foo\n", ":4:10:", "tag"),
        ("k: *nope\n", ":4:4:", "anchor"),
        ("v: {<<: 5}\n", ":4:9:", "map"),
        ("v: !!binary \"%%\"\n", ":4:13:", "base64"),
        ("v: @secret\n", ":4:4:", "quote it"),
        ("v: 'unclosed\n", ":5:1:", "quoted scalar"),
        ("a: 1\nb: 2\na: 3\n", ":6:1:", "twice"),
        ("a:\n\tb: 1\n", ":5:", "spaces"),
        ("a: 1\n...\nb: 1\n", ":6:", "---"),
    ] {
        let error = refuse(yaml);
        assert!(error.contains(&format!("stdin{place}")) && error.contains(words), "{yaml}: {error}");
    }
    let numbered = (0..40).map(|i| format!("k{}: v", i % 39)).collect::<Vec<_>>().join("\n");
    assert!(refuse(&numbered).contains("stdin:43:1: a key stands twice"));
}

#[test]
fn bombs_are_defused() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (of, name) in "abcdefghi".chars().zip("bcdefghij".chars()) {
        bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", ")));
    }
    assert!(refuse(&bomb).contains("aliases make this document too large"));
    let text = "x".repeat(1 << 20);
    let blown = format!("a: &a {text}\nb: [{}]\n", vec!["*a"; 10_000].join(", "));
    assert!(refuse(&blown).contains("aliases make this document too large"));
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = format!("v: {}x{}\n", open.repeat(20_000), close.repeat(20_000));
        assert!(refuse(&deep).contains("128 levels"), "{open}");
    }
    let deep = (0..5_000).map(|depth| " ".repeat(depth) + "a:").collect::<Vec<_>>().join("\n");
    assert!(refuse(&deep).contains("128 levels"));
}

#[test]
fn what_mutate_writes_is_read_back_as_it_was() {
    let values = [
        "yes",
        "n",
        "0777",
        "1_000",
        "08",
        "1e3",
        ".5",
        "0b11",
        "2020-01-01",
        "~",
        "null",
        "",
        "=",
        "<<",
        "a: b",
        "- x",
        "# c",
        "a #b",
        "x\ny",
        "x\n",
        "\n",
        "  lead",
        "trail ",
        "\ttab",
        "'",
        "\"",
        "\\",
        "é",
        "\u{202e}",
        "\u{1b}[31m",
        "{{ x }}",
        "%",
        "@a",
        "`",
        "*a",
        "&a",
        "!t",
        "|",
        "?",
        "-",
        "---",
        "a\r\nb",
        "\u{2028}",
        "{a: b}",
        "[a]",
        ".inf",
        "0x",
        "1.",
    ];
    let env: Vec<Value> = values.iter().map(|value| json!({"name": "A", "value": value})).collect();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"name": "a", "env": env}]}});
    let here = folder(&[]);
    let first = run(here.path(), &["mutate", "-o", "yaml", "--show-secrets", "-"], &pod.to_string());
    let second = run(here.path(), &["mutate", "-o", "json", "--show-secrets", "-"], &first.out);
    let list: Value = serde_json::from_str(&second.out).unwrap();
    assert_eq!(list["items"][0], pod, "{}", second.err);
}
