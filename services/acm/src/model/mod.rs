//! What is stored: certificates with their keys, and requests of such.

mod requests;

pub use requests::{Method, Request, Stage, TERM, Validation};

use crate::shapes::KeyAlgorithm;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// A certificate: imported, or issued for a request of the same ARN.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its ARN.
    pub arn: String,
    /// The certificate itself: PEM, as imported.
    pub body: String,
    /// Those of the authorities above it: PEM, as imported.
    pub chain: Option<String>,
    /// Its private key: PEM, as imported.
    pub private_key: String,
    /// What it says.
    pub facts: Facts,
    /// When it was first imported.
    pub created: Time,
    /// When it was last imported.
    pub imported: Time,
    /// ARNs of load balancers that show it.
    pub users: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("arn", &self.arn)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its main name: the subject's common name, or the first of the others.
    pub domain: String,
    /// All of its names.
    pub names: Vec<String>,
    /// `aa:bb:…`
    pub serial: String,
    /// The subject.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From then on it holds.
    pub not_before: Time,
    /// Until then.
    pub not_after: Time,
    /// What its key is.
    pub algorithm: Algorithm,
    /// How it was signed, as ACM names it.
    pub signature: String,
}

/// Kinds of keys that ACM imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are AWS's")]
pub enum Algorithm {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcPrime256v1,
    EcSecp384r1,
    EcSecp521r1,
}

impl Algorithm {
    /// As the wire has it.
    #[must_use]
    pub fn wire(self) -> KeyAlgorithm {
        match self {
            Self::Rsa2048 => KeyAlgorithm::Rsa2048,
            Self::Rsa3072 => KeyAlgorithm::Rsa3072,
            Self::Rsa4096 => KeyAlgorithm::Rsa4096,
            Self::EcPrime256v1 => KeyAlgorithm::EcPrime256v1,
            Self::EcSecp384r1 => KeyAlgorithm::EcSecp384r1,
            Self::EcSecp521r1 => KeyAlgorithm::EcSecp521r1,
        }
    }
}

impl Record for Certificate {
    const TABLE: &'static str = "acm.certificate";
    /// The load balancers that show it.
    const OWNERS: Option<fn(&Self) -> Vec<&str>> =
        Some(|certificate| certificate.users.iter().map(String::as_str).collect());

    fn key(&self) -> &str {
        &self.arn
    }
}
