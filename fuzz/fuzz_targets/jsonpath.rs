//! Any text as a path or a call of an intrinsic function, alone and in a template, over any input.
#![no_main]

use asl::query::{Language, ReferencePath};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    if let Some((text, input)) = fuzz::text_and_input(data) {
        fuzz::follow(text, &input);
        fuzz::evaluate(&json!({"a": [{"value.$": text}]}), Language::JsonPath, &input);
        if let Ok(path) = ReferencePath::parse(text) {
            let _ = path.set(input.clone(), json!({"put": true}));
        }
    }
});
