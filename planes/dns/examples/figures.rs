//! What a configuration costs: `figures CONFIG.json` prints the milliseconds to load it, the octets of memory per record set, and
//! the microseconds from a change of one name, at rest and until a server answers by it.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it measures, so it has a clock and sockets")]

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::base::message_builder::MessageBuilder;
use domain::base::{Message, Rtype};
use domain::rdata::A;
use zonal_dns::config::{Change, DnsConfig, PUBLIC};
use zonal_dns::name;
use zonal_dns::shell::{DnsServer, Options, Sockets, ZoneStore};

type AnyError = Box<dyn std::error::Error>;

/// Changes that are timed.
const CHANGES: u8 = 200;

fn main() -> Result<(), AnyError> {
    let path = std::env::args().nth(1).ok_or("usage: figures CONFIG.json")?;
    let mut config: DnsConfig = serde_json::from_slice(&std::fs::read(path)?)?;
    let store = Arc::new(ZoneStore::new());
    let sets: usize = config.views.iter().flat_map(|view| &view.zones).map(|zone| zone.records.len()).sum();

    let before = resident()?;
    let started = Instant::now();
    store.apply(&config)?;
    let load = started.elapsed();
    let memory = resident()?.saturating_sub(before);

    let zone = config.views.first_mut().and_then(|view| view.zones.pop()).ok_or("a zone is needed")?;
    let set = zone.records.iter().rfind(|set| set.type_ == "A").ok_or("an A record is needed")?.clone();
    let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let sockets = Sockets { udp: vec![UdpSocket::bind(address)?], tcp: vec![TcpListener::bind("127.0.0.1:0")?] };
    let served = Arc::clone(&store);
    std::thread::spawn(move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let _server = DnsServer::start(&served, sockets, Options::authoritative(PUBLIC, 1))?;
            std::future::pending().await
        })
    });
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(address)?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut swaps, mut serves) = (Vec::new(), Vec::new());
    for number in 1..=CHANGES {
        let value = format!("192.0.2.{number}");
        let mut changed = set.clone();
        changed.values = vec![value.clone()];
        let change = Change::PutName {
            view: PUBLIC.to_owned(),
            zone: zone.name.clone(),
            name: set.name.clone(),
            records: vec![changed],
        };
        let started = Instant::now();
        store.change(1 + u64::from(number), &[change])?;
        swaps.push(started.elapsed());
        while ask(&client, &set.name)? != value {}
        serves.push(started.elapsed());
    }
    let middle = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    println!(
        "{:.0} {:.0} {:.0} {:.0}",
        load.as_secs_f64() * 1e3,
        memory as f64 / sets as f64,
        middle(&mut swaps),
        middle(&mut serves)
    );
    Ok(())
}

/// The process's memory, in octets.
fn resident() -> Result<usize, AnyError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse::<usize>()? * 1024)
}

/// The address that the server has for a name.
fn ask(client: &UdpSocket, owner: &str) -> Result<String, AnyError> {
    let mut question = MessageBuilder::new_vec().question();
    question.push((name::parse(owner)?, Rtype::A))?;
    client.send(&question.finish())?;
    let mut buffer = [0; 512];
    let len = client.recv(&mut buffer)?;
    let message = Message::from_octets(&buffer[..len])?;
    let mut answers = message.answer()?.limit_to::<A>();
    Ok(answers.next().ok_or("no answer")??.data().addr().to_string())
}
