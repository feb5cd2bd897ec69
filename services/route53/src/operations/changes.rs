//! What became of changes. Source: Route 53 API reference, `GetChange`.

use super::{plain_id, seen_globally, shown_change};
use crate::errors::Error;
use crate::model::{Change, ChangeStatus};
use crate::shapes::{GetChangeRequest, GetChangeResponse};
use zonal_cloud::View;
use zonal_wire::AwsError;

/// `GetChange`
pub fn get(view: &View<'_>, input: &GetChangeRequest) -> Result<GetChangeResponse, AwsError> {
    let id = plain_id(&input.id);
    seen_globally(view, |view| {
        let change = view.get::<Change>(id).ok_or_else(|| Error::NoSuchChange(id.to_owned()))?;
        Ok(GetChangeResponse { change_info: shown_change(change) })
    })
}

/// Whether the change is pending.
pub fn unsettled(view: &View<'_>, input: &GetChangeRequest) -> bool {
    let pending = |change: &Change| change.status == ChangeStatus::Pending;
    seen_globally(view, |view| view.get::<Change>(plain_id(&input.id)).is_some_and(pending))
}
