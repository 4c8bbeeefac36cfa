//! Plays cases against a Step Functions endpoint: what is asked, and what must come of it, as data.
//!
//! Those in `tests/asl/wire` are ours and must all pass. `TICKETFLOW_ASL_CASES` names a folder of more, recorded on AWS;
//! `tests/asl/passing.txt` lists which of them pass, and one that is listed must never fail again. With
//! `TICKETFLOW_ASL_UPDATE` set the list is written anew.

mod case;
mod compare;
mod functions;
mod player;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::server::Server;
use case::Case;
use compare::Mismatch;
use functions::Functions;
use player::Player;

/// How many cases are played at once: most of their time they wait.
const AT_ONCE: usize = 24;

/// The folder of cases recorded on AWS.
const FOLDER: &str = "TICKETFLOW_ASL_CASES";
/// Whether the list of passing cases is written instead of checked.
const UPDATE: &str = "TICKETFLOW_ASL_UPDATE";

/// How a case went.
struct Played {
    case: Case,
    outcome: Result<(), Mismatch>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_pass() {
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("asl");
    let own = lists.join("wire");
    let functions = Functions::default();
    let lambda = functions.clone().serve().await;
    let server = Server::start_with(&["--lambda-endpoint", &lambda]);
    let failures = play_all(&server, &functions, read(&own)).await;
    let failures: Vec<_> = failures.iter().filter_map(Played::told).collect();
    assert!(failures.is_empty(), "cases of ours fail:\n{}", failures.join("\n"));

    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let played = play_all(&server, &functions, read(&PathBuf::from(folder).join("cases"))).await;
    let list = lists.join("passing.txt");
    if std::env::var_os(UPDATE).is_some() {
        write_list(&list, &played);
    }
    report(&played);
    let listed = read_list(&list);
    let broken: Vec<_> = played
        .iter()
        .filter(|played| listed.contains(&played.case.id))
        .filter_map(Played::told)
        .collect();
    assert!(
        broken.is_empty(),
        "cases that have passed before fail:\n{}",
        broken.join("\n")
    );
    let known: BTreeSet<_> = played.iter().map(|played| played.case.id.as_str()).collect();
    let lost: Vec<_> = listed.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(
        lost.is_empty(),
        "{} lists cases that are not there: {lost:?}",
        list.display()
    );
}

impl Played {
    /// The failure in one line, if it is one.
    fn told(&self) -> Option<String> {
        let mismatch = self.outcome.as_ref().err()?;
        Some(format!("{}: {mismatch}", self.case.id))
    }
}

/// Plays all cases, several at once, and returns them in their order.
async fn play_all(server: &Server, functions: &Functions, cases: Vec<Case>) -> Vec<Played> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let places = places.clone();
        let player = Player::new(&server.aws, functions.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await.expect("the semaphore is never closed");
            let outcome = player.play(&case).await;
            (number, Played { case, outcome })
        });
    }
    let mut played: Vec<_> = running.join_all().await;
    played.sort_by_key(|(number, _)| *number);
    played.into_iter().map(|(_, played)| played).collect()
}

/// The cases below `folder`, by path.
fn read(folder: &Path) -> Vec<Case> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{} has no cases", folder.display());
    files.iter().map(|file| Case::read(file)).collect()
}

#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
fn report(played: &[Played]) {
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for played in played {
        for area in [played.case.area.as_str(), "~ all"] {
            let (passed, all) = areas.entry(area).or_default();
            *passed += usize::from(played.outcome.is_ok());
            *all += 1;
        }
    }
    for told in played.iter().filter_map(Played::told) {
        println!("FAIL {told}");
    }
    for (area, (passed, all)) in areas {
        println!("{area:28} {passed:4} of {all:4}");
    }
}

fn read_list(list: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    text.lines().map(str::to_owned).collect()
}

fn write_list(list: &Path, played: &[Played]) {
    let passing: BTreeSet<_> = played
        .iter()
        .filter(|played| played.outcome.is_ok())
        .map(|played| played.case.id.as_str())
        .collect();
    let text: String = passing.into_iter().flat_map(|id| [id, "\n"]).collect();
    std::fs::write(list, text).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
}
