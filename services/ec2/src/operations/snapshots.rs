//! Snapshots: those that images are made of. Each is there as long as its image.
//!
//! Sources: DescribeSnapshots and DeleteSnapshot in the EC2 API Reference; "Deregister an AMI" in the EC2 User Guide.

use super::{Answer, Selection, filters, images, json, text};
use crate::errors::Error;
use crate::model::{Image, ImageState, Instance, Volume};
use crate::shapes::*;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
const UNKNOWN: (&str, &str) = ("InvalidSnapshot.NotFound", "snapshot");

pub fn describe(view: &View<'_>, input: &DescribeSnapshotsRequest) -> Answer<DescribeSnapshotsResult> {
    let account: &str = &view.scope.account;
    let mut all: Vec<(Snapshot, Tags)> = images::public_snapshots(view).into_iter().map(|s| (s, Tags::new())).collect();
    all.extend(view.list::<Image>().map(|image| (of_image(view, image), image.snapshot_tags.clone())));
    all.retain(|(snapshot, _)| {
        let is = |owner: &String| match owner.as_str() {
            "self" => snapshot.owner_id.as_deref() == Some(account),
            owner => [&snapshot.owner_id, &snapshot.owner_alias].iter().any(|own| own.as_deref() == Some(owner)),
        };
        input.owner_ids.is_empty() || input.owner_ids.iter().any(is)
    });
    all.sort_by(|a, b| a.0.snapshot_id.cmp(&b.0.snapshot_id));
    let selection = Selection {
        ids: &input.snapshot_ids,
        filters: &input.filters,
        names: filters::SNAPSHOTS,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (found, next_token) = selection.of(
        all.iter(),
        |(snapshot, _)| snapshot.snapshot_id.as_deref().unwrap_or_default(),
        |(_, tags)| tags,
        |_, _| None,
        |(snapshot, _)| json(snapshot),
    )?;
    let snapshots = found.into_iter().map(|(snapshot, _)| snapshot.clone()).collect();
    Ok(DescribeSnapshotsResult { snapshots, next_token, ..Default::default() })
}

fn of_image(view: &View<'_>, image: &Image) -> Snapshot {
    let volume = view.get::<Instance>(&image.instance).map(|instance| instance.volume.clone());
    let volume = volume.filter(|volume| view.get::<Volume>(volume).is_some());
    let (state, progress) = match image.state {
        ImageState::Pending => (SnapshotState::Pending, "0%"),
        ImageState::Available => (SnapshotState::Completed, "100%"),
    };
    Snapshot {
        snapshot_id: text(&image.snapshot),
        owner_id: text(&*view.scope.account),
        description: text(format!("Created by CreateImage({}) for {}", image.instance, image.id)),
        // AWS gives this id where it does not know the volume.
        volume_id: volume.or_else(|| text("vol-ffffffff")),
        state: Some(state),
        progress: text(progress),
        start_time: Some(image.created),
        volume_size: Some(image.size),
        encrypted: Some(false),
        storage_tier: Some(StorageTier::Standard),
        tags: super::tag_list(&image.snapshot_tags),
        ..Default::default()
    }
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteSnapshotRequest) -> Answer<DeleteSnapshotOutput> {
    let id = &input.snapshot_id;
    Error::check_form(id, "snap-", "InvalidSnapshotID.Malformed")?;
    match tx.list::<Image>().find(|image| image.snapshot == *id) {
        Some(image) => {
            let text = format!("The snapshot {id} is currently in use by {}", image.id);
            Err(Error::Coded("InvalidSnapshot.InUse", text).into())
        }
        None => Err(Error::Coded("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist.")).into()),
    }
}
