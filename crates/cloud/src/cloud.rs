//! The control plane, assembled: services over one state, above one world.

mod requests;

use crate::asked::Asked;
use crate::controller::{Job, Queue, Wake};
use crate::core::{Core, Used};
use crate::gone::{self, Gone};
use crate::opening::{Clock, CloudConfig, OpenError};
use crate::panics::surviving;
use crate::pass::Pass;
use crate::scope::{Caller, Scope};
use crate::service::{Registrar, Service};
use crate::state::{Change, Index, State, View};
use crate::storage::{Storage, StorageError, Written};
use crate::tokens;
use crate::transaction::{Tx, Woken};
use crate::turns::Turns;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use zonal_substrate::{Ask, Report, World};
use zonal_wire::{Api, AwsError, Time};

/// The control plane.
pub struct Cloud {
    core: Core,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    storage: Mutex<Option<Storage>>,
    queue: Mutex<Queue>,
    asked: Mutex<Asked>,
    pass: Mutex<Pass>,
    turns: Turns,
    committed: Box<dyn Fn(u64) + Send + std::marker::Sync>,
}

impl Cloud {
    /// Opens the state and assembles the services. Nothing runs until [`Cloud::start`].
    ///
    /// # Errors
    /// The state cannot be read whole; nothing of it is touched then.
    pub fn open(
        config: CloudConfig,
        services: Vec<Box<dyn Service>>,
        world: Arc<dyn World>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let mut registrar = Registrar::default();
        registrar.record::<Used>();
        registrar.record::<Gone>();
        registrar.record::<tokens::ClientToken>();
        let mut entries: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let mut controllers = Vec::new();
        for service in &services {
            service.records(&mut registrar);
            controllers.extend(service.controllers());
            for entry in service.operations() {
                entries.entry(service.name()).or_default().insert(entry.facts.name, entry);
            }
        }
        let storage = config.path.as_deref().map(|path| Storage::open(path, config.sync)).transpose()?;
        let revision = storage.as_ref().map(Storage::revision).transpose()?.unwrap_or_default();
        let indexes = std::mem::take(&mut registrar.indexes);
        let mut state = State { revision, indexes, ..State::default() };
        for stored in storage.as_ref().map(Storage::load).transpose()?.unwrap_or_default() {
            let Some((table, codec)) = registrar.codecs.get_key_value(stored.table.as_str()) else {
                return Err(OpenError::Unknown(stored.table));
            };
            let row = (codec.decode)(&stored.value).map_err(|source| StorageError::Decode {
                table: stored.table.clone(),
                key: stored.key.clone(),
                source,
            })?;
            state.set(table, &stored.scope, &stored.key, Some(row));
        }
        Ok(Self {
            core: Core { services, entries, controllers, registrar, world, seed: config.seed },
            clock,
            state: RwLock::new(state),
            storage: Mutex::new(storage),
            queue: Mutex::default(),
            asked: Mutex::default(),
            pass: Mutex::default(),
            turns: Turns::default(),
            committed: config.committed,
        })
    }

    /// Takes over what the world still has (see [`Service::adopt`]), and wakes every controller's every key.
    pub fn start(&self) {
        let inventory = self.core.world.inventory();
        for service in &self.core.services {
            let adopted = self.write(&Scope::new("", ""), Caller::Service("world"), "adopt", |tx| {
                service.adopt(tx, &inventory);
                Ok(())
            });
            if let Err(error) = adopted {
                tracing::error!("{} took nothing over: {error}", service.name());
            }
        }
        self.tell_again();
        self.full_pass();
        lock(&self.pass).starts();
    }

    /// Wakes those who watch what was removed shortly before the last end: its removal may not have reached the world.
    fn tell_again(&self) {
        let kept = self.write(&Scope::new("", ""), Caller::Service("cloud"), "keep", |tx| {
            gone::keep(tx);
            Ok(())
        });
        kept.unwrap_or_else(|error| tracing::warn!("remembering removals: {error}"));
        let state = self.read();
        let known = |(scope, gone): (&Scope, &Gone)| {
            let (table, _) = self.core.registrar.codecs.get_key_value(gone.table.as_str())?;
            Some(Change { table, scope: scope.clone(), key: gone.key.clone() })
        };
        let removed = state.scopes::<Gone>().filter_map(known).collect();
        self.queue_woken(&state, &removed, Vec::new(), self.clock.now());
    }

    /// Whether a controller wants to know of a change.
    fn is_watched(&self, change: &Change, state: &State) -> bool {
        let caller = Caller::Service("cloud");
        let view = self.view_of(state, &change.scope, &caller);
        let mut woken = false;
        self.core
            .controllers
            .iter()
            .for_each(|controller| controller.wakes_on(change, &view, &mut |_, _| woken = true));
        woken
    }

    /// Wakes every controller's every key now.
    pub fn full_pass(&self) {
        let now = self.clock.now();
        lock(&self.pass).begins(now);
        self.write(&Scope::new("", ""), Caller::Service("cloud"), "sweep", |tx| {
            tokens::sweep(tx);
            gone::sweep(tx);
            Ok(())
        })
        .unwrap_or_else(|error| tracing::warn!("forgetting old client tokens: {error}"));
        self.view(&Scope::new("", ""), |view| {
            let mut queue = lock(&self.queue);
            for (index, controller) in self.core.controllers.iter().enumerate() {
                let _ = surviving(controller.name(), || {
                    controller.all(view, &mut |scope, key| queue.add((index, scope.clone(), key.to_owned()), now));
                    Ok(())
                });
            }
        });
        (self.committed)(0);
    }

    /// Whether an operation of a service is implemented.
    #[must_use]
    pub fn implements(&self, service: &str, operation: &str) -> bool {
        self.core.entries.get(service).is_some_and(|entries| entries.contains_key(operation))
    }

    /// The interfaces of all services, for the door: (name among ours, facts).
    pub fn apis(&self) -> impl Iterator<Item = (&'static str, &'static Api)> {
        self.core.services.iter().map(|service| (service.name(), service.api()))
    }

    /// The services, for their coverage.
    #[must_use]
    pub fn services(&self) -> &[Box<dyn Service>] {
        &self.core.services
    }

    /// Takes in a report of the world's.
    pub fn report(&self, report: &Report) {
        self.take_in(std::slice::from_ref(report));
    }

    /// Takes in reports of the world's, in their order, in one transaction. A service that fails at one loses that one alone.
    pub fn take_in(&self, reports: &[Report]) {
        if reports.is_empty() {
            return;
        }
        for report in reports {
            if let Report::Failed { id, reason } = report {
                tracing::warn!("the world could not: {id}: {reason}");
                // What was done already is dropped on the way.
                lock(&self.asked).forget(id);
                lock(&self.pass).failed(self.clock.now());
            }
            lock(&self.asked).heard(report);
        }
        let taken = self.write(&Scope::new("", ""), Caller::Service("world"), "report", |tx| {
            for report in reports {
                for service in &self.core.services {
                    tx.survive(service.name(), |tx| service.report(tx, report));
                }
            }
            Ok(())
        });
        if let Err(error) = taken {
            tracing::error!("{} reports were lost: {error}", reports.len());
        }
    }

    /// Runs every job that is due.
    ///
    /// # Returns
    /// When the next one is.
    pub fn run_due(&self) -> Option<Time> {
        loop {
            let now = self.clock.now();
            if lock(&self.pass).at() <= now {
                self.full_pass();
            }
            let Some(job) = lock(&self.queue).take(now) else { break };
            self.step(job, now);
        }
        let (pass, all_asked) = {
            let mut pass = lock(&self.pass);
            (pass.at(), pass.ends_start(&lock(&self.queue)))
        };
        if all_asked {
            self.core.world.all_is_asked();
        }
        Some(lock(&self.queue).next().map_or(pass, |next| next.min(pass)))
    }

    /// Does something that is no operation of AWS's (breaking a zone, say), as a service.
    ///
    /// # Errors
    /// Those of `act`; nothing is changed then.
    pub fn act<R>(
        &self,
        scope: &Scope,
        label: &'static str,
        act: impl FnOnce(&mut Tx<'_>) -> Result<R, AwsError>,
    ) -> Result<R, AwsError> {
        self.write(scope, Caller::Service(label), label, act)
    }

    /// Reads the state.
    pub fn view<R>(&self, scope: &Scope, read: impl FnOnce(&View<'_>) -> R) -> R {
        let state = self.read();
        read(&self.view_of(&state, scope, &Caller::Service("cloud")))
    }

    /// The number of commits so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// Forgets everything. The world is told to remove what it has.
    ///
    /// # Errors
    /// The database refused; nothing is forgotten then.
    pub fn reset(&self) -> Result<(), StorageError> {
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(storage) = lock(&self.storage).as_mut() {
                storage.clear(state.revision + 1)?;
            }
            state.tables.clear();
            state.indexes.values_mut().for_each(Index::clear);
            state.revision += 1;
            lock(&self.queue).clear();
            let asks = lock(&self.asked).take_back();
            if !asks.is_empty() {
                self.core.world.ask(asks);
            }
        }
        self.start();
        Ok(())
    }

    fn step(&self, job: Job, now: Time) {
        let (index, scope, key) = &job;
        let controller = &self.core.controllers[*index];
        let label = format!("{}/{key}", controller.name());
        match self.write(scope, Caller::Service(controller.name()), &label, |tx| controller.reconcile(tx, key)) {
            Ok(wake) => {
                let mut queue = lock(&self.queue);
                queue.succeeded(&job);
                if let Wake::At(at) = wake {
                    queue.add(job, at);
                }
            }
            Err(error) => {
                tracing::warn!("{label}: {error}");
                lock(&self.queue).failed(job, now);
            }
        }
    }

    /// One transaction: run, store, wake, ask.
    fn write<R>(
        &self,
        scope: &Scope,
        caller: Caller,
        label: &str,
        act: impl FnOnce(&mut Tx<'_>) -> Result<R, AwsError>,
    ) -> Result<R, AwsError> {
        let mut state = match caller {
            Caller::User { .. } => self.turns.soon(|| self.state.write().unwrap_or_else(PoisonError::into_inner)),
            Caller::Service(_) => {
                self.turns.give_way();
                self.state.write().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Not before: commits are in the order of their times.
        let now = self.clock.now();
        let chance = self.core.chance(label, state.revision);
        let mut tx = Tx::new(&self.core, &mut state, scope.clone(), caller, now, chance);
        // A panic ends its request: what it wrote is undone, and the daemon goes on.
        let (result, changes) = surviving(label, || {
            let result = act(&mut tx)?;
            Ok((result, self.remember_removed(&mut tx)))
        })?;
        if !changes.is_empty() {
            let revision = tx.state.revision + 1;
            if let Err(error) = self.store(&tx, &changes, revision) {
                tracing::error!("{error}");
                return Err(AwsError::internal("the state could not be stored"));
            }
        }
        let (asks, wakes) = tx.stand();
        state.revision += u64::from(!changes.is_empty());
        let revision = state.revision;
        self.queue_woken(&state, &changes, wakes, now);
        self.send(asks);
        drop(state);
        if !changes.is_empty() {
            (self.committed)(revision);
        }
        Ok(result)
    }

    /// Notes what was removed that controllers watch: its removal may not have reached the world when the process ends.
    ///
    /// # Returns
    /// All that has changed, these notes included.
    fn remember_removed(&self, tx: &mut Tx<'_>) -> BTreeSet<Change> {
        let changes = tx.changes();
        let watched = changes.iter().filter(|change| !tx.state.has(change) && self.is_watched(change, tx.state));
        let watched: Vec<Change> = watched.cloned().collect();
        if watched.is_empty() {
            return changes;
        }
        watched.iter().for_each(|change| gone::remember(tx, change));
        tx.changes()
    }

    fn store(&self, tx: &Tx<'_>, changes: &BTreeSet<Change>, revision: u64) -> Result<(), StorageError> {
        let mut storage = lock(&self.storage);
        let Some(storage) = storage.as_mut() else { return Ok(()) };
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            let row = tx.state.tables.get(change.table).and_then(|rows| rows.get(&change.scope)?.get(&change.key));
            let value = match (row, self.core.registrar.codecs.get(change.table)) {
                (Some(row), Some(codec)) => {
                    Some((codec.encode)(row).map_err(|source| StorageError::Encode { table: change.table, source })?)
                }
                (Some(_), None) => return Err(StorageError::Unregistered(change.table)),
                (None, _) => None,
            };
            written.push(Written { table: change.table, scope: &change.scope, key: &change.key, value });
        }
        storage.write(&written, revision)
    }

    fn queue_woken(&self, state: &State, changes: &BTreeSet<Change>, wakes: Vec<Woken>, now: Time) {
        let mut queue = lock(&self.queue);
        let caller = Caller::Service("cloud");
        for change in changes {
            let view = self.view_of(state, &change.scope, &caller);
            for (index, controller) in self.core.controllers.iter().enumerate() {
                // The change stands: one controller that fails at it costs the others nothing, and the full pass comes.
                let _ = surviving(controller.name(), || {
                    controller.wakes_on(change, &view, &mut |scope, key| {
                        queue.add((index, scope.clone(), key.to_owned()), now);
                    });
                    Ok(())
                });
            }
        }
        for (name, scope, key, at) in wakes {
            if let Some(index) = self.core.controllers.iter().position(|controller| controller.name() == name) {
                queue.add((index, scope, key), at);
            }
        }
    }

    /// Passes on what is news of asks: what was the last thing asked of its object already is none. Called under the state's lock, so
    /// that asks reach the world in the order of their commits.
    fn send(&self, asks: Vec<Ask>) {
        let mut asked = lock(&self.asked);
        let new: Vec<Ask> = asks.into_iter().filter_map(|ask| asked.note(ask)).collect();
        if !new.is_empty() {
            self.core.world.ask(new);
        }
    }

    fn read_soon(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.turns.soon(|| self.read())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_of<'a>(&'a self, state: &'a State, scope: &'a Scope, caller: &'a Caller) -> View<'a> {
        View { state, scope, caller, now: self.clock.now() }
    }
}

/// A poisoned lock is taken all the same: each holder leaves whole what it guards.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
