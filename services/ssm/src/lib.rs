//! Systems Manager's Parameter Store: a user's parameters, and the public ones that name the latest images.
//!
//! A public parameter (`/aws/service/…`) is not stored: it is looked up among EC2's images each time, so that both always agree.
//! A `SecureString` is kept encrypted under a key of the world's own, which stands for the account's `alias/aws/ssm`: there is no key
//! management service to name another in.
#![forbid(unsafe_code)]

mod errors;
pub mod model;
mod operations;
mod public;
pub mod shapes;
mod vault;

pub use errors::Error;

use operations::{describe, get, labels, put as putting, tags};
use shapes::ops;
use std::sync::Arc;
use vault::Vault;
use zonal_cloud::{Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// The service.
pub struct Ssm(Arc<Vault>);

impl Ssm {
    /// The service of a world whose secrets are sealed with this key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Arc::new(Vault::new(key)))
    }
}

impl Service for Ssm {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        let vault = || Arc::clone(&self.0);
        let (one, several, by_path, history, put) = (vault(), vault(), vault(), vault(), vault());
        vec![
            // Those that may meet a public parameter call EC2, which a reading operation cannot.
            write::<ops::GetParameter>(move |tx, input| get::one(tx, &one, input)),
            write::<ops::GetParameters>(move |tx, input| get::several(tx, &several, input)),
            write::<ops::GetParametersByPath>(move |tx, input| get::by_path(tx, &by_path, input)),
            read::<ops::GetParameterHistory>(move |view, input| get::history(view, &history, input)),
            write::<ops::PutParameter>(move |tx, input| putting::put(tx, &put, input)),
            write::<ops::DeleteParameter>(putting::delete),
            write::<ops::DeleteParameters>(putting::delete_several),
            read::<ops::DescribeParameters>(describe::describe),
            write::<ops::LabelParameterVersion>(labels::label),
            write::<ops::UnlabelParameterVersion>(labels::unlabel),
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
                ("PutParameter", "KeyId", "alias/aws/ssm is the one key that there is"),
                ("DescribeParameters", "Shared", "parameters are not shared between accounts: none is ever shown"),
            ],
        }
    }
}
