//! The server over real TLS sockets on loopback.

mod certificates;
mod client;
mod connections;
mod process;
mod requests;
mod running;
