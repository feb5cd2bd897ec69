//! A world of a test's own, and short words for what is asked of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zonal_linux::{Config, LinuxWorld, WorldClock, supervise};
use zonal_substrate::*;

/// A test, by the fact that it states.
pub type Test = (&'static str, fn());

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0"))
}

static WORLDS: AtomicU16 = AtomicU16::new(0);

/// A clock that is 300 times faster than real time: a minute is 200 ms.
struct Fast(Instant);

impl WorldClock for Fast {
    fn micros(&self) -> i64 {
        (self.0.elapsed() * 300).as_micros() as i64
    }

    fn until(&self, micros: i64) -> Duration {
        Duration::from_micros((micros - self.micros()).max(0) as u64) / 300
    }
}

/// A world; gone, with all that it made, when dropped.
pub struct Fixture {
    pub config: Config,
    pub world: Option<LinuxWorld>,
    pub processes: Option<supervise::Processes>,
    pub reports: Arc<Mutex<Vec<Report>>>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// A world that is set up otherwise than usual.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        // Tests run side by side, in one process or in many: a public range and a port of each one's own.
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id() as u16;
        let directory = PathBuf::from(format!("/tmp/zonal-test-{process}-{number}"));
        let mut config = Config::new(directory, (65534, 65534));
        let second = 102 + (process.wrapping_add(number.wrapping_mul(7)) % 24) as u8;
        let public = Ipv4Addr::new(127, second, 0, 0);
        config.public = format!("{public}/16").parse().unwrap();
        config.dns_port = 20_000 + process.wrapping_add(number) % 20_000;
        config.base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("base");
        change(&mut config);
        let processes = supervise::Processes::start(&config).unwrap();
        let mut fixture = Self { config, world: None, processes: Some(processes), reports: Arc::default() };
        fixture.connect();
        fixture
    }

    /// A new daemon.
    pub fn connect(&mut self) {
        self.world = None;
        let reports = Arc::clone(&self.reports);
        let heard = Box::new(move |report| reports.lock().unwrap().push(report));
        self.world = Some(LinuxWorld::connect(self.config.clone(), Arc::new(Fast(Instant::now())), heard).unwrap());
    }

    pub fn world(&self) -> &LinuxWorld {
        self.world.as_ref().unwrap()
    }

    /// The layer that a sandbox writes to, where the holder has its disk.
    pub fn upper(&self, id: &str) -> PathBuf {
        self.within_holder(&format!("run/disks/{id}/upper"))
    }

    /// What the holder has at this path of its world.
    pub fn within_holder(&self, path: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.config.directory.join("holder.pid")).unwrap();
        let holder = text.split(' ').next().unwrap();
        PathBuf::from(format!("/proc/{holder}/root{}/{path}", self.config.directory.display()))
    }

    /// The public address with this last byte.
    pub fn public(&self, last: u8) -> Ipv4Addr {
        let [a, b, ..] = self.config.public.network().octets();
        Ipv4Addr::new(a, b, 0, last)
    }

    pub fn ask(&self, asks: Vec<Ask>) {
        self.world().ask(asks);
    }

    /// Waits for a report.
    pub fn hear(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        until(what, || self.reports.lock().unwrap().iter().find(|report| wanted(report)).cloned())
    }

    /// All that was reported so far.
    pub fn heard(&self) -> Vec<Report> {
        self.reports.lock().unwrap().clone()
    }

    /// Waits until a sandbox is in this state in its newest start.
    pub fn await_state(&self, id: &str, wanted: impl Fn(&SandboxState) -> bool) -> SandboxState {
        until(&format!("state of {id}"), || {
            let reports = self.reports.lock().unwrap();
            reports
                .iter()
                .rev()
                .find_map(|report| match report {
                    Report::Sandbox { id: of, state, .. } if of == id => Some(state.clone()),
                    _ => None,
                })
                .filter(|state| wanted(state))
        })
    }

    /// Starts an instance and waits until its user data has ended.
    pub fn instance(&self, instance: &Instance) {
        self.ask(vec![Ask::PutInterface(instance.interface()), Ask::StartSandbox(Box::new(instance.sandbox()))]);
        let id = format!("i-{}", instance.name);
        let state = self.await_state(&id, |state| !matches!(state, SandboxState::Running));
        assert_eq!(state, SandboxState::UserDataDone { exit: 0 }, "{}", self.console(&id));
    }

    pub fn console(&self, id: &str) -> String {
        String::from_utf8_lossy(&self.world().console(id)).into_owned()
    }

    /// Runs a script inside, and gives what it wrote.
    pub fn run(&self, name: &str, script: &str) -> String {
        let (input, mut script_end) = std::io::pipe().unwrap();
        let (mut output_end, output) = std::io::pipe().unwrap();
        let id = format!("i-{name}");
        self.world().shell(&id, [input.as_fd(), output.as_fd(), output.as_fd()]).unwrap();
        drop((input, output));
        script_end.write_all(script.as_bytes()).unwrap();
        drop(script_end);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = output_end.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{id} does not end: {script}"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["warden.log", "holder.log", "plane.log"] {
                eprintln!("{name}: {}", std::fs::read_to_string(self.config.directory.join(name)).unwrap_or_default());
            }
            let failures: Vec<String> = self.reports.lock().map_or(Vec::new(), |reports| {
                reports.iter().filter(|r| matches!(r, Report::Failed { .. })).map(|r| format!("{r:?}")).collect()
            });
            eprintln!("{failures:#?}");
        }
        self.world = None;
        if let Some(processes) = self.processes.take() {
            processes.stop();
        }
        let purged = supervise::purge(&self.config);
        if !std::thread::panicking() {
            purged.unwrap();
        }
    }
}

/// Waits for a condition, with a deadline.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An instance with one interface.
#[derive(Clone)]
pub struct Instance {
    pub name: &'static str,
    pub network: &'static str,
    pub subnet: &'static str,
    pub zone: &'static str,
    pub private: Ipv4Addr,
    pub public: Option<Ipv4Addr>,
    pub groups: Vec<&'static str>,
    pub user_data: String,
    pub generation: u64,
    pub memory_mib: u32,
    pub vcpus: u32,
    pub disk: DiskSource,
    pub disk_gib: u32,
}

impl Instance {
    /// In `vpc-1`, `subnet-1`, `us-east-1a`, `sg-all`.
    pub fn new(name: &'static str, private: &str) -> Self {
        Self {
            name,
            network: "vpc-1",
            subnet: "subnet-1",
            zone: "us-east-1a",
            private: private.parse().unwrap(),
            public: None,
            groups: vec!["sg-all"],
            user_data: "#!/bin/sh\ntrue\n".into(),
            generation: 1,
            memory_mib: 512,
            vcpus: 10,
            disk: DiskSource::Base,
            disk_gib: 8,
        }
    }

    pub fn interface(&self) -> Interface {
        let [_, b, c, d] = self.private.octets();
        Interface {
            id: format!("eni-{}", self.name),
            network: self.network.into(),
            subnet: self.subnet.into(),
            zone: self.zone.into(),
            mac: format!("0a:00:00:{b:02x}:{c:02x}:{d:02x}"),
            addresses: vec![Address { private: self.private, public: self.public }],
            groups: self.groups.iter().map(|group| (*group).to_owned()).collect(),
            source_check: true,
            transparent: false,
            beside: None,
            generation: 0,
        }
    }

    pub fn sandbox(&self) -> Sandbox {
        Sandbox {
            id: format!("i-{}", self.name),
            generation: self.generation,
            interface: format!("eni-{}", self.name),
            zone: self.zone.into(),
            hostname: format!("ip-{}.ec2.internal", self.private.to_string().replace('.', "-")),
            disk: self.disk.clone(),
            disk_gib: self.disk_gib,
            vcpus: self.vcpus,
            memory_mib: self.memory_mib,
            user_data: self.user_data.clone().into_bytes(),
            authorized_keys: vec![],
            image_kind: "amazon-linux-2023".into(),
        }
    }
}

pub fn network(id: &str, cidr: &str) -> Ask {
    Ask::PutNetwork(Network {
        id: id.into(),
        cidrs: vec![cidr.parse().unwrap()],
        internet: true,
        resolver: true,
        region: String::new(),
    })
}

pub fn everything() -> AclEntry {
    AclEntry { allow: true, protocol: Protocol::All, ports: PortRange::ALL, cidr: "0.0.0.0/0".parse().unwrap() }
}

pub fn subnet(id: &str, network: &str, cidr: &str, zone: &str, public: bool) -> Subnet {
    let gateway = Route { destination: "0.0.0.0/0".parse().unwrap(), target: RouteTarget::InternetGateway };
    Subnet {
        id: id.into(),
        network: network.into(),
        cidr: cidr.parse().unwrap(),
        zone: zone.into(),
        routes: if public { vec![gateway] } else { vec![] },
        ingress: vec![everything()],
        egress: vec![everything()],
    }
}

pub fn tcp(port: u16, peer: PeerMatch) -> Rule {
    Rule { protocol: Protocol::Tcp, ports: PortRange { from: port, to: port }, peer }
}

pub fn anyone() -> PeerMatch {
    PeerMatch::Cidr("0.0.0.0/0".parse().unwrap())
}

pub fn all(peer: PeerMatch) -> Rule {
    Rule { protocol: Protocol::All, ports: PortRange::ALL, peer }
}

pub fn group(id: &str, network: &str, ingress: Vec<Rule>, egress: Vec<Rule>) -> Ask {
    Ask::PutGroup(Group { id: id.into(), network: network.into(), ingress, egress })
}

/// A VPC with one public subnet and a group that lets everything pass.
pub fn simple() -> Vec<Ask> {
    vec![
        network("vpc-1", "10.0.0.0/16"),
        Ask::PutSubnet(subnet("subnet-1", "vpc-1", "10.0.1.0/24", "us-east-1a", true)),
        group("sg-all", "vpc-1", vec![all(anyone())], vec![all(anyone())]),
        group("sg-web", "vpc-1", vec![tcp(80, anyone())], vec![all(anyone())]),
    ]
}

/// Whether the host gets an answer to an HTTP request.
pub fn answers(address: Ipv4Addr, port: u16) -> Option<String> {
    let at = SocketAddr::from((address, port));
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}
