//! The server over real TLS sockets on loopback.

mod certificates;
mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod connections;
mod process;
mod requests;
mod running;

// For tests of the view of a cluster, which need a client and a running program, too.
#[cfg(feature = "cluster")]
pub use {
    client::{Client, PATIENCE, eventually, get, metric},
    process::Serve,
    running::issue,
};
