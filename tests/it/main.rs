//! The integration tests, one binary: linking is most of the time that they take.

mod semantics;
mod support;
