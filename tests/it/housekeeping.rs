//! manifests/efs/clear-stale: the very command of the CronJob, on a tree of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

const MARKER: &str = ".supercargo-fetched";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A volume, and who clears it.
struct Volume {
    root: TempDir,
    /// Where the tools are, when they are not this machine's own: links to busybox.
    tools: Option<TempDir>,
}

/// One volume for this machine's own tools, and one for busybox's where that is installed, as in the CronJob's image.
fn volumes() -> Vec<Volume> {
    let new = |tools| Volume { root: tempfile::tempdir().unwrap(), tools };
    let busybox = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("busybox"))
        .find(|file| file.is_file());
    let busybox = busybox.map(|busybox| {
        let tools = tempfile::tempdir().unwrap();
        for tool in ["sh", "find", "rm", "mv", "mktemp", "chmod"] {
            symlink(&busybox, tools.path().join(tool)).unwrap();
        }
        tools
    });
    [Some(new(None)), busybox.map(|tools| new(Some(tools)))].into_iter().flatten().collect()
}

/// The command of a manifest's container.
fn command(manifest: &str, container: &str) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(manifest);
    let job: Value = serde_saphyr::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    let container = job.pointer(container).unwrap();
    let words = ["command", "args"].into_iter().flat_map(|list| container[list].as_array().into_iter().flatten());
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

impl Volume {
    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// A file, and everything above it, that was last changed so long ago.
    fn file(&self, path: &str, age: Duration) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "x").unwrap();
        for path in file.ancestors().take_while(|path| *path != self.root.path()) {
            touch(path, age);
        }
    }

    /// A repository that was fetched, or scanned, so long ago.
    fn repository(&self, path: &str, age: Duration) {
        self.file(&format!("{path}/src/main.c"), age);
        self.file(&format!("{path}/{MARKER}"), age);
    }

    /// Runs the command, with the volume where the pod has it.
    fn clear_with(&self, path: Option<&Path>) -> Output {
        let container = "/spec/jobTemplate/spec/template/spec/containers/0";
        let words = command("efs/clear-stale/cronjob.yaml", container);
        let words: Vec<String> = words.iter().map(|word| word.replace("cd /sources", "cd \"$VOLUME\"")).collect();
        assert!(words.concat().contains("$VOLUME"));
        let mut command = match &self.tools {
            Some(tools) => {
                let mut command = Command::new(tools.path().join(&words[0]));
                command.env("PATH", tools.path());
                command
            }
            None => Command::new(&words[0]),
        };
        if let Some(path) = path {
            command.env("PATH", path);
        }
        command.args(&words[1..]).env("VOLUME", self.root.path()).output().unwrap()
    }

    /// Runs the command, and says what it printed.
    fn clear(&self) -> String {
        let output = self.clear_with(None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let left = fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let trash: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(".trash-")).collect();
        assert!(trash.is_empty(), "{trash:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A PATH on which a tool does something else before it does what it should.
fn instead_of(tool: &str, first: &str) -> (TempDir, String) {
    let (tools, path) = (tempfile::tempdir().unwrap(), std::env::var("PATH").unwrap());
    script(&tools.path().join(tool), &format!("{first}\nPATH='{path}'\nexec {tool} \"$@\""));
    let path = format!("{}:{path}", tools.path().display());
    (tools, path)
}

/// An executable. Another process writes it: a file that this one has open, when another test's thread forks, could not be executed.
fn script(file: &Path, lines: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 0700 "$0""#;
    let file = file.to_str().unwrap();
    assert!(Command::new("sh").args(["-c", write, file, lines]).status().unwrap().success());
}

fn touch(path: &Path, age: Duration) {
    fs::File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn a_repository_goes_when_nobody_fetched_or_scanned_it_for_a_week() {
    for volume in volumes() {
        let hour = Duration::from_secs(60 * 60);
        volume.repository("scans/old", DAY * 7 + hour);
        volume.repository("scans/new", DAY * 6 + hour * 23);
        // Fetched long ago, and scanned this morning.
        volume.repository("scans/scanned", DAY * 30);
        touch(&volume.path("scans/scanned").join(MARKER), hour);
        volume.repository("scans/.trash-x", DAY * 30);
        assert_eq!(volume.clear().lines().count(), 2);
        assert!(!volume.exists("scans/old") && !volume.exists("scans/.trash-x"));
        assert!(volume.exists("scans/new/src/main.c") && volume.exists("scans/scanned/src/main.c"));
    }
}

#[test]
fn an_old_folder_with_a_new_repository_in_it_stays() {
    for volume in volumes() {
        volume.repository("scans/team/web-shop", Duration::ZERO);
        volume.repository("scans/team/cart", DAY * 30);
        touch(&volume.path("scans/team"), DAY * 30);
        touch(&volume.path("scans"), DAY * 30);
        // `team` as a source of its own, beside those in it.
        volume.repository("scans/both/web-shop", Duration::ZERO);
        volume.file(&format!("scans/both/{MARKER}"), DAY * 30);
        volume.clear();
        assert!(volume.exists("scans/team/web-shop/src/main.c") && !volume.exists("scans/team/cart"));
        assert!(volume.exists("scans/both/web-shop/src/main.c"));
    }
}

#[test]
fn what_has_no_marker_stays() {
    for volume in volumes() {
        volume.file("scans/half/src/main.c", DAY * 30);
        volume.file("scans/.trash-x/main.c", DAY * 30);
        volume.file("somebody/else", DAY * 30);
        assert_eq!(volume.clear(), "");
        assert!(volume.exists("scans/half/src/main.c") && volume.exists("somebody/else"));
        assert!(volume.exists("scans/.trash-x/main.c"), "only the volume's own root has trash");
    }
}

/// A part of a repository that went would be a part that the next scan does not see.
#[test]
fn a_repository_that_brings_markers_is_not_cleared_in_parts() {
    for volume in volumes() {
        volume.repository("scans/new", Duration::ZERO);
        volume.repository("scans/new/vendor/hidden", DAY * 30);
        touch(&volume.path("scans/new").join(MARKER), Duration::ZERO);
        volume.file("scans/linked/src/main.c", Duration::ZERO);
        let link = volume.path("scans/linked").join(MARKER);
        symlink("src/main.c", &link).unwrap();
        let old = Command::new("touch").args(["-h", "-d", "30 days ago"]).arg(&link).status();
        assert!(old.unwrap().success());
        assert_eq!(volume.clear(), "");
        assert!(volume.exists("scans/new/vendor/hidden/src/main.c") && volume.exists("scans/linked/src/main.c"));
    }
}

#[test]
fn links_lead_nowhere() {
    for volume in volumes() {
        let other = Volume { root: tempfile::tempdir().unwrap(), tools: None };
        other.repository("victim", DAY * 30);
        volume.repository("scans/old", DAY * 30);
        symlink(other.path("victim"), volume.path("scans/old/inside")).unwrap();
        symlink(other.path("victim"), volume.path("scans/beside")).unwrap();
        symlink(other.path("victim"), volume.path(".trash-link")).unwrap();
        volume.clear();
        assert!(!volume.exists("scans/old") && volume.exists("scans/beside"));
        assert!(other.exists("victim/src/main.c"));
    }
}

#[test]
fn the_next_run_removes_what_one_that_was_cut_off_left() {
    for volume in volumes() {
        volume.file(".trash-abc123/old/src/main.c", Duration::ZERO);
        // Folders that cannot be written to, as Go's module cache is.
        volume.file(".trash-def456/old/src/main.c", Duration::ZERO);
        fs::set_permissions(volume.path(".trash-def456/old/src"), fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(volume.clear(), "");
    }
}

#[test]
fn names_may_have_anything_in_them() {
    for volume in volumes() {
        let names = ["a b", "new\nline", "-rf", "$(x)", "'\"`", "*", "ä"];
        for name in names {
            volume.repository(&format!("scans/{name}"), DAY * 30);
            volume.repository(&format!("scans/kept {name}"), Duration::ZERO);
        }
        volume.clear();
        for name in names {
            assert!(!volume.exists(&format!("scans/{name}")), "{name}");
            assert!(volume.exists(&format!("scans/kept {name}/src/main.c")), "{name}");
        }
    }
}

/// A scan touches the marker between the look at it and the rename.
#[test]
fn a_scan_that_begins_meanwhile_keeps_its_sources() {
    let volume = volumes().remove(0);
    volume.repository("scans/old", DAY * 30);
    let (_tools, path) = instead_of("mktemp", &format!("touch \"$VOLUME/scans/old/{MARKER}\""));
    let output = volume.clear_with(Some(Path::new(&path)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(volume.exists("scans/old/src/main.c"));
}

#[test]
fn a_job_that_could_not_clear_all_fails() {
    let volume = volumes().remove(0);
    volume.repository("scans/stuck", DAY * 30);
    volume.repository("scans/tidy", DAY * 30);
    let (_tools, path) = instead_of("mv", "case $1 in */stuck) echo no >&2; exit 1;; esac");
    let output = volume.clear_with(Some(Path::new(&path)));
    assert_eq!(output.status.code(), Some(1));
    assert!(volume.exists("scans/stuck/src/main.c") && !volume.exists("scans/tidy"));
}

#[test]
fn the_example_fetches_once_and_scans_nothing_that_is_not_whole() {
    let (file, pod) = ("examples/good/fetch-and-scan.yaml", "/spec/template/spec");
    let volume = Volume { root: tempfile::tempdir().unwrap(), tools: None };
    let src = volume.path("src");
    fs::create_dir(&src).unwrap();
    // Git unpacks a link that is called as the marker, and fails where it is not alone.
    let git = format!(
        "[ -z \"$(ls -A)\" ] || exit 7\necho x >main.c; ln -s /nowhere/x {MARKER}; echo >>../fetches; exit $FAILS"
    );
    let (tools, path) = instead_of("git", &git);
    script(&tools.path().join("scanner"), "");
    let run = |container: &str, fails: &str| {
        let words: Vec<String> = command(file, &format!("{pod}/{container}"))
            .iter()
            .map(|word| word.replace("/src", src.to_str().unwrap()))
            .collect();
        let output = Command::new(&words[0]).args(&words[1..]).env("PATH", &path).env("FAILS", fails).output();
        output.unwrap().status.success()
    };
    assert!(!run("containers/0", "0"), "an empty folder was scanned");
    assert!(!run("initContainers/0", "1") && !run("containers/0", "0"), "half a repository was scanned");
    assert!(run("initContainers/0", "0") && run("containers/0", "0"));
    let marker = src.join(MARKER);
    assert!(marker.symlink_metadata().unwrap().is_file());
    touch(&marker, DAY * 3);
    assert!(run("initContainers/0", "0"));
    assert!(marker.metadata().unwrap().modified().unwrap() > SystemTime::now() - DAY);
    assert_eq!(fs::read_to_string(volume.path("fetches")).unwrap().lines().count(), 2, "it was fetched again");
}
