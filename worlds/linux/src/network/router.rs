//! Routers: making one, joining interfaces to it, and keeping its rules true to the VPC.

mod look;

use super::inet::{self, Ahead};
use super::model::{UPLINK, Vpc, device, steer_mark};
use super::namespace::{Kind, Namespace, net};
use super::netlink::{End, LOOPBACK, Netlink, parse_mac};
use super::ruleset::Ruleset;
use super::{GATEWAY, INET, INET_ADDRESS, METADATA, RESOLVER, ROUTER_ADDRESS, nft};
use crate::error::{Act, Error, Result};
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use zonal_substrate::{Group, Interface, Network, Subnet};

/// The world's routers, and where their facts are kept: on a file system that ends with the namespaces themselves.
pub(crate) struct Routers {
    /// Where the namespaces of routers are pinned.
    namespaces: PathBuf,
    /// Where those of interfaces are.
    interfaces: PathBuf,
    /// Where the facts are kept.
    facts: PathBuf,
    vpcs: BTreeMap<String, Kept>,
    /// Which VPC an interface, subnet or group is in.
    homes: BTreeMap<String, String>,
    /// Interfaces that were put to the end since this process began: all that belongs to their facts is there.
    whole: BTreeSet<String>,
    /// The zones that are cut off, for VPCs to come.
    cut: BTreeSet<String>,
    /// The host's address as the world sees it.
    host: Ipv4Addr,
}

struct Kept {
    vpc: Vpc,
    applied: Ruleset,
}

impl Routers {
    /// Opens `inet`, or takes the one that was made ahead, and adopts the routers that stand. Namespaces are `pinned` in two directories:
    /// routers', interfaces'.
    pub(crate) fn open(
        pinned: (&Path, &Path),
        facts: &Path,
        public: Ipv4Net,
        host: Ipv4Addr,
        ahead: Option<Ahead>,
    ) -> Result<Self> {
        let mut routers = Self {
            namespaces: pinned.0.to_owned(),
            interfaces: pinned.1.to_owned(),
            facts: facts.to_owned(),
            vpcs: BTreeMap::new(),
            homes: BTreeMap::new(),
            whole: BTreeSet::new(),
            cut: BTreeSet::new(),
            host,
        };
        match routers.namespace(INET) {
            Ok(stands) => inet::furnish(&stands, public, host, true)?,
            Err(Error::Unknown { .. }) => {
                let made = ahead.map_or_else(|| inet::make(public, host), Ahead::finish)?;
                made.pin(pinned.0)?;
            }
            Err(error) => return Err(error),
        }
        for name in Namespace::all(facts) {
            let path = facts.join(&name);
            let bytes = std::fs::read(&path).act("read", path.display())?;
            let Ok(vpc) = serde_json::from_slice::<Vpc>(&bytes) else { continue };
            let applied = Ruleset::of(&vpc);
            // What was written last may not be what was applied last.
            nft(&routers.namespace(&name)?, &applied.whole())?;
            for id in vpc.subnets.keys().chain(vpc.groups.keys()).chain(vpc.interfaces.keys()) {
                routers.homes.insert(id.clone(), name.clone());
            }
            routers.cut.extend(vpc.cut.iter().cloned());
            routers.vpcs.insert(name, Kept { vpc, applied });
        }
        Ok(routers)
    }

    fn namespace(&self, name: &str) -> Result<Namespace> {
        Namespace::open(&self.namespaces, name)
    }

    /// The namespace of an interface that is beside none.
    fn end(&self, interface: &str) -> Result<Namespace> {
        Namespace::open(&self.interfaces, interface)
    }

    /// Makes a VPC's router, or changes its facts.
    pub(crate) fn put_network(&mut self, network: Network) -> Result<()> {
        let id = network.id.clone();
        let stood = self.namespace(&id).is_ok();
        let router = Namespace::open_or_make(&self.namespaces, &id, Kind::Router)?;
        let netlink = router.netlink()?;
        if !netlink.has(UPLINK) {
            let inet = self.namespace(INET)?;
            let here = End { name: UPLINK, mac: None };
            netlink.pair(&here, &End { name: &device(&id), mac: None }, inet.as_fd(), &id)?;
        }
        netlink.up(netlink.index(UPLINK)?)?;
        let from_inet = self.namespace(INET)?.netlink()?;
        from_inet.up(from_inet.index(&device(&id))?)?;
        for address in [GATEWAY, ROUTER_ADDRESS, METADATA, RESOLVER] {
            netlink.add_address(LOOPBACK, Ipv4Net::from(address))?;
        }
        for cidr in &network.cidrs {
            if let Some(resolver) = resolver_address(*cidr) {
                netlink.add_address(LOOPBACK, Ipv4Net::from(resolver))?;
            }
        }
        netlink.route(netlink.index(UPLINK)?, Ipv4Net::default(), Some(INET_ADDRESS), Some(ROUTER_ADDRESS))?;
        match self.vpcs.get(&id) {
            Some(_) => return self.alter(&id, |vpc| vpc.network = network),
            None => {
                let mut vpc = Vpc::new(network);
                vpc.cut.clone_from(&self.cut);
                nft(&router, &if stood { Ruleset::default().whole() } else { Ruleset::first() })?;
                self.vpcs.insert(id.clone(), Kept { vpc, applied: Ruleset::default() });
            }
        }
        self.apply(&id)
    }

    /// Ends a VPC's router, with every interface that is left.
    pub(crate) fn remove_network(&mut self, id: &str) -> Result<()> {
        if let Some(kept) = self.vpcs.get(id) {
            for interface in kept.vpc.interfaces.keys().cloned().collect::<Vec<_>>() {
                self.remove_interface(&interface)?;
            }
        }
        self.vpcs.remove(id);
        self.homes.retain(|_, home| home != id);
        // The pair goes with either end.
        let _ = self.namespace(INET)?.netlink()?.remove(&device(id));
        Namespace::remove(&self.namespaces, id)?;
        match std::fs::remove_file(self.facts.join(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).act("forget", id),
            _ => Ok(()),
        }
    }

    /// Puts a subnet's facts; one that stands as it is costs nothing.
    pub(crate) fn put_subnet(&mut self, subnet: Subnet) -> Result<()> {
        let (home, id) = (subnet.network.clone(), subnet.id.clone());
        match self.vpcs.get(&home).and_then(|kept| kept.vpc.subnets.get(&id)) {
            Some(stands) if *stands == subnet => Ok(()),
            _ => self.change(&home, &id, |vpc| drop(vpc.subnets.insert(subnet.id.clone(), subnet))),
        }
    }

    /// Puts a group's, likewise.
    pub(crate) fn put_group(&mut self, group: Group) -> Result<()> {
        let (home, id) = (group.network.clone(), group.id.clone());
        match self.vpcs.get(&home).and_then(|kept| kept.vpc.groups.get(&id)) {
            Some(stands) if *stands == group => Ok(()),
            _ => self.change(&home, &id, |vpc| drop(vpc.groups.insert(group.id.clone(), group))),
        }
    }

    /// Changes a VPC's facts, then its rules.
    fn change(&mut self, home: &str, id: &str, change: impl FnOnce(&mut Vpc)) -> Result<()> {
        if !self.vpcs.contains_key(home) {
            return Err(Error::Unknown { kind: "network", id: home.to_owned() });
        }
        self.alter(home, change)?;
        self.homes.insert(id.to_owned(), home.to_owned());
        Ok(())
    }

    /// Changes the facts of a VPC that stands, then its rules. What its router refuses is no fact: else all that follows would be refused
    /// with it.
    fn alter(&mut self, home: &str, change: impl FnOnce(&mut Vpc)) -> Result<()> {
        let Some(kept) = self.vpcs.get_mut(home) else { return Ok(()) };
        let before = kept.vpc.clone();
        change(&mut kept.vpc);
        let applied = self.apply(home);
        if applied.is_err()
            && let Some(kept) = self.vpcs.get_mut(home)
        {
            kept.vpc = before;
        }
        applied
    }

    /// Takes a subnet or group out of its VPC's facts.
    pub(crate) fn forget(&mut self, id: &str) -> Result<()> {
        let Some(home) = self.homes.get(id).cloned() else { return Ok(()) };
        self.alter(&home, |vpc| {
            vpc.subnets.remove(id);
            vpc.groups.remove(id);
        })?;
        self.homes.remove(id);
        Ok(())
    }

    /// Cuts a zone off, or joins it again: in every VPC that lets it, whatever another does.
    pub(crate) fn set_zone(&mut self, zone: &str, cut: bool) -> Result<()> {
        let set = |zones: &mut BTreeSet<String>| if cut { zones.insert(zone.to_owned()) } else { zones.remove(zone) };
        set(&mut self.cut);
        let mut done = Ok(());
        for id in self.vpcs.keys().cloned().collect::<Vec<_>>() {
            done = done.and(self.alter(&id, |vpc| _ = set(&mut vpc.cut)));
        }
        done
    }

    /// Has an interface go silent, as its machine is off, or be heard again.
    pub(crate) fn set_silent(&mut self, id: &str, silent: bool) -> Result<()> {
        let Some(home) = self.homes.get(id).cloned() else { return Ok(()) };
        let Some(vpc) = self.vpcs.get(&home).map(|kept| &kept.vpc) else { return Ok(()) };
        let beside = |other: &&Interface| other.beside.as_ref().is_some_and(|beside| beside.interface == id);
        let others = vpc.interfaces.values().filter(beside).map(|other| other.id.clone());
        let mut all: Vec<String> = others.chain([id.to_owned()]).collect();
        all.retain(|id| vpc.silent.contains(id) != silent);
        if all.is_empty() {
            return Ok(());
        }
        self.alter(&home, |vpc| {
            for id in all {
                if silent {
                    vpc.silent.insert(id)
                } else {
                    vpc.silent.remove(&id)
                };
            }
        })
    }

    /// Whether an interface is silent.
    pub(crate) fn is_silent(&self, id: &str) -> bool {
        self.vpcs.values().any(|kept| kept.vpc.silent.contains(id))
    }

    /// Brings the router's rules up to its VPC's facts.
    fn apply(&mut self, id: &str) -> Result<()> {
        let router = self.namespace(id)?;
        let Some(kept) = self.vpcs.get_mut(id) else { return Ok(()) };
        let next = Ruleset::of(&kept.vpc);
        nft(&router, &kept.applied.changes(&next))?;
        kept.applied = next;
        let path = self.facts.join(id);
        let facts = serde_json::to_vec(&kept.vpc)
            .map_err(|e| Error::Protocol { peer: "facts file", message: e.to_string() })?;
        crate::files::replace(&path, facts).act("write", path.display())
    }

    /// Whether an interface beside this one has a public address: it moved there, and its new holder was put first. Both are
    /// reached by one route, which is to stay.
    fn is_anothers(&self, home: &str, id: &str, public: Ipv4Addr) -> bool {
        let all = self.vpcs.get(home).into_iter().flat_map(|kept| kept.vpc.interfaces.values());
        let mut others = all.filter(|other| other.id != id);
        others.any(|other| other.addresses.iter().any(|address| address.public == Some(public)))
    }

    /// Makes an interface, or gives it other addresses and groups.
    pub(crate) fn put_interface(&mut self, interface: Interface) -> Result<()> {
        let id = interface.id.clone();
        let home = interface.network.clone();
        let stands = self.vpcs.get(&home).and_then(|kept| kept.vpc.interfaces.get(&id));
        if self.whole.contains(&id) && stands == Some(&interface) {
            return Ok(());
        }
        self.whole.remove(&id);
        let mac = parse_mac(&interface.mac).ok_or_else(|| Error::Refused(format!("hardware address of {id}")))?;
        let router = self.namespace(&home)?;
        let to_router = router.netlink()?;
        let name = device(&id);
        let before = self.vpcs.get(&home).and_then(|kept| kept.vpc.interfaces.get(&id)).cloned();
        if let Some(before) = before.as_ref().filter(|before| before.beside != interface.beside) {
            self.part(&to_router, before)?;
        }
        let place = interface.beside.as_ref().map_or(0, |beside| beside.index);
        let namespace = Namespace::open_or_make(&self.interfaces, place_of(&interface), Kind::Interface)?;
        if !to_router.has(&name) {
            let there = End { name: &format!("eth{place}"), mac: Some(mac) };
            to_router.pair(&End { name: &name, mac: None }, &there, namespace.as_fd(), &id)?;
        }
        let index = to_router.index(&name)?;
        to_router.up(index)?;
        let own: Vec<Ipv4Addr> = interface.addresses.iter().map(|address| address.private).collect();
        let own_end = namespace.netlink()?;
        let inet = self.namespace(INET)?.netlink()?;
        let uplink = inet.index(&device(&home))?;
        for gone in before.iter().flat_map(|before| &before.addresses) {
            if !own.contains(&gone.private) {
                let _ = own_end.disown(place, gone.private);
                let _ = to_router.unroute(index, Ipv4Net::from(gone.private));
            }
            if let Some(public) = gone.public
                && !interface.addresses.iter().any(|address| address.public == Some(public))
                && !self.is_anothers(&home, &id, public)
            {
                let _ = inet.unroute(uplink, Ipv4Net::from(public));
            }
        }
        match place {
            0 => own_end.own_end(&own, GATEWAY)?,
            place => own_end.end_beside(place, &own, GATEWAY)?,
        }
        for address in &interface.addresses {
            to_router.route(index, Ipv4Net::from(address.private), None, None)?;
        }
        if interface.transparent {
            own_end.take_all()?;
            if let Some(first) = own.first() {
                to_router.steer(steer_mark(&id), index, *first)?;
            }
        }
        self.change(&home, &id, |vpc| {
            // One more interface of a machine is as silent as its first.
            match &interface.beside {
                Some(beside) if vpc.silent.contains(&beside.interface) => drop(vpc.silent.insert(id.clone())),
                Some(_) => drop(vpc.silent.remove(&id)),
                None if before.is_some_and(|before| before.beside.is_some()) => drop(vpc.silent.remove(&id)),
                None => {}
            }
            vpc.interfaces.insert(interface.id.clone(), interface.clone());
        })?;
        // Last, so that nobody outside reaches it before its groups stand.
        for public in interface.addresses.iter().filter_map(|address| address.public) {
            inet.route(uplink, Ipv4Net::from(public), Some(ROUTER_ADDRESS), Some(self.host))?;
        }
        self.whole.insert(id);
        Ok(())
    }

    /// Takes an interface's two ends away: they are made anew where it belongs next.
    fn part(&self, router: &Netlink, interface: &Interface) -> Result<()> {
        if let Some(beside) = &interface.beside
            && let Ok(machine) = self.end(&beside.interface).and_then(|machine| machine.netlink())
        {
            for address in &interface.addresses {
                let _ = machine.disown(beside.index, address.private);
            }
        }
        let name = device(&interface.id);
        if router.has(&name) { router.remove(&name) } else { Ok(()) }
    }

    /// Ends an interface.
    pub(crate) fn remove_interface(&mut self, id: &str) -> Result<()> {
        // What is beside it ends with it, and is made anew when it is asked for again.
        let beside = |other: &&Interface| other.beside.as_ref().is_some_and(|beside| beside.interface == id);
        let all = self.vpcs.values().flat_map(|kept| kept.vpc.interfaces.values());
        let ended: Vec<String> = all.filter(beside).map(|other| other.id.clone()).chain([id.to_owned()]).collect();
        self.whole.retain(|id| !ended.contains(id));
        if let Some(home) = self.homes.get(id).cloned() {
            let interface = self.vpcs.get(&home).and_then(|kept| kept.vpc.interfaces.get(id)).cloned();
            let inet = self.namespace(INET)?.netlink()?;
            if let Ok(uplink) = inet.index(&device(&home)) {
                for public in interface.iter().flat_map(|i| &i.addresses).filter_map(|address| address.public) {
                    if !self.is_anothers(&home, id, public) {
                        let _ = inet.unroute(uplink, net(public, 32));
                    }
                }
            }
            let router = self.namespace(&home)?.netlink()?;
            let name = device(id);
            if interface.as_ref().is_some_and(|interface| interface.transparent) {
                // It may never have been made.
                let _ = router.unsteer(steer_mark(id));
            }
            match &interface {
                Some(interface) => self.part(&router, interface)?,
                None if router.has(&name) => router.remove(&name)?,
                None => {}
            }
            self.alter(&home, |vpc| {
                vpc.silent.remove(id);
                vpc.interfaces.remove(id);
            })?;
            self.homes.remove(id);
        }
        Namespace::remove(&self.interfaces, id)
    }
}

/// The namespace that an interface's own end is in.
fn place_of(interface: &Interface) -> &str {
    interface.beside.as_ref().map_or(&interface.id, |beside| &beside.interface)
}

/// The address of a range's resolver: its base plus two.
pub(crate) fn resolver_address(cidr: Ipv4Net) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(u32::from(cidr.network()).checked_add(2)?);
    cidr.contains(&address).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use zonal_substrate::{PeerMatch, PortRange, Protocol, Rule};

    fn group(id: &str) -> (String, Group) {
        (id.to_owned(), Group { id: id.to_owned(), network: "vpc-1".to_owned(), ingress: vec![], egress: vec![] })
    }

    #[test]
    fn what_a_router_refuses_is_no_fact_and_stands_in_the_way_of_nothing() {
        if !nix::unistd::Uid::effective().is_root() {
            assert!(std::env::var_os("ZONAL_STRICT").is_none(), "needs root");
            println!("skipped: needs root");
            return;
        }
        // A thread with mounts of its own, which end with it.
        let run = || {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let at = std::env::temp_dir().join(format!("zonal-router-{}", std::process::id()));
            let (namespaces, interfaces, facts) = (at.join("net"), at.join("interfaces"), at.join("facts"));
            [&namespaces, &interfaces, &facts].iter().for_each(|directory| std::fs::create_dir_all(directory).unwrap());
            let public = net(Ipv4Addr::new(127, 100, 0, 0), 16);
            // As a warden leaves it that is killed while it pins one.
            std::fs::write(namespaces.join(INET), "").unwrap();
            let host = Ipv4Addr::new(127, 100, 0, 1);
            let mut routers = Routers::open((&namespaces, &interfaces), &facts, public, host, None).unwrap();
            let network = Network {
                id: "vpc-1".into(),
                cidrs: vec![net(Ipv4Addr::new(10, 0, 0, 0), 16)],
                internet: true,
                resolver: true,
                region: String::new(),
            };
            routers.put_network(network).unwrap();
            let mut put = |id: &str| routers.change("vpc-1", id, |vpc| vpc.groups.extend([group(id)]));
            put("sg-1").unwrap();
            assert!(matches!(put("no name; for nft"), Err(Error::Nft { .. })));
            put("sg-2").unwrap();
            // What stands as it is is not even written.
            let written = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(facts.join("vpc-1")).unwrap());
            let before = written();
            routers.put_group(group("sg-1").1).unwrap();
            assert_eq!(written(), before);
            let rule = Rule { protocol: Protocol::All, ports: PortRange::ALL, peer: PeerMatch::Group("sg-2".into()) };
            routers.put_group(Group { egress: vec![rule], ..group("sg-1").1 }).unwrap();
            assert_ne!(written(), before);
            let kept: Vec<&String> = routers.vpcs["vpc-1"].vpc.groups.keys().collect();
            assert_eq!(kept, ["sg-1", "sg-2"]);
            assert_eq!(routers.home("no name; for nft"), None);
            routers.remove_network("vpc-1").unwrap();
            Namespace::remove(&namespaces, INET).unwrap();
            std::fs::remove_dir_all(&at).unwrap();
        };
        std::thread::spawn(run).join().unwrap();
    }
}
