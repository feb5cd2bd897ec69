//! The operations, one file per noun.

pub mod absent;
pub mod activities;
pub mod capacity;
pub mod create_group;
pub mod execute;
pub mod groups;
pub mod hooks;
pub mod instances;
pub mod metrics;
pub mod policies;
pub mod processes;
pub mod refreshes;
pub mod schedules;
pub mod standby;
pub mod tags;
pub mod target_groups;

use crate::errors::Error;
use crate::model::{Group, GroupState, Member};
use zonal_cloud::View;
use zonal_cloud::pages::page;

/// The group of that name.
pub fn group(view: &View<'_>, name: &str) -> Result<Group, Error> {
    view.get::<Group>(name).cloned().ok_or_else(|| Error::no_group(name))
}

/// The same, if it is there to stay.
pub fn active_group(view: &View<'_>, name: &str) -> Result<Group, Error> {
    let group = group(view, name)?;
    match group.state {
        GroupState::Active => Ok(group),
        GroupState::Deleting => Err(Error::Validation(format!("AutoScalingGroup '{name}' is pending delete."))),
    }
}

/// Instances of a group, by their ids.
pub fn members_of(view: &View<'_>, group: &str, ids: &[String]) -> Result<Vec<Member>, Error> {
    ids.iter()
        .map(|id| {
            view.get::<Member>(id).filter(|member| member.group == group).cloned().ok_or_else(|| {
                Error::Validation(format!("The instance {id} is not part of Auto Scaling group {group}."))
            })
        })
        .collect()
}

/// A page, of 50 where the request does not say, and of 100 at most.
pub fn paged<T>(
    items: impl IntoIterator<Item = (String, T)>,
    token: Option<&str>,
    limit: Option<i32>,
) -> Result<(Vec<T>, Option<String>), Error> {
    let limit = limit.map_or(50, |limit| usize::try_from(limit).unwrap_or(0).clamp(1, 100));
    page(items, token, Some(limit)).map_err(|_| Error::NextToken)
}
