//! `zonal break`.

use crate::commands::{CommandError, Where, api, instance, status};
use crate::daemon::admin::Break;
use clap::{Args, Subcommand};
use serde_json::Value;

/// Options of `zonal break`.
#[derive(Args)]
pub struct BreakArguments {
    #[command(flatten)]
    place: Where,
    /// Print JSON; a cut zone's end is null where there is none
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// An instance's machine dies: nothing in it goes on, nobody starts it again
    Instance {
        /// Its id, or its Name tag
        instance: String,
    },
    /// An Availability Zone is cut off: its packets are dropped, its machines die, nothing can be launched there
    Az {
        /// Its name
        zone: String,
        /// Mend it after this time of the world's clock, such as 90s, 5m, 1h; without, it has no end, also where it had one
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        span: Option<std::time::Duration>,
    },
    /// Mend a zone
    Mend {
        /// Its name
        zone: String,
    },
}

fn span(text: &str) -> Result<std::time::Duration, String> {
    zonal_lab::parse_span(text).ok_or_else(|| format!("`{text}` is no time: write 90s, 5m or 1h"))
}

/// Breaks something.
///
/// # Errors
/// There is nothing like it.
pub fn run(arguments: &BreakArguments) -> Result<(), CommandError> {
    let settings = status::settings(&arguments.place)?;
    let what = match &arguments.what {
        What::Instance { instance } => Break::Instance { id: instance::find(&settings, instance)?.id },
        What::Az { zone, span } => Break::Zone { zone: zone.clone(), seconds: span.map(|span| span.as_secs_f64()) },
        What::Mend { zone } => Break::MendZone { zone: zone.clone() },
    };
    let body = serde_json::to_string(&what).map_err(CommandError::said)?;
    let answer = api::call(&settings, "POST", "/_zonal/break", &body)?;
    if arguments.json {
        println!("{answer:#}");
        return Ok(());
    }
    println!("{}", answer.get("done").and_then(Value::as_str).unwrap_or("done"));
    Ok(())
}
