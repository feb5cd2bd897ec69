//! Reusable delegation sets. Source: Route 53 API reference, `CreateReusableDelegationSet` and the actions that name it.

use super::zones::name_servers;
use super::{globally, max_items, plain_id, seen_globally, zone};
use crate::errors::Error;
use crate::model::{Audience, DelegationSet, HostedZone};
use crate::shapes::{
    CreateReusableDelegationSetRequest, CreateReusableDelegationSetResponse, DelegationSet as WireSet,
    DeleteReusableDelegationSetRequest, DeleteReusableDelegationSetResponse, GetReusableDelegationSetRequest,
    GetReusableDelegationSetResponse, ListReusableDelegationSetsRequest, ListReusableDelegationSetsResponse,
};
use std::collections::BTreeSet;
use zonal_cloud::{Tx, View, ids};
use zonal_wire::AwsError;

/// Sets per account, as AWS's default quota has it.
pub(super) const QUOTA: usize = 100;

/// The set of that id.
pub(super) fn find<'a>(view: &View<'a>, id: &str) -> Result<&'a DelegationSet, Error> {
    let id = plain_id(id);
    view.get::<DelegationSet>(id).ok_or_else(|| Error::NoSuchDelegationSet(id.to_owned()))
}

fn shown(set: &DelegationSet) -> WireSet {
    WireSet {
        id: Some(format!("/delegationset/{}", set.id)),
        caller_reference: Some(set.caller_reference.clone()),
        name_servers: set.name_servers.clone(),
    }
}

/// `CreateReusableDelegationSet`: of new name servers, or of those of a public zone.
pub fn create(
    tx: &mut Tx<'_>,
    input: &CreateReusableDelegationSetRequest,
) -> Result<CreateReusableDelegationSetResponse, AwsError> {
    globally(tx, |tx| {
        if tx.list::<DelegationSet>().any(|other| other.caller_reference == input.caller_reference) {
            return Err(Error::DelegationSetAlreadyCreated.into());
        }
        if tx.list::<DelegationSet>().count() >= QUOTA {
            let text = "MAX_REUSABLE_DELEGATION_SETS_BY_OWNER - Cannot create more reusable delegation sets.";
            return Err(Error::LimitsExceeded(text.to_owned()).into());
        }
        let (servers, of) = match &input.hosted_zone_id {
            None => (name_servers(tx, &Audience::Public, &BTreeSet::new())?, None),
            Some(id) => {
                let of = zone(&tx.view(), id).map_err(|_| Error::HostedZoneNotFound(plain_id(id).to_owned()))?;
                if of.is_private() {
                    return Err(Error::HostedZoneNotFound(plain_id(id).to_owned()).into());
                }
                let servers = of.name_servers.clone();
                if tx.list::<DelegationSet>().any(|other| other.name_servers == servers) {
                    return Err(Error::DelegationSetAlreadyReusable.into());
                }
                (servers, Some(of.id.clone()))
            }
        };
        let set = DelegationSet {
            id: format!("N0{}", ids::alphanumeric(19, tx.chance())),
            caller_reference: input.caller_reference.clone(),
            name_servers: servers,
        };
        let location = format!("https://route53.amazonaws.com/2013-04-01/delegationset/{}", set.id);
        let delegation_set = shown(&set);
        if let Some(of) = of {
            tx.update(&of, |zone: &mut HostedZone| zone.delegation_set = Some(set.id.clone()));
        }
        tx.put(set);
        Ok(CreateReusableDelegationSetResponse { delegation_set, location })
    })
}

/// `GetReusableDelegationSet`
pub fn get(
    view: &View<'_>,
    input: &GetReusableDelegationSetRequest,
) -> Result<GetReusableDelegationSetResponse, AwsError> {
    seen_globally(view, |view| Ok(GetReusableDelegationSetResponse { delegation_set: shown(find(view, &input.id)?) }))
}

/// `ListReusableDelegationSets`: in the order of their ids; the marker is the first of the next page.
pub fn list(
    view: &View<'_>,
    input: &ListReusableDelegationSetsRequest,
) -> Result<ListReusableDelegationSetsResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let marker = input.marker.clone().unwrap_or_default();
    seen_globally(view, |view| {
        let mut rest = view.list::<DelegationSet>().filter(|set| set.id >= marker);
        let delegation_sets = rest.by_ref().take(most).map(shown).collect();
        let next = rest.next();
        Ok(ListReusableDelegationSetsResponse {
            delegation_sets,
            marker: marker.clone(),
            is_truncated: next.is_some(),
            next_marker: next.map(|set| set.id.clone()),
            max_items: most.to_string(),
        })
    })
}

/// `DeleteReusableDelegationSet`: one that no zone has.
pub fn delete(
    tx: &mut Tx<'_>,
    input: &DeleteReusableDelegationSetRequest,
) -> Result<DeleteReusableDelegationSetResponse, AwsError> {
    globally(tx, |tx| {
        let set = find(&tx.view(), &input.id)?.clone();
        let used = |zone: &HostedZone| zone.lives() && zone.delegation_set.as_ref() == Some(&set.id);
        if tx.list::<HostedZone>().any(used) {
            return Err(Error::DelegationSetInUse.into());
        }
        tx.remove::<DelegationSet>(&set.id);
        Ok(DeleteReusableDelegationSetResponse {})
    })
}
