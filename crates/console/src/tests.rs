//! That files are what they say, and that the page runs nothing but them.

use super::*;

/// The table of vendored files.
const TABLE: &str = include_str!("../assets/vendor/README.md");

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn vendored_files_are_what_the_table_says() {
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| file"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let mut listed: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let mut served: Vec<&str> = SHARED.names().filter_map(|name| name.strip_prefix("vendor/")).collect();
    listed.sort_unstable();
    served.sort_unstable();
    assert_eq!(served, listed, "every vendored file has its row");
    for row in rows {
        let [name, package, version, _, licence, text, hash] = row[..] else {
            panic!("a row has seven columns: {row:?}");
        };
        let file = SHARED.get(&format!("vendor/{name}")).expect("a served file");
        assert_eq!(
            hexadecimal(&Sha256::digest(&file.body)),
            hash,
            "{name} is not {package} {version}"
        );
        let text = text
            .rsplit_once("](")
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .expect("a link");
        let text = std::fs::read_to_string(Path::new(SHARED.directory).join("vendor").join(text));
        assert!(
            text.is_ok_and(|text| 100 < text.len()),
            "the text of {licence} lies beside {name}"
        );
    }
}

#[test]
fn the_page_has_no_script_or_style_of_its_own() {
    let page = page("/stage/console/");
    let text = String::from_utf8(page.file.body.into_owned()).expect("text");
    assert!(text.contains("<base href=\"/stage/console/\">"));
    for tag in text.split("<script").skip(1) {
        let (attributes, rest) = tag.split_once('>').expect("a tag ends");
        let map = attributes.contains("type=\"importmap\"");
        assert!(map || rest.starts_with("</script>"), "a script inside the page: {tag}");
    }
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!text.contains(inline), "{inline}");
    }
    let inline = page
        .policy
        .split("; ")
        .any(|rule| rule.contains("unsafe") || rule.contains('*'));
    assert!(!inline, "{}", page.policy);
}

#[test]
fn the_import_map_names_files_that_are_there() {
    let page = page("/console/");
    let text = String::from_utf8(page.file.body.into_owned()).expect("text");
    let named: Vec<&str> = text
        .split('"')
        .filter(|text| text.starts_with("./assets/") || text.starts_with("assets/"))
        .collect();
    assert!(5 < named.len());
    for name in named {
        let name = name.trim_start_matches("./").trim_start_matches("assets/");
        assert!(SHARED.get(name).is_some(), "{name}");
    }
}

#[test]
fn a_base_from_outside_cannot_leave_its_attribute() {
    let page = page("/\"><script>");
    let text = String::from_utf8(page.file.body.into_owned()).expect("text");
    assert!(text.contains("<base href=\"/___script_\">"), "{text}");
}

#[test]
fn a_file_is_known_by_its_etag() {
    let file = SHARED.get("main.js").expect("a file");
    assert!(file.is_known(&file.etag));
    assert!(file.is_known(&format!("\"other\", W/{}", file.etag)));
    assert!(!file.is_known("\"other\""));
    assert!(SHARED.get("../Cargo.toml").is_none(), "only what is listed");
}
