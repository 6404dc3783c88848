//! How to mend a finding at its very place, ready to paste.
//!
//! Owns the words of the fixes. Sees the kind and the place of a secret, never its value.

use super::shell::COMMANDS;
use super::site::Site;
use super::{Certainty, Kind, Surface};
use crate::printable::printable;

/// The fix for a secret of `kind` at `site` of the object called `object`.
pub(super) fn of(kind: Kind, certainty: Certainty, site: &Site<'_>, inner: Option<&str>, object: &str) -> String {
    // These go into lines that we wrote, and may bring lines of their own.
    let object = printable(if object.is_empty() { "app" } else { object.trim_end_matches('-') });
    let key = inner.or(site.key).unwrap_or("value");
    let rotate =
        if certainty == Certainty::Certain { "The value counts as leaked: replace it at its issuer." } else { "" };
    if kind.issuer == "AWS" {
        return format!(
            "Give the pod an IAM role instead of keys: EKS Pod Identity, or IRSA with this on its ServiceAccount:\nmetadata:\n  annotations: {{eks.amazonaws.com/role-arn: \"arn:aws:iam::ACCOUNT:role/ROLE\"}}\n{rotate}"
        );
    }
    if kind.what.starts_with("user and password in base64") && site.surface != Surface::Probe {
        return format!(
            "Put registry credentials into a Secret of type kubernetes.io/dockerconfigjson and name it in imagePullSecrets, other ones into a Secret that is mounted as a file. {rotate}"
        );
    }
    let name = secret_key(key);
    let fix = match site.surface {
        Surface::Env => format!(
            "Put the value into a Secret and refer to it:\n- name: {}\n  valueFrom:\n    secretKeyRef: {{name: {object}-secrets, key: {name}}}",
            printable(site.key.unwrap_or("NAME"))
        ),
        Surface::Argument | Surface::Lifecycle => {
            // Of `mysql -pX` the key is the command.
            let command = inner.is_some_and(|inner| COMMANDS.iter().any(|command| command.trim() == inner));
            let variable = if command { format!("{}_PASSWORD", variable(key)) } else { variable(key) };
            let name = if command { format!("{name}-password") } else { name };
            format!(
                "Write $({variable}) in its place, and take it from a Secret:\nenv:\n- name: {variable}\n  valueFrom:\n    secretKeyRef: {{name: {object}-secrets, key: {name}}}"
            )
        }
        Surface::Probe => "Probes cannot read Secrets: let the probe ask an endpoint that needs no credentials, or use exec with a command that reads a mounted file.".to_owned(),
        Surface::ConfigMapData => format!(
            "Move it into a Secret and mount that as a file where the program looks for it:\nvolumes:\n- name: {object}-secrets\n  secret: {{secretName: {object}-secrets}}\nvolumeMounts:\n- {{name: {object}-secrets, mountPath: /etc/{object}, readOnly: true}}\nAn ExternalSecret can write the Secret: supercargo explain embedded-secret shows one."
        ),
        Surface::Annotation | Surface::Label => "Remove it: labels and annotations are readable by everyone who may list the object. Put the value into a Secret and write only its name here.".to_owned(),
        Surface::Image => format!("Remove the credentials from the reference and name a Secret of type kubernetes.io/dockerconfigjson:\nimagePullSecrets:\n- name: {object}-registry"),
        Surface::Volume => format!("Refer to a Secret: csi.nodePublishSecretRef, or secretRef of the volume, with\n{{name: {object}-secrets}}"),
        Surface::Other => format!("Put the value into a Secret and refer to it by name, as this kind allows:\nsecretKeyRef: {{name: {object}-secrets, key: {name}}}"),
    };
    // YAML to paste ends with its line.
    let between = if fix.contains('\n') { "\n" } else { " " };
    format!("{fix}{between}{rotate}").trim_end().to_owned()
}

/// `--admin-password` and `DB_PASSWORD` as keys of a Secret.
fn secret_key(key: &str) -> String {
    let key: String = key
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let key = key.trim_matches(['-', '.']);
    if key.is_empty() { "value".to_owned() } else { key.to_owned() }
}

/// `--admin-password` as a variable: `ADMIN_PASSWORD`.
fn variable(key: &str) -> String {
    let name: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = name.trim_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        "SECRET_VALUE".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::Path;
    use super::*;

    #[test]
    fn a_command_is_no_name_for_its_password() {
        let site = Site {
            path: &Path::ROOT,
            surface: Surface::Argument,
            container: None,
            key: None,
            within: "command",
            item: 0,
        };
        let fix = |inner| of(Kind { issuer: "", what: "password" }, Certainty::Certain, &site, Some(inner), "db");
        assert!(fix("mysql").starts_with("Write $(MYSQL_PASSWORD) in its place"), "{}", fix("mysql"));
        assert!(fix("mysql").contains("{name: db-secrets, key: mysql-password}"), "{}", fix("mysql"));
        assert!(fix("--admin-password").starts_with("Write $(ADMIN_PASSWORD) in"), "{}", fix("--admin-password"));
    }
}
