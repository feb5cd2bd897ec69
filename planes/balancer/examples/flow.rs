//! A network load balancer on 127.0.0.1 for benchmarks and for trying things by hand:
//! `flow PORT TARGET_PORT [THREADS] [tcp|udp|tcp_udp]`. Runs until killed; prints reports.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

mod shared;

use std::sync::Arc;
use std::time::Duration;

use zonal_balancer::config::{CheckProtocol, FlowGroup, FlowListener, FlowProtocol};
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
    let idle = Duration::from_secs(350);
    let targets = vec![shared::target("i-1".to_owned(), target_port)];
    let mut config = shared::config(port, CheckProtocol::Tcp, targets);
    config.idle_timeout = idle;
    config.listeners[0].flow = Some(FlowListener { protocol, tcp_idle_timeout: idle });
    config.target_groups[0].flow = Some(FlowGroup {
        tls: false,
        sticky: false,
        preserve_client_ip: false,
        proxy_protocol_v2: false,
        terminate_deregistered: false,
        terminate_unhealthy: true,
    });
    let (balancer, mut reports) = Balancer::start(threads, Arc::new(HostSockets), 1.0)?;
    balancer.apply(config)?;
    while let Some(report) = reports.blocking_recv() {
        println!("{report:?}");
    }
    Ok(())
}
