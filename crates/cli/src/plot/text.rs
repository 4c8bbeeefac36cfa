//! A chart as text, a column a bar.

use super::Chart;

/// Lines of the bars.
const LINES: u64 = 8;
/// Eighths of a line, from one to seven.
const EIGHTHS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
/// Columns between labels, at least: "07:00" and a space.
const LABEL_COLUMNS: usize = 10;

pub(super) fn draw(chart: &Chart) -> String {
    let highest = chart.highest().max(1);
    let margin = highest.to_string().len();
    // Few bars are drawn wide.
    let width = if chart.bars.len() <= 20 { 4 } else { 1 };
    let mut lines = vec![chart.title.clone(), String::new()];
    for line in (0..LINES).rev() {
        // The scale has its highest value at the top, and in the middle where that is a whole number.
        let scale = match line {
            line if line == LINES - 1 => highest.to_string(),
            line if line == LINES / 2 - 1 && highest.is_multiple_of(2) => (highest / 2).to_string(),
            _ => String::new(),
        };
        let bars: String = chart
            .bars
            .iter()
            .map(|bar| cell(bar.height(), highest, line, width))
            .collect();
        lines.push(format!("{scale:>margin$} │{}", bars.trim_end()));
    }
    lines.push(format!("{:>margin$} └{}", 0, "─".repeat(chart.bars.len() * width)));
    let mut labels = String::new();
    for (index, bar) in chart.bars.iter().enumerate() {
        let is_due = width != 1 || index.is_multiple_of(LABEL_COLUMNS);
        if is_due && labels.chars().count() <= index * width {
            labels = format!("{labels:<0$}{1}", index * width, bar.label);
        }
    }
    lines.push(format!("{:margin$}  {labels}", ""));
    lines.push(format!("{:margin$}  {}", "", chart.across));
    let series = chart
        .series
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{name} {}", chart.total(index)));
    let series: Vec<String> = series.collect();
    lines.push(format!("{:margin$}  {}", "", series.join(", ")));
    lines.join("\n")
}

/// What of a bar is in one line, the lowest being line 0.
fn cell(height: u64, highest: u64, line: u64, width: usize) -> String {
    // In eighths of a line; what is there at all is seen.
    let eighths = (height * LINES * 8).div_ceil(highest);
    let here = eighths.saturating_sub(line * 8).min(8);
    let block = match usize::try_from(here) {
        Ok(0) => ' ',
        Ok(eighths @ 1..=7) => EIGHTHS[eighths - 1],
        _ => '█',
    };
    match width {
        1 => block.to_string(),
        width => format!("{:<width$}", block.to_string().repeat(width - 1)),
    }
}
