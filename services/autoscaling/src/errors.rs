//! Auto Scaling's error codes.

use zonal_wire::AwsError;

/// What Auto Scaling answers instead of a result. Source: the "Errors" sections of the Auto Scaling API reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `ValidationError`: nearly everything.
    #[error("{0}")]
    Validation(String),
    /// `AlreadyExists`
    #[error("{0}")]
    AlreadyExists(String),
    /// `ResourceInUse`
    #[error("{0}")]
    ResourceInUse(String),
    /// `ScalingActivityInProgress`
    #[error("{0}")]
    ScalingActivityInProgress(String),
    /// `InstanceRefreshInProgress`
    #[error("An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")]
    InstanceRefreshInProgress,
    /// `ActiveInstanceRefreshNotFound`
    #[error("No in progress or pending Instance Refresh found for the Auto Scaling group.")]
    NoActiveInstanceRefresh,
    /// `UnsupportedOperation`
    #[error(
        "The Launch Configuration creation operation is not available in your account. Use launch templates to create configuration templates for your Auto Scaling groups."
    )]
    NoLaunchConfigurations,
    /// `InvalidNextToken`
    #[error("The token is not valid.")]
    NextToken,
}

impl Error {
    /// No group of that name.
    pub fn no_group(name: &str) -> Self {
        Self::Validation(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
    }

    /// No instance of that id in any group (or in this one).
    pub fn no_instance(id: &str) -> Self {
        Self::Validation(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
    }

    /// What we do not have, named, rather than taken without effect.
    pub fn unsupported(parameter: &str) -> Self {
        Self::Validation(format!("The parameter {parameter} is not supported here"))
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "ValidationError",
            Self::AlreadyExists(_) => "AlreadyExists",
            Self::ResourceInUse(_) => "ResourceInUse",
            Self::ScalingActivityInProgress(_) => "ScalingActivityInProgress",
            Self::InstanceRefreshInProgress => "InstanceRefreshInProgress",
            Self::NoActiveInstanceRefresh => "ActiveInstanceRefreshNotFound",
            Self::NoLaunchConfigurations => "UnsupportedOperation",
            Self::NextToken => "InvalidNextToken",
        }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        Self::client(error.code(), error.to_string())
    }
}
