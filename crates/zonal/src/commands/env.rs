//! `zonal env`.

use crate::commands::{CommandError, Where, status};
use crate::settings::Settings;
use clap::Args;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zonal_cloud::regions::{REGIONS, Region};

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
    if Region::named(&arguments.region).is_none() {
        let known: Vec<&str> = REGIONS.iter().map(|region| region.name).collect();
        return Err(CommandError::said(format!("{} is no region here: {}", arguments.region, known.join(", "))));
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
    let real = real_aws(&settings.directory.join("bin"));
    let wrapped = real.as_deref().and_then(|real| wrapper(&settings, real));
    // What set-up installed is not on PATH by itself.
    let ours =
        || real.as_deref().and_then(Path::parent).filter(|bin| venv().as_deref() == Some(bin)).map(Path::to_owned);
    if let Some(bin) = wrapped.clone().or_else(ours) {
        println!("{}", put_first(&bin.to_string_lossy(), &std::env::var("PATH").unwrap_or_default()));
    }
    if wrapped.is_none() {
        println!("{FUNCTION}");
    }
    Ok(())
}

/// The line for a shell that puts a directory first on its PATH, once however often it is read. `path` is how PATH is now.
fn put_first(bin: &str, path: &str) -> String {
    let others: Vec<&str> = path.split(':').filter(|directory| *directory != bin).collect();
    if path.split(':').skip(1).any(|directory| directory == bin) {
        // It is there, behind others or again: a shell has no short way to take it out.
        let path = [&[bin], others.as_slice()].concat().join(":");
        return format!("export PATH='{}'", path.replace('\'', "'\\''"));
    }
    format!("case \"$PATH:\" in \"{bin}:\"*) ;; *) export PATH=\"{bin}:$PATH\" ;; esac")
}

/// The guard where no file can be written: it holds in this shell, and in those that bash starts from it.
const FUNCTION: &str = "aws() { command aws ${AWS_ENDPOINT_URL:+--endpoint-url \"$AWS_ENDPOINT_URL\"} \"$@\"; }\n\
                        if [ -n \"$BASH_VERSION\" ]; then export -f aws; fi";

/// The directory of an `aws` that tells the CLI the endpoint on its command line. Version 1 does not heed the variable for
/// services that had another host name once (rds, docdb, neptune, sqs, emr): it would call the real AWS. `None` where the world's
/// directory is not ours to write.
fn wrapper(settings: &Settings, real: &Path) -> Option<PathBuf> {
    let bin = settings.directory.join("bin");
    let path = bin.join("aws");
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

/// The CLI itself: the one that set-up installed, or the first on PATH that is no wrapper of ours; of those that can be run. One before
/// 1.29 or 2.13 (Debian's, say) ignores the variable altogether.
pub(super) fn real_aws(ours: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter(|directory| directory != ours);
    let candidates = venv().into_iter().chain(on_path).map(|directory| directory.join("aws"));
    let made_here = |path: &PathBuf| {
        fs::read(path).is_ok_and(|text| text.windows(20).take(64).any(|w| w == b"Made by `zonal env`."))
    };
    candidates.filter(|path| path.is_file() && may_run(path).is_ok()).find(|path| !made_here(path))
}

/// Whether the system would start a program for us: the file, and what a script names on its first line. What root installed on a
/// Python below /root is a file that everybody may run, and nobody but root can.
///
/// # Errors
/// What can't be run, and why.
pub(super) fn may_run(program: &Path) -> Result<(), CommandError> {
    let may = |path: &Path| {
        accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| CommandError::file(path, error.into()))
    };
    may(program)?;
    let mut head = Vec::new();
    // Of what can't be read it is not known what it needs.
    let _ = fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut head));
    let line = head.split(|byte| *byte == b'\n').next().and_then(|line| line.strip_prefix(b"#!")).unwrap_or_default();
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.next().map_or(Ok(()), |interpreter| may(Path::new(OsStr::from_bytes(interpreter))))
}

/// The `bin` of the Python environment that set-up made beside the program's source.
pub(super) fn venv() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|directory| directory.join(".venv/bin")).find(|bin| bin.join("aws").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_first_on_path_once_however_often_it_is_put_there() {
        let read = |path: &str, line: &str| {
            let script = format!("{line}\n{line}\nprintf %s \"$PATH\"");
            let said = std::process::Command::new("/bin/sh").arg("-c").arg(script).env("PATH", path).output().unwrap();
            String::from_utf8(said.stdout).unwrap()
        };
        for (path, expected) in [
            ("/usr/bin:/bin", "/w/bin:/usr/bin:/bin"),
            ("/w/bin:/bin", "/w/bin:/bin"),
            ("/it's $HOME:/w/bin:/bin", "/w/bin:/it's $HOME:/bin"),
            ("/w/bin:/bin:/w/bin", "/w/bin:/bin"),
            ("/w/bin/more:/bin", "/w/bin:/w/bin/more:/bin"),
        ] {
            let line = put_first("/w/bin", path);
            assert_eq!(read(path, &line), expected, "{line}");
        }
    }

    #[test]
    fn a_script_runs_only_if_what_it_is_written_for_does() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String, mode: u32| {
            let path = place.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let forbidden = write("python3", String::new(), 0o644);
        let on_forbidden = write("aws", format!("#! {} -E\nimport sys\n", forbidden.display()), 0o755);
        let error = may_run(&on_forbidden).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: Permission denied", forbidden.display())), "{error}");
        assert!(may_run(&write("gone", "#!/nowhere/python3\n".to_owned(), 0o755)).is_err());
        assert!(may_run(&write("no-program", "#!/bin/sh\n".to_owned(), 0o644)).is_err());
        assert!(may_run(&write("script", "#!/bin/sh\n".to_owned(), 0o755)).is_ok());
        assert!(may_run(Path::new("/bin/sh")).is_ok());
    }
}
