//! Supercargo decides, at admission, what comes aboard a Kubernetes cluster and where it is stowed.
//!
//! # The way of a request
//!
//! `server/accept` (socket, TLS) → `server/webhook` (bytes in, bytes out, metrics, panic guard) → [`engine`] → [`review`].
//! Offline: `cli/check` → [`source`] → [`engine`] → [`output`].
//!
//! # The order of judgement, at every door
//!
//! API defaults → LimitRanges → profiles → rules → exemptions → ratchet → action.
//!
//! # The map
//!
//! Imports point one way: `main → cli → {server, cluster, output, source} → engine → mutators → packing → policy → rules →
//! secrets → leaves`. Everything from [`engine`] down is pure: no clock, no file, no network, no environment; time, facts and policies
//! come in as arguments. `cargo check --no-default-features` holds that together.
//!
//! | room | what is in it |
//! |---|---|
//! | leaves | [`tree`] (JSON), [`patch`], [`quantity`], [`printable`], [`review`] (the envelope), [`workload`] (kinds and views), [`finding`], [`fingerprint`], [`facts`], [`fields`] (strict reading) |
//! | what operators write | [`policy`] |
//! | what the program decides | [`rules`], [`secrets`], [`packing`], [`mutators`], [`engine`] |
//! | what runs a batch | [`batch`]: from a list of jobs to Jobs, and from what a watch sees to what is said |
//! | the doors | [`cli`], [`source`], [`output`], [`pki`], `server`, `cluster` |

// -- leaves
pub mod facts;
pub mod fields;
pub mod finding;
pub mod fingerprint;
pub mod patch;
pub mod printable;
pub mod quantity;
pub mod review;
pub mod tree;
pub mod workload;
// -- what operators write
pub mod policy;
// -- what the program decides
pub mod engine;
pub mod mutators;
pub mod packing;
pub mod rules;
pub mod secrets;
// -- what runs a batch
pub mod batch;
// -- the doors
pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod output;
pub mod pki;
#[cfg(feature = "server")]
pub mod server;
pub mod source;
