//! What the real world itself needs: privileges, and what of the kernel.

use super::{Check, Failure, Finding, read, succeeds, system_program};
use crate::commands::setup;
use crate::settings;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The oldest kernel that does.
const KERNEL: (u32, u32) = (5, 15);
/// What root must really be able to do: (the number in the kernel's masks, its name).
const CAPABILITIES: [(u32, &str); 6] =
    [(0, "CHOWN"), (6, "SETGID"), (7, "SETUID"), (12, "NET_ADMIN"), (21, "SYS_ADMIN"), (27, "MKNOD")];

/// Looks at all of it.
pub(super) fn checks() -> Vec<Check> {
    let root = settings::is_root();
    let first = privileges(&read("/proc/self/status"), &read("/proc/self/uid_map"));
    let allowed = user_namespaces(root, |name| fs::read_to_string(format!("/proc/sys/{name}")).ok());
    let mut checks = if root {
        let may = first.finding == Finding::Ok;
        vec![first, allowed, namespaces(may), nft(may), cgroups(&read("/proc/mounts")), disks(true)]
    } else {
        let (ids, nft) = (subordinate_ids(), nft(false));
        // Tried only where nothing is known to be in the way: one cause is told once.
        let may = [&allowed, &ids, &nft].into_iter().all(|check| check.finding != Finding::Missing);
        vec![first, allowed, ids, nft, own_namespaces(may), lent_cgroups(), disks(false), ports()]
    };
    checks.insert(1, kernel(&read("/proc/sys/kernel/osrelease")));
    checks.insert(2, overlay());
    checks.push(landlock());
    checks
}

/// What keeps the process that reads the world's traffic from the machine's files.
fn landlock() -> Check {
    const NAME: &str = "Landlock";
    if zonal_linux::plane::is_possible() {
        Check::ok(NAME, "the plane reads no files but its own and the system's")
    } else {
        let remedy = "Linux 5.13 and newer have it, unless it is left out of `lsm=` at boot";
        Check::note(NAME, "none: the plane, which reads the world's traffic, could read what its user can", remedy)
    }
}

fn privileges(status: &str, uid_map: &str) -> Check {
    const NAME: &str = "privileges";
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    if field("Uid:").split_whitespace().nth(1) != Some("0") {
        return Check::ok(NAME, "an ordinary user: the world is made in a user namespace");
    }
    let held = u64::from_str_radix(field("CapEff:"), 16).unwrap_or_default();
    let lacking: Vec<&str> =
        CAPABILITIES.iter().filter(|(bit, _)| held >> bit & 1 == 0).map(|(_, name)| *name).collect();
    if !lacking.is_empty() {
        let remedy = "this is a container without privileges: start it with `--privileged`, or use a virtual machine";
        return Check::missing(NAME, format!("root without {}", lacking.join(", ")), remedy);
    }
    // 0 0 4294967295: the machine's own ids. Fewer are a user namespace's, where not every id can be given away.
    let whole = uid_map
        .split_whitespace()
        .last()
        .and_then(|count| count.parse::<u64>().ok())
        .is_none_or(|count| count >= 1 << 31);
    if whole {
        Check::ok(NAME, "root")
    } else {
        Check::note(
            NAME,
            "root of a user namespace with few ids",
            "instances have 65,536 ids each: what does not fit is refused at their start",
        )
    }
}

fn kernel(release: &str) -> Check {
    const NAME: &str = "kernel";
    let release = release.trim();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version >= KERNEL {
        Check::ok(NAME, release)
    } else {
        Check::missing(NAME, release, format!("Linux {}.{} or newer is needed", KERNEL.0, KERNEL.1))
    }
}

/// `sysctl` reads a setting, `None` where the kernel has none of that name.
fn user_namespaces(root: bool, sysctl: impl Fn(&str) -> Option<String>) -> Check {
    const NAME: &str = "user namespaces";
    let is = |name: &str, value: &str| sysctl(name).is_some_and(|text| text.trim() == value);
    if sysctl("user/max_user_namespaces").is_none() {
        return Check::missing(NAME, "the kernel has none", "a kernel with CONFIG_USER_NS is needed");
    }
    if is("user/max_user_namespaces", "0") {
        return Check::missing(NAME, "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=65536");
    }
    if root {
        return Check::ok(NAME, "allowed");
    }
    for (name, forbids) in
        [("kernel/unprivileged_userns_clone", "0"), ("kernel/apparmor_restrict_unprivileged_userns", "1")]
    {
        // An AppArmor profile that lets this very program have them is what the try below shows.
        if is(name, forbids) && !(name.contains("apparmor") && setup::has_profile()) {
            let name = name.replace('/', ".");
            return Check::missing(
                NAME,
                format!("forbidden to ordinary users: {name} is {forbids}"),
                "sudo zonal setup mends it; or run it as root: sudo zonal …",
            );
        }
    }
    Check::ok(NAME, "allowed, also to ordinary users")
}

fn subordinate_ids() -> Check {
    const NAME: &str = "subordinate ids";
    if system_program("newuidmap").is_none() {
        return Check::missing(
            NAME,
            "newuidmap is not installed",
            "sudo apt-get install uidmap, or sudo zonal setup; or run it as root: sudo zonal …",
        );
    }
    match zonal_linux::subordinate_ids() {
        Ok((first, _)) => Check::ok(NAME, format!("65,536 from {first}, shared by all instances")),
        Err(reason) => Check::missing(NAME, reason, "sudo zonal setup mends it; or run it as root: sudo zonal …"),
    }
}

/// Whether what an ordinary user's world is made of can be had: it is made, in a process that ends at once.
fn own_namespaces(may: bool) -> Check {
    const NAME: &str = "namespaces";
    if !may {
        return Check::note(NAME, "not tried", "what is missing above comes first");
    }
    match zonal_linux::supervise::probe() {
        Ok(()) => Check::ok(NAME, "user, mount, network and process namespaces, an overlay and nftables in them"),
        Err(error) => Check::missing(
            NAME,
            error.to_string(),
            "a security module, a seccomp filter or a container forbids it: run it as root, or on a machine of its own",
        ),
    }
}

fn lent_cgroups() -> Check {
    const NAME: &str = "control groups";
    const NONE: &str = "none of its own: instances run without limits of processor and memory";
    match zonal_linux::lent_group() {
        None => {
            Check::note(NAME, NONE, "systemd-run --user --scope -p Delegate=yes zonal up gives it some (version 2)")
        }
        Some(path) => {
            let there = read(&path.join("cgroup.controllers").to_string_lossy());
            let lacking: Vec<&str> = ["cpu", "memory", "pids"]
                .into_iter()
                .filter(|name| !there.split_whitespace().any(|word| word == *name))
                .collect();
            if lacking.is_empty() {
                Check::ok(NAME, format!("version 2, lent: {}", path.display()))
            } else {
                let found = format!("version 2, lent, without {}", lacking.join(", "));
                Check::note(NAME, found, "instances run without these limits")
            }
        }
    }
}

/// The ports of public addresses that can be had on the host.
fn ports() -> Check {
    const NAME: &str = "low ports";
    let first = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim().parse::<u16>().unwrap_or(1024);
    if first <= 80 {
        return Check::ok(NAME, format!("public addresses open from port {first}"));
    }
    Check::note(
        NAME,
        format!("public addresses open from port {first} on the host"),
        "pages open by name at http://NAME.localhost:4566, and instances reach each other at every port",
    )
}

/// Whether a new mount and network namespace can be had: the masks say that it may be asked, the answer says that it is given.
fn namespaces(root: bool) -> Check {
    const NAME: &str = "namespaces";
    if !root {
        return Check::note(NAME, "not tried without root", "sudo zonal doctor tries them");
    }
    match succeeds(
        Command::new(system_program("unshare").unwrap_or_else(|| "unshare".into()))
            .args(["--mount", "--net", "--pid", "--fork", "true"]),
    ) {
        Ok(()) => Check::ok(NAME, "mount, network and process namespaces can be made"),
        Err(Failure::Absent) => Check::note(NAME, "not tried: there is no unshare", "sudo apt-get install util-linux"),
        Err(Failure::Said(text)) => {
            Check::missing(NAME, text, "a seccomp filter or a container forbids them: start it with `--privileged`")
        }
    }
}

fn overlay() -> Check {
    const NAME: &str = "overlayfs";
    if read("/proc/filesystems").lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay") {
        return Check::ok(NAME, "in the kernel");
    }
    let release = read("/proc/sys/kernel/osrelease");
    let modules = PathBuf::from("/lib/modules").join(release.trim());
    let listed = |file: &str| fs::read_to_string(modules.join(file)).is_ok_and(|text| text.contains("/overlay."));
    if listed("modules.dep") || listed("modules.builtin") {
        Check::ok(NAME, "a module, loaded at its first use")
    } else {
        Check::missing(NAME, "the kernel has none", "sudo modprobe overlay, or a kernel with CONFIG_OVERLAY_FS")
    }
}

/// Whether disks of instances can have a size. They are tried when a world starts, which takes to what there is.
fn disks(root: bool) -> Check {
    const NAME: &str = "disks";
    const NONE: &str = "instances' disks have no size of their own: the machine's disk is their limit";
    if !root {
        return Check::note(
            NAME,
            NONE,
            "loop devices are root's: sudo zonal up has disks of the size that is asked for",
        );
    }
    let ext4 = read("/proc/filesystems").lines().any(|line| line.trim() == "ext4");
    if !PathBuf::from("/dev/loop-control").exists() {
        Check::note(NAME, NONE, "there is no /dev/loop-control: sudo modprobe loop, or give the container /dev/loop*")
    } else if system_program("mke2fs").is_none() {
        Check::note(NAME, NONE, "sudo apt-get install e2fsprogs")
    } else if ext4 {
        Check::ok(NAME, "of the size that is asked for: ext4 on loop devices")
    } else {
        Check::ok(NAME, "of the size that is asked for, if the kernel has ext4 as a module: zonal status says if not")
    }
}

fn nft(root: bool) -> Check {
    const NAME: &str = "nftables";
    let Some(nft) = system_program("nft") else {
        return Check::missing(NAME, "nft is not installed", "sudo apt-get install nftables");
    };
    if !root {
        return Check::note(NAME, format!("{} is there", nft.display()), "tried with the namespaces below");
    }
    // In a network namespace that ends with the command: nothing of the host's is touched.
    let mut tried = Command::new(system_program("unshare").unwrap_or_else(|| "unshare".into()));
    tried.arg("--net").arg(&nft).arg("add table inet zonal_doctor; add chain inet zonal_doctor c { type filter hook forward priority 0; }; add rule inet zonal_doctor c ct state established accept");
    match succeeds(&mut tried) {
        Ok(()) => Check::ok(NAME, format!("{} makes tables, chains and stateful rules", nft.display())),
        Err(Failure::Absent) => Check::note(NAME, "not tried: there is no unshare", "sudo apt-get install util-linux"),
        Err(Failure::Said(text)) => Check::missing(
            NAME,
            text,
            "a kernel with nf_tables and nf_conntrack is needed: sudo modprobe -a nf_tables nf_conntrack",
        ),
    }
}

fn cgroups(mounts: &str) -> Check {
    const NAME: &str = "control groups";
    let mut kinds: Vec<(&str, &str, &str)> = Vec::new();
    for line in mounts.lines() {
        if let [_, path, kind @ ("cgroup" | "cgroup2"), options, ..] = line.split(' ').collect::<Vec<_>>()[..] {
            kinds.push((kind, path, options));
        }
    }
    let writable = |options: &str| options.split(',').next() == Some("rw");
    let first = |name: &str| {
        kinds.iter().find(|(kind, _, options)| *kind == "cgroup" && options.split(',').any(|option| option == name))
    };
    let limits = ["cpu", "memory", "pids"];
    let remedy = "instances run without limits of processor, memory and processes; their CPUUtilization is not known";
    if limits.iter().any(|name| first(name).is_some()) {
        let lacking: Vec<&str> =
            limits.into_iter().filter(|name| !first(name).is_some_and(|(_, _, options)| writable(options))).collect();
        return if lacking.is_empty() {
            Check::ok(NAME, "version 1: cpu, memory, pids")
        } else {
            Check::note(NAME, format!("version 1 without {}", lacking.join(", ")), remedy)
        };
    }
    match kinds.iter().find(|(kind, ..)| *kind == "cgroup2") {
        Some((_, path, options)) if writable(options) => {
            let there = read(&format!("{path}/cgroup.controllers"));
            let lacking: Vec<&str> =
                limits.into_iter().filter(|name| !there.split_whitespace().any(|word| word == *name)).collect();
            if lacking.is_empty() {
                Check::ok(NAME, "version 2: cpu, memory, pids")
            } else {
                Check::note(NAME, format!("version 2 without {}", lacking.join(", ")), remedy)
            }
        }
        Some(_) => Check::note(NAME, "version 2, read only", remedy),
        None => Check::note(NAME, "none are mounted", remedy),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn root_without_its_capabilities_is_a_container() {
        let status = |uid: u32, caps: &str| format!("Name:\tzonal\nUid:\t{uid}\t{uid}\t0\t0\nCapEff:\t{caps}\n");
        let whole = "0 0 4294967295";
        assert_eq!(privileges(&status(0, "000001ffffffffff"), whole).finding, Finding::Ok);
        assert_eq!(privileges(&status(1000, "0000000000000000"), whole).finding, Finding::Ok);
        // What Docker gives by default.
        let docker = privileges(&status(0, "00000000a80425fb"), whole);
        assert_eq!((docker.finding, docker.found.as_str()), (Finding::Missing, "root without NET_ADMIN, SYS_ADMIN"));
        assert_eq!(privileges(&status(0, "000001ffffffffff"), "0 100000 65536").finding, Finding::Note);
    }

    #[test]
    fn the_kernel_is_compared_by_number() {
        for (release, finding) in [
            ("6.18.44-fc", Finding::Ok),
            ("5.15.0-1050-azure", Finding::Ok),
            ("5.4.0-150-generic", Finding::Missing),
            ("4.18.0", Finding::Missing),
        ] {
            assert_eq!(kernel(release).finding, finding, "{release}");
        }
    }

    #[test]
    fn what_forbids_user_namespaces_is_named() {
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| match asked {
                _ if asked == name => Some(format!("{value}\n")),
                "user/max_user_namespaces" => Some("1000\n".to_owned()),
                _ => None,
            }
        };
        assert_eq!(user_namespaces(true, with("user/max_user_namespaces", "0")).finding, Finding::Missing);
        let apparmor = user_namespaces(false, with("kernel/apparmor_restrict_unprivileged_userns", "1"));
        assert!(apparmor.found.contains("kernel.apparmor_restrict_unprivileged_userns is 1"), "{apparmor:?}");
        assert_eq!(user_namespaces(true, with("kernel/unprivileged_userns_clone", "0")).finding, Finding::Ok);
        assert_eq!(user_namespaces(false, |_| None).finding, Finding::Missing);
    }

    #[test]
    fn control_groups_of_the_first_version_are_told_by_controller() {
        let line = |name: &str, mode: &str| format!("cgroup /sys/fs/cgroup/{name} cgroup {mode},relatime,{name} 0 0\n");
        let all = ["cpu", "memory", "pids"].map(|name| line(name, "rw")).concat();
        assert_eq!(cgroups(&all).finding, Finding::Ok);
        let some = line("cpu", "rw") + &line("memory", "ro");
        assert_eq!(cgroups(&some).found, "version 1 without memory, pids");
        assert_eq!(cgroups("").finding, Finding::Note);
    }
}
