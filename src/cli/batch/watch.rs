//! The Jobs of a batch, made in a cluster and watched: the loop, the terminal, the end.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use kube::Client;

use super::{Text, seconds};
use crate::batch::{self, Batch, Options, Planned, Progress};
use crate::cli::{CLEAN, FAILED, REFUSED, colours, complain};
use crate::cluster::ask;
use crate::cluster::batch::{Input, look, make, nodes, remove, said, watch};
use crate::fields::Problems;
use crate::output::count;

/// How often the bar and the time on it move.
const STEP: Duration = Duration::from_millis(200);

/// What is taken in before something is printed.
const AT_ONCE: usize = 1000;

/// How long the API server may take to delete what was made.
const CLEANUP: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
#[group(id = "watching")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Arguments {
    /// Watch the jobs until all have ended (this is what happens anyway)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Make the Jobs, and do not wait for them
    #[arg(long, overrides_with = "wait", conflicts_with_all = ["cleanup", "timeout"])]
    no_wait: bool,
    /// Make nothing: watch the Jobs of run --run that are there. What has ended longer than --keep ago is not, and would be made anew otherwise
    #[arg(long, requires = "run", conflicts_with_all = ["no_wait", "output"])]
    only_watch: bool,
    /// Delete the Jobs at the end, however it ends
    #[arg(long, conflicts_with = "output")]
    cleanup: bool,
    /// Stop watching after this time
    #[arg(long, value_name = "DURATION", value_parser = seconds, conflicts_with = "output")]
    timeout: Option<u32>,
    /// An autoscaler adds larger nodes than there are: refuse no job for its size
    #[arg(long, conflicts_with = "output")]
    scale_up: bool,
    /// Which cluster, and as whom, instead of what KUBECONFIG or the pod's service account say
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    kubeconfig: Option<PathBuf>,
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Nothing more is to come.
    Done,
    Interrupted,
    TimedOut,
}

pub(super) fn run(text: &Text, batch: &Batch, mut options: Options, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ask(arguments.kubeconfig.as_deref(), async |client| {
        options.namespace.get_or_insert_with(|| client.default_namespace().to_owned());
        let sizes = nodes(&client).await;
        let (nodes, known) = match sizes {
            Ok(nodes) => (nodes, true),
            // Whoever may make Jobs in a namespace need not be allowed to see nodes.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                complain("note", format_args!("sizes are not checked, and there is no bound: {}", status.message));
                (Vec::new(), false)
            }
            Err(error) => anyhow::bail!("cannot ask the cluster: {}", said(&error)),
        };
        let sizes = if arguments.scale_up { Problems::default() } else { batch::too_large(batch, &nodes) };
        let too_large = !sizes.is_empty();
        let names = batch::same_names(batch, options.namespace.as_deref());
        text.judge_again([sizes, names]).inspect_err(|_| {
            if too_large {
                complain("note", "when an autoscaler adds larger nodes than there are, say so with --scale-up");
            }
        })?;
        let planned = batch::plan(batch, &options);
        let mut progress = Progress::new(&planned);
        for node in &nodes {
            progress.node(node);
        }
        let file = if text.file.is_stdin() { "-".to_owned() } else { text.file.name.clone() };
        let mut course = Course {
            client,
            namespaces: planned.iter().map(|planned| planned.key.namespace.clone()).collect(),
            options,
            file,
            screen: Screen::new(),
            progress,
        };
        course.run(planned, arguments, known).await
    })
}

/// One run.
struct Course {
    client: Client,
    namespaces: BTreeSet<String>,
    options: Options,
    file: String,
    screen: Screen,
    progress: Progress,
}

impl Course {
    async fn run(&mut self, planned: Vec<Planned>, arguments: &Arguments, nodes: bool) -> anyhow::Result<ExitCode> {
        let listed = self.namespaces.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.screen.say(&format!("run {}: {} in namespace {listed}", self.options.run, count(planned.len(), "job")))?;
        // Whoever does not wait for the jobs does not wait for room in a quota either.
        let patience = if arguments.no_wait { 0 } else { self.options.deadline };
        let made = if arguments.only_watch {
            look(&self.client, planned, &self.options.run).boxed()
        } else {
            make(&self.client, planned, Duration::from_secs(patience.into())).boxed()
        };
        let stop = if arguments.no_wait {
            self.follow(made, None).await?
        } else {
            let seen = watch(&self.client, &self.namespaces, &self.options.run, nodes);
            self.follow(stream::select(made, seen), arguments.timeout).await?
        };
        self.screen.clear();
        self.end(stop, arguments).await
    }

    /// Until all jobs have ended, somebody wants to stop, or nothing more comes.
    async fn follow(&mut self, inputs: impl Stream<Item = Input>, timeout: Option<u32>) -> anyhow::Result<Stop> {
        let begin = Instant::now();
        let mut inputs = pin!(inputs);
        let mut interrupted = pin!(interrupted());
        let mut late = pin!(async {
            match timeout {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                None => std::future::pending().await,
            }
        });
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let mut stop = None;
            tokio::select! {
                biased;
                () = &mut interrupted => stop = Some(Stop::Interrupted),
                () = &mut late => stop = Some(Stop::TimedOut),
                _ = steps.tick() => self.progress.tick(begin.elapsed()),
                input = inputs.next() => match input {
                    None => stop = Some(Stop::Done),
                    Some(input) => {
                        self.progress.tick(begin.elapsed());
                        self.take(input);
                        // What is there already is taken in together: the nodes are counted once.
                        for _ in 0..AT_ONCE {
                            match inputs.next().now_or_never() {
                                Some(Some(input)) => self.take(input),
                                _ => break,
                            }
                        }
                    }
                },
            }
            // Counts the nodes that what came in has changed.
            self.progress.tick(begin.elapsed());
            for line in self.progress.lines() {
                self.screen.say(&line.to_string())?;
            }
            if stop.is_none() && self.progress.has_ended() {
                stop = Some(Stop::Done);
            }
            if let Some(stop) = stop {
                return Ok(stop);
            }
            self.screen.draw(&self.progress);
        }
    }

    fn take(&mut self, input: Input) {
        let progress = &mut self.progress;
        match input {
            Input::Made(key, uid) => progress.made(&key, &uid),
            Input::Waits(key, message) => progress.waits(&key, &message),
            Input::Refused(key, message) => progress.refused(&key, &message),
            Input::Unmade(key, message) => progress.unmade(&key, &message),
            Input::Missing(key) => progress.missing(&key),
            Input::Job(seen) => progress.job(seen),
            Input::JobGone(key) => progress.job_gone(&key),
            Input::Pod(seen) => progress.pod(seen),
            Input::PodGone(job, name) => progress.pod_gone(&job, &name),
            Input::Warning(seen) => progress.warning(seen),
            Input::Node(seen) => progress.node(&seen),
            Input::NodeGone(name) => progress.node_gone(&name),
            Input::Note(note) if note.is_empty() => {}
            Input::Note(note) => {
                self.screen.clear();
                complain("note", note);
            }
        }
    }

    async fn end(&mut self, stop: Stop, arguments: &Arguments) -> anyhow::Result<ExitCode> {
        let counts = self.progress.counts();
        let mut failed = counts.unmade + counts.missing > 0;
        if arguments.no_wait && stop == Stop::Done {
            let made = counts.jobs - counts.refused - counts.unmade;
            self.screen.say(&format!("{made} of {} jobs made", counts.jobs))?;
        } else {
            self.screen.say(&format!("\n{}", self.progress.summary()))?;
            failed |= counts.open() > 0;
        }
        match stop {
            Stop::Done => {}
            Stop::Interrupted => complain("note", "stopped, as you asked"),
            Stop::TimedOut => complain("note", "stopped, as the time of --timeout was over"),
        }
        if arguments.cleanup {
            failed |= !self.clean_up().await?;
        } else {
            self.say_what_is_left();
        }
        Ok(ExitCode::from(match (failed, counts.failed + counts.refused) {
            (true, _) => FAILED,
            (false, 0) => CLEAN,
            (false, _) => REFUSED,
        }))
    }

    /// What goes on without being watched, and how to watch or remove it. What has ended goes by itself.
    fn say_what_is_left(&self) {
        let unended = self.progress.unended();
        if unended == 0 {
            return;
        }
        let (jobs, file, run) = (count(unended, "job"), &self.file, &self.options.run);
        let namespace = self.options.namespace.as_deref().unwrap_or_default();
        let again = format!("supercargo batch {file} --run {run} -n {namespace}");
        // Made by what was given before: a Job cannot be changed, and one that has gone would be made anew.
        let again = if self.progress.all_made() {
            format!("to watch again:\n  {again} --only-watch")
        } else {
            format!("to make the others, and watch all again, with the same options as before:\n  {again}")
        };
        let goes = if unended == 1 { "has not ended, and goes" } else { "have not ended, and go" };
        complain(
            "note",
            format_args!(
                "{jobs} {goes} on in the cluster\n{again}\n\
                 to remove all jobs of this run:\n{}",
                self.removal()
            ),
        );
    }

    /// Deletes what was made; `false` when that could not be done.
    async fn clean_up(&self) -> anyhow::Result<bool> {
        let all = async {
            for namespace in &self.namespaces {
                remove(&self.client, namespace, &self.options.run).await?;
            }
            kube::Result::Ok(())
        };
        let why = tokio::select! {
            done = all => match done {
                Ok(()) => {
                    self.screen.say("removed the Jobs and their pods")?;
                    return Ok(true);
                }
                Err(error) => said(&error),
            },
            () = tokio::time::sleep(CLEANUP) => "the cluster does not answer".to_owned(),
            () = interrupted() => "stopped, as you asked".to_owned(),
        };
        complain("error", format_args!("cannot remove the Jobs: {why}\nto do it by hand:\n{}", self.removal()));
        Ok(false)
    }

    fn removal(&self) -> String {
        batch::commands(&self.options.run, self.namespaces.iter().map(String::as_str))
    }
}

/// Ctrl-C, or the SIGTERM of a CI that gives up.
async fn interrupted() {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        Some(()) = async { terminated.as_mut()?.recv().await } => {}
    }
}

/// Lines on stdout, and below them a bar on stderr for somebody who watches.
struct Screen {
    watched: bool,
    shown: bool,
}

impl Screen {
    fn new() -> Screen {
        // A terminal that knows no escape sequences cannot take a line back.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Screen { watched: io::stderr().is_terminal() && !dumb, shown: false }
    }

    fn say(&self, line: &str) -> io::Result<()> {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        // Whoever reads a pipe wants to see a change when it happens.
        out.flush()
    }

    fn draw(&mut self, progress: &Progress) {
        if self.watched {
            self.shown = true;
            let colour = colours(&io::stderr());
            let (on, off) = if colour { ("\u{1b}[36m", "\u{1b}[0m") } else { ("", "") };
            // Without wrapping, as a second line could not be taken back.
            let bar = batch::bar(progress);
            let _ = write!(io::stderr().lock(), "\r\u{1b}[?7l{on}{bar}{off}\u{1b}[K\u{1b}[?7h");
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
