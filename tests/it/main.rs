//! Tests that need more than one module: one binary, a file a subject.

#[cfg(feature = "server")]
mod server;
