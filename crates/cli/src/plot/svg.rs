//! A chart as SVG: no scripts, no fonts of its own, readable in black and white and on a dark page.

use super::{Bar, Chart};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
/// What is left free around the bars, for titles and labels.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 52.0;
/// How much of its place a bar takes.
const FILLED: f64 = 0.78;
/// No bar is wider: a few of them look like few.
const WIDEST: f64 = 72.0;
/// Labels across, at most: so that they do not touch.
const LABELS: usize = 13;
/// Grid lines up, at most.
const LINES: u64 = 6;

/// Colours that people with any kind of sight can tell apart (after Okabe and Ito), the most urgent the warmest.
const COLOURS: [&str; 7] = [
    "#d55e00", "#e69f00", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#777777",
];

pub(super) fn draw(chart: &Chart) -> String {
    let (step, top) = scale(chart.highest());
    let y = |value: u64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value as f64 / top as f64);
    let place = (WIDTH - LEFT - RIGHT) / chart.bars.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"17\" font-weight=\"600\" fill=\"#222222\">{title}</text>\n",
        title = escaped(&chart.title),
    );
    svg.push_str(&legend(chart));
    for value in (0..=top).step_by(usize::try_from(step).unwrap_or(1)) {
        let (y, end) = (y(value), WIDTH - RIGHT);
        let colour = if value == 0 { "#555555" } else { "#dddddd" };
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\" stroke=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{value}</text>\n",
            LEFT - 8.0,
            y + 4.5,
        ));
    }
    let width = (place * FILLED).min(WIDEST);
    let every = chart.bars.len().div_ceil(LABELS).max(1);
    // Of sixty minutes, those that clocks show.
    let every = if chart.bars.len() == 60 { 5 } else { every };
    for (index, bar) in chart.bars.iter().enumerate() {
        let left = LEFT + place * (index as f64 + 0.5) - width / 2.0;
        svg.push_str(&stack(bar, left, width, y));
        if index.is_multiple_of(every) {
            svg.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">{}</text>\n",
                left + width / 2.0,
                HEIGHT - BOTTOM + 18.0,
                escaped(&bar.label),
            ));
        }
    }
    svg.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#222222\">{}</text>\n\
         <text x=\"16\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#222222\" transform=\"rotate(-90 16 {:.1})\">{}</text>\n\
         </svg>\n",
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 12.0,
        chart.across,
        TOP + (HEIGHT - TOP - BOTTOM) / 2.0,
        TOP + (HEIGHT - TOP - BOTTOM) / 2.0,
        chart.up,
    ));
    svg
}

fn legend(chart: &Chart) -> String {
    let mut x = LEFT;
    let mut svg = String::new();
    for (index, name) in chart.series.iter().enumerate() {
        let text = format!("{name} ({})", chart.total(index));
        svg.push_str(&format!(
            "<rect x=\"{x:.1}\" y=\"44\" width=\"12\" height=\"12\" fill=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"55\" fill=\"#222222\">{}</text>\n",
            colour(index),
            x + 18.0,
            escaped(&text),
        ));
        // About what a character of this size is wide.
        x += 44.0 + 7.2 * text.chars().count() as f64;
    }
    if chart.bars.iter().any(|bar| bar.provisional) {
        svg.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"55\" fill=\"#777777\">pale: more may come</text>\n"
        ));
    }
    svg
}

fn stack(bar: &Bar, left: f64, width: f64, y: impl Fn(u64) -> f64) -> String {
    let mut svg = String::new();
    let mut below = 0;
    for (index, part) in bar.parts.iter().enumerate().filter(|(_, part)| **part != 0) {
        let (from, to) = (y(below), y(below + part));
        let pale = if bar.provisional { " fill-opacity=\"0.45\"" } else { "" };
        svg.push_str(&format!(
            "<rect x=\"{left:.1}\" y=\"{to:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"{pale}>\
             <title>{}: {part}</title></rect>\n",
            from - to,
            colour(index),
            escaped(&bar.label),
        ));
        below += part;
    }
    svg
}

fn colour(series: usize) -> &'static str {
    COLOURS[series % COLOURS.len()]
}

/// The distance of the grid's lines, and the highest of them: whole numbers, 1, 2 or 5 times a power of ten apart.
fn scale(highest: u64) -> (u64, u64) {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit: u64| digit.saturating_mul(10_u64.saturating_pow(power))));
    let step = steps
        .into_iter()
        .find(|step| highest.div_ceil(*step) <= LINES)
        .unwrap_or(u64::MAX);
    (step, step.saturating_mul(highest.div_ceil(step).max(1)))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to write these.
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
