//! A network load balancer on 127.0.0.1 for benchmarks and for trying things by hand:
//! `flow PORT TARGET_PORT [THREADS] [tcp|udp|tcp_udp]`. Runs until killed; prints reports.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use zonal_balancer::config::*;
use zonal_balancer::{Balancer, HostSockets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "flow PORT TARGET_PORT [THREADS] [tcp|udp|tcp_udp]";
    let port = arguments.next().ok_or(usage)?.parse()?;
    let target_port = arguments.next().ok_or(usage)?.parse()?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let protocol = match arguments.next().as_deref() {
        None | Some("tcp") => FlowProtocol::Tcp,
        Some("udp") => FlowProtocol::Udp,
        Some("tcp_udp") => FlowProtocol::TcpUdp,
        Some(_) => return Err(usage.into()),
    };
    let zone = "us-east-1a".to_owned();
    let config = BalancerConfig {
        id: "balancer".to_owned(),
        revision: 1,
        nodes: vec![Node { interface: "eni-1".to_owned(), zone: zone.clone(), address: Ipv4Addr::LOCALHOST }],
        listeners: vec![Listener {
            id: "listener".to_owned(),
            port,
            tls: None,
            flow: Some(FlowListener { protocol, tcp_idle_timeout: Duration::from_secs(350) }),
            default_action: Action::Forward(vec![WeightedGroup { target_group: "group".to_owned(), weight: 1 }].into()),
            rules: Vec::new(),
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "group".to_owned(),
            name: "group".to_owned(),
            protocol: TargetProtocol::default(),
            protocol_version: ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: CheckProtocol::Tcp,
                port: None,
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            targets: vec![Target {
                id: "i-1".to_owned(),
                address: Ipv4Addr::LOCALHOST,
                port: target_port,
                zone,
                state: TargetState::Active,
            }],
            deregistration_delay: Duration::from_secs(300),
            cross_zone: true,
            flow: Some(FlowGroup {
                tls: false,
                sticky: false,
                preserve_client_ip: false,
                proxy_protocol_v2: false,
                terminate_deregistered: false,
                terminate_unhealthy: true,
            }),
            routing: GroupRouting::default(),
        }],
        idle_timeout: Duration::from_secs(350),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    };
    let (balancer, mut reports) = Balancer::start(threads, Arc::new(HostSockets), 1.0)?;
    balancer.apply(config)?;
    while let Some(report) = reports.blocking_recv() {
        println!("{report:?}");
    }
    Ok(())
}
