//! Volumes: the root volumes of instances.

use super::filters::Filters;
use super::{Answer, Selection, cut, filters, json, one, tag_list, text};
use crate::errors::Error;
use crate::model::{Instance, Volume};
use crate::shapes::{self, *};
use zonal_cloud::View;

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidVolume.NotFound", "volume");

pub fn describe(view: &View<'_>, input: &DescribeVolumesRequest) -> Answer<DescribeVolumesResult> {
    let selection = Selection {
        ids: &input.volume_ids,
        filters: &input.filters,
        names: filters::VOLUMES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (volumes, next_token) = selection.of(
        view.among::<Volume>(&input.volume_ids),
        |volume| &volume.id,
        |volume| &volume.tags,
        |volume, name| match name {
            "volume-id" => one(&volume.id),
            "attachment.instance-id" => one(&volume.instance),
            "attachment.delete-on-termination" => one(volume.delete_on_termination),
            "attachment.device" => Some(device(view, volume).into_iter().collect()),
            "availability-zone" => one(&volume.zone),
            "size" => one(volume.size),
            "status" => one(state(view, volume).as_str()),
            "volume-type" => one(&volume.kind),
            _ => None,
        },
        |volume| json(&shape(view, volume)),
    )?;
    let volumes = volumes.into_iter().map(|volume| shape(view, volume)).collect();
    Ok(DescribeVolumesResult { volumes, next_token, ..Default::default() })
}

/// A volume that is kept beyond its instance is available.
fn state(view: &View<'_>, volume: &Volume) -> VolumeState {
    let used = view.get::<Instance>(&volume.instance).is_some_and(|instance| !instance.state.is_ending());
    if used { VolumeState::InUse } else { VolumeState::Available }
}

/// What its instance calls it.
fn device(view: &View<'_>, volume: &Volume) -> Option<String> {
    view.get::<Instance>(&volume.instance).map(|instance| instance.root_device.clone())
}

/// What a type gives by itself. Source: "Amazon EBS volume types" in the EBS User Guide.
fn iops(volume: &Volume) -> Option<i32> {
    match volume.kind.as_str() {
        "gp3" => Some(3000),
        "gp2" => Some(volume.size.saturating_mul(3).clamp(100, 16_000)),
        _ => None,
    }
}

/// The root volume's size, GiB: no smaller than the image's snapshot, no larger than its type can be. Source: "Amazon EBS volume types"
/// in the EBS User Guide.
pub(crate) fn root_size(given: Option<i32>, kind: &str, snapshot: i32) -> Result<i32, Error> {
    let size = given.unwrap_or(snapshot);
    if size < snapshot {
        let text =
            format!("Volume of size {size}GB is smaller than snapshot of the image, expect size >= {snapshot}GB");
        return Err(Error::Coded("InvalidBlockDeviceMapping", text));
    }
    let most = match kind {
        "gp3" | "io2" => 65_536,
        "standard" => 1024,
        _ => 16_384,
    };
    if size > most {
        let text = format!("Volume of {size}GiB is too large for volume type {kind}; maximum is {most}GiB.");
        return Err(Error::InvalidParameterValue(text));
    }
    Ok(size)
}

fn shape(view: &View<'_>, volume: &Volume) -> shapes::Volume {
    let state = state(view, volume);
    let attachment = VolumeAttachment {
        volume_id: text(&volume.id),
        instance_id: text(&volume.instance),
        device: device(view, volume),
        state: Some(VolumeAttachmentState::Attached),
        attach_time: Some(volume.created),
        delete_on_termination: Some(volume.delete_on_termination),
        ..Default::default()
    };
    shapes::Volume {
        volume_id: text(&volume.id),
        availability_zone: text(&volume.zone),
        size: Some(volume.size),
        volume_type: volume.kind.parse().ok(),
        iops: iops(volume),
        throughput: (volume.kind == "gp3").then_some(125),
        state: Some(state),
        create_time: Some(volume.created),
        encrypted: Some(false),
        multi_attach_enabled: Some(false),
        attachments: if state == VolumeState::InUse { vec![attachment] } else { Vec::new() },
        tags: tag_list(&volume.tags),
        ..Default::default()
    }
}

pub fn describe_status(view: &View<'_>, input: &DescribeVolumeStatusRequest) -> Answer<DescribeVolumeStatusResult> {
    for id in &input.volume_ids {
        if view.get::<Volume>(id).is_none() {
            return Err(Error::not_found(UNKNOWN.0, UNKNOWN.1, id).into());
        }
    }
    let filters = Filters::of(&input.filters, filters::VOLUME_STATUS)?;
    let wanted =
        view.list::<Volume>().filter(|volume| input.volume_ids.is_empty() || input.volume_ids.contains(&volume.id));
    let detail = |name, status| VolumeStatusDetails { name: Some(name), status: text(status), ..Default::default() };
    let items = wanted.map(|volume| {
        let item = VolumeStatusItem {
            volume_id: text(&volume.id),
            availability_zone: text(&volume.zone),
            volume_status: Some(VolumeStatusInfo {
                status: Some(VolumeStatusInfoStatus::Ok),
                details: vec![
                    detail(VolumeStatusName::IoEnabled, "passed"),
                    // Checked for volumes with provisioned IOPS only, which there are none of.
                    detail(VolumeStatusName::IoPerformance, "not-applicable"),
                ],
                ..Default::default()
            }),
            ..Default::default()
        };
        (volume.id.clone(), item)
    });
    let items = items.filter(|(_, item)| filters.pass_answer(item)).collect();
    let (volume_statuses, next_token) = cut(items, input.next_token.as_deref(), input.max_results)?;
    Ok(DescribeVolumeStatusResult { volume_statuses, next_token, ..Default::default() })
}
