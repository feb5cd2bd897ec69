//! `shutdown`, `poweroff`, `halt` and `reboot`: what their arguments mean.

use std::time::SystemTime;

/// What is asked of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Power {
    /// To go down, or boot again, in so many seconds.
    Down { reboot: bool, seconds: u64 },
    /// To forget that.
    Cancel,
    /// Nothing: to be told how to ask.
    Help,
    /// Something that is none of these.
    Unknown(String),
}

/// How it is asked.
pub(super) const USAGE: &str = "Usage: shutdown [-h|-P|-H|-r] [TIME] [WALL...]\n       shutdown -c\n       poweroff, halt, reboot\n\
    TIME is `now`, +MINUTES or HH:MM; without it, in a minute.\n";

/// Reads the arguments of one of these commands.
pub(super) fn read(command: &str, arguments: &[String]) -> Power {
    let mut reboot = command == "reboot";
    let mut words = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--help" => return Power::Help,
            "-c" if command == "shutdown" => return Power::Cancel,
            "-r" | "--reboot" => reboot = true,
            "-k" => return Power::Unknown("-k: nobody is here to be warned".to_owned()),
            // How to go down, whom to tell: there is one way, and nobody.
            option if option.starts_with('-') => {}
            word => words.push(word),
        }
    }
    if command != "shutdown" {
        return Power::Down { reboot, seconds: 0 };
    }
    // As on a booted system: it is in a minute where no time is given.
    let seconds = words.first().map_or(Some(60), |time| seconds_until(time, second_of_day()));
    match (seconds, words.first()) {
        (Some(seconds), _) => Power::Down { reboot, seconds },
        (None, word) => Power::Unknown(format!("Failed to parse time specification: {}", word.unwrap_or(&""))),
    }
}

fn second_of_day() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() % 86_400)
}

/// How long it is until a time, which is `now`, minutes from now, or one of the day's, in UTC as all instances' clocks are.
fn seconds_until(time: &str, now: u64) -> Option<u64> {
    if time == "now" {
        return Some(0);
    }
    if let Some((hour, minute)) = time.split_once(':') {
        let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
        let then = (hour < 24 && minute < 60).then_some((hour * 60 + minute) * 60)?;
        return Some(if then > now { then - now } else { then + 86_400 - now });
    }
    // A year, so that no clock runs over.
    time.strip_prefix('+').unwrap_or(time).parse::<u64>().ok().filter(|minutes| *minutes <= 525_600).map(|m| m * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_time_is_now_minutes_from_now_or_of_the_day() {
        for (time, seconds) in [
            ("now", Some(0)),
            ("+0", Some(0)),
            ("+5", Some(300)),
            ("90", Some(5400)),
            ("12:30", Some(1800)),
            ("11:00", Some(23 * 3600)),
            ("24:00", None),
            ("soon", None),
            ("+99999999999", None),
        ] {
            assert_eq!(seconds_until(time, 12 * 3600), seconds, "{time}");
        }
    }

    #[test]
    fn asking_for_help_or_to_cancel_ends_nothing() {
        for (command, arguments, power) in [
            ("shutdown", "-h now", Power::Down { reboot: false, seconds: 0 }),
            ("shutdown", "", Power::Down { reboot: false, seconds: 60 }),
            ("shutdown", "-r +2 going down", Power::Down { reboot: true, seconds: 120 }),
            ("shutdown", "-c", Power::Cancel),
            ("shutdown", "--help", Power::Help),
            ("poweroff", "", Power::Down { reboot: false, seconds: 0 }),
            ("reboot", "-f", Power::Down { reboot: true, seconds: 0 }),
            ("reboot", "--help", Power::Help),
        ] {
            assert_eq!(read(command, &words(arguments)), power, "{command} {arguments}");
        }
        assert!(matches!(read("shutdown", &words("-h soon")), Power::Unknown(_)));
    }
}
