//! The two scalar types that the standard library lacks: an instant as AWS sends it, and bytes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// An instant: microseconds since the Unix epoch, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
// Years 0001 to 9999: what ISO 8601 can write in four digits.
const EARLIEST: i64 = -62_135_596_800 * SECOND;
const LATEST: i64 = 253_402_300_799 * SECOND + 999_999;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    weekday: usize,
}

impl Time {
    /// The instant `seconds` after the Unix epoch.
    pub const fn from_secs(seconds: i64) -> Time {
        Time(seconds.saturating_mul(SECOND))
    }

    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    /// The instant `seconds` after the Unix epoch, with a fraction; `None` if it is no year of four digits.
    pub fn from_secs_f64(seconds: f64) -> Option<Time> {
        let micros = (seconds * SECOND as f64).round();
        (micros >= EARLIEST as f64 && micros <= LATEST as f64).then_some(Time(micros as i64))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch, with the fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-11-24T16:00:00Z`: whole seconds, rounded down.
    pub fn iso8601(self) -> String {
        let c = self.civil();
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    /// `2026-11-24T16:00:00.000Z`: milliseconds, rounded down.
    pub fn iso8601_millis(self) -> String {
        let c = self.civil();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields =
            [(0, 4, c.year), (5, 7, c.month), (8, 10, c.day), (11, 13, c.hour), (14, 16, c.minute), (17, 19, c.second)];
        for (from, to, mut value) in fields.into_iter().chain([(20, 23, c.micros / 1_000)]) {
            for digit in text[from..to].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        // All of it is ASCII.
        String::from_utf8_lossy(&text).into_owned()
    }

    /// `20261124T160000Z`, as signatures write it.
    pub fn basic(self) -> String {
        let c = self.civil();
        format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    /// `Tue, 24 Nov 2026 16:00:00 GMT`, as HTTP headers write it.
    pub fn http_date(self) -> String {
        let c = self.civil();
        let (weekday, month) = (WEEKDAYS[c.weekday], MONTHS[(c.month - 1) as usize]);
        format!("{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", c.day, c.year, c.hour, c.minute, c.second)
    }

    /// Reads what clients send: ISO 8601 (with fraction, `Z` or an offset, or a date alone), the basic form of
    /// signatures, HTTP's date, or seconds since the epoch.
    pub fn parse(text: &str) -> Option<Time> {
        let text = text.trim();
        if !text.is_ascii() {
            return None;
        }
        if let Some((_, rest)) = text.split_once(", ") {
            return parse_http_date(rest);
        }
        if text.len() >= 8 && text.as_bytes()[..8].iter().all(u8::is_ascii_digit) && text.contains('T') {
            return parse_basic(text);
        }
        if text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-' {
            return parse_iso(text);
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        plain.then(|| text.parse().ok()).flatten().and_then(Time::from_secs_f64)
    }

    fn civil(self) -> Civil {
        // Formatting never fails: what is outside four-digit years shows as the nearest instant inside.
        let clamped = self.0.clamp(EARLIEST, LATEST);
        let (days, rest) = (clamped.div_euclid(DAY), clamped.rem_euclid(DAY));
        // Days to a date in the proleptic Gregorian calendar, counting years from March so that the leap day is last.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let seconds = rest / SECOND;
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: rest % SECOND,
            weekday: days.rem_euclid(7) as usize,
        }
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let value = (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()?;
    range.contains(&value).then_some(value)
}

fn assemble(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(days * DAY + (hour * 3_600 + minute * 60 + second) * SECOND)
}

fn parse_iso(text: &str) -> Option<Time> {
    let year = number(text.get(0..4)?, 1..=9999)?;
    let month = number(text.get(5..7)?, 1..=12)?;
    let day = number(text.get(8..10)?, 1..=31)?;
    let rest = &text[10..];
    if rest.is_empty() {
        return assemble(year, month, day, 0, 0, 0).map(Time);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, "Z"),
    };
    let hour = number(clock.get(0..2)?, 0..=23)?;
    if clock.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let minute = number(clock.get(3..5)?, 0..=59)?;
    let (second, micros) = match clock.get(5..) {
        None | Some("") => (0, 0),
        Some(tail) => {
            let tail = tail.strip_prefix(':')?;
            let (whole, fraction) = tail.split_once('.').unwrap_or((tail, "0"));
            // A leap second counts as the last second of its minute.
            (number(whole, 0..=60)?.min(59), parse_fraction(fraction)?)
        }
    };
    let shift = match offset {
        "Z" | "z" => 0,
        _ => {
            let digits = offset[1..].replace(':', "");
            let hours = number(digits.get(0..2)?, 0..=23)?;
            let minutes = if digits.len() > 2 { number(&digits[2..], 0..=59)? } else { 0 };
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            sign * (hours * 60 + minutes) * 60 * SECOND
        }
    };
    assemble(year, month, day, hour, minute, second).map(|at| Time(at + micros - shift))
}

fn parse_fraction(digits: &str) -> Option<i64> {
    number(digits, 0..=i64::MAX)?;
    let padded: String = digits.chars().chain("000000".chars()).take(6).collect();
    padded.parse().ok()
}

fn parse_basic(text: &str) -> Option<Time> {
    let (date, clock) = text.split_once('T')?;
    let clock = clock.strip_suffix('Z').unwrap_or(clock);
    if date.len() != 8 || clock.len() != 6 {
        return None;
    }
    let at = assemble(
        number(&date[0..4], 1..=9999)?,
        number(&date[4..6], 1..=12)?,
        number(&date[6..8], 1..=31)?,
        number(&clock[0..2], 0..=23)?,
        number(&clock[2..4], 0..=59)?,
        number(&clock[4..6], 0..=59)?,
    )?;
    Some(Time(at))
}

fn parse_http_date(text: &str) -> Option<Time> {
    let mut parts = text.split_ascii_whitespace();
    let day = number(parts.next()?, 1..=31)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year = number(parts.next()?, 1..=9999)?;
    let mut clock = parts.next()?.split(':');
    let hour = number(clock.next()?, 0..=23)?;
    let minute = number(clock.next()?, 0..=59)?;
    let second = number(clock.next()?, 0..=59)?;
    (parts.next()? == "GMT").then_some(())?;
    assemble(year, month, day, hour, minute, second).map(Time)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso8601_millis())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(micros(duration)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(micros(duration)))
    }
}

/// Bytes, base64 on the wire of every protocol but CBOR.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Blob(pub Vec<u8>);

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        Blob(bytes)
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_clients_send_reads_as_the_same_instant() {
        let at = Time::from_secs(1_795_536_000);
        for text in [
            "2026-11-24T16:00:00Z",
            "2026-11-24T16:00:00.000Z",
            "2026-11-24T16:00:00",
            "2026-11-24T18:30:00+02:30",
            "2026-11-24T08:00:00-0800",
            "2026-11-24 16:00:00Z",
            "20261124T160000Z",
            "Tue, 24 Nov 2026 16:00:00 GMT",
            "1795536000",
            "1795536000.0",
            "1.795536e9",
        ] {
            assert_eq!(Time::parse(text), Some(at), "{text}");
        }
        assert_eq!(Time::parse("2026-11-24"), Some(at - Duration::from_secs(16 * 3600)));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in
            ["", "yesterday", "2026-02-29T00:00:00Z", "2026-13-01", "2026-11-24T24:00:00Z", "1e40", "NaN", "٢٠٢٦", "-"]
        {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn instants_print_in_each_form() {
        let at = Time(1_795_536_000_123_456);
        assert_eq!(at.iso8601(), "2026-11-24T16:00:00Z");
        assert_eq!(at.iso8601_millis(), "2026-11-24T16:00:00.123Z");
        assert_eq!(at.basic(), "20261124T160000Z");
        assert_eq!(at.http_date(), "Tue, 24 Nov 2026 16:00:00 GMT");
        assert_eq!(Time(0).iso8601(), "1970-01-01T00:00:00Z");
        assert_eq!(Time(-1).iso8601_millis(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Time(i64::MAX).iso8601(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time(i64::MAX) + Duration::from_secs(1), Time(i64::MAX));
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time::from_secs(9).since(Time::from_secs(5)), Duration::from_secs(4));
    }
}
