//! What the net does to deliveries.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ticket::Time;

/// How far a disordered delivery is thrown back: enough to be overtaken by what happens right after it.
const DISORDER_MS: f64 = 30_000.0;

/// A share of all deliveries, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl FromStr for Fraction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(fraction @ 0.0..=1.0) => Ok(Self(fraction)),
            _ => Err(format!("'{text}' is not a fraction from 0 to 1, such as 0.05")),
        }
    }
}

impl Fraction {
    /// One in so many.
    pub fn one_in(count: u32) -> Self {
        Self(1.0 / f64::from(count.max(1)))
    }
}

/// What becomes of deliveries on their way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disturbance {
    pub lost: Fraction,
    pub delayed: Fraction,
    /// How late the delayed ones are on average.
    pub mean_delay_ms: f64,
    pub doubled: Fraction,
    /// How many come up to half a minute late, and so in another order.
    pub disordered: Fraction,
}

/// Something with the time at which it arrives. The earliest is the greatest, for a heap; what is equally early keeps
/// its order.
struct Due<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl Disturbance {
    /// The deliveries as they arrive, with when they do; `sent` is in the order of time.
    pub fn apply<T: Clone>(self, sent: impl Iterator<Item = (Time, T)>, seed: u64) -> impl Iterator<Item = (Time, T)> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sent = sent.fuse().peekable();
        let mut under_way = BinaryHeap::new();
        let mut count = 0;
        std::iter::from_fn(move || {
            // Nothing arrives before it was sent: what is due before the next one is sent is due next.
            while let Some((at, what)) =
                sent.next_if(|(at, _)| under_way.peek().is_none_or(|due: &Due<T>| *at <= due.at))
            {
                let mut draw = |fraction: Fraction| rng.random::<f64>() < fraction.0;
                let copies = match (draw(self.lost), draw(self.doubled)) {
                    (true, _) => 0,
                    (false, false) => 1,
                    (false, true) => 2,
                };
                for _ in 0..copies {
                    let mut late_by = 0.0;
                    if rng.random::<f64>() < self.delayed.0 {
                        late_by += -self.mean_delay_ms * (1.0 - rng.random::<f64>()).ln();
                    }
                    if rng.random::<f64>() < self.disordered.0 {
                        late_by += DISORDER_MS * rng.random::<f64>();
                    }
                    count += 1;
                    under_way.push(Due {
                        at: at.saturating_add(late_by as i64),
                        number: count,
                        what: what.clone(),
                    });
                }
            }
            under_way.pop().map(|due| (due.at, due.what))
        })
    }
}
