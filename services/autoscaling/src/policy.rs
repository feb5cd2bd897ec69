//! Scaling policies: what is stored of them, and the capacities that they ask for (pure functions).
//!
//! Sources: "Step and simple scaling policies" and "Target tracking scaling policies" in the Auto Scaling user guide.

use crate::model::pair;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonal_cloud::Record;

/// How an adjustment is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdjustmentType {
    /// `ChangeInCapacity`
    Change,
    /// `ExactCapacity`
    Exact,
    /// `PercentChangeInCapacity`
    Percent,
}

impl AdjustmentType {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "ChangeInCapacity",
            Self::Exact => "ExactCapacity",
            Self::Percent => "PercentChangeInCapacity",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Change, Self::Exact, Self::Percent].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One step of a step policy: from and to are distances from the alarm's threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `None` is minus infinity.
    pub lower: Option<f64>,
    /// `None` is infinity.
    pub upper: Option<f64>,
    /// What is done.
    pub adjustment: i32,
}

/// The metric that target tracking follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Tracked {
    /// One that AWS defines.
    Predefined {
        /// `ASGAverageCPUUtilization`
        kind: String,
        /// `app/…/targetgroup/…`
        label: Option<String>,
    },
    /// One of the user's.
    Customized {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its dimensions.
        dimensions: BTreeMap<String, String>,
        /// `Average`
        statistic: String,
        /// Its unit.
        unit: Option<String>,
        /// Seconds.
        period: Option<i32>,
    },
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PolicyKind {
    /// `SimpleScaling`
    Simple {
        /// How `adjustment` is meant.
        adjustment_type: AdjustmentType,
        /// What is done.
        adjustment: i32,
        /// The least change of a percentage.
        min_magnitude: Option<i32>,
        /// Seconds; the group's where it is not given.
        cooldown: Option<i32>,
    },
    /// `StepScaling`
    Step {
        /// How adjustments are meant.
        adjustment_type: AdjustmentType,
        /// The steps.
        steps: Vec<Step>,
        /// The least change of a percentage.
        min_magnitude: Option<i32>,
        /// `Average`, `Minimum` or `Maximum`.
        aggregation: String,
        /// Seconds; the group's where it is not given.
        warmup: Option<i32>,
    },
    /// `TargetTrackingScaling`
    Target {
        /// What is followed.
        tracked: Tracked,
        /// Where it should be.
        target: f64,
        /// Whether capacity is only ever added.
        no_scale_in: bool,
        /// Seconds; the group's where it is not given.
        warmup: Option<i32>,
    },
}

/// A scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    key: String,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What it does.
    pub kind: PolicyKind,
    /// Whether it does it.
    pub enabled: bool,
    /// The alarms that were made for it.
    pub alarms: Vec<String>,
}

impl Policy {
    /// A policy.
    pub fn new(group: &str, name: &str, arn: String, kind: PolicyKind, enabled: bool) -> Self {
        Self {
            key: pair(group, name),
            group: group.to_owned(),
            name: name.to_owned(),
            arn,
            kind,
            enabled,
            alarms: Vec::new(),
        }
    }
}

impl Record for Policy {
    const TABLE: &'static str = "autoscaling.policy";

    fn key(&self) -> &str {
        &self.key
    }
}

/// What a group has, as a policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// What is desired now.
    pub desired: i32,
    /// How many instances are in service and warm.
    pub warm: i32,
    /// How many are on their way in, or not yet warm.
    pub warming: i32,
    /// The least.
    pub min: i32,
    /// The most.
    pub max: i32,
}

impl Capacity {
    fn within(&self, capacity: i64) -> i32 {
        // Clamped into a range of i32 first.
        capacity.clamp(i64::from(self.min), i64::from(self.max)) as i32
    }
}

/// The capacity after an adjustment of `base`.
pub fn adjusted(kind: AdjustmentType, base: i32, adjustment: i32, min_magnitude: Option<i32>) -> i64 {
    let base = i64::from(base);
    match kind {
        AdjustmentType::Change => base + i64::from(adjustment),
        AdjustmentType::Exact => i64::from(adjustment),
        AdjustmentType::Percent => {
            let exact = base * i64::from(adjustment);
            // Between 0 and 1 the change is 1; beyond, fractions are dropped (7.5 is 7, -6.67 is -6).
            let change = if exact != 0 && exact.abs() < 100 { exact.signum() } else { exact / 100 };
            let least = i64::from(min_magnitude.unwrap_or(0));
            base + if change.abs() < least { least * i64::from(adjustment.signum()) } else { change }
        }
    }
}

/// What a simple policy makes of a capacity.
pub fn simple(capacity: &Capacity, kind: AdjustmentType, adjustment: i32, min_magnitude: Option<i32>) -> i32 {
    capacity.within(adjusted(kind, capacity.desired, adjustment, min_magnitude))
}

/// What a step policy makes of it: `None` where no step fits. Instances that still warm up count as added already, so that the same
/// breach adds nothing twice; while some warm up, nothing is taken away.
pub fn step(
    capacity: &Capacity,
    kind: AdjustmentType,
    steps: &[Step],
    min_magnitude: Option<i32>,
    breach: f64,
) -> Option<i32> {
    let fits = |step: &&Step| {
        // Above the threshold the lower bound belongs to the step, below it the upper one.
        let (over_lower, under_upper) = if breach >= 0.0 {
            (step.lower.is_none_or(|lower| breach >= lower), step.upper.is_none_or(|upper| breach < upper))
        } else {
            (step.lower.is_none_or(|lower| breach > lower), step.upper.is_none_or(|upper| breach <= upper))
        };
        over_lower && under_upper
    };
    let step = steps.iter().find(fits)?;
    let base = (capacity.desired - capacity.warming).max(0);
    let wanted = capacity.within(adjusted(kind, base, step.adjustment, min_magnitude));
    let shrinks = match kind {
        AdjustmentType::Exact => wanted < capacity.desired,
        _ => step.adjustment < 0,
    };
    Some(match shrinks {
        true if capacity.warming > 0 => capacity.desired,
        true => wanted.min(capacity.desired),
        false => wanted.max(capacity.desired),
    })
}

/// What target tracking makes of it.
///
/// Out: as many as bring the metric to its target, in proportion, by those that are warm (only their metrics count). In: never while
/// any warms up, and gradually (at most a tenth at once, but one at least); AWS says "more gradually" and no more.
pub fn target(capacity: &Capacity, metric: f64, target: f64, no_scale_in: bool) -> i32 {
    if target <= 0.0 || capacity.warm == 0 {
        return capacity.desired;
    }
    let exact = (f64::from(capacity.warm) * metric / target).ceil();
    // A metric may be anything; a float is cast to the nearest integer there is.
    let wanted = capacity.within(exact as i64);
    if metric > target {
        return wanted.max(capacity.desired);
    }
    if no_scale_in || capacity.warming > 0 || wanted >= capacity.desired {
        return capacity.desired;
    }
    let most = (capacity.desired / 10).max(1);
    wanted.max(capacity.desired - most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn capacity(desired: i32, warming: i32) -> Capacity {
        Capacity { desired, warm: desired - warming, warming, min: 1, max: 20 }
    }

    #[test]
    fn percentages_are_rounded_as_the_user_guide_says() {
        for (base, percent, least, expected) in [
            (10, 75, None, 17),
            (10, -67, None, 4),
            (10, 5, None, 11),
            (10, -5, None, 9),
            (4, 25, Some(2), 6),
            (10, 50, Some(2), 15),
        ] {
            assert_eq!(adjusted(AdjustmentType::Percent, base, percent, least), expected, "{base} {percent}%");
        }
    }

    #[test]
    fn steps_are_chosen_by_their_distance_from_the_threshold() {
        let steps = [
            Step { lower: Some(0.0), upper: Some(10.0), adjustment: 0 },
            Step { lower: Some(10.0), upper: Some(20.0), adjustment: 10 },
            Step { lower: Some(20.0), upper: None, adjustment: 30 },
        ];
        // The example of the user guide: threshold 50, ten instances, percentages.
        for (metric, expected) in [(55.0, 10), (60.0, 11), (69.9, 11), (70.0, 13)] {
            assert_eq!(
                step(&capacity(10, 0), AdjustmentType::Percent, &steps, None, metric - 50.0),
                Some(expected),
                "{metric}"
            );
        }
        let steps = [
            Step { lower: Some(-20.0), upper: Some(-10.0), adjustment: -10 },
            Step { lower: None, upper: Some(-20.0), adjustment: -30 },
        ];
        for (metric, expected) in [(40.0, Some(9)), (30.0, Some(7)), (45.0, None)] {
            assert_eq!(
                step(&capacity(10, 0), AdjustmentType::Percent, &steps, None, metric - 50.0),
                expected,
                "{metric}"
            );
        }
    }

    #[test]
    fn warming_instances_count_as_added_already() {
        let steps = [Step { lower: Some(0.0), upper: None, adjustment: 2 }];
        assert_eq!(step(&capacity(4, 0), AdjustmentType::Change, &steps, None, 1.0), Some(6));
        assert_eq!(step(&capacity(6, 2), AdjustmentType::Change, &steps, None, 1.0), Some(6));
    }

    #[test]
    fn target_tracking_adds_in_proportion_and_removes_one_at_a_time() {
        assert_eq!(target(&capacity(2, 0), 100.0, 50.0, false), 4);
        assert_eq!(target(&capacity(4, 2), 90.0, 50.0, false), 4, "two of them are not warm yet");
        assert_eq!(target(&capacity(4, 0), 10.0, 50.0, false), 3);
        assert_eq!(target(&capacity(4, 1), 10.0, 50.0, false), 4);
        assert_eq!(target(&capacity(4, 0), 10.0, 50.0, true), 4);
        assert_eq!(target(&capacity(4, 0), 44.0, 50.0, false), 4);
    }

    proptest! {
        #[test]
        fn no_policy_leaves_the_groups_bounds(
            desired in 1i32..20, warming in 0i32..5, metric in -1e12f64..1e12, adjustment in -1000i32..1000, percent in any::<bool>()
        ) {
            let capacity = capacity(desired, warming.min(desired));
            let kind = if percent { AdjustmentType::Percent } else { AdjustmentType::Change };
            let steps = [Step { lower: None, upper: None, adjustment }];
            for wanted in [
                target(&capacity, metric, 50.0, false),
                simple(&capacity, kind, adjustment, None),
                step(&capacity, kind, &steps, None, metric).unwrap(),
            ] {
                prop_assert!((1..=20).contains(&wanted), "{}", wanted);
            }
        }
    }
}
