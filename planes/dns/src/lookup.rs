//! A name and a type to record sets, within what one client may see.
//!
//! The rules: the longest matching zone answers; in it RFC 1034 4.3.2 with RFC 4592's wildcards; a CNAME is followed, an alias
//! is replaced by its target's records; a routing policy picks among sets. Chance is one number that the caller drew.

use std::net::IpAddr;

use domain::base::Rtype;
use domain::base::name::{Name, ToName};

use crate::config::{Health, PUBLIC};
use crate::name::{self, Key, KeyBuffer, WireName};
use crate::rdata::{Record, Target};
use crate::reserved;
use crate::snapshot::{Content, Member, Node, Records, Routed, Snapshot, View, Zone};

/// CNAMEs in a row, and aliases in a row, that are followed.
const MAX_CHAIN: usize = 8;

/// Values that a multivalue answer has at most (Developer Guide: "Multivalue answer routing").
const MAX_MULTIVALUE: usize = 8;

/// What one client sees: its own view over the public one, and how far a CNAME is followed.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    own: Option<&'a View>,
    public: Option<&'a View>,
    /// A resolver follows a CNAME into any zone, an authoritative server stays in the one it answers from.
    crosses_zones: bool,
}

/// What was found: the records in the order in which they are to be written, and how it ended.
pub(crate) struct Resolution<'a> {
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) ending: Ending<'a>,
    /// The zone that the name asked for is in.
    pub(crate) zone: Option<&'a Zone>,
}

/// A record set under the name it is given out for.
pub(crate) struct Link<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) rtype: Rtype,
    pub(crate) records: &'a Records,
    /// The zone that the owner is in.
    pub(crate) zone: &'a Zone,
}

/// Whose records they are.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    Question,
    Name(&'a WireName),
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
    Referral { cut: &'a Key, servers: &'a Records, zone: &'a Zone, elsewhere: Owner<'a> },
    /// No zone here has the name.
    Outside(Owner<'a>),
    /// CNAMEs that lead nowhere.
    Loop,
}

/// A name within a zone.
enum Found<'a> {
    Node(&'a Node),
    Cut { cut: &'a Key, servers: &'a Records },
    Nothing,
}

impl<'a> Scope<'a> {
    /// What a name server sees that serves `view` and nothing else.
    pub(crate) fn authoritative(snapshot: &'a Snapshot, view: &str) -> Scope<'a> {
        Scope { own: snapshot.view(view), public: None, crosses_zones: false }
    }

    /// What the resolver of `view` sees.
    pub(crate) fn resolver(snapshot: &'a Snapshot, view: &str) -> Scope<'a> {
        let own = if view == PUBLIC { None } else { snapshot.view(view) };
        Scope { own, public: snapshot.view(PUBLIC), crosses_zones: true }
    }

    /// The zone that answers for a name: the longest of the own view, then the longest of the public one.
    fn zone(&self, key: &Key) -> Option<&'a Zone> {
        let own = self.own.and_then(|view| {
            let mut zones = name::ancestors(key).filter_map(|apex| view.zone(apex));
            zones.find(|zone| !zone.overlay || !matches!(zone.find(key), Found::Nothing))
        });
        own.or_else(|| self.public.and_then(|view| name::ancestors(key).find_map(|apex| view.zone(apex))))
    }

    /// Looks a name up. `rtype` may be ANY: then one set of the name is the answer (RFC 8482, 4.1).
    pub(crate) fn resolve(&self, question: &Key, rtype: Rtype, draw: u64) -> Resolution<'a> {
        let mut links = Vec::with_capacity(2);
        let mut zone = self.zone(question);
        let first_zone = zone;
        let mut owner = Owner::Question;
        let mut target: Option<&'a Key> = None;
        let ending = loop {
            let Some(current) = zone else { break Ending::Outside(owner) };
            let node = match current.find(target.unwrap_or(question)) {
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
            let cname = links.get(before).and_then(|link| link.records.all.first());
            let Some(Target { name, key, .. }) = cname.and_then(|cname| cname.target.as_deref()) else {
                break Ending::NoData(current);
            };
            if links.len() > MAX_CHAIN {
                break Ending::Loop;
            }
            (owner, target) = (Owner::Name(name), Some(&**key));
            zone = if self.crosses_zones {
                self.zone(key)
            } else {
                Some(current).filter(|zone| name::is_within(key, &zone.apex_key))
            };
        };
        Resolution { links, ending, zone: first_zone }
    }

    /// The addresses of a name, IPv4 before IPv6.
    pub(crate) fn addresses(&self, key: &Key, draw: u64) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for rtype in [Rtype::A, Rtype::AAAA] {
            for link in self.resolve(key, rtype, draw).links {
                addresses.extend(link.records.rotated(draw).filter_map(|record| record.address(link.rtype)));
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
        links: &mut Vec<Link<'a>>,
    ) {
        let Some(routed) = node.get(rtype) else { return };
        let mut push = |content, draw| {
            if let Some(records) = self.records(content, rtype, draw, MAX_CHAIN) {
                links.push(Link { owner, rtype, records, zone });
            }
        };
        match routed {
            Routed::Multivalue(members) => {
                let healthy: Vec<&Member> = usable(members.iter(), |member| member);
                let start = start(draw, healthy.len());
                let chosen = healthy.iter().cycle().skip(start).take(healthy.len().min(MAX_MULTIVALUE));
                chosen.for_each(|member| push(&member.content, draw));
            }
            _ => {
                if let Some(content) = pick(routed, draw) {
                    push(content, spread(draw));
                }
            }
        }
    }

    /// The records behind an alias, or the content's own.
    fn records(&self, content: &'a Content, rtype: Rtype, draw: u64, depth: usize) -> Option<&'a Records> {
        match content {
            Content::Records(records) => Some(records),
            Content::Alias(target) => {
                let Found::Node(node) = self.zone(target)?.find(target) else { return None };
                let content = pick(node.get(rtype)?, draw)?;
                self.records(content, rtype, spread(draw), depth.checked_sub(1)?)
            }
        }
    }
}

impl Zone {
    fn find(&self, key: &Key) -> Found<'_> {
        if self.has_cuts
            && let Some((cut, servers)) = self.cut_above(key)
        {
            return Found::Cut { cut, servers };
        }
        if let Some(node) = self.names.get(key) {
            return Found::Node(node);
        }
        // The closest encloser decides: a wildcard directly below it, or nothing (RFC 4592, 3.3.1).
        let encloser = name::ancestors(key).find(|name| self.names.contains_key(*name));
        let mut wildcard = KeyBuffer::new();
        match encloser {
            Some(encloser) if wildcard.wildcard(encloser) => {
                self.names.get(wildcard.key()).map_or(Found::Nothing, |node| Found::Node(node))
            }
            _ => Found::Nothing,
        }
    }

    /// The topmost delegation at or above a name.
    fn cut_above(&self, key: &Key) -> Option<(&Key, &Records)> {
        let below_apex = name::ancestors(key).take_while(|name| *name != &*self.apex_key);
        below_apex
            .filter_map(|name| {
                let (cut, node) = self.names.get_key_value(name)?;
                match node.get(Rtype::NS)? {
                    Routed::Simple(Content::Records(servers)) => Some((&**cut, servers)),
                    _ => None,
                }
            })
            .last()
    }

    /// The plain records of a name in this very zone: what goes along without having been asked for.
    pub(crate) fn plain(&self, key: &Key, rtype: Rtype) -> Option<&Records> {
        match self.names.get(key)?.get(rtype)? {
            Routed::Simple(Content::Records(records)) => Some(records),
            _ => None,
        }
    }
}

impl Snapshot {
    /// The addresses that a client of `view`'s resolver would get for a name, IPv4 before IPv6; none for what is no name or is
    /// not known here. `draw` orders and chooses.
    pub fn addresses(&self, view: &str, name: &str, draw: u64) -> Vec<IpAddr> {
        name::parse(name)
            .map_or_else(|_| Vec::new(), |name| Scope::resolver(self, view).addresses(&name::key(&name), draw))
    }
}

/// The one content that a policy chooses. Where none is healthy, all are taken to be (Developer Guide: "How Amazon Route 53
/// chooses records when health checking is configured").
fn pick(routed: &Routed, draw: u64) -> Option<&Content> {
    match routed {
        Routed::Simple(content) => Some(content),
        Routed::Multivalue(members) => {
            let healthy: Vec<&Member> = usable(members.iter(), |member| member);
            healthy.get(start(draw, healthy.len())).map(|member| &member.content)
        }
        Routed::Weighted(members) => {
            let candidates: Vec<&(u8, Member)> = usable(members.iter(), |(_, member)| member);
            let total: u64 = candidates.iter().map(|(weight, _)| u64::from(*weight)).sum();
            let mut left = draw.checked_rem(total);
            let chosen = candidates.iter().find(|(weight, _)| match left {
                Some(before) => {
                    left = before.checked_sub((*weight).into());
                    left.is_none()
                }
                None => false,
            });
            // Without weights, all are alike.
            let any = || candidates.get(start(draw, candidates.len()));
            chosen.or_else(any).map(|(_, member)| &member.content)
        }
        Routed::Failover { primary, secondary } => {
            let healthy = |member: &&Member| member.health == Health::Healthy;
            let up = primary.iter().find(healthy).or_else(|| secondary.iter().find(healthy));
            up.or(primary.as_ref()).or(secondary.as_ref()).map(|member| &member.content)
        }
    }
}

/// The healthy ones, or all where none is.
fn usable<'a, T>(all: impl Iterator<Item = &'a T> + Clone, member: impl Fn(&T) -> &Member) -> Vec<&'a T> {
    let healthy: Vec<&T> = all.clone().filter(|one| member(one).health == Health::Healthy).collect();
    if healthy.is_empty() { all.collect() } else { healthy }
}

impl Records {
    /// All records, beginning with one that the draw chooses.
    pub(crate) fn rotated(&self, draw: u64) -> impl Iterator<Item = &Record> {
        let (tail, head) = self.all.split_at(start(draw, self.all.len()));
        head.iter().chain(tail)
    }
}

/// Where a rotation of `len` values starts.
fn start(draw: u64, len: usize) -> usize {
    // The remainder is below `len`, so it is a usize again.
    if len < 2 { 0 } else { (draw % len as u64) as usize }
}

/// Another number out of the same draw, so that two choices in a row are not tied together.
fn spread(draw: u64) -> u64 {
    let mixed = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

impl Owner<'_> {
    /// The name, where the question is `question`.
    pub(crate) fn name<'s>(&'s self, question: &'s Key) -> Option<&'s Name<[u8]>> {
        match self {
            Owner::Question => Name::from_slice(question).ok(),
            Owner::Name(name) => Some(name.for_slice()),
        }
    }

    /// Whether it is this very name, not just one like it.
    pub(crate) fn is(&self, name: &WireName) -> bool {
        matches!(self, Owner::Name(own) if std::ptr::eq(*own, name))
    }

    /// Whether nobody outside is to be asked for it.
    pub(crate) fn stays_here(&self, question: &Key) -> bool {
        match self {
            Owner::Question => reserved::stays_here(question),
            Owner::Name(name) => reserved::stays_here(&name::key(name)),
        }
    }

    /// The same, to be kept.
    pub(crate) fn to_wire(self, question: &Key) -> WireName {
        self.name(question).map_or_else(Name::root_vec, ToName::to_vec)
    }
}
