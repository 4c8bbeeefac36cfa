//! A copy of the project's template and state machines, for a test to change.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::server::root;

/// The state machine's file, from the template's folder.
pub(crate) const STATE_MACHINE: &str = "statemachine/ticket-lifecycle.asl.json";

/// The copy; removed when dropped.
pub(crate) struct Project(TempDir);

impl Project {
    /// As it is in the workspace; the functions are still built there.
    pub(crate) fn copy() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("statemachine")).expect("a folder");
        let machines = std::fs::read_dir(root().join("statemachine")).expect("the state machines");
        let machines = machines.map(|entry| entry.expect("a file").file_name());
        let machines = machines.map(|name| PathBuf::from("statemachine").join(name));
        for file in machines.chain(["template.yaml".into()]) {
            std::fs::copy(root().join(&file), directory.path().join(file)).expect("a copy");
        }
        let project = Self(directory);
        let steps = root().join("steps");
        project.change(
            "template.yaml",
            "CodeUri: steps",
            &format!("CodeUri: {}", steps.display()),
        )
    }

    /// Replaces a passage that is there once.
    pub(crate) fn change(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).expect("the copy");
        assert_eq!(text.matches(from).count(), 1, "{from:?} is once in {file}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("the copy can be written");
        self
    }

    /// Replaces a passage where it comes first.
    pub(crate) fn change_first(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).expect("the copy");
        assert!(text.contains(from), "{from:?} is in {file}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("the copy can be written");
        self
    }

    /// Gives one function properties, and its environment variables, in place of those it has.
    pub(crate) fn function(self, binary: &str, properties: &str, variables: &[(&str, &str)]) -> Self {
        let path = self.path("template.yaml");
        let text = std::fs::read_to_string(&path).expect("the copy");
        let begin = text
            .find(&format!("        Binary: {binary}\n"))
            .unwrap_or_else(|| panic!("no function runs {binary}"));
        let (before, function) = text.split_at(begin);
        let mut function = function.replacen("    Properties:\n", &format!("    Properties:\n{properties}"), 1);
        for (name, value) in variables {
            let at = "        Variables:\n";
            let line = function.find(&format!("          {name}: "));
            let end = function.find("      Policies:").expect("every function has policies");
            if let Some(line) = line.filter(|line| *line < end) {
                let length = function[line..].find('\n').expect("the line ends") + 1;
                function.replace_range(line..line + length, "");
            }
            function = function.replacen(at, &format!("{at}          {name}: {value}\n"), 1);
        }
        std::fs::write(path, format!("{before}{function}")).expect("the copy can be written");
        self
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// The argument of `--template`.
    pub(crate) fn template(&self) -> String {
        self.path("template.yaml").display().to_string()
    }
}
