//! The table of rules, sorted by id: one line here, one file each below.

use schemars::Schema;

use crate::finding::Action;

/// A rule as a person reads about it, and what it takes to judge by it.
pub struct Rule {
    /// Stable kebab-case id; the key in a GuardPolicy.
    pub id: &'static str,
    /// One line: what is refused.
    pub summary: &'static str,
    /// The objects that it looks at, in words.
    pub looks_at: &'static str,
    /// The action when a policy names none.
    pub default: Action,
    /// Why it exists: what went wrong where it did not.
    pub why: &'static str,
    /// How to mend what it finds.
    pub fix: &'static str,
    /// YAML that it refuses.
    pub bad: &'static str,
    /// The same, mended.
    pub good: &'static str,
    /// The schema of its parameters (beside `action`).
    pub parameters: fn() -> Schema,
}

/// Every rule, sorted by id.
pub const RULES: &[&Rule] = &[];

/// The rule of this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}
