//! The time and the randomness of one transition.

use std::cell::Cell;

/// The instant at which a transition is computed, and all the randomness it may use.
///
/// The same moment gives the same values again: a transition can be repeated exactly. Draws go on from one another, so
/// one moment must be shared by everything that one transition evaluates.
#[derive(Debug, Clone)]
pub struct Moment {
    time_ms: i64,
    state: Cell<u64>,
}

impl Moment {
    /// `time_ms` counts from 1970; `seed` should be unpredictable and different each time.
    pub fn new(time_ms: i64, seed: u64) -> Self {
        Self {
            time_ms,
            state: Cell::new(seed),
        }
    }

    /// Milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// The next 64 random bits (SplitMix64, which passes for random from any seed).
    pub fn draw(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random UUID (version 4), in its usual text form.
    pub(super) fn uuid(&self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }
}

/// The numbers that a seed in a state machine stands for: the sequence of `java.util.Random`, which is documented and
/// will not change, so that a seed means the same tomorrow.
#[derive(Debug)]
pub(super) struct Seeded {
    state: u64,
}

impl Seeded {
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;

    pub(super) fn new(seed: i64) -> Self {
        Self {
            state: (seed.cast_unsigned() ^ Self::MULTIPLIER) & Self::MASK,
        }
    }

    fn bits(&mut self, n: u32) -> u64 {
        self.state = self.state.wrapping_mul(Self::MULTIPLIER).wrapping_add(0xb) & Self::MASK;
        self.state >> (48 - n)
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub(super) fn unit(&mut self) -> f64 {
        let bits = (self.bits(26) << 27) + self.bits(27);
        bits as f64 / (1_u64 << 53) as f64
    }

    /// An integer in `[0, bound)`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((self.unit() * bound as f64) as u64).min(bound.saturating_sub(1))
    }
}
