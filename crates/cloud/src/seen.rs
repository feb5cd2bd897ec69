//! What a read looked at, by which it is known later whether its answer still stands.
//!
//! The answer of an operation that reads is made of its input, of who calls and from where, and of what it looks at through its
//! [`View`](crate::View). So the same call has the same answer for as long as none of the tables that it looked at has changed: a table
//! has the number of its last change, and any change of it, in whatever account or region, ends the answer. What also looked at the clock
//! or into the world has an answer for the moment only.

use crate::state::State;
use std::cell::{Cell, RefCell};

/// Takes note of what is looked at while a read runs.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    tables: RefCell<Vec<&'static str>>,
    passing: Cell<bool>,
}

impl Looks {
    pub(crate) fn at(&self, table: &'static str) {
        let mut tables = self.tables.borrow_mut();
        // By address, which costs nothing; a name that has two is noted twice.
        if !tables.iter().any(|known| std::ptr::eq(*known, table)) {
            tables.push(table);
        }
    }

    /// At what passes without a change of the state.
    pub(crate) fn at_what_passes(&self) {
        self.passing.set(true);
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
