//! Layer E: a key that names a secret, with a value that could be one.
//!
//! `key` reads names, `value` reads values; this file holds the two against each other. Entropy alone never refuses, and its
//! absence excuses nothing that the key says.

mod issued;
mod key;
mod value;

pub(super) use key::{Head, head, is_public, names_a_password};

use super::{Certainty, Kind, Secret, placeholder, random, structured, weak};

/// How a key and its value were told apart, which says how far a bare word can be trusted to be a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// A field of the object: env name and value, a data key, a flag.
    Field,
    /// Quotes delimit the value.
    Quoted,
    /// `key: value` or `key=value` to the end of a line.
    Line,
    /// Bare, in the middle of a line, or with the looks of program text.
    Bare,
    /// An annotation, a label or a field of an unknown kind, where names of other objects are the rule.
    Loose,
}

/// Judges one key with its value.
pub(super) fn pair(name: &str, value: &str, manner: Manner) -> Option<Secret> {
    let head = head(name)?;
    let value = value::unquoted(value);
    if value::is_no_secret(value) || placeholder::is_placeholder(value) || value.eq_ignore_ascii_case(name) {
        return None;
    }
    if manner != Manner::Field && value::is_pattern(value) || head != Head::Password && value::is_settings(value) {
        return None;
    }
    if matches!(head, Head::Key | Head::BareKey) && is_identifier(name, value) {
        return None;
    }
    if head != Head::Password && manner != Manner::Bare && weak::is_left(value, || key::signs(name)) {
        return Some(Secret {
            kind: Kind { issuer: "", what: head.what() },
            prefix: None,
            certainty: Certainty::Weak,
            doubtful: false,
        });
    }
    let secret = by_head(head, value, manner)?;
    // `accounts-pwd` under ACCOUNTS_PASSWORD.
    let doubted = weak::is_weak_beside(value, name)
        || key::denies(name)
        || placeholder::says_sample(value)
        || placeholder::may_order(value)
        || manner != Manner::Field && random::is_typed(value.as_bytes())
        || head != Head::Password && issued::would_not_be_known(name, value);
    let certainty = if doubted { Certainty::Weak } else { secret.certainty };
    Some(Secret { certainty, ..secret })
}

/// Whether the value only says which key is meant: a fingerprint, or the UUID by which a service keeps it.
fn is_identifier(name: &str, value: &str) -> bool {
    value::is_fingerprint(value) && key::is_signing(name) || issued::is_uuid(value) && key::is_kept(name)
}

fn by_head(head: Head, value: &str, manner: Manner) -> Option<Secret> {
    let certainty = match head {
        Head::Password => password(value, manner)?,
        Head::Secret => secret(value, manner)?,
        Head::Token | Head::Key => opaque(value, manner, 16)?,
        Head::Authorization => return authorization(value, manner),
        Head::Credential => opaque(value, manner, 12)?,
        Head::BareKey => (value.len() >= 20 && value::is_opaque(value) && random::is_random(value.as_bytes()))
            .then_some(Certainty::Certain)?,
    };
    Some(Secret { kind: Kind { issuer: "", what: head.what() }, prefix: None, certainty, doubtful: false })
}

/// Any literal is a password, unless it is a word of the language around it.
fn password(value: &str, manner: Manner) -> Option<Certainty> {
    if value::is_word_of_settings(value) || value::is_hash(value) {
        return None;
    }
    if weak::is_weak(value) {
        // `password: password` in a text is as often a column's name or a label as a setting.
        return (manner != Manner::Bare || value.bytes().any(|b| b.is_ascii_digit())).then_some(Certainty::Weak);
    }
    if value.len() < 4 || value::is_prose(value) {
        return None;
    }
    let plain = value.bytes().all(|b| b.is_ascii_alphabetic() || b"_.-".contains(&b));
    match manner {
        Manner::Bare if value::is_expression(value) => None,
        Manner::Line if value::is_expression(value) => None,
        Manner::Loose if plain || random::looks_like_name(value.as_bytes()) => None,
        Manner::Bare if plain => None,
        // A single word of a dictionary is guessed within a second; and it is often the name of something.
        _ if plain && !random::is_random(value.as_bytes()) => {
            let mixed = value.bytes().any(|b| b.is_ascii_uppercase()) && value.contains(['-', '_', '.']);
            Some(if mixed && manner != Manner::Quoted { Certainty::Certain } else { Certainty::Weak })
        }
        _ => Some(Certainty::Certain),
    }
}

/// Names of Secret objects are the rule for keys that end in "secret", so the value has to look like one that was made.
fn secret(value: &str, manner: Manner) -> Option<Certainty> {
    if value::is_word_of_settings(value) || value::is_prose(value) || value::is_hash(value) {
        return None;
    }
    if weak::is_weak(value) {
        return (manner == Manner::Field && !random::looks_like_name(value.as_bytes())).then_some(Certainty::Weak);
    }
    if value::is_expression(value) && matches!(manner, Manner::Bare | Manner::Line) {
        return None;
    }
    if value.len() < 8
        || !(value::is_opaque(value) || matches!(manner, Manner::Field | Manner::Quoted) && value::is_graphic(value))
    {
        return None;
    }
    // A checksum, a digest: annotations are full of them.
    if manner == Manner::Loose && value::is_hexadecimal(value) {
        return None;
    }
    let strong = value::is_serial(value)
        || random::is_random(value.as_bytes())
        || has_password_mix(value) && !random::looks_like_name(value.as_bytes());
    strong.then_some(Certainty::Certain)
}

/// Tokens and keys are made by a machine: long, or short and thoroughly mixed.
fn opaque(value: &str, manner: Manner, least: usize) -> Option<Certainty> {
    let bytes = value.as_bytes();
    if value::is_word_of_settings(value) || value::is_prose(value) || value::is_hash(value) {
        return None;
    }
    if value::is_expression(value) && matches!(manner, Manner::Bare | Manner::Line) {
        return None;
    }
    if random::is_filler(bytes) && !value::is_hexadecimal(value) && !random::is_typed(bytes)
        || random::has_sample_word(bytes)
        || weak::is_weak(value)
    {
        return None;
    }
    let own_field = matches!(manner, Manner::Field | Manner::Quoted);
    let odd_but_whole = own_field && value::is_graphic(value) && has_password_mix(value);
    if !(value::is_opaque(value) || odd_but_whole) {
        return None;
    }
    let mixed = has_password_mix(value) && !random::looks_like_name(bytes);
    let long_enough = value.len() >= least
        || (own_field && value.len() >= 10 && mixed)
        || (own_field && value.len() >= 14)
        || (manner == Manner::Line && value.len() >= 12 && mixed && random::is_random(bytes));
    let made = random::is_random(bytes) || mixed || value::is_serial(value);
    (long_enough && made).then_some(Certainty::Certain)
}

/// The value of an `Authorization` header, of `auth` in a registry's settings, and the like.
fn authorization(value: &str, manner: Manner) -> Option<Secret> {
    let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
    if (scheme.eq_ignore_ascii_case("basic") || scheme.is_empty())
        && let Some(secret) = structured::basic(rest.trim())
    {
        return Some(secret);
    }
    if scheme.eq_ignore_ascii_case("basic")
        || rest.contains(' ')
        || placeholder::is_placeholder(rest)
        || value::is_no_secret(rest)
    {
        return None;
    }
    let certainty = opaque(rest.trim(), manner, 16)?;
    Some(Secret {
        kind: Kind { issuer: "", what: Head::Authorization.what() },
        prefix: None,
        certainty,
        doubtful: false,
    })
}

/// At least three of: lower, upper, digit, other. People who are asked for a strong password write these.
fn has_password_mix(value: &str) -> bool {
    let any = |test: fn(&u8) -> bool| usize::from(value.as_bytes().iter().any(test));
    any(u8::is_ascii_lowercase) + any(u8::is_ascii_uppercase) + any(u8::is_ascii_digit) + any(u8::is_ascii_punctuation)
        >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Option<Certainty> {
        pair(name, value, Manner::Field).map(|secret| secret.certainty)
    }

    #[test]
    fn a_literal_under_a_password_key_is_one() {
        for (name, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("MYSQL_ROOT_PASSWORD", "Wq7!kd9Z"),
            ("SMTP_PASS", "tr0ub4dor&3"),
            ("LDAP_BIND_PW", "N0rth.Wind99"),
            ("GF_SECURITY_ADMIN_PASSWORD", concat!("Zx81-quartz", "-Lamp")),
            ("spring.datasource.password", "Gx72hPq9"),
            ("PGPASSWORD", "kL3pQ9z"),
        ] {
            assert_eq!(of(name, value), Some(Certainty::Certain), "{name}");
        }
    }

    #[test]
    fn a_generated_value_under_a_key_or_token_name_is_one() {
        for name in [
            "AUTH_TOKEN",
            "DJANGO_SECRET_KEY",
            "apiKey",
            "ENCRYPTION_KEY",
            "SESSION_SECRET",
            "zendeskToken",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert_eq!(of(name, "fW4z0gcLH0HV229fFzNeAr4Pg68HdM97FRC6KsMz"), Some(Certainty::Certain), "{name}");
        }
    }

    /// kube-linter #1206, kubescape #563 and #1839, trivy #3634, defsec #1133, prowler #4893, detect-secrets #266.
    #[test]
    fn keys_about_secrets_are_not_keys_of_secrets() {
        for (name, value) in [
            ("DB_PASSWORD_FILE", "/run/secrets/db_password"),
            ("METALLB_ML_SECRET_NAME", "memberlist"),
            ("SECRETS_DIR", "/var/secrets"),
            ("TOKEN_TTL", "3600s"),
            ("ENABLE_PASSWORD_LOGIN", "true"),
            ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"),
            ("server-tokens", "false"),
            ("JWT_GCP_TOKEN_URL", "https://oauth2.googleapis.com/token"),
            ("SECRET_KEY_ID", concat!("d3b07384-d9a0", "-4f2b-9f6e-1c2a3b4c5d6e")),
            ("KEY_PREFIX", "sessions:"),
            ("S3_KEY", "backups/2026/db.tar.gz"),
            ("SSH_AUTH_SOCK", "/ssh-agent"),
            ("AUTHORIZATION_POLICY", "rbac"),
            ("PASSWORD_POLICY_REGEX", r"^(?=.*[A-Z])(?=.*\d).{8,}$"),
            ("secretName", concat!("a8f3", "-b2c1-9d7e")),
            ("api_key_env", "MY_SECRET1"),
        ] {
            assert_eq!(of(name, value), None, "{name}");
        }
    }

    #[test]
    fn well_known_words_only_warn() {
        for (name, value) in [
            ("MYSQL_ROOT_PASSWORD", "changeme"),
            ("GF_SECURITY_ADMIN_PASSWORD", "admin"),
            ("FLYWAY_PASSWORD", "password"),
        ] {
            assert_eq!(of(name, value), Some(Certainty::Weak), "{name}");
        }
    }
}
