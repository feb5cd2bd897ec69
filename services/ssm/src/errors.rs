//! The service's error codes. Source: AWS Systems Manager API reference, "Errors" of the Parameter Store's actions.

use zonal_wire::AwsError;

/// A request that the service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A member is not as the reference says; the text says which.
    #[error("{0}")]
    Validation(String),
    /// A name that begins as AWS's own do.
    #[error("No access to reserved parameter name: {0}.")]
    Reserved(String),
    /// No such parameter.
    #[error("Parameter {0} not found.")]
    NotFound(String),
    /// No such version of it.
    #[error("Systems Manager could not find version {version} of {name}. Verify the version and try again.")]
    VersionNotFound {
        /// The parameter.
        name: String,
        /// The version or label asked for.
        version: String,
    },
    /// It is there already.
    #[error("The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")]
    AlreadyExists,
    /// More than 15 levels.
    #[error("A hierarchy can have a maximum of 15 levels.")]
    TooDeep,
    /// Changing a parameter's type.
    #[error("The parameter type cannot be changed from {from} to {to}.")]
    TypeMismatch {
        /// What it is.
        from: String,
        /// What was asked.
        to: String,
    },
    /// A key that there is not, or that did not seal the value.
    #[error("{0}")]
    KeyId(String),
    /// The value does not match the pattern.
    #[error("Parameter value, cannot be validated against allowedPattern: {0}")]
    PatternMismatch(String),
    /// The pattern is none.
    #[error("The request does not meet the regular expression requirement: {0}")]
    BadPattern(String),
    /// A filter that there is none of.
    #[error("The specified key isn't valid: {0}")]
    FilterKey(String),
    /// An option that the filter does not take.
    #[error("The specified filter option isn't valid: {0}")]
    FilterOption(String),
    /// More than ten labels on a version.
    #[error("A parameter version can have a maximum of ten labels.")]
    TooManyLabels,
    /// The oldest version would go, and is labelled.
    #[error(
        "Parameter {name} has reached its maximum of 100 versions, and the oldest one, {oldest}, has a label: move the label to another version first."
    )]
    TooManyVersions {
        /// The parameter.
        name: String,
        /// The number of the version that would go.
        oldest: i64,
    },
    /// The token is none of ours.
    #[error("The specified token isn't valid.")]
    NextToken,
    /// The resource to tag is none.
    #[error("The resource ID '{0}' isn't valid.")]
    ResourceId(String),
    /// Only parameters are there to tag.
    #[error("The resource type '{0}' isn't supported.")]
    ResourceType(String),
    /// More than 50 tags.
    #[error("A resource can have at most 50 tags.")]
    TooManyTags,
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Validation(_) => "ValidationException",
            Error::Reserved(_) => "AccessDeniedException",
            Error::NotFound(_) => "ParameterNotFound",
            Error::VersionNotFound { .. } => "ParameterVersionNotFound",
            Error::AlreadyExists => "ParameterAlreadyExists",
            Error::TooDeep => "HierarchyLevelLimitExceededException",
            Error::TypeMismatch { .. } => "HierarchyTypeMismatchException",
            Error::KeyId(_) => "InvalidKeyId",
            Error::PatternMismatch(_) => "ParameterPatternMismatchException",
            Error::BadPattern(_) => "InvalidAllowedPatternException",
            Error::FilterKey(_) => "InvalidFilterKey",
            Error::FilterOption(_) => "InvalidFilterOption",
            Error::TooManyLabels => "ParameterVersionLabelLimitExceeded",
            Error::TooManyVersions { .. } => "ParameterMaxVersionLimitExceeded",
            Error::NextToken => "InvalidNextToken",
            Error::ResourceId(_) => "InvalidResourceId",
            Error::ResourceType(_) => "InvalidResourceType",
            Error::TooManyTags => "TooManyTagsError",
        };
        AwsError::client(code, error.to_string())
    }
}

/// A member that is not as the reference says.
pub fn invalid(text: impl Into<String>) -> Error {
    Error::Validation(text.into())
}
