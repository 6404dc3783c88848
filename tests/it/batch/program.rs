//! The binary, with what it has said so far.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::api::Api;

/// Far longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `supercargo batch batch.json`; dropping it kills it.
pub struct Batch {
    child: Child,
    out: Heard<ChildStdout>,
    err: Option<Heard<ChildStderr>>,
    _folder: TempDir,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

struct Heard<R> {
    lines: Lines<BufReader<R>>,
    text: String,
}

impl Batch {
    /// Starts it in a folder of its own, with a file of these jobs.
    pub async fn start(api: &Api, jobs: &[&str], options: &[&str]) -> Batch {
        Batch::start_with(api, &super::file(jobs), options).await
    }

    /// The same with this file.
    pub async fn start_with(api: &Api, file: &Value, options: &[&str]) -> Batch {
        Batch::start_on(api, file, options, Stdio::piped()).await
    }

    /// The same, with its stderr somewhere else.
    pub async fn start_on(api: &Api, file: &Value, options: &[&str], stderr: Stdio) -> Batch {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("batch.json"), file.to_string()).unwrap();
        std::fs::write(folder.path().join("kubeconfig"), api.serve().await).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_supercargo"))
            .args(["batch", "batch.json", "--kubeconfig", "kubeconfig"])
            .args(options)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (out, err) = (Heard::new(child.stdout.take().unwrap()), child.stderr.take().map(Heard::new));
        Batch { child, out, err, _folder: folder }
    }

    /// Waits until stdout holds these words.
    pub async fn says(&mut self, words: &str) {
        assert!(self.out.until(words).await, "{words:?} is not said, but\n{}", self.out.text);
    }

    /// Waits until stderr holds these words.
    pub async fn complains(&mut self, words: &str) {
        let err = self.err.as_mut().unwrap();
        assert!(err.until(words).await, "{words:?} is not said, but\n{}", err.text);
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> Ended {
        let err = async {
            let mut err = self.err?;
            err.until_the_end().await;
            Some(err.text)
        };
        let ((), err) = tokio::join!(self.out.until_the_end(), err);
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        Ended { code: status.code().unwrap(), out: self.out.text, err: err.unwrap_or_default() }
    }
}

impl<R: AsyncRead + Unpin> Heard<R> {
    fn new(pipe: R) -> Heard<R> {
        Heard { lines: BufReader::new(pipe).lines(), text: String::new() }
    }

    async fn until(&mut self, words: &str) -> bool {
        while !self.text.contains(words) {
            match timeout(PATIENCE, self.lines.next_line()).await {
                Ok(Ok(Some(line))) => self.text += &format!("{line}\n"),
                _ => return false,
            }
        }
        true
    }

    async fn until_the_end(&mut self) {
        // A line that is never said.
        assert!(!self.until("\u{0}").await);
    }
}
