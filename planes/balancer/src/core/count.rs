//! Counters for CloudWatch: a shard per core, so that no two cores write to one, merged and reset
//! when read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::{Distribution, GroupMetrics, NodeMetrics};

/// A number of things since it was last read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn take_into(&self, sum: &mut u64) {
        *sum += self.0.swap(0, Relaxed);
    }
}

/// What a core has counted on one node.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each is NodeMetrics' of the same name")]
pub struct NodeCounts {
    pub new_connections: Count,
    pub rejected_connections: Count,
    pub processed_bytes: Count,
    pub elb_3xx: Count,
    pub elb_4xx: Count,
    pub elb_5xx: Count,
    pub elb_500: Count,
    pub elb_502: Count,
    pub elb_503: Count,
    pub elb_504: Count,
    pub redirects: Count,
    pub redirects_too_long: Count,
    pub fixed_responses: Count,
    pub client_tls_errors: Count,
    pub rule_evaluations: Count,
    pub non_compliant_requests: Count,
    pub dropped_invalid_header_requests: Count,
}

impl NodeCounts {
    /// An error of the balancer's own.
    pub fn elb_error(&self, status: u16) {
        match status {
            400..=499 => self.elb_4xx.add(1),
            500..=599 => self.elb_5xx.add(1),
            _ => {}
        }
        match status {
            500 => self.elb_500.add(1),
            502 => self.elb_502.add(1),
            503 => self.elb_503.add(1),
            504 => self.elb_504.add(1),
            _ => {}
        }
    }

    /// Moves what was counted into `sum`.
    pub fn take_into(&self, sum: &mut NodeMetrics) {
        self.new_connections.take_into(&mut sum.new_connections);
        self.rejected_connections.take_into(&mut sum.rejected_connections);
        self.processed_bytes.take_into(&mut sum.processed_bytes);
        self.elb_3xx.take_into(&mut sum.elb_3xx);
        self.elb_4xx.take_into(&mut sum.elb_4xx);
        self.elb_5xx.take_into(&mut sum.elb_5xx);
        self.elb_500.take_into(&mut sum.elb_500);
        self.elb_502.take_into(&mut sum.elb_502);
        self.elb_503.take_into(&mut sum.elb_503);
        self.elb_504.take_into(&mut sum.elb_504);
        self.redirects.take_into(&mut sum.redirects);
        self.redirects_too_long.take_into(&mut sum.redirects_too_long);
        self.fixed_responses.take_into(&mut sum.fixed_responses);
        self.client_tls_errors.take_into(&mut sum.client_tls_errors);
        self.rule_evaluations.take_into(&mut sum.rule_evaluations);
        self.non_compliant_requests.take_into(&mut sum.non_compliant_requests);
        self.dropped_invalid_header_requests.take_into(&mut sum.dropped_invalid_header_requests);
    }
}

/// What a core has counted for a target group on one node.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each is GroupMetrics' of the same name")]
pub struct GroupCounts {
    pub requests: Count,
    pub non_sticky_requests: Count,
    pub unhealthy_routing_requests: Count,
    pub target_2xx: Count,
    pub target_3xx: Count,
    pub target_4xx: Count,
    pub target_5xx: Count,
    pub connection_errors: Count,
    pub tls_errors: Count,
    pub response_time: ResponseTimes,
}

impl GroupCounts {
    /// A target answered with this status.
    pub fn target_status(&self, status: u16) {
        match status {
            200..=299 => self.target_2xx.add(1),
            300..=399 => self.target_3xx.add(1),
            400..=499 => self.target_4xx.add(1),
            500..=599 => self.target_5xx.add(1),
            _ => {}
        }
    }

    /// Moves what was counted into `sum`.
    pub fn take_into(&self, sum: &mut GroupMetrics) {
        self.requests.take_into(&mut sum.requests);
        self.non_sticky_requests.take_into(&mut sum.non_sticky_requests);
        self.unhealthy_routing_requests.take_into(&mut sum.unhealthy_routing_requests);
        self.target_2xx.take_into(&mut sum.target_2xx);
        self.target_3xx.take_into(&mut sum.target_3xx);
        self.target_4xx.take_into(&mut sum.target_4xx);
        self.target_5xx.take_into(&mut sum.target_5xx);
        self.connection_errors.take_into(&mut sum.connection_errors);
        self.tls_errors.take_into(&mut sum.tls_errors);
        self.response_time.take_into(&mut sum.response_time);
    }
}

/// Parts that each doubling of time is divided into: buckets are an eighth wide.
const PARTS: u64 = 8;
/// Up to 2^28 µs, 268 s; what is longer counts as that.
const BUCKETS: usize = 26 * PARTS as usize;

/// A histogram of durations, with exact sum and extremes.
#[derive(Debug)]
pub struct ResponseTimes {
    nanoseconds: AtomicU64,
    /// Nanoseconds; `u64::MAX` without samples.
    min: AtomicU64,
    max: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Default for ResponseTimes {
    fn default() -> Self {
        Self {
            nanoseconds: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl ResponseTimes {
    /// One more.
    pub fn record(&self, took: std::time::Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.buckets[bucket(nanoseconds / 1_000)].fetch_add(1, Relaxed);
        // A reader's reset between the look and the write loses nothing: both are atomic.
        if nanoseconds < self.min.load(Relaxed) {
            self.min.fetch_min(nanoseconds, Relaxed);
        }
        if nanoseconds > self.max.load(Relaxed) {
            self.max.fetch_max(nanoseconds, Relaxed);
        }
    }

    fn take_into(&self, sum: &mut Distribution) {
        let mut merged: std::collections::BTreeMap<u64, u64> = sum.buckets.iter().copied().collect();
        let before = sum.count;
        for (index, bucket) in self.buckets.iter().enumerate() {
            let count = bucket.swap(0, Relaxed);
            if count > 0 {
                sum.count += count;
                *merged.entry(middle(index)).or_default() += count;
            }
        }
        sum.buckets = merged.into_iter().collect();
        sum.sum += self.nanoseconds.swap(0, Relaxed) as f64 / 1e9;
        let (min, max) = (self.min.swap(u64::MAX, Relaxed), self.max.swap(0, Relaxed));
        if min != u64::MAX {
            let min = min as f64 / 1e9;
            sum.min = if before == 0 { min } else { sum.min.min(min) };
        }
        sum.max = sum.max.max(max as f64 / 1e9);
    }
}

/// Below `PARTS`, a bucket per microsecond; above, `PARTS` per doubling.
fn bucket(microseconds: u64) -> usize {
    if microseconds < PARTS {
        return microseconds as usize;
    }
    let doubling = u64::from(microseconds.ilog2()) - u64::from(PARTS.ilog2());
    let part = (microseconds >> doubling) - PARTS;
    (((doubling + 1) * PARTS + part) as usize).min(BUCKETS - 1)
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let (doubling, part) = (bucket / PARTS - 1, bucket % PARTS);
    ((PARTS + part) << doubling) + ((1 << doubling) >> 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reading_takes_what_was_counted_and_no_more() {
        let counts = GroupCounts::default();
        counts.target_status(204);
        counts.response_time.record(Duration::from_millis(3));
        counts.response_time.record(Duration::from_millis(1));
        let mut sum = GroupMetrics::default();
        counts.take_into(&mut sum);
        assert_eq!((sum.target_2xx, sum.response_time.count), (1, 2));
        assert_eq!((sum.response_time.min, sum.response_time.max), (0.001, 0.003));
        let mut again = GroupMetrics::default();
        counts.take_into(&mut again);
        assert_eq!(again, GroupMetrics::default());
    }

    proptest! {
        #[test]
        fn a_buckets_middle_is_within_an_eighth(microseconds in 0u64..250_000_000) {
            let middle = middle(bucket(microseconds));
            prop_assert!(middle.abs_diff(microseconds) <= microseconds / 8, "{microseconds} became {middle}");
        }
    }
}
