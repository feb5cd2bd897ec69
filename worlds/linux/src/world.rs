//! What a Linux world is made of on disk and in the kernel: its configuration, its paths and names.

use crate::error::{Act, Error, Result};
use crate::privilege::{Ids, Privilege};
use crate::sandbox::IDS;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// How a world is set up. Chosen by who starts it; kept in its directory for the processes that it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The world's own directory, absolute. All that the world keeps is in here: disks, images, sockets.
    pub directory: PathBuf,
    /// Where the base image is, or is made. In the world's own directory unless several worlds share one; then nobody removes it.
    pub base: PathBuf,
    /// The range of public addresses, inside 127.64.0.0/10: `127.100.0.0/16` unless several worlds live side by side. Its first
    /// address is the host as instances see it.
    pub public: Ipv4Net,
    /// Whom the daemon and the plane run as: user and group id. Only this user, and root, may ask the warden.
    pub owner: (u32, u32),
    /// Whose rights it is run with.
    #[serde(default)]
    pub privilege: Privilege,
    /// Which ids its sandboxes have. Settled at its first start, and kept: its disks and images belong to them.
    #[serde(default)]
    pub ids: Ids,
    /// The control group below which an ordinary user may make some; root has the machine's own.
    #[serde(default)]
    pub lent_group: Option<PathBuf>,
    /// The share of a core that a vCPU is.
    pub vcpu_share: f64,
    /// How many times faster than real time health checks and idle timeouts run.
    pub speed: f64,
    /// The port on 127.0.0.1 where the world's public names are answered.
    pub dns_port: u16,
}

impl Config {
    /// The usual world in a directory.
    #[must_use]
    pub fn new(directory: PathBuf, owner: (u32, u32)) -> Self {
        let public = crate::network::namespace::net(Ipv4Addr::new(127, 100, 0, 0), 16);
        let base = directory.join("images").join(crate::sandbox::disk::BASE);
        Self {
            directory,
            base,
            public,
            owner,
            privilege: Privilege::own(),
            ids: Ids::Own,
            lent_group: None,
            vcpu_share: 0.1,
            speed: 1.0,
            dns_port: 4553,
        }
    }

    /// The host's own address in the public range.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.public.network()) | 1)
    }

    /// The first port that the world can listen on, on the host's side. Those below it are reached by name, and from inside.
    #[must_use]
    pub fn first_port(&self) -> u16 {
        match self.privilege {
            Privilege::Root => 1,
            Privilege::User => {
                let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
                text.ok().and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(1024).max(1)
            }
        }
    }

    /// What is less in this world than where root runs it, a line each, for people. `port` is the API's.
    #[must_use]
    pub fn lacks(&self, port: u16) -> Vec<String> {
        let mut lacks = Vec::new();
        let lent = self.lent_group.as_ref().map(|group| group.join("cgroup.controllers"));
        let controllers = lent.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let limited = ["cpu", "memory"].into_iter().all(|name| controllers.split_whitespace().any(|word| word == name));
        if self.privilege == Privilege::User && !limited {
            lacks.push(
                "instances run without limits of processor, memory and processes: no control group was lent that has them"
                    .to_owned(),
            );
        }
        let unlimited = match self.privilege {
            Privilege::User => Some("loop devices are root's".to_owned()),
            Privilege::Root => std::fs::read_to_string(self.unlimited_disks()).ok(),
        };
        if let Some(why) = unlimited {
            lacks.push(format!(
                "disks of instances have no size of their own, the machine's disk is their limit: {why}"
            ));
        }
        let first = self.first_port();
        if first > 80 {
            lacks.push(format!(
                "public addresses have no ports below {first} on the host: pages open by name at http://NAME.localhost:{port}"
            ));
        }
        lacks
    }

    /// The warden's socket.
    #[must_use]
    pub fn warden_socket(&self) -> PathBuf {
        self.directory.join("warden.sock")
    }

    /// The plane's socket.
    #[must_use]
    pub fn plane_socket(&self) -> PathBuf {
        self.plane_directory().join("plane.sock")
    }

    /// Where the daemon hears what instances ask of AWS's services, as the plane passes it on.
    #[must_use]
    pub fn services_socket(&self) -> PathBuf {
        self.directory.join("daemon").join("services.sock")
    }

    /// The layer over the base image with what is this world's own: its certificate authority, where packages come from.
    pub(crate) fn layer(&self) -> PathBuf {
        self.directory.join("layer")
    }

    /// Where the plane keeps what it was told last.
    pub(crate) fn plane_directory(&self) -> PathBuf {
        self.directory.join("plane")
    }

    /// A private file system in the holder's mount namespace: all that ends with the kernel's own objects.
    pub(crate) fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Where the network namespaces of routers are pinned, and the one between them.
    pub(crate) fn namespaces(&self) -> PathBuf {
        self.run().join("net")
    }

    /// Where those of interfaces are: apart, so that no interface's name leads to a router.
    pub(crate) fn interfaces(&self) -> PathBuf {
        self.run().join("interfaces")
    }

    /// The facts of the routers that stand.
    pub(crate) fn facts(&self) -> PathBuf {
        self.run().join("facts")
    }

    /// What sandboxes are shown of their processors and memory.
    pub(crate) fn machines(&self) -> PathBuf {
        self.run().join("machines")
    }

    /// Where sandboxes put their file systems together.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.run().join("mnt")
    }

    /// The holder's socket.
    pub(crate) fn holder_socket(&self) -> PathBuf {
        self.run().join("holder.sock")
    }

    /// A sandbox's disk and records.
    pub(crate) fn disk(&self, sandbox: &str) -> PathBuf {
        self.directory.join("disks").join(sandbox)
    }

    /// Where disks with file systems of their own are mounted.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.run().join("disks")
    }

    /// Where a sandbox's is.
    pub(crate) fn volume(&self, sandbox: &str) -> PathBuf {
        self.volumes().join(sandbox)
    }

    /// Where the layer is that a sandbox writes to: on a file system of its own, or on the world's.
    pub(crate) fn upper(&self, sandbox: &str, sized: bool) -> PathBuf {
        if sized { self.volume(sandbox) } else { self.disk(sandbox) }
    }

    /// What new disks of a size, in GiB, are copies of.
    pub(crate) fn template(&self, gib: u32) -> PathBuf {
        self.directory.join("disks").join(format!(".template-{gib}"))
    }

    /// The numbers of the loop devices that the world has had.
    pub(crate) fn loops(&self) -> PathBuf {
        self.directory.join("loops")
    }

    /// Why disks have no size of their own, where they don't.
    pub(crate) fn unlimited_disks(&self) -> PathBuf {
        self.directory.join("disks-without-size")
    }

    /// An image.
    pub(crate) fn image(&self, id: &str) -> PathBuf {
        match (id == crate::sandbox::disk::BASE, self.ids) {
            (false, _) => self.directory.join("images").join(id),
            (true, Ids::Own) => self.base.clone(),
            // Several worlds may share a base whose ids they map, and another whose ids they don't.
            (true, Ids::Shared) => self.base.with_file_name(crate::sandbox::disk::SHARED_BASE),
        }
    }

    /// The id, as the warden sees it, that is root in the sandbox with this range.
    pub(crate) fn root_id(&self, slot: u32) -> u32 {
        self.privilege.first_id() + slot * IDS
    }

    /// The id that is root's in images.
    pub(crate) fn image_root(&self) -> u32 {
        match self.ids {
            Ids::Own => 0,
            Ids::Shared => self.root_id(0),
        }
    }

    /// The name of this world's control groups: one world per directory.
    #[must_use]
    pub fn cgroup(&self) -> String {
        let name = crate::network::model::device(&self.directory.to_string_lossy());
        format!("zonal-{}", &name[1..])
    }

    /// Reads the configuration that a world was made with.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("config.json");
        let bytes = std::fs::read(&path).act("read", path.display())?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Refused(format!("{}: {e}", path.display())))
    }
}

/// Checks an id: what the control plane names things by becomes file and object names here, so nothing else passes.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let fine = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !id.starts_with('-')
        && id != crate::network::INET;
    if fine { Ok(()) } else { Err(Error::Refused(format!("{id:?} is no id"))) }
}
