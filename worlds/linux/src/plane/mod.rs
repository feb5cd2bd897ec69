//! The plane: the unprivileged process that carries traffic. It takes up duties told by the daemon, gets its sockets from the warden, and
//! goes on when the daemon is dead; what it was told last is on disk, so that it goes on after a restart of its own too.

mod carry;
mod checker;
mod confine;
mod datagrams;
mod door;
mod duties;
mod egress;
mod far;
mod flows;
mod kept;
mod packages;
mod posts;
pub(crate) mod protocol;
mod reports;
mod services;
mod shares;
mod stock;
#[cfg(test)]
pub(crate) mod testing;
mod told;

pub use confine::is_possible;

use crate::error::{Act, Result};
use crate::warden::link::Link;
use crate::world::Config;
use reports::Reports;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use told::{Told, converse};

/// Runs the plane of a world until it is killed. As the world's owner; no privilege is needed.
///
/// # Errors
/// When its socket can't be had, or the machine has no threads left.
pub fn main(config: &Config) -> Result<()> {
    confine::enter(config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .act("start", "the plane's threads")?;
    runtime.block_on(run(config))
}

async fn run(config: &Config) -> Result<()> {
    let socket = config.plane_socket();
    let _ = fs::remove_file(&socket);
    let link = Arc::new(Link::new(&config.warden_socket(), Duration::from_secs(30)));
    let reports = Reports::new();
    let told = Arc::new(Told::start(config, link, reports.clone())?);
    let stocks = told.stocks();
    let answering = egress::Answering {
        services: services::Services::open(config)?,
        packages: packages::Packages::new(&config.plane_directory().join("packages")),
    };
    egress::start(Arc::clone(&stocks), answering);
    datagrams::start(stocks);
    let listener = UnixListener::bind(&socket).act("listen on", socket.display())?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).act("set mode of", socket.display())?;
    crate::footprint::let_go_when_settled();
    loop {
        let (stream, _) = listener.accept().await.act("accept on", socket.display())?;
        let allowed = stream.peer_cred().is_ok_and(|who| who.uid() == 0 || who.uid() == config.owner.0);
        if allowed {
            tokio::spawn(converse(stream, Arc::clone(&told), reports.subscribe()));
        }
    }
}

/// As many sockets as cores share the queries to one address, up to what a machine's DNS could ever need.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}
