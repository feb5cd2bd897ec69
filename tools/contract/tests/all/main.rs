//! The wire over every service's real interface.

mod answers;
mod doors;
mod properties;
mod values;
