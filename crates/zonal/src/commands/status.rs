//! `zonal status`.

use crate::commands::{CommandError, Where, api};
use crate::settings::Settings;
use clap::Args;
use serde_json::Value;

/// Options of `zonal status`.
#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    place: Where,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The settings of the world that a command speaks of.
///
/// # Errors
/// There is none.
pub fn settings(place: &Where) -> Result<Settings, CommandError> {
    let directory = place.existing();
    Settings::load(&directory).map_err(|_| {
        CommandError::said(format!("there is no world in {}: start one with `zonal up --detach`", directory.display()))
    })
}

/// Prints what runs.
///
/// # Errors
/// Nothing does.
pub fn run(arguments: &StatusArguments) -> Result<(), CommandError> {
    let settings = settings(&arguments.place)?;
    let status = api::call(&settings, "GET", "/_zonal/status", "")?;
    if arguments.json {
        println!("{status:#}");
        return Ok(());
    }
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    println!(
        "{} world at {}, speed {}, time {}",
        text(&status, "world"),
        settings.endpoint(),
        status["speed"],
        text(&status, "time")
    );
    if let Ok(config) = zonal_linux::Config::load(&settings.directory) {
        config.lacks(settings.port).iter().for_each(|line| println!("Less than as root: {line}."));
    }
    let mut instances = status.get("instances").and_then(Value::as_array).cloned().unwrap_or_default();
    // What is gone is looked at last.
    instances.sort_by_key(|instance| text(instance, "state") == "terminated");
    if instances.is_empty() {
        println!("No instances.");
    }
    for instance in &instances {
        println!(
            "{:<20} {:<14} {:<12} {:<11} {:<17} {}",
            text(instance, "id"),
            text(instance, "state"),
            text(instance, "zone"),
            text(instance, "type"),
            text(instance, "status"),
            text(instance, "name"),
        );
    }
    for zone in status.get("zones_cut").and_then(Value::as_array).into_iter().flatten() {
        println!("{} is cut off.", zone.as_str().unwrap_or_default());
    }
    Ok(())
}
