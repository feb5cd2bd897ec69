//! VPCs, subnets and groups: their plain facts for the world.

use crate::model::{Acl, AclRule, GroupRule, InternetGateway, Peer, RouteTable, RouteVia, SecurityGroup, Subnet, Vpc};
use crate::operations::routes;
use ipnet::{IpNet, Ipv4Net};
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::{
    AclEntry, Ask, Group, Network, PeerMatch, PortRange, Protocol, Route, RouteTarget, Rule, Subnet as SubnetFacts,
};
use zonal_wire::AwsError;

/// VPCs.
pub(super) struct Networks;

impl Controller for Networks {
    fn name(&self) -> &'static str {
        "ec2.networks"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Vpc>() {
            wake(&change.scope, &change.key);
        } else if change.is::<InternetGateway>() {
            // A gateway that was just detached no longer says of which VPC: look at all of them.
            view.list::<Vpc>().for_each(|vpc| wake(&change.scope, &vpc.id));
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Vpc>().for_each(|(scope, vpc)| wake(scope, &vpc.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(vpc) = tx.get::<Vpc>(key).cloned() else { return Ok(Wake::OnChange) };
        if vpc.deleting {
            tx.ask(Ask::RemoveNetwork(vpc.id));
            return Ok(Wake::OnChange);
        }
        let internet = tx.list::<InternetGateway>().any(|gateway| gateway.vpc.as_ref() == Some(&vpc.id));
        let region = tx.scope.region.to_string();
        let network = Network { id: vpc.id, cidrs: vec![vpc.cidr], internet, resolver: vpc.dns_support, region };
        tx.ask(Ask::PutNetwork(network));
        Ok(Wake::OnChange)
    }
}

/// Subnets.
pub(super) struct Subnets;

impl Controller for Subnets {
    fn name(&self) -> &'static str {
        "ec2.subnets"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Subnet>() {
            wake(&change.scope, &change.key);
        } else if change.is::<RouteTable>() || change.is::<Acl>() || change.is::<InternetGateway>() {
            view.list::<Subnet>().for_each(|subnet| wake(&change.scope, &subnet.id));
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Subnet>().for_each(|(scope, subnet)| wake(scope, &subnet.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let view = tx.view();
        let ask = match view.get::<Subnet>(key) {
            Some(subnet) => Ask::PutSubnet(facts(&view, subnet)),
            None => Ask::RemoveSubnet(key.to_owned()),
        };
        tx.ask(ask);
        Ok(Wake::OnChange)
    }
}

fn facts(view: &View<'_>, subnet: &Subnet) -> SubnetFacts {
    let routes = routes::table_of(view, &subnet.vpc, &subnet.id).into_iter().flat_map(|table| {
        table.routes.iter().map(|route| {
            let RouteVia::Gateway(_) = &route.via;
            let active = routes::is_active(view, table, route);
            let target = if active { RouteTarget::InternetGateway } else { RouteTarget::Blackhole };
            Route { destination: route.destination, target }
        })
    });
    let acl = view.list::<Acl>().find(|acl| acl.associations.iter().any(|association| association.subnet == subnet.id));
    let entries = |egress| {
        let mut rules: Vec<&AclRule> =
            acl.iter().flat_map(|acl| &acl.rules).filter(|rule| rule.egress == egress).collect();
        rules.sort_by_key(|rule| rule.number);
        rules.into_iter().filter_map(entry).collect()
    };
    SubnetFacts {
        id: subnet.id.clone(),
        network: subnet.vpc.clone(),
        cidr: subnet.cidr,
        zone: subnet.zone.clone(),
        routes: routes.collect(),
        ingress: entries(false),
        egress: entries(true),
    }
}

/// An entry as the world has it; none where it can match nothing: no packet here is IPv6's.
fn entry(rule: &AclRule) -> Option<AclEntry> {
    let IpNet::V4(cidr) = rule.cidr else { return None };
    let (kind, code) = rule.icmp.unzip();
    let protocol = protocol(&rule.protocol, kind, code)?;
    Some(AclEntry { allow: rule.allow, protocol, ports: ports(protocol, rule.ports.unzip())?, cidr })
}

/// A protocol by its name or number; of ICMP, its type and code. None where it is no such thing: operations refuse those, and what is
/// kept from before they did must not let through more than it says.
fn protocol(name: &str, kind: Option<i32>, code: Option<i32>) -> Option<Protocol> {
    // All of them, where it is not said or is -1.
    let octet = |number: Option<i32>| match number {
        None | Some(-1) => Some(None),
        Some(number) => u8::try_from(number).ok().map(Some),
    };
    match name {
        "-1" => Some(Protocol::All),
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        "icmp" | "1" => Some(Protocol::Icmp { kind: octet(kind)?, code: octet(code)? }),
        // IPv6's: nothing here speaks it, and as a number of an IPv4 protocol it matches nothing that is sent.
        "icmpv6" => Some(Protocol::Other(58)),
        number => number.parse().ok().filter(|number| !matches!(number, 1 | 6 | 17)).map(Protocol::Other),
    }
}

/// The ports of a protocol that has some: all, where none are said.
fn ports(protocol: Protocol, (from, to): (Option<i32>, Option<i32>)) -> Option<PortRange> {
    match (protocol, from, to) {
        (Protocol::Tcp | Protocol::Udp, Some(from), Some(to)) => {
            Some(PortRange { from: from.try_into().ok()?, to: to.try_into().ok()? })
        }
        _ => Some(PortRange::ALL),
    }
}

/// Security groups.
pub(super) struct Groups;

impl Controller for Groups {
    fn name(&self) -> &'static str {
        "ec2.groups"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<SecurityGroup>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<SecurityGroup>().for_each(|(scope, group)| wake(scope, &group.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let ask = match tx.get::<SecurityGroup>(key) {
            Some(group) => {
                let rules = |egress| group.rules.iter().filter(|rule| rule.egress == egress).filter_map(rule).collect();
                Ask::PutGroup(Group {
                    id: group.id.clone(),
                    network: group.vpc.clone(),
                    ingress: rules(false),
                    egress: rules(true),
                })
            }
            None => Ask::RemoveGroup(key.to_owned()),
        };
        tx.ask(ask);
        Ok(Wake::OnChange)
    }
}

fn rule(rule: &GroupRule) -> Option<Rule> {
    let peer = match &rule.peer {
        Peer::Cidr(cidr) => PeerMatch::Cidr(Ipv4Net::trunc(cidr)),
        Peer::Group(id) => PeerMatch::Group(id.clone()),
        Peer::Cidr6(_) => return None,
    };
    let protocol = protocol(&rule.protocol, rule.from_port, rule.to_port)?;
    Some(Rule { protocol, ports: ports(protocol, (rule.from_port, rule.to_port))?, peer })
}
