//! Trying what a world needs, in a process of its own: what it makes ends with it.

use crate::error::{Act, Error, Result};
use crate::privilege::{self, Privilege};
use crate::sandbox::{FIRST_ID, build};
use crate::sys::{self, Forked};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Tables and stateful rules, as routers have them.
const RULES: &str = "add table ip zonal_probe\nadd chain ip zonal_probe c { type filter hook forward priority 0; }\n\
                     add rule ip zonal_probe c ct state established accept\n";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// Why it can't be done, if it can't.
    refused: Option<String>,
}

/// Whether mounts below a directory can be shown with mapped owners, below an overlay: root's sandboxes have ids of their own then.
pub(crate) fn maps_owners(directory: &Path) -> bool {
    ask(directory).is_ok_and(|found| found.refused.is_none())
}

/// Tries what an ordinary user's world needs of the machine.
///
/// # Errors
/// The act that was refused, and why.
pub fn probe() -> Result<()> {
    match ask(&std::env::temp_dir())?.refused {
        None => Ok(()),
        Some(reason) => Err(Error::Remote(reason)),
    }
}

fn ask(directory: &Path) -> Result<Findings> {
    let output = Command::new("/proc/self/exe").arg("probe").arg(directory).stdin(Stdio::null()).output();
    let output = output.act("start", "the probe")?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Error::Remote(if said.is_empty() { "the probe failed and said nothing".to_owned() } else { said })
    })
}

/// The process itself: says what it found on standard output.
pub(super) fn run(directory: &Path) -> Result<()> {
    let tried = match Privilege::own() {
        Privilege::Root => map_owners(directory),
        Privilege::User => everything(directory),
    };
    let findings = Findings { refused: tried.err().map(|error| error.to_string()) };
    let text = serde_json::to_vec(&findings).map_err(|e| Error::Refused(e.to_string()))?;
    std::io::stdout().write_all(&text).act("write", "what was found")
}

/// Places below a directory, in a mount namespace that ends with this process.
fn scratch(at: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).act("make", "a mount namespace")?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing).act("detach", "/")?;
    for name in ["l", "u", "w", "r", "proc"] {
        fs::create_dir_all(at.join(name)).act("make", at.join(name).display())?;
    }
    Ok(())
}

fn map_owners(directory: &Path) -> Result<()> {
    let at = directory.join(format!(".probe-{}", std::process::id()));
    let tried = (|| {
        scratch(&at)?;
        let user = build::user_namespace(FIRST_ID)?;
        let tree = sys::open_tree(&at.join("l")).act("open", "a mount")?;
        sys::map_owners(tree.as_fd(), user.as_fd()).act("map the owners of", "a mount")?;
        sys::attach(tree.as_fd(), &at.join("l")).act("attach", "a mount")?;
        overlay(&at, "")
    })();
    // Its mounts are in our own namespace, and in nobody's way once the names are gone.
    let _ = nix::mount::umount2(&at.join("r"), nix::mount::MntFlags::MNT_DETACH);
    let _ = nix::mount::umount2(&at.join("l"), nix::mount::MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(&at);
    tried
}

fn overlay(at: &Path, more: &str) -> Result<()> {
    std::env::set_current_dir(at).act("enter", at.display())?;
    let options = format!("lowerdir=l,upperdir=u,workdir=w{more}");
    mount(Some("zonal"), "r", Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str())).act("mount", "an overlay")
}

fn everything(directory: &Path) -> Result<()> {
    privilege::enter_new()?;
    unshare(CloneFlags::CLONE_NEWNS).act("make", "a mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>).act("detach", "/")?;
    mount(Some("zonal"), directory, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).act("mount", "a tmpfs")?;
    scratch(directory)?;
    overlay(directory, ",userxattr")?;
    build::user_namespace(1)?;
    unshare(CloneFlags::CLONE_NEWNET).act("make", "a network namespace")?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").act("write", "/proc/sys/net/ipv4/ip_forward")?;
    let child = match sys::fork_into(libc::CLONE_NEWPID).act("make", "a process namespace")? {
        Forked::Parent(pid) => Pid::from_raw(pid),
        Forked::Child => {
            let mounted = mount(Some("proc"), "proc", Some("proc"), MsFlags::MS_NOSUID, None::<&str>);
            sys::exit_now(mounted.err().map_or(0, |error| error as i32));
        }
    };
    match waitpid(child, None).act("wait for", "a process")? {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Exited(_, number) => {
            return Err(std::io::Error::from_raw_os_error(number)).act("mount", "/proc");
        }
        other => return Err(Error::Refused(format!("a process namespace: {other:?}"))),
    }
    rules()
}

fn rules() -> Result<()> {
    let mut nft = Command::new("nft");
    nft.env("PATH", crate::privilege::PROGRAMS).args(["-f", "-"]);
    nft.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = nft.spawn().act("start", "nft")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(RULES.as_bytes()).act("write to", "nft")?;
    }
    let output = child.wait_with_output().act("wait for", "nft")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Nft {
        namespace: "a new namespace".into(),
        message: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
