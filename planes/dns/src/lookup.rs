//! A name and a type to record sets, within what one client may see.
//!
//! The rules: the longest matching zone answers; in it RFC 1034 4.3.2 with RFC 4592's wildcards; a CNAME is followed, an alias
//! is replaced by its target's records; a routing policy picks among sets. Chance is one number that the caller drew.

use std::cell::Cell;
use std::net::IpAddr;

use domain::base::Rtype;
use domain::base::name::{Name, ToName};
use smallvec::SmallVec;

use crate::config::PUBLIC;
use crate::geo::{self, Whereabouts};
use crate::name::{self, Key, KeyBuffer, WireName};
use crate::names::Node;
use crate::policy::{Content, spread};
use crate::records::{Records, Target};
use crate::reserved;
use crate::snapshot::{Snapshot, View, Zone};

/// CNAMEs in a row, and aliases in a row, that are followed.
const MAX_CHAIN: usize = 8;

/// Where a query comes from, for policies that ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// The address, or the subnet's in whose name it asks.
    pub address: Option<IpAddr>,
    /// The region that it is in, where it is inside the world.
    pub region: Option<&'a str>,
}

/// What one client sees: its own view over the public one, and how far a CNAME is followed.
pub(crate) struct Scope<'a, 'c> {
    snapshot: &'a Snapshot,
    own: Option<&'a View>,
    public: Option<&'a View>,
    /// A resolver follows a CNAME into any zone, an authoritative server stays in the one it answers from.
    crosses_zones: bool,
    client: Client<'c>,
    /// Whether the answer depends on who asks.
    located: Cell<bool>,
}

/// What was found: the records in the order in which they are to be written, and how it ended.
pub(crate) struct Resolution<'a> {
    pub(crate) links: Links<'a>,
    pub(crate) ending: Ending<'a>,
    /// The zone that the name asked for is in.
    pub(crate) zone: Option<&'a Zone>,
    /// Whether the answer depends on who asks.
    pub(crate) located: bool,
}

/// Record sets in the order in which they are written.
pub(crate) type Links<'a> = SmallVec<[Link<'a>; 4]>;

/// A record set under the name it is given out for.
#[derive(Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) records: &'a Records,
    /// The zone that the owner is in.
    pub(crate) zone: &'a Zone,
}

/// Whose records they are.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    Question,
    /// The target of a record that was found before.
    Target(Target<'a>),
}

/// How a lookup ended.
pub(crate) enum Ending<'a> {
    /// The last link has the type asked for.
    Answer,
    /// The name exists, the type does not.
    NoData(&'a Zone),
    /// The name does not exist.
    NoName(&'a Zone),
    /// These name servers know.
    Referral { cut: &'a Node, servers: &'a Records, zone: &'a Zone, elsewhere: Owner<'a> },
    /// No zone here has the name.
    Outside(Owner<'a>),
    /// CNAMEs that lead nowhere.
    Loop,
}

/// A name within a zone.
enum Found<'a> {
    Node(&'a Node),
    Cut { cut: &'a Node, servers: &'a Records },
    Nothing,
}

impl<'a, 'c> Scope<'a, 'c> {
    /// What a name server sees that serves `view` and nothing else.
    pub(crate) fn authoritative(snapshot: &'a Snapshot, view: &str, client: Client<'c>) -> Self {
        let own = snapshot.view(view);
        Scope { snapshot, own, public: None, crosses_zones: false, client, located: Cell::new(false) }
    }

    /// What the resolver of `view` sees.
    pub(crate) fn resolver(snapshot: &'a Snapshot, view: &str, client: Client<'c>) -> Self {
        let own = if view == PUBLIC { None } else { snapshot.view(view) };
        let public = snapshot.view(PUBLIC);
        Scope { snapshot, own, public, crosses_zones: true, client, located: Cell::new(false) }
    }

    /// Where the client is, if that is known.
    pub(crate) fn whereabouts(&self) -> Option<Whereabouts<'a>> {
        self.located.set(true);
        let region = self.client.region.and_then(geo::region);
        region.or_else(|| self.snapshot.places().find(self.client.address?))
    }

    /// The client's address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.located.set(true);
        self.client.address
    }

    /// The zone that answers for a name: the longest of the own view, then the longest of the public one. The parent's side of a
    /// delegation has the DS record (RFC 4035, 3.1.4.1).
    fn zone(&self, key: &Key, rtype: Rtype) -> Option<&'a Zone> {
        let within = |view: &'a View| {
            let above = name::ancestors(key).skip(usize::from(rtype == Rtype::DS)).filter_map(|apex| view.zone(apex));
            let at = if rtype == Rtype::DS { view.zone(key) } else { None };
            above.chain(at)
        };
        let own = self.own.and_then(|view| {
            within(view).find(|zone| !zone.overlay || !matches!(zone.find(key, rtype), Found::Nothing))
        });
        own.or_else(|| self.public.and_then(|view| within(view).next()))
    }

    /// Looks a name up. `rtype` may be ANY: then one set of the name is the answer (RFC 8482, 4.1).
    pub(crate) fn resolve(&self, question: &Key, rtype: Rtype, draw: u64) -> Resolution<'a> {
        let mut links = Links::new();
        let mut zone = self.zone(question, rtype);
        let first_zone = zone;
        let mut owner = Owner::Question;
        let ending = loop {
            let Some(current) = zone else { break Ending::Outside(owner) };
            let node = match current.find(owner.key(question), rtype) {
                Found::Node(node) => node,
                Found::Cut { cut, servers } => {
                    break Ending::Referral { cut, servers, zone: current, elsewhere: owner };
                }
                Found::Nothing => break Ending::NoName(current),
            };
            let asked = if rtype == Rtype::ANY { node.sets.first().map_or(rtype, |(first, _)| *first) } else { rtype };
            let before = links.len();
            self.push_sets(current, node, asked, owner, draw, &mut links);
            if links.len() > before {
                break Ending::Answer;
            }
            self.push_sets(current, node, Rtype::CNAME, owner, draw, &mut links);
            let cname = links.get(before).and_then(|link| link.records.iter().next());
            let Some(target) = cname.and_then(|cname| cname.target) else { break Ending::NoData(current) };
            let is_known = |link: &Link<'_>| link.owner.key(question) == target.key;
            if links.len() > MAX_CHAIN || links.iter().any(is_known) {
                break Ending::Loop;
            }
            owner = Owner::Target(target);
            zone = if self.crosses_zones {
                self.zone(target.key, rtype)
            } else {
                Some(current).filter(|zone| name::is_within(target.key, &zone.apex_key))
            };
        };
        Resolution { links, ending, zone: first_zone, located: self.located.get() }
    }

    /// The addresses of a name, IPv4 before IPv6.
    pub(crate) fn addresses(&self, key: &Key, draw: u64) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for rtype in [Rtype::A, Rtype::AAAA] {
            for link in self.resolve(key, rtype, draw).links {
                addresses.extend(link.records.rotated(draw).filter_map(|record| record.address()));
            }
        }
        addresses
    }

    /// Appends what a node has of a type, after policies and aliases.
    fn push_sets(
        &self,
        zone: &'a Zone,
        node: &'a Node,
        rtype: Rtype,
        owner: Owner<'a>,
        draw: u64,
        links: &mut Links<'a>,
    ) {
        let Some(routed) = node.get(rtype) else { return };
        routed.each(self, rtype, draw, MAX_CHAIN, |content, draw| {
            if let Some(records) = self.records(content, rtype, draw, MAX_CHAIN) {
                links.push(Link { owner, records, zone });
            }
        });
    }

    /// The records behind an alias, or the content's own.
    fn records(&self, content: &'a Content, rtype: Rtype, draw: u64, depth: usize) -> Option<&'a Records> {
        match content {
            Content::Records(records) => Some(records),
            Content::Alias { target, .. } => {
                let depth = depth.checked_sub(1)?;
                let Found::Node(node) = self.zone(target, rtype)?.find(target, rtype) else { return None };
                let content = node.get(rtype)?.pick(self, rtype, draw, depth)?;
                self.records(content, rtype, spread(draw), depth)
            }
        }
    }

    /// Whether an alias may lead there: one of the target's record sets is healthy.
    pub(crate) fn is_healthy(&self, target: &Key, rtype: Rtype, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let found = self.zone(target, rtype).map(|zone| zone.find(target, rtype));
        let Some(Found::Node(node)) = found else { return false };
        node.get(rtype).is_some_and(|routed| routed.is_healthy(self, rtype, depth))
    }
}

impl Zone {
    fn find(&self, key: &Key, rtype: Rtype) -> Found<'_> {
        if self.names.has_cuts()
            && let Some((cut, servers)) = self.cut_above(key)
            // Of what is at the cut, the DS record is this side's.
            && !(rtype == Rtype::DS && *cut.key == *key)
        {
            return Found::Cut { cut, servers };
        }
        if let Some(node) = self.names.get(key) {
            return Found::Node(node);
        }
        // The closest encloser decides: a wildcard directly below it, or nothing (RFC 4592, 3.3.1).
        let encloser = name::ancestors(key).skip(1).find(|name| self.names.get(name).is_some());
        let mut wildcard = KeyBuffer::new();
        match encloser {
            Some(encloser) if wildcard.wildcard(encloser) => {
                self.names.get(wildcard.key()).map_or(Found::Nothing, Found::Node)
            }
            _ => Found::Nothing,
        }
    }

    /// The topmost delegation at or above a name.
    fn cut_above(&self, key: &Key) -> Option<(&Node, &Records)> {
        let below_apex = name::ancestors(key).take_while(|name| **name != *self.apex_key);
        let cuts = below_apex.filter_map(|name| {
            let node = self.names.get(name)?;
            Some((node, node.get(Rtype::NS)?.plain()?))
        });
        cuts.last()
    }

    /// The plain records of a name that another record points at, a wildcard's too: what goes along without having been asked for.
    pub(crate) fn companion(&self, key: &Key, rtype: Rtype) -> Option<&Records> {
        match self.names.get(key).map_or_else(|| self.find(key, rtype), Found::Node) {
            Found::Node(node) => node.get(rtype)?.plain(),
            _ => None,
        }
    }

    /// The plain records of a name in this very zone.
    pub(crate) fn plain(&self, key: &Key, rtype: Rtype) -> Option<&Records> {
        self.names.get(key)?.get(rtype)?.plain()
    }
}

impl Snapshot {
    /// The addresses that a client of `view`'s resolver would get for a name, IPv4 before IPv6; none for what is no name or is
    /// not known here. `draw` orders and chooses.
    pub fn addresses(&self, view: &str, name: &str, draw: u64) -> Vec<IpAddr> {
        let Ok(name) = name::parse(name) else { return Vec::new() };
        Scope::resolver(self, view, Client::default()).addresses(&name::key(&name), draw)
    }
}

impl<'a> Owner<'a> {
    fn key<'s>(&self, question: &'s Key) -> &'s Key
    where
        'a: 's,
    {
        match self {
            Owner::Question => question,
            Owner::Target(target) => target.key,
        }
    }

    /// Whether it is this very record's target, not just one like it.
    pub(crate) fn is(&self, target: &Target<'_>) -> bool {
        matches!(self, Owner::Target(own) if std::ptr::eq(own.name.as_ptr(), target.name.as_ptr()))
    }

    /// Whether nobody outside is to be asked for it.
    pub(crate) fn stays_here(&self, question: &Key) -> bool {
        reserved::stays_here(self.key(question))
    }

    /// The same, to be kept.
    pub(crate) fn to_wire(self, question: &Key) -> WireName {
        let spelled = match self {
            Owner::Question => question,
            Owner::Target(target) => target.name,
        };
        Name::from_slice(spelled).map_or_else(|_| Name::root_vec(), ToName::to_vec)
    }
}
