//! Reads the value of a field whose name speaks of a secret: what it can be instead.
//!
//! Knows values only; placeholders and references are `placeholder`'s.

use crate::secrets::random;

/// A value without the quotes around it.
pub(super) fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if bytes.len() >= 2 && first == last && b"\"'`".contains(first) => {
            &value[1..value.len() - 1]
        }
        _ => value,
    }
}

/// Numbers, switches, paths, addresses, public and publishable keys, hashes, whole files: whatever the key is called.
pub(super) fn is_no_secret(value: &str) -> bool {
    value.len() < 2
        || value.len() > 4096
        || is_switch(value)
        || is_quantity(value)
        || is_path(value)
        || value.contains("://")
        || value.starts_with("sha256:")
        || value.starts_with("-----BEGIN")
        || value.starts_with("LS0tLS1CRUdJTi")
        || [
            "pk_live_",
            "pk_test_",
            "pk.eyJ",
            "phc_",
            "alias/",
            "SHA256:",
            // SubjectPublicKeyInfo of P-256, Ed25519 and RSA in base64.
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
            "MCowBQYDK2VwAyEA",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
            "Mid-client-",
            "SB-Mid-client-",
            "sb_publishable_",
            "ssh-rsa ",
            "ssh-ed25519 ",
            "ecdsa-sha2-",
            "sha256-",
            "sha384-",
            "sha512-",
            "data:",
        ]
        .iter()
        .any(|start| value.starts_with(start))
        || is_tagged(value)
        || is_member(value)
        || is_call(value)
        || is_address(value)
        || value.contains(".svc") && value.contains('.') && !value.contains(' ') && is_host(value)
}

/// What everybody may know by its form: an account or a contract of Ethereum, a key of AWS KMS, a browser's token of Datadog, minisign's public key.
fn is_address(value: &str) -> bool {
    let hex = |start: &str, digits: usize| {
        value
            .strip_prefix(start)
            .is_some_and(|rest| rest.len() == digits && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    hex("0x", 40) || hex("mrk-", 32) || hex("pub", 32) || value.len() == 56 && value.starts_with("RWQ")
}

/// A list of settings: `jwt,priv-key=/etc/jwt.pem,sign-method=RS256`. What is secret among them has a name of its own there.
pub(super) fn is_settings(value: &str) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    let setting = |part: &str| match part.split_once('=') {
        Some((name, value)) => {
            name.len() >= 2 && word(name) && random::looks_like_name(name.as_bytes()) && !value.is_empty()
        }
        None => word(part) && random::looks_like_name(part.as_bytes()),
    };
    value.contains(',') && value.contains('=') && value.split(',').all(setting)
}

/// The fingerprint of a public key: pairs or groups of hexadecimal digits, or the number that GnuPG knows a key by.
pub(super) fn is_fingerprint(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_hexdigit).count();
    let grouped = value.split([':', ' ']).filter(|group| !group.is_empty()).all(|group| matches!(group.len(), 2 | 4));
    let whole = value.strip_prefix("0x").unwrap_or(value);
    let upper = whole.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    digits + value.matches([':', ' ']).count() == value.len() && grouped && matches!(digits, 32 | 40 | 64)
        || upper && matches!(whole.len(), 16 | 32 | 40) && whole.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_switch(value: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off", "null", "none", "nil", "~", "enabled", "disabled"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// "3600s", "15m", "10Gi", "1.5", "0x10"; a number of digits alone is left to who knows the key.
fn is_quantity(value: &str) -> bool {
    let number = value.trim_start_matches(['-', '+']);
    let digits = number.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '_');
    if digits.len() == number.len() {
        return false;
    }
    let unit = digits.trim();
    !unit.is_empty()
        && unit.len() <= 3
        && number.len() <= 10
        && unit.bytes().all(|b| b.is_ascii_alphabetic() || b == b'%')
        && number.bytes().filter(u8::is_ascii_digit).count() < 8
        && UNITS.contains(&unit)
}

#[rustfmt::skip] // a list of words
const UNITS: &[&str] = &[
    "s", "m", "h", "d", "w", "y", "ms", "us", "ns", "min", "sec", "hr", "k", "K", "M", "G", "Ki", "Mi", "Gi", "Ti", "KB", "MB", "GB", "kb", "mb",
    "gb", "B", "b", "%",
];

/// A file or a folder: a leading slash with names after it, or an ending that files have.
pub(super) fn is_path(value: &str) -> bool {
    if value.contains(char::is_whitespace) {
        return false;
    }
    let starts = ["./", "../", "~/", "/", "\\\\"].iter().any(|start| value.starts_with(start));
    // Base64 may begin with a slash, but does not go on in words.
    if starts && (value.len() < 24 || !random::is_random(value.as_bytes()) || value.matches('/').count() >= 3) {
        return true;
    }
    if value.as_bytes().get(1) == Some(&b':') && value.as_bytes().get(2) == Some(&b'\\') {
        return true;
    }
    let Some((stem, extension)) = value.rsplit_once('.') else { return is_slashed_words(value) };
    let known = [
        "pem",
        "key",
        "crt",
        "cer",
        "cert",
        "json",
        "yaml",
        "yml",
        "txt",
        "jks",
        "p12",
        "pfx",
        "env",
        "ini",
        "conf",
        "properties",
        "gpg",
        "asc",
        "pub",
        "xml",
        "toml",
        "sh",
        "gz",
        "zip",
        "keytab",
        "kdbx",
        "der",
        "csr",
        "sock",
        "html",
        "js",
        "py",
        "go",
        "md",
    ];
    (known.contains(&extension) && !stem.is_empty()) || is_slashed_words(value)
}

/// "shop/basic-auth", "secret/data/db": names joined by slashes.
fn is_slashed_words(value: &str) -> bool {
    value.contains('/')
        && value.split('/').all(|part| random::looks_like_name(part.as_bytes()))
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.:".contains(&b))
        && !value.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:".contains(&b))
}

/// Words that settings, schemas and programs put where a secret would be.
pub(super) fn is_word_of_settings(value: &str) -> bool {
    #[rustfmt::skip] // a list of words
    const WORDS: &[&str] = &[
        "string", "str", "text", "object", "array", "integer", "int", "number", "boolean", "bool", "bytes", "required", "optional", "undefined", "prompt",
        "plain", "plaintext", "encrypted", "hashed", "masked", "internal", "external", "auto", "automatic", "generate", "generated", "random", "default",
        "env", "environment", "file", "vault", "basic", "bearer", "oauth", "oauth2", "oidc", "ldap", "saml", "kerberos", "jwt", "hidden", "md5", "sha256",
        "sha-256", "scram-sha-256", "scram-sha-512", "bcrypt", "scrypt", "argon2", "pbkdf2", "trust", "ident", "peer", "cert", "certificate", "tls",
        "mtls", "ssl", "anonymous", "noauth", "simple", "password-file", "value", "field", "unknown", "any", "invalid", "missing", "expired", "refresh",
        "access", "login", "username", "email", "empty", "always", "never", "allow", "deny", "this", "self", "var", "let", "const", "function", "return",
        "get", "set", "opaque", "kubernetes.io/tls", "secret", "private", "public", "read", "write", "input", "output", "config", "state", "type",
    ];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
        && !matches!(value, "secret" | "default" | "random" | "simple" | "vault")
}

/// `{SHA}`, `$2y$`, `$6$` and their kin: a password's hash and no password.
pub(super) fn is_hash(value: &str) -> bool {
    #[rustfmt::skip] // a list of words
    const STARTS: &[&str] = &[
        "$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$8$", "$9$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2", "$y$", "$7$", "$krb5", "{SHA}", "{SSHA}",
        "{SSHA512}", "{CRYPT}", "{MD5}", "{bcrypt}", "{PBKDF2", "pbkdf2_sha256$", "pbkdf2:", "bcrypt$", "sha256$", "sha512$", "SCRAM-SHA-256$",
    ];
    STARTS.iter().any(|start| value.starts_with(start))
}

/// Several words, or a sentence: nobody's token, and hardly a password that a program reads.
pub(super) fn is_prose(value: &str) -> bool {
    let spaces = value.bytes().filter(u8::is_ascii_whitespace).count();
    spaces > 0
        && (spaces >= 2
            || value.split(' ').all(|word| word.bytes().all(|b| b.is_ascii_alphabetic() || b"'.,:;!?-".contains(&b)))
            || !random::is_random(value.as_bytes()))
}

/// Program text: a call, an index, a member, an operator, a pattern.
pub(super) fn is_expression(value: &str) -> bool {
    let bytes = value.as_bytes();
    let has = |needle: &str| value.contains(needle);
    (has("(") && has(")"))
        || calls(value)
        || is_pattern(value)
        || (has("[") && has("]"))
        || has("->")
        || has("=>")
        || value.trim_end_matches('=').contains("==")
        || has("::")
        || has(" + ")
        || has("||")
        || has("&&")
        || has("$") && has("{")
        || value.starts_with("\\$")
        || has("[") != has("]")
        || matches!(
            bytes.first(),
            Some(b'$' | b'[' | b'{' | b'(' | b'*' | b'&' | b'|' | b'>' | b'<' | b'%' | b'=' | b',')
        )
        || (has(".") && bytes.iter().all(|b| b.is_ascii_alphabetic() || b"._".contains(b)))
}

/// A call whose end stands elsewhere: a name and the bracket right behind it.
fn calls(value: &str) -> bool {
    let Some((name, _)) = value.split_once('(') else { return false };
    name.len() >= 3
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:!".contains(&b))
        && random::looks_like_name(name.as_bytes())
}

/// What a regular expression matches a password with, or puts in its place: `\S+`, `.*`, `[^&]+`, `\1`.
pub(super) fn is_pattern(value: &str) -> bool {
    let quantified = |class: &str| {
        value
            .match_indices(class)
            .any(|(at, _)| matches!(value.as_bytes().get(at + class.len()), Some(b'+' | b'*' | b'{')))
    };
    let begins = |class: &str| value.starts_with(class);
    [r"\S", r"\w", r"\d", r"\s", "%S", "%w"].into_iter().any(quantified)
        || [".*", ".+", "[^", "(?", r"\K", r"\("].into_iter().any(begins)
        || matches!(value.as_bytes(), [b'\\', b'0'..=b'9', ..])
}

/// YAML's tags of what is put in later: `!Ref DbPassword`, `!vault |`, `!secret db_password`.
fn is_tagged(value: &str) -> bool {
    let tag = value.strip_prefix('!').and_then(|rest| rest.split_once(' '));
    tag.is_some_and(|(tag, _)| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphabetic() || b == b'!'))
}

/// A member of what programs and templates keep their settings in: `var.db_password2`, `config.smtp.pass1`.
fn is_member(value: &str) -> bool {
    #[rustfmt::skip] // a list of words
    const ROOTS: &[&str] = &[
        "var", "vars", "local", "locals", "data", "module", "each", "self", "this", "config", "cfg", "conf", "settings", "options", "opts", "args", "params", "props",
        "env", "process", "os", "sys", "app", "ctx", "context", "req", "request", "inputs", "outputs", "steps", "secrets", "values", "user", "state",
    ];
    let mut parts = value.split('.');
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && random::looks_like_name(part.as_bytes())
    };
    parts.next().is_some_and(|root| ROOTS.contains(&root)) && value.contains('.') && parts.all(name)
}

/// A call, as a whole: `os.getenv("X")`, `new Secret()`, `base64encode(var.x)`.
fn is_call(value: &str) -> bool {
    let Some((callee, arguments)) = value.strip_suffix(')').and_then(|rest| rest.split_once('(')) else { return false };
    let callee = callee.strip_prefix("new ").unwrap_or(callee);
    let names = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
    let quoted = arguments.starts_with(['"', '\'']);
    callee.len() >= 3 && names(callee) && random::looks_like_name(callee.as_bytes()) && (quoted || names(arguments))
}

/// Only these characters are in keys and tokens.
pub(super) fn is_opaque(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_graphic()) && !value.contains(['<', '>', '(', ')', '{', '}', '"', '\''])
}

/// Anything that prints.
pub(super) fn is_graphic(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_graphic())
}

/// One long run of letters and digits, or of digits alone: what issuers hand out, however regular it looks.
pub(super) fn is_serial(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let run = value.bytes().all(|b| b.is_ascii_alphanumeric());
    run && ((value.len() >= 20 && digits >= 3 && digits < value.len()) || (value.len() >= 24 && digits == value.len()))
}

/// Hexadecimal of a usual length; a repeated digit there is chance.
pub(super) fn is_hexadecimal(value: &str) -> bool {
    value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit())
}
