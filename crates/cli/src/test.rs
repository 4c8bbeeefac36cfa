//! `ticketflow test`: state machine tests as data, played in memory.

mod load;
mod report;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use asl::scripted::{Played, Suite};

use crate::failure::with_hint;
use crate::output::{note, say};
use crate::{TemplateOptions, style};
use load::{Loaded, Misread};

/// Wrong usage, as clap has it: a test file that cannot be read is no failed test.
const UNUSABLE: u8 = 2;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow test tests/asl                        every .json, .yaml and .yml file of a folder
  ticketflow test order.test.yaml --filter refund  only the cases with that in their file or name
  ticketflow test tests/asl --json                 one JSON object a case

A test file names a state machine and what must come of it:
  {
    \"definition\": \"order.asl.json\",          a file, or the state machine itself;
                                             or \"stateMachine\": its logical id in the --template
    \"cases\": [{
      \"name\": \"a refused card is tried again after an hour\",
      \"input\": {\"order\": 7},
      \"tasks\": {\"Charge\": [
        {\"fails\": {\"error\": \"CardRefused\", \"cause\": \"no money\"}, \"after\": \"5 s\"},
        {\"succeeds\": {\"paid\": true}}]},
      \"expect\": {\"output\": {\"paid\": true}, \"path\": [\"Charge\", \"Done\"], \"elapsed\": \"1 h 5 s\",
                 \"calls\": {\"Charge\": 2}}
    }]
  }
A list gives its results call by call, a single object the same one to every call; {\"never\": true} lets time-outs
happen; callbacks are answered like calls, with \"heartbeatEvery\" until then. Expect any of status, output, error,
cause, path, elapsed, calls, variables and events. The path names states in order; {\"Each\": [[\"Work\"], [\"Work\"]]} looks
into a Map or Parallel state. docs/adr/0013 says more. NO_COLOR=1 turns colour off.

Exit code: 0 if all pass, 1 if some fail, 2 if a test file cannot be used.")]
pub(crate) struct Options {
    /// Test files, or folders of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    template: TemplateOptions,
    /// Only the cases with this in their file or name.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print one JSON object a case.
    #[arg(long)]
    json: bool,
}

/// A case that was played.
struct Told {
    file: PathBuf,
    name: String,
    played: Played,
    took: Duration,
}

/// What all files came to.
#[derive(Default)]
struct Results {
    told: Vec<Told>,
    unusable: Vec<Misread>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let results = play(options)?;
    let took = begun.elapsed();
    for told in &results.told {
        match options.json {
            true => say!("{}", report::json(told)),
            false => say!("{}", report::text(told)),
        }
    }
    for problem in &results.unusable {
        note!("{} {problem}", style::error("error:"));
    }
    let failed = results.told.iter().filter(|told| !told.played.differences.is_empty());
    let failed = failed.count();
    let summary = report::summary(results.told.len() - failed, failed, results.unusable.len(), took);
    match options.json {
        true => note!("{summary}"),
        false => say!("{summary}"),
    }
    if !results.unusable.is_empty() {
        return Ok(ExitCode::from(UNUSABLE));
    }
    if let (true, Some(filter)) = (results.told.is_empty(), &options.filter) {
        return Err(with_hint(
            format!("no case has '{filter}' in its file or name"),
            "leave --filter out to see the names of all",
        ));
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn play(options: &Options) -> anyhow::Result<Results> {
    let mut results = Results::default();
    for file in load::files(&options.files)? {
        match load::load(&file, &options.template) {
            Ok(loaded) => results
                .told
                .extend(play_file(&file, &loaded, options.filter.as_deref())),
            Err(problems) => results.unusable.extend(problems),
        }
    }
    Ok(results)
}

fn play_file(file: &Path, loaded: &Loaded, filter: Option<&str>) -> Vec<Told> {
    let wanted = |name: &str| filter.is_none_or(|filter| format!("{}: {name}", file.display()).contains(filter));
    let cases = loaded.suite.cases.iter().filter(|case| wanted(&case.name));
    cases
        .map(|case| {
            let begun = Instant::now();
            let played = Suite::play(&loaded.machine, &loaded.name, case);
            Told {
                file: file.to_owned(),
                name: case.name.clone(),
                played,
                took: begun.elapsed(),
            }
        })
        .collect()
}
