//! Supercargo.
pub mod tree;
