//! One controller per thing that is driven towards what is stored.

pub mod changes;
pub mod checks;
pub mod zones;
