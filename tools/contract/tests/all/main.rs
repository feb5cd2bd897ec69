//! The wire over every service's real interface.

mod doors;
mod properties;
