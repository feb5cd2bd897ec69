//! The base image: the files of a named set of the machine's own Debian packages, with what they depend on, and nothing else of the
//! machine. Made once, in about a second.

mod database;
mod helpers;
mod layer;
mod leftovers;
mod owners;
mod packages;

use crate::error::{Act, Error, Result};
use crate::init::guest;
use crate::privilege::PROGRAMS;
pub(crate) use layer::make_layer;
pub(crate) use owners::Owners;
use packages::{Package, Packages};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an instance has from the start; what of these the machine lacks is left out.
const WANTED: &[&str] = &[
    "apt",
    "base-files",
    "base-passwd",
    "bash",
    "bind9-dnsutils",
    "bsdutils",
    "bzip2",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "debianutils",
    "diffutils",
    "dnsutils",
    "dpkg",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "iputils-ping",
    "jq",
    "less",
    "libc-bin",
    "libnss-myhostname",
    "login",
    "mawk",
    "mount",
    "ncurses-base",
    "ncurses-bin",
    "netbase",
    "openssh-server",
    "openssl",
    "passwd",
    "procps",
    "psmisc",
    "python3",
    "python3-minimal",
    "sed",
    "sudo",
    "sysvinit-utils",
    "tar",
    "tzdata",
    "util-linux",
    "util-linux-extra",
    "vim-tiny",
    "wget",
    "xz-utils",
];
/// What nothing pulls in: our own PID 1 stands in for it, or an instance has no use for it.
const UNWANTED: &[&str] = &["systemd", "systemd-sysv", "libpam-systemd", "udev", "dbus", "init", "python3-dev"];
/// The front to apt that user data written for Amazon Linux calls.
const DNF: &str = include_str!("dnf.sh");
/// Documentation stays outside.
const SKIPPED: &[&str] = &[
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/locale",
    "/usr/share/lintian",
    "/usr/share/bug",
    "/run",
    "/proc",
    "/sys",
    "/dev",
    "/etc/systemd",
    "/etc/init.d",
    "/etc/cron.daily",
];

/// dpkg's own.
const DATABASE: &str = "/var/lib/dpkg";
/// What kind of base this program makes; one of another kind is made anew, where nothing stands on it.
const KIND: &str = "5";

/// Whether there is a base image to stand on; `alone` says that nothing does yet, so that an old one is none.
pub(crate) fn is_made(image: &Path, alone: bool) -> bool {
    let fits = fs::read_to_string(image.join("kind")).is_ok_and(|kind| kind == KIND);
    image.join("root").is_dir() && (fits || !alone)
}

/// Makes the base image at `image` unless it is there. Root of its files is `root_id`; with `owners`, whoever makes it is no root of the
/// machine, and can't read every file.
///
/// # Errors
/// When the machine has no dpkg database, or the disk is full.
pub(crate) fn make_base(image: &Path, alone: bool, root_id: u32, owners: Option<&Owners>) -> Result<()> {
    leftovers::sweep(image)?;
    if is_made(image, alone) {
        return Ok(());
    }
    if let Some(parent) = image.parent() {
        fs::create_dir_all(parent).act("make", parent.display())?;
    }
    // Several worlds may share it.
    let lock = leftovers::lock_file(image)?;
    lock.lock().act("lock", image.display())?;
    if is_made(image, alone) {
        return Ok(());
    }
    let database = Path::new(DATABASE);
    let status = fs::read_to_string(database.join("status")).act("read", "/var/lib/dpkg/status")?;
    let packages = Packages::parse(&status);
    let chosen = packages.closure(WANTED, UNWANTED);
    if !chosen.iter().any(|package| package.name == "bash") {
        return Err(Error::Refused(
            "this machine's dpkg database knows no bash: no base image can be made of it".into(),
        ));
    }
    let pending = leftovers::pending(image);
    let _ = fs::remove_dir_all(&pending);
    let root = pending.join("root");
    fs::create_dir_all(&root).act("make", root.display())?;
    fs::set_permissions(&root, Permissions::from_mode(0o755)).act("set mode of", root.display())?;
    let mut tree = Tree { root, certificates: Vec::new(), owners };
    tree.skeleton()?;
    let changed = changed_settings(&chosen);
    for package in &chosen {
        tree.package(database, package, &changed)?;
    }
    tree.settings(database, &chosen)?;
    if root_id != 0 {
        owners::shift(&tree.root, root_id)?;
    }
    fs::write(pending.join("layers.json"), "[\"base\"]").act("write", "layers.json")?;
    fs::write(pending.join("kind"), KIND).act("write", "kind")?;
    let old = image.with_file_name(".base.old");
    let _ = fs::remove_dir_all(&old);
    let _ = fs::rename(image, &old);
    fs::rename(&pending, image).act("put in place", image.display())?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// The settings files that were changed on this machine: its own affair, and left outside.
fn changed_settings(packages: &[&Package]) -> BTreeSet<PathBuf> {
    let settings: Vec<(&str, &str)> = packages.iter().flat_map(|package| package.settings()).collect();
    let paths: Vec<&str> = settings.iter().map(|(path, _)| *path).collect();
    let output = Command::new("md5sum").env("PATH", PROGRAMS).args(&paths).stderr(std::process::Stdio::null()).output();
    let sums = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let same: BTreeSet<(&str, &str)> =
        sums.lines().filter_map(|line| line.split_once("  ").map(|(sum, path)| (path, sum))).collect();
    settings.iter().filter(|setting| !same.contains(*setting)).map(|(path, _)| PathBuf::from(path)).collect()
}

/// The list of a package's files.
fn list_of(database: &Path, package: &Package) -> Option<PathBuf> {
    let names = [format!("{}.list", package.name), format!("{}:{}.list", package.name, package.architecture)];
    names.into_iter().map(|name| database.join("info").join(name)).find(|path| path.exists())
}

struct Tree<'a> {
    root: PathBuf,
    certificates: Vec<PathBuf>,
    owners: Option<&'a Owners>,
}

impl Tree<'_> {
    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn directory(&self, path: &str, mode: u32) -> Result<()> {
        let at = self.at(path);
        fs::create_dir_all(&at).act("make", at.display())?;
        fs::set_permissions(&at, Permissions::from_mode(mode)).act("set mode of", at.display())
    }

    fn write(&self, path: &str, text: &str, mode: u32) -> Result<()> {
        let at = self.at(path);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent).act("make", parent.display())?;
        }
        let _ = fs::remove_file(&at);
        fs::write(&at, text).act("write", at.display())?;
        fs::set_permissions(&at, Permissions::from_mode(mode)).act("set mode of", at.display())
    }

    /// The directories of every system, and the links of a merged /usr.
    fn skeleton(&self) -> Result<()> {
        for path in [
            "/usr/bin",
            "/usr/sbin",
            "/usr/lib",
            "/etc/alternatives",
            "/var/lib/dpkg/info",
            "/var/log",
            "/var/cache",
            "/home",
            "/mnt",
        ] {
            self.directory(path, 0o755)?;
        }
        for path in [
            "/dev",
            "/proc",
            "/sys",
            "/run",
            "/opt",
            "/srv",
            "/media",
            "/usr/lib/zonal",
            "/var/lib/cloud",
            "/var/spool",
            "/boot",
        ] {
            self.directory(path, 0o755)?;
        }
        for path in ["/tmp", "/var/tmp"] {
            self.directory(path, 0o1777)?;
        }
        self.directory("/root", 0o700)?;
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let Ok(target) = fs::read_link(Path::new("/").join(name)) else { continue };
            fs::create_dir_all(self.at(&target)).act("make", target.display())?;
            symlink(&target, self.at(name)).act("link", name)?;
        }
        symlink("/run", self.at("/var/run")).act("link", "/var/run")?;
        symlink("/run/lock", self.at("/var/lock")).act("link", "/var/lock")
    }

    /// Copies what a package brought.
    fn package(&mut self, database: &Path, package: &Package, changed: &BTreeSet<PathBuf>) -> Result<()> {
        let info = database.join("info");
        let Some(path) = list_of(database, package) else { return Ok(()) };
        let list = fs::read_to_string(&path).act("read", path.display())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = name.trim_end_matches("list");
        for line in list.lines() {
            let path = Path::new(line);
            if line.len() > 1 && !SKIPPED.iter().any(|skipped| path.starts_with(skipped)) && !changed.contains(path) {
                self.copy(path)?;
            }
        }
        for kind in [
            "list",
            "md5sums",
            "conffiles",
            "postinst",
            "preinst",
            "prerm",
            "postrm",
            "triggers",
            "shlibs",
            "symbols",
            "templates",
            "config",
        ] {
            let from = info.join(format!("{prefix}{kind}"));
            if from.exists() {
                let to = self.at("/var/lib/dpkg/info").join(format!("{prefix}{kind}"));
                fs::copy(&from, &to).act("copy", from.display())?;
            }
        }
        Ok(())
    }

    /// Copies one file, directory or link.
    fn copy(&mut self, path: &Path) -> Result<()> {
        let Ok(found) = path.symlink_metadata() else { return Ok(()) };
        let to = self.at(path);
        let kind = found.file_type();
        let owner = owners::owner(self.owners, path, &found);
        if kind.is_dir() {
            if !to.is_dir() {
                fs::create_dir_all(&to).act("make", to.display())?;
                chown(&to, Some(owner.0), Some(owner.1)).act("give away", to.display())?;
                fs::set_permissions(&to, Permissions::from_mode(found.mode() & 0o7777))
                    .act("set mode of", to.display())?;
            }
            return Ok(());
        }
        if kind.is_fifo()
            || kind.is_socket()
            || kind.is_block_device()
            || kind.is_char_device()
            || to.symlink_metadata().is_ok()
        {
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).act("make", parent.display())?;
        }
        if kind.is_symlink() {
            let target = fs::read_link(path).act("read link", path.display())?;
            symlink(&target, &to).act("link", to.display())?;
            return lchown(&to, Some(owner.0), Some(owner.1)).act("give away", to.display());
        }
        match copy_file(path, &to, owner) {
            // What only root reads stays outside where root is not there to read it.
            Err(Error::Os { source, .. })
                if self.owners.is_some() && source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                return Ok(());
            }
            copied => copied?,
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("py") => copy_compiled(path, &to, &found)?,
            Some("crt") if path.starts_with("/usr/share/ca-certificates") => self.certificates.push(to),
            _ => {}
        }
        Ok(())
    }

    /// A minimal /etc, and what packages make when they are set up.
    fn settings(&self, database: &Path, chosen: &[&Package]) -> Result<()> {
        let status: String = chosen.iter().map(|package| format!("{}\n\n", package.text)).collect();
        self.write("/var/lib/dpkg/status", &status, 0o644)?;
        self.write("/var/lib/dpkg/available", "", 0o644)?;
        self.directory("/var/lib/dpkg/updates", 0o755)?;
        let mut bundle = String::new();
        for certificate in &self.certificates {
            bundle += fs::read_to_string(certificate).act("read", certificate.display())?.trim_end();
            bundle.push('\n');
        }
        self.write("/etc/ssl/certs/ca-certificates.crt", &bundle, 0o644)?;
        // From which update-ca-certificates makes the same bundle again.
        let shared = self.at("/usr/share/ca-certificates");
        let names = self.certificates.iter().filter_map(|path| path.strip_prefix(&shared).ok());
        let names: String = names.map(|name| format!("{}\n", name.display())).collect();
        self.write("/etc/ca-certificates.conf", &names, 0o644)?;
        // The system's own accounts are the same on every Debian; base-passwd brings their list.
        let masters =
            |name: &str| fs::read_to_string(format!("/usr/share/base-passwd/{name}.master")).unwrap_or_default();
        let mut users = masters("passwd").replace(":*:", ":x:");
        if users.is_empty() {
            users =
                "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".into();
        }
        let mut groups = masters("group").replace(":*:", ":x:");
        if groups.is_empty() {
            groups = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n".into();
        }
        users += "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nec2-user:x:1000:1000:EC2 Default User:/home/ec2-user:/bin/bash\n";
        groups += "ec2-user:x:1000:\nwheel:x:10000:ec2-user\n";
        let shadow: String = users
            .lines()
            .filter_map(|line| line.split(':').next())
            .map(|name| format!("{name}:*:19000:0:99999:7:::\n"))
            .collect();
        self.write("/etc/passwd", &users, 0o644)?;
        self.write("/etc/group", &groups, 0o644)?;
        self.write("/etc/shadow", &shadow, 0o640)?;
        self.write(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
            0o644,
        )?;
        self.write("/etc/hosts", "127.0.0.1 localhost\n", 0o644)?;
        self.write("/etc/fstab", "", 0o644)?;
        self.write("/etc/resolv.conf", "nameserver 169.254.169.253\n", 0o644)?;
        self.write("/etc/environment", "", 0o644)?;
        self.write("/etc/sudoers.d/90-cloud-init-users", "ec2-user ALL=(ALL) NOPASSWD:ALL\n", 0o440)?;
        // Where the machine's own was changed, or can't be read.
        if self.at("/usr/bin/sudo").exists() && !self.at("/etc/sudoers").exists() {
            let text = "Defaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
                root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n";
            self.write("/etc/sudoers", text, 0o440)?;
        }
        // What pam-auth-update makes of the module that every system has.
        for (kind, module) in [
            (
                "auth",
                "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            ),
            ("account", "account required pam_unix.so\n"),
            ("password", "password required pam_unix.so obscure yescrypt\n"),
            ("session", "session required pam_unix.so\n"),
            ("session-noninteractive", "session required pam_unix.so\n"),
        ] {
            self.write(&format!("/etc/pam.d/common-{kind}"), module, 0o644)?;
        }
        self.directory("/etc/systemd/system/multi-user.target.wants", 0o755)?;
        self.sshd()?;
        self.directory("/home/ec2-user", 0o755)?;
        chown(self.at("/home/ec2-user"), Some(1000), Some(1000)).act("give away", "/home/ec2-user")?;
        for home in ["/root", "/home/ec2-user"] {
            self.write(&format!("{home}/.bashrc"), "PS1='[\\u@\\h \\W]\\$ '\n", 0o644)?;
            self.write(&format!("{home}/.profile"), "[ -f ~/.bashrc ] && . ~/.bashrc\n", 0o644)?;
        }
        self.alternatives(&database.join("alternatives"))?;
        self.triggers(&database.join("triggers"), chosen)?;
        self.write("/usr/lib/zonal/guest", "", 0o755)?;
        for name in guest::NAMES {
            // In both places: packages' scripts call them by their full paths.
            for directory in ["/usr/bin", "/usr/sbin"] {
                let at = self.at(directory).join(name);
                let _ = fs::remove_file(&at);
                symlink("/usr/lib/zonal/guest", &at).act("link", name)?;
            }
        }
        self.write("/usr/lib/zonal/dnf", DNF, 0o755)?;
        for name in ["dnf", "yum", "amazon-linux-extras"] {
            symlink("/usr/lib/zonal/dnf", self.at("/usr/bin").join(name)).act("link", name)?;
        }
        self.helpers()?;
        let status = Command::new("ldconfig").env("PATH", PROGRAMS).arg("-r").arg(&self.root).status();
        match status.act("run", "ldconfig")? {
            status if status.success() => Ok(()),
            status => Err(Error::Refused(format!("ldconfig ended with {status}"))),
        }
    }
}

impl Tree<'_> {
    /// What installing sshd makes beside what its package brings: its settings, and that it is enabled.
    fn sshd(&self) -> Result<()> {
        let (ours, unit) = (self.at("/usr/share/openssh/sshd_config"), "/lib/systemd/system/ssh.service");
        if !self.at("/usr/sbin/sshd").exists() || !ours.exists() {
            return Ok(());
        }
        let settings = fs::read_to_string(&ours).act("read", ours.display())?;
        self.write("/etc/ssh/sshd_config", &settings, 0o644)?;
        for name in ["sshd.service", "multi-user.target.wants/ssh.service"] {
            symlink(unit, self.at("/etc/systemd/system").join(name)).act("link", name)?;
        }
        Ok(())
    }
}

/// Copies a file with owner, mode and time.
fn copy_file(from: &Path, to: &Path, owner: (u32, u32)) -> Result<()> {
    let mut source = File::open(from).act("open", from.display())?;
    let found = source.metadata().act("look at", from.display())?;
    let mut copy = File::create(to).act("create", to.display())?;
    std::io::copy(&mut source, &mut copy).act("copy", from.display())?;
    if owner != (0, 0) {
        chown(to, Some(owner.0), Some(owner.1)).act("give away", to.display())?;
    }
    copy.set_permissions(Permissions::from_mode(found.mode() & 0o7777)).act("set mode of", to.display())?;
    let times = fs::FileTimes::new().set_modified(found.modified().act("look at", from.display())?);
    copy.set_times(times).act("set time of", to.display())
}

/// Takes along what Python made of a source file, if it says that it was made of this very one.
fn copy_compiled(from: &Path, to: &Path, source: &fs::Metadata) -> Result<()> {
    let (Some(stem), Some(directory), Some(target)) = (from.file_stem(), from.parent(), to.parent()) else {
        return Ok(());
    };
    let Ok(entries) = fs::read_dir(directory.join("__pycache__")) else { return Ok(()) };
    let prefix = format!("{}.cpython-", stem.to_string_lossy());
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let mut header = [0; 16];
        let fits = File::open(entry.path()).and_then(|mut file| file.read_exact(&mut header)).is_ok()
            && header[8..12] == (source.mtime() as u32).to_le_bytes()
            && header[12..16] == (source.size() as u32).to_le_bytes();
        if fits {
            let cache = target.join("__pycache__");
            fs::create_dir_all(&cache).act("make", cache.display())?;
            copy_file(&entry.path(), &cache.join(&name), (0, 0))?;
        }
    }
    Ok(())
}
