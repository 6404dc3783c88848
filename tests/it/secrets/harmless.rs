//! Makes what is no secret and looks like one: what people complained about in the trackers of other tools.

use base64::Engine;

use super::made::{Letters, Rng};

/// A name and a value that must never be refused.
pub struct Harmless {
    pub why: &'static str,
    pub words: &'static str,
    pub value: String,
}

const SECRETS: [&str; 8] = [
    "db password",
    "api token",
    "client secret",
    "aws secret access key",
    "smtp password",
    "encryption key",
    "jwt secret",
    "admin password",
];

/// One of each sort.
pub fn all(rng: &mut Rng) -> Vec<Harmless> {
    let mut made = stand_ins(rng);
    made.extend(mentions());
    made.extend(public(rng));
    made.extend(near(rng));
    made
}

fn harmless(why: &'static str, words: &'static str, value: impl Into<String>) -> Harmless {
    Harmless { why, words, value: value.into() }
}

/// Under a name that says "secret": nothing there, or something that stands for it.
fn stand_ins(rng: &mut Rng) -> Vec<Harmless> {
    let (digits, secret) = (rng.run(Letters::Digits, 12), rng.pick(&SECRETS));
    let mut made = Vec::new();
    let mut add = |why, words, value: String| made.push(harmless(why, words, value));
    for placeholder in [
        "CHANGE_ME",
        "<your-password>",
        "REPLACE_ME",
        "xxxxxxxxxxxx",
        "YOUR_TOKEN_HERE",
        "********",
        "TODO",
        "changeme",
        "insert-your-key-here",
        "...",
    ] {
        add("placeholder", secret, placeholder.to_owned());
    }
    for template in [
        "$(DB_PASSWORD)",
        "${DB_PASSWORD}",
        "${DB_PASSWORD:-}",
        "${DB_PASSWORD:?must be set}",
        "${DB_PASSWORD:-$(cat /run/db)}",
        "{{ .Values.db.password }}",
        "{{ include \"shop.token\" . }}",
        "%(password)s",
        "<% secret %>",
        "#{token}#",
        "$DB_PASSWORD",
        "__DB_PASSWORD__",
        "@db.password@",
    ] {
        add("template", secret, template.to_owned());
    }
    for reference in [
        "vault:secret/data/shop#password".to_owned(),
        "op://shop/db/password".to_owned(),
        format!("arn:aws:secretsmanager:eu-west-1:{digits}:secret:shop/db-AbCdEf"),
        format!("arn:aws:ssm:eu-west-1:{digits}:parameter/shop/db"),
        "projects/shop-prod/secrets/db-password/versions/latest".to_owned(),
        "ref+awssecrets://shop/db#/password".to_owned(),
        "/run/secrets/db_password".to_owned(),
        "/etc/shop/tls/tls.key".to_owned(),
        "file:///run/secrets/db".to_owned(),
        "https://vault.shop.svc:8200/v1/secret/data/db".to_owned(),
    ] {
        add("reference", secret, reference);
    }
    for word in ["", "true", "false", "null", "none", "disabled", "required", "3600", "30d", "auto"] {
        add("setting", secret, word.to_owned());
    }
    made
}

/// Names that only mention a secret.
fn mentions() -> Vec<Harmless> {
    [
        ("db password file", "/run/secrets/db"),
        ("db secret name", "shop-db-credentials"),
        ("existing secret", "shop-postgresql-auth"),
        ("tls secret name", "shop-wildcard-tls"),
        ("image pull secret", "registry-credentials-eu"),
        ("token ttl", "86400"),
        ("token expiry", "15m"),
        ("password min length", "12"),
        ("token audience", "https://kubernetes.default.svc.cluster.local"),
        ("token url", "https://login.example.com/oauth2/v2.0/token"),
        ("token issuer", "https://accounts.example.com"),
        ("password policy", "upper-lower-digit-symbol"),
        ("secret store kind", "ClusterSecretStore"),
        ("auth type", "scram-sha-256"),
        ("credentials path", "/var/run/credentials/service.json"),
        ("key algorithm", "ECDSA-P256-SHA256"),
        ("password reset enabled", "true"),
        ("secret key ref", "shop-db"),
        ("cookie secret name", "oauth2-proxy-cookie"),
        ("bearer token file", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
        ("secret provider class", "shop-azure-keyvault-provider"),
        ("max tokens", "8192"),
    ]
    .map(|(words, value)| harmless("only mentions a secret", words, value))
    .into()
}

/// Long and random, and public.
fn public(rng: &mut Rng) -> Vec<Harmless> {
    let hex = |rng: &mut Rng, length| rng.run(Letters::Hex, length);
    let uuid = format!("{}-{}-4{}-a{}-{}", hex(rng, 8), hex(rng, 4), hex(rng, 3), hex(rng, 3), hex(rng, 12));
    let digits = rng.run(Letters::Digits, 12);
    let mut made = Vec::new();
    let mut add = |why, words, value: String| made.push(harmless(why, words, value));
    add("commit", "git sha", hex(rng, 40));
    add("digest", "image", format!("registry.example.com/shop@sha256:{}", hex(rng, 64)));
    add("digest", "checksum", format!("sha256:{}", hex(rng, 64)));
    add("digest", "config hash", hex(rng, 64));
    add("uuid", "tenant id", uuid.clone());
    add("uuid", "client id", uuid);
    add("account", "aws account id", digits.clone());
    add("public key", "jwt public key", armoured("PUBLIC KEY", rng));
    add("public key", "ca bundle", armoured("CERTIFICATE", rng));
    add("public key", "deploy key pub", format!("ssh-ed25519 {}", rng.run(Letters::Base64, 68)));
    add("integrity", "script integrity", format!("sha384-{}", rng.run(Letters::Base64, 64)));
    add("role", "aws role arn", format!("arn:aws:iam::{digits}:role/shop-reader"));
    add("documented example", "aws access key id", concat!("AKIA", "IOSFODNN7", "EXAMPLE").to_owned());
    add(
        "documented example",
        "aws secret access key",
        concat!("wJalrXUtnFEMI/K7MDENG/", "bPxRfiCY", "EXAMPLEKEY").to_owned(),
    );
    add("hash of a password", "admin password", format!("{}{}", concat!("$2", "y$10$"), rng.run(Letters::Mixed, 53)));
    add("hash of a password", "admin password", format!("{{SHA}}{}=", rng.run(Letters::Base64, 27)));
    add("url", "database url", "postgres://db.shop.svc:5432/shop?sslmode=require".to_owned());
    add("url", "database url", "postgres://app@db.shop.svc:5432/shop".to_owned());
    add("url", "database url", "postgres://app:$(DB_PASSWORD)@db.shop.svc:5432/shop".to_owned());
    add("url", "amqp url", "amqp://${USER}:${PASSWORD}@mq:5672/".to_owned());
    add("name", "main class", "com.example.shop.security.TokenAuthenticationFilterFactoryBean".to_owned());
    add("name", "feature gates", "RotateKubeletServerCertificate=true,TokenRequestProjection=true".to_owned());
    add("ciphertext", "db password", format!("ENC[AES256_GCM,data:{},type:str]", rng.run(Letters::Base64, 24)));
    add(
        "prose",
        "motd",
        "Set the password in the Secret shop-db, never in this file; rotate the token monthly.".to_owned(),
    );
    made.extend(for_everybody(rng));
    made
}

/// Keys and tokens that are made to be seen, and identifiers of keys.
fn for_everybody(rng: &mut Rng) -> Vec<Harmless> {
    let (hex, body) = (rng.run(Letters::Hex, 64), rng.run(Letters::Mixed, 40));
    let uuid = format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30]);
    vec![
        harmless("key of pages", "recaptcha site key", body),
        harmless("key of pages", "algolia search key", hex[..32].to_owned()),
        harmless("key of pages", "dd rum client token", format!("pub{}", &hex[..32])),
        harmless("identifier", "kms key", uuid.clone()),
        harmless("identifier", "instrumentation key", uuid),
        harmless("identifier", "usdc token", format!("0x{}", &hex[..40])),
        harmless("fingerprint", "gpg key", hex[..40].to_ascii_uppercase()),
        harmless("settings", "etcd auth token", "jwt,priv-key=/etc/etcd/jwt.pem,sign-method=RS256,ttl=10m".to_owned()),
    ]
}

/// What no issuer would know: cut off, edited by hand, of another form than that of the issuer it is named for.
fn near(rng: &mut Rng) -> Vec<Harmless> {
    let (hex, body) = (rng.run(Letters::Hex, 48), rng.run(Letters::Mixed, 48));
    let signed = |claims: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    let uuid = format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30]);
    vec![
        harmless("cut off", "databricks token", format!("{}{}", concat!("da", "pi"), &hex[..31])),
        harmless("cut off", "aws secret access key", body[..38].to_owned()),
        harmless("cut off", "client secret", uuid[..34].to_owned()),
        harmless("another form", "iterable api key", hex[..20].to_owned()),
        harmless("another form", "datadog api key", body[..30].to_owned()),
        harmless("ended in 2025", "npm token", uuid),
        // The last character of 43 stands for four bits of six.
        harmless(
            "edited",
            "setting",
            format!("{}.{}.{}F", signed("{\"alg\":\"HS256\"}"), signed("{\"sub\":\"a\"}"), &body[..42]),
        ),
        harmless("sample", "setting", format!("{}{}", concat!("mdb_sa", "_sk_"), "1234567890".repeat(4))),
        harmless("sample", "api key", format!("fake-api-key-{}", &hex[..12])),
        harmless("within a name", "setting", format!("{}{}", concat!("task_te", "st_"), &body[..30])),
    ]
}

fn armoured(label: &str, rng: &mut Rng) -> String {
    let lines: Vec<String> = (0..6).map(|_| rng.run(Letters::Base64, 64)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
