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
    /// Print JSON, of terminated instances too
    #[arg(long)]
    json: bool,
    /// Show terminated instances too
    #[arg(long)]
    all: bool,
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
    println!(
        "{} world at {}, speed {}, time {}",
        text(&status, "world"),
        settings.endpoint(),
        status["speed"],
        text(&status, "time")
    );
    if let Ok(config) = zonal_linux::Config::load(&settings.directory) {
        config.lacks(settings.port).iter().for_each(|line| println!("Less than elsewhere: {line}."));
    }
    print_instances(&status, arguments.all);
    print_rest(&status);
    for cut in list(&status, "zones_cut") {
        let end = cut.get("until").and_then(Value::as_str).map(|until| format!("until {until}"));
        let zone = text(cut, "zone");
        println!(
            "{zone} is cut off {}.",
            end.unwrap_or_else(|| format!("without an end: `zonal break mend {zone}` mends it"))
        );
    }
    Ok(())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn print_instances(status: &Value, all: bool) {
    let trouble = |instance: &Value| instance.get("trouble").and_then(Value::as_str).map(str::to_owned);
    let is_gone = |instance: &&Value| text(instance, "state") == "terminated";
    let (mut gone, there): (Vec<&Value>, Vec<&Value>) = list(status, "instances").iter().partition(is_gone);
    let ended = gone.len();
    if !all {
        // Of one that never ran it is asked why.
        gone.retain(|instance| trouble(instance).is_some());
    }
    let left_out = ended - gone.len();
    if there.is_empty() && gone.is_empty() {
        println!("No instances.");
    }
    // What is gone is looked at last.
    for instance in there.iter().chain(&gone) {
        println!(
            "{:<20} {:<14} {:<12} {:<11} {:<17} {:<15} {}",
            text(instance, "id"),
            text(instance, "state"),
            text(instance, "zone"),
            text(instance, "type"),
            text(instance, "status"),
            text(instance, "address"),
            text(instance, "name"),
        );
        if let Some(trouble) = trouble(instance) {
            println!("{:<20} {trouble}", "");
        }
    }
    match left_out {
        0 => {}
        1 => println!("1 terminated instance is left out: `zonal status --all` shows it."),
        many => println!("{many} terminated instances are left out: `zonal status --all` shows them."),
    }
}

/// Stacks, load balancers and hosted zones, each kind under its name where there are any.
fn print_rest(status: &Value) {
    let width = |all: &[Value]| all.iter().map(|one| text(one, "name").chars().count()).max().unwrap_or(0);
    let head = |kind: &str, all: &[Value]| {
        if !all.is_empty() {
            println!("{kind}:");
        }
        width(all)
    };
    let stacks = list(status, "stacks");
    let wide = head("Stacks", stacks);
    for stack in stacks {
        println!("  {:<wide$}  {}", text(stack, "name"), text(stack, "status"));
    }
    let balancers = list(status, "load_balancers");
    let wide = head("Load balancers", balancers);
    for balancer in balancers {
        let place = balancer.get("url").and_then(Value::as_str).unwrap_or_else(|| text(balancer, "dns_name"));
        println!(
            "  {:<wide$}  {:<11}  {:<12}  {place}",
            text(balancer, "name"),
            text(balancer, "type"),
            text(balancer, "state")
        );
    }
    let zones = list(status, "hosted_zones");
    let wide = head("Hosted zones", zones);
    for zone in zones {
        let seen = if zone["private"] == true { "private" } else { "public" };
        println!("  {:<wide$}  {seen}", text(zone, "name"));
    }
}
