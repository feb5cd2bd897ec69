//! What can go wrong in a lab, each with the act that failed.

use crate::world::WorldError;
use std::path::PathBuf;
use std::time::Duration;

/// A lab that could not be read or run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that no lab can do.
    #[error("{}:{line}: {message}", path.display())]
    Spec {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// There is no phase of that number.
    #[error("no phase {wanted}; this lab has {have}")]
    NoPhase {
        /// The number asked for.
        wanted: u32,
        /// Those there are.
        have: String,
    },
    /// The world could not do what the lab asked.
    #[error("phase {phase}: {source}")]
    World {
        /// The phase's number.
        phase: u32,
        /// What the world says.
        source: WorldError,
    },
    /// The stack did not come up, update or go away.
    #[error("phase {phase}: stack {stack} ended {status}: {reason}")]
    Stack {
        /// The phase's number.
        phase: u32,
        /// The stack's name.
        stack: String,
        /// Its status, in AWS's words.
        status: String,
        /// The reason that its events give.
        reason: String,
    },
    /// Something took longer than a lab waits.
    #[error("phase {phase}: waited {} for {what}", crate::time::human(*waited))]
    Late {
        /// The phase's number.
        phase: u32,
        /// What did not happen.
        what: String,
        /// How long the lab waited, in virtual time.
        waited: Duration,
    },
    /// The stack has no output that the load needs.
    #[error("phase {phase}: stack {stack} has no output {output} that is an IPv4 address")]
    Output {
        /// The phase's number.
        phase: u32,
        /// The stack's name.
        stack: String,
        /// The output's key.
        output: String,
    },
    /// A stored result cannot be read or written.
    #[error("a lab's stored result cannot be read or written")]
    Json(#[source] serde_json::Error),
    /// The user stopped the lab; everything was taken down.
    #[error("stopped; all was taken down")]
    Cancelled,
}
