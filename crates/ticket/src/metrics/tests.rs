//! The counting against references that are as naive as can be.

mod kept;
mod throughput;

use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Time {
    Time::from_millis(ms).unwrap()
}

/// The definition, word by word: the smallest value that at least so many percent of all do not exceed.
fn naive_percentile(values: &[i64], percent: usize) -> Option<i64> {
    let covers = |value: &i64| values.iter().filter(|other| *other <= value).count() * 100 >= percent * values.len();
    values.iter().copied().filter(covers).min()
}

fn durations() -> impl Strategy<Value = Vec<i64>> {
    // Few different ones as well as many, and the very edges of the buckets.
    let edge = (0..BUCKETS_MS.len(), -1..=1_i64).prop_map(|(index, off)| (BUCKETS_MS[index] + off).max(0));
    prop::collection::vec(prop_oneof![0..5_i64, edge, 0..200 * DAY_MS], 0..60)
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let priority = prop::option::of(prop::sample::select(vec!["High", "high", "HIGHEST", "Low", ""]));
    let moment = (-10 * MINUTE_MS..70 * MINUTE_MS, priority).prop_map(|(ms, priority)| Moment {
        at: at(ms),
        priority: priority.map(str::to_owned),
    });
    prop::collection::vec(moment, 0..80)
}

proptest! {
    #[test]
    fn percentiles_are_the_nearest_rank(values in durations()) {
        let distribution = Distribution::of(values.clone());
        prop_assert_eq!(distribution.count, values.len());
        prop_assert_eq!(distribution.p50_ms, naive_percentile(&values, 50));
        prop_assert_eq!(distribution.p85_ms, naive_percentile(&values, 85));
        prop_assert_eq!(distribution.p95_ms, naive_percentile(&values, 95));
        prop_assert_eq!(distribution.min_ms, values.iter().copied().min());
        prop_assert_eq!(distribution.max_ms, values.iter().copied().max());
    }

    #[test]
    fn a_histogram_counts_every_duration_once_and_where_it_belongs(values in durations()) {
        let histogram = Distribution::of(values.clone()).histogram;
        prop_assert_eq!(histogram.len(), BUCKETS_MS.len());
        for bucket in &histogram {
            let is_in = |value: &&i64| bucket.from_ms <= **value && bucket.to_ms.is_none_or(|to| **value < to);
            prop_assert_eq!(bucket.count, values.iter().filter(is_in).count());
        }
        prop_assert_eq!(histogram.iter().map(|bucket| bucket.count).sum::<usize>(), values.len());
    }

    #[test]
    fn every_ticket_of_the_hour_is_counted_in_its_minute_and_under_its_priority(
        moments in moments(), now in -5 * MINUTE_MS..80 * MINUTE_MS
    ) {
        let priorities: BTreeSet<String> = ["High", "Highest"].map(str::to_owned).into();
        let counted = per_minute(at(0), at(now), &priorities, &moments);
        prop_assert_eq!(counted.minutes.len(), 60);
        let named = |moment: &&Moment, name: &str| {
            moment.priority.as_ref().is_some_and(|priority| priority.eq_ignore_ascii_case(name))
        };
        for (index, minute) in (0..).zip(&counted.minutes) {
            let begins = index * MINUTE_MS;
            prop_assert_eq!(minute.minute, at(begins));
            prop_assert_eq!(minute.provisional, now < begins + MINUTE_MS);
            let here = || moments.iter().filter(|moment| moment.at.millis().div_euclid(MINUTE_MS) == index);
            for name in &priorities {
                prop_assert_eq!(minute.counts[name], here().filter(|moment| named(moment, name)).count());
            }
            prop_assert_eq!(minute.count, minute.counts.values().sum::<usize>());
        }
        let within = moments.iter().filter(|moment| (0..HOUR_MS).contains(&moment.at.millis())).count();
        prop_assert_eq!(counted.totals.values().sum::<usize>() + counted.others, within);
    }
}

#[test]
fn nothing_has_no_percentiles() {
    let nothing = Distribution::of(Vec::new());
    assert_eq!((nothing.count, nothing.p50_ms, nothing.max_ms), (0, None, None));
    assert!(nothing.histogram.iter().all(|bucket| bucket.count == 0));
}

#[test]
fn the_percentiles_of_one_to_a_hundred_are_themselves() {
    let distribution = Distribution::of((1..=100).rev().collect());
    let percentiles = [distribution.p50_ms, distribution.p85_ms, distribution.p95_ms];
    assert_eq!(percentiles, [Some(50), Some(85), Some(95)]);
}

mod findings {
    use crate::fact::{Category, Change, ChangelogId, Clock, Fact, Field, Named};
    use crate::metrics::{Finding, findings};
    use crate::{Flag, Policy, TicketId, Time};

    /// The findings of a ticket that went through statuses of these categories, a minute each.
    fn of_way(site: &str, categories: &[Category]) -> Vec<Finding> {
        let at = |index: usize| Time::from_millis(index as i64 * 60_000).unwrap();
        let status = |index: usize| Named {
            id: Some(index.to_string()),
            name: None,
        };
        let mut facts = vec![Fact::Created { at: at(0) }];
        for (index, category) in categories.iter().enumerate() {
            facts.push(Fact::Category {
                status: index.to_string(),
                category: *category,
                observed: at(0),
            });
            facts.push(Fact::Change(Change {
                field: Field::Status,
                changelog: ChangelogId(index.to_string()),
                item: 0,
                from: index.checked_sub(1).map(status),
                to: Some(status(index)),
                at: at(index),
                clock: Clock::History,
                initial: index == 0,
            }));
        }
        let ticket = crate::fold(&facts, &Policy::default(), &crate::Categories::default());
        let id: TicketId = format!("{site}~1").parse().unwrap();
        findings(&id, &ticket).into_iter().collect()
    }

    #[test]
    fn a_ticket_that_skips_work_or_goes_back_is_found() {
        use Category::{Done, Indeterminate, New};
        let site = "jira.example.com";
        assert_eq!(of_way(site, &[New, Indeterminate, Done]), []);
        assert_eq!(of_way(site, &[New, Done]), [Finding::ClosedNeverStarted]);
        assert_eq!(of_way("flat", &[New, Done]), []);
        assert_eq!(of_way(site, &[New]), []);
        assert_eq!(of_way(site, &[New, Indeterminate, New]), [Finding::MovedBackwards]);
        assert_eq!(
            of_way(site, &[New, Done, New, Done]),
            [Finding::ClosedNeverStarted, Finding::MovedBackwards]
        );
        assert_eq!(of_way(site, &[]), [Finding::Flag(Flag::StatusUnknown)]);
    }

    #[test]
    fn a_finding_is_written_as_one_word() {
        let word = |finding: Finding| serde_json::to_value(finding).unwrap();
        assert_eq!(word(Finding::ClosedNeverStarted), "closed_never_started");
        assert_eq!(word(Finding::Flag(Flag::ClockSkew)), "clock_skew");
        for text in ["moved_backwards", "incomplete"] {
            let read: Finding = serde_json::from_value(text.into()).unwrap();
            assert_eq!(word(read), text);
        }
    }
}
