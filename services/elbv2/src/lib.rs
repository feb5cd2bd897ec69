//! Placeholder.

pub mod shapes;
