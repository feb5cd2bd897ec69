//! Internet gateways.

use super::{Answer, Selection, filters, json, one, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{Interface, InternetGateway};
use crate::shapes::{self, *};
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidInternetGatewayID.NotFound", "internetGateway");

fn gateway<'a>(view: &View<'a>, id: &str) -> Result<&'a InternetGateway, Error> {
    view.get::<InternetGateway>(id).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

pub fn create(tx: &mut Tx<'_>, input: &CreateInternetGatewayRequest) -> Answer<CreateInternetGatewayResult> {
    let tags = specified(tx, &input.tag_specifications, "internet-gateway", &["internet-gateway"])?;
    let gateway = InternetGateway { id: tx.id("igw-"), vpc: None, tags };
    tx.put(gateway.clone());
    let internet_gateway = Some(shape(&tx.scope.account, &gateway));
    Ok(CreateInternetGatewayResult { internet_gateway, ..Default::default() })
}

pub fn describe(view: &View<'_>, input: &DescribeInternetGatewaysRequest) -> Answer<DescribeInternetGatewaysResult> {
    let selection = Selection {
        ids: &input.internet_gateway_ids,
        filters: &input.filters,
        names: filters::INTERNET_GATEWAYS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (gateways, next_token) = selection.of(
        view.among::<InternetGateway>(&input.internet_gateway_ids),
        |gateway| &gateway.id,
        |gateway| &gateway.tags,
        |gateway, name| match name {
            "internet-gateway-id" => one(&gateway.id),
            "attachment.vpc-id" => Some(gateway.vpc.clone().into_iter().collect()),
            "attachment.state" => Some(gateway.vpc.iter().map(|_| "available".to_owned()).collect()),
            "owner-id" => one(&view.scope.account),
            _ => None,
        },
        |gateway| json(&shape(&view.scope.account, gateway)),
    )?;
    let internet_gateways = gateways.into_iter().map(|gateway| shape(&view.scope.account, gateway)).collect();
    Ok(DescribeInternetGatewaysResult { internet_gateways, next_token, ..Default::default() })
}

fn shape(account: &str, gateway: &InternetGateway) -> shapes::InternetGateway {
    // An attached gateway is "available", which the reference's list of states leaves out (it gives attached, detached, …);
    // its text and AWS's answers have it.
    let attachment = |vpc: &String| InternetGatewayAttachment {
        vpc_id: text(vpc),
        state: Some(AttachmentStatus::Available),
        ..Default::default()
    };
    shapes::InternetGateway {
        internet_gateway_id: text(&gateway.id),
        owner_id: text(account),
        attachments: gateway.vpc.iter().map(attachment).collect(),
        tags: tag_list(&gateway.tags),
        ..Default::default()
    }
}

pub fn attach(tx: &mut Tx<'_>, input: &AttachInternetGatewayRequest) -> Answer<AttachInternetGatewayOutput> {
    let id = &input.internet_gateway_id;
    let attached = gateway(&tx.view(), id)?.vpc.clone();
    super::vpcs::vpc(&tx.view(), &input.vpc_id)?;
    if let Some(vpc) = attached {
        let text = format!("resource {id} is already attached to network {vpc}");
        return Err(Error::Coded("Resource.AlreadyAssociated", text).into());
    }
    if tx.list::<InternetGateway>().any(|other| other.vpc.as_ref() == Some(&input.vpc_id)) {
        let text = format!("Network {} already has an internet gateway attached", input.vpc_id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    tx.update::<InternetGateway, _>(id, |gateway| gateway.vpc = Some(input.vpc_id.clone()));
    Ok(AttachInternetGatewayOutput::default())
}

pub fn detach(tx: &mut Tx<'_>, input: &DetachInternetGatewayRequest) -> Answer<DetachInternetGatewayOutput> {
    let id = &input.internet_gateway_id;
    if gateway(&tx.view(), id)?.vpc.as_ref() != Some(&input.vpc_id) {
        let text = format!("resource {id} is not attached to network {}", input.vpc_id);
        return Err(Error::Coded("Gateway.NotAttached", text).into());
    }
    if tx.list::<Interface>().any(|interface| interface.vpc == input.vpc_id && interface.public.is_some()) {
        let text = format!(
            "Network {} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
            input.vpc_id
        );
        return Err(Error::Coded("DependencyViolation", text).into());
    }
    tx.update::<InternetGateway, _>(id, |gateway| gateway.vpc = None);
    Ok(DetachInternetGatewayOutput::default())
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteInternetGatewayRequest) -> Answer<DeleteInternetGatewayOutput> {
    let id = &input.internet_gateway_id;
    if gateway(&tx.view(), id)?.vpc.is_some() {
        return Err(Error::DependencyViolation("internetGateway", id.clone()).into());
    }
    tx.remove::<InternetGateway>(id);
    Ok(DeleteInternetGatewayOutput::default())
}
