//! What the tests of all services stand on: a cloud over a world without machines or a virtual one, and a clock that the test moves.
//! No program depends on it.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use zonal_cloud::{Caller, Clock, Cloud, CloudConfig, DEFAULT_ACCOUNT, Prepared, Scope, Service, Sync};
use zonal_sim::Sim;
use zonal_substrate::{Ask, Inventory, World};
use zonal_wire::{AwsError, Operation, Time};

/// 2026-11-24T16:00:00Z.
pub const START: Time = Time::from_secs(1_795_536_000);

/// A clock that stands where it was put.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// One that stands at a time.
    #[must_use]
    pub fn at(time: Time) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time.0)))
    }

    /// Puts it to a time.
    pub fn set(&self, time: Time) {
        self.0.store(time.0, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

/// A world in which nothing is, that takes notes of what it is asked.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<Ask>>);

impl Notes {
    /// All asks so far, in their order.
    #[must_use]
    pub fn asks(&self) -> Vec<Ask> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl World for Notes {
    fn ask(&self, asks: Vec<Ask>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(asks);
    }

    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn console(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    fn describe(&self) -> &'static str {
        "notes"
    }
}

/// A cloud in memory, whose ids are the same in every run.
#[must_use]
pub fn in_memory() -> CloudConfig {
    CloudConfig { path: None, sync: Sync::Process, seed: 7, committed: Box::new(|_| {}) }
}

/// A cloud whose state is in a file, which may be there already.
#[must_use]
pub fn stored(path: &Path) -> CloudConfig {
    CloudConfig { path: Some(path.to_owned()), ..in_memory() }
}

/// A cloud under test: the default account in us-east-1.
pub struct Testbed {
    /// What the services run in.
    pub cloud: Cloud,
    /// The time, which [`Testbed::pass`] moves.
    pub clock: Arc<TestClock>,
    /// Whose calls [`Testbed::call`] makes.
    pub scope: Scope,
    sim: Option<Arc<Sim>>,
}

impl Testbed {
    /// Services over a world in which nothing is.
    #[must_use]
    pub fn new(services: Vec<Box<dyn Service>>) -> Self {
        Self::over(in_memory(), services, Arc::new(Notes::default()), None, TestClock::at(START))
    }

    /// Services over a world. With `sim`, what happens in that virtual world is reported as time passes.
    ///
    /// # Panics
    /// Where the state cannot be opened.
    #[must_use]
    pub fn over(
        config: CloudConfig,
        services: Vec<Box<dyn Service>>,
        world: Arc<dyn World>,
        sim: Option<Arc<Sim>>,
        clock: Arc<TestClock>,
    ) -> Self {
        let cloud = Cloud::open(config, services, world, clock.clone()).unwrap_or_else(|error| panic!("{error}"));
        cloud.start();
        Self { cloud, clock, scope: Scope::new(DEFAULT_ACCOUNT, "us-east-1"), sim }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Calls an operation as a user; controllers do not run.
    ///
    /// # Errors
    /// The operation's own.
    pub fn call<O: Operation>(&self, service: &'static str, input: O::Input) -> Result<O::Output, AwsError> {
        let caller = Caller::User { access_key: self.scope.account.to_string() };
        self.call_as::<O>(service, caller, input)
    }

    /// The same as somebody else.
    ///
    /// # Errors
    /// The operation's own.
    ///
    /// # Panics
    /// Where the operation answers with another one's output.
    pub fn call_as<O: Operation>(
        &self,
        service: &'static str,
        caller: Caller,
        input: O::Input,
    ) -> Result<O::Output, AwsError> {
        let scope = self.scope.clone();
        let prepared = Prepared { service, operation: O::facts().name, scope, caller, input: Box::new(input) };
        let output = self.cloud.request(&prepared)?;
        let Ok(output) = output.into_any().downcast::<O::Output>() else {
            panic!("{}: not its own output", O::facts().name)
        };
        Ok(*output)
    }

    /// Calls an operation as a user, input and output keyed by member names.
    ///
    /// # Errors
    /// The operation's own; or a member it does not have.
    pub fn try_json(&self, service: &str, operation: &str, input: &Value) -> Result<Value, AwsError> {
        self.cloud.call_json(&self.scope, service, operation, input)
    }

    /// The same where it must succeed.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    #[must_use]
    pub fn json(&self, service: &str, operation: &str, input: &Value) -> Value {
        match self.try_json(service, operation, input) {
            Ok(output) => output,
            Err(error) => panic!("{operation}: {}: {}", error.code, error.message),
        }
    }

    /// Lets the next thing happen: due jobs, or the events of the world at one time. `false`, at `end`, where nothing will until then.
    pub fn tick(&self, end: Time) -> bool {
        let job = self.cloud.run_due();
        // Some of what the world was just asked it has done at once.
        if self.reports() {
            return true;
        }
        let event = self.sim.as_ref().and_then(|sim| sim.due()).map(Time);
        let next = [job, event].into_iter().flatten().min().filter(|next| *next <= end);
        self.clock.set(next.unwrap_or(end).max(self.now()));
        self.reports();
        next.is_some()
    }

    /// Passes on what the virtual world reports by now; whether it reported anything.
    fn reports(&self) -> bool {
        let reports = self.sim.as_ref().map_or_else(Vec::new, |sim| sim.advance(self.now().0));
        for report in &reports {
            self.cloud.report(report);
        }
        !reports.is_empty()
    }

    /// Lets so much time pass, event by event.
    pub fn pass(&self, span: Duration) {
        let end = self.now() + span;
        while self.tick(end) {}
    }
}
