//! Security Token Service: who a caller is, and temporary keys.
//!
//! The keys that are issued are temporary ones, and the API's door verifies their signatures. Any other key names an account and nothing else, so every caller is its account's root user. `AssumeRole` is not
//! there: there are no roles to assume yet.
#![forbid(unsafe_code)]

pub mod model;
mod operations;
pub mod shapes;

use operations::{identity, sessions};
use shapes::ops;
use zonal_cloud::{Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// The service.
pub struct Sts;

impl Service for Sts {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            read::<ops::GetCallerIdentity>(identity::caller),
            read::<ops::GetAccessKeyInfo>(identity::account_of_key),
            write::<ops::GetSessionToken>(sessions::session_token),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Session>();
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("GetSessionToken", "DurationSeconds", "an hour at most, as for every root user"),
                ("GetSessionToken", "SerialNumber", "there are no MFA devices: the code is not checked"),
                ("GetSessionToken", "TokenCode", "as SerialNumber"),
            ],
        }
    }
}
