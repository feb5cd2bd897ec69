//! What cloud-init leaves behind, and the command that asks for it: programs wait for `boot-finished`, or call `cloud-init status --wait`.

use super::guest::Answer;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

const FINISHED: &str = "/var/lib/cloud/instance/boot-finished";
const RESULT: &str = "/run/cloud-init/result.json";

/// The facts that scripts look for, and none of what an earlier boot said of its end.
pub(super) fn begin(instance: &str) -> io::Result<()> {
    for directory in ["/run/cloud-init", "/var/lib/cloud/data", "/var/lib/cloud/instances"] {
        fs::create_dir_all(directory)?;
    }
    for old in [FINISHED, RESULT] {
        let _ = fs::remove_file(old);
    }
    put("/var/lib/cloud/data/instance-id", &format!("{instance}\n"))?;
    put("/run/cloud-init/instance-id", &format!("{instance}\n"))
}

/// Says that the boot is over, and whether a script of user data failed.
pub(super) fn finish(failed: bool) -> io::Result<()> {
    let errors: &[&str] = if failed { &["('scripts_user', RuntimeError('Runparts: 1 failures'))"] } else { &[] };
    let result = serde_json::json!({ "v1": { "datasource": "DataSourceEc2", "errors": errors } });
    put(RESULT, &format!("{result:#}\n"))?;
    put(FINISHED, "cloud-init finished. Datasource DataSourceEc2.\n")
}

/// Writes a file anew. What lies at its place may be anything, a pipe that nobody reads too: it is not opened.
fn put(path: &str, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(path);
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// How it stands, and the exit code for that.
fn status() -> (&'static str, i32) {
    if !Path::new(FINISHED).exists() {
        return ("running", 0);
    }
    let result = fs::read(RESULT).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let failed = result.is_some_and(|result| result["v1"]["errors"].as_array().is_some_and(|all| !all.is_empty()));
    if failed { ("error", 1) } else { ("done", 0) }
}

/// Runs as the command `cloud-init`.
pub(super) fn main(arguments: &[String]) -> Answer {
    let (options, words): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with('-'));
    match words.as_slice() {
        ["status"] => {
            let waits = options.iter().any(|option| matches!(*option, "--wait" | "-w"));
            let mut waited = false;
            while waits && status().0 == "running" {
                print!(".");
                let _ = io::stdout().flush();
                waited = true;
                std::thread::sleep(Duration::from_millis(100));
            }
            let (word, code) = status();
            // A status is what it prints, whatever the code.
            println!("{}status: {word}", if waited { "\n" } else { "" });
            Answer { code, output: String::new() }
        }
        ["query", "instance_id" | "instance-id"] => match fs::read_to_string("/run/cloud-init/instance-id") {
            Ok(id) => Answer::fine(&id),
            Err(error) => Answer::failed(&format!("cloud-init: {error}")),
        },
        _ if options.contains(&"--version") => Answer::fine("cloud-init (what of it Zonal has)\n"),
        _ => Answer::failed("usage: cloud-init status [--wait]"),
    }
}
