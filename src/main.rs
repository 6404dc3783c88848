//! Installs the crypto provider, parses arguments, returns an exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Nobody else can have installed one before the first line of `main`.
    #[cfg(feature = "server")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    supercargo::cli::run()
}
