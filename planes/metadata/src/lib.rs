//! The instance metadata service, as an instance finds it at 169.254.169.254: a pure core under a thin shell.
//!
//! 1. [`config`]: what one instance is told, as plain values (the only part the control plane compiles);
//! 2. `tree`: those values under their paths, and the listings of directories;
//! 3. `token`: session tokens, which need no table: a token proves itself;
//! 4. `respond`: a request to a response; time and the secret are handed in;
//! 5. `shell`: a small HTTP server on the listener of one interface.

#![forbid(unsafe_code)]

pub mod config;

#[cfg(feature = "core")]
pub mod respond;
#[cfg(feature = "core")]
pub mod token;
#[cfg(feature = "core")]
mod tree;

#[cfg(feature = "shell")]
pub mod shell;
