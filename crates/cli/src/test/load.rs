//! Test files from the disk: the document, and the state machine that it names.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use asl::StateMachine;
use asl::scripted::{Machine, Suite};
use runtime::template::positions::Document;
use runtime::template::{Position, Settings, StateMachineResource, Template};

use crate::TemplateOptions;
use crate::failure::with_hint;

/// How test files are told from others in a folder.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// A test file that is ready to be played.
pub(super) struct Loaded {
    pub(super) suite: Suite,
    pub(super) machine: StateMachine,
    /// What the state machine is called in ARNs and in the Context Object.
    pub(super) name: String,
}

/// A problem of a test file, or of the state machine that it names.
#[derive(Debug)]
pub(super) struct Misread {
    file: PathBuf,
    at: Option<Position>,
    message: String,
}

impl fmt::Display for Misread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.at {
            Some(at) => write!(formatter, "{file}:{at}: {}", self.message),
            None => write!(formatter, "{file}: {}", self.message),
        }
    }
}

/// The test files that the arguments name, folders looked into (but not below).
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = || format!("could not look into {}", path.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).with_context(failed)? {
            let file = entry.with_context(failed)?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            if file.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(with_hint(
                format!("{} has no test files", path.display()),
                "test files end in .json, .yaml or .yml; folders below are not looked into",
            ));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Reads a test file and its state machine, or says everything that is wrong with them.
pub(super) fn load(file: &Path, template: &TemplateOptions) -> Result<Loaded, Vec<Misread>> {
    let document = parse(file, &read(file)?)?;
    let suite = Suite::read(document.value()).map_err(|problems| {
        let problems = problems.into_iter();
        let misread = problems.map(|problem| Misread {
            file: file.to_owned(),
            at: Some(document.locate(&problem.pointer)),
            message: match problem.pointer.as_str() {
                "" => problem.message,
                pointer => format!("{pointer}: {}", problem.message),
            },
        });
        misread.collect::<Vec<_>>()
    })?;
    let beside = |path: &str| file.parent().unwrap_or(Path::new("")).join(path);
    let (machine, name) = match &suite.machine {
        Machine::Inline(definition) => {
            let machine = machine(&definition.to_string(), file, &document, "/definition")?;
            (machine, stem(file))
        }
        Machine::File(path) => {
            let path = beside(path);
            let text = read(&path).map_err(|_| not_there(file, &document, "/definition", &path))?;
            let definition = parse(&path, &text)?;
            let machine = machine(&definition.value().to_string(), &path, &definition, "")?;
            (machine, stem(&path))
        }
        Machine::Resource {
            logical_id,
            template: other,
        } => {
            let path = other.as_deref().map_or_else(|| template.template.clone(), beside);
            resource(file, &document, &path, template, logical_id)?
        }
    };
    Ok(Loaded { suite, machine, name })
}

/// The state machine of a template, substitutions made.
fn resource(
    file: &Path,
    document: &Document,
    path: &Path,
    options: &TemplateOptions,
    logical_id: &str,
) -> Result<(StateMachine, String), Vec<Misread>> {
    if !path.is_file() {
        return Err(not_there(file, document, "/template", path));
    }
    let settings = Settings {
        region: options.region.clone(),
        parameters: options.parameters.iter().cloned().collect(),
        gateway_url: "http://127.0.0.1:3000".to_owned(),
    };
    let (template, problems) = Template::examine(path, &settings);
    let machines = &template.state_machines;
    let Some(found) = machines
        .iter()
        .find(|machine| machine.logical_id.as_str() == logical_id)
    else {
        let known: Vec<&str> = machines.iter().map(|machine| machine.logical_id.as_str()).collect();
        let known = match known[..] {
            [] => "it has none that can be read".to_owned(),
            _ => format!("it has {}", known.join(", ")),
        };
        let mut misread = vec![Misread {
            file: file.to_owned(),
            at: Some(document.locate("/stateMachine")),
            message: format!("{} has no state machine {logical_id}; {known}", path.display()),
        }];
        // The template may not be readable where the state machine stands.
        misread.extend(problems.into_iter().map(Misread::of_template));
        return Err(misread);
    };
    let machine = StateMachine::parse(&found.definition).map_err(|problems| in_template(found, problems))?;
    Ok((machine, found.name.clone()))
}

fn in_template(machine: &StateMachineResource, problems: Vec<asl::Problem>) -> Vec<Misread> {
    let problems = problems.into_iter();
    problems
        .map(|problem| Misread::of_template(machine.source.problem(problem)))
        .collect()
}

impl Misread {
    fn of_template(problem: runtime::Problem) -> Self {
        Self {
            at: Some(Position {
                line: problem.line,
                column: problem.column,
            }),
            message: format!("{}: {}", problem.code, problem.message),
            file: problem.file,
        }
    }
}

/// The state machine of a definition that stands at a JSON pointer of a document.
fn machine(definition: &str, file: &Path, document: &Document, at: &str) -> Result<StateMachine, Vec<Misread>> {
    StateMachine::parse(definition).map_err(|problems| {
        let problems = problems.into_iter();
        let misread = problems.map(|problem| Misread {
            file: file.to_owned(),
            at: Some(document.locate_in_definition(at, &problem.place())),
            message: format!("{}: {}", problem.code, problem.message),
        });
        misread.collect()
    })
}

fn read(file: &Path) -> Result<String, Vec<Misread>> {
    std::fs::read_to_string(file).map_err(|error| {
        vec![Misread {
            file: file.to_owned(),
            at: None,
            message: format!("could not be read: {error}"),
        }]
    })
}

fn parse(file: &Path, text: &str) -> Result<Document, Vec<Misread>> {
    Document::read(text).map_err(|errors| {
        let errors = errors.into_iter();
        let misread = errors.map(|(at, message)| Misread {
            file: file.to_owned(),
            at: Some(at),
            message,
        });
        misread.collect()
    })
}

fn not_there(file: &Path, document: &Document, pointer: &str, named: &Path) -> Vec<Misread> {
    vec![Misread {
        file: file.to_owned(),
        at: Some(document.locate(pointer)),
        message: format!(
            "{} cannot be read; paths are relative to the test file",
            named.display()
        ),
    }]
}

/// A file's name up to its first dot.
fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
