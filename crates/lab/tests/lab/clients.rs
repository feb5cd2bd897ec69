//! The clients as a core: DNS caches, connections, latencies.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_lab::clients::Route;
use zonal_lab::{
    Answer, At, Connection, Input, Load, LoadPlan, Network, Outcome, Output, Reply, Request, Sample, VirtualLoad,
};

fn seconds(s: u64) -> At {
    At(0).plus(Duration::from_secs(s))
}

fn plan(clients: u32, rate: f64, end: u64) -> LoadPlan {
    LoadPlan {
        rate,
        clients,
        route: Route::Name("x.test".into()),
        port: 80,
        path: "/".into(),
        timeout: Duration::from_secs(5),
        idle: Some(Duration::from_secs(30)),
        seed: 11,
        start: At(0),
        end: seconds(end),
    }
}

/// Answers everything, and notes what was asked when.
struct Noting {
    ttl: Duration,
    latency: Duration,
    lookups: Vec<At>,
    requests: Vec<(At, Request)>,
}

impl Noting {
    fn new(ttl: u64, latency_ms: u64) -> Noting {
        let (ttl, latency) = (Duration::from_secs(ttl), Duration::from_millis(latency_ms));
        Noting { ttl, latency, lookups: Vec::new(), requests: Vec::new() }
    }
}

impl Network for Noting {
    fn resolve(&mut self, now: At, name: &str) -> (Answer, Duration) {
        assert_eq!(name, "x.test");
        self.lookups.push(now);
        let addresses = (1..=3).map(|n| Ipv4Addr::new(127, 100, 0, n)).collect();
        (Answer::Addresses { addresses, ttl: self.ttl }, Duration::from_millis(1))
    }

    fn send(&mut self, now: At, request: &Request) -> Reply {
        self.requests.push((now, request.clone()));
        Reply { after: self.latency, outcome: Outcome::Status(200), reusable: true }
    }
}

fn drive(plan: LoadPlan, network: &mut dyn Network) -> Vec<Sample> {
    let mut load = VirtualLoad::new(Load::new(plan));
    let mut samples = Vec::new();
    while let Some(due) = load.due() {
        load.fire(due, network, &mut |sample| samples.push(sample));
    }
    assert!(load.is_over());
    samples
}

#[test]
fn a_client_resolves_once_per_ttl() {
    let mut network = Noting::new(100, 2);
    drive(plan(1, 2.0, 1000), &mut network);
    assert!((9..=10).contains(&network.lookups.len()), "{:?}", network.lookups);
    let gaps = network.lookups.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.into_iter().all(|gap| gap >= network.ttl));
}

#[test]
fn a_client_keeps_to_one_address_for_the_ttl_and_clients_spread() {
    let mut network = Noting::new(10_000, 2);
    drive(plan(300, 30.0, 100), &mut network);
    assert!(network.lookups.len() <= 300);
    let mut counts: BTreeMap<Ipv4Addr, u32> = BTreeMap::new();
    network.requests.iter().for_each(|(_, request)| *counts.entry(request.to).or_default() += 1);
    assert_eq!(counts.len(), 3);
    assert!(counts.values().all(|&n| n > 700), "{counts:?}");
    let mut one = Noting::new(10_000, 2);
    drive(plan(1, 5.0, 100), &mut one);
    assert!(one.requests.windows(2).all(|pair| pair[0].1.to == pair[1].1.to));
}

#[test]
fn addresses_given_by_hand_are_never_looked_up() {
    let mut network = Noting::new(1, 2);
    let given: Vec<_> = (1..=2).map(|n| Ipv4Addr::new(127, 100, 9, n)).collect();
    drive(LoadPlan { route: Route::Addresses(given.clone()), ..plan(2, 5.0, 50) }, &mut network);
    assert!(network.lookups.is_empty());
    assert!(
        network
            .requests
            .iter()
            .all(|(_, request)| given.contains(&request.to) && request.host == request.to.to_string())
    );
}

#[test]
fn idle_connections_are_used_again_until_they_are_too_old() {
    let mut network = Noting::new(10_000, 2);
    let busy = drive(plan(1, 2.0, 200), &mut network).len();
    let new = |network: &Noting| network.requests.iter().filter(|(_, r)| r.connection == Connection::New).count();
    assert!(new(&network) <= 5 && busy > 300, "{} of {busy} connections were new", new(&network));
    let mut network = Noting::new(10_000, 2);
    let all = drive(LoadPlan { idle: None, ..plan(1, 2.0, 200) }, &mut network).len();
    assert_eq!(new(&network), all);
}

#[test]
fn latency_counts_from_when_the_request_was_wanted() {
    // The shell comes late: a second after the first request was due.
    let mut load = Load::new(LoadPlan { route: Route::Addresses(vec![Ipv4Addr::LOCALHOST]), ..plan(1, 1.0, 1000) });
    let due = load.due().expect("requests come");
    let (late, mut out) = (due.plus(Duration::from_secs(1)), Vec::new());
    load.handle(late, Input::Tick, &mut out);
    let Some(Output::Send(request)) = out.first().cloned() else { panic!("{out:?}") };
    assert_eq!(request.deadline, late.plus(Duration::from_secs(5)));
    out.clear();
    let done = late.plus(Duration::from_millis(10));
    load.handle(
        done,
        Input::Finished { request: request.id, outcome: Outcome::Status(200), reusable: false },
        &mut out,
    );
    // A second request of the same second may have been due as well; the first sample is what counts.
    let Some(Output::Done(sample)) = out.first() else { panic!("{out:?}") };
    assert_eq!((sample.intended, sample.latency()), (due, Duration::from_millis(1010)));
}

#[test]
fn who_gets_no_answer_from_dns_loses_the_request_and_asks_again() {
    struct Mute(u32);
    impl Network for Mute {
        fn resolve(&mut self, _: At, _: &str) -> (Answer, Duration) {
            self.0 += 1;
            (Answer::Failed, Duration::from_secs(60))
        }
        fn send(&mut self, _: At, _: &Request) -> Reply {
            panic!("there is no address to send to")
        }
    }
    let mut mute = Mute(0);
    let samples = drive(plan(1, 1.0, 100), &mut mute);
    assert!(mute.0 > 5, "{}", mute.0);
    assert!(
        samples.iter().all(|sample| sample.outcome == Outcome::NoName && sample.latency() <= Duration::from_secs(5))
    );
}

/// Does anything at all, drawn from a list of numbers.
struct Wild(Vec<u8>, usize);

impl Wild {
    fn draw(&mut self) -> u64 {
        self.1 += 1;
        u64::from(self.0[self.1 % self.0.len()])
    }
}

impl Network for Wild {
    fn resolve(&mut self, _: At, _: &str) -> (Answer, Duration) {
        let after = Duration::from_millis(self.draw() * 30);
        match self.draw() % 4 {
            0 => (Answer::Failed, after),
            n => {
                let addresses = (1..n).map(|n| Ipv4Addr::new(127, 100, 0, n as u8)).collect();
                (Answer::Addresses { addresses, ttl: Duration::from_secs(self.draw()) }, after)
            }
        }
    }

    fn send(&mut self, _: At, _: &Request) -> Reply {
        let outcome = match self.draw() % 5 {
            0 => Outcome::Timeout,
            1 => Outcome::Refused,
            2 => Outcome::Status(502),
            _ => Outcome::Status(200),
        };
        Reply { after: Duration::from_millis(self.draw() * 40), outcome, reusable: self.draw().is_multiple_of(2) }
    }
}

proptest! {
    #[test]
    fn every_request_ends_once_in_time_and_in_each_clients_order(
        numbers in proptest::collection::vec(any::<u8>(), 1..60), clients in 1u32..8, seed: u64,
    ) {
        let samples = drive(LoadPlan { seed, ..plan(clients, 4.0, 60) }, &mut Wild(numbers, 0));
        let mut arrivals = 0;
        let mut quiet = Load::new(LoadPlan { seed, ..plan(clients, 4.0, 60) });
        let mut out = Vec::new();
        while let Some(due) = quiet.due() {
            quiet.handle(due, Input::Tick, &mut out);
            arrivals += 1;
        }
        // Two arrivals at the same microsecond are taken in one tick.
        prop_assert!(samples.len() >= arrivals);
        let mut last: BTreeMap<u32, At> = BTreeMap::new();
        for sample in &samples {
            prop_assert!(sample.latency() <= Duration::from_secs(10), "{sample:?}");
            let before = last.insert(sample.client, sample.intended);
            prop_assert!(before.is_none_or(|before| before <= sample.intended));
        }
    }

    #[test]
    fn a_connection_carries_one_request_at_a_time(numbers in proptest::collection::vec(any::<u8>(), 1..60)) {
        struct Checking(Wild, BTreeMap<u64, At>);
        impl Network for Checking {
            fn resolve(&mut self, now: At, name: &str) -> (Answer, Duration) {
                self.0.resolve(now, name)
            }
            fn send(&mut self, now: At, request: &Request) -> Reply {
                let reply = self.0.send(now, request);
                let connection = match request.connection {
                    Connection::New => request.id,
                    Connection::Reuse(id) => id,
                };
                let busy_until = self.1.insert(connection, now.plus(reply.after));
                assert!(busy_until.is_none_or(|until| until <= now), "{request:?} at {now:?}");
                reply
            }
        }
        drive(plan(3, 20.0, 60), &mut Checking(Wild(numbers, 0), BTreeMap::new()));
    }
}
