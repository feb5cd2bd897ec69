//! Quotas, as AWS gives them to a new account, and how much of each is used. Source: Route 53 Developer Guide, "Quotas".

use super::{delegations, seen_globally, zone};
use crate::errors::Error;
use crate::model::{DelegationSet, HealthCheck, HostedZone, RecordSet};
use crate::shapes::{
    AccountLimit, AccountLimitType, GetAccountLimitRequest, GetAccountLimitResponse, GetHostedZoneLimitRequest,
    GetHostedZoneLimitResponse, GetReusableDelegationSetLimitRequest, GetReusableDelegationSetLimitResponse,
    HostedZoneLimit, HostedZoneLimitType, ReusableDelegationSetLimit,
};
use zonal_cloud::View;
use zonal_wire::AwsError;

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `GetAccountLimit`. There are no traffic policies.
pub fn of_account(view: &View<'_>, input: &GetAccountLimitRequest) -> Result<GetAccountLimitResponse, AwsError> {
    seen_globally(view, |view| {
        let (value, used) = match input.type_ {
            AccountLimitType::MaxHealthChecksByOwner => (200, view.list::<HealthCheck>().count()),
            AccountLimitType::MaxHostedZonesByOwner => {
                (500, view.list::<HostedZone>().filter(|zone| zone.lives()).count())
            }
            AccountLimitType::MaxReusableDelegationSetsByOwner => (100, view.list::<DelegationSet>().count()),
            AccountLimitType::MaxTrafficPoliciesByOwner => (50, 0),
            AccountLimitType::MaxTrafficPolicyInstancesByOwner => (5, 0),
        };
        Ok(GetAccountLimitResponse { limit: AccountLimit { type_: input.type_, value }, count: count(used) })
    })
}

/// `GetHostedZoneLimit`
pub fn of_zone(view: &View<'_>, input: &GetHostedZoneLimitRequest) -> Result<GetHostedZoneLimitResponse, AwsError> {
    seen_globally(view, |view| {
        let found = zone(view, &input.hosted_zone_id)?;
        let (value, used) = match input.type_ {
            HostedZoneLimitType::MaxRrsetsByZone => (10_000, view.count_owned_by::<RecordSet>(&found.id)),
            HostedZoneLimitType::MaxVpcsAssociatedByZone if !found.is_private() => {
                return Err(Error::HostedZoneNotPrivate(found.id.clone()).into());
            }
            HostedZoneLimitType::MaxVpcsAssociatedByZone => (300, found.vpcs().len()),
        };
        Ok(GetHostedZoneLimitResponse { limit: HostedZoneLimit { type_: input.type_, value }, count: count(used) })
    })
}

/// `GetReusableDelegationSetLimit`
pub fn of_delegation_set(
    view: &View<'_>,
    input: &GetReusableDelegationSetLimitRequest,
) -> Result<GetReusableDelegationSetLimitResponse, AwsError> {
    seen_globally(view, |view| {
        let set = delegations::find(view, &input.delegation_set_id)?;
        let used =
            view.list::<HostedZone>().filter(|zone| zone.delegation_set.as_ref() == Some(&set.id) && zone.lives());
        let limit = ReusableDelegationSetLimit { type_: input.type_, value: 100 };
        Ok(GetReusableDelegationSetLimitResponse { limit, count: count(used.count()) })
    })
}
