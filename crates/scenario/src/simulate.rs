//! The loop around simulations: how many, and from which seed.

use std::hash::{BuildHasher, Hasher, RandomState};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

/// Names the seed of a run to be repeated.
const SEED: &str = "TICKETFLOW_SEED";

/// Makes a test run longer: how many times as many runs it plays.
const LONGER: &str = "TICKETFLOW_SIMULATIONS";

/// Plays `runs` drawn cases, or as many more as `TICKETFLOW_SIMULATIONS` asks for, and panics with the smallest one
/// found to fail and the seed that repeats it.
pub fn simulate<S: Strategy>(runs: u32, cases: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let number = |name| std::env::var(name).ok().map(|text| (text.parse::<u64>(), text));
    let given = |name| {
        number(name).map(|(number, text)| number.unwrap_or_else(|error| panic!("{name}={text} is no number: {error}")))
    };
    // A hasher of its own is seeded by the system.
    let seed = given(SEED).unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let factor = given(LONGER).unwrap_or(1);
    let config = ProptestConfig {
        cases: u32::try_from(factor.saturating_mul(runs.into())).unwrap_or(u32::MAX),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    match runner.run(&cases, test) {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}; {SEED}={seed} repeats it"),
        Err(TestError::Fail(reason, case)) => panic!("{reason}\nfor {case:#?}\n{SEED}={seed} repeats it"),
    }
}
