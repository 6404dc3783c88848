//! What was typed, and which command it means; one thin file a command below.
//!
//! Exit codes are the same everywhere: 0 clean or allowed, 1 refused, 2 could not do it (wrong usage included). clap fills a
//! plain struct; each command turns it into what it works with, in one place, before it does anything.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::printable::printable_lines;
use crate::source::Problem;

#[cfg(feature = "server")]
mod ask;
mod basis;
mod batch;
pub mod certs;
mod check;
mod envelope;
mod explain;
mod mutate;
mod objects;
mod policies;
mod progress;
pub mod reference;
mod render;
mod review;
mod schema;
#[cfg(feature = "server")]
pub mod serve;
mod simulate;
mod template;

/// Nothing was refused.
const CLEAN: u8 = 0;
/// Something was refused.
const REFUSED: u8 = 1;
/// Something could not be judged, read or asked.
const FAILED: u8 = 2;

/// Stows scan pods onto few nodes and refuses manifests without probes or limits, or with a secret in them.
///
/// The webhook (`serve`) and the command line judge with the same engine: given the same policies and facts, `check` says
/// what the cluster will say.
#[derive(Parser)]
#[command(name = "supercargo", version, arg_required_else_help = true, after_help = EXIT_CODES, after_long_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 clean or allowed, 1 refused, 2 could not judge (or wrong usage).";

const EXAMPLES: &str = "\
Examples:
  supercargo check deploy/                    judge manifests before they are sent
  helm template web ./chart | supercargo check -
  supercargo mutate job.yaml                  what its pods will get, as a diff
  supercargo explain required-limits          why a rule exists, and how to satisfy it

Exit codes: 0 clean or allowed, 1 refused, 2 could not judge (or wrong usage).";

// Each says itself what it does: a comment here would stand in front of it in the help.
#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "server")]
    Serve(Box<serve::Arguments>),
    Check(check::Arguments),
    Mutate(mutate::Arguments),
    Review(review::Arguments),
    Explain(explain::Arguments),
    Policies(policies::Arguments),
    Simulate(simulate::Arguments),
    Batch(Box<batch::Arguments>),
    Certs(certs::Arguments),
}

/// The command line of the one command that runs for months. clap makes the arguments of all commands that it is told of, and what that
/// touches of the binary stays in memory.
#[cfg(feature = "server")]
#[derive(Parser)]
#[command(name = "supercargo")]
struct Serving {
    #[command(subcommand)]
    command: Serve,
}

#[cfg(feature = "server")]
#[derive(Subcommand)]
enum Serve {
    Serve(Box<serve::Arguments>),
}

/// What the process's arguments mean.
fn parse() -> Result<Command, clap::Error> {
    #[cfg(feature = "server")]
    if std::env::args_os().nth(1).is_some_and(|first| first == "serve") {
        let Serve::Serve(arguments) = Serving::try_parse()?.command;
        return Ok(Command::Serve(arguments));
    }
    Ok(Arguments::try_parse()?.command)
}

/// Runs what the process's arguments say.
pub fn run() -> ExitCode {
    let command = match parse() {
        Ok(command) => command,
        Err(error) => {
            // A closed pipe is all that can go wrong here, and then nobody reads.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::from(CLEAN) };
        }
    };
    let done = match command {
        #[cfg(feature = "server")]
        Command::Serve(arguments) => serve::run(*arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Mutate(arguments) => mutate::run(arguments),
        Command::Review(arguments) => review::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Policies(arguments) => policies::run(arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Batch(arguments) => batch::run(*arguments),
        Command::Certs(arguments) => certs::run(arguments),
    };
    done.unwrap_or_else(|error| {
        // Whoever read our output has had enough of it: that is no failure.
        if is_broken(&error) {
            return ExitCode::from(CLEAN);
        }
        complain("error", causes(&error));
        ExitCode::from(FAILED)
    })
}

/// Whether nobody reads our output any more.
fn is_broken(error: &anyhow::Error) -> bool {
    error.chain().any(is_closed_pipe)
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(io::ErrorKind::BrokenPipe)
}

/// A line on stderr; when that is closed, nobody wants it.
fn complain(word: &str, what: impl Display) {
    let text = what.to_string();
    let _ = writeln!(io::stderr().lock(), "{word}: {}", printable_lines(&text));
}

/// Says on stderr what could not be judged, and where.
fn complain_of(problem: &Problem) {
    complain("error", problem);
}

/// The same for a command that takes rendered charts as `check` does.
fn complain_for(command: &str, problem: &Problem) {
    let help = problem.help.as_ref().map(|help| help.replace("supercargo check -", &format!("supercargo {command} -")));
    complain_of(&Problem { help, ..problem.clone() });
}

/// What went wrong and why; a cause that the words before it name already is not said again.
fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether to colour what goes to this stream: a terminal, and nobody said no (<https://no-color.org>).
fn colours(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::causes;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow!("no such file").context("cannot read x: no such file").context("cannot start");
        assert_eq!(causes(&error), "cannot start: cannot read x: no such file");
        assert_eq!(causes(&Err::<(), _>(anyhow!("b")).context("a").unwrap_err()), "a: b");
    }
}
