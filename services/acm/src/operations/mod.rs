//! One file per noun, one handler per operation.

pub mod certificates;
pub mod import;
pub mod tags;

use crate::errors::Error;
use crate::model::Certificate;
use zonal_cloud::View;

/// The certificate of that ARN.
pub(crate) fn certificate<'a>(view: &View<'a>, arn: &str) -> Result<&'a Certificate, Error> {
    if !arn.starts_with("arn:") || !arn.contains(":acm:") || !arn.contains(":certificate/") {
        return Err(Error::InvalidArn(arn.to_owned()));
    }
    view.get::<Certificate>(arn).ok_or_else(|| Error::NotFound(arn.to_owned()))
}
