//! Drives a group towards its desired capacity, evenly over its zones, and a deleted group towards nothing.

use crate::activities;
use crate::balance;
use crate::mixed::Override;
use crate::model::{
    Activity, ActivityStatus, Group, GroupState, Health, Hook, Lifecycle, Member, Place, Process, Template, ZoneFailure,
};
use crate::neighbours::{self, Launch, TemplateVersion};
use crate::policy::Policy;
use crate::refresh::{self, Refresh};
use crate::schedule::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// The controller's name, for waking it.
pub const NAME: &str = "autoscaling.groups";

/// At most so many launches in one step, so that no transaction grows without bound; the next step follows at once.
const LAUNCHES_PER_STEP: usize = 20;
/// After a failed launch the zone is left alone for this long, twice as long each time, up to the most.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The controller; a key is a group's name.
pub struct Groups;

impl Controller for Groups {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Group>() {
            wake(&change.scope, &change.key);
        } else if change.is::<Member>()
            && let Some(member) = view.get::<Member>(&change.key)
        {
            wake(&change.scope, &member.group);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, group) in view.everywhere::<Group>() {
            wake(scope, &group.name);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(group) = tx.get::<Group>(key).cloned() else { return Ok(Wake::OnChange) };
        if group.state == GroupState::Deleting {
            return delete(tx, &group);
        }
        let replaced = replace_unhealthy(tx, &group);
        let rebalancing = still_rebalancing(tx, &group);
        let actual = count(of(&tx.view(), key));
        let desired = group.desired + i32::from(rebalancing);
        if actual < desired {
            return launch(tx, &group, Reason::Capacity { replaced, rebalancing });
        }
        if actual > desired {
            shrink(tx, &group);
            return Ok(Wake::OnChange);
        }
        if group.cause.is_some() {
            tx.update::<Group, _>(key, |group| group.cause = None);
        }
        rebalance(tx, &group)
    }
}

/// A group's instances.
pub fn of<'a>(view: &View<'a>, group: &str) -> impl Iterator<Item = &'a Member> {
    view.owned_by(group)
}

/// The same, to change.
pub fn members(view: &View<'_>, group: &str) -> Vec<Member> {
    of(view, group).cloned().collect()
}

/// How many count towards the desired capacity.
pub fn count<'a>(members: impl IntoIterator<Item = &'a Member>) -> i32 {
    // A group has thousands at most.
    members.into_iter().filter(|member| member.state.counts()).count() as i32
}

fn replace_unhealthy(tx: &mut Tx<'_>, group: &Group) -> usize {
    if !group.does(Process::ReplaceUnhealthy) || !group.does(Process::Terminate) {
        return 0;
    }
    let unhealthy = |member: &&Member| member.state == Lifecycle::InService && member.health != Health::Healthy;
    let unhealthy: Vec<Member> = of(&tx.view(), &group.name).filter(unhealthy).cloned().collect();
    for member in &unhealthy {
        if let Health::Unhealthy(why) = &member.health {
            let cause = format!("At {} an instance was taken out of service in response to {why}", tx.now.iso8601());
            activities::begin_termination(tx, group, member, cause);
        }
    }
    unhealthy.len()
}

/// Whether the instance that evens out the zones is still on its way: until it serves, the group has one more than desired.
fn still_rebalancing(tx: &mut Tx<'_>, group: &Group) -> bool {
    let Some(id) = &group.rebalancing else { return false };
    let on_its_way = tx.get::<Member>(id).is_some_and(|member| member.state.is_pending());
    if !on_its_way {
        tx.update::<Group, _>(&group.name, |group| group.rebalancing = None);
    }
    on_its_way
}

/// Why instances are launched.
enum Reason {
    Capacity { replaced: usize, rebalancing: bool },
    Balance { from: String, to: String },
}

fn launch(tx: &mut Tx<'_>, group: &Group, reason: Reason) -> Result<Wake, AwsError> {
    if !group.does(Process::Launch) {
        return Ok(Wake::OnChange);
    }
    let mut members = members(&tx.view(), &group.name);
    let actual = count(&members);
    let (wanted, replaced) = match &reason {
        Reason::Capacity { replaced, rebalancing } => (group.desired + i32::from(*rebalancing), *replaced),
        Reason::Balance { .. } => (actual + 1, 0),
    };
    let configuration = refresh::configuration(&tx.view(), group);
    let own = configuration.launch_template();
    let template = neighbours::template(tx, Some(&own.id), None, &own.version);
    let mut group = group.clone();
    let missing = usize::try_from(wanted - actual).unwrap_or(0);
    let mut launched = 0;
    while launched < missing.min(LAUNCHES_PER_STEP) {
        let Some(place) = balance::next_place(&group, &members, tx.now).cloned() else {
            let again =
                group.places.iter().filter_map(|place| group.zone_failures.get(&place.zone)).map(|f| f.until).min();
            tx.put(group);
            return Ok(again.map_or(Wake::OnChange, Wake::At));
        };
        let now = tx.now.iso8601();
        let cause = match &reason {
            Reason::Balance { from, to } => format!(
                "At {now} instances were launched to balance instances in zones {to} with other zones resulting in more than desired \
                 number of instances in the group.  At {now} an instance was started in response to a difference between zone {from} and \
                 zone {to}."
            ),
            Reason::Capacity { .. } if launched < replaced => {
                format!(
                    "At {now} an instance was launched in response to an unhealthy instance needing to be replaced."
                )
            }
            Reason::Capacity { .. } => format!(
                "{}At {now} an instance was started in response to a difference between desired and actual capacity, increasing the \
                 capacity from {actual} to {wanted}.",
                group.cause.as_ref().map(|cause| format!("{cause}  ")).unwrap_or_default()
            ),
        };
        let result = template
            .clone()
            .and_then(|template| launch_one(tx, &group, &place, &template, configuration.choice(), cause.clone()));
        match result {
            Ok(member) => {
                if matches!(reason, Reason::Balance { .. }) {
                    group.rebalancing = Some(member.id.clone());
                }
                members.push(member);
                launched += 1;
            }
            Err(error) => {
                failed(tx, &group, &place, cause, &error);
                back_off(&mut group, &place.zone, tx.now);
            }
        }
    }
    tx.put(group);
    Ok(if launched < missing { Wake::At(tx.now) } else { Wake::OnChange })
}

fn launch_one(
    tx: &mut Tx<'_>,
    group: &Group,
    place: &Place,
    template: &TemplateVersion,
    choice: Option<&Override>,
    cause: String,
) -> Result<Member, AwsError> {
    tx.attempt(|tx| {
        let details = activities::details(place.subnet.as_deref(), &place.zone);
        let activity = activities::begin(tx, group, "Launching a new EC2 instance".to_owned(), cause, details);
        let mut tags: BTreeMap<String, String> = group
            .tags
            .iter()
            .filter(|(_, tag)| tag.propagate)
            .map(|(key, tag)| (key.clone(), tag.value.clone()))
            .collect();
        tags.insert("aws:autoscaling:groupName".to_owned(), group.name.clone());
        let token = activity.id.clone();
        let instance = neighbours::launch(tx, &Launch { template, choice, place, tags, token })?;
        tx.update::<Activity, _>(activity.key(), |activity| {
            activity.description = format!("Launching a new EC2 instance: {}", instance.id);
            activity.status = ActivityStatus::PreInService;
            activity.progress = 30;
        });
        let member = Member {
            id: instance.id,
            group: group.name.clone(),
            zone: place.zone.clone(),
            subnet: instance.subnet,
            instance_type: instance.instance_type,
            image: instance.image,
            template: Some(Template {
                id: template.id.clone(),
                name: template.name.clone(),
                version: template.number.to_string(),
            }),
            state: Lifecycle::Pending,
            health: Health::Healthy,
            protected: group.protect_new,
            launched: tx.now,
            in_service: None,
            activity: Some(activity.key().to_owned()),
            registered: BTreeSet::new(),
            draining: BTreeSet::new(),
            waiting: None,
        };
        tx.put(member.clone());
        Ok(member)
    })
}

fn failed(tx: &mut Tx<'_>, group: &Group, place: &Place, cause: String, error: &AwsError) {
    let details = activities::details(place.subnet.as_deref(), &place.zone);
    let activity = activities::begin(tx, group, "Launching a new EC2 instance".to_owned(), cause, details);
    let message = format!("{} Launching EC2 instance failed.", error.message);
    activities::end(tx, Some(activity.key()), ActivityStatus::Failed, Some(message));
}

/// Leaves a zone alone for a while.
pub fn back_off(group: &mut Group, zone: &str, now: zonal_wire::Time) {
    let failure = group.zone_failures.entry(zone.to_owned()).or_insert(ZoneFailure { count: 0, until: now });
    failure.count = (failure.count + 1).min(10);
    failure.until = now + (FIRST_PAUSE * (1 << (failure.count - 1))).min(LONGEST_PAUSE);
}

fn shrink(tx: &mut Tx<'_>, group: &Group) {
    if !group.does(Process::Terminate) {
        return;
    }
    let mut members = members(&tx.view(), &group.name);
    let actual = count(&members);
    for _ in group.desired..actual {
        let Some(victim) = balance::next_victim(group, &members).cloned() else { return };
        let now = tx.now.iso8601();
        let cause = format!(
            "{}At {now} an instance was taken out of service in response to a difference between desired and actual capacity, shrinking \
             the capacity from {actual} to {}.  At {now} instance {} was selected for termination.",
            group.cause.as_ref().map(|cause| format!("{cause}  ")).unwrap_or_default(),
            group.desired,
            victim.id,
        );
        activities::begin_termination(tx, group, &victim, cause);
        members.retain(|member| member.id != victim.id);
    }
}

/// Evens out the zones: launches where there are the fewest first; what is then too much is taken where there are the most.
fn rebalance(tx: &mut Tx<'_>, group: &Group) -> Result<Wake, AwsError> {
    // A zone that was failing is tried again as soon as it may be, so that the group does not stay lopsided.
    let again = group.zone_failures.values().map(|failure| failure.until).filter(|until| *until > tx.now).min();
    let wake = again.map_or(Wake::OnChange, Wake::At);
    let view = tx.view();
    let settled =
        of(&view, &group.name).all(|member| matches!(member.state, Lifecycle::InService | Lifecycle::Standby));
    if !settled || !group.does(Process::AZRebalance) || !group.does(Process::Terminate) {
        return Ok(wake);
    }
    let uneven = balance::imbalance(group, of(&view, &group.name), tx.now);
    let Some((from, to)) = uneven.map(|(from, to)| (from.to_owned(), to.to_owned())) else { return Ok(wake) };
    Ok(launch(tx, group, Reason::Balance { from, to })?.or(wake))
}

fn delete(tx: &mut Tx<'_>, group: &Group) -> Result<Wake, AwsError> {
    let members = members(&tx.view(), &group.name);
    let actual = count(&members);
    for member in members.iter().filter(|member| !member.state.is_terminating()) {
        let now = tx.now.iso8601();
        let cause = format!(
            "{}At {now} an instance was taken out of service in response to a difference between desired and actual capacity, shrinking \
             the capacity from {actual} to 0.  At {now} instance {} was selected for termination.",
            group.cause.as_ref().map(|cause| format!("{cause}  ")).unwrap_or_default(),
            member.id,
        );
        activities::begin_termination(tx, group, member, cause);
    }
    if !members.is_empty() {
        // Those that wait, for draining or a hook, need not any more.
        let now = tx.now;
        for member in members.iter().filter(|member| member.state != Lifecycle::TerminatingProceed) {
            tx.wake(super::instances::NAME, &member.id, Wake::At(now));
        }
        return Ok(Wake::OnChange);
    }
    remove_whats_of(tx, &group.name)?;
    tx.remove::<Group>(&group.name);
    Ok(Wake::OnChange)
}

/// Removes what belongs to a group; its activities stay, as a deleted group's.
fn remove_whats_of(tx: &mut Tx<'_>, group: &str) -> Result<(), AwsError> {
    let policies: Vec<Policy> = tx.list::<Policy>().filter(|policy| policy.group == group).cloned().collect();
    for policy in policies {
        neighbours::delete_alarms(tx, &policy.alarms)?;
        tx.remove::<Policy>(policy.key());
    }
    let hooks: Vec<String> =
        tx.list::<Hook>().filter(|hook| hook.group == group).map(|hook| hook.key().to_owned()).collect();
    for key in hooks {
        tx.remove::<Hook>(&key);
    }
    let schedules: Vec<String> =
        tx.list::<Schedule>().filter(|s| s.group == group).map(|s| s.key().to_owned()).collect();
    for key in schedules {
        tx.remove::<Schedule>(&key);
    }
    let refreshes: Vec<String> =
        tx.list::<Refresh>().filter(|r| r.group == group).map(|r| r.key().to_owned()).collect();
    for key in refreshes {
        tx.remove::<Refresh>(&key);
    }
    let activities: Vec<String> = tx.owned_by::<Activity>(group).map(|activity| activity.key().to_owned()).collect();
    for key in activities {
        tx.update::<Activity, _>(&key, |activity| activity.of_deleted_group = true);
    }
    Ok(())
}
