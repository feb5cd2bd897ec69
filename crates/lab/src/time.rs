//! Virtual time: a moment, and spans as people write them (`90s`, `5m`, `1h`).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A moment of a world's virtual clock: microseconds since its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct At(pub u64);

impl At {
    /// The moment `span` later; the last one there is, if that is past the end of time.
    pub fn plus(self, span: Duration) -> At {
        At(self.0.saturating_add(micros(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human(Duration::from_micros(self.0)))
    }
}

/// A span in microseconds, cut off at what 64 bits hold.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Reads `250ms`, `5s`, `1.5m`, `1h`; `None` for anything else, negative and zero included.
pub fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    // A lab of more than a month is a slip of the pen.
    (seconds > 0.0 && seconds <= 31.0 * 86_400.0).then(|| Duration::from_secs_f64(seconds))
}

/// A span as a person says it, in units down to the second; none finer than it matters.
pub fn human(span: Duration) -> String {
    let ms = span.as_micros().saturating_add(500) / 1000;
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < 59_950 {
        let tenths = (ms + 50) / 100;
        return match tenths % 10 {
            0 => format!("{} s", tenths / 10),
            rest => format!("{}.{rest} s", tenths / 10),
        };
    }
    let s = (ms + 500) / 1000;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, 0) => format!("{h} h"),
        (h, m, 0) => format!("{h} h {m} min"),
        (h, 0, s) => format!("{h} h {s} s"),
        (h, m, s) => format!("{h} h {m} min {s} s"),
    }
}

/// Spans in stored results are seconds.
pub(crate) mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(span.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

/// The same for spans that may be missing.
pub(crate) mod maybe_seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_some(&span.as_secs_f64()),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        seconds.map(|s| Duration::try_from_secs_f64(s).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_every_unit() {
        let check = |text: &str, ms: Option<u64>| assert_eq!(parse_span(text), ms.map(Duration::from_millis), "{text}");
        check("250ms", Some(250));
        check("5s", Some(5000));
        check("1.5m", Some(90_000));
        check("1h", Some(3_600_000));
        check("0s", None);
        check("-1s", None);
        check("5", None);
        check("s", None);
        check("1.2.3s", None);
        check("9999999h", None);
        check("", None);
    }

    #[test]
    fn spans_are_said_to_the_second_from_a_minute_on() {
        let check = |ms: u64, text: &str| assert_eq!(human(Duration::from_millis(ms)), text);
        check(0, "0 ms");
        check(999, "999 ms");
        check(1000, "1 s");
        check(12_340, "12.3 s");
        check(59_960, "1 min");
        check(90_000, "1 min 30 s");
        check(3_300_000, "55 min");
        check(3_600_000, "1 h");
        check(5_400_000, "1 h 30 min");
        check(3_605_000, "1 h 5 s");
        check(8_130_400, "2 h 15 min 30 s");
    }
}
