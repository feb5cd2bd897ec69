//! A balancer on 127.0.0.1 for benchmarks and for trying things by hand:
//! `balance PORT TARGET_PORT[xTIMES][,…] [THREADS] [RULES] [TLS_PORT CERTIFICATE KEY]`. Runs until
//! killed; prints reports. A port taken several times stands for as many targets; rules match nothing,
//! so that each is looked at. With PEM files of a certificate it listens for TLS too, HTTP/2 preferred.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

mod shared;

use std::sync::Arc;

use zonal_balancer::config::{
    Action, AlpnPolicy, Certificate, CheckProtocol, Condition, Listener, ListenerTls, Rule, TlsHeaders,
};
use zonal_balancer::{Balancer, HostSockets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "balance PORT TARGET_PORT[xTIMES][,…] [THREADS] [RULES] [TLS_PORT CERTIFICATE KEY]";
    let port = arguments.next().ok_or(usage)?.parse()?;
    let targets = arguments.next().ok_or(usage)?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let rules: u32 = arguments.next().map_or(Ok(0), |rules| rules.parse())?;
    let mut registered = Vec::new();
    for part in targets.split(',') {
        let (port, times) = part.split_once('x').unwrap_or((part, "1"));
        let (port, times): (u16, usize) = (port.parse()?, times.parse()?);
        registered.extend((0..times).map(|time| shared::target(format!("i-{port}-{time}"), port)));
    }
    let check = CheckProtocol::Http { path: "/".to_owned(), matcher: "200".to_owned() };
    let mut config = shared::config(port, check, registered);
    config.listeners[0].rules = (1..=rules).map(rule).collect();
    if let Some(port) = arguments.next() {
        let (certificate, key) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
        config.listeners.push(Listener {
            id: "tls".to_owned(),
            port: port.parse()?,
            tls: Some(ListenerTls {
                policy: "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned(),
                alpn: AlpnPolicy::Http2Preferred,
                headers: TlsHeaders::default(),
                default_certificate: Certificate {
                    id: "certificate".to_owned(),
                    chain: std::fs::read_to_string(certificate)?,
                    private_key: std::fs::read_to_string(key)?,
                },
                certificates: Vec::new(),
            }),
            ..config.listeners[0].clone()
        });
    }
    let (balancer, mut reports) = Balancer::start(threads, Arc::new(HostSockets), 1.0)?;
    balancer.apply(config)?;
    while let Some(report) = reports.blocking_recv() {
        println!("{report:?}");
    }
    Ok(())
}

/// A host and a path that nobody asks for.
fn rule(priority: u32) -> Rule {
    Rule {
        id: format!("rule-{priority}"),
        priority,
        conditions: vec![
            Condition::PathPattern(vec!["/*".to_owned()]),
            Condition::HostHeader(vec![format!("*.service-{priority}.example.com")]),
        ],
        action: Action::FixedResponse { status_code: 404, content_type: None, message_body: String::new() },
    }
}
