//! More than one interface on a machine: attached and detached while it runs.

use crate::fixture::*;
use crate::packets::{servers, tries};
use std::net::Ipv4Addr;
use zonal_substrate::*;

pub const TESTS: &[Test] = &[(
    "an_interface_is_attached_to_a_machine_that_runs_and_taken_away_again",
    an_interface_is_attached_to_a_machine_that_runs_and_taken_away_again,
)];

/// The devices that a machine has.
fn devices(world: &Fixture, name: &str) -> Vec<String> {
    let script = "python3 -c 'import socket; print(*[name for _, name in socket.if_nameindex()])'\n";
    world.run(name, script).split_ascii_whitespace().map(ToOwned::to_owned).collect()
}

/// Whether the world has said that the interface is where that generation was asked to be.
fn is_ready(world: &Fixture, generation: u64) -> bool {
    world.heard().contains(&Report::InterfaceReady { id: "eni-more".into(), generation })
}

fn an_interface_is_attached_to_a_machine_that_runs_and_taken_away_again() {
    let world = Fixture::new();
    world.ask(simple());
    let machine = Instance { user_data: servers(), ..Instance::new("a", "10.0.1.10") };
    let other = Instance { user_data: servers(), ..Instance::new("b", "10.0.1.11") };
    world.instance(&machine);
    world.instance(&other);
    let more =
        Instance { public: Some(world.public(20)), groups: vec!["sg-web"], ..Instance::new("more", "10.0.1.20") };
    let at = |generation: u64, beside: Option<Beside>| {
        Ask::PutInterface(Interface { beside, generation, ..more.interface() })
    };
    let (theirs, asked): (Ipv4Addr, Ipv4Addr) = (other.private, more.private);
    let reached = || tries(&world, "b", &[(asked, 80), (asked, 8080)]).into_iter().collect::<Vec<_>>();

    world.ask(vec![at(1, None)]);
    until("the interface", || Some(()).filter(|()| is_ready(&world, 1)));
    assert_eq!((devices(&world, "a"), reached()), (vec!["lo".into(), "eth0".into()], vec![]));

    world.ask(vec![at(2, Some(Beside { interface: "eni-a".into(), index: 1 }))]);
    // Its own group holds for it, not the machine's first interface's.
    until("the interface to answer", || Some(reached()).filter(|reached| *reached == [(asked, 80, theirs)]));
    assert_eq!(devices(&world, "a"), ["lo", "eth0", "eth1"]);
    until("its public address to answer", || answers(world.public(20), 80));
    // What leaves from its address leaves through it: the router lets nobody else use it.
    let script = format!(
        "python3 -c \"import socket; s = socket.create_connection(('{theirs}', 80), 5, ('{asked}', 0)); s.sendall(b'GET / \\r\\n\\r\\n'); \
         print(s.recv(100).decode().split()[-1])\"\n"
    );
    assert_eq!(world.run("a", &script).trim(), asked.to_string());
    // And the first one is as it was.
    assert_eq!(tries(&world, "b", &[(machine.private, 8080)]).len(), 1);

    world.ask(vec![at(3, None)]);
    until("the interface to be taken away", || Some(devices(&world, "a")).filter(|all| *all == ["lo", "eth0"]));
    assert_eq!(reached(), []);
    until("the word that it is where it should be", || Some(()).filter(|()| is_ready(&world, 3)));

    // As often as one likes, to any machine; and to where it was.
    let places = [Some("eni-a"), Some("eni-a"), None, Some("eni-b"), Some("eni-a")];
    for (beside, generation) in places.into_iter().zip(4..) {
        world.ask(vec![at(generation, beside.map(|interface| Beside { interface: interface.into(), index: 1 }))]);
        until("the word that it is where it should be", || Some(()).filter(|()| is_ready(&world, generation)));
    }
    until("the interface to answer", || Some(reached()).filter(|reached| *reached == [(asked, 80, theirs)]));
    assert_eq!(devices(&world, "b"), ["lo", "eth0"]);
    assert_eq!(tries(&world, "b", &[(machine.private, 8080)]).len(), 1);
}
