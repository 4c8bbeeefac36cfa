//! The scenarios of the simulations, drawn by the fuzzer: definitions of every state, played to their end.
#![no_main]

use asl::{StateMachine, Status};
use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fuzz_target!(|data: &[u8]| {
    // As a seed: read as the draws themselves the bytes run dry, and a source that gives zeros for ever ends no draw.
    let mut seed = [0; 32];
    for (index, byte) in data.iter().enumerate() {
        seed[index % 32] = byte.wrapping_add(u8::wrapping_mul(seed[index % 32], 31));
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let Ok(drawn) = scenario::scenario().new_tree(&mut runner) else {
        return;
    };
    let scenario = drawn.current();
    let machine = StateMachine::parse(&scenario.definition.to_string()).expect("a scenario has a valid definition");
    let status = fuzz::play(&machine, scenario.input);
    assert_ne!(status, Status::Aborted, "nobody stops it");
});
