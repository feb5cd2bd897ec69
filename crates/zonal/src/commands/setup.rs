//! `zonal setup`: what root does once so that an ordinary user can run the real world. It says what and why, asks, and then does it.

use crate::commands::{CommandError, Where};
use crate::settings;
use clap::Args;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where settings of the kernel are kept over a restart of the machine.
const SYSCTL: &str = "/etc/sysctl.d/60-zonal.conf";
/// Where AppArmor reads what this program may.
const PROFILE: &str = "/etc/apparmor.d/zonal";
/// How many ids an instance has.
const IDS: u32 = 65_536;
/// Where ids are lent from, as useradd does.
const FIRST: u32 = 100_000;

/// Options of `zonal setup`.
#[derive(Args)]
pub struct SetupArguments {
    #[command(flatten)]
    place: Where,
    /// For whom [default: who called sudo]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Install a package.
    Install(&'static str),
    /// Lend ids to the user, from the number on.
    Lend { user: String, first: u32 },
    /// Set a setting of the kernel, now and at each start.
    Set { name: &'static str, value: &'static str },
    /// Let this program have user namespaces.
    Profile(PathBuf),
}

impl Step {
    /// What is done, and why.
    fn explain(&self) -> String {
        match self {
            Self::Install(package) => {
                format!("install {package}: newuidmap gives a user's namespace the ids that are lent to the user")
            }
            Self::Lend { user, first } => format!(
                "lend {user} the ids {first} to {} in /etc/subuid and /etc/subgid: instances' users are these",
                first + IDS - 1
            ),
            Self::Set { name, value } => {
                format!("set {name}={value}, now and in {SYSCTL}: ordinary users may make user namespaces then")
            }
            Self::Profile(program) => format!(
                "write {PROFILE} and load it: AppArmor lets {} (and no other program) make user namespaces then",
                program.display()
            ),
        }
    }

    fn perform(&self) -> Result<(), CommandError> {
        match self {
            Self::Install(package) => {
                run(Command::new("apt-get").args(["install", "-y", "-q", "--no-install-recommends", package]))
            }
            Self::Lend { user, first } => {
                let range = format!("{first}-{}", first + IDS - 1);
                run(Command::new("usermod").args(["--add-subuids", &range, "--add-subgids", &range, user]))
            }
            Self::Set { name, value } => {
                let now = Path::new("/proc/sys").join(name.replace('.', "/"));
                fs::write(&now, value).map_err(|error| CommandError::file(&now, error))?;
                let kept = fs::read_to_string(SYSCTL).unwrap_or_default();
                let line = format!("{name} = {value}\n");
                let text = if kept.contains(&line) { kept } else { kept + &line };
                fs::write(SYSCTL, text).map_err(|error| CommandError::file(SYSCTL, error))
            }
            Self::Profile(program) => {
                fs::write(PROFILE, profile(program)).map_err(|error| CommandError::file(PROFILE, error))?;
                run(Command::new("apparmor_parser").args(["--replace", PROFILE]))
            }
        }
    }
}

/// A program of the system's, with nothing on its standard input.
fn run(command: &mut Command) -> Result<(), CommandError> {
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CommandError::said(format!("{name} ended with {status}"))),
        Err(error) => Err(CommandError::file(name, error)),
    }
}

/// What AppArmor is told: nothing is forbidden to the program, and user namespaces are allowed.
fn profile(program: &Path) -> String {
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile zonal \"{}\" flags=(unconfined) {{\n  userns,\n}}\n",
        program.display()
    )
}

/// Whether AppArmor has been told of this very program.
pub fn has_profile() -> bool {
    let told = fs::read_to_string(PROFILE).unwrap_or_default();
    std::env::current_exe().is_ok_and(|program| told.contains(&format!("\"{}\"", program.display())))
}

/// What is to be done on this machine for a user.
fn plan(user: Option<&str>, program: &Path, read: impl Fn(&str) -> Option<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    if read("/usr/bin/newuidmap").is_none() {
        steps.push(Step::Install("uidmap"));
    }
    if let Some(user) = user {
        let (users, groups) = (read("/etc/subuid").unwrap_or_default(), read("/etc/subgid").unwrap_or_default());
        let has = |text: &str| ranges(text).any(|(who, _, count)| who == user && count >= IDS);
        if !has(&users) || !has(&groups) {
            // Behind all that are lent already.
            let ends = ranges(&users).chain(ranges(&groups)).map(|(_, first, count)| first.saturating_add(count));
            let first = ends.max().unwrap_or(FIRST).max(FIRST);
            steps.push(Step::Lend { user: user.to_owned(), first });
        }
    }
    let is = |name: &str, value: &str| {
        read(&format!("/proc/sys/{}", name.replace('.', "/"))).is_some_and(|text| text.trim() == value)
    };
    if is("user.max_user_namespaces", "0") {
        steps.push(Step::Set { name: "user.max_user_namespaces", value: "65536" });
    }
    if is("kernel.unprivileged_userns_clone", "0") {
        steps.push(Step::Set { name: "kernel.unprivileged_userns_clone", value: "1" });
    }
    let told = read(PROFILE).is_some_and(|text| text == profile(program));
    if is("kernel.apparmor_restrict_unprivileged_userns", "1") && !told {
        steps.push(Step::Profile(program.to_owned()));
    }
    steps
}

/// The lines of a file of subordinate ids: who, from where, how many.
fn ranges(text: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// Does what an ordinary user needs done.
///
/// # Errors
/// It is not root who asks, or a step fails.
pub fn perform(arguments: &SetupArguments) -> Result<(), CommandError> {
    let named = arguments.user.clone().or_else(|| std::env::var("SUDO_USER").ok());
    let user = named.filter(|name| name != "root");
    let program = std::env::current_exe().map_err(|error| CommandError::file("our own program", error))?;
    let steps = plan(user.as_deref(), &program, |path| {
        fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 20)]).into_owned())
    });
    if user.is_none() {
        println!("For no user in particular: `sudo zonal setup`, or --user NAME, also looks for subordinate ids.");
    }
    if steps.is_empty() {
        println!("There is nothing to do: an ordinary user can run the real world here. `zonal doctor` tries it.");
        return Ok(());
    }
    println!("So that an ordinary user can run the real world, this will:");
    steps.iter().for_each(|step| println!("  - {}", step.explain()));
    if !settings::is_root() {
        return Err(CommandError::said("only root may: sudo zonal setup"));
    }
    if !arguments.yes && !agreed()? {
        println!("Nothing was done.");
        return Ok(());
    }
    for step in &steps {
        step.perform()?;
    }
    println!("Done. `zonal doctor`, as that user, tries it.");
    Ok(())
}

/// Asks on the terminal.
fn agreed() -> Result<bool, CommandError> {
    let failed = |error| CommandError::file("the terminal", error);
    if !io::stdin().is_terminal() {
        return Err(CommandError::said("nobody is there to ask: --yes does it without"));
    }
    print!("Do it? [y/N] ");
    io::stdout().flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn planned(files: &[(&str, &str)]) -> Vec<Step> {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        plan(Some("ann"), Path::new("/opt/zonal"), |path| files.get(path).map(|text| (*text).to_owned()))
    }

    #[test]
    fn only_what_is_missing_is_done() {
        let fine =
            [("/usr/bin/newuidmap", ""), ("/etc/subuid", "ann:100000:65536\n"), ("/etc/subgid", "ann:100000:65536\n")];
        assert_eq!(planned(&fine), []);
        let restricted = [("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")];
        let program = PathBuf::from("/opt/zonal");
        assert_eq!(planned(&[&fine[..], &restricted[..]].concat()), [Step::Profile(program.clone())]);
        let told = profile(&program);
        assert_eq!(planned(&[&fine[..], &restricted[..], &[(PROFILE, told.as_str())]].concat()), []);
        let debian = [("/proc/sys/kernel/unprivileged_userns_clone", "0\n")];
        let set = Step::Set { name: "kernel.unprivileged_userns_clone", value: "1" };
        assert_eq!(planned(&[&fine[..], &debian[..]].concat()), [set]);
    }

    #[test]
    fn ids_are_lent_behind_all_that_are_lent() {
        let files = [("/etc/subuid", "bob:100000:65536\n"), ("/etc/subgid", "bob:165536:65536\nann:1:10\n")];
        let steps = planned(&files);
        assert_eq!(steps, [Step::Install("uidmap"), Step::Lend { user: "ann".into(), first: 231_072 }]);
    }
}
