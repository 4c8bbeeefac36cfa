use chrono::{TimeDelta, TimeZone};
use proptest::prelude::*;

use super::*;

proptest! {
    /// In any stretch of time a route takes its burst and what comes back meanwhile at most, and never refuses a client
    /// that keeps to the rate.
    #[test]
    fn a_bucket_keeps_to_rate_and_burst(rate in 1_u32..50, burst in 1_u32..20, pauses in prop::collection::vec(0_i64..400, 1..200)) {
        let begin = Utc.timestamp_millis_opt(1_763_720_000_000).unwrap();
        let throttle = Throttle { rate: Some(f64::from(rate)), burst: Some(burst) };
        let bucket = Bucket::new(&throttle, begin);
        let (mut now, mut taken) = (begin, Vec::new());
        for pause in pauses {
            now += TimeDelta::milliseconds(pause);
            if bucket.take(now) {
                taken.push(now);
            }
        }
        for (first, from) in taken.iter().enumerate() {
            for (count, to) in taken[first..].iter().enumerate() {
                let most = f64::from(burst) + f64::from(rate) * (*to - *from).as_seconds_f64();
                prop_assert!((count + 1) as f64 <= most + 1e-6);
            }
        }
        let patient = Bucket::new(&throttle, begin);
        let step = TimeDelta::microseconds(1_000_000 / i64::from(rate) + 1);
        for count in 0..100 {
            prop_assert!(patient.take(begin + step * count));
        }
    }
}
