//! End-to-end tests: supercargo in a real control plane (etcd, API server, controller manager, scheduler, kwok).
//!
//! `cargo test --test e2e [-- NAME...]` starts one control plane, runs the scenarios whose names contain a NAME in it
//! one by one, and ends it; `-- demo-cluster` is a show for people. Needs Go (tests/controlplane/build.sh) or `SUPERCARGO_CONTROLPLANE`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report of the run is its output")]

mod access;
mod components;
mod controlplane;
mod demo;
mod fixtures;
mod injector;
mod install;
mod load;
mod measure;
mod objects;
mod pki;
mod processes;
mod runner;
mod scenarios;
mod switch;
mod wait;
mod webhook;

fn main() -> std::process::ExitCode {
    runner::run(scenarios::SCENARIOS, scenarios::DEMOS)
}
