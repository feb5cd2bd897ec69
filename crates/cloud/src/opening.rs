//! How a cloud is opened, and why it could not be.

use crate::storage::{StorageError, Sync};
use std::path::PathBuf;
use zonal_wire::Time;

/// Tells the time: the wall's, a faster one, or a virtual one.
pub trait Clock: Send + std::marker::Sync {
    /// Now.
    fn now(&self) -> Time;
}

/// How a cloud is opened.
pub struct CloudConfig {
    /// The database; `None` keeps the state in memory only.
    pub path: Option<PathBuf>,
    /// How far a commit must have gone.
    pub sync: Sync,
    /// Where all chance comes from.
    pub seed: u64,
    /// Called after each commit with its revision, and whenever a job becomes due earlier. Must not block.
    pub committed: Box<dyn Fn(u64) + Send + std::marker::Sync>,
}

/// A cloud could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state was written by a version that knows more.
    #[error("the state has records of a kind this version does not know: {0}")]
    Unknown(String),
}
