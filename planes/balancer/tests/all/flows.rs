//! Flows through a network load balancer: what each end sees of the other.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use zonal_balancer::config::*;
use zonal_balancer::core::flow::{Transport, proxy};

use crate::support::*;
use crate::tls::{Kind, certificate, connect as connect_tls, listener_tls};

const PLAIN: FlowGroup = FlowGroup {
    tls: false,
    sticky: false,
    preserve_client_ip: false,
    proxy_protocol_v2: false,
    terminate_deregistered: false,
    terminate_unhealthy: true,
};

/// A target that takes connections as they are, and remembers from where they came.
pub struct Raw {
    id: String,
    port: u16,
    pub peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Raw {
    pub fn start(id: &str, serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (peers, serve) = (Arc::new(Mutex::new(Vec::new())), Arc::new(serve));
        let seen = peers.clone();
        std::thread::spawn(move || {
            for (stream, peer) in
                listener.incoming().flatten().filter_map(|s| Some((s.peer_addr().ok()?, s))).map(|(p, s)| (s, p))
            {
                seen.lock().expect("nobody panics with it").push(peer);
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { id: id.to_owned(), port, peers }
    }

    /// Sends back what it gets, then its id, when the client has said all.
    fn echo(id: &str) -> Self {
        let name = id.to_owned();
        Self::start(id, move |mut stream| {
            let mut reader = stream.try_clone()?;
            io::copy(&mut reader, &mut stream)?;
            stream.write_all(name.as_bytes())?;
            stream.shutdown(Shutdown::Write)
        })
    }

    fn target(&self) -> Target {
        Target {
            id: self.id.clone(),
            address: Ipv4Addr::LOCALHOST,
            port: self.port,
            zone: ZONE.to_owned(),
            state: TargetState::Active,
        }
    }
}

pub fn world(protocol: FlowProtocol, targets: &[&Raw], change: impl FnOnce(&mut BalancerConfig)) -> World {
    let world = World::unsettled(&[], |config| {
        let flow = FlowListener { protocol, tcp_idle_timeout: Duration::from_secs(350) };
        config.listeners[0].flow = Some(flow);
        let group = &mut config.target_groups[0];
        group.flow = Some(PLAIN);
        group.health_check.protocol = CheckProtocol::Tcp;
        group.targets = targets.iter().map(|target| target.target()).collect();
        change(config);
    });
    for target in targets {
        world.wait_health(&target.id, HealthState::Healthy);
    }
    world
}

pub fn settings(config: &mut BalancerConfig) -> &mut FlowGroup {
    config.target_groups[0].flow.as_mut().expect("its group takes flows")
}

pub fn connect(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.address()).expect("the port is open");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    stream
}

fn counts(world: &World) -> FlowMetrics {
    world.metrics().flows.get(ZONE).copied().unwrap_or_default()
}

/// Adds up what is counted until `enough`.
pub fn count_until(world: &World, enough: impl Fn(&FlowMetrics) -> bool) -> FlowMetrics {
    let mut sum = FlowMetrics::default();
    wait_for("counts", || {
        let new = counts(world);
        sum.tcp.new += new.tcp.new;
        sum.tcp.bytes += new.tcp.bytes;
        sum.udp.new += new.udp.new;
        sum.udp.bytes += new.udp.bytes;
        sum.tls.new += new.tls.new;
        (sum.tcp.active, sum.udp.active, sum.tls.active) = (new.tcp.active, new.udp.active, new.tls.active);
        sum.client_resets += new.client_resets;
        sum.target_resets += new.target_resets;
        sum.elb_resets += new.elb_resets;
        sum.client_tls_errors += new.client_tls_errors;
        sum.target_tls_errors += new.target_tls_errors;
        if enough(&sum) { Ok(sum) } else { Err(format!("{sum:?}")) }
    })
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    stream.read(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

/// A stream's bytes that do not repeat early.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

#[test]
fn bytes_pass_both_ways_whole_and_a_half_close_is_passed_on() {
    let target = Raw::echo("t");
    let world = world(FlowProtocol::Tcp, &[&target], |_| {});
    let mut stream = connect(&world);
    let mut writer = stream.try_clone().unwrap();
    let sent = noise(5_000_000);
    let body = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&body).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == [sent.as_slice(), b"t"].concat(), "{} bytes came back", back.len());
    let counted = count_until(&world, |sum| sum.tcp.active == 0);
    assert_eq!((counted.tcp.new, counted.tcp.bytes), (1, 10_000_001));
    assert_eq!((counted.client_resets, counted.target_resets, counted.elb_resets), (0, 0, 0));
}

#[test]
fn a_reader_that_does_not_read_holds_its_writer_back() {
    let target = Raw::start("t", |mut stream| {
        // Health checks connect too, and say nothing.
        stream.read_exact(&mut [0; 1])?;
        stream.write_all(&vec![7; 64_000_000])?;
        stream.shutdown(Shutdown::Write)
    });
    let world = world(FlowProtocol::Tcp, &[&target], |_| {});
    let mut stream = connect(&world);
    stream.write_all(b"x").unwrap();
    let mut carried = 0;
    wait_for("nothing more is carried", || {
        let more = counts(&world).tcp.bytes;
        carried += more;
        std::thread::park_timeout(Duration::from_millis(50));
        if more == 0 && carried > 0 { Ok(()) } else { Err(format!("{carried}")) }
    });
    assert!(carried < 40_000_000, "{carried} bytes are under way to a client that reads none");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), 64_000_000);
}

#[test]
fn a_reset_of_either_side_reaches_the_other_and_is_counted_as_its() {
    let resets = Raw::start("t", |stream| {
        let mut stream = stream;
        stream.read_exact(&mut [0; 1])?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))
    });
    let by_target = world(FlowProtocol::Tcp, &[&resets], |_| {});
    let mut stream = connect(&by_target);
    stream.write_all(b"x").unwrap();
    assert!(is_reset(&mut stream));
    assert_eq!(count_until(&by_target, |sum| sum.target_resets > 0).client_resets, 0);

    let (sender, heard) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let waits = Raw::start("t", move |mut stream| {
        stream.write_all(b"ready")?;
        let outcome = is_reset(&mut stream);
        let _ = sender.lock().expect("nobody panics with it").send(outcome);
        Ok(())
    });
    let by_client = world(FlowProtocol::Tcp, &[&waits], |_| {});
    let mut stream = connect(&by_client);
    stream.read_exact(&mut [0; 5]).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    // Health checks end in an orderly way: that is no reset.
    wait_for("the target hears of it", || match heard.recv_timeout(DEADLINE) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(count_until(&by_client, |sum| sum.client_resets > 0).target_resets, 0);
}

#[test]
fn without_a_target_or_with_one_that_refuses_a_client_is_reset() {
    let nobody = world(FlowProtocol::Tcp, &[], |_| {});
    assert!(is_reset(&mut connect(&nobody)));
    count_until(&nobody, |sum| sum.elb_resets == 1);

    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    // All are unhealthy, so all are tried.
    let refuses = world(FlowProtocol::Tcp, &[], |config| {
        let target = Raw { id: "t".to_owned(), port: free, peers: Arc::default() }.target();
        config.target_groups[0].targets = vec![target];
    });
    refuses.wait_health("t", HealthState::Unhealthy);
    assert!(is_reset(&mut connect(&refuses)));
    count_until(&refuses, |sum| sum.target_resets == 1 && sum.tcp.active == 0);
}

#[test]
fn a_silent_flow_is_reset_after_the_idle_timeout_and_one_that_speaks_is_not() {
    let target = Raw::echo("t");
    let world = world(FlowProtocol::Tcp, &[&target], |config| {
        config.listeners[0].flow.as_mut().unwrap().tcp_idle_timeout = Duration::from_millis(400);
    });
    let mut stream = connect(&world);
    for _ in 0..8 {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(is_reset(&mut stream));
    assert_eq!(count_until(&world, |sum| sum.tcp.active == 0).elb_resets, 1);
}

#[test]
fn a_target_that_wants_it_reads_a_proxy_header_first() {
    let (sender, heard) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let target = Raw::start("t", move |mut stream| {
        let mut header = [0; proxy::LENGTH + 2];
        stream.read_exact(&mut header)?;
        let _ = sender.lock().expect("nobody panics with it").send(header);
        Ok(())
    });
    let world = world(FlowProtocol::Tcp, &[&target], |config| settings(config).proxy_protocol_v2 = true);
    let mut stream = connect(&world);
    stream.write_all(b"hi").unwrap();
    let header = heard.recv_timeout(DEADLINE).expect("it read a header");
    let (transport, source, destination, length) = proxy::parse(&header).expect("it is a header");
    assert_eq!((transport, SocketAddr::V4(source), length), (Transport::Tcp, stream.local_addr().unwrap(), 28));
    assert_eq!(destination, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80));
    assert_eq!(&header[length..], b"hi");
}

#[test]
fn a_target_sees_the_clients_address_where_the_group_preserves_it() {
    let target = Raw::echo("t");
    let mut world = world(FlowProtocol::Tcp, &[&target], |config| settings(config).preserve_client_ip = true);
    let from = |world: &World, address: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(SocketAddrV4::new(address.into(), 0))).unwrap();
        socket.connect(&world.address().into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        target.peers.lock().unwrap().last().copied().unwrap().ip()
    };
    assert_eq!(from(&world, [127, 0, 0, 77]), Ipv4Addr::new(127, 0, 0, 77));
    world.apply(|config| settings(config).preserve_client_ip = false);
    assert_eq!(from(&world, [127, 0, 0, 78]), Ipv4Addr::LOCALHOST);
}

#[test]
fn a_flow_outlives_its_targets_deregistration_unless_termination_is_on() {
    let (first, second) = (Raw::echo("a"), Raw::echo("b"));
    for terminates in [false, true] {
        let mut world = world(FlowProtocol::Tcp, &[&first], |config| {
            settings(config).terminate_deregistered = terminates;
            config.target_groups[0].deregistration_delay = Duration::from_millis(300);
            config.target_groups[0].targets.push(second.target());
            config.target_groups[0].targets.truncate(1);
        });
        let mut stream = connect(&world);
        stream.write_all(b"1").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        world.apply(|config| {
            config.target_groups[0].targets[0].state = TargetState::Draining;
            config.target_groups[0].targets.push(second.target());
        });
        world.wait_health("b", HealthState::Healthy);
        // New flows go elsewhere at once.
        let mut new = connect(&world);
        new.shutdown(Shutdown::Write).unwrap();
        let mut name = Vec::new();
        new.read_to_end(&mut name).unwrap();
        assert_eq!(name, b"b");
        world.wait_health("a", HealthState::Unused);
        if terminates {
            assert!(is_reset(&mut stream));
        } else {
            stream.write_all(b"2").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
        }
    }
}

#[test]
fn flows_end_when_their_target_is_found_unhealthy_if_the_group_says_so() {
    for terminates in [true, false] {
        let target = Raw::echo("t");
        let mut world =
            world(FlowProtocol::Tcp, &[&target], |config| settings(config).terminate_unhealthy = terminates);
        let mut stream = connect(&world);
        stream.write_all(b"1").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        let shut = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        world.apply(|config| config.target_groups[0].health_check.port = Some(shut));
        world.wait_health("t", HealthState::Unhealthy);
        if terminates {
            assert!(is_reset(&mut stream));
        } else {
            stream.write_all(b"2").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
        }
    }
}

/// A target of datagrams that answers with its id and what came, and takes health checks.
fn datagram_target(id: &str) -> Raw {
    let raw = Raw::start(id, |_| Ok(()));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, raw.port)).expect("the port is free for UDP too");
    let (name, peers) = (id.to_owned(), raw.peers.clone());
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            peers.lock().expect("nobody panics with it").push(peer);
            drop(socket.send_to(&[name.as_bytes(), &buffer[..length]].concat(), peer));
        }
    });
    raw
}

fn ask(socket: &UdpSocket, text: &str) -> String {
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send(text.as_bytes()).unwrap();
    let length = socket.recv(&mut buffer).expect("an answer comes");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn datagrams_of_one_port_all_go_to_one_target_and_answers_come_back_from_the_port_asked() {
    let targets = [datagram_target("a"), datagram_target("b"), datagram_target("c")];
    let world = world(FlowProtocol::Udp, &[&targets[0], &targets[1], &targets[2]], |_| {});
    let mut chosen = std::collections::BTreeSet::new();
    for client in 0..24 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Connected: an answer from another port would not be heard.
        socket.connect(world.address()).unwrap();
        let first = ask(&socket, &format!("-{client}"));
        assert_eq!(&first[1..], format!("-{client}"));
        for again in 0..5 {
            assert_eq!(ask(&socket, &format!("-{again}")), format!("{}-{again}", &first[..1]));
        }
        chosen.insert(first[..1].to_owned());
    }
    assert_eq!(chosen.len(), 3, "{chosen:?}");
    let counted = count_until(&world, |sum| sum.udp.new >= 24);
    assert_eq!((counted.udp.new, counted.udp.active), (24, 24));
}

#[test]
fn every_datagram_bears_the_proxy_header() {
    let target = datagram_target("t");
    let world = world(FlowProtocol::Udp, &[&target], |config| settings(config).proxy_protocol_v2 = true);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(world.address()).unwrap();
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    for _ in 0..2 {
        socket.send(b"hi").unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        let (transport, source, _, header) =
            proxy::parse(&buffer[1..length]).expect("a header after the target's name");
        assert_eq!((transport, SocketAddr::V4(source)), (Transport::Udp, socket.local_addr().unwrap()));
        assert_eq!(&buffer[1 + header..length], b"hi");
    }
}

#[test]
fn a_port_for_both_takes_connections_and_datagrams() {
    let target = datagram_target("t");
    let mut world = world(FlowProtocol::TcpUdp, &[&target], |_| {});
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(world.address()).unwrap();
    assert_eq!(ask(&socket, "-x"), "t-x");
    assert_eq!(connect(&world).read(&mut [0; 1]).unwrap(), 0);
    count_until(&world, |sum| sum.udp.new == 1 && sum.tcp.new == 1);
    // Another protocol on the same port: the door is another.
    world.apply(|config| config.listeners[0].flow.as_mut().unwrap().protocol = FlowProtocol::Tcp);
    wait_for("UDP is shut", || {
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        other.connect(world.address()).unwrap();
        other.send(b"x").unwrap();
        other.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match other.recv(&mut [0; 8]) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(connect(&world).read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_sticky_client_stays_with_its_target_while_that_is_healthy() {
    let targets = [Raw::echo("a"), Raw::echo("b"), Raw::echo("c")];
    let world = world(FlowProtocol::Tcp, &[&targets[0], &targets[1], &targets[2]], |config| {
        settings(config).sticky = true;
    });
    let name = || {
        let mut stream = connect(&world);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut name = String::new();
        stream.read_to_string(&mut name).unwrap();
        name
    };
    let first = name();
    assert!((0..20).all(|_| name() == first));
}

#[test]
fn tls_ends_at_a_tls_listener_and_targets_see_the_clear_text() {
    let target = Raw::echo("t");
    let world = world(FlowProtocol::Tls, &[&target], |config| {
        config.listeners[0].tls = Some(listener_tls(certificate("c", &["example.com"]), vec![]));
    });
    let mut stream = connect_tls(&world, &Kind::default()).expect("the handshake is done");
    stream.write_all(b"hello").unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hellot");
    count_until(&world, |sum| sum.tls.new == 1 && sum.tls.active == 0);
    // Whoever does not speak TLS gets nothing from the target.
    let mut clear = connect(&world);
    clear.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset.
    drop(clear.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"GET"), "{answer:?}");
}

#[test]
fn a_flow_table_that_is_shut_down_with_its_balancer_resets_its_flows() {
    let target = Raw::echo("t");
    let world = world(FlowProtocol::Tcp, &[&target], |_| {});
    let mut stream = connect(&world);
    stream.write_all(b"1").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    world.balancer.remove("lb");
    assert!(is_reset(&mut stream));
}

#[test]
fn with_fewer_healthy_targets_than_the_group_asks_for_all_get_flows() {
    let (good, absent) = (Raw::echo("a"), Server::absent("gone"));
    let world = world(FlowProtocol::Tcp, &[&good], |config| {
        config.target_groups[0].targets.push(absent.config());
        config.target_groups[0].routing.minimum_healthy = 2;
    });
    world.wait_health("gone", HealthState::Unhealthy);
    let answered = (0..40).filter(|_| {
        let mut stream = connect(&world);
        let asked = stream.shutdown(Shutdown::Write).is_ok();
        asked && stream.read_to_end(&mut Vec::new()).is_ok()
    });
    let answered = answered.count();
    assert!((1..40).contains(&answered), "{answered} of 40");
    assert_eq!(counts(&world).unhealthy_routing, 40);
}
