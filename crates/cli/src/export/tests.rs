use super::*;

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|line| format!("{{\"line\":{line}}}")).collect()
}

/// Opens an export, adds lines to it and is killed: what it leaves.
fn killed(file: &Path, lines: &[String], is_whole: bool) {
    let (mut sink, mut place) = open(file, "all", false).unwrap();
    place.tickets += lines.len() as u64;
    place.is_whole = is_whole;
    sink.write(lines, &mut place).unwrap();
}

#[test]
fn an_export_goes_on_behind_the_last_page_that_was_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.jsonl");
    killed(&file, &lines(2), false);
    // Killed between writing a page and counting it.
    let mut part = OpenOptions::new().append(true).open(part_of(&file)).unwrap();
    part.write_all(b"{\"li").unwrap();
    let (_, place) = open(&file, "all", false).unwrap();
    assert_eq!(place.tickets, 2);
    let left = fs::read_to_string(part_of(&file)).unwrap();
    assert_eq!(left, format!("{}\n", lines(2).join("\n")));
    assert_eq!(
        open(&file, "open ones", false).unwrap().1.tickets,
        0,
        "another question"
    );
    killed(&file, &lines(2), false);
    assert_eq!(
        open(&file, "all", true).unwrap().1.tickets,
        0,
        "it was asked to begin anew"
    );
}

#[test]
fn an_export_that_was_killed_at_its_very_end_is_not_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.jsonl");
    killed(&file, &lines(3), true);
    let (_, place) = open(&file, "all", false).unwrap();
    assert!(place.is_whole && place.tickets == 3);
    // Or right after: the file has its name, and the place is still there.
    fs::rename(part_of(&file), &file).unwrap();
    let (_, place) = open(&file, "all", false).unwrap();
    assert!(!place.is_whole && place.tickets == 0 && place.bytes == 0);
}
