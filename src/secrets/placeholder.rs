//! What stands where a secret will be: references, templates, masks and the words for "fill in here".
//!
//! Always asked of a whole value: a real password may contain "pass", "example" or a dollar sign.

use super::random::{contains_ignoring_case, distinct};

/// Whether the value is no literal at all, or one that says it has to be replaced.
pub(super) fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    // One half of `<user:password>`.
    if value.starts_with('<') != value.ends_with('>') && value.len() < 24 && value.matches(['<', '>']).count() == 1 {
        return true;
    }
    value.is_empty() || is_reference(value) || is_mask(value) || says_replace(value)
}

/// URL-like names of places where secrets are kept.
#[rustfmt::skip] // a list of words
const STORES: &[&str] = &[
    "vault", "op", "ref", "ref+vault", "secret", "secrets", "awssm", "aws-secretsmanager", "awsssm", "ssm", "gcpsm", "gcp", "azurekv",
    "azurekeyvault", "keyvault", "akeyless", "doppler", "infisical", "conjur", "bitwarden", "bws", "file", "env", "k8s", "kms", "sops", "berglas",
    "sm", "keeper", "env-secret", "awskms",
];

/// Whether a URL's scheme names a secret store.
pub(super) fn is_reference_scheme(scheme: &str) -> bool {
    STORES.iter().any(|store| store.eq_ignore_ascii_case(scheme)) || scheme.starts_with("ref+")
}

/// Something else will put the value here, or it is kept elsewhere.
pub(super) fn is_reference(value: &str) -> bool {
    is_template(value) || is_store(value)
}

/// `$(X)`, `${X}`, `$X`, `{{ x }}`, `<x>`, `%(x)s`, `%s`, `__X__`, `@x@`, `[x]`, `#{x}`.
fn is_template(value: &str) -> bool {
    // Most values have none of the marks, and this one pass says so.
    if !value.bytes().any(|byte| b"{}$<>%#[]`_@(?".contains(&byte)) {
        return false;
    }
    let pair = |open: &str, close: &str| value.find(open).is_some_and(|at| value[at + open.len()..].contains(close));
    if pair("{{", "}}")
        || pair("${", "}")
        || pair("$(", ")")
        || pair("<%", "%>")
        || pair("#{", "}")
        || pair("{%", "%}")
        || pair("[[", "]]")
    {
        return true;
    }
    if value.len() >= 2 && value.starts_with('`') && value.ends_with('`') {
        return true;
    }
    let wrapped = |open: &str, close: &str| {
        value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    };
    if wrapped("<", ">")
        || wrapped("__", "__")
        || wrapped("@", "@")
        || wrapped("%", "%")
        || wrapped("[", "]")
        || wrapped("{", "}")
        || wrapped("(", ")")
    {
        return true;
    }
    if pair("%(", ")s")
        || pair("<", ">")
            && value.bytes().filter(|b| *b == b'<').count() == value.bytes().filter(|b| *b == b'>').count()
    {
        return true;
    }
    // A shell variable: `$NAME`, and `%s` or `%d` alone.
    let name = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b':')
    };
    let variable = value.strip_prefix("$$").or_else(|| value.strip_prefix('$'));
    variable.is_some_and(|rest| {
        name(rest)
            && (rest.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
                || rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    }) || matches!(value, "%s" | "%v" | "%q" | "%d" | "{}" | "?" | "{0}")
}

/// The address of a secret in a store, or its ciphertext.
pub(super) fn is_store(value: &str) -> bool {
    #[rustfmt::skip] // a list of words
    const STARTS: &[&str] = &[
        "vault:", "arn:", "ENC[", "ENC(", "@Microsoft.KeyVault(", "!vault", "$ANSIBLE_VAULT", "{cipher}", "AQICAH", "AgA", "AgB", "awskms:",
        "secretsmanager:", "ssm:", "keyvault:", "secret:", "env:", "file:", "kms:", "age-encryption.org", "sops:", "valueFrom", "secretKeyRef", "sm:",
        "gcp:secretmanager", "k8s:", "op:",
    ];
    // "@file:/run/secrets/db" of those that mark a reference by an at sign.
    let value = if value.starts_with("@Microsoft") { value } else { value.strip_prefix('@').unwrap_or(value) };
    if let Some(start) = STARTS.iter().find(|start| value.starts_with(**start)) {
        // SealedSecret ciphertext has no separator to know it by, but its length.
        return !(start.starts_with("Ag") || *start == "AQICAH") || value.len() >= 150;
    }
    if let Some((scheme, _)) = value.split_once("://") {
        return is_reference_scheme(scheme);
    }
    (value.starts_with("projects/") && value.contains("/secrets/"))
        || value.contains("process.env")
        || value.contains("os.environ")
}

/// `xxxx`, `****`, `----`, `....`, `0000`: the same character over and over, or hardly more than one.
fn is_mask(value: &str) -> bool {
    let bytes = value.as_bytes();
    let masked = |byte: &u8| matches!(byte, b'x' | b'X' | b'*' | b'.' | b'-' | b'_' | b'#' | b'?' | b'\\' | b'/');
    bytes.iter().all(masked)
        || (bytes.len() >= 6 && distinct(bytes) == 1)
        || value.replace("%2A", "*").replace("%2a", "*").bytes().all(|b| b == b'*')
        || value.chars().all(|c| matches!(c, '•' | '●' | '…' | '█' | '∗'))
        || value.ends_with("...") && bytes.len() < 24
        || value == "…"
        || contains_ignoring_case(bytes, b"xxxxxx")
        || contains_ignoring_case(bytes, b"*****")
}

/// First words of a sentence that tells what to do.
#[rustfmt::skip] // a list of words
const ORDERS: &[&str] = &[
    "your", "yours", "replace", "replaced", "insert", "put", "enter", "fill", "add", "paste", "set", "change", "provide", "provided", "use", "from", "see",
    "type", "specify", "some", "any", "the", "a", "an", "to", "be", "must", "should", "will", "is", "get", "generate", "generated", "injected", "managed",
];

/// What such a sentence is about: the value, whose it is, or where it is kept. Without one of these it is a phrase that somebody chose.
#[rustfmt::skip] // a list of words
const MATTERS: &[&str] = &[
    "password", "passwd", "pass", "pwd", "passphrase", "token", "secret", "secrets", "key", "apikey", "credential", "credentials", "value", "string", "text",
    "your", "my", "own", "me", "it", "this", "here", "vault", "env", "environment", "variable", "var", "ci", "cd", "helm", "values", "file", "yaml", "config",
    "deploy", "deployment", "runtime", "startup", "install", "installation", "operator", "terraform", "sops", "ssm", "ui", "console", "cli", "kubectl",
    "elsewhere", "below", "above", "later", "manually", "externally", "set", "defined", "replaced", "changed", "filled", "provided", "generated", "determined",
    "overridden", "needed", "required", "something", "random", "strong", "secure", "user", "username", "database", "db", "postgres", "mysql", "redis",
];

/// First words that say all: nobody chooses them.
const UNDONE: &[&str] = &["todo", "fixme", "tbd", "xxx"];

/// What stands there alone when nothing does.
#[rustfmt::skip] // a list of words
const NOTHING: &[&str] = &[
    "todo", "fixme", "tbd", "placeholder", "redacted", "replaceme", "removed", "hidden", "masked", "notset", "unset", "null", "none", "nil", "undefined",
    "na", "empty", "omitted", "censored", "sanitized", "stripped", "secretvalue", "insertme", "fillme", "fillmein", "overrideme", "notused", "unused",
    "ignored", "dummy", "fake", "mock", "yourpassword", "yoursecret", "yourtoken", "yourkey", "yourapikey",
];

/// Sentences that stand for a value: "YOUR_API_KEY_HERE", "replace-with-your-token", "set by CI". Each is asked of all words of the value.
fn says_replace(value: &str) -> bool {
    if value.len() > 80 {
        return false;
    }
    let words = words(value);
    let joined = words.concat();
    says_nothing(value, &joined)
        || (words.len() > 1 && joined.bytes().all(|b| b.is_ascii_lowercase()) && orders(&words))
        || words.len() > 1 && joined.starts_with("your") && joined.len() < 40
}

fn words(value: &str) -> Vec<String> {
    let words = value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// Whether a value begins as an order does: "Set-By-Jenkins" may be one, "Set-Phasers-To-Stun" is none, and no list knows.
pub(super) fn may_order(value: &str) -> bool {
    let words = if value.len() > 80 { Vec::new() } else { words(value) };
    words.len() > 1
        && ORDERS.contains(&words[0].as_str())
        && words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
}

fn says_nothing(value: &str, joined: &str) -> bool {
    let starts = ["placeholder", "redacted", "replaceme", "replacewith"].iter().any(|start| joined.starts_with(start));
    let apart = value.contains('_') || value.contains('-');
    starts || joined.ends_with("placeholder") || NOTHING.contains(&joined) || apart && joined == "changeme"
}

fn orders(words: &[String]) -> bool {
    let (Some((first, rest)), Some(last)) = (words.split_first(), words.last()) else { return false };
    let (first, last) = (first.as_str(), last.as_str());
    UNDONE.contains(&first)
        || matches!(last, "here" | "placeholder" | "goes")
        || ORDERS.contains(&first) && rest.iter().any(|word| MATTERS.contains(&word.as_str()))
}

/// Whether a value says of itself that it is a sample: one word for a sample and one for what it would be a sample of, each standing alone
/// ("fake_api_key_1a2b", "test-token-9x"). A password of several words may have either, hardly both.
pub(super) fn says_sample(value: &str) -> bool {
    const SAMPLES: [&str; 9] = ["fake", "dummy", "mock", "test", "sample", "demo", "example", "invalid", "your"];
    const THINGS: [&str; 7] = ["key", "apikey", "token", "secret", "password", "credential", "credentials"];
    let words = || value.split(|c: char| !c.is_ascii_alphanumeric());
    let any = |list: &[&str]| words().any(|word| list.iter().any(|known| known.eq_ignore_ascii_case(word)));
    value.len() <= 64 && any(&SAMPLES) && any(&THINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_later_is_no_secret() {
        for value in [
            "$(PGPASS)",
            "${DB_PASSWORD}",
            "{{ .Values.db.password }}",
            "op://prod/db/password",
            "ref+vault://secret/db#/password",
            "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/db/0123)",
            "YOUR_API_KEY_HERE",
            "xxxxxxxxxxxxxxxx",
            "********",
            "%(ENV_PASS)s",
            "ENC[AES256_GCM,data:Zm9v,iv:YmFy,tag:YmF6,type:str]",
            "<password>",
            "vault:secret/data/db#password",
            "CHANGE_ME",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "projects/p/secrets/db/versions/1",
            "$DB_PASSWORD",
            "REPLACE_WITH_TOKEN",
            "%2A%2A%2A",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn an_order_is_about_something() {
        for value in [
            "set-by-ci",
            "use vault",
            "to be replaced",
            "replace-with-your-token",
            "some-password",
            "TODO: ask",
            "put_something_here",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "use-the-force-luke",
            "a-correct-horse-battery",
            "the quick brown fox",
            "to-infinity-and-beyond",
            "set-phasers-to-stun",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    /// secretlint #1117 and #1118: a password was dropped because it contains "pass".
    #[test]
    fn a_real_password_may_contain_the_words_of_a_placeholder() {
        for value in [
            "Zx81-quartz-Lamp",
            "mypass-91-Quartz",
            "tr0ub4dor&3",
            "Ex4mple.North99",
            "pa$$w0rd-Kx9",
            "x9fcLHfYo03mVm5C",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
