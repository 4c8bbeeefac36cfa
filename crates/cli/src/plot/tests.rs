use serde_json::json;

use super::*;

/// An hour with tickets in three of its minutes, the last of them not over.
fn hour() -> PerMinute {
    let minutes: Vec<Value> = (0..60)
        .map(|minute| {
            let (high, highest) = match minute {
                0 => (2, 1),
                7 => (1, 0),
                59 => (0, 4),
                _ => (0, 0),
            };
            json!({ "minute": format!("2026-11-21T07:{minute:02}:00.000Z"), "provisional": minute == 59,
                    "count": high + highest, "counts": { "High": high, "Highest": highest } })
        })
        .collect();
    let answer = json!({ "hour": "2026-11-21T07:00:00.000Z", "by": "created", "as_of": "2026-11-21T08:00:00.000Z",
                         "total": 8, "totals": { "High": 3, "Highest": 5 }, "others": 2, "minutes": minutes, "cut": null });
    serde_json::from_value(answer).unwrap()
}

#[test]
fn an_hour_is_read_from_any_minute_of_it() {
    for text in [
        "2026-11-21T07:00Z",
        "2026-11-21T07:41:03Z",
        "2026-11-21T08:41:03.5+01:00",
    ] {
        assert_eq!(super::hour(text).as_deref(), Ok("2026-11-21T07:00:00Z"));
    }
    assert!(super::hour("seven").is_err());
}

#[test]
fn minutes_are_stacked_by_priority_and_counted_in_the_histogram() {
    let minutes = Chart::of_minutes(&hour());
    assert_eq!(minutes.series, ["Highest", "High"], "the most urgent at the bottom");
    assert_eq!(minutes.bars.len(), 60);
    assert_eq!(minutes.bars[0].parts, [1, 2]);
    assert_eq!(minutes.bars[7].label, "07:07");
    assert_eq!((minutes.highest(), minutes.total(0), minutes.total(1)), (4, 5, 3));
    let counts = Chart::of_counts(&hour());
    let heights: Vec<u64> = counts.bars.iter().map(Bar::height).collect();
    assert_eq!(heights, [57, 1, 0, 1, 1]);
}

#[test]
fn text_shows_a_column_a_minute() {
    let drawn = text::draw(&Chart::of_minutes(&hour()));
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "2026-11-21 07:00 UTC, tickets per minute (created, 8 in all)");
    assert_eq!(lines[2], format!("4 │{}█", " ".repeat(59)));
    assert_eq!(lines[9], format!("  │█{}█{}█", " ".repeat(6), " ".repeat(51)));
    assert_eq!(lines[11], "   07:00     07:10     07:20     07:30     07:40     07:50");
    assert_eq!(lines[13], "   Highest 5, High 3");
    let empty = text::draw(&Chart {
        bars: Vec::new(),
        ..Chart::of_counts(&hour())
    });
    assert!(empty.contains("1 │\n"), "{empty}");
    let few = text::draw(&Chart::of_counts(&hour()));
    assert!(few.lines().any(|line| line.ends_with("0   1   2   3   4")), "{few}");
}

#[test]
fn svg_is_sound_and_its_bars_are_in_proportion() {
    let mut chart = Chart::of_minutes(&hour());
    chart.series[0] = "<Highest> & \"loud\"\u{1}".to_owned();
    let drawn = svg::draw(&chart);
    assert!(drawn.contains("&lt;Highest&gt; &amp; &quot;loud&quot;  (5)"), "{drawn}");
    assert!(drawn.contains("pale: more may come"));
    let heights: Vec<f64> = drawn
        .lines()
        .filter(|line| line.contains("</rect>"))
        .map(|line| {
            let (_, rest) = line.split_once("height=\"").unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        })
        .collect();
    let unit = heights[0];
    assert_eq!(
        heights
            .iter()
            .map(|height| (height / unit).round() as u64)
            .collect::<Vec<_>>(),
        [1, 2, 1, 4]
    );
}
