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
