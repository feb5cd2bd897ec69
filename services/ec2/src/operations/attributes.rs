//! Attributes of instances, and settings of their metadata service.

use super::filters::{self, Filters};
use super::{Answer, cut, text};
use crate::errors::Error;
use crate::instance_types::InstanceType;
use crate::model::{Instance, InstanceState, Interface, Volume};
use crate::operations::{instances, interfaces, run};
use crate::shapes::*;
use base64::Engine;
use zonal_cloud::{Tx, View};

pub fn describe(view: &View<'_>, input: &DescribeInstanceAttributeRequest) -> Answer<InstanceAttribute> {
    let instance = instances::instance(view, &input.instance_id)?;
    let interface = view.get::<Interface>(&instance.interface);
    let value = |value: &str| Some(AttributeValue { value: text(value), ..Default::default() });
    let flag = |value| Some(AttributeBooleanValue { value: Some(value), ..Default::default() });
    let mut output = InstanceAttribute { instance_id: text(&instance.id), ..Default::default() };
    match input.attribute {
        InstanceAttributeName::InstanceType => output.instance_type = value(&instance.instance_type),
        InstanceAttributeName::UserData => {
            output.user_data = Some(AttributeValue { value: instance.user_data.clone(), ..Default::default() });
        }
        InstanceAttributeName::DisableApiTermination => {
            output.disable_api_termination = flag(instance.termination_protection)
        }
        InstanceAttributeName::DisableApiStop => output.disable_api_stop = flag(instance.stop_protection),
        InstanceAttributeName::InstanceInitiatedShutdownBehavior => {
            let behavior = if instance.terminate_on_shutdown { "terminate" } else { "stop" };
            output.instance_initiated_shutdown_behavior = value(behavior);
        }
        InstanceAttributeName::RootDeviceName => output.root_device_name = value(&instance.root_device),
        InstanceAttributeName::SourceDestCheck => {
            output.source_dest_check = flag(interface.is_none_or(|interface| interface.source_dest_check));
        }
        InstanceAttributeName::EbsOptimized => output.ebs_optimized = flag(instance.ebs_optimized),
        InstanceAttributeName::EnaSupport => output.ena_support = flag(true),
        InstanceAttributeName::GroupSet => {
            output.groups = interfaces::group_identifiers(view, interface.map_or(&[], |i| &i.groups));
        }
        InstanceAttributeName::BlockDeviceMapping => {
            output.block_device_mappings = instances::shape(view, instance).block_device_mappings;
        }
        InstanceAttributeName::EnclaveOptions => {
            output.enclave_options = Some(EnclaveOptions { enabled: Some(false), ..Default::default() });
        }
        InstanceAttributeName::SriovNetSupport => output.sriov_net_support = value("simple"),
        _ => {}
    }
    Ok(output)
}

pub fn modify(tx: &mut Tx<'_>, input: &ModifyInstanceAttributeRequest) -> Answer<ModifyInstanceAttributeOutput> {
    let mut instance = instances::instance(&tx.view(), &input.instance_id)?.clone();
    must_not_end(&instance)?;
    super::beyond::refuse("ModifyInstanceAttribute", input)?;
    one_attribute(input)?;
    change_mappings(tx, &instance, &input.block_device_mappings)?;
    let named = |attribute| input.attribute == Some(attribute);
    let by_value = [
        InstanceAttributeName::InstanceType,
        InstanceAttributeName::UserData,
        InstanceAttributeName::DisableApiTermination,
        InstanceAttributeName::DisableApiStop,
        InstanceAttributeName::EbsOptimized,
        InstanceAttributeName::InstanceInitiatedShutdownBehavior,
        InstanceAttributeName::SourceDestCheck,
    ];
    if let (Some(attribute), Some(_)) = (input.attribute, &input.value)
        && !by_value.contains(&attribute)
    {
        let text = format!("The attribute {attribute} cannot be changed by its value.");
        return Err(Error::InvalidParameterCombination(text).into());
    }
    let single = |attribute, own: &Option<AttributeValue>| {
        let own = own.as_ref().and_then(|value| value.value.clone());
        own.or_else(|| input.value.clone().filter(|_| named(attribute)))
    };
    let flag = |attribute, own: &Option<AttributeBooleanValue>| {
        let own = own.as_ref().and_then(|value| value.value);
        own.or_else(|| input.value.as_ref().filter(|_| named(attribute)).map(|value| value == "true"))
    };
    if let Some(kind) = single(InstanceAttributeName::InstanceType, &input.instance_type) {
        must_be_stopped(&instance)?;
        let (old, new) = (run::type_of(&instance), InstanceType::named(&kind)?);
        if old.is_some_and(|old| old.architecture != new.architecture) {
            let text = format!("The instance type '{kind}' has another architecture than the instance's image.");
            return Err(Error::InvalidParameterValue(text).into());
        }
        instance.instance_type = kind;
    }
    // The wire's blob is decoded already; it is kept as it came.
    let blob = input.user_data.as_ref().and_then(|data| data.value.as_ref());
    let encoded = blob.map(|data| base64::engine::general_purpose::STANDARD.encode(&data.0));
    if let Some(encoded) = encoded.or_else(|| input.value.clone().filter(|_| named(InstanceAttributeName::UserData))) {
        must_be_stopped(&instance)?;
        instance.user_data = run::user_data(Some(&encoded))?;
    }
    if let Some(on) = flag(InstanceAttributeName::DisableApiTermination, &input.disable_api_termination) {
        instance.termination_protection = on;
    }
    if let Some(on) = flag(InstanceAttributeName::DisableApiStop, &input.disable_api_stop) {
        instance.stop_protection = on;
    }
    if let Some(on) = flag(InstanceAttributeName::EbsOptimized, &input.ebs_optimized) {
        must_be_stopped(&instance)?;
        instance.ebs_optimized = on;
    }
    let behavior = InstanceAttributeName::InstanceInitiatedShutdownBehavior;
    if let Some(given) = single(behavior, &input.instance_initiated_shutdown_behavior) {
        instance.terminate_on_shutdown = match given.as_str() {
            "terminate" => true,
            "stop" => false,
            _ => {
                let text = format!("Value ({given}) for parameter InstanceInitiatedShutdownBehavior is invalid.");
                return Err(Error::InvalidParameterValue(text).into());
            }
        };
    }
    let check = flag(InstanceAttributeName::SourceDestCheck, &input.source_dest_check);
    let of = format!("interface {}", instance.interface);
    super::groups::check_membership(&tx.view(), &input.groups, &instance.vpc, &of)?;
    tx.update::<Interface, _>(&instance.interface, |interface| {
        interface.source_dest_check = check.unwrap_or(interface.source_dest_check);
        if !input.groups.is_empty() {
            interface.groups.clone_from(&input.groups);
        }
    });
    tx.put(instance);
    Ok(ModifyInstanceAttributeOutput::default())
}

/// Says of the root volume whether it goes with its instance. It is the one device that an instance has.
fn change_mappings(
    tx: &mut Tx<'_>,
    instance: &Instance,
    mappings: &[InstanceBlockDeviceMappingSpecification],
) -> Answer<()> {
    for mapping in mappings {
        let device = mapping.device_name.as_deref().unwrap_or_default();
        if device != instance.root_device {
            let text = format!("No device is currently mapped at {device}");
            return Err(Error::Coded("InvalidInstanceAttributeValue", text).into());
        }
        if let Some(goes) = mapping.ebs.as_ref().and_then(|ebs| ebs.delete_on_termination) {
            tx.update::<Volume, _>(&instance.volume, |volume| volume.delete_on_termination = goes);
        }
    }
    Ok(())
}

/// ResetInstanceAttribute: of what can be reset, only whether source and destination are checked is here to set.
pub fn reset(tx: &mut Tx<'_>, input: &ResetInstanceAttributeRequest) -> Answer<ResetInstanceAttributeOutput> {
    let instance = instances::instance(&tx.view(), &input.instance_id)?.clone();
    if input.attribute != InstanceAttributeName::SourceDestCheck {
        let text = format!("Value ({}) for parameter attribute is invalid.", input.attribute);
        return Err(Error::InvalidParameterValue(text).into());
    }
    tx.update::<Interface, _>(&instance.interface, |interface| interface.source_dest_check = true);
    Ok(ResetInstanceAttributeOutput::default())
}

/// Checks how far a metadata token's answer may travel.
pub(crate) fn check_hop_limit(limit: i32) -> Result<(), Error> {
    if (1..=64).contains(&limit) {
        return Ok(());
    }
    let text = format!("Value ({limit}) for parameter httpPutResponseHopLimit is invalid. Valid values: 1 to 64.");
    Err(Error::InvalidParameterValue(text))
}

/// Checks what a launch says of CPU credits.
pub(crate) fn check_credits(credits: &str, kind: &InstanceType) -> Result<(), Error> {
    if !matches!(credits, "standard" | "unlimited") {
        let text = format!("Invalid value '{credits}' for CpuCredits. Valid values: standard, unlimited.");
        return Err(Error::InvalidParameterValue(text));
    }
    if !kind.burstable {
        let text = format!(
            "CreditSpecification is only supported for burstable performance instances, not for {}.",
            kind.name
        );
        return Err(Error::InvalidParameterCombination(text));
    }
    Ok(())
}

fn must_not_end(instance: &Instance) -> Result<(), Error> {
    if instance.state.is_ending() {
        let text = format!("The instance '{}' is not in a valid state for this operation.", instance.id);
        return Err(Error::Coded("IncorrectInstanceState", text));
    }
    Ok(())
}

/// One attribute is changed by a call.
fn one_attribute(input: &ModifyInstanceAttributeRequest) -> Result<(), Error> {
    let given = [
        input.attribute.is_some(),
        input.instance_type.is_some(),
        input.user_data.is_some(),
        input.disable_api_termination.is_some(),
        input.disable_api_stop.is_some(),
        input.ebs_optimized.is_some(),
        input.ena_support.is_some(),
        input.instance_initiated_shutdown_behavior.is_some(),
        input.kernel.is_some(),
        input.ramdisk.is_some(),
        input.source_dest_check.is_some(),
        input.sriov_net_support.is_some(),
        !input.groups.is_empty(),
    ];
    let given = given.into_iter().filter(|given| *given).count();
    let refuse = |text: &str| Err(Error::InvalidParameterCombination(text.to_owned()));
    match given {
        0 if input.block_device_mappings.is_empty() => refuse("No attributes specified."),
        0 | 1 => Ok(()),
        _ => refuse("Fields for multiple attribute types specified."),
    }
}

fn must_be_stopped(instance: &Instance) -> Result<(), Error> {
    if instance.state == InstanceState::Stopped {
        return Ok(());
    }
    let text = format!("The instance '{}' is not in the 'stopped' state.", instance.id);
    Err(Error::Coded("IncorrectInstanceState", text))
}

pub fn modify_metadata(
    tx: &mut Tx<'_>,
    input: &ModifyInstanceMetadataOptionsRequest,
) -> Answer<ModifyInstanceMetadataOptionsResult> {
    let mut instance = instances::instance(&tx.view(), &input.instance_id)?.clone();
    must_not_end(&instance)?;
    if let Some(limit) = input.http_put_response_hop_limit {
        check_hop_limit(limit)?;
        instance.metadata.hop_limit = limit;
    }
    let options = &mut instance.metadata;
    options.token_required =
        input.http_tokens.map_or(options.token_required, |tokens| tokens == HttpTokensState::Required);
    options.enabled = input.http_endpoint.map_or(options.enabled, |on| on == InstanceMetadataEndpointState::Enabled);
    options.tags = input.instance_metadata_tags.map_or(options.tags, |on| on == InstanceMetadataTagsState::Enabled);
    // As on AWS the change is answered as it begins.
    let shape = InstanceMetadataOptionsResponse {
        state: Some(InstanceMetadataOptionsState::Pending),
        ..instances::metadata_shape(&instance)
    };
    let instance_id = text(&instance.id);
    tx.put(instance);
    Ok(ModifyInstanceMetadataOptionsResult {
        instance_id,
        instance_metadata_options: Some(shape),
        ..Default::default()
    })
}

/// Switches detailed monitoring of instances.
fn set_monitoring(tx: &mut Tx<'_>, ids: &[String], on: bool) -> Answer<Vec<InstanceMonitoring>> {
    let all = instances::all(tx, ids)?;
    for instance in &all {
        tx.update::<Instance, _>(&instance.id, |instance| instance.monitoring = on);
    }
    // As on AWS the switching is answered, not what it leads to.
    let state = if on { MonitoringState::Pending } else { MonitoringState::Disabling };
    let shape = |instance: Instance| InstanceMonitoring {
        instance_id: Some(instance.id),
        monitoring: Some(Monitoring { state: Some(state), ..Default::default() }),
        ..Default::default()
    };
    Ok(all.into_iter().map(shape).collect())
}

pub fn monitor(tx: &mut Tx<'_>, input: &MonitorInstancesRequest) -> Answer<MonitorInstancesResult> {
    let instance_monitorings = set_monitoring(tx, &input.instance_ids, true)?;
    Ok(MonitorInstancesResult { instance_monitorings, ..Default::default() })
}

pub fn unmonitor(tx: &mut Tx<'_>, input: &UnmonitorInstancesRequest) -> Answer<UnmonitorInstancesResult> {
    let instance_monitorings = set_monitoring(tx, &input.instance_ids, false)?;
    Ok(UnmonitorInstancesResult { instance_monitorings, ..Default::default() })
}

/// `ModifyInstanceCreditSpecification`: what cannot be changed is said instance by instance, and the rest is.
pub fn modify_credits(
    tx: &mut Tx<'_>,
    input: &ModifyInstanceCreditSpecificationRequest,
) -> Answer<ModifyInstanceCreditSpecificationResult> {
    use UnsuccessfulInstanceCreditSpecificationErrorCode as Code;
    let mut output = ModifyInstanceCreditSpecificationResult::default();
    for wanted in &input.instance_credit_specifications {
        let id = &wanted.instance_id;
        let credits = wanted.cpu_credits.as_deref().unwrap_or_default();
        if !matches!(credits, "standard" | "unlimited") {
            let text = format!("Invalid value '{credits}' for CpuCredits. Valid values: standard, unlimited.");
            return Err(Error::InvalidParameterValue(text).into());
        }
        let refused = match tx.get::<Instance>(id) {
            None => Some((Code::InvalidInstanceIDNotFound, format!("The instance ID '{id}' does not exist"))),
            Some(instance) if instance.state.is_ending() => {
                let text = format!("The instance '{id}' is not in a valid state for this operation.");
                Some((Code::IncorrectInstanceState, text))
            }
            Some(instance) if !run::type_of(instance).is_some_and(|kind| kind.burstable) => {
                let text =
                    format!("The instance type '{}' is not a burstable performance type.", instance.instance_type);
                Some((Code::InstanceCreditSpecificationNotSupported, text))
            }
            Some(_) => None,
        };
        if let Some((code, message)) = refused {
            let error = UnsuccessfulInstanceCreditSpecificationItemError {
                code: Some(code),
                message: Some(message),
                ..Default::default()
            };
            let item = UnsuccessfulInstanceCreditSpecificationItem {
                instance_id: text(id),
                error: Some(error),
                ..Default::default()
            };
            output.unsuccessful_instance_credit_specifications.push(item);
            continue;
        }
        tx.update::<Instance, _>(id, |instance| instance.credits = Some(credits.to_owned()));
        let item = SuccessfulInstanceCreditSpecificationItem { instance_id: text(id), ..Default::default() };
        output.successful_instance_credit_specifications.push(item);
    }
    Ok(output)
}

pub fn describe_credits(
    view: &View<'_>,
    input: &DescribeInstanceCreditSpecificationsRequest,
) -> Answer<DescribeInstanceCreditSpecificationsResult> {
    let filters = Filters::of(&input.filters, filters::CREDITS)?;
    let mut found = Vec::new();
    for id in &input.instance_ids {
        instances::instance(view, id)?;
    }
    for instance in view.list::<Instance>() {
        let named = input.instance_ids.is_empty() || input.instance_ids.contains(&instance.id);
        let Some(kind) = run::type_of(instance).filter(|kind| kind.burstable && named) else { continue };
        let usual = if kind.name.starts_with("t2.") { "standard" } else { "unlimited" };
        let credits = InstanceCreditSpecification {
            instance_id: text(&instance.id),
            cpu_credits: text(instance.credits.as_deref().unwrap_or(usual)),
            ..Default::default()
        };
        if filters.pass_answer(&credits) {
            found.push((instance.id.clone(), credits));
        }
    }
    let (instance_credit_specifications, next_token) = cut(found, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeInstanceCreditSpecificationsResult { instance_credit_specifications, next_token, ..Default::default() })
}
