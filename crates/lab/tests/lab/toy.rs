//! A toy world in virtual time: three instances behind hand-given addresses, a DNS record, or a balancer. It knows
//! just enough to be led through a lab, and to be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;
use zonal_lab::world::{Breakage, WorldKind};
use zonal_lab::{
    Answer, At, Event, EventKind, LabWorld, Load, Network, Observation, Outcome, Reply, Request,
    StackChange, StackState, VirtualLoad, WorldError,
};

/// What stands before the instances.
#[derive(Clone, Copy, PartialEq)]
pub enum Front {
    /// Nothing: clients have their addresses, in the stack's outputs `A0`, `A1`, `A2`.
    Addresses,
    /// A record with all addresses.
    Record { ttl: Duration },
    /// A balancer that takes a dead target out after `detect`.
    Balancer { detect: Duration },
}

/// How long a stack's change takes here.
pub const DEPLOY: Duration = Duration::from_secs(60);

pub struct ToyWorld {
    pub calls: Vec<String>,
    /// The change of this stack fails.
    pub fails: bool,
    now: At,
    stack: Option<(At, bool)>,
    load: Option<VirtualLoad>,
    net: Net,
    events: Vec<Event>,
}

struct Net {
    front: Front,
    dead: BTreeMap<usize, At>,
    withdrawn: BTreeSet<usize>,
    /// Nobody answers before this moment.
    back_at: At,
    turn: usize,
}

impl Net {
    const ALL: [usize; 3] = [0, 1, 2];

    fn address(index: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, 100, 1, index as u8)
    }
}

impl Network for Net {
    fn resolve(&mut self, _: At, _: &str) -> (Answer, Duration) {
        let (indexes, ttl) = match self.front {
            Front::Record { ttl } => (
                Self::ALL
                    .into_iter()
                    .filter(|i| !self.withdrawn.contains(i))
                    .collect(),
                ttl,
            ),
            _ => (vec![9], Duration::from_secs(60)),
        };
        let addresses = indexes.into_iter().map(Self::address).collect();
        (
            Answer::Addresses { addresses, ttl },
            Duration::from_millis(1),
        )
    }

    fn send(&mut self, now: At, request: &Request) -> Reply {
        let ok = Reply {
            after: Duration::from_millis(2),
            outcome: Outcome::Status(200),
            reusable: true,
        };
        let silence = Reply {
            after: Duration::ZERO,
            outcome: Outcome::Timeout,
            reusable: false,
        };
        if now < self.back_at {
            return silence;
        }
        let Front::Balancer { detect } = self.front else {
            let index = usize::from(request.to.octets()[3]);
            return if self.dead.contains_key(&index) {
                silence
            } else {
                ok
            };
        };
        self.turn += 1;
        let out = |index: &usize| {
            self.dead
                .get(index)
                .is_some_and(|died| now >= died.plus(detect))
        };
        let targets: Vec<usize> = Self::ALL.into_iter().filter(|index| !out(index)).collect();
        let target = targets[self.turn % targets.len()];
        match self.dead.contains_key(&target) {
            true => Reply {
                after: Duration::from_secs(10),
                outcome: Outcome::Status(504),
                reusable: true,
            },
            false => ok,
        }
    }
}

impl ToyWorld {
    pub fn new(front: Front) -> ToyWorld {
        let net = Net {
            front,
            dead: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            back_at: At(0),
            turn: 0,
        };
        ToyWorld {
            calls: Vec::new(),
            fails: false,
            now: At(5_000_000),
            stack: None,
            load: None,
            net,
            events: Vec::new(),
        }
    }

    fn event(&mut self, kind: EventKind, resource: &str, text: &str) {
        self.events.push(Event {
            at: self.now,
            kind,
            resource: resource.into(),
            text: text.into(),
        });
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
        let (word, deletes) = match change {
            StackChange::Create { template, .. } => {
                self.net.back_at = self.now.plus(DEPLOY + Duration::from_secs(20));
                (format!("create {}", template.display()), false)
            }
            StackChange::Update {
                template,
                parameters,
                ..
            } if parameters.is_empty() => {
                self.net.back_at = self.now.plus(DEPLOY);
                (format!("update {}", template.display()), false)
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
        Ok(match self.stack {
            None => StackState::Absent,
            Some((started, _)) if self.now < started.plus(DEPLOY) => StackState::Working,
            Some((_, true)) => StackState::Absent,
            Some((started, false)) => StackState::Settled {
                ok: !self.fails,
                status: if self.fails {
                    "ROLLBACK_COMPLETE".into()
                } else {
                    "CREATE_COMPLETE".into()
                },
                reason: if self.fails {
                    "no luck".into()
                } else {
                    String::new()
                },
                started,
                finished: started.plus(DEPLOY),
                outputs: Net::ALL
                    .into_iter()
                    .map(|i| (format!("A{i}"), Net::address(i).to_string()))
                    .collect(),
            },
        })
    }

    fn inject(&mut self, _: &str, breakage: &Breakage) -> Result<String, WorldError> {
        let Breakage::Instance(victim) = breakage else {
            return Err(WorldError::new("cutting a zone", "a toy has no zones"));
        };
        self.calls.push(format!("kill {victim:?}"));
        self.net.dead.insert(2, self.now);
        self.event(EventKind::Health, "i-2", "Target is <unhealthy>");
        self.event(EventKind::InService(2), "group", "");
        Ok("i-2".into())
    }

    fn start_load(&mut self, load: Load) -> Result<(), WorldError> {
        assert!(self.load.is_none(), "one load at a time");
        self.load = Some(VirtualLoad::new(load));
        self.event(EventKind::InService(3), "group", "");
        Ok(())
    }

    fn set_load_factor(&mut self, factor: f64) {
        let now = self.now;
        self.load
            .iter_mut()
            .for_each(|load| load.load_mut().set_factor(now, factor));
    }

    fn stop_load(&mut self) {
        self.load = None;
    }

    fn advance(
        &mut self,
        until: At,
        observe: &mut dyn FnMut(Observation),
    ) -> Result<(), WorldError> {
        self.events
            .drain(..)
            .for_each(|event| observe(Observation::Event(event)));
        if let Some(load) = &mut self.load {
            while let Some(due) = load.due().filter(|&due| due <= until) {
                load.fire(due, &mut self.net, &mut |sample| {
                    observe(Observation::Sample(sample))
                });
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }
}
