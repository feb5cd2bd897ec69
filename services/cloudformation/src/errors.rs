//! CloudFormation's error codes.

use zonal_wire::AwsError;

use crate::template::TemplateError;

/// What CloudFormation answers instead of a result. Source: the "Errors" sections of the CloudFormation API reference; most
/// of what goes wrong is a `ValidationError`, which they leave to "Common Errors".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `ValidationError`
    #[error("{0}")]
    Validation(String),
    /// `AlreadyExistsException`
    #[error("{0}")]
    AlreadyExists(String),
    /// `InsufficientCapabilitiesException`
    #[error("{0}")]
    Capabilities(String),
    /// `ChangeSetNotFound`
    #[error("ChangeSet [{0}] does not exist")]
    ChangeSetNotFound(String),
    /// `InvalidChangeSetStatus`
    #[error("{0}")]
    ChangeSetStatus(String),
}

impl Error {
    /// A `ValidationError`.
    pub fn validation(message: impl Into<String>) -> Self {
        Error::Validation(message.into())
    }

    /// The stack is not there, as operations that name one say it.
    pub fn no_stack(name: &str) -> Self {
        Error::Validation(format!("Stack with id {name} does not exist"))
    }
}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Error::Validation(error.to_string())
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        let (code, status) = match error {
            Error::Validation(_) => ("ValidationError", 400),
            Error::AlreadyExists(_) => ("AlreadyExistsException", 400),
            Error::Capabilities(_) => ("InsufficientCapabilitiesException", 400),
            Error::ChangeSetNotFound(_) => ("ChangeSetNotFound", 404),
            Error::ChangeSetStatus(_) => ("InvalidChangeSetStatus", 400),
        };
        AwsError::client(code, error.to_string()).status(status)
    }
}
