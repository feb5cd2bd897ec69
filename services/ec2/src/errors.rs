//! EC2's error codes, with the texts that AWS gives them.
//!
//! Source: "Error codes for the Amazon EC2 API" in the EC2 API Reference.

use thiserror::Error;
use zonal_wire::AwsError;

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// `(code, kind, ids)`: `InvalidVpcID.NotFound` and its like.
    #[error("{}", missing(.1, .2))]
    NotFound(&'static str, &'static str, Vec<String>),
    /// An id that has not the form of its kind: `(code, id, expected prefix)`.
    #[error("Invalid id: \"{1}\" (expecting \"{2}...\")")]
    Malformed(&'static str, String, &'static str),
    /// A parameter's value is not allowed.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// Parameters do not go together.
    #[error("{0}")]
    InvalidParameterCombination(String),
    /// A parameter is missing.
    #[error("The request must contain the parameter {0}")]
    MissingParameter(String),
    /// What something else needs cannot be deleted: `(kind, id)`.
    #[error("The {0} '{1}' has dependencies and cannot be deleted.")]
    DependencyViolation(&'static str, String),
    /// A filter that the operation does not have.
    #[error("The filter '{0}' is invalid")]
    InvalidFilter(String),
    /// Any other, by code.
    #[error("{1}")]
    Coded(&'static str, String),
}

/// AWS has other words for some kinds.
fn missing(kind: &str, ids: &[String]) -> String {
    match (kind, ids) {
        ("image id", ids) => format!("The image id '[{}]' does not exist", ids.join(", ")),
        ("volume", [id]) => format!("The volume '{id}' does not exist."),
        (kind, [id]) => format!("The {kind} ID '{id}' does not exist"),
        (kind, ids) => format!("The {kind} IDs '{}' do not exist", ids.join(", ")),
    }
}

impl Error {
    /// A thing of that kind that does not exist.
    #[must_use]
    pub fn not_found(code: &'static str, kind: &'static str, id: &str) -> Self {
        Self::NotFound(code, kind, vec![id.to_owned()])
    }

    /// AWS's code for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(code, ..) | Self::Malformed(code, ..) | Self::Coded(code, _) => code,
            Self::InvalidParameterValue(_) | Self::InvalidFilter(_) => "InvalidParameterValue",
            Self::InvalidParameterCombination(_) => "InvalidParameterCombination",
            Self::MissingParameter(_) => "MissingParameter",
            Self::DependencyViolation(..) => "DependencyViolation",
        }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        Self::client(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_thing_and_several_are_worded_as_aws_words_them() {
        let one = Error::not_found("InvalidVpcID.NotFound", "vpc", "vpc-1");
        assert_eq!(one.to_string(), "The vpc ID 'vpc-1' does not exist");
        let two = Error::NotFound("InvalidInstanceID.NotFound", "instance", vec!["i-1".into(), "i-2".into()]);
        assert_eq!(two.to_string(), "The instance IDs 'i-1, i-2' do not exist");
    }
}
