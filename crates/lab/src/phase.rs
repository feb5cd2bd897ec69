//! One phase, step by step: deploy, wait for the first answers, load and break,
//! measure, take down.

use crate::clients::{Load, LoadPlan, Route};
use crate::error::LabError;
use crate::measure::{Measure, Measured};
use crate::runner::{Judged, Notice, PhaseResult};
use crate::spec::{FaultKind, LabSpec, PhaseSpec, Target};
use crate::time::At;
use crate::timeline::Timeline;
use crate::verdict::Figures;
use crate::watch::{Mode, Watch};
use crate::world::{Breakage, Event, EventKind, LabWorld, Observation, StackChange, StackState, WorldError};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a lab waits for a stack, in virtual time: what CloudFormation takes for most, and to spare.
const STACK_LIMIT: Duration = Duration::from_secs(3600);
/// How long it waits for first answers after that.
const READY_LIMIT: Duration = Duration::from_secs(1800);
/// Answers in a row that each probing client needs before the load starts.
const READY_ANSWERS: u32 = 3;
/// Clients that probe a name.
const PROBES: u32 = 4;
/// No client gives up sooner than this in real time, at whatever speed (a timeout of a health check neither).
pub const TIMEOUT_FLOOR: Duration = Duration::from_millis(100);
/// Real time between two looks at the world.
const LOOK: Duration = Duration::from_millis(100);

/// One phase under way.
pub(crate) struct PhaseRun<'a> {
    pub lab: &'a LabSpec,
    pub phase: &'a PhaseSpec,
    pub world: &'a mut dyn LabWorld,
    pub watch: Watch<'a>,
}

/// A stack's change that is complete.
struct Completed {
    took: Duration,
    outputs: BTreeMap<String, String>,
}

impl PhaseRun<'_> {
    /// A phase, step by step.
    pub fn run(&mut self) -> Result<PhaseResult, LabError> {
        let asked = self.world.now();
        let mut deployed = self.deploy()?;
        let route = self.route(&deployed.outputs)?;
        let first = self.first_answer(&route)?;
        let measured = self.load(&route, &mut deployed)?;
        let capacity = self.watch.capacity(measured.start);
        let figures = Figures::new(&measured, deployed.took, first.since(asked), &capacity);
        let expectations = self
            .phase
            .expect
            .iter()
            .map(|expectation| Judged { met: figures.meets(expectation), expectation: expectation.clone() });
        Ok(PhaseResult {
            number: self.phase.number,
            title: self.phase.title.clone(),
            limit: self.phase.limit.clone(),
            speed: self.phase.speed,
            duration: self.phase.duration,
            verdict: figures.verdict(),
            sentence: figures.sentence(),
            expected: self.phase.shows,
            expectations: expectations.collect(),
            interval: self.phase.interval,
            timeline: Timeline::new(&measured, &self.watch.events),
            figures,
        })
    }

    fn deploy(&mut self) -> Result<Completed, LabError> {
        self.watch.progress.notice(Notice::Deploying);
        self.world.set_speed(self.lab.deploy_speed).map_err(|e| self.fail(e))?;
        let change = StackChange::Create {
            stack: self.phase.stack.clone(),
            template: self.phase.update_of.as_ref().unwrap_or(&self.phase.template).clone(),
            parameters: self.phase.parameters.clone(),
        };
        self.world.submit(&change).map_err(|e| self.fail(e))?;
        self.completed(self.lab.deploy_speed)
    }

    /// Waits until the stack's last change is over.
    fn completed(&mut self, speed: u32) -> Result<Completed, LabError> {
        let limit = self.world.now().plus(STACK_LIMIT);
        loop {
            match self.world.stack(&self.phase.stack).map_err(|e| self.fail(e))? {
                StackState::Settled { ok: true, started, finished, outputs, .. } => {
                    return Ok(Completed { took: finished.since(started), outputs });
                }
                StackState::Settled { status, reason, .. } => {
                    return Err(self.stack_failed(status, reason));
                }
                StackState::Absent => {
                    return Err(self.stack_failed("absent".into(), "there is no such stack".into()));
                }
                StackState::Working if self.world.now() >= limit => {
                    return Err(self.late("the stack to be complete", STACK_LIMIT));
                }
                StackState::Working => self.look(speed)?,
            }
        }
    }

    /// Lets a moment pass.
    fn look(&mut self, speed: u32) -> Result<(), LabError> {
        let until = self.world.now().plus(LOOK * speed);
        self.until(until)
    }

    fn until(&mut self, until: At) -> Result<(), LabError> {
        if self.watch.progress.stopped() {
            return Err(LabError::Cancelled);
        }
        let watch = &mut self.watch;
        let passed = self.world.advance(until, &mut |seen| watch.see(seen));
        passed.map_err(|e| self.fail(e))
    }

    /// Where clients turn to, now that the stack's outputs are known.
    fn route(&self, outputs: &BTreeMap<String, String>) -> Result<Route, LabError> {
        match &self.phase.load.target {
            Target::Name(name) => Ok(Route::Name(name.clone())),
            Target::Outputs(keys) => {
                let address = |key: &String| outputs.get(key).and_then(|value| value.parse().ok());
                let found = keys.iter().map(|key| {
                    address(key).ok_or_else(|| LabError::Output {
                        phase: self.phase.number,
                        stack: self.phase.stack.clone(),
                        output: key.clone(),
                    })
                });
                Ok(Route::Addresses(found.collect::<Result<_, _>>()?))
            }
        }
    }

    /// Probes until each client has had some answers in a row; returns when the first came.
    fn first_answer(&mut self, route: &Route) -> Result<At, LabError> {
        self.watch.progress.notice(Notice::Waiting);
        let now = self.world.now();
        let clients = match route {
            Route::Name(_) => PROBES,
            Route::Addresses(all) => all.len() as u32,
        };
        let plan = LoadPlan { clients, idle: None, ..self.plan(route, self.lab.deploy_speed, now, At(u64::MAX)) };
        self.watch.mode = Mode::Probing { in_a_row: vec![0; clients as usize], first: None };
        self.world.start_load(Load::new(plan)).map_err(|e| self.fail(e))?;
        let limit = now.plus(READY_LIMIT);
        let first = loop {
            if let Mode::Probing { in_a_row, first: Some(first) } = &self.watch.mode
                && in_a_row.iter().all(|&n| n >= READY_ANSWERS)
            {
                break *first;
            }
            if self.world.now() >= limit {
                return Err(self.late("answers", READY_LIMIT));
            }
            self.look(self.lab.deploy_speed)?;
        };
        self.world.stop_load();
        self.watch.mode = Mode::Idle;
        Ok(first)
    }

    /// Runs the load and the faults.
    fn load(&mut self, route: &Route, deployed: &mut Completed) -> Result<Measured, LabError> {
        let speed = self.phase.speed;
        self.world.set_speed(speed).map_err(|e| self.fail(e))?;
        let start = self.world.now();
        let end = start.plus(self.phase.duration);
        let plan = self.plan(route, speed, start, end);
        let drained = end.plus(plan.timeout);
        self.watch.mode = Mode::Measuring { measure: Measure::new(start, plan.clients) };
        self.world.start_load(Load::new(plan)).map_err(|e| self.fail(e))?;
        let phase = self.phase;
        let mut updating = false;
        for fault in &phase.faults {
            self.reach(start.plus(fault.at), start)?;
            if updating && matches!(fault.kind, FaultKind::Update { .. }) {
                self.completed(speed)?;
            }
            updating |= self.act(&fault.kind)?;
        }
        self.reach(end, start)?;
        self.reach(drained, start)?;
        self.world.stop_load();
        if updating {
            let update = self.completed(speed)?;
            if phase.update_of.is_some() {
                *deployed = update;
            }
        }
        match std::mem::replace(&mut self.watch.mode, Mode::Idle) {
            Mode::Measuring { measure } => Ok(measure.finish(end)),
            Mode::Idle | Mode::Probing { .. } => Ok(Measure::new(start, 0).finish(end)),
        }
    }

    /// Lets time pass until `until`, and shows how the load goes.
    fn reach(&mut self, until: At, start: At) -> Result<(), LabError> {
        while self.world.now() < until {
            let step = self.world.now().plus(LOOK * self.phase.speed);
            self.until(step.min(until))?;
            if let Mode::Measuring { measure } = &self.watch.mode {
                let (ok, lost) = measure.counts();
                let (elapsed, of) = (self.world.now().since(start).min(self.phase.duration), self.phase.duration);
                self.watch.progress.notice(Notice::Loading { elapsed, of, ok, lost });
            }
        }
        Ok(())
    }

    /// Does what a fault says; returns whether a stack's change is under way by it.
    fn act(&mut self, kind: &FaultKind) -> Result<bool, LabError> {
        let at = self.world.now();
        let mut what = kind.describe();
        match kind {
            FaultKind::KillInstance(victim) => {
                let broken = self.inject(&Breakage::Instance(victim.clone()))?;
                what = format!("{broken} dies");
            }
            FaultKind::CutZone { zone, span } => {
                self.inject(&Breakage::Zone { zone: zone.clone(), span: *span })?;
            }
            FaultKind::Update { template, parameters, .. } => {
                let change = StackChange::Update {
                    stack: self.phase.stack.clone(),
                    template: template.clone(),
                    parameters: parameters.clone(),
                };
                self.world.submit(&change).map_err(|e| self.fail(e))?;
            }
            FaultKind::Load(factor) => self.world.set_load_factor(*factor),
        }
        if let (Mode::Measuring { measure }, true) = (&mut self.watch.mode, kind.breaks()) {
            measure.broke(at, what.clone());
        }
        let event = Event { at, kind: EventKind::Fault, resource: "lab".into(), text: what };
        self.watch.see(Observation::Event(event));
        Ok(matches!(kind, FaultKind::Update { .. }))
    }

    fn inject(&mut self, breakage: &Breakage) -> Result<String, LabError> {
        self.world.inject(&self.phase.stack, breakage).map_err(|e| self.fail(e))
    }

    fn plan(&self, route: &Route, speed: u32, start: At, end: At) -> LoadPlan {
        let load = &self.phase.load;
        LoadPlan {
            rate: load.rate,
            clients: load.clients,
            route: route.clone(),
            port: load.port,
            path: load.path.clone(),
            timeout: load.timeout.max(TIMEOUT_FLOOR * speed),
            idle: load.idle,
            seed: self.lab.seed ^ u64::from(self.phase.number),
            start,
            end,
        }
    }

    /// Takes the phase's stack down, whatever has happened before.
    pub fn take_down(&mut self) -> Result<(), LabError> {
        self.watch.progress.notice(Notice::Deleting);
        self.watch.mode = Mode::Idle;
        self.world.stop_load();
        self.world.set_speed(self.lab.teardown_speed).map_err(|e| self.fail(e))?;
        let stack = self.phase.stack.clone();
        let limit = self.world.now().plus(STACK_LIMIT);
        let mut asked = false;
        loop {
            match self.world.stack(&stack).map_err(|e| self.fail(e))? {
                StackState::Absent => return Ok(()),
                StackState::Settled { ok: false, status, reason, .. } if asked => {
                    return Err(self.stack_failed(status, reason));
                }
                // A change that is still under way, of a phase that was cut short, ends first.
                StackState::Settled { .. } if !asked => {
                    self.world.submit(&StackChange::Delete { stack: stack.clone() }).map_err(|e| self.fail(e))?;
                    asked = true;
                }
                _ if self.world.now() >= limit => {
                    return Err(self.late("the stack to be gone", STACK_LIMIT));
                }
                _ => {
                    // Not `look`: a user who stopped the lab waits for this.
                    let (until, watch) = (self.world.now().plus(LOOK * self.lab.teardown_speed), &mut self.watch);
                    let passed = self.world.advance(until, &mut |seen| watch.see(seen));
                    passed.map_err(|e| self.fail(e))?;
                }
            }
        }
    }

    fn fail(&self, source: WorldError) -> LabError {
        LabError::World { phase: self.phase.number, source }
    }

    fn late(&self, what: &str, waited: Duration) -> LabError {
        LabError::Late { phase: self.phase.number, what: what.into(), waited }
    }

    fn stack_failed(&self, status: String, reason: String) -> LabError {
        LabError::Stack { phase: self.phase.number, stack: self.phase.stack.clone(), status, reason }
    }
}
