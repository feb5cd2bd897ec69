//! Which instance is meant: by its id, or by its `Name` tag.

use crate::commands::{CommandError, api};
use crate::settings::Settings;
use serde_json::Value;
use std::net::Ipv4Addr;

/// An instance that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its state, in AWS's words.
    pub state: String,
    /// Its public address, if it has one.
    pub address: Option<Ipv4Addr>,
}

/// Finds one in a world.
///
/// # Errors
/// There is none of that id or name, or there are several of that name.
pub fn find(settings: &Settings, wanted: &str) -> Result<Found, CommandError> {
    let status = api::call(settings, "GET", "/_zonal/status", "")?;
    let instances = status.get("instances").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    choose(instances, wanted).map_err(CommandError::said)
}

fn of<'a>(instance: &'a Value, key: &str) -> &'a str {
    instance.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// How much rather one is meant than others of its name: what runs, then what may run again.
fn rank(instance: &Value) -> u8 {
    match of(instance, "state") {
        "running" => 0,
        "terminated" | "shutting-down" => 2,
        _ => 1,
    }
}

fn choose(instances: &[Value], wanted: &str) -> Result<Found, String> {
    let named = |instance: &&Value| !wanted.is_empty() && of(instance, "name") == wanted;
    let best = instances.iter().filter(named).map(rank).min();
    let meant: Vec<&Value> = match instances.iter().find(|instance| of(instance, "id") == wanted) {
        Some(one) => vec![one],
        None => instances.iter().filter(named).filter(|instance| Some(rank(instance)) == best).collect(),
    };
    match meant.as_slice() {
        [one] => Ok(Found {
            id: of(one, "id").to_owned(),
            state: of(one, "state").to_owned(),
            address: of(one, "address").parse().ok(),
        }),
        [] => {
            Err(format!("no instance has the id or the Name tag `{wanted}`: `zonal status` lists those that there are"))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|instance| of(instance, "id")).collect();
            Err(format!(
                "{} instances have the Name tag `{wanted}`; say which by its id: {}",
                ids.len(),
                ids.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(wanted: &str, expected: Result<&str, &str>) {
        let one = |id: &str, name: &str, state: &str| json!({ "id": id, "name": name, "state": state });
        let instances = [
            one("i-1", "web", "terminated"),
            one("i-2", "web", "running"),
            one("i-3", "web", "stopped"),
            one("i-4", "pair", "running"),
            one("i-5", "pair", "running"),
            one("i-6", "gone", "terminated"),
            json!({ "id": "i-7", "name": null, "state": "running" }),
        ];
        match (choose(&instances, wanted), expected) {
            (Ok(found), Ok(id)) => assert_eq!(found.id, id),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{wanted}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn an_instance_is_meant_by_id_or_by_name() {
        check("i-1", Ok("i-1"));
        check("web", Ok("i-2"));
        check("gone", Ok("i-6"));
    }

    #[test]
    fn no_instance_or_several_are_said_to_be() {
        check("pair", Err("2 instances have the Name tag `pair`; say which by its id: i-4, i-5"));
        check("shop", Err("no instance has the id or the Name tag `shop`"));
        check("", Err("no instance"));
    }
}
