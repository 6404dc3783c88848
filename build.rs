//! Relative relocations are packed (`DT_RELR`) where the C library that the program is built beside reads them: of an idle `serve`
//! half a megabyte less is resident (docs/performance.md). glibc does from 2.36 on, so such a binary starts with no older one.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if reads_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the host, when it is what the program is built for, has glibc 2.36 or later.
fn reads_packed_relocations() -> bool {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if variable("HOST") != variable("TARGET") || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return false;
    }
    // `glibc 2.36`
    let Ok(printed) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let printed = String::from_utf8_lossy(&printed.stdout);
    let version = printed.split_whitespace().nth(1).and_then(|version| version.split_once('.'));
    version.is_some_and(|(major, minor)| (major.parse().ok(), minor.parse().ok()) >= (Some(2u32), Some(36u32)))
}
