//! `supercargo explain`: the rule table, for people.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CLEAN, FAILED, complain, schema};
use crate::fields::nearest;
use crate::policy::API_VERSION;
use crate::rules::{self, Catalogue, RULES, Rule};

/// Why a rule exists, what it sees, good and bad examples, how to mend
///
/// Without a rule: all of them, with the action that each has when a policy names none.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  supercargo explain
  supercargo explain required-probes")]
pub(super) struct Arguments {
    /// The rule's id, as it stands in brackets in a refusal
    rule: Option<String>,
}

// The arguments are consumed by every command alike.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match arguments.rule {
        None => list(&mut out)?,
        Some(id) => {
            let Some(rule) = rules::find(&id) else {
                let names = RULES.iter().map(|rule| rule.id);
                let hint = match nearest(&id, names) {
                    Some(name) => format!("did you mean `supercargo explain {name}`?"),
                    None => "`supercargo explain` lists all rules".to_owned(),
                };
                complain("error", format_args!("there is no rule {id:?}; {hint}"));
                return Ok(ExitCode::from(FAILED));
            };
            one(&mut out, rule)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(CLEAN))
}

fn list(out: &mut impl Write) -> io::Result<()> {
    let widest = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    for rule in RULES {
        writeln!(out, "{:widest$}  {:5}  {}", rule.id, format!("{:?}", rule.default), rule.summary)?;
    }
    writeln!(out, "\nMore on one of them: supercargo explain RULE")
}

fn one(out: &mut impl Write, rule: &Rule) -> io::Result<()> {
    writeln!(out, "{}: {}\n", rule.id, rule.summary)?;
    writeln!(out, "{}", wrap("Why", rule.why))?;
    writeln!(out, "{}", wrap("Looks at", rule.looks_at))?;
    writeln!(out, "{}", wrap("Mend", rule.fix))?;
    writeln!(out, "In a GuardPolicy, below spec.rules.{}:", rule.id)?;
    writeln!(out, "  action: Deny | Warn | Audit (default {:?})", rule.default)?;
    for field in schema::parameters(rule) {
        let default = field.default.map(|default| format!(" (default {default})")).unwrap_or_default();
        writeln!(out, "  {}: {}{default}\n      {}", field.path, field.kind, field.meaning)?;
    }
    writeln!(out, "\nBad:\n{}\nGood:\n{}", indent(rule.bad), indent(rule.good))?;
    writeln!(
        out,
        "Allow, where it has to be, with an Exemption (docs/policies.md has its fields):\n{}",
        exemption(rule)
    )?;
    if let Some(catalogue) = rule.catalogue {
        let Catalogue { of, lines } = catalogue();
        writeln!(out, "The {} {of}:", lines.len())?;
        let widest = lines.iter().map(|(id, _)| id.len()).max().unwrap_or_default();
        for (id, description) in lines {
            writeln!(out, "  {id:widest$}  {description}")?;
        }
    }
    Ok(())
}

fn exemption(rule: &Rule) -> String {
    let matches = if rules::finds_secrets(rule.id) { ", containers: [app], keys: [DB_PASSWORD]" } else { "" };
    indent(&format!(
        "apiVersion: {API_VERSION}\nkind: Exemption\nmetadata: {{name: billing-legacy}}\nspec:\n  owner: team-billing\n  \
         reason: \"is replaced in March, TICKET-123\"\n  expires: \"2027-03-31\"\n  rules: [{}]\n  \
         match: {{namespaces: [billing], kinds: [Deployment], names: [\"legacy-*\"]{matches}}}",
        rule.id
    ))
}

fn indent(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// A paragraph with a name in front, at most 100 characters wide.
fn wrap(name: &str, text: &str) -> String {
    let mut wrapped = format!("{name}: ");
    let mut column = wrapped.len();
    for (index, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > 100 {
            wrapped.push_str("\n  ");
            column = 2;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += width;
    }
    wrapped.push('\n');
    wrapped
}
