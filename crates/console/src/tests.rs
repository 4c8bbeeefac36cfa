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

/// The colours of a token, in light and dark.
fn token(css: &str, name: &str) -> [[u8; 3]; 2] {
    let (_, rest) = css.split_once(&format!("--{name}: light-dark(")).expect("a token");
    let (values, _) = rest.split_once(')').expect("its end");
    let colour = |text: &str| {
        let number = u32::from_str_radix(text.trim().trim_start_matches('#'), 16).expect("a colour");
        [number >> 16, number >> 8, number].map(|part| (part & 0xff) as u8)
    };
    let (light, dark) = values.split_once(',').expect("two colours");
    [colour(light), colour(dark)]
}

/// As WCAG has it.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let luminance = |colour: [u8; 3]| {
        let linear = colour.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn words_can_be_read_and_signs_told_apart_in_light_and_dark() {
    let css = SHARED.get("console.css").expect("a file").body;
    let css = std::str::from_utf8(&css).expect("text");
    let words = ["ink", "ink-2", "ink-3", "good", "bad", "busy", "odd", "idle"];
    let signs = [
        "border", "focus", "highest", "high", "good", "bad", "busy", "odd", "idle",
    ];
    let grounds = ["page", "card", "sunk"];
    let tints = [
        ("good", "good-tint"),
        ("bad", "bad-tint"),
        ("busy", "busy-tint"),
        ("odd", "odd-tint"),
        ("ink-2", "bad-tint"),
    ];
    let pairs = words.iter().flat_map(|word| grounds.map(|ground| (*word, ground, 4.5)));
    let pairs = pairs.chain(signs.iter().map(|sign| (*sign, "card", 3.0)));
    let pairs = pairs.chain(tints.iter().map(|(word, tint)| (*word, *tint, 4.5)));
    for (front, ground, least) in pairs {
        let (fronts, grounds) = (token(css, front), token(css, ground));
        for (front_colour, ground_colour) in fronts.into_iter().zip(grounds) {
            let measured = contrast(front_colour, ground_colour);
            assert!(least <= measured, "{front} on {ground}: {measured:.2}");
        }
    }
}

#[test]
fn every_text_has_a_size_of_the_scale() {
    let css = SHARED.get("console.css").expect("a file").body;
    let css = std::str::from_utf8(&css).expect("text");
    let sizes: Vec<f64> = css
        .split("font-size: ")
        .skip(1)
        .filter_map(|rest| rest.split_once("px")?.0.parse().ok())
        .collect();
    assert!(10 < sizes.len());
    let scale = [22.0, 19.0, 15.0, 14.0, 13.5, 12.5, 11.5];
    assert!(sizes.iter().all(|size| scale.contains(size)), "{sizes:?}");
}

#[test]
fn a_browser_asks_for_a_page_and_a_program_does_not() {
    for accept in ["text/html", "application/json, TEXT/HTML;q=0.1", "text/html,*/*;q=0.8"] {
        assert!(is_browser(accept), "{accept}");
    }
    for accept in [
        "",
        "*/*",
        "application/json",
        "text/htmlx",
        "application/xml;charset=text/html",
    ] {
        assert!(!is_browser(accept), "{accept}");
    }
}
