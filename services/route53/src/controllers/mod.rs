//! One controller per thing that is driven towards what is stored.

pub mod checks;
pub mod zones;
