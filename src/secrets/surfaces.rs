//! Where in an object strings stand that can hold a secret, and what is name and what is value there.
//!
//! One walk over the tree in the order of the document, for kinds that are known and kinds that are not: env lists, commands, probes and
//! metadata look the same wherever a pod spec is embedded. Knows no secret.

use crate::tree::Node;

use super::Surface;
use super::classify::{self, Manner};
use super::leads;
use super::scanner::{SHORTEST, Scanner};
use super::site::{Path, Site};
use super::{binary, shell};

/// What is known of the place that the walk has come to.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a Path<'a>,
    container: Option<&'a str>,
    surface: Surface,
    /// The probe, hook or volume around it.
    within: &'a str,
    /// Whether it belongs to what answers a certificate authority's challenge.
    acme: bool,
    /// The text here, when it was looked through with its neighbours and has no lead.
    quiet: Option<&'a str>,
}

/// Items of a list whose texts are looked through together.
const TOGETHER: usize = 8;

impl<'a> At<'a> {
    fn site(&self, key: Option<&'a str>) -> Site<'a> {
        Site { path: self.path, surface: self.surface, container: self.container, key, within: self.within, item: 0 }
    }
}

/// Kinds whose fields hold ciphertext, references or schemas, and the one whose values are never read.
#[rustfmt::skip] // a list of words
const SKIPPED_KINDS: &[&str] = &[
    "Secret", "SealedSecret", "CustomResourceDefinition", "ExternalSecret", "ClusterExternalSecret", "PushSecret", "SecretStore",
    "ClusterSecretStore", "VaultStaticSecret", "VaultDynamicSecret", "VaultPKISecret", "SecretProviderClass", "SopsSecret", "OnePasswordItem",
    "BitwardenSecret", "InfisicalSecret", "DopplerSecret",
];

/// Fields that hold no secret whatever they are called: references by name, bookkeeping, schemas.
#[rustfmt::skip] // a list of words
const SKIPPED_FIELDS: &[&str] = &[
    "apiVersion", "kind", "managedFields", "caBundle", "valueFrom", "secretKeyRef", "configMapKeyRef", "envFrom", "imagePullSecrets",
    "openAPIV3Schema", "secretRef", "secretKeySelector", "ownerReferences", "resources", "ports", "selector", "matchLabels", "matchExpressions",
    "volumeMounts", "creationTimestamp", "uid", "resourceVersion", "namespace", "fieldRef", "resourceFieldRef", "nodePublishSecretRef",
    "configMapRef", "imagePullPolicy", "terminationMessagePath", "restartPolicy", "dnsPolicy", "schedulerName", "securityContext", "affinity",
    "tolerations", "strategy", "secretName", "remoteRef", "encryptedData", "status",
];

/// The same as a hash table: a field stands at its slot, or right behind others of it.
static SKIPPED: [&str; SLOTS] = {
    let mut table = [""; SLOTS];
    let mut next = 0;
    while next < SKIPPED_FIELDS.len() {
        let field = SKIPPED_FIELDS[next];
        let mut at = slot(field.as_bytes());
        while !table[at].is_empty() {
            at = (at + 1) % SLOTS;
        }
        table[at] = field;
        next += 1;
    }
    table
};
const SLOTS: usize = 256;

const fn slot(field: &[u8]) -> usize {
    match field {
        [first, .., last] => (*first as usize + 8 * field.len() + 32 * *last as usize) % SLOTS,
        _ => 0,
    }
}

fn is_skipped(field: &str) -> bool {
    let mut at = slot(field.as_bytes());
    while !SKIPPED[at].is_empty() && SKIPPED[at] != field {
        at = (at + 1) % SLOTS;
    }
    !SKIPPED[at].is_empty()
}

/// The last of what kubectl was given, verbatim: the live fields are judged, and the author cannot edit this.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The label of the pods that cert-manager makes, in their user's namespace, to answer a challenge over HTTP.
const SOLVER: &str = "acme.cert-manager.io/http01-solver";

/// Whether an object answers a challenge of ACME: the pod that does, or the order to do so.
fn answers_a_challenge(object: &Node<'_>, kind: &str) -> bool {
    kind == "Challenge" && object.str("apiVersion").is_some_and(|version| version.starts_with("acme."))
        || object.path(&["metadata", "labels", SOLVER]).is_some()
}

/// What a challenge's `token` and `key` hold is what everybody shall read there (RFC 8555, 8.1): random letters, and the same with the digest
/// of a public key behind a dot.
fn is_of_a_challenge(name: &str, value: &str) -> bool {
    let name = name.trim_start_matches('-');
    let random = |part: &str| {
        (22..=128).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    match value.split_once('.') {
        None => name == "token" && random(value),
        Some((token, digest)) => name == "key" && random(token) && digest.len() == 43 && random(digest),
    }
}

/// Every string of `object`.
pub(super) fn walk(object: &Node<'_>, scanner: &mut Scanner<'_>) {
    let at = At { path: &Path::ROOT, container: None, surface: Surface::Other, within: "", acme: false, quiet: None };
    node(object, "", at, scanner);
}

fn node<'a>(value: &'a Node<'a>, key: &'a str, at: At<'a>, scanner: &mut Scanner<'_>) {
    match value {
        Node::String(text) => {
            let manner = if at.surface == Surface::Volume { Manner::Field } else { Manner::Loose };
            if at.acme && is_of_a_challenge(key, text) {
                scanner.literal(&at.site(Some(key)), text);
                return;
            }
            scanner.pair(&at.site((!key.is_empty()).then_some(key)), key, text, manner, at.quiet);
        }
        Node::Array(items) => {
            for (group, items) in items.chunks(TOGETHER).enumerate() {
                let whole = items.first_chunk().filter(|_| !scanner.exhausted());
                let quiet = whole.map_or([None; TOGETHER], quiet);
                for (place, item) in items.iter().enumerate() {
                    let path = at.path.index(group * TOGETHER + place);
                    node(item, key, At { path: &path, quiet: quiet[place], ..at }, scanner);
                }
            }
        }
        Node::Object(_) => object(value, at, scanner),
        // A password of digits that nobody quoted.
        Node::Number(number) if classify::names_a_password(key) => {
            scanner.pair(&at.site(Some(key)), key, &number.to_string(), Manner::Loose, None);
        }
        Node::Null | Node::Bool(_) | Node::Number(_) => {}
    }
}

/// `{name: X, value: Y}`, the shape of env and of most parameter lists.
fn parameter<'a>(value: &'a Node<'a>) -> Option<(&'a str, &'a str)> {
    let members = value.as_object().filter(|members| members.len() <= 4)?;
    let (mut name, mut key, mut text) = (None, None, None);
    for (field, member) in members.iter() {
        match field {
            "name" => name = member.as_str(),
            "key" => key = member.as_str(),
            "value" => text = member.as_str(),
            _ => {}
        }
    }
    Some((name.or(key)?, text?))
}

/// Of some items, the text of each that has no lead. (Of few of them it would cost more than it saves.)
fn quiet<'a>(items: &'a [Node<'a>; TOGETHER]) -> [Option<&'a str>; TOGETHER] {
    let text = |item: &'a Node<'a>| item.as_str().or_else(|| Some(parameter(item)?.1));
    leads::quiet(items.each_ref().map(|item| text(item).filter(|text| text.len() >= SHORTEST)))
}

fn object<'a>(value: &'a Node<'a>, at: At<'a>, scanner: &mut Scanner<'_>) {
    let Some(members) = value.as_object() else { return };
    if scanner.exhausted() {
        return;
    }
    let kind = value.str("kind").unwrap_or_default();
    if !kind.is_empty() && value.get("apiVersion").is_some() && SKIPPED_KINDS.contains(&kind) {
        return metadata_only(value, at, scanner);
    }
    if let Some((name, text)) = parameter(value) {
        let path = at.path.key("value");
        let manner = if matches!(at.surface, Surface::Env | Surface::Probe) { Manner::Field } else { Manner::Loose };
        scanner.pair(&At { path: &path, ..at }.site(Some(name)), name, text, manner, at.quiet);
        return;
    }
    let config_map = kind == "ConfigMap";
    let at = At { acme: at.acme || answers_a_challenge(value, kind), ..at };
    for (key, member) in members.iter() {
        if is_skipped(key) {
            continue;
        }
        let path = at.path.key(key);
        let below = At { path: &path, ..at };
        match (key, member) {
            (
                "name" | "generateName" | "nodeName" | "hostname" | "serviceName" | "serviceAccountName"
                | "priorityClassName",
                Node::String(_),
            ) => {}
            ("data" | "binaryData", Node::Object(_)) if config_map => data(member, key == "binaryData", below, scanner),
            ("metadata", Node::Object(_)) => metadata(member, below, scanner),
            ("env", Node::Array(_)) => node(member, key, At { surface: Surface::Env, ..below }, scanner),
            ("containers" | "initContainers" | "ephemeralContainers", Node::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.index(index);
                    node(item, key, At { path: &path, container: item.str("name"), ..at }, scanner);
                }
            }
            ("livenessProbe" | "readinessProbe" | "startupProbe", Node::Object(_)) => {
                node(member, key, At { surface: Surface::Probe, within: key, ..below }, scanner);
            }
            ("lifecycle", Node::Object(_)) => {
                node(member, key, At { surface: Surface::Lifecycle, within: key, ..below }, scanner);
            }
            ("command" | "args", Node::Array(items)) => arguments(value, key, items, below, scanner),
            ("image", Node::String(text)) => {
                scanner.literal(&At { surface: Surface::Image, ..below }.site(None), text);
            }
            ("volumes", Node::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.index(index);
                    let within = item.str("name").unwrap_or_default();
                    node(item, key, At { path: &path, surface: Surface::Volume, within, ..at }, scanner);
                }
            }
            _ => node(member, key, below, scanner),
        }
    }
}

/// Labels and annotations; everything else in `metadata` is a name or bookkeeping.
fn metadata<'a>(value: &'a Node<'a>, at: At<'a>, scanner: &mut Scanner<'_>) {
    for (field, surface) in [("labels", Surface::Label), ("annotations", Surface::Annotation)] {
        let Some(Node::Object(map)) = value.get(field) else { continue };
        let fields = at.path.key(field);
        for (key, member) in map.iter() {
            let Some(text) = member.as_str().filter(|_| key != LAST_APPLIED) else { continue };
            let path = fields.key(key);
            scanner.pair(&At { path: &path, surface, ..at }.site(Some(key)), key, text, Manner::Loose, None);
        }
    }
}

fn metadata_only<'a>(value: &'a Node<'a>, at: At<'a>, scanner: &mut Scanner<'_>) {
    if let Some(member) = value.get("metadata").filter(|_| value.str("kind") != Some("Secret")) {
        let path = at.path.key("metadata");
        metadata(member, At { path: &path, ..at }, scanner);
    }
}

/// `data` and `binaryData` of a ConfigMap: a value under a name, or a whole file.
fn data<'a>(value: &'a Node<'a>, encoded: bool, at: At<'a>, scanner: &mut Scanner<'_>) {
    let Some(members) = value.as_object() else { return };
    for (key, member) in members.iter() {
        let Some(text) = member.as_str() else { continue };
        let path = at.path.key(key);
        let site = At { path: &path, surface: Surface::ConfigMapData, ..at }.site(Some(key));
        if encoded {
            if let Some(text) = binary::text(text) {
                file(&site, key, &text, scanner);
            }
        } else {
            file(&site, key, text, scanner);
        }
    }
}

fn file(site: &Site<'_>, key: &str, text: &str, scanner: &mut Scanner<'_>) {
    let name = key.trim_start_matches('.');
    if name == "pgpass" || name == "pgpass.conf" {
        let mut found = false;
        for (line, content) in text.lines().enumerate() {
            if let Some(range) = super::structured::pgpass(content) {
                found |= scanner.password(site, None, &content[range], Some(line + 1));
            }
        }
        if found {
            return;
        }
    }
    scanner.pair(site, key, text, Manner::Field, None);
}

/// `command` and `args`: each item as a text, a flag with the item after it, and commands that have notations of their own.
fn arguments<'a>(
    container: &'a Node<'a>,
    field: &'a str,
    items: &'a [Node<'a>],
    at: At<'a>,
    scanner: &mut Scanner<'_>,
) {
    let within = if at.surface == Surface::Other { field } else { at.within };
    let surface = if at.surface == Surface::Other { Surface::Argument } else { at.surface };
    // `command: [mysql]` with `args: [-pX]` is one command line.
    let command = if field == "args" { container.items("command") } else { &[] };
    let mut line = Vec::with_capacity(command.len() + items.len());
    line.extend(command.iter().filter_map(Node::as_str));
    let lead = line.len();
    line.extend(items.iter().map(|item| item.as_str().unwrap_or_default()));
    let words = &line[lead..];
    let own = shell::password(&line).and_then(|(word, range)| Some((word.checked_sub(lead)?, range)));
    let mut skip = None;
    for (index, word) in words.iter().enumerate() {
        let path = at.path.index(index);
        let site = Site { path: &path, surface, container: at.container, key: None, within, item: index };
        if skip == Some(index) {
            continue;
        }
        if let Some((_, range)) = own.as_ref().filter(|(word, _)| *word == index)
            && scanner.password(&site, None, &word[range.clone()], None)
        {
            continue;
        }
        let of_a_challenge = |(name, value): (&str, &str)| at.acme && is_of_a_challenge(name, value);
        if word.split_once('=').is_some_and(of_a_challenge) {
            scanner.literal(&site, word);
            continue;
        }
        let flag = word.starts_with('-') && !word.contains(['=', ' ', '\n']);
        if let Some(value) = words.get(index + 1).filter(|next| flag && !next.starts_with("--")) {
            let path = at.path.index(index + 1);
            let site = Site { path: &path, key: Some(word), item: index + 1, ..site };
            let next_is_own = own.as_ref().is_some_and(|(word, _)| *word == index + 1);
            if of_a_challenge((word, value)) {
                scanner.literal(&site, value);
                skip = Some(index + 1);
            } else if !next_is_own {
                scanner.pair(&site, word, value, Manner::Field, None);
                skip = Some(index + 1);
            }
            continue;
        }
        scanner.text(&site, word);
    }
}
