//! The Dockerfile, as far as it can be tried without a Docker engine: what it copies exists, every target that Cargo wants has a
//! line that the Dockerfile finds, and the binary needs nothing that the last stage does not have. That it runs as a nobody on
//! a read-only root is tried with the binary itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Words of the `COPY` lines that name something in the project.
fn copied() -> Vec<String> {
    let dockerfile = read("Dockerfile");
    let lines =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.contains("--from="));
    lines.flat_map(|line| line.split_whitespace().rev().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn everything_it_copies_exists_and_is_let_through() {
    let ignore = read(".dockerignore");
    for path in copied() {
        assert!(root().join(&path).exists(), "{path} is copied, but is not there");
        assert!(
            ignore.lines().any(|line| line == format!("!{path}")),
            "{path} is copied, but .dockerignore keeps it out"
        );
    }
}

#[test]
fn everything_compiled_in_is_copied() {
    let mut sources = vec![root().join("src")];
    let copied = copied();
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for included in text.split("include_str!(").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            let included = included.replace("concat!(env!(", "");
            let known = copied.iter().any(|folder| included.contains(&format!("{folder}/")));
            assert!(
                known || !included.contains("../"),
                "{} includes {included}, which the Dockerfile does not copy",
                path.display()
            );
        }
    }
}

#[test]
fn every_target_has_a_path_line() {
    // The dependency layer makes an empty file for each `path = "….rs"` in Cargo.toml.
    let manifest = read("Cargo.toml");
    for section in ["[[test]]", "[[bench]]", "[[example]]"] {
        for target in manifest.split(section).skip(1) {
            let target = target.split("\n[").next().unwrap();
            assert!(
                target.lines().any(|line| line.starts_with("path = \"") && line.ends_with(".rs\"")),
                "{section}{target}"
            );
        }
    }
}

#[test]
fn its_toolchain_is_ours() {
    let channel = read("rust-toolchain.toml")
        .lines()
        .find_map(|line| Some(line.strip_prefix("channel = \"")?.trim_end_matches('"').to_owned()));
    let channel = channel.unwrap();
    assert!(read("Dockerfile").contains(&format!("rust:{channel}-slim-bookworm")));
    assert!(read("Dockerfile").contains(&format!("RUSTUP_TOOLCHAIN={channel}")));
}

#[test]
fn the_binary_needs_only_what_the_last_stage_has() {
    let libraries = Command::new("ldd").arg(env!("CARGO_BIN_EXE_supercargo")).output();
    let Ok(libraries) = libraries else { return eprintln!("skipped: there is no ldd here") };
    let text = String::from_utf8(libraries.stdout).unwrap();
    let needed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_whitespace().next()?.rsplit('/').next()).collect();
    // gcr.io/distroless/cc-debian12: glibc and libgcc.
    let there =
        ["linux-vdso.so.1", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
    let missing: Vec<_> = needed.iter().filter(|library| !there.contains(library)).collect();
    assert!(missing.is_empty(), "the last stage has no {missing:?}");
}

/// Needs root and mount namespaces, as CI has; says so where it cannot be tried.
#[test]
fn the_binary_runs_as_nobody_on_a_read_only_root() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("supercargo");
    std::fs::copy(env!("CARGO_BIN_EXE_supercargo"), &binary).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let script = "mount --make-rprivate / && mount -o remount,bind,ro / && cd / && ! touch /x 2>/dev/null \
                  && exec setpriv --reuid=65532 --regid=65532 --clear-groups env -i \"$0\" explain required-limits";
    let run = Command::new("unshare").args(["--mount", "sh", "-c", script]).arg(&binary).output();
    match run {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("required-limits"));
        }
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("not permitted") => {
            eprintln!("skipped: no mount namespaces here");
        }
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: {error}"),
    }
}
