//! A STAND-IN of branch `server`: the real one comes from the helper cli.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod certs;
#[cfg(feature = "server")]
mod serve;

#[derive(Parser)]
#[command(name = "supercargo", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "server")]
    Serve(Box<serve::Arguments>),
    Certs(certs::Arguments),
}

/// Does what the command line says.
pub fn run() -> anyhow::Result<ExitCode> {
    match Line::parse().command {
        #[cfg(feature = "server")]
        Command::Serve(arguments) => serve::run(*arguments),
        Command::Certs(arguments) => certs::run(arguments),
    }
}
