//! The service's error codes. Source: AWS Certificate Manager API reference, "Errors" of each action.

use zonal_wire::AwsError;

/// A request that the service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A member is not as the reference says; the text says which.
    #[error("{0}")]
    Validation(String),
    /// Not the ARN of a certificate.
    #[error("Invalid ARN: {0}")]
    InvalidArn(String),
    /// No such certificate.
    #[error("Could not find certificate {0}.")]
    NotFound(String),
    /// It was requested and is not issued.
    #[error("Certificate {0} is not issued yet.")]
    InProgress(String),
    /// It was imported, and has no options.
    #[error("Certificate {0} is imported: only requested certificates have options.")]
    NoOptions(String),
    /// A load balancer shows it.
    #[error("Certificate {0} is in use.")]
    InUse(String),
    /// A tag that there cannot be.
    #[error("{0}")]
    InvalidTag(String),
    /// More than 50 tags.
    #[error("A certificate can have at most 50 tags.")]
    TooManyTags,
    /// Two members that exclude each other.
    #[error("{0}")]
    InvalidParameter(String),
    /// More certificates than the quota has.
    #[error("Maximum number of certificates reached.")]
    Limit,
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Validation(_) => "ValidationException",
            Error::InvalidArn(_) => "InvalidArnException",
            Error::NotFound(_) => "ResourceNotFoundException",
            Error::InProgress(_) => "RequestInProgressException",
            Error::NoOptions(_) => "InvalidStateException",
            Error::InUse(_) => "ResourceInUseException",
            Error::InvalidTag(_) => "InvalidTagException",
            Error::TooManyTags => "TooManyTagsException",
            Error::InvalidParameter(_) => "InvalidParameterException",
            Error::Limit => "LimitExceededException",
        };
        AwsError::client(code, error.to_string())
    }
}

/// A member that is not as the reference says.
pub fn invalid(text: impl Into<String>) -> Error {
    Error::Validation(text.into())
}
