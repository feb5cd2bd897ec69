//! One file per noun, one handler per operation.

pub mod identity;
pub mod sessions;
