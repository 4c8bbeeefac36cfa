use chrono::{TimeDelta, Utc};

use super::Clock;

#[tokio::test]
async fn a_still_clock_wakes_its_sleepers_only_when_moved_past_their_moment() {
    let start = Utc::now();
    let clock = Clock::still(start);
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move {
            clock.sleep_until(start + TimeDelta::days(3)).await;
            clock.now()
        }
    });
    tokio::task::yield_now().await;
    clock.jump_to(start + TimeDelta::days(2));
    tokio::task::yield_now().await;
    assert!(!sleeper.is_finished());
    clock.jump_to(start + TimeDelta::days(4));
    assert_eq!(sleeper.await.unwrap(), start + TimeDelta::days(4));
}

#[test]
fn no_clock_goes_back() {
    let start = Utc::now();
    let clock = Clock::still(start);
    clock.jump_to(start - TimeDelta::hours(1));
    assert_eq!(clock.now(), start);
}

#[tokio::test]
async fn the_system_clock_runs_and_still_jumps() {
    let clock = Clock::system();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    clock.jump_to(tomorrow);
    assert!(tomorrow <= clock.now());
    clock.sleep_until(tomorrow).await;
}

/// A clock kept in a directory of its own.
fn kept(skips: bool) -> (tempfile::TempDir, Clock) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::open(&directory.path().join("clock.json"), skips).unwrap();
    (directory, clock)
}

#[tokio::test]
async fn time_that_was_skipped_stays_skipped_after_a_restart() {
    let (directory, clock) = kept(true);
    let due = Utc::now() + TimeDelta::days(3);
    let quiet = clock.quiet(None).await;
    clock.skip_to(due, quiet).await.unwrap();
    assert!(due <= clock.now());
    let shown = clock.now();
    for skips in [true, false] {
        let again = Clock::open(&directory.path().join("clock.json"), skips).unwrap();
        assert!(shown <= again.now(), "time went back");
        assert!(again.now() < due + TimeDelta::hours(1));
        assert_eq!(again.skips(), skips);
    }
}

#[tokio::test]
async fn nothing_that_came_up_meanwhile_is_overtaken() {
    let (directory, clock) = kept(true);
    let quiet = clock.quiet(None).await;
    // What came was over before the jump, but it may have changed what is due.
    drop(clock.busy());
    clock.skip_to(Utc::now() + TimeDelta::days(3), quiet).await.unwrap();
    assert_eq!(clock.ahead(), TimeDelta::zero());
    let again = Clock::open(&directory.path().join("clock.json"), true).unwrap();
    assert!(again.ahead() < TimeDelta::seconds(1));

    let busy = clock.busy();
    let mut waiting = std::pin::pin!(clock.quiet(Some(quiet)));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("somebody is at work"),
        () = std::future::ready(()) => {}
    }
    drop(busy);
    assert_ne!(waiting.await, quiet);
}

#[tokio::test]
async fn a_bell_holds_the_clock_until_it_is_heard_and_let_go() {
    let clock = Clock::still(Utc::now()).skipping();
    let bell = super::Bell::new(clock.clone());
    let before = clock.quiet(None).await;
    bell.ring();
    bell.ring();
    assert!(futures_pending(clock.quiet(Some(before))).await);
    let busy = bell.heard().await;
    assert!(futures_pending(clock.quiet(Some(before))).await);
    drop(busy);
    clock.quiet(Some(before)).await;
}

#[tokio::test]
async fn whoever_is_away_does_not_hold_the_clock_and_its_alarm_is_known() {
    let start = Utc::now();
    let clock = Clock::still(start).skipping();
    let busy = clock.busy();
    let alarm = clock.alarm(start + TimeDelta::days(1));
    let _later = clock.alarm(start + TimeDelta::days(2));
    let away = clock.away();
    let quiet = clock.quiet(None).await;
    assert_eq!(quiet.alarm, Some(start + TimeDelta::days(1)));
    drop(away);
    assert!(futures_pending(clock.quiet(None)).await, "it is back");
    drop(alarm);
    drop(busy);
    assert_eq!(clock.quiet(None).await.alarm, Some(start + TimeDelta::days(2)));
}

/// Whether it does not resolve at once.
async fn futures_pending<T>(future: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

#[test]
fn a_clock_file_that_says_nonsense_is_refused_by_name() {
    let (directory, _) = kept(true);
    let file = directory.path().join("clock.json");
    for (text, part) in [
        ("{}", "does not say"),
        (r#"{"ahead_ms": -1}"#, "no time to come"),
        (r#"{"ahead_ms": 9223372036854775807}"#, "no time to come"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Clock::open(&file, false).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("clock.json"), "{error}");
    }
}
