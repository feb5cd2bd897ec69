//! Scheduled actions: what is stored of them, and when a recurrence comes next.

use crate::model::pair;
use crate::zone::Zone;
use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_wire::Time;

/// A scheduled action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    key: String,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// In its ARN.
    pub uuid: String,
    /// When it acts first; where it is not given, when it first recurs.
    pub start: Option<Time>,
    /// It recurs not after that.
    pub end: Option<Time>,
    /// When, as cron has it.
    pub recurrence: Option<String>,
    /// The time zone that the recurrence is in; UTC where there is none.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The least instances from then on.
    pub min: Option<i32>,
    /// The most instances from then on.
    pub max: Option<i32>,
    /// The desired capacity from then on.
    pub desired: Option<i32>,
    /// When it acts next.
    pub next: Time,
}

impl Schedule {
    /// An action that is yet to be given its facts.
    pub fn new(group: &str, name: &str, uuid: String, next: Time) -> Self {
        Self {
            key: pair(group, name),
            group: group.to_owned(),
            name: name.to_owned(),
            uuid,
            start: None,
            end: None,
            recurrence: None,
            time_zone: None,
            min: None,
            max: None,
            desired: None,
            next,
        }
    }

    /// When its recurrence comes next; `None` where it does not, or only after its end.
    pub fn after(&self, time: Time) -> Option<Time> {
        let zone = self.time_zone.as_deref().map_or_else(|| Some(Zone::utc()), Zone::named)?;
        Cron::parse(self.recurrence.as_deref()?)?.after(time, &zone).filter(|next| !self.has_ended(*next))
    }

    /// Whether its recurrence has ended by then.
    pub fn has_ended(&self, time: Time) -> bool {
        self.recurrence.is_some() && self.end.is_some_and(|end| end < time)
    }
}

impl Record for Schedule {
    const TABLE: &'static str = "autoscaling.schedule";

    fn key(&self) -> &str {
        &self.key
    }
}

/// A recurrence, parsed: minute, hour, day of the month, month, day of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron([Vec<u32>; 5], [bool; 2]);

/// The least and the most of each field. Sunday is 0 and 7.
const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// No recurrence that is possible is further away: 29 February on a given weekday.
const HORIZON_DAYS: i64 = 366 * 40;

impl Cron {
    /// Reads five fields.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
        Some(Self(
            [
                field(minute, 0, &[])?,
                field(hour, 1, &[])?,
                field(day, 2, &[])?,
                field(month, 3, &MONTHS)?,
                field(weekday, 4, &DAYS)?.into_iter().map(|day| day % 7).collect(),
            ],
            [*day == "*", *weekday == "*"],
        ))
    }

    /// The first minute after `time` that it means in a time zone; `None` where there is none.
    pub fn after(&self, time: Time, zone: &Zone) -> Option<Time> {
        let mut local = zone.local(time);
        loop {
            local = self.after_local(local)?;
            // Of an hour that clocks show twice, the first counts: that may be over.
            let at = zone.instant(local)?;
            if at > time {
                return Some(at);
            }
        }
    }

    fn after_local(&self, time: Time) -> Option<Time> {
        let first = time.secs().div_euclid(60) + 1;
        let start = first.div_euclid(1440);
        for day in start..start + HORIZON_DAYS {
            if !self.has_day(day) {
                continue;
            }
            let from = if day == start { first.rem_euclid(1440) } else { 0 };
            let minutes = from..1440;
            let fits = |minute: &i64| {
                // A minute of the day: small and not negative.
                let minute = *minute as u32;
                self.0[1].contains(&(minute / 60)) && self.0[0].contains(&(minute % 60))
            };
            if let Some(minute) = minutes.into_iter().find(fits) {
                return Some(Time::from_secs((day * 1440 + minute) * 60));
            }
        }
        None
    }

    fn has_day(&self, day: i64) -> bool {
        let date = Time::from_secs(day * 86_400).iso8601();
        // `2026-11-24T…`: fixed places.
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        let (month, of_month) = (number(&date[5..7]), number(&date[8..10]));
        // 1 January 1970 was a Thursday.
        let weekday = (day + 4).rem_euclid(7) as u32;
        let (in_month, in_week) = (self.0[2].contains(&of_month), self.0[4].contains(&weekday));
        // As in cron: where both days are restricted, either will do.
        let fits = if self.1.contains(&true) { in_month && in_week } else { in_month || in_week };
        fits && self.0[3].contains(&month)
    }
}

fn field(text: &str, index: usize, names: &[&str]) -> Option<Vec<u32>> {
    let (least, most) = RANGES[index];
    let number = |text: &str| -> Option<u32> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        // Months count from 1, weekdays from 0.
        let value = match named {
            Some(place) => u32::try_from(place).ok()? + least,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&value).then_some(value)
    };
    let mut out = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step > 1 => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        out.extend((from..=to).step_by(step));
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recurrences_come_when_cron_says() {
        for (text, after, expected) in [
            ("0 9 * * *", "2026-11-24T17:00:00Z", Some("2026-11-25T09:00:00Z")),
            ("*/15 * * * *", "2026-11-24T17:00:00Z", Some("2026-11-24T17:15:00Z")),
            ("30 22 * * MON-FRI", "2026-11-27T23:00:00Z", Some("2026-11-30T22:30:00Z")),
            ("0 0 1 1,6,12 *", "2026-11-24T17:00:00Z", Some("2026-12-01T00:00:00Z")),
            ("0 0 13 * 5", "2026-11-24T17:00:00Z", Some("2026-11-27T00:00:00Z")),
            ("0 0 29 2 *", "2026-11-24T17:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("0 0 30 2 *", "2026-11-24T17:00:00Z", None),
        ] {
            let next = Cron::parse(text).unwrap().after(Time::parse(after).unwrap(), &Zone::utc());
            assert_eq!(next.map(Time::iso8601).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_recurrence_in_a_time_zone_follows_its_clocks_through_the_year() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (text, after, expected) in [
            ("30 8 * * *", "2026-01-15T12:00:00Z", "2026-01-16T07:30:00Z"),
            ("30 8 * * *", "2026-07-15T12:00:00Z", "2026-07-16T06:30:00Z"),
            // Clocks go from 2 to 3 o'clock on 29 March 2026 and from 3 to 2 on 25 October.
            ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
            ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            ("0 0 * * MON", "2026-11-24T17:00:00Z", "2026-11-29T23:00:00Z"),
        ] {
            let next = Cron::parse(text).unwrap().after(Time::parse(after).unwrap(), &zone);
            assert_eq!(next.map(Time::iso8601).as_deref(), Some(expected), "{text} after {after}");
        }
    }

    #[test]
    fn what_is_no_recurrence_is_refused() {
        for text in ["", "* * * *", "60 * * * *", "* * * FOO *", "*/0 * * * *", "5-1 * * * *"] {
            assert_eq!(Cron::parse(text), None, "{text}");
        }
    }
}
