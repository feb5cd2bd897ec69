//! What a service is to the rest: its interface's facts, its operations, its controllers.

use crate::controller::Controller;
use crate::scope::{Caller, Scope};
use crate::state::{Codec, Index, Record, View};
use crate::transaction::Tx;
use std::time::Duration;
use zonal_substrate::{Inventory, Report, World};
use zonal_wire::{Api, AwsError, Operation, OperationFacts, Structure};

/// A service of AWS's.
pub trait Service: Send + Sync {
    /// Its name among ours, and in dynamic calls: `ec2`, `elbv2`, ….
    fn name(&self) -> &'static str;

    /// Its interface's facts, generated.
    fn api(&self) -> &'static Api;

    /// What it implements.
    fn operations(&self) -> Vec<Entry>;

    /// What drives its things towards what is stored.
    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        Vec::new()
    }

    /// Its record types: one [`Registrar::record`] each.
    fn records(&self, registrar: &mut Registrar);

    /// Makes what an account has in a region from the start (a default VPC). Called once, before the first call there.
    ///
    /// # Errors
    /// It could not be made; the call that came first fails with it.
    fn first_use(&self, tx: &mut Tx<'_>) -> Result<(), AwsError> {
        let _ = tx;
        Ok(())
    }

    /// Takes in what the world reports; what is none of this service's is left alone. `tx.scope` is no particular one:
    /// `tx.find` and `tx.within` lead to the record's own.
    fn report(&self, tx: &mut Tx<'_>, report: &Report) {
        let _ = (tx, report);
    }

    /// At start, before anybody is answered: takes over what the world has. Asks for the removal of what the state does not know,
    /// and takes back what it says of things that stand no more. `tx.scope` is no particular one, as in [`Service::report`].
    fn adopt(&self, tx: &mut Tx<'_>, inventory: &Inventory) {
        let _ = (tx, inventory);
    }

    /// What is accepted without effect, or answered in part, for `COVERAGE.md`.
    fn coverage(&self) -> Coverage {
        Coverage::default()
    }
}

/// What a service's coverage page says beside its operation table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coverage {
    /// (Operation, parameter, what happens with it): parameters that are accepted but have no effect.
    pub without_effect: &'static [(&'static str, &'static str, &'static str)],
}

/// Collects record types.
#[derive(Default)]
pub struct Registrar {
    pub(crate) codecs: std::collections::BTreeMap<&'static str, Codec>,
    pub(crate) indexes: std::collections::BTreeMap<&'static str, Index>,
}

impl Registrar {
    /// Makes a record type known, so that stored ones can be read.
    pub fn record<T: Record>(&mut self) {
        self.codecs.insert(T::TABLE, Codec::of::<T>());
        self.indexes.extend(Index::of::<T>().map(|index| (T::TABLE, index)));
    }
}

type ReadHandler = Box<dyn Fn(&View<'_>, &dyn Structure) -> Result<Box<dyn Structure>, AwsError> + Send + Sync>;
pub(crate) type AskHandler =
    Box<dyn Fn(&View<'_>, &dyn Structure) -> Result<Rest<Box<dyn Structure>>, AwsError> + Send + Sync>;
type WriteHandler = Box<dyn Fn(&mut Tx<'_>, &dyn Structure) -> Result<Box<dyn Structure>, AwsError> + Send + Sync>;
type Unsettled = Box<dyn Fn(&View<'_>, &dyn Structure) -> bool + Send + Sync>;
type Asked = Box<dyn Fn(&dyn Structure) -> bool + Send + Sync>;
type TokenOf = Box<dyn Fn(&dyn Structure) -> Option<String> + Send + Sync>;

pub(crate) enum Handler {
    Read(ReadHandler),
    Ask(AskHandler),
    Write(WriteHandler),
}

/// An operation that a service implements.
pub struct Entry {
    pub(crate) facts: &'static OperationFacts,
    pub(crate) handler: Handler,
    pub(crate) settle: Option<(Duration, Unsettled)>,
    pub(crate) token: Option<(TokenOf, &'static str)>,
    pub(crate) dry_run: Option<Asked>,
}

/// A request ready to be run: an operation of a service, with its input.
pub struct Prepared {
    /// The service's name among ours.
    pub service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// Where.
    pub scope: Scope,
    /// For whom.
    pub caller: Caller,
    /// With what.
    pub input: Box<dyn Structure>,
}

/// An operation that reads.
pub fn read<O: Operation>(
    handler: impl Fn(&View<'_>, &O::Input) -> Result<O::Output, AwsError> + Send + Sync + 'static,
) -> Entry {
    let handler = move |view: &View<'_>, input: &dyn Structure| {
        handler(view, typed::<O>(input)).map(|output| Box::new(output) as Box<dyn Structure>)
    };
    Entry { facts: O::facts(), handler: Handler::Read(Box::new(handler)), settle: None, token: None, dry_run: None }
}

/// What is left to do for an answer once nothing of the state is held any more: the world is asked, and may take its time.
pub type Rest<T> = Box<dyn FnOnce(&dyn World) -> T>;

/// An operation that reads what the world alone knows (a console's text): `handler` judges the input by the state.
pub fn ask<O: Operation>(
    handler: impl Fn(&View<'_>, &O::Input) -> Result<Rest<O::Output>, AwsError> + Send + Sync + 'static,
) -> Entry {
    let handler = move |view: &View<'_>, input: &dyn Structure| {
        let rest = handler(view, typed::<O>(input))?;
        Ok(Box::new(move |world: &dyn World| Box::new(rest(world)) as Box<dyn Structure>) as Rest<Box<dyn Structure>>)
    };
    Entry { facts: O::facts(), handler: Handler::Ask(Box::new(handler)), settle: None, token: None, dry_run: None }
}

/// An operation that writes: in one transaction, undone whole where it fails.
pub fn write<O: Operation>(
    handler: impl Fn(&mut Tx<'_>, &O::Input) -> Result<O::Output, AwsError> + Send + Sync + 'static,
) -> Entry {
    let handler = move |tx: &mut Tx<'_>, input: &dyn Structure| {
        handler(tx, typed::<O>(input)).map(|output| Box::new(output) as Box<dyn Structure>)
    };
    Entry { facts: O::facts(), handler: Handler::Write(Box::new(handler)), settle: None, token: None, dry_run: None }
}

fn typed<O: Operation>(input: &dyn Structure) -> &O::Input {
    // The door makes an input by the operation's own facts, so that it is of the operation's own type.
    input.as_any().downcast_ref().expect("an operation's input is of its own type")
}

impl Entry {
    /// Makes it wait, up to `limit`, while what the input names is in transition ("settle before read").
    #[must_use]
    pub fn settles<O: Operation>(mut self, limit: Duration, unsettled: fn(&View<'_>, &O::Input) -> bool) -> Self {
        self.settle = Some((limit, Box::new(move |view, input| unsettled(view, typed::<O>(input)))));
        self
    }

    /// Makes it idempotent by the client's token: the same token with the same input gives the first call's answer; with another
    /// input, the error `mismatch` (a code of the service's, such as `IdempotentParameterMismatch`).
    #[must_use]
    pub fn idempotent<O: Operation>(mut self, token: fn(&O::Input) -> Option<&str>, mismatch: &'static str) -> Self {
        self.token = Some((Box::new(move |input| token(typed::<O>(input)).map(ToOwned::to_owned)), mismatch));
        self
    }

    /// Makes the input's `DryRun` member work as EC2's does: the call is made whole, then undone, and answers
    /// `DryRunOperation` where it would have succeeded.
    #[must_use]
    pub fn dry_run<O: Operation>(mut self, asked: fn(&O::Input) -> Option<bool>) -> Self {
        self.dry_run = Some(Box::new(move |input| asked(typed::<O>(input)) == Some(true)));
        self
    }

    /// An input of its own type, from one keyed by member names.
    pub(crate) fn input(&self, input: &serde_json::Value) -> Result<Box<dyn Structure>, AwsError> {
        let mut typed = (self.facts.new_input)();
        zonal_wire::value::from_json(input, &mut *typed)
            .map_err(|violations| AwsError::client("ValidationError", violations.to_string()))?;
        Ok(typed)
    }

    pub(crate) fn unless_dry(&self, input: &dyn Structure) -> Result<(), AwsError> {
        match &self.dry_run {
            Some(asked) if asked(input) => {
                let text = "Request would have succeeded, but DryRun flag is set.";
                Err(AwsError::client("DryRunOperation", text).status(412))
            }
            _ => Ok(()),
        }
    }

    /// The operation's facts.
    #[must_use]
    pub fn facts(&self) -> &'static OperationFacts {
        self.facts
    }
}
