//! The plane: the unprivileged process that carries traffic. It takes up duties told by the daemon, gets its sockets from the warden, and
//! goes on when the daemon is dead; what it was told last is on disk, so that it goes on after a restart of its own too.

mod checker;
mod datagrams;
mod door;
mod duties;
mod egress;
mod far;
mod packages;
pub(crate) mod protocol;
mod services;
mod stock;

use crate::error::{Act, Error, Result};
use crate::warden::link::Link;
use crate::world::Config;
use duties::Duties;
use protocol::{Hear, Tell};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, broadcast};

/// How often balancers' counts are told.
const METRICS_EVERY: Duration = Duration::from_millis(500);
/// How often is tried again what could not be taken up.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// The longest message.
const LONGEST: usize = 64 << 20;

/// Runs the plane of a world until it is killed. As the world's owner; no privilege is needed.
///
/// # Errors
/// When its socket can't be had, or the machine has no threads left.
pub fn main(config: &Config) -> Result<()> {
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
    // Its places are made at once: they hold pointers.
    let (reports, _) = broadcast::channel(4096);
    let kept = config.plane_directory().join("duties.json");
    let mut duties = Duties::start(config, link, reports.clone())?;
    duties.all(read(&kept)).await;
    let answering = egress::Answering {
        services: services::Services::open(config)?,
        packages: packages::Packages::new(&config.plane_directory().join("packages")),
    };
    egress::start(duties.stocks(), answering);
    datagrams::start(duties.stocks());
    let duties = Arc::new(Mutex::new(duties));
    let retried = Arc::clone(&duties);
    let mut failures = reports.subscribe();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(RETRY_EVERY).await;
            let mut duties = retried.lock().await;
            while let Ok(heard) = failures.try_recv() {
                if let Hear::Failed { key, .. } = &*heard {
                    duties.has_failed(key);
                }
            }
            duties.again().await;
        }
    });
    let metrics = Arc::clone(&duties);
    let counted = reports.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(METRICS_EVERY).await;
            // Counts are kept until somebody hears them: one who always does is the retrying above.
            if counted.receiver_count() > 1 {
                let reports = metrics.lock().await.metrics();
                if !reports.is_empty() {
                    let _ = counted.send(Arc::new(Hear::Metrics(reports)));
                }
            }
        }
    });
    let listener = UnixListener::bind(&socket).act("listen on", socket.display())?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).act("set mode of", socket.display())?;
    crate::footprint::let_go_when_settled();
    loop {
        let (stream, _) = listener.accept().await.act("accept on", socket.display())?;
        let allowed = stream.peer_cred().is_ok_and(|who| who.uid() == 0 || who.uid() == config.owner.0);
        if allowed {
            tokio::spawn(converse(stream, Arc::clone(&duties), reports.subscribe(), kept.clone()));
        }
    }
}

/// Serves one daemon for as long as it stays.
async fn converse(
    stream: UnixStream,
    duties: Arc<Mutex<Duties>>,
    mut reports: broadcast::Receiver<Arc<Hear>>,
    kept: std::path::PathBuf,
) {
    let (mut reading, mut writing) = stream.into_split();
    let telling = tokio::spawn(async move {
        loop {
            match reports.recv().await {
                Ok(report) => {
                    let Ok(body) = serde_json::to_vec(&*report) else { continue };
                    let mut whole = (body.len() as u32).to_be_bytes().to_vec();
                    whole.extend(body);
                    if writing.write_all(&whole).await.is_err() {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    while let Some(tell) = hear(&mut reading).await {
        let mut duties = duties.lock().await;
        match tell {
            Tell::All(all) => duties.all(all).await,
            Tell::Put(key, duty) => duties.put(key, *duty).await,
            Tell::Drop(key) => duties.drop_one(&key),
        }
        if let Err(error) = write(&kept, &duties.told()) {
            tracing::warn!(%error, "what was told is not on disk");
        }
    }
    telling.abort();
}

async fn hear(stream: &mut tokio::net::unix::OwnedReadHalf) -> Option<Tell> {
    let length = stream.read_u32().await.ok()? as usize;
    if length > LONGEST {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn read(path: &Path) -> Vec<(String, protocol::Duty)> {
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write(path: &Path, duties: &[(&String, &protocol::Duty)]) -> Result<()> {
    let bytes = serde_json::to_vec(duties).map_err(|e| Error::Refused(e.to_string()))?;
    let pending = path.with_extension("new");
    fs::write(&pending, bytes).act("write", pending.display())?;
    // Listeners' private keys are in it.
    fs::set_permissions(&pending, Permissions::from_mode(0o600)).act("set mode of", pending.display())?;
    fs::rename(&pending, path).act("rename", path.display())
}
