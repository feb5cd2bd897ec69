//! Health: who is asked, what becomes of it, and how fast it takes effect.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use zonal_balancer::config::*;

use crate::support::*;

#[test]
fn an_unhealthy_target_is_out_of_rotation_within_its_thresholds() {
    let (good, bad) = (Server::plain("good"), Server::plain("bad"));
    let world = World::with(&[&good, &bad]);
    let began = Instant::now();
    bad.set_healthy(false);
    let report = world.wait_health("bad", HealthState::Unhealthy);
    // Two intervals and a timeout; the machine that tests run on may be busy with others.
    let slack = Duration::from_millis(500);
    assert!(began.elapsed() < INTERVAL * 2 + Duration::from_millis(100) + slack, "{:?}", began.elapsed());
    assert_eq!(report.health.reason, Some(HealthReason::ResponseCodeMismatch));
    assert_eq!(report.health.description.as_deref(), Some("Health checks failed with these codes: [500]"));
    let before = bad.requests().len();
    for _ in 0..20 {
        assert_eq!(world.get("/").text(), "good");
    }
    assert_eq!(bad.requests().len(), before);
    assert_eq!(world.metrics().hosts["group"][ZONE], Hosts { healthy: 1, unhealthy: 1 });
    bad.set_healthy(true);
    world.wait_health("bad", HealthState::Healthy);
    let answers: Vec<_> = (0..4).map(|_| world.get("/").text().to_owned()).collect();
    assert!(answers.contains(&"bad".to_owned()), "{answers:?}");
}

#[test]
fn with_no_healthy_target_all_get_requests() {
    let targets = ["a", "b"].map(Server::plain);
    targets.iter().for_each(|target| target.set_healthy(false));
    let world = World::unsettled(&targets.each_ref(), |_| {});
    for target in &targets {
        world.wait_health(&target.id, HealthState::Unhealthy);
    }
    for _ in 0..10 {
        assert_eq!(world.get("/").status, 200);
    }
    assert_eq!(targets.each_ref().map(|target| target.requests().len()), [5, 5]);
    assert_eq!(world.metrics().groups["group"][ZONE].unhealthy_routing_requests, 10);
    targets[0].set_healthy(true);
    world.wait_health("a", HealthState::Healthy);
    assert_eq!((0..6).map(|_| world.get("/").text().to_owned()).collect::<Vec<_>>(), ["a"; 6]);
    assert_eq!(world.metrics().groups["group"][ZONE].unhealthy_routing_requests, 0);
}

#[test]
fn every_way_to_fail_has_its_reason() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let silent = Server { port: silent.local_addr().expect("it is bound").port(), ..hold(silent) };
    let refuses = Server::absent("refuses");
    let world = World::unsettled(&[&silent, &refuses], |_| {});
    let first = world.reports().into_iter().find_map(|report| match report {
        Report::Health(health) => Some(health.health),
        _ => None,
    });
    assert_eq!(first.and_then(|health| health.reason), Some(HealthReason::RegistrationInProgress));
    let report = world.wait_health("silent", HealthState::Unhealthy);
    assert_eq!(report.health.reason, Some(HealthReason::Timeout));
    let report = world.wait_health("refuses", HealthState::Unhealthy);
    assert_eq!(report.health.reason, Some(HealthReason::FailedHealthChecks));
}

#[test]
fn a_tcp_check_asks_for_no_more_than_a_connection() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let silent = Server { port: silent.local_addr().expect("it is bound").port(), ..hold(silent) };
    let refuses = Server::absent("refuses");
    let world = World::unsettled(&[&silent, &refuses], |config| {
        config.target_groups[0].health_check.protocol = CheckProtocol::Tcp;
    });
    world.wait_health("silent", HealthState::Healthy);
    world.wait_health("refuses", HealthState::Unhealthy);
}

#[test]
fn checks_go_to_the_port_and_take_the_codes_they_are_told() {
    let (traffic, admin) = (Server::absent("traffic"), Server::plain("admin"));
    let world = World::unsettled(&[&traffic], |config| {
        let check = &mut config.target_groups[0].health_check;
        check.port = Some(admin.port);
        check.protocol = CheckProtocol::Http { path: "/other".to_owned(), matcher: "200-299,301".to_owned() };
    });
    world.wait_health("traffic", HealthState::Healthy);
    let asked = &admin.requests()[0];
    assert_eq!(asked.line(), "GET /other HTTP/1.1");
    assert_eq!(asked.header("user-agent"), Some("ELB-HealthChecker/2.0"));
}

#[test]
fn targets_of_a_zone_without_a_node_are_in_no_use() {
    let (here, away) = (Server::plain("here"), Server::plain("away"));
    let mut world = World::unsettled(&[&here, &away], |config| {
        config.target_groups[0].targets[1].zone = "us-east-1b".to_owned();
    });
    let report = world.wait_health("away", HealthState::Unused);
    assert_eq!(report.health.reason, Some(HealthReason::NotInUse));
    world.wait_health("here", HealthState::Healthy);
    assert_eq!((0..4).map(|_| world.get("/").text().to_owned()).collect::<Vec<_>>(), ["here"; 4]);
    world.apply(|config| {
        let address = [127, 0, 0, 2].into();
        config.nodes.push(Node { interface: "eni-b".to_owned(), zone: "us-east-1b".to_owned(), address });
    });
    world.wait_health("away", HealthState::Healthy);
}

#[test]
fn addresses_outside_the_network_are_checked_and_used_from_every_zone() {
    let target = Server::plain("outside");
    for cross_zone in [true, false] {
        let world = World::unsettled(&[&target], |config| {
            config.target_groups[0].cross_zone = cross_zone;
            config.target_groups[0].targets[0].zone = "all".to_owned();
        });
        world.wait_health("outside", HealthState::Healthy);
        assert_eq!(world.get("/").text(), "outside");
    }
}

#[test]
fn groups_that_no_listener_names_are_in_no_use() {
    let target = Server::plain("a");
    let world = World::unsettled(&[&target], |config| {
        config.listeners[0].default_action = Action::Forward(Forward::default());
    });
    assert_eq!(world.wait_health("a", HealthState::Unused).health.reason, Some(HealthReason::NotInUse));
    assert_eq!(world.get("/").status, 503);
}

#[test]
fn whoever_comes_late_is_told_all_that_is_so() {
    let (good, gone) = (Server::plain("good"), Server::absent("gone"));
    let world = World::with(&[&good]);
    let unhealthy = World::unsettled(&[&good, &gone], |_| {});
    unhealthy.wait_health("gone", HealthState::Unhealthy);
    for (world, expected) in [(world, 1), (unhealthy, 2)] {
        let before = world.reports().len();
        world.balancer.recite();
        let recited = wait_for("all is recited", || match world.reports().split_off(before) {
            reports if reports.len() > expected => Ok(reports),
            reports => Err(format!("{reports:?}")),
        });
        assert_eq!(recited[0], Report::Applied { balancer: "lb".to_owned(), revision: 1 });
        let healthy = |report: &&Report| matches!(report, Report::Health(h) if h.health.state == HealthState::Healthy);
        assert_eq!(recited.iter().filter(healthy).count(), 1, "{recited:?}");
    }
}

#[test]
fn a_balancer_without_sockets_blames_no_target_and_tries_its_ports_again() {
    let target = Server::plain("a");
    let mut world = World::on_cores(1, &[&target], |_| {});
    world.wait_health("a", HealthState::Healthy);
    let mut client = world.client();
    assert_eq!(client.get("/").text(), "a");
    world.break_sockets(true);
    world.apply(|config| {
        let address = [127, 0, 0, 2].into();
        config.nodes.push(Node { interface: "eni-b".to_owned(), zone: "us-east-1b".to_owned(), address });
    });
    world.wait_report("the port is reported", |report| matches!(report, Report::ListenFailed { .. }).then_some(()));
    // Long enough for two checks to have failed.
    let until = Instant::now() + INTERVAL * 4;
    while Instant::now() < until {
        assert_eq!(client.get("/").text(), "a", "what is connected goes on");
    }
    assert_eq!(world.health("a").expect("it was reported").health.state, HealthState::Healthy);
    world.break_sockets(false);
    let mut address = world.address();
    address.set_ip([127, 0, 0, 2].into());
    wait_for("the port is open", || std::net::TcpStream::connect(address).map_err(|error| error.to_string()));
}

#[test]
fn time_that_runs_faster_brings_the_next_check_nearer() {
    let target = Server::plain("a");
    let world = World::unsettled(&[&target], |config| {
        config.target_groups[0].health_check.interval = Duration::from_secs(60);
    });
    world.wait_health("a", HealthState::Healthy);
    target.set_healthy(false);
    // Two checks are minutes away, or a fifth of a second.
    world.balancer.set_speed(600.0);
    world.wait_health("a", HealthState::Unhealthy);
}

/// A target whose listener accepts, by its backlog, and says nothing.
fn hold(listener: TcpListener) -> Server {
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    Server::absent("silent")
}

#[test]
fn a_check_for_which_no_socket_comes_says_nothing_of_its_target() {
    let target = Server::plain("good");
    let world = World::on_cores(1, &[&target], |_| {});
    world.wait_health("good", HealthState::Healthy);
    let mut client = world.client();
    assert_eq!(client.get("/").text(), "good");
    world.hold_sockets(true);
    // Far longer than a check may take, thrice over.
    let until = Instant::now() + INTERVAL * 10 + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(client.get("/").text(), "good", "over the connection that is kept");
    }
    let health = world.health("good").expect("it was checked");
    assert_eq!(health.health.state, HealthState::Healthy, "{health:?}");
    // It is checked again once sockets come.
    world.hold_sockets(false);
    target.set_healthy(false);
    world.wait_health("good", HealthState::Unhealthy);
}
