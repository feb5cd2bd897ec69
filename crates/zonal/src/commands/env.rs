//! `zonal env`.

use crate::commands::{CommandError, Where, status};
use crate::settings::Settings;
use clap::Args;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
    /// Print JSON: the variables by name, null where one is to be unset
    #[arg(long)]
    json: bool,
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
    let set = [
        ("AWS_ENDPOINT_URL", settings.endpoint()),
        ("AWS_ACCESS_KEY_ID", arguments.account.clone()),
        ("AWS_SECRET_ACCESS_KEY", "zonal".to_owned()),
        ("AWS_DEFAULT_REGION", arguments.region.clone()),
        ("AWS_REGION", arguments.region.clone()),
    ];
    let mut unset: Vec<String> =
        ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"].map(ToOwned::to_owned).into();
    // A service's own variable counts for more than the one for all.
    unset.extend(std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("AWS_ENDPOINT_URL_")));
    let bin = wrapper(&settings);
    if arguments.json {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
        let unset = unset.into_iter().map(|name| (name, serde_json::Value::Null));
        println!("{:#}", serde_json::Value::Object(set.chain(unset).collect()));
        return Ok(());
    }
    for (name, value) in &set {
        println!("export {name}={value}");
    }
    println!("unset {}", unset.join(" "));
    match (bin, venv()) {
        (Some(bin), _) => println!("export PATH=\"{}:$PATH\"", bin.display()),
        (None, Some(venv)) => println!("export PATH=\"{}:$PATH\"\n{FUNCTION}", venv.display()),
        (None, None) => println!("{FUNCTION}"),
    }
    Ok(())
}

/// The guard where no file can be written: it holds in this shell, and in those that bash starts from it.
const FUNCTION: &str = "aws() { command aws ${AWS_ENDPOINT_URL:+--endpoint-url \"$AWS_ENDPOINT_URL\"} \"$@\"; }\n\
                        if [ -n \"$BASH_VERSION\" ]; then export -f aws; fi";

/// The directory of an `aws` that tells the CLI the endpoint on its command line. Version 1 does not heed the variable for
/// services that had another host name once (rds, docdb, neptune, sqs, emr): it would call the real AWS. `None` where there is no
/// CLI, or the world's directory is not ours to write.
fn wrapper(settings: &Settings) -> Option<PathBuf> {
    let bin = settings.directory.join("bin");
    let path = bin.join("aws");
    let real = real_aws(&bin)?;
    let quoted = real.display().to_string().replace('\'', "'\\''");
    let text = format!(
        "#!/bin/sh\n# Made by `zonal env`. The endpoint on the command line holds for all services; for some, the variable does not.\n\
         exec '{quoted}' ${{AWS_ENDPOINT_URL:+--endpoint-url \"$AWS_ENDPOINT_URL\"}} \"$@\"\n"
    );
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Some(bin);
    }
    fs::create_dir_all(&bin).ok()?;
    // Written beside and moved: somebody may run the old one now.
    let new = bin.join(format!(".aws.{}", std::process::id()));
    let written = fs::write(&new, text)
        .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // What is left of the attempt is of no use to anybody.
        let _ = fs::remove_file(&new);
        return None;
    }
    Some(bin)
}

/// The CLI itself: the one that set-up installed, or the first on PATH that is no wrapper of ours. One before 1.29 or 2.13
/// (Debian's, say) ignores the variable altogether.
fn real_aws(ours: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter(|directory| directory != ours);
    let candidates = venv().into_iter().chain(on_path).map(|directory| directory.join("aws"));
    let is_program =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let made_here = |path: &PathBuf| {
        fs::read(path).is_ok_and(|text| text.windows(20).take(64).any(|w| w == b"Made by `zonal env`."))
    };
    candidates.filter(is_program).find(|path| !made_here(path))
}

/// The `bin` of the Python environment that set-up made beside the program's source.
pub(super) fn venv() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|directory| directory.join(".venv/bin")).find(|bin| bin.join("aws").exists())
}
