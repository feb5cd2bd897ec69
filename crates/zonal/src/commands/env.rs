//! `zonal env`.

use crate::commands::{CommandError, Where, status};
use clap::Args;

/// Options of `zonal env`.
#[derive(Args)]
pub struct EnvArguments {
    #[command(flatten)]
    place: Where,
    /// The account that the key stands for
    #[arg(long, default_value = "000000000000")]
    account: String,
    /// The region
    #[arg(long, default_value = "us-east-1")]
    region: String,
}

/// Prints the environment that AWS's clients need, for `eval`.
///
/// # Errors
/// There is no world.
pub fn run(arguments: &EnvArguments) -> Result<(), CommandError> {
    let settings = status::settings(&arguments.place)?;
    if arguments.account.len() != 12 || !arguments.account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommandError::said(format!("{} is no account: twelve digits", arguments.account)));
    }
    println!("export AWS_ENDPOINT_URL={}", settings.endpoint());
    println!("export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY=zonal", arguments.account);
    println!("export AWS_DEFAULT_REGION={0} AWS_REGION={0}", arguments.region);
    println!("unset AWS_PROFILE AWS_SESSION_TOKEN");
    // An aws CLI too old to heed AWS_ENDPOINT_URL would call the real AWS: the one that set-up installed goes first.
    if let Some(venv) = venv() {
        println!("export PATH=\"{}:$PATH\"", venv.display());
    }
    Ok(())
}

/// The `bin` of the Python environment that set-up made beside the program's source.
pub(super) fn venv() -> Option<std::path::PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|directory| directory.join(".venv/bin")).find(|bin| bin.join("aws").exists())
}
