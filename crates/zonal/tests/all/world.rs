//! A world of a test's own, started and ended by the program, and short words for what is asked of it.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_zonal");
/// The range of public addresses of the tests' real worlds: 127.109.0.0/16.
pub const RANGE: u8 = 9;
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0"))
}

/// A case's template.
pub fn case(phase: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../cases/whatsthetime/phase-{phase}.yaml"))
}

/// Waits until `look` finds something; at the deadline the test fails.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// A world, detached; gone with all that it made when dropped.
pub struct TestWorld {
    pub home: PathBuf,
    pub port: u16,
    pub dns: u16,
    more: Vec<&'static str>,
    /// Held while this is a real world: they share a range of addresses, and two cores.
    _alone: Option<File>,
}

impl TestWorld {
    /// A virtual world.
    pub fn virtual_one(more: &[&'static str]) -> Self {
        Self::start([&["--world", "sim", "--ephemeral", "--seed", "1"], more].concat(), None)
    }

    /// A real world. Only one is up at a time, whichever process tests.
    pub fn real_one() -> Self {
        let lock = File::create("/tmp/zonal-tests.lock").expect("a lock file in /tmp");
        lock.lock().expect("the lock of real worlds");
        Self::start(vec!["--world", "linux", "--range", "9"], Some(lock))
    }

    fn start(more: Vec<&'static str>, alone: Option<File>) -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let home = PathBuf::from(format!("/tmp/zonal-all-{}-{number}", std::process::id()));
        let world = Self { home, port: free_port(), dns: free_port(), more, _alone: alone };
        let up = world.up();
        assert!(up.status.success(), "{}{}", text(&up), world.log());
        world
    }

    /// `zonal up --detach`, also again.
    pub fn up(&self) -> Output {
        let (port, dns) = (self.port.to_string(), self.dns.to_string());
        let mut arguments = vec!["up", "--detach", "--port", &port, "--dns-port", &dns];
        arguments.extend(&self.more);
        self.zonal(&arguments)
    }

    /// A command of the program about this world.
    pub fn zonal(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the program starts")
    }

    /// The same, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        // Behind `--` are another's words: what says where goes before.
        command.arg(arguments[0]).arg("--home").arg(&self.home).args(&arguments[1..]);
        command
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home.join("zonal.log")).unwrap_or_default()
    }

    pub fn api(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Calls an operation; the output, or what was said instead.
    pub fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, Refusal> {
        let call =
            json!({ "region": "us-east-1", "service": service, "operation": operation, "input": input }).to_string();
        let request = format!(
            "POST /_zonal/call HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{call}",
            call.len()
        );
        let (status, body) = exchange(self.api(), request.as_bytes()).map_err(|_| Refusal::NoAnswer)?;
        let mut value: Value = serde_json::from_str(&body).map_err(|_| Refusal::NoAnswer)?;
        match status {
            200 => Ok(value["output"].take()),
            _ => Err(Refusal::Said(value["error"].as_str().unwrap_or(&body).to_owned())),
        }
    }

    /// The same, where it must succeed.
    #[track_caller]
    pub fn must(&self, service: &str, operation: &str, input: Value) -> Value {
        self.call(service, operation, input).unwrap_or_else(|refusal| panic!("{service} {operation}: {refusal:?}"))
    }

    /// How a stack stands; `None` where there is none.
    pub fn stack_status(&self, stack: &str) -> Option<String> {
        let described = self.call("cloudformation", "DescribeStacks", json!({ "StackName": stack })).ok()?;
        described["Stacks"][0]["StackStatus"].as_str().map(str::to_owned)
    }

    /// The outputs of a stack.
    pub fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let described = self.must("cloudformation", "DescribeStacks", json!({ "StackName": stack }));
        let outputs = described["Stacks"][0]["Outputs"].as_array().cloned().unwrap_or_default();
        let of = |output: &Value, key: &str| output[key].as_str().unwrap_or_default().to_owned();
        outputs.iter().map(|output| (of(output, "OutputKey"), of(output, "OutputValue"))).collect()
    }

    /// The ids of the running instances, and what they last said of themselves.
    pub fn running(&self) -> BTreeMap<String, Value> {
        let described = self.must("ec2", "DescribeInstances", json!({}));
        let reservations = described["Reservations"].as_array().cloned().unwrap_or_default();
        let instances = reservations
            .iter()
            .flat_map(|reservation| reservation["Instances"].as_array().cloned().unwrap_or_default());
        let running = instances.filter(|instance| instance["State"]["Name"] == "running");
        running.map(|instance| (instance["InstanceId"].as_str().unwrap_or_default().to_owned(), instance)).collect()
    }

    /// The processes that run this world, by role.
    pub fn processes(&self) -> BTreeMap<String, u32> {
        let home = self.home.to_string_lossy();
        let mut found = BTreeMap::new();
        for (pid, words) in command_lines() {
            if let [program, role, of, ..] = words.as_slice()
                && program.ends_with("zonal")
                && *of == *home
            {
                found.insert(role.clone(), pid);
            }
        }
        found
    }

    /// Ends the world and removes all that it kept, as a user would.
    pub fn purge(&self) -> Output {
        self.zonal(&["down", "--purge"])
    }
}

impl Drop for TestWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("zonal.log ends:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        let purged = self.purge();
        if !std::thread::panicking() {
            assert!(purged.status.success(), "{}", text(&purged));
        }
    }
}

/// Why a call has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An error of AWS's: code and message.
    Said(String),
    /// Nobody answered, or not whole: it may have happened or not.
    NoAnswer,
}

/// Every process: (id, the words of its command line).
pub fn command_lines() -> Vec<(u32, Vec<String>)> {
    let entries = fs::read_dir("/proc").map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let words = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    };
    entries
        .iter()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, words(pid)?)))
        .collect()
}

/// What a command wrote.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends a signal to a process that the test started.
pub fn signal(name: &str, pid: u32) {
    // It may have ended by itself meanwhile.
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// One HTTP request on a connection of its own; status and body.
pub fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let broken = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("no whole answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    if length.is_some_and(|length| body.len() < length) {
        return Err(broken());
    }
    Ok((status, body.to_owned()))
}

/// Fetches a page; status and body.
pub fn get(address: Ipv4Addr, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    exchange(SocketAddr::from((address, 80)), request.as_bytes())
}

/// Asks the world's DNS for a name's addresses.
pub fn lookup(dns: u16, name: &str) -> Option<Vec<Ipv4Addr>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, dns));
    match runtime.block_on(zonal_lab::shell::lookup(server, name, Duration::from_secs(2))) {
        zonal_lab::Answer::Addresses { addresses, .. } => Some(addresses),
        zonal_lab::Answer::Failed => None,
    }
}

/// A port that is free for TCP and UDP now.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = tcp.local_addr().expect("its address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
