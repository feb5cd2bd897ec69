//! The instance metadata service: a pure core under a thin shell.

pub mod config;
