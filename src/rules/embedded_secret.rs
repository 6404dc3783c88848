//! `embedded-secret`: a secret stands in a manifest, for everyone to read who may read the object.

use schemars::JsonSchema;
use serde::Deserialize;

use super::searched::Sort;
use super::{Catalogue, Check, Input, Rule, Standing, compile, everything, parameters};
use crate::finding::{Action, Finding};
use crate::secrets::{self, Detection};

pub(super) const RULE: Rule = Rule {
    id: "embedded-secret",
    summary: "A password, token or private key written into a manifest",
    looks_at: "env, command, args, probes, lifecycle hooks, annotations, labels, image references and volume attributes of every kind with a pod spec; data and binaryData of ConfigMaps",
    sees: everything,
    default: Action::Deny,
    standing: Standing::Listed,
    searches: true,
    why: "Who may read a Deployment or ConfigMap is far more than who may read a Secret, and manifests lie in git, in backups and in kubectl's history for good.",
    fix: "Put the value into a Secret and refer to it with secretKeyRef or a mounted file. Then change the secret: it has been seen.",
    bad: "env:\n  - name: DB_PASSWORD\n    value: (the password itself)\n",
    good: "env:\n  - name: DB_PASSWORD\n    valueFrom: {secretKeyRef: {name: db, key: password}}\n---\n# and the Secret, from where your secrets are kept\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: db}\nspec:\n  secretStoreRef: {kind: ClusterSecretStore, name: vault}\n  data: [{secretKey: password, remoteRef: {key: shop/db, property: password}}]\n",
    catalogue: Some(catalogue),
    parameters: parameters::<EmbeddedSecret>,
    compile: compile::<EmbeddedSecret>,
};

/// The formats of layer A.
fn catalogue() -> Catalogue {
    let describe = |entry: &secrets::Entry| {
        let prefix = entry.prefix().map(|prefix| format!(" ({prefix}…)")).unwrap_or_default();
        format!("{}{prefix}", secrets::Kind { issuer: entry.issuer, what: entry.what })
    };
    let mut lines: Vec<_> = secrets::entries().map(|entry| (entry.id, describe(entry))).collect();
    lines.sort_by_cached_key(|(id, description)| (description.to_lowercase(), *id));
    Catalogue { of: "formats of tokens that it knows wherever they stand", lines }
}

/// What counts as a secret beyond what always does.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct EmbeddedSecret {
    /// Whether hashes of passwords (bcrypt, crypt, `{SHA}`, argon2) count as secrets, too: who has one can try passwords on it in peace.
    password_hashes: bool,
    /// Whether a token whose own checksum is wrong, and that no name gives away, is only warned about. Documentation and tests
    /// are full of them; so is a manifest whose author mistyped the token.
    trust_checksums: bool,
}

impl Check for EmbeddedSecret {
    fn check(&self, input: &Input<'_>, found: &mut Vec<Finding>) {
        for one in input.searched().findings.iter().filter(|one| one.finding.rule == RULE.id) {
            if one.sort == Sort::PasswordHash && !self.password_hashes {
                continue;
            }
            let mut finding = one.finding.clone();
            if one.sort == Sort::Doubtful && self.trust_checksums {
                finding.at_most = Action::Warn;
            }
            found.push(finding);
        }
    }

    fn wants_password_hashes(&self) -> bool {
        self.password_hashes
    }
}

/// What `embedded-secret` or `weak-credential` says of a detection: where and which kind, never any of the value.
pub(super) fn message(detection: &Detection<'_>) -> String {
    let prefix = detection.known_prefix.map(|prefix| format!(" ({prefix}…)")).unwrap_or_default();
    let kind = detection.kind.to_string();
    let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{} holds {article} {kind}{prefix}", detection.place())
}
