//! What is stored: metrics, their points in chunks, alarms and their history.

mod composites;

pub use composites::{Composite, Dashboard, History, HistoryKind};

use crate::statistics::StatisticSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// Between the parts of a key: no name or value may contain it.
const SEPARATOR: char = '\u{1f}';

/// Which metric: namespace, name and dimensions.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricId {
    /// `AWS/EC2`
    pub namespace: String,
    /// `CPUUtilization`
    pub name: String,
    /// `InstanceId` = `i-…`
    pub dimensions: BTreeMap<String, String>,
}

impl MetricId {
    /// One text for all of it, unique.
    pub fn key(&self) -> String {
        let mut key = format!("{}{SEPARATOR}{}", self.namespace, self.name);
        for (name, value) in &self.dimensions {
            key.push(SEPARATOR);
            key.push_str(name);
            key.push(SEPARATOR);
            key.push_str(value);
        }
        key
    }
}

/// How finely points are kept, by their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// One a second, beside the minutes, of metrics with a storage resolution of 1.
    Second,
    /// One a minute.
    Minute,
    /// One in five minutes.
    FiveMinutes,
    /// One an hour.
    Hour,
}

impl Tier {
    /// From the finest.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Seconds between two points.
    pub fn resolution(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        }
    }

    /// Seconds that one chunk covers: few points, so that a write costs little, whatever the metric's history.
    pub fn span(self) -> i64 {
        match self {
            Self::Second => 60,
            Self::Minute => 900,
            Self::FiveMinutes => 3 * 3600,
            Self::Hour => 86_400,
        }
    }

    /// Seconds for which chunks are kept; then they are folded into the next tier, or dropped.
    pub fn kept(self) -> i64 {
        match self {
            Self::Second | Self::Minute => 3 * 3600,
            Self::FiveMinutes => 3 * 86_400,
            Self::Hour => 15 * 86_400,
        }
    }

    /// Where its chunks go when they are old. Seconds are in the minutes already.
    pub fn coarser(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::FiveMinutes),
            Self::FiveMinutes => Some(Self::Hour),
            Self::Second | Self::Hour => None,
        }
    }
}

/// A metric that has points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    key: String,
    /// Which.
    pub id: MetricId,
    /// The units it came in.
    pub units: BTreeSet<String>,
    /// The start of the oldest chunk of each tier that has any, in seconds.
    pub oldest: BTreeMap<Tier, i64>,
    /// The start of the newest chunk: when it was last written to, to within a quarter of an hour.
    pub newest: i64,
}

impl Metric {
    /// A metric without points.
    pub fn new(id: MetricId) -> Self {
        Self { key: id.key(), id, units: BTreeSet::new(), oldest: BTreeMap::new(), newest: i64::MIN }
    }
}

impl Record for Metric {
    const TABLE: &'static str = "cloudwatch.metric";

    fn key(&self) -> &str {
        &self.key
    }
}

/// The points of a metric, in one unit, of one tier, in one span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    key: String,
    /// By their place in the span, counted in the tier's resolution.
    pub points: BTreeMap<u32, StatisticSet>,
}

impl Chunk {
    /// An empty one.
    pub fn new(key: String) -> Self {
        Self { key, points: BTreeMap::new() }
    }

    /// The key of the chunk that begins at `start` seconds.
    pub fn key_of(metric: &str, unit: &str, tier: Tier, start: i64) -> String {
        format!("{metric}{SEPARATOR}{SEPARATOR}{unit}{SEPARATOR}{}{SEPARATOR}{start}", tier.resolution())
    }
}

impl Record for Chunk {
    const TABLE: &'static str = "cloudwatch.points";

    fn key(&self) -> &str {
        &self.key
    }
}

/// A query of metric data, as GetMetricData and alarms take it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Its name in expressions.
    pub id: String,
    /// Shown with its result.
    pub label: Option<String>,
    /// Whether its result is wanted, or only used by others.
    pub returned: bool,
    /// Where its values come from.
    pub source: Source,
}

/// Where a query's values come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A statistic of a metric.
    Metric {
        /// Which.
        metric: MetricId,
        /// Seconds.
        period: i64,
        /// As the API names it.
        statistic: String,
        /// Only points of this unit.
        unit: Option<String>,
    },
    /// Metric math.
    Expression {
        /// Its text.
        text: String,
        /// Seconds.
        period: Option<i64>,
    },
}

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmState {
    /// `OK`
    Ok,
    /// `ALARM`
    Alarm,
    /// `INSUFFICIENT_DATA`
    InsufficientData,
}

impl AlarmState {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    /// What belongs to it, of what belongs to each.
    pub fn among<T>(self, ok: T, alarm: T, insufficient_data: T) -> T {
        match self {
            Self::Ok => ok,
            Self::Alarm => alarm,
            Self::InsufficientData => insufficient_data,
        }
    }
}

/// How a value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `GreaterThanOrEqualToThreshold`
    GreaterOrEqual,
    /// `GreaterThanThreshold`
    Greater,
    /// `LessThanThreshold`
    Less,
    /// `LessThanOrEqualToThreshold`
    LessOrEqual,
}

impl Comparison {
    /// Whether the value breaches.
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterOrEqual => value >= threshold,
            Self::Greater => value > threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }

    /// In words, as state reasons have it.
    pub fn words(self) -> &'static str {
        match self {
            Self::GreaterOrEqual => "greater than or equal to",
            Self::Greater => "greater than",
            Self::Less => "less than",
            Self::LessOrEqual => "less than or equal to",
        }
    }
}

/// What an alarm makes of periods without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreatMissing {
    /// `breaching`
    Breaching,
    /// `notBreaching`
    NotBreaching,
    /// `ignore`
    Ignore,
    /// `missing`
    Missing,
}

impl TreatMissing {
    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "breaching" => Self::Breaching,
            "notBreaching" => Self::NotBreaching,
            "ignore" => Self::Ignore,
            "missing" => Self::Missing,
            _ => return None,
        })
    }

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
            Self::Missing => "missing",
        }
    }
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Watched {
    /// One statistic of one metric.
    Metric {
        /// Which.
        metric: MetricId,
        /// Seconds.
        period: i64,
        /// As the API names it.
        statistic: String,
        /// Only points of this unit.
        unit: Option<String>,
    },
    /// The one query of these whose result is returned.
    Queries(Vec<Query>),
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name: the key.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whether actions are run.
    pub actions_enabled: bool,
    /// Actions by the state that runs them.
    pub ok_actions: Vec<String>,
    /// See `ok_actions`.
    pub alarm_actions: Vec<String>,
    /// See `ok_actions`.
    pub insufficient_data_actions: Vec<String>,
    /// What it watches.
    pub watched: Watched,
    /// How many periods are looked at.
    pub evaluation_periods: i32,
    /// How many of them must breach; all where it is not given.
    pub datapoints_to_alarm: Option<i32>,
    /// The threshold.
    pub threshold: f64,
    /// How it is compared.
    pub comparison: Comparison,
    /// What periods without data count as; `missing` where it is not given.
    pub missing: Option<TreatMissing>,
    /// `evaluate` or `ignore`: of percentiles of few samples.
    pub low_sample: Option<String>,
    /// Its state.
    pub state: AlarmState,
    /// Why.
    pub reason: String,
    /// Why, as JSON.
    pub reason_data: Option<String>,
    /// When it was last configured.
    pub configured: Time,
    /// When its state or its reason last changed.
    pub updated: Time,
    /// When its state last changed.
    pub transitioned: Time,
    /// When the actions of its state were last run that are run again as long as the state lasts.
    pub repeated: Option<Time>,
    /// Its tags.
    pub tags: Tags,
}

impl Alarm {
    /// How many breaching periods make an alarm.
    pub fn needed(&self) -> i32 {
        self.datapoints_to_alarm.unwrap_or(self.evaluation_periods)
    }

    /// Seconds of a period.
    pub fn period(&self) -> i64 {
        match &self.watched {
            Watched::Metric { period, .. } => *period,
            Watched::Queries(queries) => queries
                .iter()
                .filter_map(|query| match &query.source {
                    Source::Metric { period, .. } => Some(*period),
                    Source::Expression { period, .. } => *period,
                })
                .max()
                .unwrap_or(60),
        }
    }

    /// The actions of its present state.
    pub fn actions(&self) -> &[String] {
        self.state.among(&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions)
    }
}

impl Record for Alarm {
    const TABLE: &'static str = "cloudwatch.alarm";

    fn key(&self) -> &str {
        &self.name
    }
}
