//! The real world: namespaces, overlayfs, control groups, nftables. Implements [`zonal_substrate::World`] on Linux.
//!
//! # How to use it
//! ```text
//! // In `main`, before there is a second thread:
//! if init::guest::NAMES.contains(&argv0_basename) { return init::guest::main(argv0_basename, &args) }   // inside sandboxes
//! if supervise::SUBCOMMANDS.contains(&args[1])    { return supervise::run(args[1], Path::new(args[2])) } // warden | holder | plane
//!
//! // `zonal up`, as root or as a user with subordinate ids:
//! let config = Config::new(directory, (uid, gid));       // absolute; the world's own, made if need be
//! let processes = supervise::Processes::start(&config)?; // warden, holder, plane; base image at the first time
//! //  … processes.keep()? now and then, to start again what died
//!
//! // The daemon, as `config.owner`:
//! let config = Config::load(directory)?;
//! let world = LinuxWorld::connect(config, clock, Box::new(|report| …))?;
//! world.ask(asks); world.inventory(); world.console("i-…"); world.shell("i-…", fds)?;
//!
//! // `zonal down` and `zonal down --purge`, as whoever started it, whatever was killed before:
//! supervise::down(&config)?;   supervise::purge(&config)?;
//! ```
//!
//! # The processes
//! - [`warden`]: root, or root of an ordinary user's namespace ([`Privilege`]); makes networks and sandboxes and hands over sockets, asked over `warden.sock`.
//! - [`holder`]: likewise; pins what must outlive the others: namespaces, PID 1s, console logs. Never spoken to but by the warden.
//! - [`plane`]: the owner; balancers, names, metadata, and the way in and out. Told over `plane/plane.sock`.
//! - [`init`]: PID 1 of each sandbox, and the commands that those inside know a booted system by.

#![cfg(target_os = "linux")]

mod client;
mod error;
pub mod files;
pub mod footprint;
mod frame;
pub mod holder;
mod image;
pub mod init;
mod loops;
mod network;
pub mod plane;
mod privilege;
mod sandbox;
pub mod supervise;
mod sys;
mod trust;
pub mod warden;
mod world;

pub use client::{Internet, LinuxWorld, Listener, RealTime, WorldClock, shell};
pub use error::{Error, Result};
pub use privilege::{Ids, Privilege, keep_equals_out, subordinate_ids};
pub use sandbox::cgroup::lent_group;
pub use world::Config;
