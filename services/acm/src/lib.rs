//! Certificate Manager: certificates that a user imports, for the listeners that show them.
//!
//! None is issued or renewed: there is no authority behind this, so `RequestCertificate` is an unknown operation rather than a
//! certificate that nobody trusts. Private keys go in and never come out by the API; a load balancer is given its own through
//! [`material`].
#![forbid(unsafe_code)]

mod errors;
mod grants;
pub mod model;
mod operations;
mod reading;
pub mod shapes;

pub use errors::Error;
pub use grants::{Material, material, use_by, users_of};

use operations::{certificates, import, tags};
use shapes::ops;
use zonal_cloud::{Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// The service.
pub struct Acm;

impl Service for Acm {
    fn name(&self) -> &'static str {
        "acm"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            write::<ops::ImportCertificate>(import::import),
            read::<ops::DescribeCertificate>(certificates::describe),
            read::<ops::ListCertificates>(certificates::list),
            read::<ops::GetCertificate>(certificates::get),
            write::<ops::DeleteCertificate>(certificates::delete),
            write::<ops::AddTagsToCertificate>(tags::add),
            write::<ops::RemoveTagsFromCertificate>(tags::remove),
            read::<ops::ListTagsForCertificate>(tags::list),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Certificate>();
    }

    fn coverage(&self) -> Coverage {
        Coverage { without_effect: &[] }
    }
}
