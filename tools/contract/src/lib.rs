//! Every service's interface in one place, without the services: for the contract check, property tests and fuzzing.
#![forbid(unsafe_code)]

mod fill;

mod generated {
    //! All services' shapes.
    include!(concat!(env!("OUT_DIR"), "/apis.rs"));
}

pub use fill::fill;
pub use generated::APIS;
