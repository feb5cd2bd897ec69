//! Health checks from outside, each a task: it connects, asks, and says when what it knows has changed.
//!
//! Whose health is checked says who made the check, and what comes of it is told to them: so where a check may lead, and by which
//! way, is for the owner of the plane to say ([`Way`]), of every address, wherever it came from, just before it is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::ZoneStore;
use crate::config::{Check, PUBLIC, Probe, Tls};
use crate::probe::{self, ANSWER_TIMEOUT, Outcome, Streak};

/// No timeout is shorter, however fast the world's clock runs.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a check gets that leads nowhere, or whose endpoint does not answer.
const TIMED_OUT: &str = "Connection timed out. The endpoint or the internet connection is down, or requests are being blocked by your firewall";

/// A connection on its way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// How health checks reach their endpoints.
pub trait Way: Send + Sync {
    /// Whether it leads to an address. Of IPv6, no address is shown that stands for one of IPv4: those are shown as that.
    fn leads_to(&self, address: IpAddr) -> bool;

    /// Connects to an address that it leads to.
    fn connect(&self, address: SocketAddr) -> Connecting;
}

/// What a health check knows, when that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The health check.
    pub id: String,
    /// Whether its endpoint counts as healthy; nothing while there is too little to say.
    pub healthy: Option<bool>,
    /// The address that was connected to.
    pub address: Option<IpAddr>,
    /// What came of the last connection.
    pub outcome: String,
}

/// A health check that runs until this is dropped.
#[derive(Debug)]
pub struct Prober {
    task: JoinHandle<()>,
    last: Arc<Mutex<Option<Probed>>>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Starts probing on the current tokio runtime. Names are looked up in the public view of `zones`, then as the host does; the
    /// world's clock runs `speed` times as fast as real time.
    pub fn start(
        zones: &Arc<ZoneStore>,
        probe: Probe,
        mut speed: watch::Receiver<u32>,
        way: Arc<dyn Way>,
        tell: impl Fn(Probed) + Send + 'static,
    ) -> Prober {
        let zones = Arc::clone(zones);
        let last = Arc::new(Mutex::new(None));
        let told = Arc::clone(&last);
        let task = tokio::spawn(async move {
            let mut streak = Streak::default();
            for draw in 0.. {
                let now = (*speed.borrow_and_update()).max(1);
                let (address, outcome) = once(&zones, &probe, draw, now, &*way).await;
                let healthy = streak.note(outcome.is_success(), probe.threshold);
                let probed = Probed { id: probe.id.clone(), healthy, address, outcome: outcome.to_string() };
                let before = told.lock().unwrap_or_else(PoisonError::into_inner).replace(probed.clone());
                if before.as_ref() != Some(&probed) {
                    tell(probed);
                }
                let interval = Duration::from_secs(probe.interval.max(1).into()) / now;
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    // Another speed: what was left of the interval has another length.
                    Ok(()) = speed.changed() => {}
                }
            }
        });
        Prober { task, last }
    }

    /// What it knows; nothing before its first connection has come to something.
    pub fn last(&self) -> Option<Probed> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection.
async fn once(zones: &ZoneStore, probe: &Probe, draw: u64, speed: u32, way: &dyn Way) -> (Option<IpAddr>, Outcome) {
    let failure = |text: &str| Outcome::Failure(text.to_owned());
    let Some(address) = resolve(zones, probe, draw).await else {
        return (None, failure("The name could not be resolved"));
    };
    let ip = Some(address.ip());
    if !way.leads_to(address.ip()) {
        // As from the internet: what is sent there comes back from nowhere, and nothing is learned of what is there.
        return (ip, failure(TIMED_OUT));
    }
    let limit = |of: Duration| (of / speed).max(SHORTEST);
    let connected = timeout(limit(probe::connect_timeout(&probe.check)), connect(address, &probe.check, way)).await;
    let stream = match connected {
        Err(_) => return (ip, failure(TIMED_OUT)),
        Ok(Err(outcome)) => return (ip, outcome),
        Ok(Ok(stream)) => stream,
    };
    let outcome = judged(stream, probe, limit(ANSWER_TIMEOUT)).await;
    (ip, outcome.unwrap_or_else(|_| failure("The endpoint did not answer within the time allowed")))
}

/// What a request is sent over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection, encrypted where the check says so.
async fn connect(address: SocketAddr, check: &Check, way: &dyn Way) -> Result<Box<dyn Stream>, Outcome> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Outcome::Failure(format!("{what}: {error}"));
    let stream = way.connect(address).await.map_err(|error| failed("The connection failed", &error))?;
    let Check::Http { tls: Some(Tls { server_name }), .. } = check else { return Ok(Box::new(stream)) };
    let handshake = async {
        let mut config: ClientConfig = zonal_unverified::client(&[]).map_err(std::io::Error::other)?;
        let name = server_name.clone().and_then(|name| ServerName::try_from(name).ok());
        config.enable_sni = name.is_some();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let stream = handshake.await.map_err(|error: std::io::Error| failed("SSL/TLS handshake error", &error))?;
    Ok(Box::new(stream))
}

/// Asks over a connection, and says what came of it. The status and, from there on, the body have that time each.
async fn judged(mut stream: Box<dyn Stream>, probe: &Probe, limit: Duration) -> Result<Outcome, Elapsed> {
    let mut until = Instant::now() + limit;
    if let Some(request) = probe::request(probe) {
        let sent = async {
            stream.write_all(&request).await?;
            stream.flush().await
        };
        if let Err(error) = timeout_at(until, sent).await? {
            return Ok(Outcome::Failure(format!("The request failed: {error}")));
        }
    }
    let mut answer = Vec::new();
    let (mut has_status, mut ended) = (false, false);
    loop {
        if let Some(outcome) = probe::judge(&probe.check, &answer, ended) {
            return Ok(outcome);
        }
        if !has_status && probe::has_status(&answer) {
            (has_status, until) = (true, Instant::now() + limit);
        }
        // A connection that breaks has said all that it will.
        ended = !matches!(timeout_at(until, stream.read_buf(&mut answer)).await?, Ok(1..));
    }
}

/// Where the endpoint is. A name leads to addresses of IPv4 only (Route 53 API reference, `HealthCheckConfig`).
async fn resolve(zones: &ZoneStore, probe: &Probe, draw: u64) -> Option<SocketAddr> {
    let address = match probe.host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_) => {
            let here = zones.snapshot().addresses(PUBLIC, &probe.host, draw).into_iter().find(IpAddr::is_ipv4);
            match here {
                Some(address) => address,
                None => {
                    let found = tokio::net::lookup_host((probe.host.as_str(), probe.port)).await.ok()?;
                    found.map(|found| found.ip().to_canonical()).find(IpAddr::is_ipv4)?
                }
            }
        }
    };
    Some((address, probe.port).into())
}
