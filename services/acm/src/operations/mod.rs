//! One file per noun, one handler per operation.

pub mod certificates;
pub mod import;
pub mod request;
pub mod tags;

use crate::errors::Error;
use crate::model::{Certificate, Request};
use zonal_cloud::View;

/// What has an ARN: a certificate, its request, or both.
pub(crate) fn found<'a>(view: &View<'a>, arn: &str) -> Result<Found<'a>, Error> {
    check(arn)?;
    let found = Found { certificate: view.get::<Certificate>(arn), request: view.get::<Request>(arn) };
    if found.certificate.is_none() && found.request.is_none() {
        return Err(Error::NotFound(arn.to_owned()));
    }
    Ok(found)
}

/// A certificate, its request, or both: never neither.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub certificate: Option<&'a Certificate>,
    pub request: Option<&'a Request>,
}

fn check(arn: &str) -> Result<(), Error> {
    if !arn.starts_with("arn:") || !arn.contains(":acm:") || !arn.contains(":certificate/") {
        return Err(Error::InvalidArn(arn.to_owned()));
    }
    Ok(())
}

/// The certificate of that ARN, imported or issued.
pub(crate) fn certificate<'a>(view: &View<'a>, arn: &str) -> Result<&'a Certificate, Error> {
    check(arn)?;
    view.get::<Certificate>(arn).ok_or_else(|| Error::NotFound(arn.to_owned()))
}
