//! Where to launch, and what to terminate: pure functions of a group and its instances.
//!
//! Source: "Control which Auto Scaling instances terminate during scale in" in the Auto Scaling user guide.

use crate::model::{Group, Lifecycle, Member, Place};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use zonal_wire::Time;

/// How many instances that count each zone has; zones without any are there too.
pub fn by_zone<'a>(group: &'a Group, members: impl IntoIterator<Item = &'a Member>) -> BTreeMap<&'a str, usize> {
    let mut counts: BTreeMap<&str, usize> = group.zones().into_iter().map(|zone| (zone, 0)).collect();
    for member in members.into_iter().filter(|member| member.state.counts()) {
        *counts.entry(&member.zone).or_default() += 1;
    }
    counts
}

/// Whether launches in a zone failed lately.
pub fn is_failing(group: &Group, zone: &str, now: Time) -> bool {
    group.zone_failures.get(zone).is_some_and(|failure| failure.until > now)
}

/// The place for the next instance: of the zones where launches do not fail, the one with the fewest; there, the subnet with the fewest.
pub fn next_place<'a>(group: &'a Group, members: &[Member], now: Time) -> Option<&'a Place> {
    let counts = by_zone(group, members);
    let in_subnet = |place: &Place| {
        let own = |member: &&Member| member.state.counts() && Some(&member.subnet) == place.subnet.as_ref();
        members.iter().filter(own).count()
    };
    group
        .places
        .iter()
        .filter(|place| !is_failing(group, &place.zone, now))
        .min_by_key(|place| (counts.get(place.zone.as_str()).copied().unwrap_or(0), in_subnet(place)))
}

/// The zones to even out, (from, to): one has two instances or more than another where launches do not fail.
pub fn imbalance<'a>(
    group: &'a Group,
    members: impl IntoIterator<Item = &'a Member>,
    now: Time,
) -> Option<(&'a str, &'a str)> {
    let counts = by_zone(group, members);
    let most = counts.iter().max_by_key(|(zone, count)| (**count, Reverse(**zone)))?;
    let own = group.zones();
    let least = counts
        .iter()
        .filter(|(zone, _)| own.contains(**zone) && !is_failing(group, zone, now))
        .min_by_key(|(zone, count)| (**count, **zone))?;
    (most.1 >= &(least.1 + 2)).then_some((*most.0, *least.0))
}

/// The instance that scale-in takes next: of those that may be taken, in the zone with the most.
pub fn next_victim<'a>(group: &Group, members: &'a [Member]) -> Option<&'a Member> {
    let counts = by_zone(group, members);
    let candidates: Vec<&Member> = members.iter().filter(|member| member.state.counts() && !member.protected).collect();
    let most = candidates.iter().map(|member| counts.get(member.zone.as_str()).copied().unwrap_or(0)).max()?;
    let mut left: Vec<&Member> = candidates
        .into_iter()
        .filter(|member| counts.get(member.zone.as_str()).copied().unwrap_or(0) == most)
        .collect();
    // What does not serve yet goes before what does.
    if left.iter().any(|member| member.state != Lifecycle::InService) {
        left.retain(|member| member.state != Lifecycle::InService);
    }
    for policy in &group.termination_policies {
        narrow(&mut left, policy);
    }
    narrow(&mut left, "OldestInstance");
    left.first().copied()
}

fn narrow(left: &mut Vec<&Member>, policy: &str) {
    let keep_least = |left: &mut Vec<&Member>, of: fn(&Member) -> i64| {
        if let Some(least) = left.iter().map(|member| of(member)).min() {
            left.retain(|member| of(member) == least);
        }
    };
    match policy {
        // Versions of one template are in the order of their numbers.
        "OldestLaunchTemplate" | "OldestLaunchConfiguration" | "Default" => keep_least(left, |member| {
            member.template.as_ref().and_then(|template| template.version.parse().ok()).unwrap_or(0)
        }),
        "NewestInstance" => keep_least(left, |member| -member.launched.0),
        "OldestInstance" => {
            keep_least(left, |member| member.launched.0);
            left.sort_by(|a, b| a.id.cmp(&b.id));
        }
        // The next billing hour and allocation strategies tell no two of our instances apart.
        _ => {}
    }
}

/// The names of the termination policies that there are.
pub const TERMINATION_POLICIES: [&str; 7] = [
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
];
