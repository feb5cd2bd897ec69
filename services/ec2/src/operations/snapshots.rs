//! Snapshots: those that images are made of. Each is there until it is deleted, whatever becomes of its image, and no one can be deleted
//! that an image is made of.
//!
//! Sources: DescribeSnapshots and DeleteSnapshot in the EC2 API Reference; "Deregister an AMI" in the EC2 User Guide.

use super::{Answer, Selection, filters, images, json, tag_list, text};
use crate::errors::Error;
use crate::model::{Image, ImageState, Instance, Snapshot, SnapshotState, Volume};
use crate::shapes::{self, *};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidSnapshot.NotFound", "snapshot");

pub fn describe(view: &View<'_>, input: &DescribeSnapshotsRequest) -> Answer<DescribeSnapshotsResult> {
    let account: &str = &view.scope.account;
    let mut all: Vec<(shapes::Snapshot, Tags)> = Vec::new();
    // Whoever may see a public one may make volumes of it; those of an account are its own alone.
    if restorable(input, &["all"]) {
        all.extend(images::public_snapshots(view).into_iter().map(|snapshot| (snapshot, Tags::new())));
    }
    if restorable(input, &["self", account]) {
        all.extend(view.list::<Snapshot>().map(|snapshot| (shape(view, snapshot), snapshot.tags.clone())));
    }
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

/// Whether one of `users` is among those whose snapshots are asked for.
fn restorable(input: &DescribeSnapshotsRequest, users: &[&str]) -> bool {
    let asked = &input.restorable_by_user_ids;
    asked.is_empty() || asked.iter().any(|user| users.contains(&user.as_str()))
}

fn shape(view: &View<'_>, snapshot: &Snapshot) -> shapes::Snapshot {
    let (state, progress) = match snapshot.state {
        SnapshotState::Pending => (shapes::SnapshotState::Pending, "0%"),
        SnapshotState::Completed => (shapes::SnapshotState::Completed, "100%"),
    };
    shapes::Snapshot {
        snapshot_id: text(&snapshot.id),
        owner_id: text(&*view.scope.account),
        description: text(&snapshot.description),
        // AWS gives this id where it does not know the volume.
        volume_id: text(snapshot.volume.as_deref().unwrap_or("vol-ffffffff")),
        state: Some(state),
        progress: text(progress),
        start_time: Some(snapshot.started),
        volume_size: Some(snapshot.size),
        encrypted: Some(false),
        storage_tier: Some(StorageTier::Standard),
        tags: tag_list(&snapshot.tags),
        ..Default::default()
    }
}

/// The snapshot of an image that is made of an instance with that root volume.
pub(crate) fn of_image(image: &Image, volume: Option<String>) -> Snapshot {
    Snapshot {
        id: image.snapshot.clone(),
        description: format!("Created by CreateImage({}) for {}", image.instance, image.id),
        volume,
        size: image.size,
        started: image.created,
        state: match image.state {
            ImageState::Pending => SnapshotState::Pending,
            ImageState::Available => SnapshotState::Completed,
        },
        tags: image.snapshot_tags.clone(),
    }
}

/// A snapshot is all there.
pub(crate) fn complete(tx: &mut Tx<'_>, id: &str) {
    tx.update::<Snapshot, _>(id, |snapshot| snapshot.state = SnapshotState::Completed);
}

/// Gives images that were stored when snapshots had no records of their own theirs.
pub(crate) fn adopt(tx: &mut Tx<'_>) {
    let view = tx.view();
    let lacks = |image: &Image| view.find::<Snapshot>(&image.snapshot).is_none();
    let images = view.everywhere::<Image>().filter(|(_, image)| lacks(image));
    let images: Vec<_> = images.map(|(scope, image)| (scope.clone(), image.clone())).collect();
    for (scope, image) in images {
        tx.within(&scope, |tx| {
            let volume = tx.get::<Instance>(&image.instance).map(|instance| instance.volume.clone());
            let volume = volume.filter(|volume| tx.get::<Volume>(volume).is_some());
            tx.put(of_image(&image, volume));
            tx.put(Image { snapshot_tags: Tags::new(), ..image });
        });
    }
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteSnapshotRequest) -> Answer<DeleteSnapshotOutput> {
    let id = &input.snapshot_id;
    Error::check_form(id, "snap-", "InvalidSnapshotID.Malformed")?;
    if tx.get::<Snapshot>(id).is_none() {
        return Err(Error::not_found(UNKNOWN.0, UNKNOWN.1, id).into());
    }
    if let Some(image) = tx.list::<Image>().find(|image| image.snapshot == *id) {
        let text = format!("The snapshot {id} is currently in use by {}", image.id);
        return Err(Error::Coded("InvalidSnapshot.InUse", text).into());
    }
    tx.remove::<Snapshot>(id);
    Ok(DeleteSnapshotOutput::default())
}
