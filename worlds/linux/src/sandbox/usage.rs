//! What a sandbox has used of the processor, where no control group counts it: the sum over its processes, to a hundredth of a second.

use std::collections::BTreeMap;
use std::fs;

/// A process: its parent, and the ticks that it and its ended children have used.
type Process = (i32, u64);

/// Nanoseconds of processor time of each of these first processes with all that descends from them. What has ended counts as long as its
/// parent waited for it, as every init does.
pub(crate) fn processor_time(first: &[i32]) -> BTreeMap<i32, u64> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all = numbers.filter_map(|pid| Some((pid, parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)));
    let ticks_per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let tick = 1_000_000_000 / ticks_per_second.max(1).unsigned_abs();
    sums(&all.collect(), first).into_iter().map(|(pid, ticks)| (pid, ticks * tick)).collect()
}

/// What the kernel tells of a process.
fn parse(stat: &str) -> Option<Process> {
    // The name in parentheses may hold anything; the fourth field is the second after it.
    let (_, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some((fields.get(1)?.parse().ok()?, times))
}

fn sums(all: &BTreeMap<i32, Process>, first: &[i32]) -> BTreeMap<i32, u64> {
    let mut sums: BTreeMap<i32, u64> = first.iter().filter(|pid| all.contains_key(pid)).map(|pid| (*pid, 0)).collect();
    for (pid, (_, ticks)) in all {
        let mut ancestor = *pid;
        // A chain of parents is no longer than there are processes, unless it changed while we looked.
        for _ in 0..all.len() {
            if let Some(sum) = sums.get_mut(&ancestor) {
                *sum += ticks;
                break;
            }
            match all.get(&ancestor) {
                Some((parent, _)) => ancestor = *parent,
                None => break,
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        let stat = "77 (a) b (c) S 12 77 77 0 -1 4194560 100 0 0 0 5 6 70 800 20 0 1 0 99 0 0";
        assert_eq!(parse(stat), Some((12, 881)));
        assert_eq!(parse("77 (a) S 1"), None);
    }

    #[test]
    fn times_are_summed_below_each_first_process() {
        let all =
            BTreeMap::from([(1, (0, 9)), (10, (1, 1)), (11, (10, 2)), (12, (11, 4)), (20, (1, 8)), (21, (20, 16))]);
        assert_eq!(sums(&all, &[10, 20, 30]), BTreeMap::from([(10, 7), (20, 24)]));
    }
}
