//! One transaction: reads, writes, asks of the world and calls of other services, all kept or all undone.

use crate::controller::Wake;
use crate::core::Core;
use crate::ids;
use crate::panics::surviving;
use crate::scope::{Caller, Scope};
use crate::service::Handler;
use crate::state::{Change, Record, Row, State, View};
use crate::tokens;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::sync::Arc;
use zonal_substrate::Ask;
use zonal_wire::{AwsError, Operation, Structure, Time};

/// How deep operations may call each other: CloudFormation → Auto Scaling → EC2 → CloudWatch is four.
const MAX_DEPTH: u8 = 8;

/// A transaction under way.
pub struct Tx<'a> {
    pub(crate) core: &'a Core,
    pub(crate) state: &'a mut State,
    /// Where it writes.
    pub scope: Scope,
    /// For whom.
    pub caller: Caller,
    /// When.
    pub now: Time,
    pub(crate) undo: Vec<Undo>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) wakes: Vec<Woken>,
    chance: StdRng,
    depth: u8,
}

/// A controller's key that is to be looked at: its name, scope and key, and when.
pub(crate) type Woken = (&'static str, Scope, String, Time);

/// What stood where a transaction wrote.
pub(crate) struct Undo {
    pub table: &'static str,
    pub scope: Scope,
    pub key: String,
    pub old: Option<Row>,
}

/// A place in a transaction to which it can be undone.
struct Savepoint {
    undo: usize,
    asks: usize,
    wakes: usize,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        core: &'a Core,
        state: &'a mut State,
        scope: Scope,
        caller: Caller,
        now: Time,
        chance: StdRng,
    ) -> Self {
        Self {
            core,
            state,
            scope,
            caller,
            now,
            undo: Vec::new(),
            asks: Vec::new(),
            wakes: Vec::new(),
            chance,
            depth: 0,
        }
    }

    /// The state as this transaction sees it, its own writes included.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { state: self.state, scope: &self.scope, caller: &self.caller, now: self.now }
    }

    /// The record of that key.
    #[must_use]
    pub fn get<T: Record>(&self, key: &str) -> Option<&T> {
        self.state.get(&self.scope, key)
    }

    /// All records of a type here, in the order of their keys.
    pub fn list<T: Record>(&self) -> impl Iterator<Item = &T> {
        self.state.list(&self.scope)
    }

    /// The records whose keys begin with `prefix`, in the order of their keys.
    pub fn starting<T: Record>(&self, prefix: String) -> impl Iterator<Item = &T> + use<'_, T> {
        self.state.starting(&self.scope, prefix)
    }

    /// The records that belong to `owner`, in the order of their keys.
    pub fn owned_by<T: Record>(&self, owner: &str) -> impl Iterator<Item = &T> + use<'_, T> {
        self.state.owned_by(&self.scope, owner)
    }

    /// The record of that key wherever it lives: for keys that are unique in the world.
    #[must_use]
    pub fn find<T: Record>(&self, key: &str) -> Option<(&Scope, &T)> {
        self.state.find(key)
    }

    /// Writes a record; writing what stands there already changes nothing.
    pub fn put<T: Record>(&mut self, record: T) {
        let key = record.key().to_owned();
        if self.get::<T>(&key) == Some(&record) {
            return;
        }
        self.set(T::TABLE, &key, Some(Arc::new(record)));
    }

    /// Changes the record of that key in place; `None` where there is none.
    pub fn update<T: Record, R>(&mut self, key: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut record = self.get::<T>(key)?.clone();
        let result = change(&mut record);
        debug_assert_eq!(record.key(), key, "an update keeps the record's key");
        self.put(record);
        Some(result)
    }

    /// Removes the record of that key.
    pub fn remove<T: Record>(&mut self, key: &str) {
        if self.get::<T>(key).is_some() {
            self.set(T::TABLE, key, None);
        }
    }

    fn set(&mut self, table: &'static str, key: &str, row: Option<Row>) {
        let old = self.state.set(table, &self.scope, key, row);
        self.undo.push(Undo { table, scope: self.scope.clone(), key: key.to_owned(), old });
    }

    /// Asks the world, once this is committed. What was asked before, unchanged, is dropped.
    pub fn ask(&mut self, ask: Ask) {
        self.asks.push(ask);
    }

    /// Wakes a controller's key in this scope at a time, whatever else happens.
    pub fn wake(&mut self, controller: &'static str, key: &str, wake: Wake) {
        if let Wake::At(at) = wake {
            self.wakes.push((controller, self.scope.clone(), key.to_owned(), at));
        }
    }

    /// Chance: a generator of this transaction's own.
    pub fn chance(&mut self) -> &mut StdRng {
        &mut self.chance
    }

    /// A new resource id: `prefix` and seventeen hexadecimal digits.
    pub fn id(&mut self, prefix: &str) -> String {
        ids::resource(prefix, &mut self.chance)
    }

    /// Does something in another account or region.
    pub fn within<R>(&mut self, scope: &Scope, act: impl FnOnce(&mut Self) -> R) -> R {
        let own = std::mem::replace(&mut self.scope, scope.clone());
        let result = act(self);
        self.scope = own;
        result
    }

    /// Does something as a service of ours rather than as the user.
    pub fn as_service<R>(&mut self, service: &'static str, act: impl FnOnce(&mut Self) -> R) -> R {
        let own = std::mem::replace(&mut self.caller, Caller::Service(service));
        let result = act(self);
        self.caller = own;
        result
    }

    /// Does something that is undone where it fails, without undoing what came before.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn attempt<R, E>(&mut self, act: impl FnOnce(&mut Self) -> Result<R, E>) -> Result<R, E> {
        let savepoint = Savepoint { undo: self.undo.len(), asks: self.asks.len(), wakes: self.wakes.len() };
        let result = act(self);
        if result.is_err() {
            self.undo_to(&savepoint);
        }
        result
    }

    /// Does something whose panic is undone and told, and ends nothing else.
    pub(crate) fn survive(&mut self, what: &str, act: impl FnOnce(&mut Self)) {
        let savepoint = Savepoint { undo: self.undo.len(), asks: self.asks.len(), wakes: self.wakes.len() };
        let (scope, caller, depth) = (self.scope.clone(), self.caller.clone(), self.depth);
        let done = surviving(what, || {
            act(self);
            Ok(())
        });
        if done.is_err() {
            self.undo_to(&savepoint);
            (self.scope, self.caller, self.depth) = (scope, caller, depth);
        }
    }

    /// Calls an operation of a service, as its user would; undone where it fails.
    ///
    /// # Errors
    /// The operation's own.
    pub fn call<O: Operation>(&mut self, service: &str, input: &O::Input) -> Result<O::Output, AwsError> {
        let output = self.invoke(service, O::facts().name, input)?;
        let output = output.into_any().downcast::<O::Output>();
        Ok(*output.expect("an operation's output is of its own type"))
    }

    /// Calls an operation with an input keyed by member names, and answers likewise.
    ///
    /// # Errors
    /// The operation's own; or a member it does not have.
    pub fn call_json(
        &mut self,
        service: &str,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value, AwsError> {
        let typed = self.core.entry(service, operation)?.input(input)?;
        let output = self.invoke(service, operation, &*typed)?;
        Ok(zonal_wire::value::to_json(&*output))
    }

    /// Calls an operation by name.
    pub(crate) fn invoke(
        &mut self,
        service: &str,
        operation: &str,
        input: &dyn Structure,
    ) -> Result<Box<dyn Structure>, AwsError> {
        if self.depth == MAX_DEPTH {
            return Err(AwsError::internal(format!("{service} {operation}: calls are nested too deep")));
        }
        let core = self.core;
        let entry = core.entry(service, operation)?;
        self.depth += 1;
        let result = self.attempt(|tx| {
            core.first_use(service, tx)?;
            let answer = match &entry.handler {
                Handler::Read(handler) => handler(&tx.view(), input),
                // All others would wait for the world.
                Handler::Ask(_) => Err(AwsError::internal(format!("{service} {operation}: no part of a transaction"))),
                Handler::Write(handler) => {
                    match entry.token.as_ref().and_then(|(of, mismatch)| Some((of(input)?, mismatch))) {
                        Some((token, mismatch)) => {
                            tokens::once(tx, service, entry.facts, &token, mismatch, input, handler)
                        }
                        None => handler(tx, input),
                    }
                }
            }?;
            entry.unless_dry(input).map(|()| answer)
        });
        self.depth -= 1;
        result
    }

    fn undo_to(&mut self, savepoint: &Savepoint) {
        for undo in self.undo.drain(savepoint.undo..).rev() {
            self.state.set(undo.table, &undo.scope, &undo.key, undo.old);
        }
        self.asks.truncate(savepoint.asks);
        self.wakes.truncate(savepoint.wakes);
    }

    /// What it wrote stands.
    ///
    /// # Returns
    /// What it asks of the world, and which controllers it wakes when.
    pub(crate) fn stand(mut self) -> (Vec<Ask>, Vec<Woken>) {
        self.undo.clear();
        (std::mem::take(&mut self.asks), std::mem::take(&mut self.wakes))
    }

    /// What it changed, each once.
    pub(crate) fn changes(&self) -> BTreeSet<Change> {
        self.undo
            .iter()
            .map(|undo| Change { table: undo.table, scope: undo.scope.clone(), key: undo.key.clone() })
            .collect()
    }
}

/// What did not come to stand is undone, whichever way it was left.
impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.undo_to(&Savepoint { undo: 0, asks: 0, wakes: 0 });
    }
}
