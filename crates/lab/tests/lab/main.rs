//! The lab's facts, from outside: the files of the cases, the clients' behaviour in virtual time, figures of made-up
//! loads, whole labs in a toy world, reports.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests start servers and wait with deadlines")]

mod cases;
mod clients;
mod figures;
mod labs;
mod reports;
#[cfg(feature = "shell")]
mod sockets;
mod spec;
mod toy;
