//! Tests that need more than one module, a file a subject; one binary, as linking is most of the time that they take.

// clippy.toml allows these in `#[test]` functions; what they call is test code as well.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// `found(json!({…}))` reads better than `found(&json!({…}))`, a hundred times over.
#![allow(clippy::needless_pass_by_value)]

#[cfg(feature = "cluster")]
mod batch;
mod cli;
mod corpus;
mod documents;
mod housekeeping;
mod image;
#[cfg(feature = "cluster")]
mod live;
mod packing;
mod properties;
mod secrets;
mod semantics;
#[cfg(feature = "server")]
mod server;
mod support;
