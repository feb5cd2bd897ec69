//! Controllers, one per thing that is driven.

pub mod requests;
