//! What the plane may reach of the machine's files: its own directory, what it must read of the world's, and what the machine's package
//! manager is made of. It reads bytes from anywhere, so whoever should come to be it finds no state, nobody's home and none of the
//! world's keys but those with which it answers: its authority's and its listeners'.
//!
//! Files are all that this is about: Landlock keeps nobody from connecting to a socket of the same user, the API's or the session bus's.
//!
//! Landlock (Linux 5.13) does that for any user. It keeps this process from tracing its equals too (the daemon has the same user), and
//! from sending them signals where the kernel knows how to. A kernel without goes on without; `zonal doctor` says so.

use crate::world::Config;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use std::path::PathBuf;

/// What is known here of Landlock; older kernels do as much of it as they can.
const KNOWN: ABI = ABI::V6;

/// What the package manager is, and what it, the resolver and the runtime read. None of it is a user's.
const READ: [&str; 15] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/cache/apt",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];
/// Where /etc/resolv.conf may lead.
const RESOLVER: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"];

/// Whether the kernel can keep the plane apart.
#[must_use]
pub fn is_possible() -> bool {
    // SAFETY: asked for its version, the call reads no memory of ours.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION) };
    version >= 1
}

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: libc::c_uint = 1;

/// Keeps this process, and all that it starts, from everything else. To be called while there is but one thread.
pub(super) fn enter(config: &Config) {
    match restrict(config) {
        Ok(RulesetStatus::NotEnforced) => tracing::warn!("this kernel has no Landlock: the plane is not kept apart"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the plane is not kept apart"),
    }
}

fn restrict(config: &Config) -> Result<RulesetStatus, RulesetError> {
    let own = [config.plane_directory(), PathBuf::from("/dev/null")];
    let of_the_world = ["ca", "places.json"].map(|name| config.directory.join(name));
    // It may lead elsewhere still: on WSL to /mnt. That file alone: nobody knows what is beside it.
    let resolver = std::fs::canonicalize("/etc/resolv.conf").ok();
    let read = READ.into_iter().chain(RESOLVER).map(PathBuf::from).chain(of_the_world).chain(resolver);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(KNOWN)))?
        .add_rules(path_beneath_rules(own, AccessFs::from_all(KNOWN)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Directory;
    use super::*;
    use std::fs;

    #[test]
    fn the_plane_reads_and_writes_its_own_directory_and_nothing_of_the_world_but_its_certificates() {
        if !is_possible() {
            println!("skipped: this kernel has no Landlock");
            return;
        }
        let directory = Directory::new("confined");
        let config = Config::new(directory.0.clone(), (0, 0));
        for inside in ["plane", "ca", "daemon"] {
            fs::create_dir(directory.0.join(inside)).unwrap();
        }
        for file in ["ca/key.pem", "daemon/world.key", "warden.key"] {
            fs::write(directory.0.join(file), "x").unwrap();
        }
        // A thread that is restricted stays so, and ends here.
        let at = directory.0.clone();
        std::thread::spawn(move || {
            enter(&config);
            fs::write(at.join("plane/kept"), "x").unwrap();
            fs::rename(at.join("plane/kept"), at.join("plane/renamed")).unwrap();
            fs::read(at.join("ca/key.pem")).unwrap();
            fs::read("/etc/passwd").unwrap();
            fs::File::open("/dev/urandom").unwrap();
            // What is typed in the user's terminals.
            assert!(fs::read_dir("/dev/pts").is_err());
            for forbidden in ["daemon/world.key", "warden.key"] {
                let error = fs::read(at.join(forbidden)).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{forbidden}");
            }
            assert!(fs::write(at.join("ca/key.pem"), "y").is_err());
            assert!(fs::read_dir(std::env::var_os("HOME").unwrap_or("/root".into())).is_err());
            // What whoever traces another opens.
            let parent = format!("/proc/{}/mem", std::os::unix::process::parent_id());
            assert!(fs::File::open(parent).is_err());
        })
        .join()
        .unwrap();
    }
}
