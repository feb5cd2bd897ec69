//! Certificates that were requested rather than imported: what is asked of whom, and how far it has come.

use super::Algorithm;
use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// A request of a certificate. What is issued for it is a [`super::Certificate`] of the same ARN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The certificate's ARN.
    pub arn: String,
    /// What the caller told it apart by, within an hour.
    pub token: Option<String>,
    /// Its names, the main one first, each once.
    pub names: Vec<String>,
    /// How it is shown that the names are the caller's.
    pub method: Method,
    /// The names to be validated.
    pub validations: Vec<Validation>,
    /// The kind of key that was asked for.
    pub algorithm: Algorithm,
    /// Whether it goes into public logs: shown.
    pub logged: bool,
    /// When it was made.
    pub created: Time,
    /// When the certificate was issued.
    pub issued: Option<Time>,
    /// Tags.
    pub tags: Tags,
}

/// How it is shown that names are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// By a record in their zone.
    Dns,
    /// By a mail, which is sent to nobody here.
    Email,
}

/// A name to be validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// The name of the certificate.
    pub domain: String,
    /// The name of the CNAME record.
    pub name: String,
    /// What it is to lead to.
    pub value: String,
    /// Whether it was found.
    pub done: bool,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Names are yet to be validated.
    Validating,
    /// They were not, in time.
    TimedOut,
    /// They are, and the certificate is being made.
    Issuing,
    /// There is a certificate.
    Issued,
}

/// How long names can be validated. Source: ACM User Guide, "DNS validation" (72 hours).
pub const TERM: std::time::Duration = std::time::Duration::from_secs(72 * 3600);

impl Request {
    /// How far it has come.
    #[must_use]
    pub fn stage(&self, now: Time) -> Stage {
        match self.validations.iter().all(|validation| validation.done) {
            _ if self.issued.is_some() => Stage::Issued,
            true => Stage::Issuing,
            false if now > self.created + TERM => Stage::TimedOut,
            false => Stage::Validating,
        }
    }
}

impl Record for Request {
    const TABLE: &'static str = "acm.request";
    fn key(&self) -> &str {
        &self.arn
    }
}
