//! Configurations that change under traffic.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use zonal_balancer::BalancerError;
use zonal_balancer::config::*;

use crate::support::*;

/// A target that answers only when it is told to.
fn slow(id: &str) -> (Server, Sender<()>) {
    let (tell, told): (_, Receiver<()>) = channel();
    let told = Mutex::new(told);
    let target = Server::start(id, move |_, stream| {
        let _ = told.lock().expect("no holder panics").recv_timeout(DEADLINE);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")?;
        Ok(true)
    });
    (target, tell)
}

#[test]
fn a_draining_target_finishes_what_it_has_and_gets_no_more() {
    let ((leaving, tell), staying) = (slow("leaving"), Server::plain("staying"));
    let mut world = World::with(&[&leaving]);
    let mut client = world.client();
    client.send(b"GET /in-flight HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request is at the target", || match leaving.requests().len() {
        1 => Ok(()),
        other => Err(format!("{other} requests")),
    });
    world.apply(|config| {
        config.target_groups[0].targets[0].state = TargetState::Draining;
        config.target_groups[0].targets.push(staying.config());
    });
    let report = world.wait_health("leaving", HealthState::Draining);
    assert_eq!(report.health.reason, Some(HealthReason::DeregistrationInProgress));
    world.wait_health("staying", HealthState::Healthy);
    for _ in 0..10 {
        assert_eq!(world.get("/").text(), "staying");
    }
    assert_eq!(world.health("leaving").expect("it was reported").health.state, HealthState::Draining);
    tell.send(()).expect("the target waits");
    assert_eq!(client.answer().text(), "slow");
    let report = world.wait_health("leaving", HealthState::Unused);
    assert_eq!(report.health.reason, Some(HealthReason::NotRegistered));
    assert_eq!(leaving.requests().len(), 1);
}

#[test]
fn a_target_with_nothing_in_flight_is_drained_at_once() {
    let target = Server::plain("a");
    let mut world = World::with(&[&target]);
    assert_eq!(world.get("/").status, 200);
    world.apply(|config| config.target_groups[0].targets[0].state = TargetState::Draining);
    world.wait_health("a", HealthState::Unused);
    assert_eq!(world.get("/").status, 503);
    // Registered again, it starts over.
    world.apply(|config| config.target_groups[0].targets[0].state = TargetState::Active);
    world.wait_health("a", HealthState::Healthy);
    assert_eq!(world.get("/").status, 200);
}

#[test]
fn what_outlasts_the_deregistration_delay_is_cut_off() {
    let (target, _tell) = slow("a");
    let mut world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request is at the target", || if target.requests().is_empty() { Err(String::new()) } else { Ok(()) });
    let began = Instant::now();
    world.apply(|config| {
        config.target_groups[0].deregistration_delay = Duration::from_millis(200);
        config.target_groups[0].targets[0].state = TargetState::Draining;
    });
    world.wait_health("a", HealthState::Unused);
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(client.try_answer(false).is_err());
}

#[test]
fn what_a_drained_target_still_has_is_cut_off_when_the_configuration_forgets_it() {
    let (target, _tell) = slow("a");
    let mut world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request is at the target", || if target.requests().is_empty() { Err(String::new()) } else { Ok(()) });
    world.apply(|config| {
        config.target_groups[0].deregistration_delay = Duration::from_secs(3600);
        config.target_groups[0].targets[0].state = TargetState::Draining;
    });
    world.wait_health("a", HealthState::Draining);
    // The control plane's clock says first that the delay is over.
    world.apply(|config| config.target_groups[0].targets.clear());
    assert!(client.try_answer(false).is_err());
}

#[test]
fn without_a_deregistration_delay_what_a_target_has_is_cut_off_when_it_goes() {
    let (target, _tell) = slow("a");
    let mut world = World::with(&[&target]);
    let mut client = world.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request is at the target", || if target.requests().is_empty() { Err(String::new()) } else { Ok(()) });
    world.apply(|config| {
        config.target_groups[0].deregistration_delay = Duration::ZERO;
        config.target_groups[0].targets.clear();
    });
    assert!(client.try_answer(false).is_err());
}

#[test]
fn no_request_is_lost_while_configurations_change() {
    let targets = ["a", "b", "c"].map(Server::plain);
    let mut world = World::with(&targets.each_ref());
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, address) = (stop.clone(), world.address());
            std::thread::spawn(move || {
                let (mut client, mut served) = (Client::connect(address), 0);
                while !stop.load(SeqCst) {
                    let answer = client.get("/");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    served += 1;
                }
                served
            })
        })
        .collect();
    for turn in 0..60 {
        world.apply(|config| {
            let states = [TargetState::Draining, TargetState::Active];
            config.target_groups[0].targets[turn % 3].state = states[turn / 3 % 2];
            // One always stays.
            config.target_groups[0].targets[(turn + 1) % 3].state = TargetState::Active;
            config.idle_timeout = Duration::from_secs(60 + turn as u64);
        });
    }
    stop.store(true, SeqCst);
    let served: usize = clients.into_iter().map(|client| client.join().expect("every answer was 200")).sum();
    assert!(served > 60, "{served}");
}

#[test]
fn an_older_revision_is_refused() {
    let world = World::unsettled(&[], |_| {});
    let refused = world.balancer.apply(world.config.clone());
    assert!(matches!(refused, Err(BalancerError::Stale { offered: 1, applied: 1, .. })), "{refused:?}");
}

#[test]
fn a_listener_that_is_no_more_is_shut_and_another_cannot_take_a_taken_port() {
    let target = Server::plain("a");
    let mut world = World::with(&[&target]);
    let mut kept = world.client();
    assert_eq!(kept.get("/").status, 200);
    world.apply(|config| config.listeners[0].port = 81);
    let error = world.wait_report("the port is reported", |report| match report {
        Report::ListenFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert!(error.contains("only port 80"), "{error}");
    wait_for("the old port is shut", || match std::net::TcpStream::connect(world.address()) {
        Err(_) => Ok(()),
        Ok(_) => Err("it is open".to_owned()),
    });
    // A client from before is told to go.
    let answer = kept.get("/");
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
}

#[test]
fn removing_a_balancer_ends_idle_clients_now_and_busy_ones_after_their_answer() {
    let (target, tell) = slow("a");
    let world = World::with(&[&target]);
    let (mut idle, mut busy) = (world.client(), world.client());
    busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request is at the target", || if target.requests().is_empty() { Err(String::new()) } else { Ok(()) });
    world.balancer.remove("lb");
    assert!(idle.is_closed());
    tell.send(()).expect("the target waits");
    assert_eq!(busy.answer().text(), "slow");
    assert!(busy.is_closed());
    wait_for("the port is shut", || match std::net::TcpStream::connect(world.address()) {
        Err(_) => Ok(()),
        Ok(_) => Err("it is open".to_owned()),
    });
    // What it counted is told once more.
    assert_eq!(world.balancer.metrics().len(), 1);
    assert!(world.balancer.metrics().is_empty());
}
