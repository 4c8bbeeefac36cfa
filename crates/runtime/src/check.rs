//! Everything that is wrong with a template and its state machines, all at once and with its place.

use std::path::Path;

use crate::history::MachineType;
use crate::stepfunctions;
use crate::template::{self, Problem, Settings, StateMachineResource, Template};

/// The problems of the template at `path`, in order of place; none if it can be run.
pub fn check(path: &Path, settings: &Settings) -> Vec<Problem> {
    let (template, mut problems) = Template::examine(path, settings);
    problems.extend(template.state_machines.iter().flat_map(state_machine));
    problems.sort();
    // What `Globals` says wrongly is found once for each function that takes it from there.
    problems.dedup();
    problems
}

fn state_machine(machine: &StateMachineResource) -> Vec<Problem> {
    let machine_type = match machine.machine_type {
        template::MachineType::Standard => MachineType::Standard,
        template::MachineType::Express => MachineType::Express,
    };
    let problems = stepfunctions::problems(&machine.definition, machine_type);
    let problems = problems.into_iter();
    problems
        .map(|problem| {
            let place = json_pointer(&problem.pointer);
            machine
                .source
                .problem(&place, format!("{}: {}", problem.code, problem.message))
        })
        .collect()
}

/// AWS writes elements as `/Choices[0]/Next`, a JSON pointer as `/Choices/0/Next`.
fn json_pointer(place: &str) -> String {
    match place {
        "/" => String::new(),
        place => place.replace('[', "/").replace(']', ""),
    }
}
