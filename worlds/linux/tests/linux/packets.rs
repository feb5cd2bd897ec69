//! Which packets pass: exactly those that groups, access lists and routes allow.

use crate::fixture::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use zonal_substrate::*;

pub const TESTS: &[Test] = &[
    ("between_instances_exactly_what_groups_allow_passes", between_instances_exactly_what_groups_allow_passes),
    ("a_changed_group_holds_at_once_and_answers_still_pass", a_changed_group_holds_at_once_and_answers_still_pass),
    (
        "a_public_address_moves_whichever_interface_is_put_first",
        a_public_address_moves_whichever_interface_is_put_first,
    ),
    ("an_access_list_is_stateless_and_at_the_subnets_border", an_access_list_is_stateless_and_at_the_subnets_border),
    ("names_are_answered_inside_the_vpc", names_are_answered_inside_the_vpc),
    ("metadata_tells_each_instance_of_itself", metadata_tells_each_instance_of_itself),
    ("a_balancer_node_serves_from_its_own_interface", a_balancer_node_serves_from_its_own_interface),
    (
        "an_instance_behind_a_nat_gateway_goes_out_by_its_address",
        an_instance_behind_a_nat_gateway_goes_out_by_its_address,
    ),
];

const PORTS: [u16; 4] = [80, 3306, 6379, 8080];

/// Answers with its peer's address on every port of the matrix.
pub fn servers() -> String {
    format!(
        "#!/bin/sh\ncat >/root/serve.py <<'E'\nimport socket, threading\ndef serve(port):\n    s = socket.create_server(('0.0.0.0', port), backlog=64)\n    \
         while True:\n        c, peer = s.accept()\n        try:\n            c.settimeout(1)\n            c.recv(100)\n            c.sendall(('HTTP/1.0 200 OK\\r\\n\\r\\n' + peer[0]).encode())\n        except OSError:\n            pass\n        c.close()\n\
         ready = [threading.Thread(target=serve, args=(p,)) for p in {PORTS:?}]\n[t.start() for t in ready]\nopen('/root/ready', 'w')\nE\n\
         nohup python3 /root/serve.py >/dev/null 2>&1 &\nwhile [ ! -e /root/ready ]; do :; done\n"
    )
}

/// Tries every address and port at once from inside, and gives those that answered, with whom they saw.
pub fn tries(world: &Fixture, from: &str, to: &[(Ipv4Addr, u16)]) -> BTreeSet<(Ipv4Addr, u16, Ipv4Addr)> {
    let list: Vec<String> = to.iter().map(|(address, port)| format!("('{address}',{port})")).collect();
    let script = format!(
        "python3 - <<'E'\nimport socket, threading\ndef go(a, p):\n    try:\n        s = socket.create_connection((a, p), 1.5)\n        s.settimeout(1.5)\n        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n        t = b''\n        \
         while True:\n            d = s.recv(100)\n            if not d: break\n            t += d\n        if t: print(a, p, t.decode().split()[-1])\n    except OSError:\n        pass\n\
         ts = [threading.Thread(target=go, args=x) for x in [{}]]\n[t.start() for t in ts]\n[t.join() for t in ts]\nE\n",
        list.join(",")
    );
    world
        .run(from, &script)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[0].parse().unwrap(), fields[1].parse().unwrap(), fields[2].parse().unwrap())
        })
        .collect()
}

fn between_instances_exactly_what_groups_allow_passes() {
    let world = Fixture::new();
    let of = |id: &str| PeerMatch::Group(id.into());
    let range = |cidr: &str| PeerMatch::Cidr(cidr.parse().unwrap());
    let groups: Vec<(&str, &str, Vec<Rule>, Vec<Rule>)> = vec![
        ("sg-web", "vpc-1", vec![tcp(80, anyone())], vec![all(anyone())]),
        (
            "sg-app",
            "vpc-1",
            vec![tcp(8080, of("sg-web")), tcp(80, range("10.0.2.0/24"))],
            vec![tcp(3306, of("sg-db")), tcp(6379, anyone())],
        ),
        ("sg-db", "vpc-1", vec![tcp(3306, of("sg-app"))], vec![]),
        ("sg-extra", "vpc-1", vec![tcp(6379, of("sg-app"))], vec![]),
        ("sg-far", "vpc-2", vec![all(anyone())], vec![all(anyone())]),
    ];
    let mut asks = vec![
        network("vpc-1", "10.0.0.0/16"),
        network("vpc-2", "10.0.0.0/16"),
        Ask::PutSubnet(subnet("subnet-1", "vpc-1", "10.0.1.0/24", "us-east-1a", true)),
        Ask::PutSubnet(subnet("subnet-2", "vpc-1", "10.0.2.0/24", "us-east-1b", false)),
        Ask::PutSubnet(subnet("subnet-3", "vpc-2", "10.0.1.0/24", "us-east-1a", true)),
    ];
    asks.extend(groups.iter().map(|(id, vpc, ingress, egress)| group(id, vpc, ingress.clone(), egress.clone())));
    world.ask(asks);
    let instances = [
        Instance { public: Some(world.public(10)), groups: vec!["sg-web"], ..Instance::new("web1", "10.0.1.10") },
        Instance { groups: vec!["sg-web"], ..Instance::new("web2", "10.0.1.11") },
        Instance { groups: vec!["sg-app"], subnet: "subnet-2", ..Instance::new("app", "10.0.2.10") },
        Instance {
            groups: vec!["sg-db", "sg-extra"],
            subnet: "subnet-2",
            public: Some(world.public(12)),
            ..Instance::new("db", "10.0.2.11")
        },
        Instance {
            groups: vec!["sg-far"],
            subnet: "subnet-3",
            network: "vpc-2",
            public: Some(world.public(13)),
            ..Instance::new("far", "10.0.1.10")
        },
    ];
    let instances = instances.map(|instance| Instance { user_data: servers(), ..instance });
    for instance in &instances {
        world.instance(instance);
    }
    // The rules' meaning, said once more in the simplest way.
    let rules = |instance: &Instance, ingress: bool| -> Vec<Rule> {
        let of_instance = groups.iter().filter(|group| instance.groups.contains(&group.0));
        of_instance.flat_map(|group| if ingress { group.2.clone() } else { group.3.clone() }).collect()
    };
    let lets = |rules: &[Rule], port: u16, peer: Ipv4Addr, member_of: &[&str]| {
        rules.iter().any(|rule| {
            let port_fits = rule.protocol == Protocol::All || rule.ports.contains(port);
            port_fits
                && match &rule.peer {
                    PeerMatch::Cidr(cidr) => cidr.contains(&peer),
                    PeerMatch::Group(id) => member_of.contains(&id.as_str()),
                }
        })
    };
    for from in &instances {
        let mut targets = Vec::new();
        let mut expected = BTreeSet::new();
        for to in instances.iter().filter(|to| to.network == from.network && to.name != from.name) {
            for port in PORTS {
                targets.push((to.private, port));
                let out = lets(&rules(from, false), port, to.private, &to.groups);
                if out && lets(&rules(to, true), port, from.private, &from.groups) {
                    expected.insert((to.private, port, from.private));
                }
            }
        }
        for to in instances.iter() {
            let Some(public) = to.public else { continue };
            for port in PORTS {
                targets.push((public, port));
                // By public addresses: out by the gateway, in by it, each as its public self; group references do not hold.
                let goes =
                    from.subnet != "subnet-2" && from.public.is_some() && lets(&rules(from, false), port, public, &[]);
                let comes =
                    to.subnet != "subnet-2" && from.public.is_some_and(|from| lets(&rules(to, true), port, from, &[]));
                if goes && comes {
                    expected.insert((public, port, from.public.unwrap()));
                }
            }
        }
        let passed = tries(&world, from.name, &targets);
        assert_eq!(passed, expected, "from {}", from.name);
    }
    // From the host: what is open to everybody, seen as the host's own address inside.
    let host = world.config.host();
    for to in &instances {
        let Some(public) = to.public else { continue };
        for port in PORTS {
            let open = to.subnet != "subnet-2" && lets(&rules(to, true), port, host, &[]);
            let answered = if open {
                let text = until("the door", || answers(public, port));
                assert!(text.ends_with(&host.to_string()), "{text}");
                true
            } else {
                answers(public, port).is_some()
            };
            assert_eq!(answered, open, "host to {} {port}", to.name);
        }
    }
}

fn a_changed_group_holds_at_once_and_answers_still_pass() {
    let world = Fixture::new();
    world.ask(simple());
    let web = Instance {
        groups: vec!["sg-web"],
        user_data: servers(),
        public: Some(world.public(10)),
        ..Instance::new("web", "10.0.1.10")
    };
    world.instance(&web);
    world.instance(&Instance::new("client", "10.0.1.11"));
    let seen = |port| tries(&world, "client", &[(web.private, port)]).len();
    assert_eq!((seen(80), seen(8080)), (1, 0));
    world.ask(vec![group("sg-web", "vpc-1", vec![tcp(8080, anyone())], vec![])]);
    until("port 8080", || (seen(8080) == 1).then_some(()));
    assert_eq!(seen(80), 0);
    until("the host's door on 8080", || answers(world.public(10), 8080));
    until("the host's door on 80 to shut", || answers(world.public(10), 80).is_none().then_some(()));
    // Nothing may begin from inside: it has no outbound rules.
    assert!(tries(&world, "web", &[("10.0.1.11".parse().unwrap(), 80)]).is_empty());
}

fn a_public_address_moves_whichever_interface_is_put_first() {
    let world = Fixture::new();
    world.ask(simple());
    let public = world.public(10);
    let machine =
        |name, private| Instance { groups: vec!["sg-web"], user_data: servers(), ..Instance::new(name, private) };
    let (one, other) = (machine("one", "10.0.1.10"), machine("other", "10.0.1.11"));
    world.instance(&Instance { public: Some(public), ..machine("one", "10.0.1.10") });
    world.instance(&other);
    until("its first holder", || answers(public, 80));
    let put = |holder: &Instance, public: Option<Ipv4Addr>, generation: u64| {
        let addresses = vec![Address { private: holder.private, public }];
        Ask::PutInterface(Interface { addresses, generation, ..holder.interface() })
    };
    let ready = |holder: &Instance, generation: u64| Report::InterfaceReady { id: holder.interface().id, generation };
    // First whoever gets it, then whoever had it; then the other way about.
    world.ask(vec![put(&other, Some(public), 1), put(&one, None, 1)]);
    until("both", || [ready(&one, 1), ready(&other, 1)].iter().all(|told| world.heard().contains(told)).then_some(()));
    until("its second holder", || answers(public, 80));
    world.ask(vec![put(&other, None, 2), put(&one, Some(public), 2)]);
    until("both", || [ready(&one, 2), ready(&other, 2)].iter().all(|told| world.heard().contains(told)).then_some(()));
    until("its first holder again", || answers(public, 80));
    // And one that goes away takes nothing along that is another's by then.
    world.ask(vec![put(&other, Some(public), 3)]);
    until("the other", || world.heard().contains(&ready(&other, 3)).then_some(()));
    world.ask(vec![put(&one, None, 3)]);
    until("the first", || world.heard().contains(&ready(&one, 3)).then_some(()));
    until("its second holder again", || answers(public, 80));
}

fn an_access_list_is_stateless_and_at_the_subnets_border() {
    let world = Fixture::new();
    world.ask(simple());
    let guarded = |ingress: Vec<AclEntry>, egress: Vec<AclEntry>| {
        let plain = subnet("subnet-2", "vpc-1", "10.0.2.0/24", "us-east-1b", false);
        Ask::PutSubnet(Subnet { ingress, egress, ..plain })
    };
    world.ask(vec![guarded(vec![everything()], vec![everything()])]);
    let inside = |name, private| Instance { subnet: "subnet-2", user_data: servers(), ..Instance::new(name, private) };
    world.instance(&inside("one", "10.0.2.10"));
    world.instance(&inside("two", "10.0.2.11"));
    world.instance(&Instance::new("client", "10.0.1.10"));
    let one = ("10.0.2.10".parse().unwrap(), 80);
    let passes = |from: &str| tries(&world, from, &[one]).len() == 1;
    assert!(passes("client") && passes("two"));
    // Requests may come in, answers not go out.
    world.ask(vec![guarded(vec![everything()], vec![])]);
    until("answers to be stopped", || (!passes("client")).then_some(()));
    assert!(passes("two"), "inside a subnet its list does not hold");
    let ephemeral = AclEntry { ports: PortRange { from: 1024, to: 65535 }, protocol: Protocol::Tcp, ..everything() };
    let deny = AclEntry { allow: false, cidr: "10.0.1.10/32".parse().unwrap(), ..everything() };
    world.ask(vec![guarded(vec![everything()], vec![ephemeral.clone()])]);
    until("answers to pass", || passes("client").then_some(()));
    world.ask(vec![guarded(vec![deny, everything()], vec![ephemeral])]);
    until("the first entry that matches to decide", || (!passes("client")).then_some(()));
}

fn names_are_answered_inside_the_vpc() {
    use zonal_dns::config::{RecordSet, Zone};
    let world = Fixture::new();
    let record = |value: &str| RecordSet {
        name: "db.corp.example".into(),
        type_: "A".into(),
        ttl: 60,
        values: vec![value.into()],
        ..RecordSet::default()
    };
    let zone =
        |value: &str| Box::new(Zone { name: "corp.example".into(), overlay: false, records: vec![record(value)] });
    world.ask(simple());
    world.ask(vec![
        Ask::PutZone { view: "vpc-1".into(), zone: zone("10.0.1.99"), confirm: None },
        Ask::PutZone { view: "public".into(), zone: zone("127.102.0.99"), confirm: None },
    ]);
    world.instance(&Instance::new("a", "10.0.1.10"));
    let inside = || world.run("a", "getent ahostsv4 db.corp.example | cut -d' ' -f1 | head -1");
    until("the VPC's own answer", || (inside().trim() == "10.0.1.99").then_some(()));
    let base2 = "echo nameserver 10.0.0.2 >/etc/resolv.conf; getent ahostsv4 db.corp.example | cut -d' ' -f1 | head -1";
    assert_eq!(world.run("a", base2).trim(), "10.0.1.99");
    // On the host, the public one; asked by hand.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x04corp\x07example\x00\x00\x01\x00\x01";
    let answer = until("the host's resolver", || {
        socket.send_to(query, ("127.0.0.1", world.config.dns_port)).ok()?;
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).ok()?;
        buffer[..length].ends_with(&[127, 102, 0, 99]).then_some(length)
    });
    assert!(answer > query.len());
}

fn metadata_tells_each_instance_of_itself() {
    let world = Fixture::new();
    world.ask(simple());
    for (name, address) in [("a", "10.0.1.10"), ("b", "10.0.1.11")] {
        let instance = Instance::new(name, address);
        world.ask(vec![Ask::PutInterface(instance.interface())]);
        world.ask(vec![Ask::PutMetadata { interface: format!("eni-{name}"), document: Box::new(document(&instance)) }]);
        world.instance(&instance);
    }
    let ask = "T=$(curl -s -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); \
               curl -s -m 2 -H \"X-aws-ec2-metadata-token: $T\" http://169.254.169.254/latest/meta-data/instance-id";
    for name in ["a", "b"] {
        let expected = format!("i-{name}");
        until("metadata", || (world.run(name, ask) == expected).then_some(()));
    }
}

fn document(instance: &Instance) -> zonal_metadata::config::InstanceMetadata {
    zonal_metadata::config::InstanceMetadata {
        account_id: "000000000000".into(),
        instance_id: format!("i-{}", instance.name),
        instance_type: "t2.micro".into(),
        root_device: "/dev/xvda".into(),
        ami_id: "ami-1".into(),
        ami_launch_index: 0,
        reservation_id: "r-1".into(),
        region: "us-east-1".into(),
        availability_zone: "us-east-1a".into(),
        availability_zone_id: "use1-az1".into(),
        architecture: "x86_64".into(),
        pending_time: "2026-01-01T00:00:00Z".into(),
        local_hostname: "ip-10-0-1-10.ec2.internal".into(),
        public_hostname: None,
        local_ipv4: instance.private,
        public_ipv4: None,
        interface_id: format!("eni-{}", instance.name),
        mac: "0a:00:00:00:01:0a".into(),
        subnet_id: "subnet-1".into(),
        subnet_cidr: "10.0.1.0/24".into(),
        vpc_id: "vpc-1".into(),
        vpc_cidr: "10.0.0.0/16".into(),
        security_groups: vec![],
        services_domain: "amazonaws.com".into(),
        public_key: None,
        instance_profile: None,
        user_data: None,
        tags: None,
        enabled: true,
        token_required: true,
        hop_limit: 2,
    }
}

fn a_balancer_node_serves_from_its_own_interface() {
    let world = Fixture::new();
    world.ask(simple());
    let web = Instance { user_data: servers(), groups: vec!["sg-app"], ..Instance::new("web", "10.0.1.10") };
    world.ask(vec![group("sg-app", "vpc-1", vec![tcp(8080, PeerMatch::Group("sg-web".into()))], vec![])]);
    world.instance(&web);
    let node =
        Instance { groups: vec!["sg-web"], public: Some(world.public(20)), ..Instance::new("node", "10.0.1.20") };
    world.ask(vec![Ask::PutInterface(node.interface()), Ask::PutBalancer(Box::new(balancer(&node, &web)))]);
    let text =
        until("an answer through the balancer", || answers(world.public(20), 80).filter(|text| text.contains(" 200 ")));
    assert!(text.ends_with("10.0.1.20"), "the target sees the node: {text}");
    world.hear(
        "the target's health",
        |report| matches!(report, Report::TargetHealth(health) if health.target == "i-web"),
    );
    world.hear("the balancer's counts", |report| matches!(report, Report::BalancerMetrics { .. }));
}

fn balancer(node: &Instance, target: &Instance) -> zonal_balancer::config::BalancerConfig {
    use std::time::Duration;
    use zonal_balancer::config::*;
    let check = HealthCheck {
        protocol: CheckProtocol::Http { path: "/".into(), matcher: "200".into() },
        port: None,
        interval: Duration::from_millis(500),
        timeout: Duration::from_millis(400),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
    };
    let web = Target {
        id: format!("i-{}", target.name),
        address: target.private,
        port: 8080,
        zone: target.zone.into(),
        state: TargetState::Active,
    };
    let forward = Action::Forward(vec![WeightedGroup { target_group: "tg-1".into(), weight: 1 }].into());
    BalancerConfig {
        id: "lb-1".into(),
        revision: 1,
        nodes: vec![Node { interface: format!("eni-{}", node.name), zone: node.zone.into(), address: node.private }],
        listeners: vec![Listener {
            id: "l-1".into(),
            port: 80,
            tls: None,
            flow: None,
            default_action: forward,
            rules: vec![],
            response_headers: ResponseHeaders::default(),
        }],
        target_groups: vec![TargetGroup {
            id: "tg-1".into(),
            name: "tg".into(),
            protocol: TargetProtocol::default(),
            protocol_version: ProtocolVersion::default(),
            health_check: check,
            targets: vec![web],
            deregistration_delay: Duration::ZERO,
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        }],
        idle_timeout: Duration::from_secs(60),
        http: HttpSettings::default(),
        cookie_secret: String::new(),
    }
}

fn an_instance_behind_a_nat_gateway_goes_out_by_its_address() {
    let world = Fixture::new();
    world.ask(simple());
    let nat = Route { destination: "0.0.0.0/0".parse().unwrap(), target: RouteTarget::Nat("eni-nat".into()) };
    let private = Subnet { routes: vec![nat], ..subnet("subnet-2", "vpc-1", "10.0.2.0/24", "us-east-1b", false) };
    world.ask(vec![
        Ask::PutInterface(Instance { public: Some(world.public(30)), ..Instance::new("nat", "10.0.1.30") }.interface()),
        Ask::PutSubnet(private),
    ]);
    let web = Instance {
        user_data: servers(),
        public: Some(world.public(10)),
        groups: vec!["sg-web"],
        ..Instance::new("web", "10.0.1.10")
    };
    world.instance(&web);
    world.instance(&Instance { subnet: "subnet-2", ..Instance::new("hidden", "10.0.2.10") });
    let seen =
        until("the way through the gateway", || tries(&world, "hidden", &[(world.public(10), 80)]).into_iter().next());
    assert_eq!(seen.2, world.public(30));
}
