//! Points in and out of their chunks.

use crate::model::{Chunk, Metric, MetricId, Tier};
use crate::statistics::StatisticSet;
use std::collections::BTreeMap;
use zonal_cloud::{Tx, View};
use zonal_wire::Time;

/// Points by the second at which their period begins.
pub type Series = BTreeMap<i64, StatisticSet>;

fn floor(value: i64, step: i64) -> i64 {
    value - value.rem_euclid(step)
}

/// Adds values to a metric. They go to the finest tier that keeps points of their age.
pub fn put(tx: &mut Tx<'_>, id: &MetricId, unit: &str, time: Time, set: &StatisticSet, by_second: bool) {
    let age = tx.now.secs() - time.secs();
    let tier =
        Tier::ALL.into_iter().filter(|tier| *tier != Tier::Second).find(|tier| age < tier.kept()).unwrap_or(Tier::Hour);
    add(tx, id, unit, tier, time.secs(), set);
    if by_second && age < Tier::Second.kept() {
        add(tx, id, unit, Tier::Second, time.secs(), set);
    }
}

/// Adds values to a point of a tier, and makes metric and chunk where they are new.
pub fn add(tx: &mut Tx<'_>, id: &MetricId, unit: &str, tier: Tier, second: i64, set: &StatisticSet) {
    let metric_key = id.key();
    let start = floor(second, tier.span());
    // A place within a chunk: at most 60.
    let place = ((second - start) / tier.resolution()) as u32;
    let key = Chunk::key_of(&metric_key, unit, tier, start);
    let known = tx.update::<Chunk, _>(&key, |chunk| chunk.points.entry(place).or_default().merge(set));
    if known.is_some() {
        return;
    }
    let mut chunk = Chunk::new(key);
    chunk.points.insert(place, set.clone());
    tx.put(chunk);
    let mut metric = tx.get::<Metric>(&metric_key).cloned().unwrap_or_else(|| Metric::new(id.clone()));
    metric.units.insert(unit.to_owned());
    metric.newest = metric.newest.max(floor(second, Tier::Minute.span()));
    metric.oldest.entry(tier).and_modify(|oldest| *oldest = start.min(*oldest)).or_insert(start);
    tx.put(metric);
}

/// The points of a metric from `start` until before `end` (seconds), put together by `period`; by unit.
pub fn read(
    view: &View<'_>,
    id: &MetricId,
    unit: Option<&str>,
    start: i64,
    end: i64,
    period: i64,
) -> BTreeMap<String, Series> {
    let mut out = BTreeMap::new();
    let key = id.key();
    let Some(metric) = view.get::<Metric>(&key) else { return out };
    for own in metric.units.iter().filter(|own| unit.is_none_or(|unit| unit == *own)) {
        let mut series = Series::new();
        for tier in Tier::ALL {
            let fits =
                if period < 60 { tier == Tier::Second } else { tier != Tier::Second && tier.resolution() <= period };
            if let (true, Some(oldest)) = (fits, metric.oldest.get(&tier)) {
                collect(
                    view,
                    &mut series,
                    &key,
                    own,
                    tier,
                    start.max(*oldest),
                    end.min(view.now.secs() + 3 * 3600),
                    period,
                );
            }
        }
        if !series.is_empty() {
            out.insert(own.clone(), series);
        }
    }
    out
}

#[allow(clippy::too_many_arguments, reason = "a chunk's address and a stretch of time")]
fn collect(
    view: &View<'_>,
    series: &mut Series,
    metric: &str,
    unit: &str,
    tier: Tier,
    start: i64,
    end: i64,
    period: i64,
) {
    let mut at = floor(start, tier.span());
    while at < end {
        if let Some(chunk) = view.get::<Chunk>(&Chunk::key_of(metric, unit, tier, at)) {
            for (place, set) in &chunk.points {
                let second = at + i64::from(*place) * tier.resolution();
                if second >= start && second < end {
                    series.entry(floor(second, period)).or_default().merge(set);
                }
            }
        }
        at += tier.span();
    }
}

/// The same, whatever the units.
pub fn read_any(view: &View<'_>, id: &MetricId, unit: Option<&str>, start: i64, end: i64, period: i64) -> Series {
    let mut out = Series::new();
    for series in read(view, id, unit, start, end, period).into_values() {
        for (second, set) in series {
            out.entry(second).or_default().merge(&set);
        }
    }
    out
}
