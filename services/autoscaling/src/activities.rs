//! Activities: how they begin, go on and end.

use crate::model::{Activity, ActivityStatus, Group, Member};
use std::time::Duration;
use zonal_cloud::{Record, Tx, ids};

/// For how long AWS keeps them.
const KEPT: Duration = Duration::from_secs(42 * 86_400);

/// The JSON of an activity's `Details`.
pub fn details(subnet: Option<&str>, zone: &str) -> String {
    // Ids and zones have nothing to escape; AWS names the subnet first.
    match subnet {
        Some(subnet) => format!(r#"{{"Subnet ID":"{subnet}","Availability Zone":"{zone}"}}"#),
        None => format!(r#"{{"Availability Zone":"{zone}"}}"#),
    }
}

/// Begins an activity, and forgets those that are too old.
pub fn begin(tx: &mut Tx<'_>, group: &Group, description: String, cause: String, details: String) -> Activity {
    let oldest = tx.now - KEPT;
    // Activities are in the order of their time: this looks at those that are too old, and one more.
    let old: Vec<String> = tx.list::<Activity>().take_while(|a| a.start < oldest).map(|a| a.key().to_owned()).collect();
    for key in old {
        tx.remove::<Activity>(&key);
    }
    let id = ids::uuid(tx.chance());
    let (scope, now) = (tx.scope.clone(), tx.now);
    let mut activity = Activity::new(id, group, &scope, description, cause, now);
    activity.details = details;
    tx.put(activity.clone());
    activity
}

/// Whether the group does anything now: its activities that are not over are found without those that are, of 42 days.
pub fn is_busy(tx: &Tx<'_>, group: &Group) -> bool {
    tx.owned_by::<Activity>(&group.arn(&tx.scope)).next().is_some()
}

/// Where an activity has got to.
pub fn progress(tx: &mut Tx<'_>, key: Option<&str>, status: ActivityStatus, percent: i32) {
    if let Some(key) = key {
        tx.update::<Activity, _>(key, |activity| {
            activity.status = status;
            activity.progress = activity.progress.max(percent);
        });
    }
}

/// Ends an activity.
pub fn end(tx: &mut Tx<'_>, key: Option<&str>, status: ActivityStatus, message: Option<String>) {
    let now = tx.now;
    if let Some(key) = key {
        tx.update::<Activity, _>(key, |activity| {
            activity.status = status;
            activity.end = Some(now);
            activity.progress = 100;
            if let Some(message) = message {
                if !activity.description.contains("Status Reason") {
                    activity.description = format!("{}.  Status Reason: {message}", activity.description);
                }
                activity.message = Some(message.chars().take(255).collect());
            }
        });
    }
}

/// Begins a member's way out. `cause` is the whole text but for its times' "At …".
pub fn begin_termination(tx: &mut Tx<'_>, group: &Group, member: &Member, cause: String) -> Activity {
    let description = format!("Terminating EC2 instance: {}", member.id);
    let activity = begin(tx, group, description, cause, details(Some(&member.subnet), &member.zone));
    if member.state.is_pending() {
        end(tx, member.activity.as_deref(), ActivityStatus::Cancelled, None);
    }
    let key = activity.key().to_owned();
    tx.update::<Member, _>(&member.id, |member| {
        member.state = crate::model::Lifecycle::Terminating;
        member.activity = Some(key);
        member.waiting = None;
    });
    activity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ActivityStatus;

    #[test]
    fn activities_are_found_by_their_group_and_those_under_way_without_the_others() {
        let owners = Activity::OWNERS.expect("activities are found by their group");
        let open: Activity = serde_json::from_value(serde_json::json!({
            "key": "1", "id": "1", "group": "asg", "group_arn": "arn:aws:autoscaling:asg", "description": "", "cause": "", "start": 0,
            "end": null, "status": "PreInService", "message": null, "progress": 0, "details": "{}", "of_deleted_group": false,
        }))
        .expect("an activity as it is stored");
        assert_eq!(owners(&open), ["asg", "arn:aws:autoscaling:asg"]);
        for status in [ActivityStatus::Successful, ActivityStatus::Failed, ActivityStatus::Cancelled] {
            let mut over = open.clone();
            over.status = status;
            assert_eq!(owners(&over), ["asg"]);
        }
    }
}
