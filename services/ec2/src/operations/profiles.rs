//! Instance profiles of instances: which one an instance has, kept and shown.
//!
//! An association has no record of its own: it is that an instance has a profile, and its id follows from both.

use super::filters::{self, Filters};
use super::{Answer, cut, images, instances, text};
use crate::errors::Error;
use crate::model::Instance;
use crate::shapes::{self, *};
use zonal_cloud::{Tx, View};

/// The id of an association.
fn id(instance: &Instance, arn: &str) -> String {
    format!("iip-assoc-0{}", images::stable_hex(&format!("{}/{arn}", instance.id)))
}

/// An instance profile as answers show it.
pub(crate) fn profile(arn: &str) -> shapes::IamInstanceProfile {
    shapes::IamInstanceProfile {
        arn: text(arn),
        id: text(format!("AIPA{}", images::stable_hex(arn).to_uppercase())),
        ..Default::default()
    }
}

fn shape(instance: &Instance, arn: &str, state: IamInstanceProfileAssociationState) -> IamInstanceProfileAssociation {
    IamInstanceProfileAssociation {
        association_id: text(id(instance, arn)),
        instance_id: text(&*instance.id),
        iam_instance_profile: Some(profile(arn)),
        state: Some(state),
        ..Default::default()
    }
}

/// The ARN that a request names a profile by, itself or by the profile's name.
pub(crate) fn arn(tx: &Tx<'_>, given: &IamInstanceProfileSpecification) -> Option<String> {
    let named = given.name.as_ref().map(|name| tx.scope.global().arn("iam", &format!("instance-profile/{name}")));
    given.arn.clone().or(named)
}

fn wanted(tx: &Tx<'_>, given: Option<&IamInstanceProfileSpecification>) -> Result<String, Error> {
    given.and_then(|given| arn(tx, given)).ok_or_else(|| Error::MissingParameter("IamInstanceProfile".to_owned()))
}

/// The instance that has an association.
fn holder(tx: &Tx<'_>, association: &str) -> Result<(Instance, String), Error> {
    let holds = |instance: &&Instance| {
        !instance.state.is_ending() && instance.profile.as_ref().is_some_and(|arn| id(instance, arn) == association)
    };
    let found = tx.list::<Instance>().find(holds).and_then(|own| Some((own.clone(), own.profile.clone()?)));
    found.ok_or_else(|| {
        let text = format!("An invalid association-id of '{association}' was given");
        Error::Coded("InvalidAssociationID.NotFound", text)
    })
}

pub fn associate(
    tx: &mut Tx<'_>,
    input: &AssociateIamInstanceProfileRequest,
) -> Answer<AssociateIamInstanceProfileResult> {
    let instance = instances::instance(&tx.view(), &input.instance_id)?.clone();
    let arn = wanted(tx, Some(&input.iam_instance_profile))?;
    if instance.state.is_ending() {
        let text = format!("The instance '{}' is not in the 'running' or 'stopped' states.", instance.id);
        return Err(Error::Coded("IncorrectInstanceState", text).into());
    }
    if instance.profile.is_some() {
        let text = format!("There is an existing association for instance {}", instance.id);
        return Err(Error::Coded("IncorrectState", text).into());
    }
    let association = shape(&instance, &arn, IamInstanceProfileAssociationState::Associating);
    tx.put(Instance { profile: Some(arn), ..instance });
    Ok(AssociateIamInstanceProfileResult { iam_instance_profile_association: Some(association), ..Default::default() })
}

pub fn replace(
    tx: &mut Tx<'_>,
    input: &ReplaceIamInstanceProfileAssociationRequest,
) -> Answer<ReplaceIamInstanceProfileAssociationResult> {
    let arn = wanted(tx, Some(&input.iam_instance_profile))?;
    let (instance, _) = holder(tx, &input.association_id)?;
    let association = shape(&instance, &arn, IamInstanceProfileAssociationState::Associating);
    tx.put(Instance { profile: Some(arn), ..instance });
    Ok(ReplaceIamInstanceProfileAssociationResult {
        iam_instance_profile_association: Some(association),
        ..Default::default()
    })
}

pub fn disassociate(
    tx: &mut Tx<'_>,
    input: &DisassociateIamInstanceProfileRequest,
) -> Answer<DisassociateIamInstanceProfileResult> {
    let (instance, arn) = holder(tx, &input.association_id)?;
    let association = shape(&instance, &arn, IamInstanceProfileAssociationState::Disassociating);
    tx.put(Instance { profile: None, ..instance });
    Ok(DisassociateIamInstanceProfileResult {
        iam_instance_profile_association: Some(association),
        ..Default::default()
    })
}

pub fn describe(
    view: &View<'_>,
    input: &DescribeIamInstanceProfileAssociationsRequest,
) -> Answer<DescribeIamInstanceProfileAssociationsResult> {
    let filters = Filters::of(&input.filters, filters::PROFILE_ASSOCIATIONS)?;
    let mut found = Vec::new();
    for instance in view.list::<Instance>().filter(|instance| !instance.state.is_ending()) {
        let Some(arn) = &instance.profile else { continue };
        let association = shape(instance, arn, IamInstanceProfileAssociationState::Associated);
        let id = association.association_id.clone().unwrap_or_default();
        if (input.association_ids.is_empty() || input.association_ids.contains(&id))
            && filters.pass_answer(&association)
        {
            found.push((id, association));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(missing) = input.association_ids.iter().find(|id| !found.iter().any(|(own, _)| own == *id)) {
        let text = format!("An invalid association-id of '{missing}' was given");
        return Err(Error::Coded("InvalidAssociationID.NotFound", text).into());
    }
    let (iam_instance_profile_associations, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeIamInstanceProfileAssociationsResult {
        iam_instance_profile_associations,
        next_token,
        ..Default::default()
    })
}
