//! The server over real TLS sockets on loopback.

mod certificates;
mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod connections;
mod process;
mod requests;
mod running;
