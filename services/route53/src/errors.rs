//! The service's error codes. Source: Route 53 API reference (version 2013-04-01), "Errors" of each action.

use zonal_wire::AwsError;

/// A request that the service refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A member is not as the reference says; the text says which.
    #[error("{0}")]
    InvalidInput(String),
    /// What is wrong with the changes, each in words.
    #[error("[{}]", .0.join(", "))]
    InvalidChangeBatch(Vec<String>),
    /// A name that is none.
    #[error("{0} is not a valid domain name")]
    InvalidDomainName(String),
    /// No such hosted zone.
    #[error("No hosted zone found with ID: {0}")]
    NoSuchHostedZone(String),
    /// No such change.
    #[error("Could not find resource with ID: {0}")]
    NoSuchChange(String),
    /// No such health check.
    #[error("A health check with ID {0} does not exist.")]
    NoSuchHealthCheck(String),
    /// The reference was used before, for another.
    #[error("A health check with the same caller reference already exists with different settings.")]
    HealthCheckAlreadyExists,
    /// It has changed since.
    #[error("The health check has version {0}, which is not the one given.")]
    HealthCheckVersionMismatch(i64),
    /// The quota is reached.
    #[error("Limits Exceeded: MAX_HEALTH_CHECKS_BY_OWNER - Cannot create more health checks.")]
    TooManyHealthChecks,
    /// No such CIDR collection.
    #[error("The CIDR collection {0} does not exist.")]
    NoSuchCidrCollection(String),
    /// No such location in it.
    #[error("The CIDR location {0} does not exist.")]
    NoSuchCidrLocation(String),
    /// The name or the reference was used before.
    #[error("A CIDR collection with the name {0}, or with this caller reference, already exists.")]
    CidrCollectionAlreadyExists(String),
    /// It has blocks, or record sets name it.
    #[error("The CIDR collection {0} is in use, and so cannot be deleted.")]
    CidrCollectionInUse(String),
    /// It has changed since.
    #[error("The CIDR collection has version {0}, which is not the one given.")]
    CidrCollectionVersionMismatch(i64),
    /// Another location has the block.
    #[error("The CIDR block {0} is in use in another location.")]
    CidrBlockInUse(String),
    /// A quota is reached.
    #[error("Limits Exceeded: {0}")]
    LimitsExceeded(String),
    /// The zone is public.
    #[error("The hosted zone {0} is not a private hosted zone.")]
    HostedZoneNotPrivate(String),
    /// No public zone to take the name servers of.
    #[error("The hosted zone {0} was not found, or is private.")]
    HostedZoneNotFound(String),
    /// The reference was used before.
    #[error("A delegation set with the same owner and caller reference combination has already been created.")]
    DelegationSetAlreadyCreated,
    /// The name servers are those of another set.
    #[error("The name servers of the hosted zone are a reusable delegation set already.")]
    DelegationSetAlreadyReusable,
    /// A zone has it.
    #[error("The specified delegation set is associated with at least one hosted zone.")]
    DelegationSetInUse,
    /// No such delegation set.
    #[error("No delegation set found with ID: {0}")]
    NoSuchDelegationSet(String),
    /// The reference was used before.
    #[error("A hosted zone has already been created with the specified caller reference.")]
    HostedZoneAlreadyExists,
    /// It has records of the user's.
    #[error("The specified hosted zone contains non-required resource record sets and so cannot be deleted.")]
    HostedZoneNotEmpty,
    /// The quota is reached.
    #[error("Limits Exceeded: MAX_HOSTED_ZONES_BY_OWNER - Cannot create more hosted zones.")]
    TooManyHostedZones,
    /// The VPC is none.
    #[error("The VPC ID {0} is not valid, or is not in the region {1}.")]
    InvalidVpcId(String, String),
    /// The VPC sees another zone of that name.
    #[error(
        "The VPC {vpc} in region {region} has already been associated with the hosted zone {zone} with the same domain name."
    )]
    ConflictingDomainExists {
        /// The VPC.
        vpc: String,
        /// Its region.
        region: String,
        /// The zone that it sees already.
        zone: String,
    },
    /// A zone of that name, or one above or below it, has name servers of the same set.
    #[error(
        "The hosted zone {0} has the same name, or is a parent or a child, and has name servers of the delegation set."
    )]
    ConflictingServers(String),
    /// All name servers have a zone of that name, or one above or below it.
    #[error("There is no delegation set left for a hosted zone of that name.")]
    DelegationSetNotAvailable,
    /// The zone is public.
    #[error(
        "You're trying to associate a VPC with a public hosted zone. Amazon Route 53 doesn't support associating a VPC with a public hosted zone."
    )]
    PublicZone,
    /// The VPC does not see the zone.
    #[error("The VPC: {vpc} is not currently associated with the hosted zone: {zone}")]
    AssociationNotFound {
        /// The VPC.
        vpc: String,
        /// The zone.
        zone: String,
    },
    /// A private zone keeps one VPC at least.
    #[error("The VPC: {vpc} is the last VPC associated with the hosted zone: {zone}")]
    LastAssociation {
        /// The VPC.
        vpc: String,
        /// The zone.
        zone: String,
    },
    /// No such part of the world.
    #[error("The specified geographic location is not supported.")]
    NoSuchGeoLocation,
    /// The token is none of ours.
    #[error("The specified pagination token is not valid.")]
    InvalidPaginationToken,
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        let (code, status) = match &error {
            Error::InvalidInput(_) => ("InvalidInput", 400),
            Error::InvalidChangeBatch(_) => ("InvalidChangeBatch", 400),
            Error::InvalidDomainName(_) => ("InvalidDomainName", 400),
            Error::NoSuchHostedZone(_) => ("NoSuchHostedZone", 404),
            Error::NoSuchChange(_) => ("NoSuchChange", 404),
            Error::NoSuchHealthCheck(_) => ("NoSuchHealthCheck", 404),
            Error::HealthCheckAlreadyExists => ("HealthCheckAlreadyExists", 409),
            Error::HealthCheckVersionMismatch(_) => ("HealthCheckVersionMismatch", 409),
            Error::TooManyHealthChecks => ("TooManyHealthChecks", 400),
            Error::NoSuchCidrCollection(_) => ("NoSuchCidrCollectionException", 404),
            Error::NoSuchCidrLocation(_) => ("NoSuchCidrLocationException", 404),
            Error::CidrCollectionAlreadyExists(_) => ("CidrCollectionAlreadyExistsException", 400),
            Error::CidrCollectionInUse(_) => ("CidrCollectionInUseException", 400),
            Error::CidrCollectionVersionMismatch(_) => ("CidrCollectionVersionMismatchException", 409),
            Error::CidrBlockInUse(_) => ("CidrBlockInUseException", 400),
            Error::LimitsExceeded(_) => ("LimitsExceeded", 400),
            Error::NoSuchDelegationSet(_) => ("NoSuchDelegationSet", 400),
            Error::HostedZoneNotPrivate(_) => ("HostedZoneNotPrivate", 400),
            Error::HostedZoneNotFound(_) => ("HostedZoneNotFound", 400),
            Error::DelegationSetAlreadyCreated => ("DelegationSetAlreadyCreated", 400),
            Error::DelegationSetAlreadyReusable => ("DelegationSetAlreadyReusable", 400),
            Error::DelegationSetInUse => ("DelegationSetInUse", 400),
            Error::HostedZoneAlreadyExists => ("HostedZoneAlreadyExists", 409),
            Error::HostedZoneNotEmpty => ("HostedZoneNotEmpty", 400),
            Error::TooManyHostedZones => ("TooManyHostedZones", 400),
            Error::InvalidVpcId(..) => ("InvalidVPCId", 400),
            Error::DelegationSetNotAvailable => ("DelegationSetNotAvailable", 400),
            Error::ConflictingDomainExists { .. } | Error::ConflictingServers(_) => ("ConflictingDomainExists", 400),
            Error::PublicZone => ("PublicZoneVPCAssociation", 400),
            Error::AssociationNotFound { .. } => ("VPCAssociationNotFound", 404),
            Error::LastAssociation { .. } => ("LastVPCAssociation", 400),
            Error::NoSuchGeoLocation => ("NoSuchGeoLocation", 404),
            Error::InvalidPaginationToken => ("InvalidPaginationToken", 400),
        };
        AwsError::client(code, error.to_string()).status(status)
    }
}

/// A member that is not as the reference says.
pub fn invalid(text: impl Into<String>) -> Error {
    Error::InvalidInput(text.into())
}
