//! The virtual world by its front door: what is asked, what it reports, and what clients outside see.

mod balancers;
mod lives;
mod packets;
mod town;
