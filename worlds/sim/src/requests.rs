//! What clients outside the world see of it: names and requests.

use crate::balancers::clock;
use crate::network::Source;
use crate::world::{Inner, Phase, Sim};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use zonal_balancer::core::route::{Decision, Facts, Scheme};

/// How long a balancer waits for a target's connection. Source: "Troubleshoot your Application Load Balancers", HTTP 504.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The TTL that names of load balancers and instances are answered with.
const NAME_TTL: Duration = Duration::from_secs(60);

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// An answer with this status.
    Status(u16),
    /// Nobody listens there.
    Refused,
    /// Nothing comes back.
    Silence,
}

/// A request's end, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// How it ends.
    pub ending: Ending,
    /// After how long, virtual time.
    pub after: Duration,
}

/// What a port of a sandbox does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Answers,
    Refuses,
    Silent,
}

impl Sim {
    /// The addresses of a public name, and for how long they may be kept.
    #[must_use]
    pub fn resolve(&self, name: &str) -> (Vec<Ipv4Addr>, Duration) {
        let mut inner = self.lock();
        inner.draws += 1;
        let addresses = inner.names.addresses(zonal_dns::config::PUBLIC, name, inner.draws);
        let ttl = inner.ttl(name);
        let only_v4 = addresses.into_iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        (only_v4.collect(), ttl)
    }

    /// A request from outside to a public address.
    #[must_use]
    pub fn request(&self, from: Ipv4Addr, to: Ipv4Addr, port: u16) -> Visit {
        self.lock().request(from, to, port)
    }
}

impl Inner {
    /// For how long a public name's addresses may be kept: what its record set says; an alias takes its target's, which is a load
    /// balancer's.
    fn ttl(&self, name: &str) -> Duration {
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let wanted = bare(name);
        let holds = |zone: &str| {
            wanted.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || zone.is_empty())
        };
        let mut records = self.zones.values().filter(|zone| holds(&bare(&zone.name))).flat_map(|zone| zone.get(name));
        let own = records.find(|set| set.type_ == "A" && set.alias.is_none());
        own.map_or(NAME_TTL, |set| Duration::from_secs(set.ttl.into()))
    }

    pub(crate) fn request(&mut self, from: Ipv4Addr, to: Ipv4Addr, port: u16) -> Visit {
        let refused = Visit { ending: Ending::Refused, after: Duration::from_micros(300) };
        let silence = Visit { ending: Ending::Silence, after: Duration::ZERO };
        let Some(interface) = self.facts.by_public(to) else { return refused };
        if !self.facts.reaches(Source::Internet(from), interface, port) {
            return silence;
        }
        let id = interface.id.clone();
        if let Some(balancer) = self.balancers.behind(&id).map(ToOwned::to_owned) {
            return self
                .flowed(&balancer, &id, from, port)
                .unwrap_or_else(|| self.balanced(&balancer, &id, from, port));
        }
        match self.port(&id) {
            Port::Answers => self.answered(&id, 200),
            Port::Refuses => refused,
            Port::Silent => silence,
        }
    }

    /// The sandbox that has an interface, its first or one beside it.
    fn machine(&self, interface: &str) -> Option<&String> {
        let beside = self.facts.interface(interface).and_then(|facts| facts.beside.as_ref());
        self.behind.get(beside.map_or(interface, |beside| &beside.interface))
    }

    /// What a port behind an interface does. Where a machine is off, or does not run yet, nobody is there to refuse.
    pub(crate) fn port(&self, interface: &str) -> Port {
        let machine = self.machine(interface).and_then(|id| self.sandboxes.get(id));
        match machine.map(|machine| machine.phase) {
            Some(Phase::Serving) => Port::Answers,
            Some(Phase::Off | Phase::Booting) => Port::Silent,
            _ if self.up.contains(interface) => Port::Refuses,
            _ => Port::Silent,
        }
    }

    pub(crate) fn answered(&mut self, interface: &str, status: u16) -> Visit {
        let id = self.machine(interface).cloned();
        if let Some(machine) = id.and_then(|id| self.sandboxes.get_mut(&id)) {
            machine.answered += 1;
        }
        Visit { ending: Ending::Status(status), after: self.costs.answer * self.speed }
    }

    /// A request that a balancer's node takes: `GET /` without a host or cookies, by the real balancer's rules.
    pub(crate) fn balanced(&mut self, balancer: &str, node: &str, from: Ipv4Addr, port: u16) -> Visit {
        let (quick, now) = (Duration::from_micros(500), self.now);
        let Some(own) = self.balancers.get_mut(balancer) else {
            return Visit { ending: Ending::Refused, after: quick };
        };
        let zone = own.config.nodes.iter().find(|other| other.interface == node).map(|node| node.zone.clone());
        let zone = zone.unwrap_or_default();
        let facts = Facts {
            method: "GET",
            target: "/",
            host: "",
            headers: &[],
            client: from,
            port,
            scheme: Scheme::Http,
            now: clock(now).as_secs(),
        };
        let (decision, evaluation) = own.snapshot.decide(&zone, &facts, &|| clock(now));
        let counts = own.metrics.nodes.entry(zone.clone()).or_default();
        counts.rule_evaluations += evaluation.rules;
        let (target, not_sticky, fails_open) = match decision {
            Decision::Forward(chosen) => (chosen.target.clone(), chosen.is_not_sticky(), chosen.fails_open),
            Decision::Closed => return Visit { ending: Ending::Refused, after: quick },
            Decision::Fixed { status, .. } => {
                counts.fixed_responses += 1;
                return Visit { ending: Ending::Status(status), after: quick };
            }
            Decision::Redirect(redirect) => {
                (counts.redirects, counts.elb_3xx) = (counts.redirects + 1, counts.elb_3xx + 1);
                return Visit { ending: Ending::Status(if redirect.permanent { 301 } else { 302 }), after: quick };
            }
            Decision::NoTarget => {
                (counts.elb_5xx, counts.elb_503) = (counts.elb_5xx + 1, counts.elb_503 + 1);
                return Visit { ending: Ending::Status(503), after: quick };
            }
        };
        let (group, address, target_port) = (target.key.group.clone(), *target.address.ip(), target.address.port());
        let counts = own.metrics.groups.entry(group.clone()).or_default().entry(zone.clone()).or_default();
        counts.requests += 1;
        counts.non_sticky_requests += u64::from(not_sticky);
        counts.unhealthy_routing_requests += u64::from(fails_open);
        let visit = self.forwarded(node, address, target_port);
        if let Some(own) = self.balancers.get_mut(balancer) {
            let counts = own.metrics.nodes.entry(zone.clone()).or_default();
            match visit.ending {
                Ending::Status(502) => (counts.elb_5xx, counts.elb_502) = (counts.elb_5xx + 1, counts.elb_502 + 1),
                Ending::Status(504) => (counts.elb_5xx, counts.elb_504) = (counts.elb_5xx + 1, counts.elb_504 + 1),
                _ => {
                    let counts = own.metrics.groups.entry(group).or_default().entry(zone).or_default();
                    counts.target_2xx += 1;
                    let seconds = visit.after.as_secs_f64() / f64::from(self.speed);
                    counts.response_time.count += 1;
                    counts.response_time.sum += seconds;
                    counts.response_time.min = seconds;
                    counts.response_time.max = seconds;
                }
            }
        }
        visit
    }

    fn forwarded(&mut self, node: &str, address: Ipv4Addr, port: u16) -> Visit {
        let timeout = Visit { ending: Ending::Status(504), after: CONNECT_TIMEOUT };
        let Some(from) = self.facts.interface(node) else { return timeout };
        let Some(to) = self.facts.by_private(&from.network, address) else { return timeout };
        if !self.facts.reaches(Source::Inside(from), to, port) {
            return timeout;
        }
        let id = to.id.clone();
        match self.port(&id) {
            Port::Answers => self.answered(&id, 200),
            Port::Refuses => Visit { ending: Ending::Status(502), after: Duration::from_micros(500) },
            Port::Silent => timeout,
        }
    }
}
