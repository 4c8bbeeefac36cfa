use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ticket::{Categories, Delivery, Fact, Flag, Policy, Texts, fold, jira};

use super::*;
use ticket::Time;

const BASE: &str = "https://made-up.example.net";
const HOUR_MS: i64 = 3_600_000;

fn start() -> Time {
    "2026-03-02T08:00:00Z".parse().expect("a time")
}

fn stories(seed: u64, per_hour: f64) -> Stories {
    Stories::new(seed, start(), per_hour, "SHOP")
}

#[test]
fn the_same_seed_makes_the_same_stories_and_another_one_others() {
    let first: Vec<Happening> = stories(7, 100.0).take(500).collect();
    assert_eq!(first, stories(7, 100.0).take(500).collect::<Vec<_>>());
    assert_ne!(first, stories(8, 100.0).take(500).collect::<Vec<_>>());
    assert!(first.is_sorted_by_key(|happening| happening.at));
}

/// Over 2,000 hours a Poisson process of 100 an hour has a standard deviation of 0.22 % of its count, and each hour's
/// count one of 10.
#[test]
fn issues_are_created_at_the_rate_asked_for_as_a_poisson_process() {
    for (seed, per_hour) in [(1, 100.0), (2, 12.5), (3, 900.0)] {
        let hours = 200_000.0 / per_hour;
        let end = start().saturating_add((hours * HOUR_MS as f64) as i64);
        let mut counts = vec![0_u32; hours as usize];
        let happenings = stories(seed, per_hour).take_while(|happening| happening.at < end);
        for happening in happenings.filter(|happening| happening.act == Act::Create) {
            let hour = happening.at.since(start()) / HOUR_MS;
            if let Some(count) = usize::try_from(hour).ok().and_then(|hour| counts.get_mut(hour)) {
                *count += 1;
            }
        }
        let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        assert!(
            (mean / per_hour - 1.0).abs() < 0.01,
            "{mean} an hour instead of {per_hour}"
        );
        let squares = counts.iter().map(|count| (f64::from(*count) - mean).powi(2));
        let variance = squares.sum::<f64>() / counts.len() as f64;
        assert!(
            (variance / mean - 1.0).abs() < 0.35,
            "variance {variance} of a mean of {mean}"
        );
    }
}

#[test]
fn the_lives_are_plausible() {
    let happenings: Vec<Happening> = stories(11, 100.0).take(20_000).collect();
    let transitions = |to: Status| {
        happenings
            .iter()
            .filter(move |happening| happening.act == Act::Transition(to))
    };
    let created = happenings
        .iter()
        .filter(|happening| happening.act == Act::Create)
        .count();
    assert!(created / 2 < transitions(Status::DONE).count());
    let reopened = transitions(Status::TO_DO).filter(|happening| {
        let histories = &happening.issue.histories;
        let before = histories.iter().rev().nth(1);
        before.is_some_and(|history| {
            history.items[0]
                .to
                .as_ref()
                .is_some_and(|(id, _)| id == Status::DONE.id)
        })
    });
    assert!(created / 30 < reopened.count());
    let priorities: BTreeSet<usize> = happenings.iter().map(|happening| happening.issue.priority).collect();
    assert_eq!(priorities.len(), PRIORITIES.len());
    assert!(
        happenings
            .iter()
            .any(|happening| matches!(happening.act, Act::Prioritise(_)))
    );
}

/// Facts and texts of the deliveries of each issue.
fn told<'a>(happenings: impl Iterator<Item = &'a Happening>) -> BTreeMap<u64, (Vec<Fact>, Texts)> {
    let mut told: BTreeMap<u64, (Vec<Fact>, Texts)> = BTreeMap::new();
    for happening in happenings {
        let body = happening.issue.delivery(BASE).to_string();
        let Ok(Delivery::Event(event)) = jira::read(body.as_bytes()) else {
            panic!("no delivery: {body}");
        };
        let (facts, texts) = told.entry(happening.issue.id).or_default();
        facts.extend(event.facts);
        *texts = std::mem::take(texts).merge(event.texts);
    }
    told
}

#[test]
fn what_is_delivered_is_the_issue_without_a_doubt() {
    let happenings: Vec<Happening> = stories(3, 100.0).take(3_000).collect();
    let last: BTreeMap<u64, &Issue> = happenings
        .iter()
        .map(|happening| (happening.issue.id, &happening.issue))
        .collect();
    for (id, (facts, _)) in told(happenings.iter()) {
        let ticket = fold(&facts, &Policy::default(), &Categories::default());
        let issue = last[&id];
        assert_eq!(ticket.closed_at.is_some(), issue.status.is_done(), "{issue:?}");
        assert_eq!(
            ticket.status.as_ref().and_then(|status| status.id.as_deref()),
            Some(issue.status.id)
        );
        assert!(
            ticket.flags.is_subset(&BTreeSet::<Flag>::new()),
            "{:?} of {issue:?}",
            ticket.flags
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the deliveries are disturbed, what the REST API tells makes the tickets whole, and once is enough.
    #[test]
    fn the_rest_api_mends_what_the_net_has_broken(seed: u64, per_hour in 50.0..2_000.0) {
        let happenings: Vec<Happening> = stories(seed, per_hour).take(300).collect();
        let disturbance = Disturbance {
            lost: Fraction::one_in(4),
            delayed: Fraction::one_in(5),
            mean_delay_ms: 600_000.0,
            doubled: Fraction::one_in(10),
            disordered: Fraction::one_in(3),
        };
        let sent = happenings.iter().map(|happening| (happening.at, happening));
        let arrived: Vec<&Happening> = disturbance.apply(sent, seed).map(|(_, happening)| happening).collect();
        let whole = told(happenings.iter());
        let mut known = told(arrived.into_iter());
        let statuses: Vec<_> = STATUSES.iter().map(|status| status.json(BASE)).collect();
        let categories = jira::read_categories(&serde_json::to_vec(&statuses).expect("JSON")).expect("statuses");
        let last: BTreeMap<u64, &Issue> = happenings.iter().map(|happening| (happening.issue.id, &happening.issue)).collect();
        for (id, issue) in last {
            let mut rest = issue.rest(BASE);
            rest["changelog"] = serde_json::json!({ "histories": issue.histories().collect::<Vec<_>>() });
            let (facts, texts) = known.entry(id).or_default();
            let mut rounds = 0;
            loop {
                let events = jira::read_issue(rest.to_string().as_bytes(), &categories).expect("an issue");
                let news: Vec<_> = events.iter().filter_map(|event| event.unknown_to(facts, texts)).collect();
                if news.is_empty() {
                    break;
                }
                for event in news {
                    facts.extend(event.facts);
                    *texts = std::mem::take(texts).merge(event.texts);
                }
                rounds += 1;
                prop_assert!(rounds < 2, "the second time there is no news");
            }
            let (all, all_texts) = &whole[&id];
            let (mended, undisturbed) = (fold(&*facts, &Policy::default(), &Categories::default()), fold(all, &Policy::default(), &Categories::default()));
            prop_assert_eq!(mended.history, undisturbed.history);
            prop_assert_eq!(mended.flags, undisturbed.flags);
            prop_assert_eq!(
                (mended.priority, mended.priority_at_creation, mended.closed_at, mended.reopen_count),
                (undisturbed.priority, undisturbed.priority_at_creation, undisturbed.closed_at, undisturbed.reopen_count)
            );
            prop_assert_eq!(texts.summary(), all_texts.summary());
        }
    }

    #[test]
    fn a_disturbance_does_what_it_says(seed: u64) {
        let sent = || (0..10_000).map(|number| (start().saturating_add(number * 1_000), number));
        let calm: Vec<_> = Disturbance::default().apply(sent(), seed).collect();
        prop_assert_eq!(calm, sent().collect::<Vec<_>>());
        let share = |count: usize| count as f64 / 10_000.0;
        let lossy = Disturbance { lost: Fraction::one_in(20), ..Disturbance::default() };
        prop_assert!((share(lossy.apply(sent(), seed).count()) - 0.95).abs() < 0.02);
        let doubling = Disturbance { doubled: Fraction::one_in(10), ..Disturbance::default() };
        prop_assert!((share(doubling.apply(sent(), seed).count()) - 1.1).abs() < 0.02);
        let late = Disturbance { delayed: Fraction::one_in(5), mean_delay_ms: 60_000.0, ..Disturbance::default() };
        let arrived: Vec<_> = late.apply(sent(), seed).collect();
        prop_assert!(arrived.is_sorted_by_key(|(at, _)| *at));
        let delays = arrived.iter().map(|(at, number)| at.since(start()) - number * 1_000);
        let delays: Vec<i64> = delays.filter(|delay| 0 < *delay).collect();
        prop_assert!((share(delays.len()) - 0.2).abs() < 0.03);
        let mean = delays.iter().sum::<i64>() as f64 / delays.len() as f64;
        prop_assert!((mean / 60_000.0 - 1.0).abs() < 0.15, "{}", mean);
        let shuffled = Disturbance { disordered: Fraction::one_in(2), ..Disturbance::default() };
        prop_assert!(!shuffled.apply(sent(), seed).is_sorted_by_key(|(_, number)| number));
    }
}
