//! VPCs that see private zones. Source: Route 53 API reference, `AssociateVPCWithHostedZone`, `DisassociateVPCFromHostedZone`.

use super::zones::refuse_conflict;
use super::{globally, new_change, vpc, zone};
use crate::errors::Error;
use crate::model::{Audience, HostedZone};
use crate::shapes::{
    AssociateVPCWithHostedZoneRequest, AssociateVPCWithHostedZoneResponse, DisassociateVPCFromHostedZoneRequest,
    DisassociateVPCFromHostedZoneResponse,
};
use std::collections::BTreeSet;
use zonal_cloud::Tx;
use zonal_wire::AwsError;

/// `AssociateVPCWithHostedZone`. The zone itself is a conflict too, where the VPC sees it already.
pub fn associate(
    tx: &mut Tx<'_>,
    input: &AssociateVPCWithHostedZoneRequest,
) -> Result<AssociateVPCWithHostedZoneResponse, AwsError> {
    let vpc = vpc(tx, &input.vpc)?;
    globally(tx, |tx| {
        let mut found = zone(&tx.view(), &input.hosted_zone_id)?.clone();
        let Audience::Private(vpcs) = &mut found.audience else { return Err(Error::PublicZone.into()) };
        refuse_conflict(&tx.view(), &found.name, &vpc)?;
        found.served.insert(vpc.id.clone());
        vpcs.push(vpc);
        let change_info = new_change(tx, &found, input.comment.clone(), BTreeSet::new());
        tx.put(found);
        Ok(AssociateVPCWithHostedZoneResponse { change_info })
    })
}

/// `DisassociateVPCFromHostedZone`. The VPC may be gone already.
pub fn disassociate(
    tx: &mut Tx<'_>,
    input: &DisassociateVPCFromHostedZoneRequest,
) -> Result<DisassociateVPCFromHostedZoneResponse, AwsError> {
    let id = input.vpc.vpc_id.clone().unwrap_or_default();
    globally(tx, |tx| {
        let mut found: HostedZone = zone(&tx.view(), &input.hosted_zone_id)?.clone();
        let zone = found.id.clone();
        let vpcs = match &mut found.audience {
            Audience::Private(vpcs) if vpcs.iter().any(|vpc| vpc.id == id) => vpcs,
            _ => return Err(Error::AssociationNotFound { vpc: id, zone }.into()),
        };
        if vpcs.len() == 1 {
            return Err(Error::LastAssociation { vpc: id, zone }.into());
        }
        vpcs.retain(|vpc| vpc.id != id);
        let change_info = new_change(tx, &found, input.comment.clone(), BTreeSet::new());
        tx.put(found);
        Ok(DisassociateVPCFromHostedZoneResponse { change_info })
    })
}
