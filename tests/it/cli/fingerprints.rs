//! Fingerprints: shown at every door where there is a key, nowhere where there is none, and enough for an exemption.

use serde_json::Value;

use super::{folder, run};

/// Made up, and no known token.
const SECRET: &str = concat!("xK93-vQz", "71mLp0wRt5");
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// `printf %s SECRET | openssl dgst -sha256 -hmac KEY`, the first 16 digits.
const FINGERPRINT: &str = "28c37503b66d004c";

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  containers:\n    - name: app\n      image: i\n      \
         env: [{{name: DB_PASSWORD, value: {SECRET}}}, {{name: OTHER_PASSWORD, value: \"{SECRET}x\"}}]\n"
    )
}

const POLICY: &str = "apiVersion: supercargo.dev/v1alpha1\nkind: GuardPolicy\nmetadata: {name: g}\nspec: {rules: {embedded-secret: {}}}\n";

#[test]
fn every_format_shows_them_where_there_is_a_key() {
    let here = folder(&[("pod.yaml", &pod("a")), ("fp.key", &format!("{KEY}\n")), ("p/p.yaml", POLICY)]);
    for command in [
        &["check", "-o", "text"][..],
        &["check", "-o", "json"],
        &["check", "-o", "sarif"],
        &["check", "-o", "junit"],
        &["check", "-o", "github"],
        &["review", "-o", "text"],
        &["review", "-o", "json"],
    ] {
        let with =
            run(here.path(), &[command, &["--policies", "p", "--fingerprint-key", "fp.key", "pod.yaml"]].concat(), "");
        assert_eq!(with.code, 1, "{}", with.err);
        assert!(with.out.contains(FINGERPRINT), "{command:?}: {}", with.out);
        let without = run(here.path(), &[command, &["--policies", "p", "pod.yaml"]].concat(), "");
        assert!(!without.out.to_lowercase().contains("fingerprint"), "{command:?}: {}", without.out);
    }
    let json =
        run(here.path(), &["check", "-o", "json", "--fingerprint-key", "fp.key", "--policies", "p", "pod.yaml"], "");
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["findings"][0]["fingerprint"], FINGERPRINT);
    assert_ne!(report["findings"][1]["fingerprint"], FINGERPRINT);
    let sarif =
        run(here.path(), &["check", "-o", "sarif", "--fingerprint-key", "fp.key", "--policies", "p", "pod.yaml"], "");
    let log: Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["partialFingerprints"]["supercargo.dev/secret/v1"], FINGERPRINT);
    let review = run(here.path(), &["review", "--fingerprint-key", "fp.key", "--policies", "p", "pod.yaml"], "");
    let causes = review.out.split("\"causes\"").nth(1).unwrap();
    assert!(causes.contains(FINGERPRINT), "{}", review.out);
}

/// What a refusal proposes lets exactly that pass, once it is signed.
#[test]
fn the_lines_of_a_refusal_allow_it() {
    for key in [&["--fingerprint-key", "fp.key"][..], &[]] {
        let here = folder(&[("pod.yaml", &pod("a")), ("fp.key", KEY), ("p/p.yaml", POLICY)]);
        let refused =
            run(here.path(), &[&["review", "-o", "text", "--policies", "p"], key, &["pod.yaml"]].concat(), "");
        let (_, lines) = refused.out.split_once(" (--policies):\n").unwrap();
        let (lines, _) = lines.split_once("\nWhy: ").unwrap();
        let checked = run(here.path(), &[&["check", "--policies", "p"], key, &["pod.yaml"]].concat(), "");
        assert!(checked.out.contains(lines), "{}", checked.out);

        std::fs::write(here.path().join("p/e.yaml"), lines).unwrap();
        let unsigned = run(here.path(), &["policies", "check", "p"], "");
        assert_eq!(unsigned.code, 1);
        assert_eq!(unsigned.err.matches("error: ").count(), 3, "{}", unsigned.err);
        let signed = lines.replace("owner: \"\"", "owner: ann").replace("reason: \"\"", "reason: test data");
        std::fs::write(here.path().join("p/e.yaml"), signed.replace("expires: \"\"", "expires: \"2999-01-01\""))
            .unwrap();
        let allowed = run(here.path(), &[&["check", "--policies", "p"], key, &["pod.yaml"]].concat(), "");
        assert_eq!((allowed.code, allowed.err.as_str()), (0, ""), "{}", allowed.out);

        // Elsewhere it is allowed by its fingerprint, and not by where it stood.
        std::fs::write(here.path().join("pod.yaml"), pod("b")).unwrap();
        let elsewhere = run(here.path(), &[&["check", "--policies", "p"], key, &["pod.yaml"]].concat(), "");
        assert_eq!(elsewhere.code, i32::from(key.is_empty()), "{}", elsewhere.out);
        if !key.is_empty() {
            // Without the key nobody knows whether it is the same one.
            let keyless = run(here.path(), &["check", "--policies", "p", "pod.yaml"], "");
            assert_eq!(keyless.code, 1);
            assert!(keyless.err.contains("hold only with --fingerprint-key"), "{}", keyless.err);
        }
    }
}

#[test]
fn a_fingerprint_in_an_exemption_is_one() {
    let exemption = |rules: &str, fingerprints: &str| {
        format!(
            "apiVersion: supercargo.dev/v1alpha1\nkind: Exemption\nmetadata: {{name: e}}\nspec: {{owner: a, reason: b, expires: '2999-01-01', rules: {rules}, \
             match: {{namespaces: [shop], fingerprints: {fingerprints}}}}}\n"
        )
    };
    for (rules, fingerprints, error) in [
        ("[weak-credential]", "['0123456789abcdef']", ""),
        ("[embedded-secret]", "[1234567890123456]", "spec.match.fingerprints[0]"),
        ("[embedded-secret]", "['*']", "16 hex digits"),
        ("[embedded-secret]", "['0123456789ABCDEF']", "16 hex digits"),
        ("[embedded-secret, required-limits]", "['0123456789abcdef']", "have no fingerprint"),
    ] {
        let here = folder(&[("e.yaml", &exemption(rules, fingerprints))]);
        let checked = run(here.path(), &["policies", "check", "e.yaml"], "");
        assert_eq!(checked.code, i32::from(!error.is_empty()), "{}", checked.err);
        assert!(checked.err.contains(error), "{}", checked.err);
    }
}

#[test]
fn a_key_that_is_none_is_refused() {
    let here = folder(&[("pod.yaml", &pod("a")), ("short", "secret\n"), ("long", &"k".repeat(5000)), ("dir/x", "")]);
    for (file, words) in [
        ("nowhere", "`openssl rand -hex 32 > nowhere` makes one"),
        ("dir", "cannot read the fingerprint key dir"),
        ("short", "short holds 6 bytes, and at least 32 are wanted"),
        ("long", "more than 4096 bytes"),
        ("/dev/zero", "more than 4096 bytes"),
    ] {
        for command in ["check", "review"] {
            let refused = run(here.path(), &[command, "--fingerprint-key", file, "pod.yaml"], "");
            assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{file}");
            assert!(refused.err.contains(words), "{}", refused.err);
        }
    }
}
