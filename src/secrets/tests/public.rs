//! What is random and public: identifiers, halves of keys that everybody may have, digests; and what is weak beside a real secret.

use super::*;

const DIGITS: &str = concat!("9f3a7c1e5b", "2d8046af13", "7be29c4d05", "8e61b7f24a", "c390d5e817", "6f42b9a3d1");
const LETTERS: &str = concat!(
    "Zk3pQ9xL0v",
    "Rt7WmY2nBc",
    "8HdS5jGfA1",
    "eUq4XbNs6T",
    "oKw3ViCyMz",
    "1PhJg9DrEa",
    "5uFl7QxOt2",
    "WpYk8RnLs6"
);

fn hex(length: usize) -> &'static str {
    &DIGITS[..length]
}

fn letters(length: usize) -> &'static str {
    &LETTERS[..length]
}

fn upper(length: usize) -> String {
    hex(length).to_ascii_uppercase()
}

const UUID: &str = concat!("4c1f0a5e-8f5b", "-4f3c-9a6d-2b1e7d3c9f10");

/// As a variable, as a value of a ConfigMap, and in a file of one.
fn placed(name: &str, value: &str) -> Vec<Json> {
    vec![env(name, value), config(name, value), config(".env", &format!("A=b\n{name}={value}\n"))]
}

fn worst(object: &Json) -> Option<Certainty> {
    let found = found(object);
    found.iter().map(|found| found.certainty).min_by_key(|certainty| *certainty == Certainty::Weak)
}

fn all_are(cases: &[(&str, String)], expected: Option<Certainty>) {
    for (name, value) in cases {
        for object in placed(name, value) {
            assert_eq!(worst(&object), expected, "{name}: {object}");
        }
    }
}

#[test]
fn what_is_public_by_its_name() {
    let cases = [
        ("RECAPTCHA_SITE_KEY", letters(40).to_owned()),
        ("turnstileSiteKey", letters(24).to_owned()),
        ("VITE_ALGOLIA_SEARCH_API_KEY", hex(32).to_owned()),
        ("REACT_APP_LAUNCHDARKLY_CLIENT_KEY", hex(24).to_owned()),
        ("NEXT_PUBLIC_API_TOKEN", letters(40).to_owned()),
        ("VUE_APP_API_KEY", letters(32).to_owned()),
        ("NEXT_PUBLIC_FIREBASE_API_KEY", format!("{}{}", concat!("AI", "za"), letters(35))),
        ("VITE_GOOGLE_MAPS_API_KEY", format!("{}{}", concat!("AI", "za"), letters(35))),
        ("ALGOLIA_SEARCH_KEY", hex(32).to_owned()),
        ("TYPESENSE_SEARCH_ONLY_API_KEY", letters(32).to_owned()),
        ("FCM_VAPID_KEY", format!("B{}", letters(80))),
        ("INSTRUMENTATION_KEY", UUID.to_owned()),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", format!("InstrumentationKey={UUID};IngestionEndpoint=https://x/")),
        ("STAKATER_WEB_DB_SECRET", hex(40).to_owned()),
    ];
    all_are(&cases, None);
}

#[test]
fn what_is_public_by_its_value() {
    let cases = [
        ("KMS_KEY", UUID.to_owned()),
        ("VAULT_AWSKMS_SEAL_KEY", UUID.to_owned()),
        ("ENCRYPTION_KEY", format!("mrk-{}", hex(32))),
        ("ENCRYPTION_KEY", "alias/shop-Primary7".to_owned()),
        ("USDC_TOKEN", format!("0x{}", hex(40))),
        ("DD_RUM_CLIENT_TOKEN", format!("pub{}", hex(32))),
        ("GPG_KEY", upper(40)),
        ("MINISIGN_KEY", format!("RWQ{}", letters(53))),
        ("GPG_SIGNING_KEY", format!("0x{}", upper(16))),
        ("HOST_KEY", format!("SHA256:{}", letters(43))),
        (
            "HOST_KEY",
            hex(32).as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap()).collect::<Vec<_>>().join(":"),
        ),
        ("AUTH_KEY", format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{}", letters(80))),
        ("POSTHOG_KEY", format!("phc_{}", letters(43))),
        ("ETCD_AUTH_TOKEN", "jwt,priv-key=/opt/etcd/jwt-token.pem,sign-method=RS256,ttl=10m".to_owned()),
    ];
    all_are(&cases, None);
}

#[test]
fn the_secret_half_is_refused_all_the_same() {
    let cases = [
        ("RECAPTCHA_SECRET_KEY", letters(40).to_owned()),
        ("VAPID_PRIVATE_KEY", letters(43).to_owned()),
        ("AZURE_SEARCH_KEY", letters(52).to_owned()),
        ("ALGOLIA_ADMIN_KEY", hex(32).to_owned()),
        ("REACT_APP_CLIENT_SECRET", letters(32).to_owned()),
        ("VITE_DB_PASSWORD", PASSWORD.to_owned()),
        ("NEXT_PUBLIC_ADMIN_PASSWORD", PASSWORD.to_owned()),
        ("NEXT_PUBLIC_API_KEY", github()),
        ("GOOGLE_API_KEY", format!("{}{}", concat!("AI", "za"), letters(35))),
        ("ETH_PRIVATE_KEY", format!("0x{}{}", hex(60), hex(4))),
        ("ENCRYPTION_KEY", letters(32).to_owned()),
        ("GPG_PASSPHRASE", PASSWORD.to_owned()),
        ("WEB_DB_SECRET", letters(40).to_owned()),
        ("ETCD_AUTH_TOKEN", letters(40).to_owned()),
    ];
    all_are(&cases, Some(Certainty::Certain));
}

fn solver(labels: &Json, args: &Json) -> Json {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "cm-acme-http-solver-", "labels": labels}, "spec": {"containers": [{"name": "acmesolver", "args": args}]}})
}

#[test]
fn answers_to_challenges_are_public() {
    let labels = json!({"acme.cert-manager.io/http01-solver": "true"});
    let (token, key) = (letters(43), format!("{}.{}", letters(43), &LETTERS[30..73]));
    let flags = [format!("--token={token}"), format!("--key={key}")];
    assert!(found(&solver(&labels, &json!(["--listen-port=8089", flags[0], flags[1]]))).is_empty());
    assert!(found(&solver(&labels, &json!(["--token", token, "--key", key]))).is_empty());
    assert!(!found(&solver(&json!({}), &json!([flags[0]]))).is_empty(), "anybody's token");
    assert_eq!(found(&solver(&labels, &json!([flags[0], format!("--api-key={token}")]))).len(), 1);
    assert_eq!(one(&solver(&labels, &json!([format!("--token={}", github())]))).kind, "GitHub personal access token");
    let challenge = |group: &str, solver: &Json| json!({"apiVersion": group, "kind": "Challenge", "spec": {"token": token, "key": key, "solver": solver}});
    assert!(found(&challenge("acme.cert-manager.io/v1", &json!({}))).is_empty());
    assert!(!found(&challenge("example.com/v1", &json!({}))).is_empty());
    let webhook = json!({"dns01": {"webhook": {"config": {"apiKey": letters(40)}}}});
    assert_eq!(
        one(&challenge("acme.cert-manager.io/v1", &webhook)).pointer,
        "/spec/solver/dns01/webhook/config/apiKey"
    );
}

#[test]
fn what_was_left_as_it_came_is_warned_of() {
    let cases = [
        ("JWT_SECRET", "changeme"),
        ("JWT_SECRET", "secret"),
        ("JWT_SECRET", "my-super-secret-jwt-key"),
        ("CLIENT_SECRET", "supersecret"),
        ("DJANGO_SECRET_KEY", "changeme"),
        ("API_TOKEN", "changeme"),
        ("DB_PASSWORD", "use-the-force-luke"),
        ("DB_PASSWORD", "a-correct-horse-battery"),
        ("DB_PASSWORD", "Set-By-Jenkins"),
    ];
    all_are(&cases.map(|(name, value)| (name, value.to_owned())), Some(Certainty::Weak));
    let names = [
        ("DB_SECRET", "postgres-secret"),
        ("TLS_SECRET", "web-tls"),
        ("TLS_SECRET", "my-secret"),
        ("PASSWORD_SECRET", "my-password-secret"),
        ("AUTH_SECRET_KEY", "password"),
        ("DB_PASSWORD", "set-by-ci"),
        ("DB_PASSWORD", "to-be-replaced"),
    ];
    all_are(&names.map(|(name, value)| (name, value.to_owned())), None);
}

#[test]
fn passwords_that_commands_read_elsewhere() {
    for script in [
        format!("echo {PASSWORD} | docker login -u ci --password-stdin r.corp"),
        format!("docker login -u ci --password-stdin <<<'{PASSWORD}'"),
        format!("sqlplus -s app/{PASSWORD}@db @init.sql"),
        format!("npm config set //r.corp/:_authToken {PASSWORD}"),
    ] {
        let found = one(&container(json!({"command": ["sh", "-c", script]})));
        assert_eq!((found.certainty, found.value.trim_matches('\'')), (Certainty::Certain, PASSWORD), "{script}");
    }
    for script in [
        "echo \"$PW\" | docker login -u ci --password-stdin r.corp",
        "aws ecr get-login-password | docker login -u AWS --password-stdin r.corp",
        "docker login -u ci --password-stdin < /run/pw",
        "sqlplus app/\"${PW:?not set}\"@db",
        "npm config set //r.corp/:_authToken \"$NPM_TOKEN\"",
    ] {
        assert!(found(&container(json!({"command": ["sh", "-c", script]}))).is_empty(), "{script}");
    }
}
