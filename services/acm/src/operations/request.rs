//! Requesting. Source: AWS Certificate Manager API reference, `RequestCertificate`; User Guide, "DNS validation".

use super::tags;
use crate::errors::{Error, invalid};
use crate::model::{Algorithm, Method, Request, Stage, Validation};
use crate::shapes::{
    CertificateTransparencyLoggingPreference, DomainStatus, DomainValidation, KeyAlgorithm, RecordType,
    RequestCertificateRequest, RequestCertificateResponse, ResourceRecord, ValidationMethod,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, ids};
use zonal_wire::{AwsError, Time};

/// Requested certificates per account and region, as AWS's default quota has it; imported ones have their own.
const QUOTA: usize = 2500;
/// Names in one certificate, as AWS's default quota has it.
const NAMES: usize = 10;
/// Bytes of the first name, which is the subject's common name.
const COMMON: usize = 64;
/// For so long an idempotency token stands for the first request with it.
const TOKEN: Duration = Duration::from_secs(3600);
/// What validation records lead to.
const VALIDATIONS: &str = "acm-validations.aws.";

/// `RequestCertificate`
pub fn request(tx: &mut Tx<'_>, input: &RequestCertificateRequest) -> Result<RequestCertificateResponse, AwsError> {
    let parameter = |text: &str| Error::InvalidParameter(text.to_owned());
    let method = match input.validation_method {
        Some(ValidationMethod::Dns) => Method::Dns,
        Some(ValidationMethod::Email) | None => Method::Email,
        Some(other) => return Err(parameter(&format!("Zonal does not support validation by {other}.")).into()),
    };
    if input.certificate_authority_arn.is_some() {
        return Err(parameter("Zonal has no private certificate authorities.").into());
    }
    let mut names: Vec<String> = Vec::new();
    for name in [&input.domain_name].into_iter().chain(&input.subject_alternative_names) {
        let name = checked(name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names[0].len() > COMMON {
        return Err(invalid(format!("The domain name can be no longer than {COMMON} bytes.")).into());
    }
    if names.len() > NAMES {
        return Err(Error::Limit.into());
    }
    let algorithm = match input.key_algorithm {
        None | Some(KeyAlgorithm::Rsa2048) => Algorithm::Rsa2048,
        Some(KeyAlgorithm::EcPrime256v1) => Algorithm::EcPrime256v1,
        Some(KeyAlgorithm::EcSecp384r1) => Algorithm::EcSecp384r1,
        Some(other) => return Err(invalid(format!("Certificates with keys of {other} cannot be requested.")).into()),
    };
    let options = input.options.as_ref().and_then(|options| options.certificate_transparency_logging_preference);
    let mut own = Tags::new();
    tags::merge(&mut own, &input.tags, tx.caller.is_service())?;
    let now = tx.now;
    let same = |other: &&Request| {
        input.idempotency_token.is_some() && other.token == input.idempotency_token && now < other.created + TOKEN
    };
    if let Some(known) = tx.list::<Request>().find(same) {
        return Ok(RequestCertificateResponse { certificate_arn: Some(known.arn.clone()) });
    }
    if tx.list::<Request>().count() >= QUOTA {
        return Err(Error::Limit.into());
    }
    let validations = names.iter().map(|domain| validation(&tx.scope.account, domain)).collect();
    let arn = tx.scope.clone().arn("acm", &format!("certificate/{}", ids::uuid(tx.chance())));
    tx.put(Request {
        arn: arn.clone(),
        token: input.idempotency_token.clone(),
        names,
        method,
        validations,
        algorithm,
        logged: is_logged(options),
        created: now,
        issued: None,
        tags: own,
    });
    Ok(RequestCertificateResponse { certificate_arn: Some(arn) })
}

/// Whether a certificate goes into public logs: unless that is declined.
pub(super) fn is_logged(preference: Option<CertificateTransparencyLoggingPreference>) -> bool {
    preference != Some(CertificateTransparencyLoggingPreference::Disabled)
}

/// A name, in lower case, if it can be in a certificate: two labels at least, a wildcard in the first one's place alone.
fn checked(name: &str) -> Result<String, Error> {
    let refuse = || invalid(format!("The domain name '{name}' is not valid."));
    let name = name.to_ascii_lowercase();
    let labels: Vec<&str> = name.strip_prefix("*.").unwrap_or(&name).split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || labels.len() < 2 || !labels.iter().all(is_label) {
        return Err(refuse());
    }
    Ok(name)
}

/// What shows that a name is the account's: one record for a name and its wildcard, the same for every certificate and in every region, so that
/// what stands in a zone once holds for the next certificate too.
fn validation(account: &str, domain: &str) -> Validation {
    let apex = domain.strip_prefix("*.").unwrap_or(domain);
    let digest = Sha256::digest(format!("{account} {apex}"));
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (name, value) = digits.split_at(32);
    let house: String = Sha256::digest(&digits).iter().take(10).map(|byte| char::from(b'a' + byte % 26)).collect();
    Validation {
        domain: domain.to_owned(),
        name: format!("_{name}.{apex}."),
        value: format!("_{value}.{house}.{VALIDATIONS}"),
        done: false,
    }
}

/// Validations as the wire shows them.
pub(super) fn shown(request: &Request, now: Time) -> Vec<DomainValidation> {
    let timed_out = request.stage(now) == Stage::TimedOut;
    let one = |validation: &Validation| DomainValidation {
        domain_name: validation.domain.clone(),
        validation_domain: Some(validation.domain.clone()),
        validation_status: Some(match validation.done {
            true => DomainStatus::Success,
            false if timed_out => DomainStatus::Failed,
            false => DomainStatus::PendingValidation,
        }),
        resource_record: (request.method == Method::Dns).then(|| ResourceRecord {
            name: validation.name.clone(),
            type_: RecordType::Cname,
            value: validation.value.clone(),
        }),
        validation_method: Some(match request.method {
            Method::Dns => ValidationMethod::Dns,
            Method::Email => ValidationMethod::Email,
        }),
        ..DomainValidation::default()
    };
    request.validations.iter().map(one).collect()
}
