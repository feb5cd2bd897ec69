//! Replaces a group's instances a few at a time; the group itself launches what then is missing.

use crate::activities;
use crate::configuration::Configuration;
use crate::controllers::groups;
use crate::mixed::Override;
use crate::model::{Group, GroupState, Lifecycle, Member, Process};
use crate::neighbours::{self, TemplateVersion};
use crate::refresh::{Exempt, Refresh, RefreshStatus, may_take};
use std::time::Duration;
use zonal_cloud::{Change, Controller, Record, Scope, Tx, View, Wake};
use zonal_wire::AwsError;

/// The controller; a key is a refresh's.
pub struct Refreshes;

impl Controller for Refreshes {
    fn name(&self) -> &'static str {
        "autoscaling.refreshes"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Refresh>() {
            wake(&change.scope, &change.key);
        } else if change.is::<Member>() || change.is::<Group>() {
            for refresh in view.list::<Refresh>().filter(|refresh| refresh.status.is_active()) {
                wake(&change.scope, refresh.key());
            }
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, refresh) in view.everywhere::<Refresh>().filter(|(_, refresh)| refresh.status.is_active()) {
            wake(scope, refresh.key());
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(refresh) = tx.get::<Refresh>(key).filter(|refresh| refresh.status.is_active()).cloned() else {
            return Ok(Wake::OnChange);
        };
        let group = tx.get::<Group>(&refresh.group).filter(|group| group.state == GroupState::Active).cloned();
        match group {
            None => end(tx, refresh, RefreshStatus::Cancelled, Some("The Auto Scaling group was deleted.".to_owned())),
            Some(_) if refresh.status == RefreshStatus::Cancelling => {
                end(tx, refresh, RefreshStatus::Cancelled, Some("Cancelled due to user request.".to_owned()));
            }
            Some(group) if refresh.status == RefreshStatus::Pending => begin(tx, &group, refresh),
            Some(group) => return go_on(tx, &group, refresh),
        }
        Ok(Wake::OnChange)
    }
}

fn end(tx: &mut Tx<'_>, mut refresh: Refresh, status: RefreshStatus, reason: Option<String>) {
    refresh.status = status;
    refresh.reason = reason;
    refresh.end = Some(tx.now);
    tx.put(refresh);
}

/// What an instance has that is as it should be.
struct Wanted {
    template: TemplateVersion,
    /// Its type; any where nobody says.
    kind: Option<String>,
    /// Its image; any where that is not known.
    image: Option<String>,
}

impl Wanted {
    fn fits(&self, member: &Member) -> bool {
        let number = self.template.number.to_string();
        member.template.as_ref().is_some_and(|own| own.id == self.template.id && own.version == number)
            && self.kind.as_ref().is_none_or(|kind| *kind == member.instance_type)
            && self.image.as_ref().is_none_or(|image| *image == member.image)
    }
}

/// All that an instance may be: what the template says with what each of the policy's overrides puts in its place. Their order decides
/// what is launched, not what may stay.
fn wanted(tx: &mut Tx<'_>, configuration: &Configuration) -> Result<Vec<Wanted>, AwsError> {
    let overrides = configuration.mixed.as_ref().map(|mixed| mixed.overrides.as_slice()).unwrap_or_default();
    let choices = if overrides.is_empty() { vec![None] } else { overrides.iter().map(Some).collect() };
    let of = |choice: Option<&Override>| {
        let own = choice.and_then(|choice| choice.template.as_ref()).unwrap_or(&configuration.template);
        let template = neighbours::template(tx, Some(&own.id), None, &own.version)?;
        let said = |member: &str| template.data[member].as_str().map(ToOwned::to_owned);
        // A template may name an image by a parameter, which was something else when the instance was launched.
        let image = said("ImageId").filter(|image| image.starts_with("ami-"));
        Ok(Wanted {
            kind: choice.and_then(|choice| choice.instance_type.clone()).or_else(|| said("InstanceType")),
            image: choice.and_then(|choice| choice.image.clone()).or(image),
            template,
        })
    };
    choices.into_iter().map(of).collect()
}

/// Finds out what is to be replaced.
fn begin(tx: &mut Tx<'_>, group: &Group, mut refresh: Refresh) {
    let configuration = refresh.configuration.clone().unwrap_or_else(|| group.configuration());
    let wanted = match wanted(tx, &configuration) {
        Ok(wanted) => wanted,
        // Asking again would change nothing: a template or its version is gone.
        Err(error) => {
            let reason = format!("The launch template cannot be used: {}", error.message);
            return end(tx, refresh, RefreshStatus::Failed, Some(reason));
        }
    };
    let replaced = |member: &&Member| {
        let matches = wanted.iter().any(|wanted| wanted.fits(member));
        let exempt = (member.protected && refresh.protected == Exempt::Ignore)
            || (member.state == Lifecycle::Standby && refresh.standby == Exempt::Ignore);
        !(member.state.is_terminating() || exempt || (refresh.skip_matching && matches))
    };
    let old = groups::of(&tx.view(), &group.name).filter(replaced).map(|member| member.id.clone()).collect();
    refresh.old = old;
    refresh.total = i32::try_from(refresh.old.len()).unwrap_or(i32::MAX);
    refresh.status = RefreshStatus::InProgress;
    tx.put(refresh);
}

fn go_on(tx: &mut Tx<'_>, group: &Group, mut refresh: Refresh) -> Result<Wake, AwsError> {
    let warmup =
        Duration::from_secs(u64::try_from(refresh.warmup.or(group.warmup).unwrap_or(group.grace)).unwrap_or(0));
    let members = groups::members(&tx.view(), &group.name);
    refresh.old.retain(|id| members.iter().any(|member| member.id == *id && !member.state.is_terminating()));
    let (mut serving, mut warm_at) = (0, None);
    for member in members.iter().filter(|member| member.state == Lifecycle::InService) {
        let until = member.in_service.map(|since| since + warmup);
        if refresh.old.contains(&member.id) || until.is_none_or(|until| until <= tx.now) {
            serving += 1;
        } else {
            warm_at = warm_at.into_iter().chain(until).min();
        }
    }
    let takes = |member: &&Member| {
        let exempt = (member.protected && refresh.protected != Exempt::Replace)
            || (member.state == Lifecycle::Standby && refresh.standby != Exempt::Replace);
        refresh.old.contains(&member.id) && !exempt
    };
    let mut candidates: Vec<Member> = members.iter().filter(takes).cloned().collect();
    candidates.sort_by_key(|member| (member.launched, member.id.clone()));
    let allowed =
        if group.does(Process::InstanceRefresh) && group.does(Process::Terminate) && group.does(Process::Launch) {
            usize::try_from(may_take(group.desired, serving, refresh.min_healthy)).unwrap_or(0)
        } else {
            0
        };
    for member in candidates.iter().take(allowed) {
        let cause =
            format!("At {} an instance was taken out of service in response to an instance refresh.", tx.now.iso8601());
        activities::begin_termination(tx, group, member, cause);
        refresh.old.remove(&member.id);
    }
    if refresh.old.is_empty() && serving >= group.desired && allowed.min(candidates.len()) == 0 {
        if let Some(configuration) = refresh.configuration.clone() {
            tx.update::<Group, _>(&group.name, |group| group.configure(configuration));
        }
        end(tx, refresh, RefreshStatus::Successful, None);
        return Ok(Wake::OnChange);
    }
    refresh.reason = Some(match warm_at {
        Some(_) => "Waiting for instances to warm up before continuing.".to_owned(),
        None if candidates.is_empty() && !refresh.old.is_empty() => {
            "Waiting for remaining instances to be available: they are protected from scale-in or in Standby."
                .to_owned()
        }
        None => "Waiting for instances to be replaced.".to_owned(),
    });
    tx.put(refresh);
    Ok(warm_at.map_or(Wake::OnChange, Wake::At))
}
