//! Folds old points into coarser ones, and drops the oldest.

use crate::model::{Chunk, Metric, Tier};
use crate::series;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::{AwsError, Time};

/// The controller; a key is a metric's.
pub struct Retention;

impl Controller for Retention {
    fn name(&self) -> &'static str {
        "cloudwatch.retention"
    }

    fn wakes_on(&self, change: &Change, _view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Metric>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, metric) in view.everywhere::<Metric>() {
            wake(scope, metric.key());
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let now = tx.now.secs();
        for tier in Tier::ALL {
            while let Some(metric) = tx.get::<Metric>(key).cloned() {
                let Some(oldest) = metric.oldest.get(&tier).copied().filter(|start| due(tier, *start) <= now) else {
                    break;
                };
                for unit in &metric.units {
                    fold(tx, &metric, unit, tier, oldest);
                }
                advance(tx, &metric, tier, oldest);
            }
        }
        let Some(metric) = tx.get::<Metric>(key) else { return Ok(Wake::OnChange) };
        if metric.oldest.is_empty() {
            tx.remove::<Metric>(key);
            return Ok(Wake::OnChange);
        }
        let next = metric.oldest.iter().map(|(tier, start)| due(*tier, *start)).min();
        Ok(next.map_or(Wake::OnChange, |second| Wake::At(Time::from_secs(second))))
    }
}

/// When the chunk that begins at `start` is too old for its tier.
fn due(tier: Tier, start: i64) -> i64 {
    start + tier.span() + tier.kept()
}

fn fold(tx: &mut Tx<'_>, metric: &Metric, unit: &str, tier: Tier, start: i64) {
    let key = Chunk::key_of(metric.key(), unit, tier, start);
    let Some(chunk) = tx.get::<Chunk>(&key).cloned() else { return };
    if let Some(coarser) = tier.coarser() {
        for (place, set) in &chunk.points {
            let second = start + i64::from(*place) * tier.resolution();
            series::add(tx, &metric.id, unit, coarser, second, set);
        }
    }
    tx.remove::<Chunk>(&key);
}

/// Sets the tier's oldest chunk to the next that exists.
fn advance(tx: &mut Tx<'_>, metric: &Metric, tier: Tier, from: i64) {
    // Chunks may lie up to two hours ahead of now.
    let end = tx.now.secs() + 3 * 3600;
    let mut start = from + tier.span();
    while start <= end {
        if metric.units.iter().any(|unit| tx.get::<Chunk>(&Chunk::key_of(metric.key(), unit, tier, start)).is_some()) {
            break;
        }
        start += tier.span();
    }
    tx.update::<Metric, _>(metric.key(), |metric| {
        if start <= end {
            metric.oldest.insert(tier, start);
        } else {
            metric.oldest.remove(&tier);
        }
    });
}
