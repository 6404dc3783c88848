//! Tests that need more than one module, a file a subject; one binary, as linking is most of the time that they take.

mod image;
mod semantics;
#[cfg(feature = "server")]
mod server;
mod support;
