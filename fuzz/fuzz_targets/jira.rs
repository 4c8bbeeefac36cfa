//! Any bytes as a delivery from JIRA.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = ticket::jira::read(data);
});
