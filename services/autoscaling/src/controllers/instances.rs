//! Drives an instance through its life: into service, out of it, and looks at its health in between.

use crate::activities;
use crate::controllers::groups;
use crate::model::{ActivityStatus, Group, GroupState, Health, Hook, Lifecycle, Member, Process, Transition, Waiting};
use crate::neighbours::{self, Instance, Standing};
use std::time::Duration;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake, ids};
use zonal_ec2::shapes::InstanceStateName;
use zonal_elbv2::shapes::TargetHealthStateEnum;
use zonal_wire::AwsError;

/// The controller's name, for waking it.
pub const NAME: &str = "autoscaling.instances";

/// How often a target that drains is asked after, should no change wake us.
const DRAIN_POLL: Duration = Duration::from_secs(15);
/// A hook waits at most so long, or a hundred times its timeout, whichever is less.
const LONGEST_HOOK: Duration = Duration::from_secs(48 * 3600);

/// The controller; a key is an instance's id.
pub struct Instances;

impl Controller for Instances {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        let known = |id: &str| view.get::<Member>(id).is_some();
        if change.is::<Member>() || (change.table == "ec2.instance" && known(&change.key)) {
            wake(&change.scope, &change.key);
        } else if change.table.starts_with("elbv2.target") {
            // Not our table: its keys name the target group, the instance, or both. What they name is looked at again.
            for part in change.key.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                if part.starts_with("i-") && known(part) {
                    wake(&change.scope, part);
                }
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, member) in view.everywhere::<Member>() {
            wake(scope, &member.id);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(member) = tx.get::<Member>(key).cloned() else { return Ok(Wake::OnChange) };
        let Some(group) = tx.get::<Group>(&member.group).cloned() else {
            tx.remove::<Member>(key);
            return Ok(Wake::OnChange);
        };
        if member.state == Lifecycle::InService {
            return serve(tx, &group, member);
        }
        let seen = neighbours::instance(tx, key)?;
        if member.state.is_pending() {
            come_in(tx, &group, member, seen.as_ref())
        } else if member.state.is_terminating() {
            go_out(tx, &group, member, seen.as_ref())
        } else {
            if seen.is_none_or(|instance| instance.is_gone()) {
                remove(tx, &member);
            }
            Ok(Wake::OnChange)
        }
    }
}

fn remove(tx: &mut Tx<'_>, member: &Member) {
    tx.remove::<Member>(&member.id);
    // The record that would lead to the group is gone: wake it by name.
    let now = tx.now;
    tx.wake(groups::NAME, &member.group, Wake::At(now));
}

/// Pending, through hooks, into service.
fn come_in(tx: &mut Tx<'_>, group: &Group, mut member: Member, seen: Option<&Instance>) -> Result<Wake, AwsError> {
    let lost = seen.is_none_or(Instance::is_lost);
    if lost {
        let reason = seen.map(|instance| instance.reason.clone()).filter(|reason| !reason.is_empty());
        let message = format!(
            "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: {}",
            reason.unwrap_or_else(|| "Server.InternalError".to_owned())
        );
        activities::end(tx, member.activity.as_deref(), ActivityStatus::Cancelled, Some(message));
        member.activity = None;
        tx.put(member.clone());
        let mut group = group.clone();
        groups::back_off(&mut group, &member.zone, tx.now);
        tx.put(group.clone());
        let cause = format!(
            "At {} an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.",
            tx.now.iso8601()
        );
        activities::begin_termination(tx, &group, &member, cause);
        return Ok(Wake::OnChange);
    }
    if !seen.is_some_and(Instance::is_running) {
        return Ok(Wake::OnChange);
    }
    if member.state == Lifecycle::Pending {
        member.waiting = wait_for(tx, group, Transition::Launching);
        member.state = if member.waiting.is_some() { Lifecycle::PendingWait } else { Lifecycle::PendingProceed };
        if member.waiting.is_some() {
            activities::progress(tx, member.activity.as_deref(), ActivityStatus::MidLifecycleAction, 40);
        }
        tx.put(member.clone());
    }
    if member.state == Lifecycle::PendingWait {
        return Ok(waited(tx, group, member));
    }
    register(tx, group, &mut member)?;
    member.state = Lifecycle::InService;
    member.in_service = Some(tx.now);
    let activity = member.activity.take();
    activities::end(tx, activity.as_deref(), ActivityStatus::Successful, None);
    let now = tx.now;
    tx.update::<Group, _>(&group.name, |group| {
        group.scaled = Some(now);
        group.zone_failures.remove(&member.zone);
    });
    tx.put(member);
    Ok(Wake::OnChange)
}

/// Registers with target groups that the group has and the instance is not in, and leaves those that the group has no more.
fn register(tx: &mut Tx<'_>, group: &Group, member: &mut Member) -> Result<(), AwsError> {
    if !group.does(Process::AddToLoadBalancer) {
        return Ok(());
    }
    for arn in group.target_groups.iter().filter(|arn| !member.registered.contains(*arn)).cloned().collect::<Vec<_>>() {
        neighbours::register(tx, &arn, &member.id)?;
        member.registered.insert(arn);
    }
    for arn in member.registered.clone().iter().filter(|arn| !group.target_groups.contains(arn)) {
        neighbours::deregister(tx, arn, &member.id)?;
        member.registered.remove(arn);
    }
    Ok(())
}

/// In service: registered where it should be, and healthy or not.
fn serve(tx: &mut Tx<'_>, group: &Group, mut member: Member) -> Result<Wake, AwsError> {
    let standing = neighbours::standing(tx, &member.id)?;
    if standing != Standing::Lost {
        register(tx, group, &mut member)?;
    }
    let mut wake = Wake::OnChange;
    if group.does(Process::HealthCheck) && member.health == Health::Healthy {
        let grace = Duration::from_secs(u64::try_from(group.grace).unwrap_or(0));
        let graced = member.in_service.map(|since| since + grace).filter(|until| *until > tx.now);
        let why = if standing == Standing::Lost {
            Some("an EC2 health check indicating it has been terminated or stopped.".to_owned())
        } else if let Some(until) = graced {
            wake = Wake::At(until);
            None
        } else if standing == Standing::Impaired {
            Some("EC2 instance status checks failure.".to_owned())
        } else if group.checks_load_balancer() && fails_load_balancer(tx, &member)? {
            Some("an ELB system health check failure.".to_owned())
        } else {
            None
        };
        if let Some(why) = why {
            member.health = Health::Unhealthy(why);
        }
    }
    tx.put(member);
    Ok(wake)
}

fn fails_load_balancer(tx: &mut Tx<'_>, member: &Member) -> Result<bool, AwsError> {
    for arn in &member.registered {
        if neighbours::target_state(tx, arn, &member.id)? == Some(TargetHealthStateEnum::Unhealthy) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Out: off the load balancer, through hooks, terminated.
fn go_out(tx: &mut Tx<'_>, group: &Group, mut member: Member, seen: Option<&Instance>) -> Result<Wake, AwsError> {
    if seen.is_none_or(Instance::is_gone) {
        activities::end(tx, member.activity.as_deref(), ActivityStatus::Successful, None);
        let now = tx.now;
        tx.update::<Group, _>(&group.name, |group| group.scaled = Some(now));
        deregister(tx, &mut member)?;
        remove(tx, &member);
        return Ok(Wake::OnChange);
    }
    if member.state == Lifecycle::Terminating {
        deregister(tx, &mut member)?;
        let lost = seen.is_some_and(Instance::is_lost);
        // Nothing in flight is left on an instance that does not run, and a group that is deleted by force does not care.
        let hurried = lost || group.state == GroupState::Deleting;
        if !hurried && still_draining(tx, &mut member)? {
            activities::progress(tx, member.activity.as_deref(), ActivityStatus::WaitingForELBConnectionDraining, 40);
            tx.put(member);
            return Ok(Wake::At(tx.now + DRAIN_POLL));
        }
        member.waiting = wait_for(tx, group, Transition::Terminating);
        member.state =
            if member.waiting.is_some() { Lifecycle::TerminatingWait } else { Lifecycle::TerminatingProceed };
        let status =
            if member.waiting.is_some() { ActivityStatus::MidLifecycleAction } else { ActivityStatus::InProgress };
        activities::progress(tx, member.activity.as_deref(), status, 60);
        tx.put(member.clone());
    }
    if member.state == Lifecycle::TerminatingWait {
        return Ok(waited(tx, group, member));
    }
    if seen.is_some_and(|instance| instance.state != InstanceStateName::ShuttingDown) {
        neighbours::terminate(tx, &member.id)?;
    }
    Ok(Wake::OnChange)
}

/// Begins to leave every target group.
pub fn deregister(tx: &mut Tx<'_>, member: &mut Member) -> Result<(), AwsError> {
    for arn in std::mem::take(&mut member.registered) {
        neighbours::deregister(tx, &arn, &member.id)?;
        member.draining.insert(arn);
    }
    Ok(())
}

fn still_draining(tx: &mut Tx<'_>, member: &mut Member) -> Result<bool, AwsError> {
    for arn in member.draining.clone() {
        if neighbours::target_state(tx, &arn, &member.id)? != Some(TargetHealthStateEnum::Draining) {
            member.draining.remove(&arn);
        }
    }
    Ok(!member.draining.is_empty())
}

/// The wait for a group's hooks of that turn; `None` where it has none, or is being deleted: its lifecycle actions are deleted with it.
fn wait_for(tx: &mut Tx<'_>, group: &Group, transition: Transition) -> Option<Waiting> {
    if group.state == GroupState::Deleting {
        return None;
    }
    let hooks: Vec<Hook> =
        tx.list::<Hook>().filter(|hook| hook.group == group.name && hook.transition == transition).cloned().collect();
    let first = hooks.first()?;
    let timeout = Duration::from_secs(u64::try_from(first.timeout).unwrap_or(0));
    let (now, token) = (tx.now, ids::uuid(tx.chance()));
    Some(Waiting {
        hooks: hooks.iter().map(|hook| hook.name.clone()).collect(),
        token,
        deadline: now + timeout,
        limit: now + (timeout * 100).min(LONGEST_HOOK),
    })
}

/// At a hook: when its time is over, its default result is taken.
fn waited(tx: &mut Tx<'_>, group: &Group, member: Member) -> Wake {
    let Some(waiting) = &member.waiting else { return Wake::OnChange };
    if waiting.deadline > tx.now && group.state == GroupState::Active {
        return Wake::At(waiting.deadline);
    }
    let hook = waiting.hooks.first().and_then(|name| tx.get::<Hook>(&crate::model::pair(&group.name, name)));
    let goes_on = hook.is_none_or(|hook| hook.goes_on);
    complete(tx, group, member, goes_on);
    Wake::OnChange
}

/// Takes the result of the hook that an instance waits for, and goes on to the next hook or state.
pub fn complete(tx: &mut Tx<'_>, group: &Group, mut member: Member, goes_on: bool) {
    let Some(mut waiting) = member.waiting.take() else { return };
    if !goes_on && member.state == Lifecycle::PendingWait {
        let message = "Instance failed to complete user's Lifecycle Action: Lifecycle Action was abandoned".to_owned();
        activities::end(tx, member.activity.as_deref(), ActivityStatus::Failed, Some(message));
        member.activity = None;
        tx.put(member.clone());
        let cause = format!(
            "At {} an instance was taken out of service in response to a launch failure of a lifecycle action.",
            tx.now.iso8601()
        );
        activities::begin_termination(tx, group, &member, cause);
        return;
    }
    if !waiting.hooks.is_empty() {
        waiting.hooks.remove(0);
    }
    // Giving up while going out skips the hooks that are left.
    let next = waiting.hooks.first().filter(|_| goes_on).cloned();
    if let Some(hook) = next.and_then(|name| tx.get::<Hook>(&crate::model::pair(&group.name, &name)).cloned()) {
        let timeout = Duration::from_secs(u64::try_from(hook.timeout).unwrap_or(0));
        waiting.deadline = tx.now + timeout;
        waiting.limit = tx.now + (timeout * 100).min(LONGEST_HOOK);
        waiting.token = ids::uuid(tx.chance());
        member.waiting = Some(waiting);
    } else if member.state == Lifecycle::PendingWait {
        member.state = Lifecycle::PendingProceed;
    } else {
        member.state = Lifecycle::TerminatingProceed;
    }
    tx.put(member);
}
