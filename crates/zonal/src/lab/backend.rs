//! What a lab's world is underneath: AWS calls, faults, and the clock. The rest of a lab's world is the same for both.

use crate::daemon::admin::Break;
use serde_json::Value;
use zonal_lab::At;
use zonal_wire::Time;

/// A running control plane, called by a lab.
pub trait Backend {
    /// Calls an operation with an input keyed by member names.
    ///
    /// # Errors
    /// `Code: message`, as the operation answers; or that nobody answers.
    fn call(&mut self, service: &str, operation: &str, input: Value) -> Result<Value, String>;

    /// Breaks something.
    ///
    /// # Errors
    /// There is nothing like it.
    fn break_it(&mut self, what: &Break) -> Result<String, String>;

    /// The world's time.
    fn time(&self) -> Time;
}

/// The lab's moments, which count from its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Origin(pub Time);

impl Origin {
    /// A world's time as a moment.
    pub fn at(self, time: Time) -> At {
        At(u64::try_from(time.0.saturating_sub(self.0.0)).unwrap_or(0))
    }

    /// A moment as the world's time.
    pub fn time(self, at: At) -> Time {
        Time(self.0.0.saturating_add(i64::try_from(at.0).unwrap_or(i64::MAX)))
    }
}
