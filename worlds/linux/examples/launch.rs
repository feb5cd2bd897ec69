//! How long it takes from the call to the first line of user data, one after another and many at once, and what an instance costs in
//! memory. Run as root: `cargo run --release -p zonal-linux --example launch [COUNT]`.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use zonal_linux::{Config, LinuxWorld, RealTime, init, supervise};
use zonal_substrate::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    let name = Path::new(&arguments[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if init::guest::NAMES.contains(&name.as_str()) {
        let code = init::guest::main(&name, &arguments[1..]);
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
    if let [_, subcommand, directory] = &arguments[..] {
        return Ok(supervise::run(subcommand, Path::new(directory))?);
    }
    let count = arguments.get(1).map_or(Ok(200), |count| count.parse())?;
    let mut config =
        Config::new(std::env::temp_dir().join(format!("zonal-launch-{}", std::process::id())), (65534, 65534));
    config.public = "127.101.0.0/16".parse()?;
    config.dns_port = 14553;
    let processes = supervise::Processes::start(&config)?;
    let run = measure(&config, count);
    processes.stop();
    supervise::purge(&config)?;
    run
}

fn measure(config: &Config, count: u32) -> Outcome {
    let (sender, reports) = channel();
    let listener = Box::new(move |report| drop(sender.send((Instant::now(), report))));
    let world = LinuxWorld::connect(config.clone(), Arc::new(RealTime), listener)?;
    let any = || "0.0.0.0/0".parse().map(PeerMatch::Cidr);
    let entry = |cidr| AclEntry { allow: true, protocol: Protocol::All, ports: PortRange::ALL, cidr };
    let rule = |peer| Rule { protocol: Protocol::All, ports: PortRange::ALL, peer };
    let everywhere = "0.0.0.0/0".parse()?;
    let subnet = Subnet {
        id: "subnet-1".into(),
        network: "vpc-1".into(),
        cidr: "10.0.0.0/16".parse()?,
        zone: "us-east-1a".into(),
        routes: vec![],
        ingress: vec![entry(everywhere)],
        egress: vec![entry(everywhere)],
    };
    world.ask(vec![
        Ask::PutNetwork(Network {
            id: "vpc-1".into(),
            cidrs: vec![subnet.cidr],
            internet: true,
            resolver: true,
            region: String::new(),
        }),
        Ask::PutSubnet(subnet),
        Ask::PutGroup(Group {
            id: "sg-1".into(),
            network: "vpc-1".into(),
            ingress: vec![rule(any()?)],
            egress: vec![rule(any()?)],
        }),
    ]);
    let done = |wanted: u32| -> Result<Instant, Box<dyn std::error::Error>> {
        let mut last = Instant::now();
        for _ in 0..wanted {
            loop {
                let (at, report) = reports.recv_timeout(Duration::from_secs(60))?;
                match report {
                    Report::Sandbox { state: SandboxState::UserDataDone { .. }, .. } => {
                        last = at;
                        break;
                    }
                    Report::Failed { id, reason } => return Err(format!("{id}: {reason}").into()),
                    _ => {}
                }
            }
        }
        Ok(last)
    };
    let mut single = Vec::new();
    for number in 0..20 {
        let asked = Instant::now();
        world.ask(launch(number));
        single.push(done(1)?.duration_since(asked));
    }
    single.sort();
    println!("one at a time, call to end of a one-line user data: median {:?}, worst {:?}", single[10], single[19]);
    let before = memory();
    let asked = Instant::now();
    for number in 20..20 + count {
        world.ask(launch(number));
    }
    println!("{count} at once: {:?}", done(count)?.duration_since(asked));
    let each = (memory() - before) / f64::from(count);
    println!("memory: {each:.2} MiB each; warden, holder and plane {before:.1} MiB with 20");
    Ok(())
}

/// The proportional share of memory of all processes of the world, MiB.
fn memory() -> f64 {
    let of = |pid: &str| -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
    };
    let own = std::fs::read_link("/proc/self/exe").ok();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0.0 };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let ours = pids.filter(|pid| {
        std::fs::read_link(format!("/proc/{pid}/exe")).ok() == own && *pid != std::process::id().to_string()
    });
    ours.filter_map(|pid| of(&pid)).sum()
}

fn launch(number: u32) -> Vec<Ask> {
    let private = Ipv4Addr::from(0x0a00_0100 + number);
    let interface = Interface {
        id: format!("eni-{number}"),
        network: "vpc-1".into(),
        subnet: "subnet-1".into(),
        zone: "us-east-1a".into(),
        mac: format!("0a:00:00:00:{:02x}:{:02x}", number >> 8, number & 0xff),
        addresses: vec![Address { private, public: None }],
        groups: vec!["sg-1".into()],
        source_check: true,
        transparent: false,
        beside: None,
        generation: 0,
    };
    let sandbox = Sandbox {
        id: format!("i-{number}"),
        generation: 1,
        interface: interface.id.clone(),
        zone: interface.zone.clone(),
        hostname: format!("ip-{}.ec2.internal", private.to_string().replace('.', "-")),
        disk: DiskSource::Base,
        disk_gib: 8,
        vcpus: 2,
        memory_mib: 512,
        user_data: b"#!/bin/sh\necho first line\n".to_vec(),
        authorized_keys: vec![],
        image_kind: "amazon-linux-2023".into(),
    };
    vec![Ask::PutInterface(interface), Ask::StartSandbox(Box::new(sandbox))]
}
