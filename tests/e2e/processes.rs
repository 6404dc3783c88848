//! Child processes that never outlive the tests, each with its output in a file.
//!
//! Knows nothing of Kubernetes.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// One running program. Dropping it kills it and waits for its end, so fields of a struct end in their order.
pub struct Process {
    name: String,
    child: Mutex<Child>,
    log: PathBuf,
}

/// What to run: the words after the program, and variables added to the environment.
pub struct Program<'a> {
    /// Names the log file and appears in errors.
    pub name: &'a str,
    /// The file to run.
    pub path: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Variables on top of those of the tests.
    pub env: &'a [(&'a str, &'a str)],
}

impl Process {
    /// Starts the program; stdout and stderr go to `folder/NAME.log`.
    pub fn start(program: &Program<'_>, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{}.log", program.name));
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        // setpriv (util-linux) asks the kernel to kill the child when the tests die, however they die; it then becomes
        // the program, so the process id stays. Where it is missing, only a SIGKILL of the tests leaves children behind.
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(program.path);
                command
            }
            None => Command::new(program.path),
        };
        command
            .args(program.args)
            .envs(program.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: Ctrl-C reaches the tests only, and they end the children in order.
            .process_group(0);
        let child = spawn(command).with_context(|| format!("start {}", program.path.display()))?;
        Ok(Self { name: program.name.to_owned(), child: Mutex::new(child), log })
    }

    /// How it ended, when it has.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// Fails with the end of the log when the process is no longer there.
    pub fn check_running(&self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}); {}", self.name, self.tail(20)),
        }
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds of CPU so far.
    pub fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child().id()))?;
        // The second field, the name, may hold spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("stat")?.parse::<f64>()?) };
        #[expect(clippy::cast_precision_loss, reason = "100, as a rule")]
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok((ticks(11)? + ticks(12)?) / per_second)
    }

    /// The last lines of the log under a heading that names the file.
    pub fn tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
        format!("the end of {}:\n    {}", self.log.display(), last.join("\n    "))
    }

    /// Asks it to stop (SIGTERM); returns at once.
    pub fn terminate(&self) -> Result<()> {
        let mut child = self.child();
        // An ended child that was not waited for keeps its id, so the signal cannot reach another process.
        if child.try_wait()?.is_none() {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("process id out of range")?;
            kill_process(pid, Signal::TERM)?;
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub async fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        wait_for(&format!("the end of {}", self.name), deadline, async || self.ended())
            .await
            .with_context(|| self.tail(20))
    }

    /// Ends it at once (SIGKILL) and waits for that.
    pub fn kill(&self) {
        let mut child = self.child();
        // Both fail only when it has ended and was waited for.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns on a thread that lives as long as the tests: the kernel's "parent died" means the thread that spawned, and a
/// runtime's worker may end long before the process does.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // A caller that no longer listens has dropped its receiver; its child is killed with us.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let gone = || io::Error::other("the spawning thread is gone");
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file())
        })
        .as_deref()
}
