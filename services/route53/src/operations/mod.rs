//! One file per noun, one handler per operation.

pub mod alarms;
pub mod answers;
pub mod changes;
pub mod checks;
pub mod cidrs;
pub mod delegations;
pub mod geography;
pub mod limits;
pub mod list;
mod places;
pub mod records;
pub mod tags;
pub mod vpcs;
pub mod zones;

use crate::errors::{Error, invalid};
use crate::model::{Change, ChangeStatus, HostedZone, Vpc};
use crate::shapes::{ChangeInfo, ChangeStatus as WireStatus, VPC};
use std::collections::BTreeSet;
use zonal_cloud::{Scope, Tx, View, ids};
use zonal_ec2::shapes::{DescribeVpcsRequest, ops as ec2};

/// Does something in the account's global scope, where all records live.
pub(crate) fn globally<R>(tx: &mut Tx<'_>, act: impl FnOnce(&mut Tx<'_>) -> R) -> R {
    let scope = tx.scope.global();
    tx.within(&scope, act)
}

/// Reads from the account's global scope.
pub(crate) fn seen_globally<R>(view: &View<'_>, read: impl FnOnce(&View<'_>) -> R) -> R {
    let scope = view.scope.global();
    read(&view.at(&scope))
}

/// An id without the path that some callers put in front.
pub(crate) fn plain_id(given: &str) -> &str {
    given.rsplit('/').next().unwrap_or(given)
}

/// The zone of that id, if its user still has it.
pub(crate) fn zone<'a>(view: &View<'a>, id: &str) -> Result<&'a HostedZone, Error> {
    let id = plain_id(id);
    view.get::<HostedZone>(id).filter(|zone| zone.lives()).ok_or_else(|| Error::NoSuchHostedZone(id.to_owned()))
}

/// Notes a change of a zone, and of these names in it. It is pending until all views that have the zone, or are to have it, answer by it.
pub(crate) fn new_change(
    tx: &mut Tx<'_>,
    zone: &HostedZone,
    comment: Option<String>,
    names: BTreeSet<String>,
) -> ChangeInfo {
    let change = Change {
        id: format!("C{}", ids::alphanumeric(20, tx.chance())),
        zone: zone.id.clone(),
        status: ChangeStatus::Pending,
        submitted: tx.now,
        comment,
        revision: tx.view().revision() + 1,
        names,
        awaited: zone.views().into_iter().map(ToOwned::to_owned).collect(),
    };
    let info = shown_change(&change);
    tx.put(change);
    info
}

/// A change as the wire shows it.
pub(crate) fn shown_change(change: &Change) -> ChangeInfo {
    ChangeInfo {
        id: format!("/change/{}", change.id),
        status: match change.status {
            ChangeStatus::Pending => WireStatus::Pending,
            ChangeStatus::InSync => WireStatus::Insync,
        },
        submitted_at: change.submitted,
        comment: change.comment.clone(),
    }
}

/// The VPC that a request names, if EC2 knows it in that region.
pub(crate) fn vpc(tx: &mut Tx<'_>, wire: &VPC) -> Result<Vpc, Error> {
    let region = wire.vpc_region.map(|region| region.to_string()).unwrap_or_default();
    let id = wire.vpc_id.clone().unwrap_or_default();
    let scope = Scope::new(&tx.scope.account, &region);
    let input = DescribeVpcsRequest { vpc_ids: vec![id.clone()], ..Default::default() };
    let known = zonal_cloud::regions::Region::named(&region).is_some()
        && tx
            .within(&scope, |tx| tx.call::<ec2::DescribeVpcs>("ec2", &input))
            .is_ok_and(|found| !found.vpcs.is_empty());
    if known { Ok(Vpc { region, id }) } else { Err(Error::InvalidVpcId(id, region)) }
}

/// How many items a page has: what was asked, up to a most.
pub(crate) fn max_items(given: Option<&str>, most: usize) -> Result<usize, Error> {
    match given {
        None => Ok(most),
        Some(text) => {
            let number = text.parse::<usize>().ok().filter(|number| *number > 0);
            number
                .map(|number| number.min(most))
                .ok_or_else(|| invalid(format!("Invalid value for maxitems: '{text}'")))
        }
    }
}
