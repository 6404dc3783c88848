//! To come.
use crate::workload::Workload;
use std::borrow::Cow;

/// .
#[derive(Clone)]
pub struct Detection<'t> {
    /// .
    pub pointer: String,
    /// .
    pub container: Option<&'t str>,
    /// .
    pub key: Option<Cow<'t, str>>,
    /// .
    pub place: String,
    /// .
    pub value: Cow<'t, str>,
    /// .
    pub kind: &'static str,
    /// .
    pub known_prefix: Option<&'static str>,
    /// .
    pub certainty: Certainty,
    /// .
    pub fix: String,
}
/// .
#[derive(Clone, Copy, PartialEq)]
pub enum Certainty {
    /// .
    Certain,
    /// .
    Weak,
}
/// .
pub fn scan<'t>(_: &Workload<'t>, _: &mut Vec<Detection<'t>>) -> bool {
    true
}
