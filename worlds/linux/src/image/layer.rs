//! The layer between the base image and all that is built on it: what is this world's own. The base may be shared by several worlds; its
//! certificate authority may not.

use crate::error::{Act, Result};
use crate::network::OWN_DOMAIN;
use crate::sandbox::disk::BASE;
use crate::trust;
use crate::world::Config;
use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown};
use std::path::Path;

/// Where the machine-wide bundle of trusted certificates is.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// What tells programs that bring their own trust along to use the machine's: for those who log in.
const ENVIRONMENT: &str = "AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt\n\
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt\nNODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n";

/// How apt is set up inside. What it fetches was checked by the machine's own apt; it is not sent through a proxy.
const APT: &str = "Acquire::Languages \"none\";\nAcquire::http::Proxy \"false\";\nAcquire::http::Timeout \"120\";\n\
    Acquire::Check-Valid-Until \"false\";\nDPkg::Lock::Timeout \"300\";\n";
/// How dpkg is: a disk that is lost with the machine's power needs no flush per file; what was changed by user data stays.
const DPKG: &str = "force-unsafe-io\nforce-confdef\nforce-confold\n";

/// Makes the layer, or brings it up to date. A file that is as it should be is not touched: sandboxes may be standing on it.
pub(crate) fn make_layer(config: &Config) -> Result<()> {
    let layer = config.layer();
    let base = config.image(BASE).join("root");
    let authority = trust::certificate(config);
    let authority = fs::read_to_string(&authority).act("read", authority.display())?;
    let bundle = fs::read_to_string(base.join(BUNDLE)).unwrap_or_default();
    // In the bundle, by its hash in the directory, and where update-ca-certificates takes it from again.
    put(&layer.join(BUNDLE), &format!("{bundle}{authority}"))?;
    put(&layer.join("etc/ssl/certs").join(trust::HASHED_NAME), &authority)?;
    put(&layer.join("usr/local/share/ca-certificates/zonal.crt"), &authority)?;
    put(&layer.join("etc/environment"), ENVIRONMENT)?;
    put(&layer.join("etc/apt/sources.list"), &format!("deb [trusted=yes] http://packages.{OWN_DOMAIN}/ ./\n"))?;
    put(&layer.join("etc/apt/apt.conf.d/99zonal"), APT)?;
    put(&layer.join("etc/dpkg/dpkg.cfg.d/zonal"), DPKG)?;
    // All of it is root's inside; where owners are mapped, root's outside is.
    if config.image_root() == 0 { Ok(()) } else { give(&layer, config.image_root()) }
}

/// Gives a tree away.
fn give(path: &Path, root: u32) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).act("read", path.display())? {
            give(&entry.act("read", path.display())?.path(), root)?;
        }
    }
    lchown(path, Some(root), Some(root)).act("give away", path.display())
}

fn put(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        // What of them the base has too looks like these inside, whatever this process's mask is.
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).act("make", parent.display())?;
    }
    let pending = path.with_extension("new");
    fs::write(&pending, text).act("write", pending.display())?;
    fs::set_permissions(&pending, Permissions::from_mode(0o644)).act("set mode of", pending.display())?;
    fs::rename(&pending, path).act("rename", path.display())
}
