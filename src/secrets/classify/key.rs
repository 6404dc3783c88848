//! Reads the name of a field: what kind of secret it says it holds, if any.
//!
//! A name is cut into words; the last one that counts, its head, must name a secret. `DB_PASSWORD` does, `DB_PASSWORD_FILE` is
//! about a file. Knows names only.

/// What the head of a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::secrets) enum Head {
    /// Chosen by people: any literal counts.
    Password,
    /// A client secret, a session secret; also what people call the name of a Secret.
    Secret,
    /// Made by a machine.
    Token,
    /// An API key, an encryption key.
    Key,
    /// Credentials.
    Credential,
    /// The value of an `Authorization` header.
    Authorization,
    /// `key` after a word that says nothing about it.
    BareKey,
}

impl Head {
    /// The kind of secret, as a person says it.
    pub(in crate::secrets) fn what(self) -> &'static str {
        match self {
            Head::Password => "password",
            Head::Secret => "secret",
            Head::Token => "token",
            Head::Key | Head::BareKey => "secret key",
            Head::Credential | Head::Authorization => "credentials",
        }
    }
}

/// More words than any name has; the head is at the end, so the first ones are dropped.
const MAX_WORDS: usize = 16;

/// The words of a name: split at separators and where CamelCase turns.
struct Words<'n> {
    words: [&'n str; MAX_WORDS],
    len: usize,
}

impl<'n> Words<'n> {
    fn of(name: &'n str) -> Self {
        let mut words = Words { words: [""; MAX_WORDS], len: 0 };
        let bytes = name.as_bytes();
        let mut start = 0;
        for at in 0..=bytes.len() {
            let end = at == bytes.len() || !bytes[at].is_ascii_alphanumeric();
            let turn = !end && at > start && turns(bytes, at);
            if end || turn {
                if let Some(word) = name.get(start..at).filter(|word| !word.is_empty()) {
                    words.push(word);
                }
                start = if turn { at } else { at + 1 };
            }
        }
        words
    }

    fn push(&mut self, word: &'n str) {
        if self.len == MAX_WORDS {
            self.words.rotate_left(1);
            self.len -= 1;
        }
        self.words[self.len] = word;
        self.len += 1;
    }

    fn all(&self) -> &[&'n str] {
        &self.words[..self.len]
    }
}

/// `dbPassword` turns at P, `APIKey` at K; `APIKEY` and `OAuth2` do not.
fn turns(bytes: &[u8], at: usize) -> bool {
    let (before, here) = (bytes[at - 1], bytes[at]);
    here.is_ascii_uppercase()
        && (before.is_ascii_lowercase()
            || (before.is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase))
            || (before.is_ascii_uppercase() && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase)))
}

/// Words after the head that leave the meaning as it is: `password1`, `API_TOKEN_PROD`, `SECRET_KEY_BASE`.
#[rustfmt::skip] // a list of words
const HARMLESS_TAILS: &[&str] = &[
    "base", "value", "val", "string", "str", "text", "plain", "plaintext", "raw", "base64", "b64", "hex", "prod", "production", "dev", "staging",
    "stage", "test", "live", "main", "primary", "secondary", "default", "old", "new", "current", "previous", "v1", "v2", "v3", "data", "content",
    "literal", "a", "b", "rw", "ro", "read", "write", "backup", "local", "global", "master", "admin", "root", "internal", "var",
];

/// Words before `key` that make it a secret one.
#[rustfmt::skip] // a list of words
const KEY_OF: &[&str] = &[
    "api", "access", "secret", "private", "priv", "encryption", "encrypt", "encoding", "crypt", "crypto", "cipher", "decryption", "signing", "sign",
    "signature", "master", "auth", "authentication", "license", "licence", "app", "application", "shared", "storage", "session", "cookie", "jwt",
    "hmac", "aes", "admin", "root", "write", "ingest", "ingestion", "subscription", "account", "webhook", "integration", "security", "server",
    "consumer", "client", "rsa", "tls", "ssl", "gpg", "pgp", "wireguard", "psk", "preshared", "recovery", "unseal", "service", "deploy", "personal",
    "user", "host", "function", "insert", "salt", "fernet", "keystore", "gateway", "platform", "rest", "functions", "dsa",
    "ed25519", "ssh", "peer", "management", "validation", "registration", "oauth", "bot", "search", "feed",
];

/// Words before `key` that make it an identifier of data, not a secret.
#[rustfmt::skip] // a list of words
const KEY_NOT_OF: &[&str] = &[
    "public", "pub", "publishable", "cache", "partition", "sort", "routing", "row", "lookup", "object", "label", "annotation", "topic", "group",
    "message", "index", "hash", "dedup", "idempotency", "map", "primary", "foreign", "unique", "config", "configmap", "data", "json", "field",
    "column", "registry", "metadata", "tag", "env", "file", "property", "prop", "dict", "name", "node", "taint", "toleration", "topology", "context",
    "state", "storage_class", "sub", "translation", "i18n", "issue", "project", "lock", "s3", "bucket", "image", "color", "legend", "hot", "enter",
    "escape", "short", "feature", "flag", "ref", "selector", "filter", "group_by", "template", "version", "window", "shard", "host_key_checking",
    "by", "no", "last", "first", "next", "for", "on", "with", "of", "the", "any", "each", "every", "same", "this", "that", "remote", "secretref",
    "record", "ordering", "sharding", "distribution", "aggregation", "event", "queue", "exchange", "binding", "attribute", "claim", "param",
    "parameter", "header", "query", "path", "url", "item", "list", "array", "set", "hashmap", "tree", "trie", "kv", "consul", "etcd", "zookeeper",
    "redis", "locale", "language", "lang", "dashboard", "panel", "metric", "series", "time", "date", "certificate", "cert", "ca", "known",
    "authorized", "trusted", "verification", "verify", "kms", "awskms", "cmk", "cmek", "site", "vapid", "instrumentation",
];

/// Words before the head that turn it into a switch, a rule or a digest: `ALLOW_EMPTY_PASSWORD`, `passwordReset`, `checksum`.
#[rustfmt::skip] // a list of words
const ABOUT: &[&str] = &[
    "allow", "enable", "enabled", "disable", "disabled", "require", "requires", "required", "has", "use", "uses", "skip", "no", "without", "generate", "validate", "is", "needs", "automount",
    "show", "hide", "reset", "forgot", "change", "public", "hashed", "max", "min", "checksum", "digest", "fingerprint", "not", "hash",
];

/// What the model counts and what pages go by is a token too.
#[rustfmt::skip] // a list of words
const TOKEN_NOT_OF: &[&str] = &[
    "csrf", "page", "next", "continuation", "sync", "stop", "end", "eos", "bos", "pad", "special", "mask", "unk", "sep", "cls", "cancellation", "resume", "design",
];

/// Endings of names that are written as one word.
#[rustfmt::skip] // a list of words
const KEY_ENDS: &[&str] = &[
    "apikey", "secretkey", "accesskey", "privatekey", "authkey", "signingkey", "encryptionkey", "masterkey", "licensekey", "licencekey", "sharedkey", "sessionkey", "serverkey", "appkey",
    "servicekey", "accountkey", "userkey", "clientkey", "presharedkey", "hmackey", "jwtkey", "cryptkey",
];

const PASSWORD_ENDS: &[&str] = &["password", "passwd", "passphrase", "passwort", "passcode", "pwd", "passw", "passwrd"];
const PASSWORD_WORDS: &[&str] = &[
    "pass",
    "pw",
    "psw",
    "pswd",
    "pswrd",
    "psk",
    "rootpw",
    "bindpw",
    "adminpw",
    "userpw",
    "dbpw",
    "masterauth",
    "credspw",
];
const NO_PASS: &[&str] = &["bypass", "compass", "trespass", "surpass", "encompass", "overpass", "underpass"];
const KEYS_OF: &[&str] = &["api", "secret", "private", "access", "unseal", "encryption", "signing"];
const HEADER_OF: &[&str] = &["auth", "authorization", "bearer", "token"];
const CREDENTIAL_WORDS: &[&str] = &["credential", "credentials", "creds", "cred"];
const AUTH_WORDS: &[&str] =
    &["authorization", "auth", "httpauth", "basicauth", "userpwd", "userpass", "authn", "authentication"];

/// Beginnings of names whose values a bundler writes into pages for every browser.
#[rustfmt::skip] // a list of words
const OF_PAGES: &[&str] = &[
    "vite_", "next_public_", "react_app_", "vue_app_", "nuxt_public_", "nuxt_env_", "expo_public_", "gatsby_", "ng_app_", "preact_app_", "razzle_", "storybook_", "plasmo_public_", "public_", "mix_",
];

/// Search engines whose search keys are made for pages, unlike their other keys.
const SEARCHES: &[&str] = &["algolia", "docsearch", "typesense", "meili", "meilisearch"];

/// Whether a token or a key of this name is meant for everybody to see. A password in a page is a leak all the same.
pub(in crate::secrets) fn is_public(name: &str) -> bool {
    let starts = |start: &&str| {
        name.len() > start.len() && name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    if OF_PAGES.iter().any(starts) {
        return true;
    }
    // Most names have neither word, and this says so sooner.
    let contains = |word: &str| crate::secrets::random::contains_ignoring_case(name.as_bytes(), word.as_bytes());
    if !contains("search") && !contains("browser") {
        return false;
    }
    let words = Words::of(name);
    let has = |list: &[&str]| words.all().iter().any(|word| is(list, word));
    has(&["browser"]) || has(&["search"]) && has(SEARCHES) && !has(&["admin", "write", "secret", "private", "master"])
}

/// Whether a name speaks of a key that others verify with, which goes by its fingerprint: GnuPG's, a host's.
pub(in crate::secrets) fn is_signing(name: &str) -> bool {
    const WORDS: &[&str] = &["gpg", "pgp", "gnupg", "signing", "host", "ssh", "hostkey", "apt"];
    Words::of(name).all().iter().any(|word| is(WORDS, word))
}

/// Whether a name speaks of a key that a key management service keeps, and that goes by an identifier.
pub(in crate::secrets) fn is_kept(name: &str) -> bool {
    Words::of(name).all().iter().any(|word| is(&["kms", "awskms", "gcpkms", "cmk", "cmek", "hsm"], word))
}

/// Whether a name speaks of a secret that a program signs with, which is never the name of an object.
pub(in crate::secrets) fn signs(name: &str) -> bool {
    const WORDS: &[&str] =
        &["jwt", "session", "cookie", "signing", "nextauth", "hmac", "csrf", "django", "flask", "encryption"];
    Words::of(name).all().iter().any(|word| is(WORDS, word))
}

/// Beginnings of names that a controller gives to digests of what it watches.
const OF_DIGESTS: &[&str] = &["STAKATER_"];

/// What a name says about a secret; `None` when it names none.
pub(in crate::secrets) fn head(name: &str) -> Option<Head> {
    let name = name.trim();
    if name.is_empty() || name.len() > 128 {
        return None;
    }
    // What stands before the slash of an annotation's key is a domain, or says that the rest is only about a secret.
    let (domain, name) = name.rsplit_once('/').unwrap_or(("", name));
    if is(&["checksum", "hash", "sha256", "sha"], domain) || OF_DIGESTS.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let words = Words::of(name);
    let mut words = words.all();
    while let Some((last, rest)) = words.split_last() {
        let digits = last.bytes().all(|b| b.is_ascii_digit());
        if rest.is_empty() || !(digits || is(HARMLESS_TAILS, last)) {
            break;
        }
        words = rest;
    }
    let (last, before) = words.split_last()?;
    let head = noun(last, before)?;
    // Asked last, as most names have no such noun.
    if matches!(head, Head::Token | Head::Key | Head::BareKey) && is_public(name) {
        return None;
    }
    (!before.iter().any(|word| is(ABOUT, word) && !(head == Head::Password && is(&["public"], word)))).then_some(head)
}

/// Whether a name's head is a password. Asked of every number: most names lack the two letters that every word for a password has.
pub(in crate::secrets) fn names_a_password(name: &str) -> bool {
    let has = |pair: &[u8]| matches!([pair[0] | 0x20, pair[1] | 0x20], [b'a', b's'] | [b'p', b's' | b'w']);
    name.as_bytes().windows(2).any(has) && head(name) == Some(Head::Password)
}

/// Words by which a name says that what it holds is none: `nonMatchingToken`, `FAKE_API_KEY`, `invalidPassword`.
const DENIALS: &[&str] = &["non", "fake", "dummy", "invalid", "mock", "wrong", "bogus", "revoked", "expired"];

/// Whether a name says itself that it holds no real secret.
pub(in crate::secrets) fn denies(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    Words::of(name).all().iter().any(|word| is(DENIALS, word))
}

/// The secret that the last word of a name stands for.
fn noun(last: &str, before: &[&str]) -> Option<Head> {
    let last = last.trim_end_matches(|c: char| c.is_ascii_digit());
    let previous = before.last().copied().unwrap_or_default();
    if ends(PASSWORD_ENDS, last) || is(PASSWORD_WORDS, last) || (ends(&["pass"], last) && !ends(NO_PASS, last)) {
        return Some(Head::Password);
    }
    if ends(&["secret"], last) {
        return Some(Head::Secret);
    }
    // SonarQube's scanner takes its token as `sonar.login`.
    let login = is(&["login"], last) && ends(&["sonar"], previous);
    if ends(&["token"], last) || (is(&["pat"], last) && !before.is_empty()) || login {
        return (!is(TOKEN_NOT_OF, previous)).then_some(Head::Token);
    }
    if ends(KEY_ENDS, last) {
        return Some(Head::Key);
    }
    if is(&["key"], last) || (is(&["keys"], last) && is(KEYS_OF, previous)) {
        if is(KEY_OF, previous) {
            return Some(Head::Key);
        }
        // "STRIPE_KEY", "uptimerobot_KEY": left to the value.
        return (!previous.is_empty() && !is(KEY_NOT_OF, previous)).then_some(Head::BareKey);
    }
    if is(CREDENTIAL_WORDS, last) {
        return Some(Head::Credential);
    }
    (is(AUTH_WORDS, last) || (is(&["header"], last) && is(HEADER_OF, previous))).then_some(Head::Authorization)
}

fn is(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn ends(list: &[&str], word: &str) -> bool {
    let word = word.as_bytes();
    list.iter()
        .any(|end| word.len() >= end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_for_a_password_has_its_two_letters() {
        for word in PASSWORD_ENDS.iter().chain(PASSWORD_WORDS).chain(&["pass"]) {
            assert_eq!(head(word), Some(Head::Password), "{word}");
            assert!(names_a_password(word) && names_a_password(&word.to_uppercase()), "{word}");
        }
        assert!(!names_a_password("port") && !names_a_password("DB_PASSWORD_LENGTH"));
    }

    #[test]
    fn the_head_decides() {
        for (name, expected) in [
            ("DB_PASSWORD", Some(Head::Password)),
            ("dbPassword", Some(Head::Password)),
            ("DBPASSWORD", Some(Head::Password)),
            ("password1", Some(Head::Password)),
            ("AWS_SECRET_ACCESS_KEY", Some(Head::Key)),
            ("SECRET_KEY_BASE", Some(Head::Key)),
            ("--auth-token", Some(Head::Token)),
            ("example.com/api-key", Some(Head::Key)),
            ("uptimerobot_KEY", Some(Head::BareKey)),
            ("DB_PASSWORD_FILE", None),
            ("secretName", None),
            ("tokenReview", None),
            ("CACHE_KEY", None),
            ("STRIPE_PUBLISHABLE_KEY", None),
            ("key", None),
            ("bypass", None),
            ("ALLOW_EMPTY_PASSWORD", None),
            ("author", None),
        ] {
            assert_eq!(head(name), expected, "{name}");
        }
    }
}
