//! `serve --cluster` as far as packing goes, against an API server of the test's own: what is seen, what is planned, and what happens when the
//! API server does not do as it should.

mod api;
mod cluster;
mod faults;
mod kept;
mod plans;
mod program;
