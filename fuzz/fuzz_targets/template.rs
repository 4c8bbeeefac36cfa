//! Any text as a template, checked with its state machines, rules and schedules.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime::template::Settings;
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(fuzz::directory);

fuzz_target!(|data: &[u8]| {
    let path = DIRECTORY.path().join("template.yaml");
    std::fs::write(&path, data).expect("a file");
    let settings = Settings {
        region: "us-west-2".to_owned(),
        parameters: [("Given".to_owned(), "value".to_owned())].into(),
        gateway_url: "http://localhost:8080".to_owned(),
    };
    for problem in runtime::check(&path, &settings) {
        assert!(!problem.message.is_empty(), "a problem is told");
    }
});
