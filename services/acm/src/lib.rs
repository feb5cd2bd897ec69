//! Certificate Manager: certificates that a user imports or requests, for the listeners that show them.
//!
//! Requested ones are signed by the world's own authority, which instances trust, once the names are validated in the world's DNS
//! ([`controllers::requests`]); they are not renewed. Private keys never come out by the API; a load balancer is given its own through
//! [`material`].
#![forbid(unsafe_code)]

pub mod controllers;
mod errors;
mod grants;
pub mod model;
mod operations;
mod reading;
pub mod shapes;

pub use errors::Error;
pub use grants::{Material, is_requested, material, use_by, users_of};

use operations::{certificates, import, request, tags};
use shapes::ops;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, Tx, read, write};
use zonal_substrate::Report;
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
            write::<ops::RequestCertificate>(request::request),
            read::<ops::DescribeCertificate>(certificates::describe),
            read::<ops::ListCertificates>(certificates::list),
            read::<ops::GetCertificate>(certificates::get),
            write::<ops::UpdateCertificateOptions>(certificates::update_options),
            write::<ops::DeleteCertificate>(certificates::delete),
            write::<ops::AddTagsToCertificate>(tags::add),
            write::<ops::RemoveTagsFromCertificate>(tags::remove),
            read::<ops::ListTagsForCertificate>(tags::list),
        ]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Certificate>();
        registrar.record::<model::Request>();
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![Box::new(controllers::requests::Requests)]
    }

    fn report(&self, tx: &mut Tx<'_>, report: &Report) {
        controllers::requests::heard(tx, report);
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("RequestCertificate", "KeyAlgorithm", "shown; the key is an EC_prime256v1 one"),
                (
                    "RequestCertificate",
                    "ValidationMethod=EMAIL",
                    "nobody gets a mail: the request stays PENDING_VALIDATION",
                ),
                ("RequestCertificate", "Options, DomainValidationOptions, ManagedBy", "no logs, no mails"),
                (
                    "UpdateCertificateOptions",
                    "Options",
                    "CertificateTransparencyLoggingPreference is shown; there are no logs",
                ),
            ],
        }
    }
}
