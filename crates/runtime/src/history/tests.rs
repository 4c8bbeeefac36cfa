//! What the store promises, row by row.

use asl::{Event, EventKind, Status};
use chrono::DateTime;

use super::*;

const MACHINE: MachineId = MachineId(1);

fn head(status: Status) -> Head {
    Head {
        status,
        started: DateTime::UNIX_EPOCH,
        stopped: (status != Status::Running).then_some(DateTime::UNIX_EPOCH),
        last_event: 1,
        due: None,
        pending: false,
        redrive_count: 0,
        redriven: None,
        redrive_token: None,
        place: Place {
            tries: 1,
            ..Place::default()
        },
    }
}

fn first_batch(id: i64, name: &str, events: &[Event]) -> Append {
    Append {
        id: ExecutionId(id),
        position: 0,
        events: encode(events),
        head: head(Status::Running),
        new: Some(NewExecution {
            alias: None,
            machine: MACHINE,
            revision: RevisionId(1),
            version: None,
            name: name.into(),
            subject: None,
            parent: None,
        }),
        tokens: vec![(format!("token of {name}").into(), 1)],
        outbox: Vec::new(),
        queued: QueueChange::default(),
        map_runs: Vec::new(),
    }
}

fn event(id: asl::EventId, kind: EventKind) -> Event {
    Event {
        id,
        previous: id.saturating_sub(1),
        time: DateTime::UNIX_EPOCH,
        frame: 0,
        kind,
    }
}

fn open(faults: Faults) -> (tempfile::TempDir, History) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let history = History::open(DataDir::take(directory.path()).expect("a directory of its own"), faults)
        .expect("the store opens");
    (directory, history)
}

#[tokio::test]
async fn commits_are_synced_and_readers_only_read() {
    let (_directory, history) = open(Faults::default());
    let pragmas = history
        .write(|connection| {
            let pragma = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0));
            let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            Ok((pragma("PRAGMA journal_mode")?, synchronous))
        })
        .await;
    assert_eq!(pragmas.unwrap(), ("wal".to_owned(), 2));
    let written = history
        .read(|connection| Ok(connection.execute("DELETE FROM log", [])?))
        .await;
    assert!(matches!(written, Err(Error::Sqlite(_))), "{written:?}");
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_disturb_the_rest_of_its_group() {
    let (_directory, history) = open(Faults::default());
    let events = [event(1, EventKind::ParallelStateSucceeded)];
    history.append(first_batch(1, "taken", &events)).await.unwrap();

    let (before, refused, after) = tokio::join!(
        history.append(first_batch(2, "before", &events)),
        history.append(first_batch(3, "taken", &events)),
        history.append(first_batch(4, "after", &events)),
    );
    before.unwrap();
    after.unwrap();
    assert!(
        matches!(refused, Err(Error::NameTaken { id: ExecutionId(1) })),
        "{refused:?}"
    );
    for (id, logged) in [(1, 1), (2, 1), (3, 0), (4, 1)] {
        let log = history
            .read(move |connection| log::all(connection, ExecutionId(id)))
            .await;
        assert_eq!(log.unwrap().0.len(), logged, "execution {id}");
    }
    let token = history
        .read(|connection| log::token(connection, "token of after"))
        .await;
    assert_eq!(token.unwrap(), Some((ExecutionId(4), 1)));
}

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_and_the_next_one_works() {
    let faults = Faults::default();
    faults.plan().fail.insert(1);
    let (_directory, history) = open(faults);
    let events = [event(1, EventKind::ParallelStateSucceeded)];

    let failed = history.append(first_batch(1, "one", &events)).await;
    assert!(matches!(failed, Err(Error::Sqlite(_))), "{failed:?}");
    let found = history
        .read(|connection| executions::find(connection, MACHINE, "one"))
        .await;
    assert_eq!(found.unwrap(), None);
    history.append(first_batch(1, "one", &events)).await.unwrap();
}

#[tokio::test]
async fn work_that_fails_is_undone_alone() {
    let (_directory, history) = open(Faults::default());
    let events = [event(1, EventKind::ParallelStateSucceeded)];
    let (work, append) = tokio::join!(
        history.write(|connection| -> Result<()> {
            outbox::insert(connection, b"{}")?;
            Err(Error::Full { execution: 9 })
        }),
        history.append(first_batch(1, "one", &events)),
    );
    assert!(matches!(work, Err(Error::Full { execution: 9 })), "{work:?}");
    append.unwrap();
    let owed = history.read(|connection| outbox::oldest(connection, 9)).await;
    assert_eq!(owed.unwrap(), []);
}

#[tokio::test]
async fn pages_join_to_the_history_without_its_hidden_events() {
    let (_directory, history) = open(Faults::default());
    // Ten batches of three events, of which the middle one is hidden, between two other executions.
    let mut position = 0;
    for id in [1, 3] {
        history
            .append(first_batch(
                id,
                &format!("n{id}"),
                &[event(1, EventKind::MapStateSucceeded)],
            ))
            .await
            .unwrap();
    }
    for batch in 0..10 {
        let id = 2 * batch + 1;
        let events = [
            event(id, EventKind::ParallelStateSucceeded),
            event(id, EventKind::TaskHeartbeat),
            event(id + 1, EventKind::ParallelStateSucceeded),
        ];
        let append = Append {
            position,
            ..first_batch(2, "n2", &events)
        };
        let new = append.new.filter(|_| batch == 0);
        let tokens = if batch == 0 { append.tokens } else { Vec::new() };
        history.append(Append { new, tokens, ..append }).await.unwrap();
        position += events.len() as Position;
    }

    for reverse in [false, true] {
        for limit in 1..=21 {
            let mut ids = Vec::new();
            let mut from = None;
            loop {
                let page = history.read(move |connection| log::page(connection, ExecutionId(2), from, reverse, limit));
                let (events, next) = page.await.unwrap();
                assert!(next.is_none() || events.len() == limit);
                ids.extend(events.iter().map(|event| event.id));
                from = next;
                if from.is_none() {
                    break;
                }
            }
            if reverse {
                ids.reverse();
            }
            assert_eq!(ids, (1..=20).collect::<Vec<_>>(), "limit {limit}, reverse {reverse}");
        }
    }
}

#[tokio::test]
async fn a_log_has_an_end_and_a_foreign_position_harms_nothing() {
    let (_directory, history) = open(Faults::default());
    let events = [event(1, EventKind::ParallelStateSucceeded)];
    history.append(first_batch(1, "one", &events)).await.unwrap();
    history.append(first_batch(2, "two", &events)).await.unwrap();

    let beyond = Append {
        position: 1 << 24,
        new: None,
        tokens: Vec::new(),
        ..first_batch(1, "one", &events)
    };
    let full = history.append(beyond).await;
    assert!(matches!(full, Err(Error::Full { execution: 1 })), "{full:?}");
    for (from, reverse) in [
        (-1, false),
        (-1, true),
        (1 << 24, false),
        (i64::MAX, true),
        (i64::MIN, false),
    ] {
        let page = history
            .read(move |connection| log::page(connection, ExecutionId(2), Some(from), reverse, 9))
            .await;
        let (events, next) = page.unwrap();
        let all = from < 0 || reverse;
        assert_eq!(
            (events.len(), next),
            (usize::from(all), None),
            "{from}, reverse {reverse}"
        );
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let (directory, history) = open(Faults::default());
    history
        .write(|connection| Ok(connection.pragma_update(None, "user_version", 99)?))
        .await
        .unwrap();
    history.close().await;
    drop(history);
    let newer = History::open(
        DataDir::take(directory.path()).expect("a directory of its own"),
        Faults::default(),
    )
    .err();
    assert!(matches!(newer, Some(Error::Newer { found: 99, .. })), "{newer:?}");
}
