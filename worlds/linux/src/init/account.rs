//! Whom users log in as: the default user of the image, with the public half of the instance's key pair, as cloud-init leaves it.

use crate::sandbox::Spec;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// The base image's own.
const BASE: &str = "ec2-user";
/// Where it is written which one it is, so that an image made of this instance says so again.
const SETTINGS: &str = "/etc/cloud/cloud.cfg.d/10_default_user.cfg";

/// The default user of a kind of image, as AWS's user guide lists them; `None` for one that a user made.
fn named(kind: &str) -> Option<&'static str> {
    [("debian", "admin"), ("ubuntu", "ubuntu"), ("al2", BASE), ("amzn", BASE), ("amazon", BASE)]
        .into_iter()
        .find_map(|(start, name)| kind.starts_with(start).then_some(name))
}

/// At an instance's first boot: its default user, their keys, and no key of another host.
pub(super) fn prepare(spec: &Spec) -> io::Result<()> {
    let name = match named(&spec.sandbox.image_kind) {
        Some(name) => name.to_owned(),
        None => kept().unwrap_or_else(|| BASE.to_owned()),
    };
    if name != BASE && !Path::new("/home").join(&name).exists() {
        rename(&name)?;
    }
    if name != BASE {
        fs::create_dir_all("/etc/cloud/cloud.cfg.d")?;
        fs::write(SETTINGS, format!("system_info:\n  default_user:\n    name: {name}\n"))?;
    }
    for entry in fs::read_dir("/etc/ssh").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            // Of the instance that the image was made of.
            fs::remove_file(entry.path())?;
        }
    }
    let keys = &spec.sandbox.authorized_keys;
    if !keys.is_empty() {
        authorize(Path::new("/home").join(&name).as_path(), keys, "")?;
        // Root logs in to be told who may.
        let told = format!("Please login as the user \\\"{name}\\\" rather than the user \\\"root\\\".");
        let instead = format!(
            "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo '{told}';echo;sleep 10;exit 142\" "
        );
        authorize(Path::new("/root"), keys, &instead)?;
    }
    Ok(())
}

/// The default user that the instance had which this one's image was made of.
fn kept() -> Option<String> {
    let text = super::spawn::read_small(Path::new(SETTINGS), 1 << 16).ok()?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("name: "))?.trim().to_owned();
    let fine = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    fine.then_some(name)
}

/// Gives the base image's default user another name.
fn rename(name: &str) -> io::Result<()> {
    for path in ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/sudoers.d/90-cloud-init-users"] {
        let text = fs::read_to_string(path)?;
        fs::write(path, text.replace(BASE, name))?;
    }
    let (old, new) = (Path::new("/home").join(BASE), Path::new("/home").join(name));
    let owner = fs::metadata(&old)?;
    // Not renamed: a directory of the image can't be moved, only copied.
    fs::create_dir(&new)?;
    give(&new, &owner, owner.mode() & 0o7777)?;
    for entry in fs::read_dir(&old)?.flatten() {
        if entry.file_type()?.is_file() {
            let to = new.join(entry.file_name());
            fs::copy(entry.path(), &to)?;
            chown(&to, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    fs::remove_dir_all(old)
}

fn give(path: &Path, owner: &fs::Metadata, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    chown(path, Some(owner.uid()), Some(owner.gid()))
}

/// Adds keys to those that may log in to a home.
fn authorize(home: &Path, keys: &[String], options: &str) -> io::Result<()> {
    let owner = fs::metadata(home)?;
    let directory = home.join(".ssh");
    let file = directory.join("authorized_keys");
    fs::create_dir_all(&directory)?;
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for key in keys {
        let line = format!("{options}{key}");
        if !text.lines().any(|found| found == line) {
            text += &line;
            text.push('\n');
        }
    }
    fs::write(&file, text)?;
    give(&directory, &owner, 0o700)?;
    give(&file, &owner, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_image_has_the_default_user_that_aws_lists() {
        let kinds = ["al2023", "amzn2", "debian-12", "ubuntu-22.04", "custom"];
        assert_eq!(kinds.map(named), [Some("ec2-user"), Some("ec2-user"), Some("admin"), Some("ubuntu"), None]);
    }
}
