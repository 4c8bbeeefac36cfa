//! `ticketflow check`: every problem of a template and its state machines, with its place.

use std::process::ExitCode;

use runtime::Problem;
use runtime::template::{Settings, Severity};
use serde_json::json;

use crate::output::{note, say};
use crate::{TemplateOptions, style};

#[derive(clap::Args)]
#[command(
    after_help = "Errors are what AWS refuses and what can never work; warnings are what is hardly meant.
The exit code is 1 if there are errors. NO_COLOR=1 turns colour off.

Examples:
  ticketflow check
  ticketflow check --deny-warnings
  ticketflow check --template other/template.yaml --json"
)]
pub(crate) struct Options {
    #[command(flatten)]
    template: TemplateOptions,
    /// Print one JSON object a problem.
    #[arg(long)]
    json: bool,
    /// Fail for warnings, too.
    #[arg(long)]
    deny_warnings: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        region: options.template.region.clone(),
        parameters: options.template.parameters.iter().cloned().collect(),
        gateway_url: "http://127.0.0.1:3000".to_owned(),
    };
    let problems = runtime::check(&options.template.template, &settings);
    for problem in &problems {
        if options.json {
            say!("{}", object(problem));
        } else {
            print(problem);
        }
    }
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if problems.is_empty() {
        if !options.json {
            say!(
                "{} {} has no problems",
                style::status("OK", 0),
                options.template.template.display()
            );
        }
    } else {
        note!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
    }
    let is_refused = errors > 0 || (options.deny_warnings && warnings > 0);
    Ok(if is_refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(problem: &Problem) {
    let Problem { line, column, .. } = problem;
    let severity = match problem.severity {
        Severity::Error => style::severe("error"),
        Severity::Warning => style::doubtful("warning"),
    };
    let place = style::bold(&format!("{}:{line}:{column}:", problem.file.display()));
    say!("{place} {severity}: {} [{}]", problem.message, problem.code);
    if let Some(help) = problem.help {
        say!("    help: {help}");
    }
}

fn object(problem: &Problem) -> serde_json::Value {
    json!({
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": problem.code,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "help": problem.help,
    })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
