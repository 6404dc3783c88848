//! What must hold for any text: no placeholder is refused, no cut panics, no repetition costs more than its length.

use proptest::prelude::*;

use super::*;

/// A value that says of itself that it is none.
fn placeholder() -> impl Strategy<Value = String> {
    let name = "[A-Za-z][A-Za-z0-9_]{0,20}";
    prop_oneof![
        name.prop_map(|x| format!("$({x})")),
        name.prop_map(|x| format!("${{{x}}}")),
        name.prop_map(|x| format!("{{{{ .Values.{x} }}}}")),
        name.prop_map(|x| format!("<{x}>")),
        name.prop_map(|x| format!("%({x})s")),
        name.prop_map(|x| format!("vault:secret/data/{x}#password")),
        name.prop_map(|x| format!("op://vault/{x}/password")),
        name.prop_map(|x| format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{x}-AbCdEf")),
        name.prop_map(|x| format!("projects/p/secrets/{x}/versions/1")),
        "[A-Z]{3,8}".prop_map(|x| format!("YOUR_{x}_HERE")),
        "[x*.#-]{3,40}",
        Just("CHANGE_ME".to_owned()),
        Just("REPLACE_WITH_TOKEN".to_owned()),
    ]
}

/// Pieces that the layers look for, and what lies between them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("password".to_owned()),
        Just("token=".to_owned()),
        Just("'secret': ".to_owned()),
        Just("\"key\":\"".to_owned()),
        Just("<password>".to_owned()),
        Just("name: password\n  value: ".to_owned()),
        Just("variable \"password\" {".to_owned()),
        Just("://a:".to_owned()),
        Just("@tcp(".to_owned()),
        Just("eyJ".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("mysql -p".to_owned()),
        Just("curl -u a:".to_owned()),
        Just(concat!("gl", "pat-").to_owned()),
        Just(concat!("AKI", "A").to_owned()),
        Just(":AA".to_owned()),
        Just("basic ".to_owned()),
        "[ \\n\\\\\"'=:;&|<>{}]{1,3}",
        "[a-zA-Z0-9+/_-]{1,24}",
        "\\PC{1,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn no_placeholder_is_refused(key in prop::sample::select(&KEYS[..]), value in placeholder()) {
        for object in [
            env(key, &value),
            config(key, &value),
            config("f.yaml", &format!("a: b\n{key}: {value}\n")),
            config(".env", &format!("{key}={value}\n")),
            config("f.json", &json!({key: value}).to_string()),
            container(json!({"args": [format!("--{key}={value}")]})),
            json!({"kind": "Thing", "metadata": {"annotations": {key: value}}, "spec": {key: value}}),
        ] {
            let refused = found(&object).into_iter().find(|found| found.certainty == Certainty::Certain);
            prop_assert!(refused.is_none(), "{} {}: {:?}", key, value, refused);
        }
    }

    #[test]
    fn no_cut_panics(pieces in prop::collection::vec(piece(), 1..8), key in prop::sample::select(&KEYS[..])) {
        let text = pieces.concat();
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (head, tail) = text.split_at(at);
            for part in [head, tail] {
                found(&config("f", part));
                found(&env(key, part));
                found(&container(json!({"args": [part, head], "command": ["sh", "-c", tail]})));
            }
        }
    }

    /// Four times the text is hardly more than four times the work, whatever it repeats: what looks ahead sees less near the end. Anything
    /// quadratic would be sixteen times.
    #[test]
    fn work_is_linear(pieces in prop::collection::vec(piece(), 1..5)) {
        let piece = pieces.concat();
        let work = |bytes: usize| all(&config("f", &piece.repeat(bytes / piece.len() + 1))).1;
        let (one, four) = (work(8_000), work(32_000));
        prop_assume!(one.complete && four.complete);
        prop_assert!(four.visited <= one.visited * 5 + 16_384, "{:?}: {} and {}", piece, one.visited, four.visited);
    }
}
