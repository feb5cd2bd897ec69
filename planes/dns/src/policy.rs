//! Routing policies: which of several record sets of one name and type answers, by chance, health and where the client is.
//!
//! Source: Route 53 Developer Guide, "Choosing a routing policy" and "How Amazon Route 53 chooses records when health checking is
//! configured": where none of the candidates is healthy, all are taken to be.

use smallvec::SmallVec;

use crate::Error;
use crate::config::{self, Health, Location, Origin, Point, Policy, RecordSet};
use crate::geo::{self, Prefix};
use crate::lookup::Scope;
use crate::name::{self, Key};
use crate::rdata;
use crate::records::Records;
use crate::snapshot::parse_name;
use domain::base::{Rtype, Ttl};

/// Values that a multivalue answer has at most (Developer Guide: "Multivalue answer routing").
const MAX_MULTIVALUE: usize = 8;

/// What answers for one name and type.
#[derive(Clone, Debug)]
pub(crate) enum Routed {
    Simple {
        health: Health,
        content: Content,
    },
    /// Several, of which the policy chooses. All have the same kind of [`By`].
    Chosen(Box<[Member]>),
}

/// One record set among several of one name and type.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    health: Health,
    content: Content,
    by: By,
}

/// What a record set is chosen by.
#[derive(Clone, Debug)]
enum By {
    Multivalue,
    Weight(u8),
    Primary,
    Secondary,
    Latency(Point),
    Location(Location),
    Proximity {
        point: Point,
        bias: i8,
    },
    /// None: for all other clients.
    Blocks(Option<Vec<Prefix>>),
}

/// Records, or the name to take them from.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Records(Records),
    Alias { target: Box<Key>, evaluate: bool },
}

impl Routed {
    pub(crate) fn build(rtype: Rtype, configs: &[&RecordSet], apex: &Key) -> Result<Routed, Error> {
        if let [set] = configs
            && set.policy == Policy::Simple
        {
            return Ok(Routed::Simple { health: set.health, content: Content::build(rtype, set, apex)? });
        }
        let mut members = Vec::with_capacity(configs.len());
        for set in configs {
            let by = By::build(set)?;
            members.push(Member { health: set.health, content: Content::build(rtype, set, apex)?, by });
        }
        let kinds_agree = members.windows(2).all(|pair| pair[0].by.goes_with(&pair[1].by));
        let primaries = members.iter().filter(|member| matches!(member.by, By::Primary)).count();
        let secondaries = members.iter().filter(|member| matches!(member.by, By::Secondary)).count();
        if !kinds_agree || primaries > 1 || secondaries > 1 {
            return Err(Error::Policies { name: configs[0].name.clone(), type_: configs[0].type_.clone() });
        }
        Ok(Routed::Chosen(members.into()))
    }

    /// The records of the only set, where there is one with records of its own.
    pub(crate) fn plain(&self) -> Option<&Records> {
        match self {
            Routed::Simple { content: Content::Records(records), .. } => Some(records),
            _ => None,
        }
    }

    /// The content that the policy chooses; nothing where no set is for the client.
    pub(crate) fn pick<'a>(
        &'a self,
        scope: &Scope<'a, '_>,
        rtype: Rtype,
        draw: u64,
        depth: usize,
    ) -> Option<&'a Content> {
        match self {
            Routed::Simple { content, .. } => Some(content),
            Routed::Chosen(members) => choose(members, scope, rtype, draw, depth).map(|member| &member.content),
        }
    }

    /// Calls with each content that goes into one answer: of multivalue sets up to eight, of others the one that is chosen.
    pub(crate) fn each<'a>(
        &'a self,
        scope: &Scope<'a, '_>,
        rtype: Rtype,
        draw: u64,
        depth: usize,
        mut call: impl FnMut(&'a Content, u64),
    ) {
        match self {
            Routed::Chosen(members) if matches!(members.first(), Some(Member { by: By::Multivalue, .. })) => {
                let usable = usable(members, |member| member.is_healthy(scope, rtype, depth));
                let first = start(draw, usable.len());
                let chosen = usable.iter().cycle().skip(first).take(usable.len().min(MAX_MULTIVALUE));
                chosen.for_each(|member| call(&member.content, draw));
            }
            _ => {
                if let Some(content) = self.pick(scope, rtype, draw, depth) {
                    call(content, spread(draw));
                }
            }
        }
    }

    /// Whether an alias that evaluates its target's health may lead here: one set is healthy at least.
    pub(crate) fn is_healthy(&self, scope: &Scope<'_, '_>, rtype: Rtype, depth: usize) -> bool {
        match self {
            Routed::Simple { health, content } => is_healthy(*health, content, scope, rtype, depth),
            Routed::Chosen(members) => members.iter().any(|member| member.is_healthy(scope, rtype, depth)),
        }
    }

    #[cfg(test)]
    pub(crate) fn of_no_records() -> Routed {
        Routed::Chosen(Box::default())
    }
}

impl Member {
    fn is_healthy(&self, scope: &Scope<'_, '_>, rtype: Rtype, depth: usize) -> bool {
        is_healthy(self.health, &self.content, scope, rtype, depth)
    }
}

fn is_healthy(own: Health, content: &Content, scope: &Scope<'_, '_>, rtype: Rtype, depth: usize) -> bool {
    own == Health::Healthy
        && match content {
            Content::Alias { target, evaluate: true } => scope.is_healthy(target, rtype, depth),
            _ => true,
        }
}

impl By {
    fn build(set: &RecordSet) -> Result<By, Error> {
        let text = |text: &str, reason| Error::Value {
            name: set.name.clone(),
            type_: set.type_.clone(),
            text: text.to_owned(),
            reason,
        };
        let region = |name: &str| {
            geo::region(name).map(|found| found.point).ok_or_else(|| text(name, "a region that is not known"))
        };
        Ok(match &set.policy {
            Policy::Simple => return Err(Error::Policies { name: set.name.clone(), type_: set.type_.clone() }),
            Policy::Multivalue => By::Multivalue,
            Policy::Weighted { weight } => By::Weight(*weight),
            Policy::FailoverPrimary => By::Primary,
            Policy::FailoverSecondary => By::Secondary,
            Policy::Latency { region: name } => By::Latency(region(name)?),
            Policy::Geolocation { location } => By::Location(location.clone()),
            Policy::Geoproximity { origin, bias } => {
                let point = match origin {
                    Origin::Region(name) => region(name)?,
                    Origin::Point(point) => *point,
                };
                By::Proximity { point, bias: (*bias).clamp(-99, 99) }
            }
            Policy::Cidr { blocks } => {
                let read = |block: &String| Prefix::parse(block).ok_or_else(|| text(block, "not a block of addresses"));
                By::Blocks(blocks.as_ref().map(|blocks| blocks.iter().map(read).collect()).transpose()?)
            }
        })
    }

    fn goes_with(&self, other: &By) -> bool {
        let failover = |by: &By| matches!(by, By::Primary | By::Secondary);
        std::mem::discriminant(self) == std::mem::discriminant(other) || failover(self) && failover(other)
    }
}

impl Content {
    fn build(rtype: Rtype, set: &RecordSet, apex: &Key) -> Result<Content, Error> {
        match &set.alias {
            Some(config::Alias { target_name, evaluate_target_health }) if set.values.is_empty() => {
                Ok(Content::Alias { target: name::key(&parse_name(target_name)?), evaluate: *evaluate_target_health })
            }
            None if !set.values.is_empty() => {
                let refuse = |text: &str, reason| Error::Value {
                    name: set.name.clone(),
                    type_: set.type_.clone(),
                    text: text.to_owned(),
                    reason,
                };
                let read = |text: &String| rdata::parse(rtype, text).map_err(|reason| refuse(text, reason));
                let data: Vec<Vec<u8>> = set.values.iter().map(read).collect::<Result<_, _>>()?;
                let records = Records::new(rtype, Ttl::from_secs(set.ttl), &data, apex);
                records.map(Content::Records).ok_or_else(|| refuse(&set.values[0], "too many values"))
            }
            _ => Err(Error::Content { name: set.name.clone(), type_: set.type_.clone() }),
        }
    }
}

/// The one that the policy of all chooses.
fn choose<'m>(
    members: &'m [Member],
    scope: &Scope<'_, '_>,
    rtype: Rtype,
    draw: u64,
    depth: usize,
) -> Option<&'m Member> {
    let healthy = |member: &Member| member.is_healthy(scope, rtype, depth);
    match members.first()?.by {
        By::Multivalue => {
            let usable = usable(members, healthy);
            usable.get(start(draw, usable.len())).copied()
        }
        By::Weight(_) => by_weight(&usable(members, healthy), draw),
        By::Primary | By::Secondary => {
            let primary = members.iter().find(|member| matches!(member.by, By::Primary));
            let secondary = members.iter().find(|member| matches!(member.by, By::Secondary));
            let up = primary.filter(|one| healthy(one)).or_else(|| secondary.filter(|one| healthy(one)));
            up.or(primary).or(secondary)
        }
        By::Latency(_) | By::Proximity { .. } => {
            let client = scope.whereabouts().map_or(geo::NOWHERE, |found| found.point);
            let away = |member: &Member| match member.by {
                By::Latency(point) => geo::distance(client, point),
                By::Proximity { point, bias } => biased(geo::distance(client, point), bias),
                _ => f64::INFINITY,
            };
            usable(members, healthy).into_iter().min_by(|a, b| away(a).total_cmp(&away(b)))
        }
        By::Location(_) => {
            let client = scope.whereabouts();
            let fits = |member: &Member| match &member.by {
                By::Location(location) => size(location, client),
                _ => None,
            };
            smallest(members, fits, healthy)
        }
        By::Blocks(_) => {
            let address = scope.address();
            let fits = |member: &Member| match &member.by {
                By::Blocks(None) => Some(u8::MAX),
                By::Blocks(Some(blocks)) => {
                    let longest = blocks.iter().filter(|block| address.is_some_and(|address| block.contains(address)));
                    longest.map(|block| 128 - block.len()).min()
                }
                _ => None,
            };
            smallest(members, fits, healthy)
        }
    }
}

/// The healthy one that is for the fewest clients of those that are for this one; were none healthy, the smallest.
fn smallest(
    members: &[Member],
    fits: impl Fn(&Member) -> Option<u8>,
    healthy: impl Fn(&Member) -> bool,
) -> Option<&Member> {
    let fitting = || members.iter().filter_map(|member| Some((fits(member)?, member)));
    let smallest = fitting().filter(|(_, member)| healthy(member)).min_by_key(|(size, _)| *size);
    smallest.or_else(|| fitting().min_by_key(|(size, _)| *size)).map(|(_, member)| member)
}

/// How large a location is that the client is in.
fn size(location: &Location, client: Option<geo::Whereabouts<'_>>) -> Option<u8> {
    match (location, client) {
        (Location::Default, _) => Some(3),
        (Location::Continent(code), Some(client)) => (client.continent == code).then_some(2),
        (Location::Country(code), Some(client)) => (client.country == Some(code)).then_some(1),
        (Location::Subdivision(country, code), Some(client)) => {
            (client.country == Some(country) && client.subdivision == Some(code)).then_some(0)
        }
        (_, None) => None,
    }
}

/// How far a place seems to be (Developer Guide: "Geoproximity routing", "How Route 53 uses bias to route traffic").
fn biased(distance: f64, bias: i8) -> f64 {
    let bias = f64::from(bias) / 100.0;
    if bias > 0.0 { distance * (1.0 - bias) } else { distance / (1.0 + bias) }
}

fn by_weight<'m>(candidates: &[&'m Member], draw: u64) -> Option<&'m Member> {
    let weight = |member: &Member| match member.by {
        By::Weight(weight) => u64::from(weight),
        _ => 0,
    };
    let total: u64 = candidates.iter().map(|member| weight(member)).sum();
    let mut left = draw.checked_rem(total);
    let chosen = candidates.iter().find(|member| match left {
        Some(before) => {
            left = before.checked_sub(weight(member));
            left.is_none()
        }
        None => false,
    });
    // Without weights, all are alike.
    chosen.or_else(|| candidates.get(start(draw, candidates.len()))).copied()
}

type Members<'m> = SmallVec<[&'m Member; 16]>;

/// The healthy ones, or all where none is.
fn usable(members: &[Member], healthy: impl Fn(&Member) -> bool) -> Members<'_> {
    let up: Members<'_> = members.iter().filter(|member| healthy(member)).collect();
    if up.is_empty() { members.iter().collect() } else { up }
}

/// Where a rotation of `len` values starts.
fn start(draw: u64, len: usize) -> usize {
    // The remainder is below `len`, so it is a usize again.
    if len < 2 { 0 } else { (draw % len as u64) as usize }
}

/// Another number out of the same draw, so that two choices in a row are not tied together.
pub(crate) fn spread(draw: u64) -> u64 {
    let mixed = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}
