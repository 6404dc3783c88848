//! What must hold whatever the value and wherever it stands: it is in no output, the pointer leads to it, and what is no secret is
//! not refused. The first is shown with the real binary and every format; the others through the engine, with random objects.

use std::process::Command;

use proptest::prelude::*;
use serde_json::{Value, json};
use supercargo::finding::Action;
use supercargo::tree::Node;

use super::made::{Rng, chosen, generic, unmistakable};
use super::placed::{self, NAMED, Place};
use crate::support::*;

/// Names that say what stands there, and one that does not.
const WORDS: [&str; 8] = [
    "db password",
    "api token",
    "client secret",
    "aws secret access key",
    "authorization",
    "smtp pass",
    "signing key",
    "setting",
];

/// Public beginnings, which may be shown, in front of what may not.
const PREFIXES: [(&str, usize); 7] = [
    ("", 24),
    ("", 40),
    (concat!("gh", "p_"), 36),
    (concat!("gl", "pat-"), 20),
    (concat!("sk_", "live_"), 24),
    (concat!("sk-", "ant-api03-"), 93),
    (concat!("np", "m_"), 36),
];

fn program(folder: &std::path::Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_supercargo")).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

/// "no characters of it and no length, only a known public prefix", and no more of it in a fingerprint.
#[test]
fn no_format_holds_four_characters_of_a_value() {
    let mut rng = Rng(11);
    let mut bodies = Vec::new();
    let mut documents = Vec::new();
    for place in placed::ALL {
        for words in &WORDS[..3] {
            for (prefix, length) in PREFIXES {
                let body = unmistakable(&mut rng, length);
                documents.push(placed::object(place, words, &format!("{prefix}{body}")).to_string());
                let url = format!("postgres://app:{}@db.shop.svc:5432/shop", unmistakable(&mut rng, 12));
                documents.push(placed::object(place, "database", &url).to_string());
                bodies.extend([body, url[15..27].to_owned()]);
            }
        }
    }
    // Base64 hides a value from this test, but it must not hide it from a reader.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), format!("# not JSON\n---\n{}", documents.join("\n---\n"))).unwrap();
    std::fs::write(folder.path().join("fp.key"), [b'k'; 32]).unwrap();
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for format in ["text", "json", "sarif", "junit", "github"] {
        commands.push(vec!["check", "-o", format, "all.yaml"]);
        commands.push(vec!["check", "-o", format, "--fingerprint-key", "fp.key", "all.yaml"]);
    }
    for format in ["text", "json"] {
        commands.push(vec!["review", "-o", format, "all.yaml"]);
        commands.push(vec!["review", "-o", format, "--fingerprint-key", "fp.key", "all.yaml"]);
    }
    let pieces: std::collections::HashSet<&[u8]> = bodies.iter().flat_map(|body| body.as_bytes().windows(4)).collect();
    for command in commands {
        let (printed, code) = program(folder.path(), &command);
        assert_eq!(
            code,
            Some(1),
            "{command:?}: {}",
            printed.lines().filter(|line| line.starts_with("error: ")).take(3).collect::<String>()
        );
        assert!(printed.matches("embedded-secret").count() > documents.len() / 2, "{command:?} finds too little");
        let leak = printed.as_bytes().windows(4).position(|window| pieces.contains(window));
        let around =
            leak.map(|at| String::from_utf8_lossy(&printed.as_bytes()[at.saturating_sub(120)..at]).into_owned());
        assert_eq!(around, None, "{command:?} prints a piece of a value behind this");
    }
}

fn world() -> World {
    World::new(&["{kind: GuardPolicy, spec: {rules: {embedded-secret: {passwordHashes: true}, weak-credential: {}}}}"])
        .in_namespace("shop")
}

/// Whole values that stand for a secret, as regular expressions.
const PLACEHOLDERS: &str = r"\$\([A-Z_]{1,20}\)|\$\{[A-Z_]{1,20}(:-)?\}|\{\{ ?\.Values\.[a-z.]{1,20} ?\}\}|<[a-z -]{1,20}>|x{3,40}|\*{3,20}|CHANGE_?ME|REPLACE_?ME|YOUR_[A-Z]{2,10}_HERE|vault:[a-z/]{1,20}#[a-z]{1,9}|op://[a-z]{1,8}/[a-z]{1,8}/[a-z]{1,8}|arn:aws:secretsmanager:eu-west-1:[0-9]{12}:secret:[a-z/]{1,20}-[A-Za-z]{6}|projects/[a-z]{1,9}/secrets/[a-z]{1,9}/versions/[0-9]|%\([a-z_]{1,12}\)s|/run/secrets/[a-z_]{1,20}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_placeholder_is_never_refused(value in PLACEHOLDERS, place in 0..placed::ALL.len(), words in 0..WORDS.len()) {
        let answer = world().check(&placed::object(placed::ALL[place], WORDS[words], &value));
        prop_assert!(answer.outcome.verdicts.iter().all(|verdict| verdict.action < Action::Deny), "{value} {:?}", answer.outcome.verdicts);
    }

    /// At every place, and in an object of a kind that nobody knows, keys full of what pointers escape included.
    #[test]
    fn the_pointer_leads_to_the_value(seed: u64, place in 0..NAMED.len(), words in 0..WORDS.len(), wrap in "[a-z~/.{}\" ]{0,12}") {
        let mut rng = Rng(seed);
        let value = if rng.below(2) == 0 { chosen(&mut rng) } else { generic(&mut rng) };
        let known = placed::object(NAMED[place], WORDS[words], &value);
        let kind = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
        let unknown = with(kind, "/spec", json!({&wrap: [{"db password": value, "pod": known}]}));
        for object in [known, unknown] {
            for verdict in &world().check(&object).outcome.verdicts {
                let found = object.pointer(&verdict.finding.pointer);
                let found = found.and_then(Value::as_str);
                // JSON inside of a string has its quotes escaped; nothing in these values is.
                prop_assert!(found.is_some_and(|text| text.contains(&value)), "{}", verdict.finding.pointer);
            }
        }
    }

    /// What arrives is not always what was written: cut anywhere, an object is judged all the same.
    #[test]
    fn a_value_cut_short_is_judged(seed: u64, place in 0..NAMED.len(), words in 0..WORDS.len(), cut in 0..60_usize, junk in "\\PC{0,8}") {
        let mut rng = Rng(seed);
        let value = format!("{}{}", &generic(&mut rng), junk);
        let cut: String = value.chars().take(cut).collect();
        let object = placed::object(if NAMED[place] == Place::Json { Place::Env } else { NAMED[place] }, WORDS[words], &cut);
        prop_assert!(Node::read(&object.to_string()).is_ok());
        world().check(&object);
    }
}
