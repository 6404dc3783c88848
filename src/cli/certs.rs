//! `supercargo certs DIR`: certificates for development, on disk.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::pki::{self, Pem};

/// Make a development CA, a server pair and a client pair.
///
/// Writes ca.crt, ca.key, tls.crt, tls.key, client.crt and client.key into DIR. Overwrites nothing: when one of them is there,
/// none is written. The server certificate is good for localhost, its IP addresses, and the Service supercargo in
/// namespace supercargo. Production uses cert-manager or your own CA: see certs/README.md.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The folder; it is made when it is missing, readable by you alone
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// One more DNS name or IP address that the server answers to; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// How long they are good for
    #[arg(long, value_name = "N", default_value = "90", value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

/// Issues and writes.
#[expect(clippy::needless_pass_by_value, reason = "every command is called alike")]
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let now = jiff::Timestamp::now();
    let issued = pki::issue(&arguments.hosts, now, u32::from(arguments.days)).context("cannot issue certificates")?;
    let files = [
        ("ca.crt", &issued.authority.certificate, false),
        ("ca.key", &issued.authority.key, true),
        ("tls.crt", &issued.server.certificate, false),
        ("tls.key", &issued.server.key, true),
        ("client.crt", &issued.client.certificate, false),
        ("client.key", &issued.client.key, true),
    ];
    make_folder(folder)?;
    let there: Vec<_> = files.iter().map(|(name, ..)| *name).filter(|name| exists(&folder.join(name))).collect();
    if !there.is_empty() {
        bail!(
            "{} holds {} already, and nothing is overwritten: name another folder, or remove them first",
            folder.display(),
            there.join(", ")
        );
    }
    let mut out = std::io::stdout().lock();
    for (name, text, private) in files {
        let path = folder.join(name);
        write_new(&path, text, private).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "wrote {}", path.display())?;
    }
    let shown = folder.display();
    writeln!(out, "\nGood for {} days. Next:\n", arguments.days)?;
    writeln!(out, "  supercargo serve --tls-cert {shown}/tls.crt --tls-key {shown}/tls.key")?;
    Ok(ExitCode::SUCCESS)
}

/// Also true for a symlink that leads nowhere: writing would go through it.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn write_new(path: &Path, text: &Pem, private: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o644 });
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn certs(folder: &Path) -> anyhow::Result<ExitCode> {
        run(Arguments { folder: folder.to_owned(), hosts: vec![], days: 1 })
    }

    #[test]
    fn keys_are_private_and_nothing_is_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("new");
        certs(&folder).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for name in ["ca.key", "tls.key", "client.key"] {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }

        let before = std::fs::read(folder.join("client.key")).unwrap();
        for name in ["ca.crt", "ca.key", "tls.crt", "tls.key", "client.crt"] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        let error = certs(&folder).unwrap_err().to_string();
        assert!(error.contains("client.key already"), "{error}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(std::fs::read(folder.join("client.key")).unwrap(), before);
    }

    #[test]
    fn a_dangling_symlink_counts_as_there() {
        let base = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", base.path().join("tls.key")).unwrap();
        assert!(certs(base.path()).is_err());
    }
}
