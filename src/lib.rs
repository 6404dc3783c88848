//! Supercargo.

pub mod engine;
pub mod facts;
pub mod finding;
pub mod patch;
pub mod policy;
pub mod quantity;
pub mod review;
pub mod rules;
pub mod secrets;
pub mod tree;
pub mod workload;

pub mod cli;
pub mod output;
pub mod pki;
pub mod source;

#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "server")]
pub mod server;
