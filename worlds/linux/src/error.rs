//! The crate's one error: the act that failed, on what, and why.

use std::io;
use zonal_substrate::Lack;

/// What went wrong in the Linux world.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused an act.
    #[error("{act} {what}: {source}")]
    Os {
        /// The act, as a verb.
        act: &'static str,
        /// The path, id or device it was done to.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// nftables refused a change.
    #[error("nft in {namespace}: {message}")]
    Nft {
        /// The router whose rules were to change.
        namespace: String,
        /// What nft printed.
        message: String,
    },
    /// A request was refused before anything was done.
    #[error("refused: {0}")]
    Refused(String),
    /// The machine's file system has no room left for it.
    #[error("no room left for {0}")]
    Full(String),
    /// A thing that a request names does not exist in this world.
    #[error("there is no {kind} {id}")]
    Unknown {
        /// What kind of thing.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The other process said something that is no message, or hung up.
    #[error("talking to the {peer}: {message}")]
    Protocol {
        /// Who was spoken to.
        peer: &'static str,
        /// What was wrong.
        message: String,
    },
    /// Another of our processes tried, and failed.
    #[error("{0}")]
    Remote(String),
}

impl Error {
    /// What a start lacks that this ended.
    pub(crate) fn lack(&self) -> Lack {
        match self {
            Self::Unknown { kind: "image", .. } => Lack::Image,
            _ if self.is_full() => Lack::Room,
            _ => Lack::Other,
        }
    }

    /// Whether the machine's file system is full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Os { source, .. } => source.raw_os_error() == Some(libc::ENOSPC),
            _ => false,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the act that a failed system call was part of.
pub(crate) trait Act<T> {
    /// Turns the error into [`Error::Os`].
    fn act(self, act: &'static str, what: impl ToString) -> Result<T>;
}

impl<T> Act<T> for io::Result<T> {
    fn act(self, act: &'static str, what: impl ToString) -> Result<T> {
        self.map_err(|source| Error::Os { act, what: what.to_string(), source })
    }
}

impl<T> Act<T> for nix::Result<T> {
    fn act(self, act: &'static str, what: impl ToString) -> Result<T> {
        self.map_err(io::Error::from).act(act, what)
    }
}
