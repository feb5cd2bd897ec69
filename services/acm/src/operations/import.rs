//! Importing. Source: AWS Certificate Manager API reference, `ImportCertificate`; User Guide, "Import certificates".

use super::{certificate, tags};
use crate::errors::{Error, invalid};
use crate::model::{Certificate, Facts, Request};
use crate::reading;
use crate::shapes::{ImportCertificateRequest, ImportCertificateResponse};
use std::collections::BTreeSet;
use zonal_cloud::Tx;
use zonal_cloud::tags::Tags;
use zonal_wire::AwsError;

/// Imported certificates per account and region, as AWS's default quota has it.
const QUOTA: usize = 2500;

/// `ImportCertificate`: a new one, or in place of one that keeps its ARN, its tags and its users.
pub fn import(tx: &mut Tx<'_>, input: &ImportCertificateRequest) -> Result<ImportCertificateResponse, AwsError> {
    let old = input.certificate_arn.as_deref().map(|arn| certificate(&tx.view(), arn).cloned()).transpose()?;
    if old.as_ref().is_some_and(|old| tx.get::<Request>(&old.arn).is_some()) {
        return Err(invalid("A certificate that was requested cannot be imported in place of.").into());
    }
    if old.is_some() && !input.tags.is_empty() {
        let text = "Tagging is not permitted on re-import.";
        return Err(Error::InvalidParameter(text.into()).into());
    }
    let body = text(&input.certificate.0)?;
    let private_key = text(&input.private_key.0)?;
    let chain = input.certificate_chain.as_ref().map(|chain| text(&chain.0)).transpose()?;
    let facts = reading::read(&body, &private_key, chain.as_deref(), tx.now)?;
    if let Some(old) = &old {
        check_replacement(&old.facts, &facts)?;
    }
    let record = match old {
        Some(old) => Certificate { body, chain, private_key, facts, imported: tx.now, ..old },
        None => {
            if tx.list::<Certificate>().filter(|own| tx.get::<Request>(&own.arn).is_none()).count() >= QUOTA {
                return Err(Error::Limit.into());
            }
            let mut own = Tags::new();
            tags::merge(&mut own, &input.tags, tx.caller.is_service())?;
            let id = zonal_cloud::ids::uuid(tx.chance());
            let arn = tx.scope.arn("acm", &format!("certificate/{id}"));
            let (created, users) = (tx.now, BTreeSet::new());
            Certificate { arn, body, chain, private_key, facts, created, imported: created, users, tags: own }
        }
    };
    let output = ImportCertificateResponse { certificate_arn: Some(record.arn.clone()) };
    tx.put(record);
    Ok(output)
}

/// Checks that a certificate may take another's place: names come and go, but not all of them, and the key stays of its kind (User
/// Guide, "Reimport a certificate").
fn check_replacement(old: &Facts, new: &Facts) -> Result<(), Error> {
    if old.algorithm != new.algorithm {
        return Err(invalid("The key type and size of a certificate cannot be changed on re-import."));
    }
    if !old.names.iter().any(|name| new.names.contains(name)) {
        return Err(invalid("Not all of a certificate's domain names can be removed on re-import."));
    }
    Ok(())
}

fn text(blob: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(blob).map_err(|_| invalid("A certificate or a key is PEM-encoded text."))?;
    Ok(text.to_owned())
}
