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
    #[error("{}", malformed(.1, .2))]
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

/// AWS tells the prefix to those who left it out.
fn malformed(id: &str, prefix: &str) -> String {
    if id.starts_with(prefix) {
        format!("Invalid id: \"{id}\"")
    } else {
        format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")")
    }
}

/// AWS has other words for some kinds.
fn missing(kind: &str, ids: &[String]) -> String {
    match (kind, ids) {
        ("image id", [id]) => format!("The image id '[{id}]' does not exist"),
        ("image id", ids) => format!("The image ids '[{}]' do not exist", ids.join(", ")),
        (kind @ ("volume" | "snapshot"), [id]) => format!("The {kind} '{id}' does not exist."),
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

    /// Refuses an id that has not the form of its kind: the prefix, and eight or seventeen hexadecimal digits.
    ///
    /// # Errors
    /// The id is malformed.
    pub fn check_form(id: &str, prefix: &'static str, code: &'static str) -> Result<(), Self> {
        let of_form =
            |hex: &str| matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if id.strip_prefix(prefix).is_some_and(of_form) {
            return Ok(());
        }
        Err(Self::Malformed(code, id.to_owned(), prefix))
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

    #[test]
    fn an_id_is_its_prefix_and_8_or_17_hexadecimal_digits() {
        let told = |id| Error::check_form(id, "i-", "InvalidInstanceID.Malformed").err().map(|error| error.to_string());
        assert_eq!((told("i-0123456789abcdef0"), told("i-01234567")), (None, None));
        assert_eq!(told("foo").as_deref(), Some("Invalid id: \"foo\" (expecting \"i-...\")"));
        assert_eq!(told("i-foo").as_deref(), Some("Invalid id: \"i-foo\""));
    }
}
