//! What sandboxes use: the warden's counters, made into shares and differences.

use super::Listener;
use crate::warden::link::Link;
use crate::warden::request::{Reply, Request, Usage};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use zonal_substrate::{Report, SandboxFigures};

/// Reports figures for ever.
pub(super) fn run(link: &Link, every: Duration, tell: &Listener) {
    let mut last: BTreeMap<String, (Usage, Instant)> = BTreeMap::new();
    loop {
        std::thread::sleep(every);
        let Ok((Reply::Figures(usages), _)) = link.ask(&Request::Figures, &[]) else { continue };
        let now = Instant::now();
        let mut figures = Vec::new();
        let mut next = BTreeMap::new();
        for usage in usages {
            if let Some((before, at)) = last.get(&usage.id) {
                figures.push(between(before, &usage, now.duration_since(*at)));
            }
            next.insert(usage.id.clone(), (usage, now));
        }
        last = next;
        if !figures.is_empty() {
            tell(Report::SandboxFigures(figures));
        }
    }
}

/// What was used between two looks.
fn between(before: &Usage, after: &Usage, span: Duration) -> SandboxFigures {
    let grown = |after: u64, before: u64| after.saturating_sub(before);
    let allowed = after.quota * span.as_secs_f64();
    let share = if allowed > 0.0 { grown(after.cpu, before.cpu) as f64 / allowed * 100.0 } else { 0.0 };
    SandboxFigures {
        id: after.id.clone(),
        // A period of the quota may straddle the look.
        cpu_percent: share.clamp(0.0, 100.0),
        network_in: grown(after.bytes.0, before.bytes.0),
        network_out: grown(after.bytes.1, before.bytes.1),
        packets_in: grown(after.packets.0, before.packets.0),
        packets_out: grown(after.packets.1, before.packets.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_relative_to_the_quota_and_bytes_are_differences() {
        let before = Usage { id: "i-1".into(), cpu: 1_000_000_000, quota: 1e8, bytes: (10, 20), packets: (1, 2) };
        let after = Usage { cpu: 1_050_000_000, bytes: (110, 25), packets: (3, 2), ..before.clone() };
        let figures = between(&before, &after, Duration::from_secs(1));
        assert!((figures.cpu_percent - 50.0).abs() < 1e-6);
        assert_eq!((figures.network_in, figures.network_out, figures.packets_in), (100, 5, 2));
    }
}
