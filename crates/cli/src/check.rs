//! `ticketflow check`: every problem of a template and its state machines, with its place.

use std::process::ExitCode;

use runtime::template::Settings;
use serde_json::json;

use crate::{TemplateOptions, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow check
  ticketflow check --template other/template.yaml --json")]
pub(crate) struct Options {
    #[command(flatten)]
    template: TemplateOptions,
    /// Print one JSON object a problem.
    #[arg(long)]
    json: bool,
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
            let place = json!({"file": problem.file, "line": problem.line, "column": problem.column});
            let mut object = place;
            object["message"] = problem.message.clone().into();
            println!("{object}");
        } else {
            println!("{problem}");
        }
    }
    if problems.is_empty() {
        if !options.json {
            println!(
                "{} {} has no problems",
                style::status("OK", 0),
                options.template.template.display()
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "{} problem{}",
        problems.len(),
        if problems.len() == 1 { "" } else { "s" }
    );
    Ok(ExitCode::FAILURE)
}
