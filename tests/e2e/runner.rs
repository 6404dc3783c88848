//! Runs the scenarios one after the other against one control plane, and says how each went.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::controlplane::{ControlPlane, Options};
use crate::measure::MEASUREMENT;
use crate::objects;

/// No scenario comes near; one that hangs must not eat the time of the others.
const SCENARIO: Duration = Duration::from_secs(300);

/// A scenario, borrowed by the future that runs it.
pub type Scenario = for<'a> fn(&'a ControlPlane) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Runs the scenarios whose names contain one of the program's arguments, all of them without arguments, and the demos that
/// are named in full.
///
/// `--list` prints the names. Exit code 0 when all passed, 1 when one failed or the control plane did not start, 130
/// when interrupted; whichever it is, no process stays behind.
pub fn run(scenarios: &[(&str, Scenario)], demos: &[(&str, Scenario)]) -> ExitCode {
    let (flags, filters): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    let chosen: Vec<_> = scenarios
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .chain(demos.iter().filter(|(name, _)| filters.iter().any(|filter| filter == name)))
        .collect();
    if flags.iter().any(|flag| flag == "--list") {
        for (name, _) in chosen {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        eprintln!("no scenario's name contains {filters:?}; --list prints them");
        return ExitCode::FAILURE;
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(run_until_interrupted(&chosen)));
    match outcome {
        Ok(Some(0)) => ExitCode::SUCCESS,
        Ok(Some(_)) => ExitCode::FAILURE,
        Ok(None) => ExitCode::from(130),
        Err(error) => {
            eprintln!("the control plane: {error:#}");
            println!("0 passed, {} failed", chosen.len());
            ExitCode::FAILURE
        }
    }
}

/// The number of failures; `None` when a signal came first. Dropping the other future ends the control plane.
async fn run_until_interrupted(chosen: &[&(&str, Scenario)]) -> Result<Option<usize>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        failures = run_all(chosen) => failures.map(Some),
        _ = interrupt.recv() => { eprintln!("interrupted"); Ok(None) }
        _ = terminate.recv() => { eprintln!("terminated"); Ok(None) }
    }
}

async fn run_all(chosen: &[&(&str, Scenario)]) -> Result<usize> {
    let begin = Instant::now();
    let mut plane = ControlPlane::start(&Options::default()).await?;
    println!("control plane {} at {}, ready after {}", plane.version(), plane.url(), seconds(begin));
    let mut failed = 0;
    for (name, scenario) in chosen {
        let begin = Instant::now();
        println!("scenario {name}");
        let deadline = if name.starts_with("measure-") { MEASUREMENT } else { SCENARIO };
        let result = run_one(&plane, *scenario, deadline).await;
        // A cluster that cannot be cleared is the failure of who left it so.
        let result = result.and(objects::clear(&plane).await.context("clearing up")).and(plane.check_running());
        match result {
            Ok(()) => println!("    ok, {}", seconds(begin)),
            Err(error) => {
                failed += 1;
                println!("    FAILED, {}: {error:#}", seconds(begin));
                if let Err(ended) = plane.check_running() {
                    println!("    {ended:#}");
                }
            }
        }
    }
    if failed > 0 {
        println!("logs: {}", plane.keep_folder().display());
    }
    drop(plane);
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(failed)
}

/// Runs one scenario; a panic is its failure, not the end of the others.
async fn run_one(plane: &ControlPlane, scenario: Scenario, deadline: Duration) -> Result<()> {
    match timeout(deadline, AssertUnwindSafe(scenario(plane)).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(anyhow!("panicked: {}", message(&*panic))),
        Err(_) => Err(anyhow!("not done after {deadline:?}")),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("with something that is no text")
}

fn seconds(begin: Instant) -> String {
    format!("{:.1} s", begin.elapsed().as_secs_f64())
}
