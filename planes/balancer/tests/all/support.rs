//! Targets that do as they are told and remember every byte, clients that send what they like, and
//! a balancer between them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use zonal_balancer::Balancer;
use zonal_balancer::config::*;

use crate::sockets::TestSockets;

pub use crate::client::{Answer, Client};

/// No wait of a test is longer.
pub const DEADLINE: Duration = Duration::from_secs(10);
pub const ZONE: &str = "us-east-1a";
pub const INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a condition; fails with the last status.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match check() {
            Ok(value) => return value,
            Err(status) if Instant::now() > end => panic!("{what}: {status}"),
            Err(_) => std::thread::park_timeout(Duration::from_millis(2)),
        }
    }
}

/// A balancer and what it has reported.
pub struct World {
    pub balancer: Balancer,
    pub config: BalancerConfig,
    sockets: Arc<TestSockets>,
    reports: Mutex<(UnboundedReceiver<Report>, Vec<Report>)>,
}

impl World {
    /// Forwards to all of `targets`, and waits until they are healthy.
    pub fn with(targets: &[&Server]) -> Self {
        let world = Self::unsettled(targets, |_| {});
        for target in targets {
            world.wait_health(&target.id, HealthState::Healthy);
        }
        world
    }

    /// As `change` makes the configuration; waits for nothing but that it is applied.
    pub fn unsettled(targets: &[&Server], change: impl FnOnce(&mut BalancerConfig)) -> Self {
        Self::on_cores(2, targets, change)
    }

    pub fn on_cores(cores: usize, targets: &[&Server], change: impl FnOnce(&mut BalancerConfig)) -> Self {
        let sockets = Arc::new(TestSockets::default());
        let (balancer, reports) = Balancer::start(cores, sockets.clone(), 1.0).expect("threads can be started");
        let mut config = BalancerConfig {
            id: "lb".to_owned(),
            revision: 0,
            nodes: vec![Node { interface: "eni-a".to_owned(), zone: ZONE.to_owned(), address: Ipv4Addr::LOCALHOST }],
            listeners: vec![Listener {
                id: "listener".to_owned(),
                port: 80,
                tls: None,
                flow: None,
                default_action: Action::Forward(
                    vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }].into(),
                ),
                rules: Vec::new(),
                response_headers: ResponseHeaders::default(),
            }],
            target_groups: vec![group("group", targets)],
            idle_timeout: Duration::from_secs(60),
            http: HttpSettings::default(),
            cookie_secret: String::new(),
        };
        change(&mut config);
        let mut world = Self { balancer, config, sockets, reports: Mutex::new((reports, Vec::new())) };
        world.apply(|_| {});
        world
    }

    /// Changes the configuration and waits until it is in force.
    pub fn apply(&mut self, change: impl FnOnce(&mut BalancerConfig)) {
        change(&mut self.config);
        self.config.revision += 1;
        self.balancer.apply(self.config.clone()).expect("each revision is newer");
        let applied = Report::Applied { balancer: "lb".to_owned(), revision: self.config.revision };
        self.wait_report("the revision is applied", |report| (*report == applied).then_some(()));
    }

    /// Waits for the newest report of a target's health to say `state`.
    pub fn wait_health(&self, target: &str, state: HealthState) -> HealthReport {
        wait_for(&format!("{target} becomes {}", state.as_str()), || {
            let newest = self.health(target);
            newest.clone().filter(|report| report.health.state == state).ok_or(format!("{newest:?}"))
        })
    }

    pub fn health(&self, target: &str) -> Option<HealthReport> {
        self.reports().into_iter().rev().find_map(|report| match report {
            Report::Health(health) if health.target == target => Some(health),
            _ => None,
        })
    }

    pub fn wait_report<T>(&self, what: &str, pick: impl Fn(&Report) -> Option<T>) -> T {
        wait_for(what, || {
            let reports = self.reports();
            reports.iter().find_map(&pick).ok_or(format!("{reports:?}"))
        })
    }

    pub fn reports(&self) -> Vec<Report> {
        let mut reports = self.reports.lock().expect("no test thread panics with it");
        while let Ok(report) = reports.0.try_recv() {
            reports.1.push(report);
        }
        reports.1.clone()
    }

    /// Whether sockets can be had.
    pub fn break_sockets(&self, broken: bool) {
        self.sockets.broken.store(broken, SeqCst);
    }

    /// Whether whoever makes sockets to targets is away: nothing is refused, and nothing comes.
    pub fn hold_sockets(&self, held: bool) {
        self.sockets.slow.store(held, SeqCst);
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.sockets.port.load(SeqCst)).into()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str) -> Answer {
        self.client().get(path)
    }

    /// What was counted since the last call.
    pub fn metrics(&self) -> MetricsReport {
        self.balancer.metrics().into_iter().find(|report| report.balancer == "lb").expect("lb exists")
    }
}

/// A group of those targets, checked every 50 ms.
pub fn group(id: &str, targets: &[&Server]) -> TargetGroup {
    TargetGroup {
        id: id.to_owned(),
        name: id.to_owned(),
        protocol: TargetProtocol::default(),
        protocol_version: ProtocolVersion::default(),
        health_check: HealthCheck {
            protocol: CheckProtocol::Http { path: "/health".to_owned(), matcher: "200".to_owned() },
            port: None,
            interval: INTERVAL,
            timeout: Duration::from_millis(100),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        },
        targets: targets.iter().map(|target| target.config()).collect(),
        deregistration_delay: Duration::from_secs(300),
        cross_zone: true,
        flow: None,
        routing: GroupRouting::default(),
    }
}

/// What a target does with a request that is not a health check. It gets the whole request and the
/// connection, and says whether to read another.
type Behaviour = dyn Fn(&Request, &mut TcpStream) -> io::Result<bool> + Send + Sync;

/// A target on a port of its own.
pub struct Server {
    pub id: String,
    pub port: u16,
    pub state: Arc<TargetLog>,
}

/// What a target has seen.
#[derive(Default)]
pub struct TargetLog {
    pub healthy: AtomicBool,
    pub connections: AtomicUsize,
    /// Every byte of every connection that was not a health check's.
    pub bytes: Mutex<Vec<u8>>,
    pub requests: Mutex<Vec<Request>>,
}

/// A request as the target read it.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl Server {
    /// Answers everything with its id.
    pub fn plain(id: &str) -> Self {
        let body = id.to_owned();
        Self::start(id, move |_, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
            Ok(true)
        })
    }

    /// Writes these bytes to whatever is asked, and closes.
    pub fn saying(id: &str, answer: &'static [u8]) -> Self {
        Self::start(id, move |_, stream| {
            stream.write_all(answer)?;
            Ok(false)
        })
    }

    pub fn start(
        id: &str,
        behaviour: impl Fn(&Request, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(TargetLog { healthy: AtomicBool::new(true), ..TargetLog::default() });
        let (log, behaviour): (_, Arc<Behaviour>) = (state.clone(), Arc::new(behaviour));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, behaviour) = (log.clone(), behaviour.clone());
                // A connection's end, however it comes, is its thread's.
                std::thread::spawn(move || drop(serve(stream, &log, &*behaviour)));
            }
        });
        Self { id: id.to_owned(), port, state }
    }

    /// A target that speaks its own way.
    pub fn raw(id: &str, speak: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let speak = Arc::new(speak);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let speak = speak.clone();
                // A connection's end, however it comes, is its thread's.
                std::thread::spawn(move || drop(speak(stream)));
            }
        });
        Self { id: id.to_owned(), port, state: Arc::default() }
    }

    /// A target that is registered, but nobody listens there.
    pub fn absent(id: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        Self { id: id.to_owned(), port, state: Arc::default() }
    }

    pub fn config(&self) -> zonal_balancer::config::Target {
        zonal_balancer::config::Target {
            id: self.id.clone(),
            address: Ipv4Addr::LOCALHOST,
            port: self.port,
            zone: ZONE.to_owned(),
            state: TargetState::Active,
        }
    }

    pub fn set_healthy(&self, healthy: bool) {
        self.state.healthy.store(healthy, SeqCst);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("no holder panics").clone()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state.bytes.lock().expect("no holder panics").clone()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

fn serve(mut stream: TcpStream, log: &TargetLog, behaviour: &Behaviour) -> io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut counted) = (Vec::new(), false);
    loop {
        let head = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break String::from_utf8_lossy(&buffer[..at + 2]).into_owned();
            }
            if read_more(&mut stream, &mut buffer)? == 0 {
                return Ok(());
            }
        };
        if head.starts_with("GET /health ") {
            let line = if log.healthy.load(SeqCst) { "200 OK" } else { "500 Oops" };
            return write!(stream, "HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n");
        }
        if !std::mem::replace(&mut counted, true) {
            log.connections.fetch_add(1, SeqCst);
        }
        buffer.drain(..head.len() + 2);
        let mut body = Vec::new();
        if header(&head, "transfer-encoding").is_some() {
            loop {
                let line_end = read_until(&mut stream, &mut buffer, b"\r\n")?;
                let size =
                    std::str::from_utf8(&buffer[..line_end]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
                let size = size.ok_or_else(|| io::Error::other("a chunk size that is no number"))?;
                while buffer.len() < line_end + 2 + size + 2 {
                    if read_more(&mut stream, &mut buffer)? == 0 {
                        return Ok(());
                    }
                }
                body.extend_from_slice(&buffer[line_end + 2..line_end + 2 + size]);
                buffer.drain(..line_end + 2 + size + 2);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = header(&head, "content-length").and_then(|length| length.parse::<usize>().ok()) {
            while buffer.len() < length {
                if read_more(&mut stream, &mut buffer)? == 0 {
                    return Ok(());
                }
            }
            body.extend(buffer.drain(..length));
        }
        let request = Request { head, body };
        {
            let mut bytes = log.bytes.lock().expect("no holder panics");
            bytes.extend_from_slice(request.head.as_bytes());
            bytes.extend_from_slice(&request.body);
            bytes.extend_from_slice(&buffer);
        }
        log.requests.lock().expect("no holder panics").push(request.clone());
        if !behaviour(&request, &mut stream)? {
            return Ok(());
        }
    }
}

pub fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, mark: &[u8]) -> io::Result<usize> {
    loop {
        if let Some(at) = find(buffer, mark) {
            return Ok(at);
        }
        if read_more(stream, buffer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

pub fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut space = [0; 16 * 1024];
    let count = stream.read(&mut space)?;
    buffer.extend_from_slice(&space[..count]);
    Ok(count)
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
