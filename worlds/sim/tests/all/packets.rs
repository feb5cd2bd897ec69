//! Who reaches whom.

use crate::town::{GROUP, Town, all_out, anywhere, entry, interface, public, rule, subnet};
use std::time::Duration;
use zonal_sim::Ending::{Refused, Silence, Status};
use zonal_substrate::{Ask, Interface, PeerMatch, PortRange, Report, RouteTarget};

#[test]
fn a_group_lets_in_what_its_rules_name_and_nothing_else() {
    let town = Town::with(1);
    assert_eq!(town.visit(0, 80).ending, Status(200));
    assert_eq!(town.visit(0, 22).ending, Silence, "what no rule names is dropped, not refused");
    town.group(vec![rule(80, PeerMatch::Cidr("10.0.0.0/8".parse().unwrap()))], all_out());
    assert_eq!(town.visit(0, 80).ending, Silence);
    town.group(vec![rule(80, PeerMatch::Group(GROUP.into()))], all_out());
    assert_eq!(town.visit(0, 80).ending, Silence, "nobody outside is a member of a group");
}

#[test]
fn answers_leave_though_a_group_lets_nothing_out_but_not_past_an_access_list() {
    let town = Town::with(1);
    town.group(vec![rule(80, anywhere())], Vec::new());
    assert_eq!(town.visit(0, 80).ending, Status(200), "groups are stateful");
    let only_80 = vec![entry(true, PortRange { from: 80, to: 80 })];
    let mut strict = subnet(0);
    strict.egress = only_80.clone();
    town.ask([Ask::PutSubnet(strict.clone())]);
    assert_eq!(town.visit(0, 80).ending, Silence, "access lists are not: the answer goes to an ephemeral port");
    strict.egress.push(entry(true, PortRange { from: 1024, to: u16::MAX }));
    strict.ingress = only_80;
    town.ask([Ask::PutSubnet(strict)]);
    assert_eq!(town.visit(0, 80).ending, Status(200));
}

#[test]
fn the_first_entry_of_an_access_list_that_matches_decides() {
    let town = Town::with(1);
    let mut denies = subnet(0);
    denies.ingress.insert(0, entry(false, PortRange { from: 80, to: 80 }));
    town.ask([Ask::PutSubnet(denies.clone())]);
    assert_eq!(town.visit(0, 80).ending, Silence);
    denies.ingress.swap(0, 1);
    town.ask([Ask::PutSubnet(denies)]);
    assert_eq!(town.visit(0, 80).ending, Status(200));
}

#[test]
fn nothing_comes_in_without_a_route_to_a_gateway() {
    let town = Town::with(1);
    let mut lost = subnet(0);
    lost.routes[0].target = RouteTarget::Blackhole;
    town.ask([Ask::PutSubnet(lost.clone())]);
    assert_eq!(town.visit(0, 80).ending, Silence);
    lost.routes.clear();
    town.ask([Ask::PutSubnet(lost)]);
    assert_eq!(town.visit(0, 80).ending, Silence);
}

#[test]
fn a_public_address_leads_to_whoever_has_it_now() {
    let town = Town::with(2);
    let bare = |n: u8| {
        let mut own = interface(n);
        own.addresses[0].public = None;
        own
    };
    let mut second = interface(1);
    second.addresses[0].public = Some(public(0));
    // It moves, as an Elastic IP does; the order in which the world hears of it must not matter.
    town.ask([Ask::PutInterface(second), Ask::PutInterface(bare(0))]);
    assert_eq!(town.visit(0, 80).ending, Status(200));
    assert_eq!(town.visit(1, 80).ending, Refused, "an address that nobody has");
    town.ask([Ask::RemoveInterface("eni-1".into())]);
    assert_eq!(town.visit(0, 80).ending, Refused);
}

#[test]
fn an_interface_is_said_to_be_ready_where_it_was_asked_for_last() {
    let mut town = Town::with(1);
    let at = |generation| Ask::PutInterface(Interface { generation, ..interface(0) });
    town.heard.clear();
    // Nobody waits for the first of them any more; and what nothing changes is said again only where it is asked for anew.
    town.ask([at(1), at(2), at(2)]);
    town.pass(Duration::from_secs(1));
    assert_eq!(town.heard, [Report::InterfaceReady { id: "eni-0".into(), generation: 2 }]);
}
