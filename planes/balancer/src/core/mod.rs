//! Everything a balancer decides, without sockets, clocks or chance: given bytes, times and
//! outcomes, it says what to send, whom to ask and what has changed.

pub mod access;
pub mod answer;
pub mod body;
pub mod condition;
pub mod count;
pub mod desync;
pub mod fleet;
pub mod flow;
pub mod frames;
pub mod group;
pub mod handle;
pub mod head;
pub mod health;
mod known;
pub mod matcher;
pub mod pattern;
pub mod policy;
pub mod rewrite;
pub mod route;
pub mod sticky;
pub mod trace;
