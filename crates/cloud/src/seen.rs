//! What a read looked at, by which it is known later whether its answer still stands.
//!
//! The answer of an operation that reads is made of its input, of who calls and from where, and of what it looks at through its
//! [`View`](crate::View). So the same call has the same answer for as long as none of the tables that it looked at has changed: a table
//! has the number of its last change, and any change of it, in whatever account or region, ends the answer. What also looked at the clock
//! has an answer for the moment only.

use crate::state::{Record, State};
use std::cell::{Cell, RefCell};
use zonal_wire::Time;

/// All that a view sees, behind names: there is no way to a table but by its type, nor to what passes but by asking for it, and note is
/// taken of either where somebody wants to know.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    state: &'a State,
    now: Time,
    looks: Option<&'a Looks>,
}

impl<'a> Sight<'a> {
    pub(crate) fn of(state: &'a State, now: Time) -> Self {
        Self { state, now, looks: None }
    }

    pub(crate) fn noted_by(self, looks: &'a Looks) -> Self {
        Self { looks: Some(looks), ..self }
    }

    /// The state, for its records of a type.
    pub(crate) fn at<T: Record>(&self) -> &'a State {
        if let Some(looks) = self.looks {
            looks.at(T::TABLE);
        }
        self.state
    }

    pub(crate) fn now(&self) -> Time {
        self.passing();
        self.now
    }

    pub(crate) fn revision(&self) -> u64 {
        self.passing();
        self.state.revision
    }

    fn passing(&self) {
        if let Some(looks) = self.looks {
            looks.passing.set(true);
        }
    }
}

/// Takes note of what is looked at while a read runs.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    tables: RefCell<Vec<&'static str>>,
    /// At what passes without a change of the state.
    passing: Cell<bool>,
}

impl Looks {
    fn at(&self, table: &'static str) {
        let mut tables = self.tables.borrow_mut();
        // By address, which costs nothing; a name that has two is noted twice.
        if !tables.iter().any(|known| std::ptr::eq(*known, table)) {
            tables.push(table);
        }
    }

    /// What was seen; `None` where the answer is for the moment only.
    pub(crate) fn seen(self, state: &State) -> Option<Seen> {
        let tables = self.tables.into_inner();
        (!self.passing.get()).then(|| Seen(tables.into_iter().map(|table| (table, state.changed(table))).collect()))
    }
}

/// The tables that a read looked at, each with the number of its last change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(Vec<(&'static str, u64)>);

impl Seen {
    pub(crate) fn stands(&self, state: &State) -> bool {
        self.0.iter().all(|(table, change)| state.changed(table) == *change)
    }
}
