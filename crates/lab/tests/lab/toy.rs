//! A toy world in virtual time: three instances in as many zones, behind addresses given by hand, a DNS record, or a
//! balancer. It knows just enough to be led through a lab, and to be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_lab::spec::Victim;
use zonal_lab::world::{Breakage, WorldKind};
use zonal_lab::{
    Answer, At, Event, EventKind, LabWorld, Load, Network, Observation, Outcome, Reply, Request, StackChange,
    StackState, VirtualLoad, WorldError,
};

/// What stands before the instances.
#[derive(Clone, Copy, PartialEq)]
pub enum Front {
    /// Nothing: clients have their addresses, from the stack's outputs.
    Addresses,
    /// A record with all addresses.
    Record {
        /// Its TTL.
        ttl: Duration,
    },
    /// A balancer with a node per zone.
    Balancer {
        /// After this it takes a dead target out, and its name a dead node.
        detect: Duration,
    },
}

/// How long a stack's change takes here.
pub const DEPLOY: Duration = Duration::from_secs(60);
/// How long an instance boots after that.
pub const BOOT: Duration = Duration::from_secs(20);

const ALL: [usize; 3] = [0, 1, 2];
/// Addresses from here on are the balancer's nodes.
const NODES: usize = 10;

/// The world.
pub struct ToyWorld {
    /// What the lab asked for.
    pub calls: Vec<String>,
    /// Whether stacks fail.
    pub fails: bool,
    /// The front of the template that is deployed next, where templates differ.
    pub front_of: fn(&str) -> Option<Front>,
    now: At,
    stack: Option<(At, bool)>,
    load: Option<VirtualLoad>,
    net: Net,
    events: Vec<Event>,
}

struct Net {
    front: Front,
    /// When a target stopped to answer, and when it will again.
    dead: BTreeMap<usize, (At, At)>,
    cut: Option<(usize, At, At)>,
    withdrawn: BTreeSet<usize>,
    /// Nobody answers before this moment.
    back_at: At,
    turn: usize,
}

fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 100, 1, index as u8)
}

fn silence() -> Reply {
    Reply { after: Duration::ZERO, outcome: Outcome::Timeout, reusable: false }
}

fn answer(after: Duration, status: u16) -> Reply {
    Reply { after, outcome: Outcome::Status(status), reusable: true }
}

impl Net {
    fn new(front: Front) -> Net {
        Net { front, dead: BTreeMap::new(), cut: None, withdrawn: BTreeSet::new(), back_at: At(0), turn: 0 }
    }

    fn is_dead(&self, index: usize, now: At) -> bool {
        let dead = self.dead.get(&index);
        dead.is_some_and(|&(from, to)| from <= now && now < to)
    }

    fn is_noticed(&self, index: usize, now: At, detect: Duration) -> bool {
        let dead = self.dead.get(&index);
        dead.is_some_and(|&(from, to)| from.plus(detect) <= now && now < to)
    }

    fn balance(&mut self, now: At, node: usize, detect: Duration) -> Reply {
        if matches!(self.cut, Some((zone, from, to)) if zone == node && from <= now && now < to) {
            return silence();
        }
        let targets = ALL.into_iter();
        let targets: Vec<usize> = targets.filter(|&index| !self.is_noticed(index, now, detect)).collect();
        self.turn += 1;
        match targets.get(self.turn % targets.len().max(1)) {
            None => answer(Duration::from_millis(1), 503),
            Some(&target) if self.is_dead(target, now) => answer(Duration::from_secs(10), 504),
            Some(_) => answer(Duration::from_millis(2), 200),
        }
    }
}

impl Network for Net {
    fn resolve(&mut self, now: At, _: &str) -> (Answer, Duration) {
        let minute = Duration::from_secs(60);
        let (numbers, ttl): (Vec<usize>, Duration) = match self.front {
            Front::Balancer { detect } => {
                let gone = self.cut.filter(|&(_, from, to)| from.plus(detect) <= now && now < to);
                let nodes = ALL.into_iter().filter(|&zone| gone.is_none_or(|(cut, ..)| cut != zone));
                (nodes.map(|zone| NODES + zone).collect(), minute)
            }
            Front::Record { ttl } => {
                let listed = ALL.into_iter().filter(|i| !self.withdrawn.contains(i));
                (listed.collect(), ttl)
            }
            Front::Addresses => (Vec::new(), minute),
        };
        let addresses = numbers.into_iter().map(address).collect();
        (Answer::Addresses { addresses, ttl }, Duration::from_millis(1))
    }

    fn send(&mut self, now: At, request: &Request) -> Reply {
        let number = usize::from(request.to.octets()[3]);
        match self.front {
            _ if now < self.back_at => silence(),
            Front::Balancer { detect } => self.balance(now, number - NODES, detect),
            _ if self.is_dead(number, now) => silence(),
            _ => answer(Duration::from_millis(2), 200),
        }
    }
}

impl ToyWorld {
    /// A world where every template means this front.
    pub fn new(front: Front) -> ToyWorld {
        ToyWorld {
            calls: Vec::new(),
            fails: false,
            front_of: |_| None,
            now: At(5_000_000),
            stack: None,
            load: None,
            net: Net::new(front),
            events: Vec::new(),
        }
    }

    fn event(&mut self, kind: EventKind, resource: &str, text: &str) {
        self.events.push(Event { at: self.now, kind, resource: resource.into(), text: text.into() });
    }

    fn create(&mut self, template: &str) {
        let front = (self.front_of)(template).unwrap_or(self.net.front);
        self.net = Net::new(front);
        self.net.back_at = self.now.plus(DEPLOY + BOOT);
    }
}

impl LabWorld for ToyWorld {
    fn kind(&self) -> WorldKind {
        WorldKind::Virtual
    }

    fn pace(&self) -> String {
        "toy".into()
    }

    fn now(&self) -> At {
        self.now
    }

    fn set_speed(&mut self, speed: u32) -> Result<(), WorldError> {
        assert!(self.load.is_none(), "the speed never changes under load");
        self.calls.push(format!("speed {speed}"));
        Ok(())
    }

    fn submit(&mut self, change: &StackChange) -> Result<(), WorldError> {
        let name = |path: &std::path::Path| path.file_name().map(|n| n.display().to_string());
        let (word, deletes) = match change {
            StackChange::Create { template, .. } => {
                let template = name(template).unwrap_or_default();
                self.create(&template);
                (format!("create {template}"), false)
            }
            StackChange::Update { template, parameters, .. } if parameters.is_empty() => {
                self.net.back_at = self.now.plus(DEPLOY);
                let template = name(template).unwrap_or_default();
                (format!("update {template}"), false)
            }
            StackChange::Update { parameters, .. } => {
                self.net.withdrawn = self.net.dead.keys().copied().collect();
                (format!("update {parameters:?}"), false)
            }
            StackChange::Delete { .. } => ("delete".into(), true),
        };
        self.calls.push(word);
        self.stack = Some((self.now, deletes));
        Ok(())
    }

    fn stack(&mut self, _: &str) -> Result<StackState, WorldError> {
        let outputs = ALL.into_iter().map(|i| {
            let key = format!("Address{}", ["A", "B", "C"][i]);
            (key, address(i).to_string())
        });
        let single = ("Address".to_owned(), address(0).to_string());
        Ok(match self.stack {
            None => StackState::Absent,
            Some((started, _)) if self.now < started.plus(DEPLOY) => StackState::Working,
            Some((_, true)) => StackState::Absent,
            Some((started, false)) => StackState::Settled {
                ok: !self.fails,
                status: match self.fails {
                    true => "ROLLBACK_COMPLETE".into(),
                    false => "CREATE_COMPLETE".into(),
                },
                reason: if self.fails { "no luck".into() } else { String::new() },
                started,
                finished: started.plus(DEPLOY),
                outputs: outputs.chain([single]).collect(),
            },
        })
    }

    fn inject(&mut self, _: &str, breakage: &Breakage) -> Result<String, WorldError> {
        let (now, forever) = (self.now, At(u64::MAX));
        self.calls.push(format!("{breakage:?}"));
        let (index, until) = match breakage {
            Breakage::Instance(Victim::Logical(name)) if name == "Instance" => (0, forever),
            Breakage::Instance(_) => (2, forever),
            Breakage::Zone { zone, span } if zone == "us-east-1a" => {
                self.net.cut = Some((0, now, now.plus(*span)));
                (0, now.plus(*span))
            }
            Breakage::Zone { .. } => {
                return Err(WorldError::new("cutting a zone", "there is no such zone"));
            }
        };
        self.net.dead.insert(index, (now, until));
        self.event(EventKind::Health, "i-2", "Target is <unhealthy>");
        self.event(EventKind::InService(2), "group", "");
        Ok(format!("i-{index}"))
    }

    fn start_load(&mut self, load: Load) -> Result<(), WorldError> {
        assert!(self.load.is_none(), "one load at a time");
        self.load = Some(VirtualLoad::new(load));
        self.event(EventKind::InService(3), "group", "");
        Ok(())
    }

    fn set_load_factor(&mut self, factor: f64) {
        let now = self.now;
        self.event(EventKind::Scaling, "group", "Launching a new instance");
        if let Some(load) = &mut self.load {
            load.load_mut().set_factor(now, factor);
        }
    }

    fn stop_load(&mut self) {
        self.load = None;
    }

    fn advance(&mut self, until: At, observe: &mut dyn FnMut(Observation)) -> Result<(), WorldError> {
        for event in self.events.drain(..) {
            observe(Observation::Event(event));
        }
        if let Some(load) = &mut self.load {
            while let Some(due) = load.due().filter(|&due| due <= until) {
                let mut done = |sample| observe(Observation::Sample(sample));
                load.fire(due, &mut self.net, &mut done);
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }
}
