//! The service's error codes. Source: the Elastic Load Balancing API reference (version 2015-12-01), "Errors" of each action; the
//! texts are those that the service answers.

use zonal_wire::AwsError;

/// A request that the service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A parameter is not as the reference says; the text says which.
    #[error("{0}")]
    Validation(String),
    /// What was asked is well formed but cannot be.
    #[error("{0}")]
    InvalidConfiguration(String),
    /// Zonal has no plane for it.
    #[error("Zonal does not support {0}")]
    Unsupported(String),
    /// The protocol cannot be had.
    #[error("{0}")]
    UnsupportedProtocol(String),
    /// No such load balancer.
    #[error("{0}")]
    LoadBalancerNotFound(String),
    /// No such target group.
    #[error("One or more target groups not found")]
    TargetGroupNotFound,
    /// No such listener.
    #[error("One or more listeners not found")]
    ListenerNotFound,
    /// No such rule.
    #[error("One or more rules not found")]
    RuleNotFound,
    /// The name is taken by a load balancer with other settings.
    #[error("A load balancer with the same name '{0}' exists, but with different settings")]
    DuplicateLoadBalancerName(String),
    /// The name is taken by a target group with other settings.
    #[error("A target group with the same name '{0}' exists, but with different settings")]
    DuplicateTargetGroupName(String),
    /// The port is taken.
    #[error("A listener already exists on this port for this load balancer '{0}'")]
    DuplicateListener(String),
    /// A tag's key was given twice.
    #[error("{0}")]
    DuplicateTagKeys(String),
    /// The priority is taken.
    #[error("Priority '{0}' is currently in use")]
    PriorityInUse(u32),
    /// A subnet that there is none of.
    #[error("The subnet ID '{0}' does not exist")]
    SubnetNotFound(String),
    /// A subnet that cannot be used.
    #[error("{0}")]
    InvalidSubnet(String),
    /// An Elastic IP address that there is none of, or that somebody has.
    #[error("The allocation ID '{0}' does not exist or is in use")]
    AllocationIdNotFound(String),
    /// Protocols that do not go together.
    #[error("{0}")]
    IncompatibleProtocols(String),
    /// A group that there is none of, or of another VPC.
    #[error("One or more security groups are invalid")]
    InvalidSecurityGroup,
    /// An action that cannot be.
    #[error("{0}")]
    InvalidAction(String),
    /// A target that cannot be.
    #[error("{0}")]
    InvalidTarget(String),
    /// The target group belongs to another load balancer.
    #[error("The following target groups cannot be associated with more than one load balancer: {0}")]
    TargetGroupAssociationLimit(String),
    /// Something refers to it.
    #[error("{0}")]
    ResourceInUse(String),
    /// It is protected.
    #[error("{0}")]
    OperationNotPermitted(String),
    /// A quota is reached.
    #[error("{text}")]
    TooMany {
        /// The code.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// No such security policy.
    #[error("The following SSL policies were not found: {0}")]
    SslPolicyNotFound(String),
    /// No such certificate.
    #[error("Certificate '{0}' not found")]
    CertificateNotFound(String),
    /// A certificate that is requested and not issued.
    #[error(
        "The certificate '{0}' must have a fully-qualified domain name, a supported signature, and a supported key size"
    )]
    UnsupportedCertificate(String),
    /// No such ALPN policy, or one that this listener cannot have.
    #[error("{0}")]
    AlpnPolicy(String),
    /// What may not be done to what is there.
    #[error("{0}")]
    CertificateInUse(String),
}

impl Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "ValidationError",
            Self::InvalidConfiguration(_) | Self::Unsupported(_) => "InvalidConfigurationRequest",
            Self::UnsupportedProtocol(_) => "UnsupportedProtocol",
            Self::LoadBalancerNotFound(_) => "LoadBalancerNotFound",
            Self::TargetGroupNotFound => "TargetGroupNotFound",
            Self::ListenerNotFound => "ListenerNotFound",
            Self::RuleNotFound => "RuleNotFound",
            Self::DuplicateLoadBalancerName(_) => "DuplicateLoadBalancerName",
            Self::DuplicateTargetGroupName(_) => "DuplicateTargetGroupName",
            Self::DuplicateListener(_) => "DuplicateListener",
            Self::DuplicateTagKeys(_) => "DuplicateTagKeys",
            Self::PriorityInUse(_) => "PriorityInUse",
            Self::SubnetNotFound(_) => "SubnetNotFound",
            Self::InvalidSubnet(_) => "InvalidSubnet",
            Self::AllocationIdNotFound(_) => "AllocationIdNotFound",
            Self::IncompatibleProtocols(_) => "IncompatibleProtocols",
            Self::InvalidSecurityGroup => "InvalidSecurityGroup",
            Self::InvalidAction(_) => "InvalidLoadBalancerAction",
            Self::InvalidTarget(_) => "InvalidTarget",
            Self::TargetGroupAssociationLimit(_) => "TargetGroupAssociationLimit",
            Self::ResourceInUse(_) => "ResourceInUse",
            Self::OperationNotPermitted(_) => "OperationNotPermitted",
            Self::TooMany { what, .. } => what,
            Self::SslPolicyNotFound(_) => "SSLPolicyNotFound",
            Self::CertificateNotFound(_) => "CertificateNotFound",
            Self::UnsupportedCertificate(_) => "UnsupportedCertificate",
            Self::AlpnPolicy(_) => "ALPNPolicyNotFound",
            Self::CertificateInUse(_) => "OperationNotPermitted",
        }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        AwsError::client(error.code(), error.to_string())
    }
}

/// A parameter that is not as the reference says.
pub fn invalid(text: impl Into<String>) -> Error {
    Error::Validation(text.into())
}
