//! Flows through a network load balancer's node: who the target sees, over both transports, from inside and from the host.

use crate::fixture::{Fixture, Instance, Test, all, answers, anyone, group, simple, tcp, until};
use std::net::UdpSocket;
use std::time::Duration;
use zonal_balancer::config::*;
use zonal_substrate::{Ask, PeerMatch, Protocol, Rule};

pub const TESTS: &[Test] = &[
    (
        "a_target_sees_the_client_where_its_address_is_preserved",
        a_target_sees_the_client_where_its_address_is_preserved,
    ),
    ("a_group_that_names_the_nodes_group_lets_its_clients_in", a_group_that_names_the_nodes_group_lets_its_clients_in),
];

/// Answers every connection to 8080 and every datagram to 5353 with the address that it came from.
const TARGET: &str = r#"#!/bin/sh
cat >/root/serve.py <<'E'
import socket, threading
def connections():
    s = socket.create_server(('0.0.0.0', 8080), backlog=64)
    open('/root/ready', 'w')
    while True:
        c, peer = s.accept()
        try:
            c.sendall(peer[0].encode())
        except OSError:
            pass
        c.close()
def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('0.0.0.0', 5353))
    while True:
        data, peer = s.recvfrom(2000)
        s.sendto(peer[0].encode() + data, peer)
threading.Thread(target=datagrams).start()
connections()
E
nohup python3 /root/serve.py >/dev/null 2>&1 &
while [ ! -e /root/ready ]; do :; done
"#;

fn udp(port: u16) -> Rule {
    Rule { protocol: Protocol::Udp, ..tcp(port, anyone()) }
}

fn balancer(node: &Instance, target: &Instance, preserves: bool) -> BalancerConfig {
    let group = |id: &str, port: u16| TargetGroup {
        id: id.into(),
        name: id.into(),
        protocol: TargetProtocol::default(),
        protocol_version: ProtocolVersion::default(),
        health_check: HealthCheck {
            protocol: CheckProtocol::Tcp,
            port: Some(8080),
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(400),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        },
        targets: vec![Target {
            id: format!("i-{}", target.name),
            address: target.private,
            port,
            zone: target.zone.into(),
            state: TargetState::Active,
        }],
        deregistration_delay: Duration::ZERO,
        cross_zone: false,
        flow: Some(FlowGroup {
            tls: false,
            sticky: false,
            preserve_client_ip: preserves,
            proxy_protocol_v2: false,
            terminate_deregistered: false,
            terminate_unhealthy: true,
        }),
        routing: GroupRouting::default(),
    };
    let listener = |port: u16, protocol: FlowProtocol, group: &str| Listener {
        id: format!("l-{port}"),
        port,
        tls: None,
        flow: Some(FlowListener { protocol, tcp_idle_timeout: Duration::from_secs(350) }),
        default_action: Action::Forward(vec![WeightedGroup { target_group: group.into(), weight: 1 }].into()),
        rules: vec![],
        response_headers: ResponseHeaders::default(),
    };
    BalancerConfig {
        id: "lb-1".into(),
        revision: if preserves { 1 } else { 2 },
        nodes: vec![Node { interface: format!("eni-{}", node.name), zone: node.zone.into(), address: node.private }],
        listeners: vec![listener(80, FlowProtocol::Tcp, "tg-1"), listener(53, FlowProtocol::Udp, "tg-2")],
        target_groups: vec![group("tg-1", 8080), group("tg-2", 5353)],
        idle_timeout: Duration::from_secs(350),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}

fn put(world: &Fixture, node: &Instance, target: &Instance, preserves: bool) {
    let interface = zonal_substrate::Interface { transparent: true, source_check: false, ..node.interface() };
    world.ask(vec![Ask::PutInterface(interface), Ask::PutBalancer(Box::new(balancer(node, target, preserves)))]);
}

/// Whom the target sees of a connection and of a datagram from inside an instance.
fn seen_from(world: &Fixture, client: &str) -> String {
    let script = "python3 - <<'E'\nimport socket\n\
        s = socket.create_connection(('10.0.1.20', 80), 3)\ns.settimeout(3)\nprint(s.recv(100).decode())\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(3)\ns.connect(('10.0.1.20', 53))\n\
        s.send(b'-hi')\nprint(s.recv(100).decode())\nE\n";
    world.run(client, script).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn a_target_sees_the_client_where_its_address_is_preserved() {
    let world = Fixture::new();
    world.ask(simple());
    world.ask(vec![group("sg-app", "vpc-1", vec![tcp(8080, anyone()), udp(5353)], vec![])]);
    let web = Instance { user_data: TARGET.into(), groups: vec!["sg-app"], ..Instance::new("web", "10.0.1.10") };
    let client = Instance::new("client", "10.0.1.30");
    world.instance(&web);
    world.instance(&client);
    // Without groups, as a network load balancer may be.
    let node = Instance { groups: vec![], public: Some(world.public(20)), ..Instance::new("node", "10.0.1.20") };
    put(&world, &node, &web, true);
    let text = until("an answer on the host", || answers(world.public(20), 80));
    assert_eq!(text, world.public(1).to_string(), "the target sees the host");
    assert_eq!(seen_from(&world, "client"), "10.0.1.30 10.0.1.30-hi");
    let socket = UdpSocket::bind((world.public(1), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 100];
    let length = until("an answer to a datagram on the host", || {
        socket.send_to(b"-x", (world.public(20), 53)).ok()?;
        socket.recv(&mut buffer).ok()
    });
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("{}-x", world.public(1)));

    put(&world, &node, &web, false);
    until("the target sees the node", || {
        (seen_from(&world, "client").split(' ').next() == Some("10.0.1.20")).then_some(())
    });
}

fn a_group_that_names_the_nodes_group_lets_its_clients_in() {
    let world = Fixture::new();
    world.ask(simple());
    world.ask(vec![
        group("sg-node", "vpc-1", vec![all(anyone())], vec![all(anyone())]),
        group("sg-app", "vpc-1", vec![all(PeerMatch::Group("sg-node".into()))], vec![]),
    ]);
    let web = Instance { user_data: TARGET.into(), groups: vec!["sg-app"], ..Instance::new("web", "10.0.1.10") };
    let client = Instance::new("client", "10.0.1.30");
    world.instance(&web);
    world.instance(&client);
    let node =
        Instance { groups: vec!["sg-node"], public: Some(world.public(20)), ..Instance::new("node", "10.0.1.20") };
    put(&world, &node, &web, true);
    until("an answer through the balancer", || answers(world.public(20), 80));
    assert_eq!(seen_from(&world, "client"), "10.0.1.30 10.0.1.30-hi");
    // Not by themselves.
    let direct = "python3 - <<'E'\nimport socket\ntry:\n    socket.create_connection(('10.0.1.10', 8080), 1)\n    print('in')\n\
        except OSError:\n    print('out')\nE\n";
    assert_eq!(world.run("client", direct).trim(), "out");
}
