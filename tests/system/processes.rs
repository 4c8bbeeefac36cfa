//! The machine's processes, read from /proc.

/// A process, told apart from a later one of the same number by when it started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    started: String,
}

/// The processes whose parent is this one, read from /proc.
pub(crate) fn children_of(parent: u32) -> Vec<Process> {
    processes()
        .into_iter()
        .filter(|(_, of)| *of == parent)
        .map(|(process, _)| process)
        .collect()
}

/// Every process with its parent.
pub(crate) fn processes() -> Vec<(Process, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // pid (name) state ppid … starttime …; a name may hold anything, so what follows its last parenthesis counts.
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let (Ok(id), Some(parent), Some(started)) = (
            entry.file_name().to_string_lossy().parse(),
            fields.get(1),
            fields.get(19),
        ) else {
            continue;
        };
        if let (Ok(parent), false) = (parent.parse(), fields[0] == "Z") {
            found.push((
                Process {
                    id,
                    started: (*started).to_owned(),
                },
                parent,
            ));
        }
    }
    found
}
