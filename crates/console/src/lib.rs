//! The console's page and the files that all its views share, in the binary that serves them.
//!
//! [`page`] is the one HTML document; [`SHARED`] are its styles, its modules and what they are built on. Whoever has
//! views of its own makes [`Files`] of them with [`files!`]. In debug builds files are read from where they were when
//! it was built, so that a reload shows a change.
//!
//! What it is not: it serves nothing and knows of no view's data. The engine and the template's functions do, each for
//! its own views.

use std::borrow::Cow;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// Files that are compiled in.
pub struct Files {
    /// Where they were when this was built.
    directory: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// A file as it is served.
#[derive(Clone, Debug)]
pub struct File {
    pub content_type: &'static str,
    /// Of its bytes, in quotes.
    pub etag: String,
    pub body: Cow<'static, [u8]>,
}

/// The page, and the policy that goes with it.
#[derive(Clone, Debug)]
pub struct Page {
    pub file: File,
    /// The value of `Content-Security-Policy`.
    pub policy: String,
}

/// What every page and every file is answered with: browsers ask each time whether it has changed, take a file for
/// nothing else than it is, and tell no other site where they come from.
pub const HEADERS: &[(&str, &str)] = &[
    ("cache-control", "no-cache"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Makes [`Files`] of some files in a directory of the crate that calls it.
#[macro_export]
macro_rules! files {
    ($directory:literal: $($name:literal),+ $(,)?) => {
        $crate::Files::new(
            concat!(env!("CARGO_MANIFEST_DIR"), "/", $directory),
            &[$((
                $name,
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $directory, "/", $name)),
            )),+],
        )
    };
}

/// What the page itself and all views use.
pub static SHARED: Files = files!("assets":
    "console.css",
    "main.js",
    "lib.js",
    "live.js",
    "executions.js",
    "execution.js",
    "graph.js",
    "timeline.js",
    "icon.svg",
    "vendor/htm.js",
    "vendor/inter.woff2",
    "vendor/jetbrains-mono.woff2",
    "vendor/preact.js",
    "vendor/preact-hooks.js",
    "vendor/signals.js",
    "vendor/signals-core.js",
);

static PAGE: Files = files!("assets": "page.html");

impl Files {
    pub const fn new(directory: &'static str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { directory, files }
    }

    /// The file of this name.
    pub fn get(&self, name: &str) -> Option<File> {
        let (name, embedded) = self.files.iter().find(|(known, _)| *known == name)?;
        Some(File::new(name, self.read(name, embedded)))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    fn read(&self, name: &str, embedded: &'static [u8]) -> Cow<'static, [u8]> {
        if cfg!(debug_assertions) {
            // The binary may have gone elsewhere: what it was built with is as good.
            if let Ok(body) = std::fs::read(Path::new(self.directory).join(name)) {
                return Cow::Owned(body);
            }
        }
        Cow::Borrowed(embedded)
    }
}

impl File {
    fn new(name: &str, body: Cow<'static, [u8]>) -> Self {
        Self {
            content_type: content_type(name),
            etag: format!("\"{}\"", BASE64_STANDARD.encode(Sha256::digest(&body))),
            body,
        }
    }

    /// Whether a browser's `If-None-Match` says that it has this file.
    pub fn is_known(&self, if_none_match: &str) -> bool {
        let known = if_none_match.split(',').map(str::trim);
        known
            .map(|etag| etag.strip_prefix("W/").unwrap_or(etag))
            .any(|etag| etag == self.etag)
    }
}

/// Whether an `Accept` asks for a page, as a browser does that opens an address.
pub fn is_browser(accept: &str) -> bool {
    let mut ranges = accept.split(',').filter_map(|range| range.split(';').next());
    ranges.any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}

/// By the name's ending; browsers are told not to guess.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// The page, for a console that stands below `base`: `/console/`, or what a stage of API Gateway puts before it.
pub fn page(base: &str) -> Page {
    let [(name, embedded)] = PAGE.files else {
        unreachable!("there is one page");
    };
    let text = String::from_utf8_lossy(&PAGE.read(name, embedded)).into_owned();
    let policy = policy(&text);
    let base: String = base
        .chars()
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect();
    let text = text.replace("<base href=\"/console/\">", &format!("<base href=\"{base}\">"));
    Page {
        file: File::new(name, Cow::Owned(text.into_bytes())),
        policy,
    }
}

/// A character that may stand in a path, and in an attribute.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '/' | '-' | '_' | '.' | '~' | '$')
}

/// Nothing from elsewhere, nothing inline but the import map, whose text is named by its hash.
fn policy(page: &str) -> String {
    let map = page
        .split_once("<script type=\"importmap\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map_or("", |(map, _)| map);
    let hash = BASE64_STANDARD.encode(Sha256::digest(map));
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{hash}'; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests;
