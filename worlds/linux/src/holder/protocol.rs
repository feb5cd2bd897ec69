//! What the warden asks of the holder, and what it hears. Between two processes of root's own; nobody else reaches the socket.

use crate::sandbox::Spec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zonal_substrate::SandboxState;

/// All that can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum HolderRequest {
    /// Start a sandbox, unless this start of it runs already.
    Start(Box<Spec>),
    /// Stop it: in an orderly way, or at once.
    Stop {
        id: String,
        /// The newest start that is meant.
        generation: u64,
        force: bool,
    },
    /// Kill its first process as a failure would.
    Crash { id: String, generation: u64 },
    /// Forget a stopped sandbox. Its console is kept while there is room.
    Forget(String),
    /// The console so far, or as it was in the end.
    Console(String),
    /// What every sandbox is doing.
    List,
    /// The sandboxes that run.
    Running,
    /// Kill, as if by a failure of their own, the sandboxes behind these interfaces.
    Cut(BTreeSet<String>),
    /// From now on, tell of every change on this connection.
    Events,
    /// Run a shell inside on the three descriptors that come along.
    Shell(String),
    /// Kill every sandbox and end.
    End,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum HolderReply {
    Done,
    Failed(String),
    Console(Vec<u8>),
    /// The newest start of each, and what it is doing: nothing while it is on its way up.
    List(BTreeMap<String, (u64, Option<SandboxState>)>),
    Running(Vec<Running>),
}

/// A sandbox that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub id: String,
    pub interface: String,
    pub vcpus: u32,
    /// Its first process, as the machine numbers it.
    pub pid: i32,
}

/// A change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HolderEvent {
    pub id: String,
    pub generation: u64,
    pub state: SandboxState,
}
