//! The narrowest path, whole: a world, a VPC, a group, an interface, an instance whose user data starts a web server, and a request to
//! it from the host by its public address. Run as root: `cargo run -p zonal-linux --example first_packet`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use zonal_linux::{Config, LinuxWorld, RealTime, init, supervise};
use zonal_substrate::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let name = Path::new(&arguments[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if init::guest::NAMES.contains(&name.as_str()) {
        std::process::exit(i32::from(init::guest::main(&name, &arguments[1..]) != std::process::ExitCode::SUCCESS));
    }
    if let [_, "purge", directory] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return Ok(supervise::purge(&Config::load(Path::new(directory))?)?);
    }
    if let [_, subcommand, directory] = &arguments[..] {
        return Ok(supervise::run(subcommand, Path::new(directory))?);
    }
    let directory = std::env::temp_dir().join(format!("zonal-first-packet-{}", std::process::id()));
    let mut config = Config::new(directory, (65534, 65534));
    config.public = "127.101.0.0/16".parse()?;
    config.dns_port = 14553;
    let started = Instant::now();
    let processes = supervise::Processes::start(&config)?;
    println!("world up in {:?}", started.elapsed());
    let run = drive(&config);
    if std::env::var_os("KEEP").is_none() {
        processes.stop();
        supervise::purge(&config)?;
    }
    run
}

fn drive(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, reports) = channel();
    let listener = Box::new(move |report| drop(sender.send((Instant::now(), report))));
    let world = LinuxWorld::connect(config.clone(), Arc::new(RealTime), listener)?;
    let all =
        || Rule { protocol: Protocol::All, ports: PortRange::ALL, peer: PeerMatch::Cidr("0.0.0.0/0".parse().unwrap()) };
    let entry =
        || AclEntry { allow: true, protocol: Protocol::All, ports: PortRange::ALL, cidr: "0.0.0.0/0".parse().unwrap() };
    world.ask(vec![
        Ask::PutNetwork(Network {
            id: "vpc-1".into(),
            cidrs: vec!["10.0.0.0/16".parse()?],
            internet: true,
            resolver: true,
            region: String::new(),
        }),
        Ask::PutSubnet(Subnet {
            id: "subnet-1".into(),
            network: "vpc-1".into(),
            cidr: "10.0.1.0/24".parse()?,
            zone: "us-east-1a".into(),
            routes: vec![Route { destination: "0.0.0.0/0".parse()?, target: RouteTarget::InternetGateway }],
            ingress: vec![entry()],
            egress: vec![entry()],
        }),
        Ask::PutGroup(Group {
            id: "sg-1".into(),
            network: "vpc-1".into(),
            ingress: vec![Rule { protocol: Protocol::Tcp, ports: PortRange { from: 80, to: 80 }, ..all() }],
            egress: vec![all()],
        }),
    ]);
    for number in 1..=5 {
        let public = std::net::Ipv4Addr::new(127, 101, 0, 9 + number);
        let asked = Instant::now();
        world.ask(vec![
            Ask::PutInterface(Interface {
                id: format!("eni-{number}"),
                network: "vpc-1".into(),
                subnet: "subnet-1".into(),
                zone: "us-east-1a".into(),
                mac: format!("0a:00:00:00:00:{number:02x}"),
                addresses: vec![Address {
                    private: std::net::Ipv4Addr::new(10, 0, 1, 9 + number),
                    public: Some(public),
                }],
                groups: vec!["sg-1".into()],
                source_check: true,
                transparent: false,
                beside: None,
                generation: 0,
            }),
            Ask::StartSandbox(Box::new(Sandbox {
                id: format!("i-{number}"),
                generation: 1,
                interface: format!("eni-{number}"),
                zone: "us-east-1a".into(),
                hostname: format!("ip-10-0-1-{}.ec2.internal", 9 + number),
                disk: DiskSource::Base,
                disk_gib: 8,
                vcpus: 10,
                memory_mib: 512,
                user_data:
                    b"#!/bin/bash\necho first line; date +%s.%N\nhostname -f; id; cd /tmp; echo hello > index.html\n\
                    nohup python3 -m http.server 80 >/dev/null 2>&1 &\n"
                        .to_vec(),
                authorized_keys: vec![],
                image_kind: "amazon-linux-2023".into(),
            })),
        ]);
        let deadline = Instant::now() + Duration::from_secs(20);
        let answer = loop {
            while let Ok((at, report)) = reports.try_recv() {
                println!("  {:>8.1?} {report:?}", at.duration_since(asked));
            }
            let mut text = String::new();
            let got = TcpStream::connect((public, 80)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(2)))?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                stream.read_to_string(&mut text)
            });
            match got {
                Ok(_) if text.contains("200 OK") => break text,
                _ if Instant::now() > deadline => {
                    println!("{}", String::from_utf8_lossy(&world.console(&format!("i-{number}"))));
                    return Err(format!("no answer: {got:?} {text:?}").into());
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        println!("i-{number} answers after {:?}: {:?}", asked.elapsed(), answer.lines().next());
        let console = world.console(&format!("i-{number}"));
        println!("{}", String::from_utf8_lossy(&console));
    }
    Ok(())
}
