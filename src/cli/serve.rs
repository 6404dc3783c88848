//! To come from branch server.
use std::process::ExitCode;

/// Stands in until branch `server` is merged.
#[derive(clap::Args)]
pub struct Arguments {}

/// See above.
pub fn run(_: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
