//! Systems Manager's Parameter Store: a user's parameters, and the public ones that name the latest images.
//!
//! A public parameter (`/aws/service/…`) is not stored: it is looked up among EC2's images each time, so that both always agree.
//! `SecureString` is refused, as there is no key management service to encrypt it with.
#![forbid(unsafe_code)]

mod errors;
pub mod model;
mod operations;
mod public;
pub mod shapes;

pub use errors::Error;

use operations::{describe, get, put, tags};
use shapes::ops;
use zonal_cloud::{Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// The service.
pub struct Ssm;

impl Service for Ssm {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            // Those that may meet a public parameter call EC2, which a reading operation cannot.
            write::<ops::GetParameter>(get::one),
            write::<ops::GetParameters>(get::several),
            write::<ops::GetParametersByPath>(get::by_path),
            read::<ops::GetParameterHistory>(get::history),
            write::<ops::PutParameter>(put::put),
            write::<ops::DeleteParameter>(put::delete),
            write::<ops::DeleteParameters>(put::delete_several),
            read::<ops::DescribeParameters>(describe::describe),
            write::<ops::AddTagsToResource>(tags::add),
            write::<ops::RemoveTagsFromResource>(tags::remove),
            read::<ops::ListTagsForResource>(tags::list),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Parameter>();
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("GetParameter", "WithDecryption", "there are no encrypted parameters"),
                ("GetParameters", "WithDecryption", "there are no encrypted parameters"),
                ("GetParametersByPath", "WithDecryption", "there are no encrypted parameters"),
                ("GetParameterHistory", "WithDecryption", "there are no encrypted parameters"),
                ("PutParameter", "KeyId", "there are no encrypted parameters"),
                ("DescribeParameters", "Shared", "parameters are not shared between accounts: none is ever shown"),
            ],
        }
    }
}
