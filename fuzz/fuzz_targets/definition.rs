//! Any text as a definition, and if it is one, played.
#![no_main]

use asl::StateMachine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((text, input)) = fuzz::text_and_input(data)
        && let Ok(machine) = StateMachine::parse(text)
    {
        fuzz::play(&machine, input);
    }
});
