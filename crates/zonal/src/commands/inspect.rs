//! `zonal logs`.

use crate::commands::{CommandError, Where, api, instance, status};
use clap::Args;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// How often what comes is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// Options of `zonal logs`.
#[derive(Args)]
pub struct LogsArguments {
    #[command(flatten)]
    place: Where,
    /// The instance's id, or its Name tag
    instance: String,
    /// Print also what comes, until the instance is terminated
    #[arg(long, short)]
    follow: bool,
}

/// Prints an instance's console.
///
/// # Errors
/// There is no such instance, or the world is gone while it is followed.
pub fn logs(arguments: &LogsArguments) -> Result<(), CommandError> {
    let settings = status::settings(&arguments.place)?;
    let id = instance::find(&settings, &arguments.instance)?.id;
    let mut shown = String::new();
    loop {
        let answer = api::call(&settings, "GET", &format!("/_zonal/console/{id}"), "")?;
        let text = answer.get("console").and_then(Value::as_str).unwrap_or_default();
        if !arguments.follow {
            print!("{text}");
            return Ok(());
        }
        // A letter of which only a part is there yet, or there still, is no part of what is compared.
        let text = text.trim_matches(char::REPLACEMENT_CHARACTER);
        print!("{}", news(&shown, text));
        // What cannot be flushed fails at the next print.
        let _ = std::io::stdout().flush();
        text.clone_into(&mut shown);
        if answer.get("state").and_then(Value::as_str) == Some("terminated") {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}

/// What of a console's text was not shown yet. A console keeps its last 64 KiB: what was shown first may be gone from it.
fn news<'a>(shown: &str, text: &'a str) -> &'a str {
    let kept = shown.char_indices().map(|(at, _)| &shown[at..]).find(|rest| text.starts_with(rest));
    &text[kept.map_or(0, str::len)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_shown_yet_is_news() {
        assert_eq!(news("", "one\n"), "one\n");
        assert_eq!(news("one\n", "one\ntwo\n"), "two\n");
        assert_eq!(news("one\ntwo\n", "one\ntwo\n"), "");
    }

    #[test]
    fn what_a_full_console_forgot_is_not_shown_again() {
        assert_eq!(news("öne\ntwo\n", "two\nthree\n"), "three\n");
        assert_eq!(news("one\n", "all new\n"), "all new\n");
    }
}
