use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(line: &str) -> Options {
    Line::parse_from(["create-tickets"].into_iter().chain(line.split_whitespace())).options
}

#[test]
fn the_bar_shows_how_many_tickets_there_are_and_at_what_rate() {
    let start = Time::from_millis(0).unwrap();
    for (line, expected) in [("--hours 8", Some(800)), ("--count 30", Some(30)), ("", None)] {
        let options = options(line);
        let progress = progress(&options);
        progress.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        assert_eq!(progress.length(), expected, "{line}");
        let mut run = Run {
            begun: Instant::now(),
            start,
            speed: 1.0,
            progress,
            tickets: 0,
            deliveries: 0,
            last: start,
        };
        let two_hours = start.saturating_add(2 * 3_600_000);
        let happenings = Stories::new(7, start, 100.0, "SHOP").take_while(|happening| happening.at < two_hours);
        let (mut created, mut sent) = (0, 0);
        for happening in happenings {
            created += u64::from(happening.act == Act::Create);
            sent += 1;
            // A creation that comes twice is one ticket.
            run.sent(&happening, happening.at);
            run.sent(&happening, two_hours);
        }
        assert_eq!(run.progress.position(), created);
        let rate = created as f64 / 2.0;
        assert_eq!(
            run.progress.message(),
            format!("{rate:.1} an hour, {} changes sent", 2 * sent)
        );
        assert!((60.0..140.0).contains(&rate), "{rate}");
    }
}

#[test]
fn faster_than_the_clock_it_ends_now() {
    let mut options = options("--speed 60 --seed 7");
    options.hours = Some(LAST_HOURS);
    assert_eq!(span(&options, 7), 24 * 3_600_000);
    let last = happenings(&options, 7, Time::from_millis(0).unwrap()).last().unwrap();
    assert!(last.at.millis() < 24 * 3_600_000);
    let counted = self::options("--count 10 --seed 7");
    assert!(0 < span(&counted, 7));
}
