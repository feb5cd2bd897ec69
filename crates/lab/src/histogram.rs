//! Latencies in bounded memory: a log-linear histogram of microseconds whose
//! buckets are never wider than 1/32 of their value.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets per power of two.
const FINE: u64 = 32;

/// Counts of latencies; quantiles are exact to 1/32.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Only the buckets that hold something: at most 32 × 60.
    buckets: BTreeMap<u64, u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let us = crate::time::micros(latency);
        *self.buckets.entry(bucket(us)).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(us);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that a share `q` (0 to 1) of all did not exceed; `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (&bucket, &n) in &self.buckets {
            seen += n;
            if seen >= rank {
                return Some(Duration::from_micros(upper(bucket).min(self.max)));
            }
        }
        None
    }

    /// The longest one counted.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max))
    }
}

/// The bucket of a value: the value itself below 32, then 32 to each power of two.
fn bucket(value: u64) -> u64 {
    if value < FINE {
        return value;
    }
    let shift = u64::from(value.ilog2() - FINE.ilog2());
    (shift + 1) * FINE + (value >> shift) - FINE
}

/// The largest value that a bucket holds.
fn upper(bucket: u64) -> u64 {
    if bucket < FINE {
        return bucket;
    }
    let (shift, offset) = (bucket / FINE - 1, bucket % FINE);
    ((u128::from(FINE + offset + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_and_is_narrow(value: u64) {
            let top = upper(bucket(value));
            prop_assert!(top >= value);
            prop_assert!(top - value <= value / FINE);
            prop_assert!(top == u64::MAX || bucket(top + 1) == bucket(value) + 1);
        }

        #[test]
        fn a_quantile_is_what_sorting_gives_to_within_a_bucket(
            mut values in proptest::collection::vec(0u64..10_000_000, 1..300), q in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&v| histogram.record(Duration::from_micros(v)));
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let got = histogram.quantile(q).map(crate::time::micros).unwrap_or(0);
            prop_assert!(got >= exact && got - exact <= exact / FINE, "{got} for {exact}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().max(), None);
    }
}
