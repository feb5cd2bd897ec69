//! A lab in the virtual world: everything in this process, from event to event.

use crate::daemon::admin::{self, Break};
use crate::daemon::clock::VirtualClock;
use crate::daemon::pace::Paced;
use crate::daemon::pump::Timed;
use crate::daemon::services;
use crate::lab::backend::{Backend, Origin};
use crate::lab::stacks::Stacks;
use crate::settings::public_range;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use zonal_cloud::{Clock, Cloud, CloudConfig, DEFAULT_ACCOUNT, OpenError, Scope, Sync};
use zonal_lab::world::{Breakage, LabWorld, Observation, WorldKind};
use zonal_lab::{Answer, At, Load, Network, Outcome, Reply, StackChange, StackState, VirtualLoad, WorldError};
use zonal_sim::{Costs, Ending, Sim};
use zonal_substrate::{Ask, World};
use zonal_wire::Time;

/// How often what happened to the stacks is looked at, virtual time.
const LOOK: Duration = Duration::from_secs(1);
/// The time that every virtual lab begins at, so that two runs are the same to the letter: 2026-01-01T00:00:00Z.
const BEGINNING: Time = Time::from_secs(1_767_225_600);

/// A virtual world with a control plane.
pub struct VirtualLab {
    stacks: Stacks<InProcess>,
    load: Option<VirtualLoad>,
}

struct InProcess {
    cloud: Cloud,
    clock: Arc<VirtualClock>,
    sim: Arc<Sim>,
    timed: Timed,
    scope: Scope,
}

impl Backend for InProcess {
    fn call(&mut self, service: &str, operation: &str, input: Value) -> Result<Value, String> {
        let called = self.cloud.call_json(&self.scope, service, operation, &input);
        called.map_err(|error| format!("{}: {}", error.code, error.message))
    }

    fn break_it(&mut self, what: &Break) -> Result<String, String> {
        let done = admin::break_it(&self.cloud, what).map_err(|error| error.message)?;
        Ok(done.to_string())
    }

    fn time(&self) -> Time {
        self.clock.now()
    }
}

impl VirtualLab {
    /// An empty world whose chance comes from `seed`.
    ///
    /// # Errors
    /// Never in practice: the state is kept in memory.
    pub fn new(seed: u64, vcpu: f64) -> Result<Self, OpenError> {
        let clock = Arc::new(VirtualClock::new(BEGINNING));
        let sim = Arc::new(Sim::new(BEGINNING.0, Costs { vcpu_share: vcpu, ..Costs::default() }));
        let paced = Arc::new(Paced::new(sim.clone(), clock.clone(), Box::new(|| {})));
        let config = CloudConfig { path: None, sync: Sync::Process, seed, committed: Box::new(|_| {}) };
        let cloud = Cloud::open(config, services(public_range(0), &[0; 32]), paced.clone(), clock.clone())?;
        cloud.start();
        let timed = Timed { sim: Some(sim.clone()), paced: Some(paced) };
        let scope = Scope::new(DEFAULT_ACCOUNT, "us-east-1");
        Ok(Self { stacks: Stacks::new(InProcess { cloud, clock, sim, timed, scope }), load: None })
    }

    fn origin(&self) -> Origin {
        self.stacks.origin
    }
}

/// The clients' address outside.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 100, 0, 1);

struct Outside<'a>(&'a Sim);

impl Network for Outside<'_> {
    fn resolve(&mut self, _: At, name: &str) -> (Answer, Duration) {
        let (addresses, ttl) = self.0.resolve(name);
        let answer = if addresses.is_empty() { Answer::Failed } else { Answer::Addresses { addresses, ttl } };
        (answer, Duration::from_micros(300))
    }

    fn send(&mut self, _: At, request: &zonal_lab::Request) -> Reply {
        let visit = self.0.request(CLIENT, request.to, request.port);
        let outcome = match visit.ending {
            Ending::Status(status) => Outcome::Status(status),
            Ending::Refused => Outcome::Refused,
            Ending::Silence => Outcome::Timeout,
        };
        Reply { after: visit.after, outcome, reusable: matches!(visit.ending, Ending::Status(_)) }
    }
}

impl LabWorld for VirtualLab {
    fn kind(&self) -> WorldKind {
        WorldKind::Virtual
    }

    fn pace(&self) -> String {
        "aws".to_owned()
    }

    fn now(&self) -> At {
        self.stacks.now()
    }

    fn set_speed(&mut self, speed: u32) -> Result<(), WorldError> {
        self.stacks.backend.sim.ask(vec![Ask::SetSpeed(speed)]);
        Ok(())
    }

    fn submit(&mut self, change: &StackChange) -> Result<(), WorldError> {
        self.stacks.submit(change)
    }

    fn stack(&mut self, name: &str) -> Result<StackState, WorldError> {
        self.stacks.stack(name)
    }

    fn inject(&mut self, stack: &str, breakage: &Breakage) -> Result<String, WorldError> {
        self.stacks.inject(stack, breakage)
    }

    fn start_load(&mut self, load: Load) -> Result<(), WorldError> {
        self.load = Some(VirtualLoad::new(load));
        Ok(())
    }

    fn set_load_factor(&mut self, factor: f64) {
        let now = self.now();
        if let Some(load) = &mut self.load {
            load.load_mut().set_factor(now, factor);
        }
    }

    fn stop_load(&mut self) {
        self.load = None;
    }

    fn advance(&mut self, until: At, observe: &mut dyn FnMut(Observation)) -> Result<(), WorldError> {
        let origin = self.origin();
        let (end, mut look) = (origin.time(until), self.stacks.backend.time() + LOOK);
        loop {
            let now = self.stacks.backend.time();
            let backend = &self.stacks.backend;
            let next = backend.timed.advance(&backend.cloud, now);
            let mut then = next.unwrap_or(end).min(end);
            if let Some(load) = &mut self.load {
                if load.due().is_some_and(|due| origin.time(due) <= now) {
                    load.fire(origin.at(now), &mut Outside(&backend.sim), &mut |sample| {
                        observe(Observation::Sample(sample))
                    });
                }
                if let Some(due) = load.due() {
                    then = then.min(origin.time(due));
                }
            }
            if now >= look || now >= end {
                for event in self.stacks.events()? {
                    observe(Observation::Event(event));
                }
                look = now + LOOK;
            }
            if now >= end {
                return Ok(());
            }
            self.stacks.backend.clock.set(then.max(now));
            // What is due now and does not move the clock is done again in the next round; nothing due moves it to the end.
        }
    }
}
