//! Statistic sets: how datapoints are kept and what is read out of them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Neighbouring buckets of a distribution differ by this factor, so that a percentile is right to within one percent.
const GROWTH: f64 = 1.02;
/// Bucket numbers of positive values are shifted by this, beyond the least that a double can give.
const SHIFT: f64 = 40_000.0;
/// More buckets than this are not kept; percentiles are then not available, as for statistic sets of AWS's.
const MOST_BUCKETS: usize = 512;

/// What is kept of the values of one metric in one stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StatisticSet {
    /// How many.
    #[serde(rename = "n")]
    pub count: f64,
    /// Their sum.
    #[serde(rename = "s")]
    pub sum: f64,
    /// The least.
    #[serde(rename = "l")]
    pub minimum: f64,
    /// The greatest.
    #[serde(rename = "h")]
    pub maximum: f64,
    /// How many lie in which bucket; empty while all are equal.
    #[serde(rename = "d", default, skip_serializing_if = "BTreeMap::is_empty")]
    distribution: BTreeMap<i32, f64>,
}

impl StatisticSet {
    /// `count` times the same value.
    pub fn of(value: f64, count: f64) -> Self {
        Self { count, sum: value * count, minimum: value, maximum: value, distribution: BTreeMap::new() }
    }

    /// A set that a client has aggregated itself: its distribution is not known.
    pub fn given(count: f64, sum: f64, minimum: f64, maximum: f64) -> Self {
        Self { count, sum, minimum, maximum, distribution: BTreeMap::new() }
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other.clone();
            return;
        }
        let differ = self.minimum != other.minimum || self.maximum != other.maximum || self.minimum != self.maximum;
        if differ {
            self.spread();
            if other.distribution.is_empty() && other.minimum == other.maximum {
                self.add(bucket(other.minimum), other.count);
            }
            for (bucket, count) in &other.distribution {
                self.add(*bucket, *count);
            }
        }
        self.count += other.count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }

    /// Gives equal values their bucket, before others join them.
    fn spread(&mut self) {
        if self.distribution.is_empty() && self.minimum == self.maximum {
            self.distribution.insert(bucket(self.minimum), self.count);
        }
    }

    fn add(&mut self, bucket: i32, count: f64) {
        if self.distribution.len() < MOST_BUCKETS || self.distribution.contains_key(&bucket) {
            *self.distribution.entry(bucket).or_default() += count;
        }
    }

    /// The value below which `percent` of the values lie; `None` where only a sum of them is known.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        if self.minimum == self.maximum {
            return Some(self.minimum);
        }
        let known: f64 = self.distribution.values().sum();
        if (known - self.count).abs() > self.count * 1e-9 {
            return None;
        }
        let rank = (percent / 100.0 * self.count).ceil().max(1.0);
        let mut seen = 0.0;
        for (bucket, count) in &self.distribution {
            seen += count;
            if seen >= rank {
                return Some(middle(*bucket).clamp(self.minimum, self.maximum));
            }
        }
        Some(self.maximum)
    }
}

/// The bucket of a value; buckets are in the order of their values.
fn bucket(value: f64) -> i32 {
    let magnitude = || (value.abs().ln() / GROWTH.ln()).ceil() + SHIFT;
    // Within ±80,000 for every finite double.
    if value > 0.0 {
        magnitude() as i32
    } else if value < 0.0 {
        -(magnitude() as i32)
    } else {
        0
    }
}

/// A value in the middle of a bucket.
fn middle(bucket: i32) -> f64 {
    let magnitude = || GROWTH.powf(f64::from(bucket.abs()) - SHIFT) * 2.0 / (1.0 + GROWTH);
    match bucket {
        0 => 0.0,
        b if b > 0 => magnitude(),
        _ => -magnitude(),
    }
}

/// A statistic as the API names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// `SampleCount`
    Count,
    /// `Sum`
    Sum,
    /// `Average`
    Average,
    /// `Minimum`
    Minimum,
    /// `Maximum`
    Maximum,
    /// `p99.9`
    Percentile(f64),
}

impl Statistic {
    /// Reads its name; `None` for those that are not offered here (trimmed means and the like).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SampleCount" => Self::Count,
            "Sum" => Self::Sum,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            _ => {
                let digits = name.strip_prefix('p')?;
                let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                let percent: f64 = plain.then(|| digits.parse().ok()).flatten()?;
                (0.0..=100.0).contains(&percent).then_some(Self::Percentile(percent))?
            }
        })
    }

    /// Its value; `None` where the set does not have it.
    pub fn of(self, set: &StatisticSet) -> Option<f64> {
        match self {
            Self::Count => Some(set.count),
            Self::Sum => Some(set.sum),
            Self::Average => (set.count != 0.0).then(|| set.sum / set.count),
            Self::Minimum => Some(set.minimum),
            Self::Maximum => Some(set.maximum),
            Self::Percentile(percent) => set.percentile(percent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(values: &[f64]) -> StatisticSet {
        let mut set = StatisticSet::default();
        for value in values {
            set.merge(&StatisticSet::of(*value, 1.0));
        }
        set
    }

    proptest! {
        #[test]
        fn merging_in_any_grouping_gives_the_same(values in prop::collection::vec(-1e6f64..1e6, 1..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let (mut left, right) = (set(&values[..cut]), set(&values[cut..]));
            left.merge(&right);
            let whole = set(&values);
            prop_assert_eq!(left.count, whole.count);
            prop_assert_eq!((left.minimum, left.maximum), (whole.minimum, whole.maximum));
            prop_assert_eq!(left.percentile(50.0), whole.percentile(50.0));
        }

        #[test]
        fn a_percentile_is_right_within_a_percent(mut values in prop::collection::vec(0.001f64..1e6, 1..100), percent in 1.0f64..100.0) {
            let found = set(&values).percentile(percent).unwrap();
            values.sort_by(f64::total_cmp);
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            prop_assert!((found - exact).abs() <= exact * 0.0101, "{} for {}", found, exact);
        }
    }

    #[test]
    fn a_percentile_of_sums_only_is_not_known() {
        let mut given = StatisticSet::given(10.0, 50.0, 1.0, 9.0);
        assert_eq!(given.percentile(50.0), None);
        given.merge(&StatisticSet::of(4.0, 1.0));
        assert_eq!(given.percentile(50.0), None);
        assert_eq!(StatisticSet::given(3.0, 6.0, 2.0, 2.0).percentile(99.0), Some(2.0));
    }

    #[test]
    fn statistics_are_read_by_name() {
        assert_eq!(Statistic::parse("p99.9"), Some(Statistic::Percentile(99.9)));
        for wrong in ["p101", "p", "tm99", "average", "p1e1"] {
            assert_eq!(Statistic::parse(wrong), None, "{wrong}");
        }
    }
}
