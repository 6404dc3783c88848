//! The reference pages, made from the rule table, the policy types and the command line's own help.
//!
//! `examples/reference.rs` writes them; CI compares them with docs/.

use std::fmt::Write as _;

use clap::CommandFactory;

use super::{Arguments, schema};
use crate::rules::RULES;

const MADE: &str = "<!-- Made by `make generate`; change the code and run it again. -->\n";

/// Every page with its file name, in a fixed order.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![("rules.md", rules()), ("policies.md", policies()), ("cli.md", command_line())]
}

fn rules() -> String {
    let mut page = format!("{MADE}# Rules\n\n");
    page.push_str("What a GuardPolicy can list under `spec.rules`. The same stands in `supercargo explain`.\n\n");
    page.push_str("| rule | default | refuses |\n|---|---|---|\n");
    // Writing to a String cannot fail, here and below.
    for rule in RULES {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1:?} | {2} |", rule.id, rule.default, cell(rule.summary));
    }
    for rule in RULES {
        let _ = write!(page, "\n## {}\n\n{}.\n\n", rule.id, rule.summary.trim_end_matches('.'));
        let _ = write!(page, "**Why.** {}\n\n**Looks at** {}.\n\n**Mend.** {}\n\n", rule.why, rule.looks_at, rule.fix);
        let _ = write!(page, "| parameter | type | default | |\n|---|---|---|---|\n");
        let _ =
            writeln!(page, "| `action` | Deny \\| Warn \\| Audit | {:?} | What a finding leads to. |", rule.default);
        for field in schema::parameters(rule) {
            row(&mut page, &field);
        }
        let _ = write!(
            page,
            "\nBad:\n\n```yaml\n{}\n```\n\nGood:\n\n```yaml\n{}\n```\n",
            rule.bad.trim_end(),
            rule.good.trim_end()
        );
        if let Some(catalogue) = rule.catalogue {
            let _ = writeln!(page, "\nThe {} are listed by `supercargo explain {}`.", catalogue().of, rule.id);
        }
    }
    page
}

fn policies() -> String {
    let mut page = format!("{MADE}# Policies\n\n");
    page.push_str(
        "The three kinds of `supercargo.dev/v1alpha1`, field by field, below `spec`. An unknown field is an error. ",
    );
    page.push_str("`supercargo policies schema KIND` prints the JSON Schema for editors; `supercargo policies check PATH` checks files.\n");
    for (kind, what) in [
        (
            "GuardPolicy",
            "Which rules judge which objects, with which action. The parameters of each rule: [rules](rules.md).",
        ),
        ("PodProfile", "What is added to the pods that it matches."),
        ("Exemption", "Who may break which rule, where, why, until when."),
    ] {
        let _ = write!(page, "\n## {kind}\n\n{what}\n\n| field | type | default | |\n|---|---|---|---|\n");
        for field in schema::spec_fields(kind) {
            row(&mut page, &field);
        }
    }
    page
}

fn row(page: &mut String, field: &schema::Field) {
    let default = match (&field.default, field.required) {
        (Some(default), _) => format!("`{}`", cell(default)),
        (None, true) => "required".to_owned(),
        (None, false) => String::new(),
    };
    let _ = writeln!(page, "| `{}` | {} | {default} | {} |", field.path, cell(&field.kind), cell(&field.meaning));
}

/// Text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn command_line() -> String {
    let mut page = format!("{MADE}# Command line\n");
    // The width of the page, whatever terminal this runs in.
    let mut command = without_environment(Arguments::command().term_width(100));
    command.build();
    section(&mut page, &mut command, 2);
    page
}

/// What the variables hold on this machine is nobody's business.
fn without_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_environment)
}

fn section(page: &mut String, command: &mut clap::Command, level: usize) {
    let name = command.get_bin_name().unwrap_or("supercargo").to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n{} {name}\n\n```text\n{}\n```\n", "#".repeat(level), help.join("\n").trim_end());
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        section(page, below, level + 1);
    }
}
