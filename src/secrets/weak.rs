//! Credentials that everybody knows: defaults, samples and dictionary words.
//!
//! At admission time nothing replaces them any more, so they are effective; but people call them placeholders, so they get a rule
//! of their own that only warns. Knows values only.

use std::sync::LazyLock;

/// What the well-known credentials are made of; a value that is nothing but these, separators and a short number is one of them.
#[rustfmt::skip] // a list of words
const PARTS: &[&str] = &[
    "password", "passwd", "passw0rd", "p@ssw0rd", "p@ssword", "pa55word", "passphrase", "pass", "pwd", "pw", "secret", "s3cret", "s3cr3t", "token",
    "key", "apikey", "credentials", "credential", "auth", "value", "admin", "adm1n", "administrator", "root", "user", "username", "guest", "test",
    "testing", "tester", "demo", "example", "sample", "default", "change", "changeme", "changeit", "chang3m3", "please", "me", "it", "this", "that",
    "my", "your", "our", "the", "a", "an", "is", "not", "in", "for", "of", "and", "very", "super", "strong", "weak", "safe", "secure", "insecure",
    "simple", "long", "random", "string", "letmein", "welcome", "hello", "world", "qwerty", "asdf", "foo", "bar", "baz", "foobar", "abc", "abcd",
    "abcdef", "dummy", "fake", "mock", "temp", "tmp", "local", "localhost", "dev", "development", "develop", "prod", "production", "staging", "stage",
    "qa", "ci", "e2e", "db", "database", "sql", "mysql", "mariadb", "postgres", "postgresql", "psql", "pg", "mongo", "mongodb", "redis", "rabbit",
    "rabbitmq", "mq", "kafka", "cassandra", "elastic", "elasticsearch", "opensearch", "kibana", "grafana", "prometheus", "minio", "minioadmin",
    "minio123", "s3", "etcd", "nats", "neo4j", "influx", "influxdb", "couchbase", "couchdb", "oracle", "mssql", "sa", "ldap", "keycloak", "vault",
    "consul", "nexus", "sonar", "sonarqube", "jenkins", "gitlab", "gitea", "git", "github", "argocd", "argo", "airflow", "superset", "drupal",
    "wordpress", "wp", "joomla", "magento", "nextcloud", "owncloud", "zabbix", "harbor", "registry", "docker", "k8s", "kube", "kubernetes", "helm",
    "cluster", "node", "server", "client", "service", "svc", "app", "application", "api", "web", "site", "backend", "frontend", "master", "slave",
    "replica", "repl", "replication", "primary", "main", "public", "private", "jwt", "session", "cookie", "encryption", "signing", "hmac", "shared",
    "internal", "external", "system", "sys", "monitor", "exporter", "metrics", "backup", "operator", "manager", "management", "bitnami", "spring",
    "django", "flask", "rails", "laravel", "tomcat", "wildfly", "jboss", "camunda", "activemq", "artemis", "solace", "ibm", "store", "shop",
    "keystore", "truststore", "zeppelin", "spark", "hadoop", "hive", "trino", "presto", "druid", "clickhouse", "mlflow", "jupyter", "ray", "kubeflow",
    "one", "two", "three", "new", "old", "some", "no", "yes", "on", "with", "to", "be", "use", "used", "only", "do", "go", "here", "replace",
    "insert", "enter", "set", "todo", "thing", "things", "alice", "bob", "john", "jane", "doe", "smith", "company", "corp", "acme", "org", "com",
    "io", "cloud", "aws", "gcp", "azure", "p4ssw0rd", "pa$$word", "pa$$w0rd", "p@$$w0rd", "must", "changed", "replaced", "generate", "generated",
    "longer", "least", "chars", "characters", "bit", "bits", "bytes", "than", "at", "from", "tempest", "magic", "fancy", "sup3rs3cr3t", "sup3rsecret",
    "mysecret", "supersecret", "topsecret", "verysecret", "notsecret", "unsafe", "common", "global", "root123", "obvious", "dex", "oidc", "oauth",
    "oauth2", "saml", "sso", "ldapadmin", "proxy", "smtp", "mail", "email", "imap", "ftp", "sftp", "ssh", "vnc", "rdp", "wifi", "influxadmin", "quay",
    "loki", "tempo", "mimir", "cortex", "thanos", "agent", "worker", "controller", "scheduler", "webhook", "slack", "bot", "tracker", "tracking",
    "bookinfo", "library", "sockshop", "pet", "clinic", "petclinic", "todoapp", "counter", "vote", "voting",
];

/// Passwords of Kubernetes' own pages about Secrets, which half of all manifests that teach anything repeat.
const PUBLISHED: &[&str] = &["1f2d1e2e67df", r"S!B\*d$zDsb=", "39528$vdg7Jb"];

/// Whether a value is a credential that can be guessed: nothing but known words, or a short or regular number.
pub(super) fn is_weak(value: &str) -> bool {
    let value = value.trim();
    if value.len() > 48 || value.is_empty() {
        return false;
    }
    if PUBLISHED.contains(&value) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    if is_dull_number(&lower) {
        return true;
    }
    let stem =
        lower.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '!' | '?' | '.' | '@' | '#' | '*' | '$'));
    let tail = &lower[stem.len()..];
    let short_tail = tail.len() <= 4 || "12345678901234567890".contains(tail.trim_end_matches(['!', '@', '#']));
    let disguised = lower.contains('$') && is_made_of_parts(&lower.replace('$', "s"));
    (short_tail && is_made_of_parts(stem)) || is_made_of_parts(&lower) || disguised
}

/// What people write where a secret will be, and leave: never the name of an object that holds one.
#[rustfmt::skip] // a list of words
const LEFT: &[&str] = &[
    "changeme", "changeit", "changethis", "changemeplease", "pleasechangeme", "supersecret", "verysecret", "topsecret", "mysupersecret",
    "notsosecret", "s3cret", "s3cr3t", "letmein", "qwerty", "insecure", "keyboardcat",
];

/// Whether a value under the name of a signing secret, of a token or of a key is one that everybody can guess. Most words there are the names
/// of objects or of keys in them: `DB_SECRET: postgres-secret`. Signing secrets (`signs`) are never objects.
pub(super) fn is_left(value: &str, signs: impl Fn() -> bool) -> bool {
    if value.len() > 32 {
        return false;
    }
    let mut letters = value.to_ascii_lowercase();
    letters.retain(|c| !matches!(c, '-' | '_' | ' ' | '.'));
    let stem = letters.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
    LEFT.contains(&stem)
        || stem.contains("supersecret") && is_weak(value)
        || ["secret", "mysecret", "password"].contains(&stem) && signs()
}

/// The same, with the words of `beside` (a key, a user, a host) as known words too: `accounts-pwd` of user `accounts-admin`.
pub(super) fn is_weak_beside(value: &str, beside: &str) -> bool {
    if value.len() > 48 {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    if value.len() >= 16 && is_made_of_parts(&plain(&lower)) {
        return true;
    }
    let mut rest = lower.clone();
    for word in beside.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 3) {
        rest = rest.replace(&word.to_ascii_lowercase(), "-");
    }
    rest != lower && (is_weak(&rest) || rest.bytes().all(|b| !b.is_ascii_alphanumeric()))
}

/// "Ple4seCh4nge": figures for letters, undone.
fn plain(text: &str) -> String {
    let letter = |c| match c {
        '4' | '@' => 'a',
        '3' => 'e',
        '1' | '!' => 'i',
        '0' => 'o',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().map(letter).collect()
}

/// All of one character, counting up or down, or digits that a machine tries within a second.
fn is_dull_number(value: &str) -> bool {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    (digits && value.len() <= 8)
        || "01234567890123456789".contains(value)
        || "98765432109876543210".contains(value)
        || matches!(
            value,
            "abc123"
                | "abcd1234"
                | "abc12345"
                | "a1b2c3d4"
                | "qwerty123"
                | "1q2w3e4r"
                | "q1w2e3r4"
                | "1qaz2wsx"
                | "123abc"
                | "1234abcd"
                | "abcdefg"
                | "abcdefgh"
                | "password123!"
                | "123qwe"
                | "123456a"
                | "1234qwer"
                | "qwer1234"
                | "asdf1234"
                | "zaq12wsx"
        )
}

/// The [`PARTS`] by their first byte.
static BY_FIRST: LazyLock<Vec<Vec<&str>>> = LazyLock::new(|| {
    let begin_with = |first: u8| PARTS.iter().copied().filter(|part| part.as_bytes()[0] == first).collect();
    (0..=u8::MAX).map(begin_with).collect()
});

/// Whether `text` can be cut into [`PARTS`] and separators without a rest. Dynamic programming over at most 48 bytes.
fn is_made_of_parts(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 48 {
        return false;
    }
    let mut reached = [false; 49];
    reached[0] = true;
    let mut any = false;
    for at in 0..bytes.len() {
        if !reached[at] {
            continue;
        }
        if b"-_. /:".contains(&bytes[at]) {
            reached[at + 1] = true;
        }
        // A number between words: "db1-password".
        if at > 0 && bytes[at].is_ascii_digit() && (at < 2 || !bytes[at - 2].is_ascii_digit()) {
            reached[at + 1] = true;
        }
        for part in &BY_FIRST[usize::from(bytes[at])] {
            if bytes[at..].starts_with(part.as_bytes()) {
                reached[at + part.len()] = true;
                any = true;
            }
        }
    }
    any && reached[bytes.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_samples_are_weak() {
        for value in [
            "password",
            "changeme",
            "admin",
            "guest",
            "mysecretpassword",
            "postgres",
            "Password123",
            "p@ssw0rd",
            "123456",
            "my-secret-pw",
            "supersecret",
            "super$ecret",
            "test1234",
        ] {
            assert!(is_weak(value), "{value}");
        }
    }

    #[test]
    fn chosen_passwords_are_not() {
        assert!(
            is_weak_beside("accounts-pwd", "accounts-admin") && is_weak_beside("Ple4seCh4ngeTh1sN0tAVerySecret", "")
        );
        for value in [
            "hunter2",
            "Wq7!kd9Z",
            "tr0ub4dor&3",
            "Zx81-quartz-Lamp",
            "N0rth.Wind99",
            "Pl4t1num-Fox",
            "S3cr3tR00t9",
            "fT93kLm0q",
        ] {
            assert!(!is_weak(value), "{value}");
        }
    }
}
