//! The detector as a whole: every surface, the threads that named a false positive, and what must never happen.
//!
//! Secrets are put together from pieces, so that no scanner takes this file for a leak.

use serde_json::{Value as Json, json};

use super::{Certainty, Options, Scanned, Surface, scan_any};
use crate::tree::Node;

/// What was found: surface, place, key, pointer, kind, certainty.
#[derive(Debug)]
struct Found {
    surface: Surface,
    place: String,
    key: Option<String>,
    container: Option<String>,
    pointer: String,
    kind: String,
    certainty: Certainty,
    fix: String,
    printed: String,
    value: String,
}

fn all(object: &Json) -> (Vec<Found>, Scanned) {
    let text = object.to_string();
    let node = Node::read(&text).expect("the test's own JSON");
    let mut found = Vec::new();
    let scanned = scan_any(&node, &Options::default(), &mut |d| {
        assert!(node.pointer(&d.pointer()).is_some(), "{} does not resolve", d.pointer());
        found.push(Found {
            surface: d.surface,
            place: d.place(),
            key: d.key().as_deref().map(str::to_owned),
            container: d.container.map(str::to_owned),
            pointer: d.pointer(),
            kind: d.kind.to_string(),
            certainty: d.certainty,
            fix: d.fix(),
            printed: format!("{d:?} {} {:?}", d.kind, d.value),
            value: d.value.for_digest().to_owned(),
        });
    });
    (found, scanned)
}

fn found(object: &Json) -> Vec<Found> {
    all(object).0
}

/// The one finding that there must be.
fn one(object: &Json) -> Found {
    let mut found = found(object);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn container(container: Json) -> Json {
    let mut container = container;
    container["name"] = "app".into();
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": {"template": {"spec": {"containers": [container]}}}})
}

fn env(name: &str, value: &str) -> Json {
    container(json!({"env": [{"name": name, "value": value}]}))
}

fn config(key: &str, value: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {key: value}})
}

mod idioms;
mod near;
mod properties;
mod public;
mod surfaces;

/// Names that call for a secret.
const KEYS: [&str; 7] = [
    "DB_PASSWORD",
    "API_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "CLIENT_SECRET",
    "AUTHORIZATION",
    "CREDENTIALS",
    "STRIPE_KEY",
];

const PASSWORD: &str = concat!("Wq7!k", "d9Zx");

fn github() -> String {
    format!("{}{}", concat!("gh", "p_"), "a1Qx9PlMw3Zc7Vb2Nk8Jd4Hs6Gf0Tr5Ey1Uo")
}

fn jwt() -> String {
    concat!(
        "ey",
        "JhbGciOiJSUzI1NiIsImtpZCI6ImE3In0",
        ".ey",
        "JzdWIiOiJhOmIiLCJpc3MiOiJrOHMifQ",
        ".Zk3pQ9xL0vRt7WmY2nBc8HdS5jGfA1eU"
    )
    .to_owned()
}

fn pem(label: &str) -> String {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDx7Yp3Zk9wQmTn";
    format!("-----BEGIN {label}-----\n{line}\n{line}\n-----END {label}-----\n")
}

// === surfaces ===

#[test]
fn env_by_name() {
    let found = one(&env("DB_PASSWORD", PASSWORD));
    assert_eq!((found.surface, found.place.as_str()), (Surface::Env, "env DB_PASSWORD"));
    assert_eq!((found.key.as_deref(), found.container.as_deref()), (Some("DB_PASSWORD"), Some("app")));
    assert_eq!(found.pointer, "/spec/template/spec/containers/0/env/0/value");
    assert!(found.fix.contains("secretKeyRef: {name: shop-secrets, key: db-password}"), "{}", found.fix);
}

#[test]
fn env_by_value() {
    let found = one(&env("SETTING", &github()));
    assert_eq!(found.kind, "GitHub personal access token");
}

#[test]
fn every_list_of_containers_and_every_depth() {
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        let pod = json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {kind: [{"name": "x", "env": [{"name": "TOKEN", "value": github()}]}]}}}}}});
        assert_eq!(one(&pod).container.as_deref(), Some("x"));
    }
}

#[test]
fn arguments_in_their_notations() {
    for args in [
        json!([format!("--admin-password={PASSWORD}")]),
        json!(["--admin-password", PASSWORD]),
        json!(["redis-server", "--requirepass", PASSWORD]),
        json!(["sh", "-c", format!("export DB_PASSWORD='{PASSWORD}'; exec app")]),
        json!(["sh", "-c", format!("mysql -uroot -p{PASSWORD} -e 'select 1'")]),
        json!(["sh", "-c", format!("curl -u admin:{PASSWORD} https://nexus/x")]),
        json!(["sh", "-c", format!("curl -H 'Authorization: Bearer {}' https://api", jwt())]),
        json!(["git", "clone", format!("https://ci:{PASSWORD}@git.corp/x.git")]),
        json!(["mysqladmin", "-uroot", format!("-p{PASSWORD}"), "ping"]),
    ] {
        let found = one(&container(json!({"args": args})));
        assert_eq!(found.surface, Surface::Argument);
        assert!(found.fix.contains("$("), "{}", found.fix);
    }
    let found = one(&container(json!({"command": ["app", "--api-token", github()]})));
    assert_eq!(found.place, "argument --api-token of command");
    assert_eq!(found.pointer, "/spec/template/spec/containers/0/command/2");
}

#[test]
fn probes_and_lifecycle() {
    let probe =
        json!({"readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "X-Auth", "value": github()}]}}});
    let found = one(&container(probe));
    assert_eq!((found.surface, found.place.as_str()), (Surface::Probe, "header X-Auth of readinessProbe"));
    let hook = json!({"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", format!("wget --password={PASSWORD} https://h")]}}}});
    assert_eq!(one(&container(hook)).surface, Surface::Lifecycle);
}

#[test]
fn config_map_values_and_files() {
    assert_eq!(one(&config("DB_PASSWORD", PASSWORD)).place, "key DB_PASSWORD");
    for (key, text) in [
        ("app.properties", format!("url=x\nspring.datasource.password={PASSWORD}\n")),
        ("app.yaml", format!("database:\n  user: app\n  password: {PASSWORD}\n")),
        ("app.json", json!({"db": {"password": PASSWORD}}).to_string()),
        ("app.toml", format!("[db]\npassword = \"{PASSWORD}\"\n")),
        ("app.ini", format!("[db]\npassword = {PASSWORD}\n")),
        ("app.xml", format!("<db>\n<password>{PASSWORD}</password>\n</db>")),
        (".env", format!("A=b\nexport DB_PASSWORD=\"{PASSWORD}\"\n")),
        (".netrc", format!("machine git.corp login ci password {PASSWORD}")),
        (".pgpass", format!("db:5432:app:app:{PASSWORD}")),
        (".npmrc", format!("//registry.corp/:_authToken={}", jwt())),
        ("terraform.tfvars", format!("db_password = \"{PASSWORD}\"\n")),
        ("env.yaml", format!("env:\n- name: DB_PASSWORD\n  value: {PASSWORD}\n")),
    ] {
        let found = one(&config(key, &text));
        assert_eq!((found.surface, found.certainty), (Surface::ConfigMapData, Certainty::Certain), "{key}");
    }
    let found = one(&config("app.yaml", &format!("database:\n  user: app\n  password: {PASSWORD}\n")));
    assert_eq!((found.place.as_str(), found.key.as_deref()), ("line 3 of key app.yaml", Some("app.yaml/password")));
}

#[test]
fn structured_secrets_are_parsed() {
    for text in [
        pem("RSA PRIVATE KEY"),
        jwt(),
        json!({"kty": "EC", "crv": "P-256", "d": concat!("Zk3pQ9xL0vRt7Wm", "Y2nBc8HdS5jGfA1eU")}).to_string(),
    ] {
        assert_eq!(one(&config("file", &text)).certainty, Certainty::Certain);
    }
    let account = json!({"type": "service_account", "private_key": pem("PRIVATE KEY")}).to_string();
    assert_eq!(one(&config("sa.json", &account)).kind, "private key");
    // "svc:" and a password, in base64.
    let auth = json!({"auths": {"r.corp": {"auth": concat!("c3ZjOldxNyF", "rZDlaeA==")}}}).to_string();
    assert_eq!(one(&config("config.json", &auth)).kind, "user and password in base64");
}

/// The bot's number is in it, so a part that decodes to anything else makes it another thing.
#[test]
fn a_bot_token_of_discord() {
    use base64::Engine;
    let token = |number: &str| {
        let number = base64::engine::general_purpose::STANDARD_NO_PAD.encode(number);
        format!("{number}.{}.{}", "Gh4xQ2", concat!("Zk3pQ9xL0vRt7Wm", "Y2nBc8HdS5jGfA1eUq"))
    };
    assert_eq!(one(&env("SETTING", &token("1029481395959110085"))).kind, "Discord bot token");
    assert!(found(&env("SETTING", &token("123456789012345678"))).is_empty(), "a number that counts is a sample's");
    assert!(found(&env("SETTING", &token("no number at all 1"))).is_empty());
}

#[test]
fn one_layer_of_base64() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    assert_eq!(one(&env("BLOB", &encode(&github()))).kind, "GitHub personal access token");
    assert!(found(&env("BLOB", &encode(&encode(&github())))).is_empty());
    let binary = json!({"kind": "ConfigMap", "binaryData": {"app.env": encode(&format!("DB_PASSWORD={PASSWORD}\n"))}});
    assert_eq!(one(&binary).pointer, "/binaryData/app.env");
}

#[test]
fn annotations_labels_images_volumes_and_other_fields() {
    let annotated = |key: &str, value: &str| json!({"kind": "Pod", "metadata": {"annotations": {key: value}}});
    assert_eq!(one(&annotated("example.com/note", &github())).surface, Surface::Annotation);
    assert_eq!(one(&annotated("a/b~c", &github())).pointer, "/metadata/annotations/a~1b~0c");
    let volume = json!({"kind": "Pod", "spec": {"volumes": [{"name": "v", "flexVolume": {"driver": "x", "options": {"username": "u", "password": PASSWORD}}}]}});
    let found = one(&volume);
    assert_eq!((found.surface, found.place.as_str()), (Surface::Volume, "password of volume v"));
    let custom = json!({"kind": "Kafka", "spec": {"users": [{"name": "a", "credentials": {"password": PASSWORD}}]}});
    assert_eq!(one(&custom).place, "field spec.users[0].credentials.password");
    assert_eq!(
        one(&container(json!({"image": format!("u:{PASSWORD}@reg.corp/x").replace("u:", "https://u:")}))).surface,
        Surface::Image
    );
}

// === what is never a secret ===

#[test]
fn what_is_not_read() {
    for object in [
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": PASSWORD, "t": github()}, "metadata": {"annotations": {"x": github()}}}),
        json!({"kind": "Pod", "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"password\":\"{PASSWORD}\"}}")}}}),
        json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "spec": {"encryptedData": {"password": concat!("AgBT5lpDt4", "Zoz9GjKx2h0")}}}),
        json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "data": {"password": PASSWORD}}]}),
        container(
            json!({"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-secret", "key": concat!("password", "-9Zx7Qw2")}}}]}),
        ),
    ] {
        assert!(found(&object).is_empty(), "{object}");
    }
}

/// detect-secrets #595, checkov #4815 and #3784, devantler-tech/platform #2892, KICS #6812 and #5892, gitleaks #850, #1219, #1321,
/// detect-secrets #443 and #693, kubescape #16.
#[test]
fn names_and_references_of_secrets() {
    for object in [
        json!({"kind": "Ingress", "metadata": {"annotations": {"nginx.ingress.kubernetes.io/auth-secret": "shop/basic-auth"}}, "spec": {"tls": [{"secretName": "shop-tls-2f9a"}]}}),
        json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "spec": {"data": [{"secretKey": "password", "remoteRef": {"key": concat!("e22487a8-feb8", "-4591-95aa-14b193930cb4")}}]}}),
        json!({"kind": "X", "spec": {"existingSecret": "my-release-postgresql", "secretKey": "password", "path": "projects/p/secrets/db/versions/1"}}),
        json!({"kind": "Pod", "metadata": {"annotations": {"checksum/secret": concat!("de191af82ddf810830f4dadf2f755c8e", "c097841fda13c976003a3476bae22cbd")}}}),
        env("IMAGE_DIGEST", "sha256:d3a7d82f5af17e6ed9b1492159545e1427f549fa1a3de99711c957f51afbc358"),
        env("TENANT_ID", "4c1f0a5e-8f5b-4f3c-9a6d-2b1e7d3c9f10"),
        env("GIT_SHA", "a62f9be9acd8270534bc4d6cda02b08b4515c476"),
        env("LOREM", "ThisIsALongCamelCaseIdentifierForTheServiceRegistryFactoryBean"),
        container(
            json!({"args": ["--tls-private-key-file=/certs/tls.key", "--enable-bootstrap-token-auth=true", "--max-total-tokens=8192"]}),
        ),
        container(
            json!({"command": ["sh", "-c", "export DB_PASSWORD=\"$(cat /run/secrets/db)\"; curl -H \"Authorization: Bearer ${TOKEN}\" x"]}),
        ),
        config(
            "prometheus.yml",
            "a:\n  bearer_token_file: /var/run/secrets/token\n  basic_auth:\n    username: p\n    password_file: /etc/p\n",
        ),
        config("README", "Set DB_PASSWORD to the database password. Example: DB_PASSWORD=<password>\n"),
        config(
            "s.json",
            r#"{"properties": {"password": {"type": "string", "minLength": 8}, "apiKey": {"type": "string"}}}"#,
        ),
        config("t.tpl", "password: {{ .Values.password | quote }}\ntoken: {{ include \"x.token\" . }}\n"),
        config("jwt.pub", &pem("PUBLIC KEY")),
        config("ca.crt", &pem("CERTIFICATE")),
        config("k", "-----BEGIN PRIVATE KEY-----\n[...]\n-----END PRIVATE KEY-----\n"),
        config(
            "script.py",
            "password = os.environ['DB_PASSWORD']\ntoken = get_token(user)\nif password == other:\n  pass\n",
        ),
        config("index.php", "echo 'password = ' . $p['config']['daemon_password'];\n"),
    ] {
        let found = found(&object);
        assert!(found.is_empty(), "{object}: {found:?}");
    }
}

#[test]
fn a_placeholder_is_never_refused() {
    let values = [
        "",
        "$(X)",
        "${X}",
        "{{ x }}",
        "<x>",
        "CHANGE_ME",
        "REPLACE_ME",
        "xxx",
        "xxxxxxxxxxxx",
        "********",
        "YOUR_TOKEN_HERE",
        "vault:secret/x#y",
        "op://a/b/c",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf",
        "%(X)s",
        "TODO",
        "changeme",
        "password",
    ];
    for key in KEYS {
        for value in values {
            for object in [
                env(key, value),
                config(key, value),
                config("f.yaml", &format!("a: b\n{key}: {value}\n")),
                container(json!({"args": [format!("--{key}={value}")]})),
            ] {
                assert!(found(&object).iter().all(|found| found.certainty == Certainty::Weak), "{key} {value}");
            }
        }
    }
}

// === what must never happen ===

#[test]
fn no_output_holds_any_part_of_a_value() {
    for object in [
        env("DB_PASSWORD", "Zq-81-kWxJ"),
        env("SETTING", &github()),
        config("app.yaml", "a: b\npassword: Zq-81-kWxJ\n"),
        container(json!({"args": ["--password", "Zq-81-kWxJ"]})),
        env("URL", concat!("amqp://user", ":Zq-81-kWxJ", "@host")),
    ] {
        for found in found(&object) {
            let tail = &found.value[found.value.len().min(4)..];
            assert!(tail.len() >= 4);
            for text in [&found.printed, &found.place, &found.fix, &found.kind, &found.pointer] {
                assert!(!text.contains(tail) && !text.contains("81-kW"), "{text}");
            }
            assert!(found.printed.contains("Value(..)"));
        }
    }
}

#[test]
fn cutting_a_value_at_any_byte_never_panics() {
    let text = format!(
        "pässwörd: \"{PASSWORD}é\"\n{}\nDB_PASSWORD={}ü {} \\\"token\\\":\\\"{}\\\" mysql -p'{PASSWORD}",
        pem("PRIVATE KEY"),
        github(),
        jwt(),
        github()
    );
    for end in 0..=text.len() {
        if let Some(cut) = text.get(..end) {
            found(&config("f", cut));
        }
        if let Some(cut) = text.get(end..) {
            found(&container(json!({"args": [cut], "command": ["sh", "-c", cut]})));
        }
    }
}

/// Twice the text is at most twice the work, whatever it is made of; and no text costs more than the budget.
#[test]
fn work_grows_with_the_text_and_no_faster() {
    for piece in [
        "plain text without any lead in it\n",
        "password=x\n",
        "key=key=",
        "eyJ.",
        "-eyJaaaa",
        concat!("gl", "pat-"),
        "a://b:",
        ";password=;pwd=",
        "pwpwpw",
        "{\"kty\"",
        "mysql -p ",
        concat!("-----BEGIN ", "PRIVATE KEY-----"),
        "name: password\n",
        " login",
        concat!("LS0tLS1CR", "UdJTi"),
        "Q~",
        "0123456789:AA",
        "{\"password\":{\"token\":\"a\"},",
        "password=f(",
        "password=\"$(",
        "${PASSWORD:-",
        "${PASSWORD:-${A:-",
        "password='f('",
        "password=f('\"",
    ] {
        let work = |bytes: usize| all(&config("f", &piece.repeat(bytes / piece.len()))).1;
        let (one, two) = (work(20_000), work(40_000));
        assert!(one.visited > 19_000, "{piece}");
        assert!(
            two.visited <= one.visited * 2 + one.visited / 20 + 8192,
            "{piece}: {} and {}",
            one.visited,
            two.visited
        );
    }
    let options = Options { budget: 10_000, ..Options::default() };
    let text = config("f", &"password=x\n".repeat(10_000)).to_string();
    let scanned = scan_any(&Node::read(&text).unwrap(), &options, &mut |_| {});
    assert!(!scanned.complete && scanned.visited <= 10_000);
}

/// Patterns and tests are written so that no scanner takes this repository for a leak, ours included.
#[test]
fn our_own_sources_hold_no_known_token() {
    let sources = [
        include_str!("tests.rs"),
        include_str!("tokens.rs"),
        include_str!("tokens/ai.rs"),
        include_str!("tokens/apps.rs"),
        include_str!("tokens/checksum.rs"),
        include_str!("tokens/cloud.rs"),
        include_str!("tokens/code.rs"),
        include_str!("tokens/message.rs"),
        include_str!("tokens/money.rs"),
        include_str!("tokens/observe.rs"),
        include_str!("classify.rs"),
        include_str!("expression.rs"),
        include_str!("tests/idioms.rs"),
        include_str!("tests/public.rs"),
        include_str!("structured.rs"),
        include_str!("weak.rs"),
        include_str!("shell.rs"),
    ];
    for source in sources {
        let found = super::scanner::first(source, &mut super::meter::Meter::new(1 << 30));
        assert!(found.is_none(), "{}", source[..found.map_or(0, |(range, _)| range.start)].lines().count());
    }
}

#[test]
fn no_number_of_findings_ends_the_search() {
    for value in [PASSWORD, "changeme"] {
        let (found, scanned) =
            all(&config("f", &format!("{}token: {}", format!("password={value}\n").repeat(1000), github())));
        assert_eq!((found.len(), scanned.complete), (1001, true));
        assert_eq!(found[1000].certainty, Certainty::Certain);
    }
}

// === what a value's own form says ===

#[test]
fn what_the_issuer_would_not_know_is_only_warned_of() {
    let hex = "7f3a9c1e".repeat(8);
    for (name, value) in [
        ("DATABRICKS_TOKEN", format!("{}9f2c7d1a{}", concat!("gl", "pat-"), "x9")),
        ("AMPLITUDE_SECRET_KEY", format!("{}e", &hex[..30])),
        ("TELEGRAM_TOKEN", concat!("8683:Ahcad6qh3m1", "-webki6nkjt").to_owned()),
        ("NPM_TOKEN", concat!("743b294a-cd03", "-11ec-9d64-0242ac120002").to_owned()),
        ("nonMatchingToken", concat!("lwauuqva4rb", "1lm2n9xz").to_owned()),
        ("API_TOKEN", concat!("eyJhbGciOi", "JIUzI1NiJ9.short.token").to_owned()),
    ] {
        let found = one(&env(name, &value));
        assert_eq!(found.certainty, Certainty::Weak, "{name}");
    }
    let sample = config("f", &format!("{}=abcdef0123456789abcdef0123456789\n", "API_KEY"));
    assert!(found(&sample).iter().all(|found| found.certainty == Certainty::Weak));
}

/// The key of a service account whose id counts was never issued by Google; the same key elsewhere is anybody's.
#[test]
fn a_sample_account_is_only_warned_of() {
    let account = |id: &str| {
        let key = pem("PRIVATE KEY");
        config("sa.json", &json!({"type": "service_account", "private_key_id": id, "private_key": key}).to_string())
    };
    assert_eq!(one(&account("123456789abcdef0123456789abcdef012345678")).certainty, Certainty::Weak);
    assert_eq!(one(&account("9f1c07b3e85d42a6f0c9d713be58a264c1e7f093")).certainty, Certainty::Certain);
}

#[test]
fn public_keys_and_program_text_are_nothing() {
    for object in [
        config("f", concat!("MIDTRANS_CLIENT_KEY=SB-Mid-client", "-Xk93PcDP8pMKfhY2\n")),
        config("f", "echo 'password = '.$p['config']['daemon_password'].\"\\n\";\n"),
        config("f", "name=\"comp_files_access_key\" id=\"comp-files-access-key-9X\"\n"),
        config("f", "{\"Authorization\":\"Basic eyJ0eXAiOiJKV1QifQ=\"}"),
    ] {
        let found = found(&object);
        assert!(found.is_empty(), "{object}: {found:?}");
    }
}
