//! A state machine's definition as types: what the document says, parsed once.
//!
//! Names of states are unique in a whole state machine, so all states, those of branches and item processors too,
//! stand in one table, and a flow is just the name of the state it starts at.

mod parse;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};

use crate::Json;
use crate::choice::Rule;
use crate::event::{Resource, StateType};
use crate::query::{Expression, Path, ReferencePath, Template};
use crate::retry::{Catcher, Retrier};

pub use parse::{INVALID_LABEL, NOWHERE, Problem, Severity, TESTED, quoted};
pub(crate) use parse::{NO_END, TARGET};

/// A parsed state machine.
#[derive(Debug)]
pub struct StateMachine {
    pub start_at: Arc<str>,
    pub timeout_seconds: Option<u64>,
    /// Whether an execution's history is kept, and therefore has its quota of events: not in an Express workflow.
    pub keeps_history: bool,
    /// Whether the first state's input is printed anew, where others get the execution's as it was sent.
    ///
    /// AWS has done so since 2024, by the recordings: seen with a labelled Map, not with definitions of before.
    pub(crate) prints_input: bool,
    pub(crate) states: HashMap<Arc<str>, State>,
}

pub use crate::query::Language as QueryLanguage;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Arc<str>,
    /// Where its document stands, as AWS writes it: `/States/A`.
    pub(crate) pointer: Box<str>,
    pub(crate) language: QueryLanguage,
    /// Whether any of its expressions looks at the Context Object, which is made only then.
    pub(crate) uses_context: bool,
    pub(crate) kind: Kind,
    /// Where to go on; `None` ends the flow.
    pub(crate) next: Option<Arc<str>>,
    /// `Parameters` in JSONPath, `Arguments` in JSONata.
    pub(crate) arguments: Option<Template>,
    pub(crate) input_path: PathField,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: ResultPath,
    pub(crate) output_path: PathField,
    /// JSONata's `Output`.
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

/// `InputPath` and `OutputPath`: absent is the whole document, `null` the empty object.
#[derive(Debug)]
pub(crate) enum PathField {
    Whole,
    Nothing,
    Path(Path),
}

/// `ResultPath`: absent or `$` is the result alone, `null` discards it.
#[derive(Debug)]
pub(crate) enum ResultPath {
    Replace,
    Discard,
    At(ReferencePath),
}

#[derive(Debug)]
pub(crate) enum Kind {
    Pass {
        result: Option<Json>,
    },
    Succeed,
    Fail {
        error: Text,
        cause: Text,
    },
    Wait(Wait),
    Choice {
        rules: Vec<Branch>,
        default: Option<Arc<str>>,
    },
    Task(Box<Task>),
    Parallel {
        branches: Vec<Arc<str>>,
    },
    Map(Box<Map>),
}

impl Kind {
    pub(crate) fn state_type(&self) -> StateType {
        match self {
            Self::Pass { .. } => StateType::Pass,
            Self::Succeed => StateType::Succeed,
            Self::Fail { .. } => StateType::Fail,
            Self::Wait(_) => StateType::Wait,
            Self::Choice { .. } => StateType::Choice,
            Self::Task(_) => StateType::Task,
            Self::Parallel { .. } => StateType::Parallel,
            Self::Map(_) => StateType::Map,
        }
    }
}

/// A single value that is computed: a `…Path` field in JSONPath, a `{% %}` string in JSONata.
#[derive(Debug)]
pub(crate) struct Computed {
    pub(crate) field: String,
    /// As written, without JSONata's marks.
    pub(crate) source: Arc<str>,
    pub(crate) how: How,
}

#[derive(Debug)]
pub(crate) enum How {
    JsonPath(Expression),
    Jsonata(Template),
}

/// A text that is given or computed.
#[derive(Debug)]
pub(crate) enum Text {
    Absent,
    Given(Arc<str>),
    Computed(Computed),
}

/// A whole number that is given or computed.
#[derive(Debug)]
pub(crate) enum Number {
    Absent,
    Given(u64),
    Computed(Computed),
}

#[derive(Debug)]
pub(crate) enum Wait {
    Seconds(Number),
    Timestamp(DateTime<FixedOffset>),
    Computed(Computed),
}

/// A Choice Rule with where it leads.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) rule: Rule,
    pub(crate) next: Arc<str>,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    pub(crate) timeout: Number,
    pub(crate) heartbeat: Number,
    pub(crate) credentials: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) items: Items,
    pub(crate) item_selector: Option<Template>,
    /// What the document calls it: `Parameters` is its older name.
    pub(crate) selector_field: &'static str,
    pub(crate) max_concurrency: Number,
    pub(crate) start_at: Arc<str>,
    pub(crate) distributed: Option<Distributed>,
}

/// What a distributed Map says beside what an inline one does.
#[derive(Debug)]
pub(crate) struct Distributed {
    /// `Label`, a part of the Map Run's ARN.
    pub(crate) label: Option<Arc<str>>,
    pub(crate) tolerated_count: Tolerated,
    pub(crate) tolerated_percentage: Tolerated,
    /// `ItemReader`, which only a state that is tested may have: the test brings what it would read.
    pub(crate) reader: Option<Reader>,
    /// `ItemBatcher`, likewise.
    pub(crate) batcher: Option<Batcher>,
    /// Whether there is a `ResultWriter`, likewise: the state's result is then where the results are.
    pub(crate) writes_result: bool,
}

/// How a distributed Map reads its items.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) format: Format,
    /// `ItemsPointer`: where in a JSON document the items are.
    pub(crate) items_pointer: Option<Box<str>>,
    pub(crate) max_items: Number,
}

/// The form of what an `ItemReader` reads.
#[derive(Debug)]
pub(crate) enum Format {
    /// A JSON document; also what lists objects gives one.
    Json,
    JsonLines,
    /// Its columns are named by the first line, or by the definition.
    Csv {
        headers: Option<Vec<String>>,
        delimiter: char,
    },
}

/// How a distributed Map puts items together.
#[derive(Debug)]
pub(crate) struct Batcher {
    pub(crate) max_items: Number,
    pub(crate) max_bytes: Number,
    pub(crate) input: Option<Template>,
}

/// How many of a distributed Map's items may fail.
#[derive(Debug)]
pub(crate) enum Tolerated {
    Absent,
    Given(f64),
    Computed(Computed),
}

#[derive(Debug)]
pub(crate) enum Items {
    /// The state's input itself.
    Input,
    /// `ItemsPath`.
    Path(Path),
    /// JSONata's `Items`.
    Computed(Template, Arc<str>),
}

impl StateMachine {
    /// The state machine of this definition, or everything that is wrong with it.
    pub fn parse(definition: &str) -> Result<Self, Vec<Problem>> {
        parse::parse(definition)
    }

    /// The state machine of a definition that was accepted once. What is refused by now it may say, as far as it can be
    /// understood: the executions of a state machine outlive the rules that it was made under.
    pub fn accepted(definition: &str) -> Result<Self, Vec<Problem>> {
        let (machine, problems) = parse::examine(definition);
        machine.ok_or(problems)
    }

    /// The state machine in which a single state is tested: the state of this name, or, without one, the state that the
    /// whole definition is. What only a test can do without is not asked for.
    pub(crate) fn of_tested(definition: &str, state_name: Option<&str>) -> Result<Self, Vec<Problem>> {
        parse::tested(definition, state_name)
    }

    /// As much of a definition as can be understood, with what is wrong with it.
    pub(crate) fn examine(definition: &str) -> (Option<Self>, Vec<Problem>) {
        parse::examine(definition)
    }

    pub(crate) fn state(&self, name: &str) -> Option<&State> {
        self.states.get(name)
    }
}
