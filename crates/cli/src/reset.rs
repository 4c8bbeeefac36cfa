//! `ticketflow reset`: an empty table and no executions.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use runtime::ResetError;
use runtime::template::{Settings, Template};
use serde_json::json;

use crate::TemplateOptions;
use crate::failure::with_hint;
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow reset
  ticketflow reset --data-dir ~/tickets --yes

The secrets stay. `up` must not be running on the data directory.")]
pub(crate) struct Options {
    #[command(flatten)]
    template: TemplateOptions,
    /// Where everything durable lies.
    #[arg(long, default_value = ".ticketflow")]
    data_dir: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        region: options.template.region.clone(),
        parameters: options.template.parameters.iter().cloned().collect(),
        gateway_url: String::new(),
    };
    let template = Template::load(&options.template.template, &settings).map_err(|problems| {
        with_hint(
            format!(
                "the template cannot be read: {}",
                problems.first().map_or_else(String::new, ToString::to_string)
            ),
            "`ticketflow check` lists all of its problems",
        )
    })?;
    if !options.yes && !agreed(&options)? {
        note!("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    runtime::reset(&options.data_dir, &template).await.map_err(|error| {
        let hint = match error {
            ResetError::NoData(_) => "name the directory that `ticketflow up` keeps its data in with --data-dir",
            _ => "stop the `ticketflow up` that runs on this data directory, then reset it",
        };
        with_hint(format!("{:#}", anyhow::Error::from(error)), hint)
    })?;
    if options.json {
        say!("{}", json!({"data_dir": options.data_dir, "reset": true}));
    } else {
        say!(
            "{} is empty again: the table is new, and there are no executions",
            options.data_dir.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks; without a terminal there is nobody to ask.
fn agreed(options: &Options) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(with_hint(
            "nobody is there to be asked",
            "say --yes to drop everything without a question",
        ));
    }
    let mut stderr = std::io::stderr();
    write!(
        stderr,
        "Drop every ticket and every execution in {}? [y/N] ",
        options.data_dir.display()
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
