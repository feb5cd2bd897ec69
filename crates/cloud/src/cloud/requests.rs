//! How a request is run: what reads, by one state; what asks the world, without holding any; what writes, as a transaction.

use super::{Cloud, surviving};
use crate::core::Used;
use crate::scope::{Caller, Scope};
use crate::service::{AskHandler, Entry, Handler, Prepared};
use std::time::Duration;
use zonal_wire::{AwsError, Structure};

impl Cloud {
    /// Runs a request.
    ///
    /// # Errors
    /// The operation's own; or an internal error where the state cannot be stored, with nothing changed.
    pub fn request(&self, request: &Prepared) -> Result<Box<dyn Structure>, AwsError> {
        let entry = self.core.entry(request.service, request.operation)?;
        self.run(entry, request.service, &request.scope, &request.caller, &*request.input)
    }

    /// Runs an operation as its kind wants it.
    fn run(
        &self,
        entry: &Entry,
        service: &str,
        scope: &Scope,
        caller: &Caller,
        input: &dyn Structure,
    ) -> Result<Box<dyn Structure>, AwsError> {
        let name = entry.facts.name;
        if let Handler::Ask(handler) = &entry.handler {
            return self.ask(entry, handler, scope, caller, input);
        }
        if let Handler::Read(handler) = &entry.handler {
            let state = self.read_soon();
            if state.get::<Used>(scope, service).is_some() {
                let answer = surviving(name, || handler(&self.view_of(&state, scope, caller), input))?;
                return entry.unless_dry(input).map(|()| answer);
            }
        }
        self.write(scope, caller.clone(), name, |tx| tx.invoke(service, name, input))
    }

    /// Whether an operation asks the world, and so may take as long as that does. Nobody should wait for it but its caller.
    #[must_use]
    pub fn asks_world(&self, service: &str, operation: &str) -> bool {
        self.core.entry(service, operation).is_ok_and(|entry| matches!(entry.handler, Handler::Ask(_)))
    }

    /// Asks the world for an answer, once the input has been judged by the state.
    fn ask(
        &self,
        entry: &Entry,
        handler: &AskHandler,
        scope: &Scope,
        caller: &Caller,
        input: &dyn Structure,
    ) -> Result<Box<dyn Structure>, AwsError> {
        let name = entry.facts.name;
        // Whoever writes meanwhile does not wait for the world: the state is let go at the end of this line.
        let rest = surviving(name, || handler(&self.view_of(&self.read_soon(), scope, caller), input))?;
        entry.unless_dry(input)?;
        surviving(name, || Ok(rest(&*self.core.world)))
    }

    /// How long a request may wait because what it names is in transition; `None` where it need not.
    #[must_use]
    pub fn unsettled(&self, request: &Prepared) -> Option<Duration> {
        let (limit, unsettled) = self.core.entry(request.service, request.operation).ok()?.settle.as_ref()?;
        let state = self.read();
        let view = self.view_of(&state, &request.scope, &request.caller);
        let waits = surviving(request.operation, || Ok(unsettled(&view, &*request.input)));
        waits.is_ok_and(|waits| waits).then_some(*limit)
    }

    /// Calls an operation with an input keyed by member names, and answers likewise: for what drives a cloud from inside its process.
    ///
    /// # Errors
    /// The operation's own; or a member it does not have.
    pub fn call_json(
        &self,
        scope: &Scope,
        service: &str,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value, AwsError> {
        let caller = Caller::User { access_key: scope.account.to_string() };
        let entry = self.core.entry(service, operation)?;
        let answer = self.run(entry, service, scope, &caller, &*entry.input(input)?)?;
        Ok(zonal_wire::value::to_json(&*answer))
    }
}
