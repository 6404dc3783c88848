//! A STAND-IN of branch `server`: the real one comes from the helper cli.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    supercargo::cli::run().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(2)
    })
}
