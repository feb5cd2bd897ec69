//! `zonal logs`.

use crate::commands::{CommandError, Where, api, status};
use clap::Args;
use serde_json::Value;

/// Options of `zonal logs`.
#[derive(Args)]
pub struct LogsArguments {
    #[command(flatten)]
    place: Where,
    /// The instance's id
    instance: String,
}

/// Prints an instance's console.
///
/// # Errors
/// There is no such instance.
pub fn logs(arguments: &LogsArguments) -> Result<(), CommandError> {
    let settings = status::settings(&arguments.place)?;
    let answer = api::call(&settings, "GET", &format!("/_zonal/console/{}", arguments.instance), "")?;
    print!("{}", answer.get("console").and_then(Value::as_str).unwrap_or_default());
    Ok(())
}
