//! How an alarm is evaluated: a pure function of its settings and the points of its range.
//!
//! Source: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide.

use crate::model::{Alarm, AlarmState, TreatMissing, Watched};
use serde::Serialize;
use zonal_wire::Time;

/// Periods beyond those evaluated that are looked at for late or missing points. AWS does not say how many.
pub const EXTRA_PERIODS: i64 = 2;

/// A point of the evaluation range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The second at which its period begins.
    pub second: i64,
    /// How many samples; `None` of expressions.
    pub samples: Option<f64>,
    /// Its value.
    pub value: f64,
}

/// What an evaluation says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The state that follows.
    pub state: AlarmState,
    /// In words.
    pub reason: String,
    /// The value that decided, for a scaling policy.
    pub value: Option<f64>,
}

/// Evaluates; `None` leaves the alarm as it is. `range` has a slot per period, the newest first.
pub fn evaluate(alarm: &Alarm, range: &[Option<Point>]) -> Option<Verdict> {
    let wanted = usize::try_from(alarm.evaluation_periods).unwrap_or(1).max(1);
    let needed = usize::try_from(alarm.needed()).unwrap_or(1).max(1);
    let real: Vec<(usize, Point)> =
        range.iter().enumerate().filter_map(|(age, point)| point.map(|point| (age + 1, point))).take(wanted).collect();
    let breaches = |point: &Point| alarm.comparison.breaches(point.value, alarm.threshold);
    let breaching: Vec<usize> = real.iter().filter(|(_, point)| breaches(point)).map(|(age, _)| *age).collect();
    let absent = wanted - real.len();
    let missing = alarm.missing.unwrap_or(TreatMissing::Missing);

    let state = if absent == 0 || breaching.len() >= needed {
        if breaching.len() >= needed { AlarmState::Alarm } else { AlarmState::Ok }
    } else {
        match missing {
            TreatMissing::Breaching if breaching.len() + absent >= needed => AlarmState::Alarm,
            TreatMissing::Breaching | TreatMissing::NotBreaching => AlarmState::Ok,
            TreatMissing::Missing if real.is_empty() => AlarmState::InsufficientData,
            TreatMissing::Ignore if real.is_empty() => return None,
            // A good point is among them, or the absent ones could not make it an alarm: all is well.
            _ if breaching.len() < real.len() || breaching.len() + absent < needed => AlarmState::Ok,
            // All that is there breaches. It is an alarm only if the oldest is old enough, not at the first sign of data.
            TreatMissing::Missing if breaching.iter().max().is_some_and(|oldest| *oldest >= needed) => {
                AlarmState::Alarm
            }
            TreatMissing::Missing | TreatMissing::Ignore => return None,
        }
    };
    let points: Vec<Point> = real.iter().map(|(_, point)| *point).collect();
    Some(Verdict { state, reason: reason(alarm, state, &points, absent), value: deciding(alarm, state, &points) })
}

/// The newest value that speaks for the state.
fn deciding(alarm: &Alarm, state: AlarmState, points: &[Point]) -> Option<f64> {
    let breaching =
        |point: &&Point| alarm.comparison.breaches(point.value, alarm.threshold) == (state == AlarmState::Alarm);
    points.iter().find(breaching).or(points.first()).map(|point| point.value)
}

fn reason(alarm: &Alarm, state: AlarmState, points: &[Point], absent: usize) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    if state == AlarmState::InsufficientData {
        return format!(
            "Insufficient Data: {absent} datapoint{} {} unknown.",
            plural(absent),
            if absent == 1 { "was" } else { "were" }
        );
    }
    if points.is_empty() {
        let treated = if state == AlarmState::Alarm { "Breaching" } else { "NonBreaching" };
        return format!(
            "Threshold Crossed: no datapoints were received for {absent} period{} and {absent} missing datapoint{} {} treated as [{treated}].",
            plural(absent),
            plural(absent),
            if absent == 1 { "was" } else { "were" },
        );
    }
    let breaching = |point: &&Point| alarm.comparison.breaches(point.value, alarm.threshold);
    let alarmed = state == AlarmState::Alarm;
    let telling: Vec<&Point> = points.iter().filter(|point| breaching(point) == alarmed).collect();
    let telling = if telling.is_empty() { points.iter().collect() } else { telling };
    let shown: Vec<String> =
        telling.iter().take(5).map(|point| format!("{} ({})", number(point.value), short(point.second))).collect();
    let needed = usize::try_from(alarm.needed()).unwrap_or(1);
    let (old, new) = if alarmed { ("OK", "ALARM") } else { ("ALARM", "OK") };
    // To leave the alarm, so many must be well that too few are left to breach.
    let least = if alarmed { needed } else { usize::try_from(alarm.evaluation_periods).unwrap_or(1) + 1 - needed };
    format!(
        "Threshold Crossed: {} out of the last {} datapoints [{}] {} {}{} the threshold ({}) (minimum {least} datapoint{} for {old} -> {new} transition).",
        telling.len(),
        points.len(),
        shown.join(", "),
        if telling.len() == 1 { "was" } else { "were" },
        if alarmed { "" } else { "not " },
        alarm.comparison.words(),
        number(alarm.threshold),
        plural(least),
    )
}

/// A state's reason as JSON, its members in AWS's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasonData<'a> {
    version: &'static str,
    query_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<&'a str>,
    period: i64,
    recent_datapoints: Vec<f64>,
    threshold: f64,
    evaluated_datapoints: Vec<Evaluated>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluated {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    value: f64,
}

/// The state's reason as JSON.
pub fn reason_data(alarm: &Alarm, range: &[Option<Point>], now: Time) -> String {
    let stamp = |time: Time| time.iso8601_millis().replace('Z', "+0000");
    let wanted = usize::try_from(alarm.evaluation_periods).unwrap_or(1);
    let real: Vec<&Point> = range.iter().flatten().take(wanted).collect();
    let data = ReasonData {
        version: "1.0",
        query_date: stamp(now),
        start_date: real.last().map(|oldest| stamp(Time::from_secs(oldest.second))),
        statistic: match &alarm.watched {
            Watched::Metric { statistic, .. } => Some(statistic),
            Watched::Queries(_) => None,
        },
        period: alarm.period(),
        recent_datapoints: real.iter().rev().map(|point| point.value).collect(),
        threshold: alarm.threshold,
        evaluated_datapoints: real
            .iter()
            .map(|point| Evaluated {
                timestamp: stamp(Time::from_secs(point.second)),
                sample_count: point.samples,
                value: point.value,
            })
            .collect(),
    };
    // Strings and finite numbers: it always encodes.
    serde_json::to_string(&data).unwrap_or_default()
}

/// A number as AWS prints it: always with a point.
fn number(value: f64) -> String {
    format!("{value:?}")
}

/// `24/11/26 16:00:00`
fn short(second: i64) -> String {
    let iso = Time::from_secs(second).iso8601();
    // `2026-11-24T16:00:00Z`: fixed places.
    format!("{}/{}/{} {}", &iso[8..10], &iso[5..7], &iso[2..4], &iso[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Comparison, MetricId};

    fn alarm(needed: i32, of: i32, missing: TreatMissing) -> Alarm {
        Alarm {
            name: "a".into(),
            description: None,
            actions_enabled: true,
            ok_actions: vec![],
            alarm_actions: vec![],
            insufficient_data_actions: vec![],
            watched: Watched::Metric {
                metric: MetricId::default(),
                period: 60,
                statistic: "Average".into(),
                unit: None,
            },
            evaluation_periods: of,
            datapoints_to_alarm: Some(needed),
            threshold: 50.0,
            comparison: Comparison::Greater,
            missing: Some(missing),
            low_sample: None,
            state: AlarmState::Ok,
            reason: String::new(),
            reason_data: None,
            configured: Time(0),
            updated: Time(0),
            transitioned: Time(0),
            repeated: None,
            tags: Default::default(),
        }
    }

    /// The oldest first, as in AWS's tables: `0` a good point, `X` a breaching one, `-` none.
    fn points(text: &str) -> Vec<Option<Point>> {
        let newest_first = text.split(' ').rev().enumerate();
        newest_first
            .map(|(age, mark)| match mark {
                "-" => None,
                mark => Some(Point {
                    second: 1_795_536_000 - age as i64 * 60,
                    samples: Some(1.0),
                    value: if mark == "X" { 99.0 } else { 1.0 },
                }),
            })
            .collect()
    }

    #[test]
    fn missing_points_count_as_the_tables_of_the_user_guide_say() {
        use AlarmState::{Alarm as A, InsufficientData as I, Ok as O};
        // (points, needed of evaluated, missing, ignore, breaching, not breaching); None: the state stays.
        let table = [
            ("0 - X - X", 3, 3, [Some(O), Some(O), Some(O), Some(O)]),
            ("- - - - 0", 3, 3, [Some(O), Some(O), Some(O), Some(O)]),
            ("- - - - -", 3, 3, [Some(I), None, Some(A), Some(O)]),
            ("0 X X - X", 3, 3, [Some(A), Some(A), Some(A), Some(A)]),
            ("- - X - -", 3, 3, [Some(A), None, Some(A), Some(O)]),
            ("0 - X - X", 2, 3, [Some(A), Some(A), Some(A), Some(A)]),
            ("0 0 X 0 X", 2, 3, [Some(A), Some(A), Some(A), Some(A)]),
            ("0 - X - -", 2, 3, [Some(O), Some(O), Some(A), Some(O)]),
            ("- - - - 0", 2, 3, [Some(O), Some(O), Some(A), Some(O)]),
            ("- - - X -", 2, 3, [Some(A), None, Some(A), Some(O)]),
        ];
        for (text, needed, of, expected) in table {
            let treatments =
                [TreatMissing::Missing, TreatMissing::Ignore, TreatMissing::Breaching, TreatMissing::NotBreaching];
            for (missing, expected) in treatments.into_iter().zip(expected) {
                let got = evaluate(&alarm(needed, of, missing), &points(text)).map(|verdict| verdict.state);
                assert_eq!(got, expected, "{text} {needed} of {of} {missing:?}");
            }
        }
    }

    #[test]
    fn the_first_breaching_point_alone_is_no_alarm_yet() {
        assert_eq!(evaluate(&alarm(3, 3, TreatMissing::Missing), &points("- - - - X")), None);
    }

    #[test]
    fn reasons_name_points_threshold_and_transition() {
        let verdict = evaluate(&alarm(2, 2, TreatMissing::Missing), &points("X X")).unwrap();
        assert_eq!(
            verdict.reason,
            "Threshold Crossed: 2 out of the last 2 datapoints [99.0 (24/11/26 16:00:00), 99.0 (24/11/26 15:59:00)] were greater than \
             the threshold (50.0) (minimum 2 datapoints for OK -> ALARM transition)."
        );
        let verdict = evaluate(&alarm(1, 1, TreatMissing::Missing), &points("0")).unwrap();
        assert_eq!(
            verdict.reason,
            "Threshold Crossed: 1 out of the last 1 datapoints [1.0 (24/11/26 16:00:00)] was not greater than the threshold (50.0) \
             (minimum 1 datapoint for ALARM -> OK transition)."
        );
        let verdict = evaluate(&alarm(1, 1, TreatMissing::NotBreaching), &points("-")).unwrap();
        assert_eq!(
            verdict.reason,
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching]."
        );
    }
}
