//! CloudWatch's error codes.

use zonal_wire::AwsError;

/// What CloudWatch answers instead of a result. Source: the "Errors" sections of the CloudWatch API reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `InvalidParameterValue`
    #[error("{0}")]
    Value(String),
    /// `InvalidParameterCombination`
    #[error("{0}")]
    Combination(String),
    /// `MissingParameter`
    #[error("{0}")]
    Missing(String),
    /// `ValidationError`: what the newer operations answer to a bad parameter.
    #[error("{0}")]
    Validation(String),
    /// `ResourceNotFound`: of alarms.
    #[error("{0}")]
    AlarmNotFound(String),
    /// `ResourceNotFoundException`: of the tagging operations.
    #[error("Resource {0} does not exist")]
    TagTargetNotFound(String),
    /// `InvalidNextToken`
    #[error("The specified nextToken is invalid.")]
    NextToken,
    /// `InvalidParameterInput`: of dashboards.
    #[error("{0}")]
    Dashboard(String),
    /// `InvalidFormat`
    #[error("{0}")]
    Format(String),
}

impl Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Value(_) => "InvalidParameterValue",
            Self::Combination(_) => "InvalidParameterCombination",
            Self::Missing(_) => "MissingParameter",
            Self::Validation(_) => "ValidationError",
            Self::AlarmNotFound(_) => "ResourceNotFound",
            Self::TagTargetNotFound(_) => "ResourceNotFoundException",
            Self::NextToken => "InvalidNextToken",
            Self::Dashboard(_) => "InvalidParameterInput",
            Self::Format(_) => "InvalidFormat",
        }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::AlarmNotFound(_) | Error::TagTargetNotFound(_) => 404,
            _ => 400,
        };
        Self::client(error.code(), error.to_string()).status(status)
    }
}
