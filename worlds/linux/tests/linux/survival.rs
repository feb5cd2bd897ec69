//! What goes on when processes are killed, and what is left when all has been ended: nothing.

use crate::fixture::*;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use zonal_linux::supervise;
use zonal_substrate::*;

pub const TESTS: &[Test] = &[
    ("kills_at_random_instants_lose_no_ask", kills_at_random_instants_lose_no_ask),
    ("instances_outlive_warden_plane_and_daemon", instances_outlive_warden_plane_and_daemon),
    ("a_world_whose_holder_was_killed_comes_up_again_from_its_disks", a_world_whose_holder_was_killed_comes_up_again),
    ("what_a_killed_supervisor_left_running_is_replaced", what_a_killed_supervisor_left_running_is_replaced),
    ("down_ends_the_world_and_keeps_its_disks", down_ends_the_world_and_keeps_its_disks),
    ("a_warden_that_cannot_come_up_is_told_with_its_last_words", a_warden_that_cannot_come_up),
    ("what_the_holder_forks_ends_with_it_from_the_first_instant", what_the_holder_forks_ends_with_it),
    (
        "a_purge_leaves_nothing_even_after_everything_was_killed",
        a_purge_leaves_nothing_even_after_everything_was_killed,
    ),
];

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn holder(world: &Fixture) -> u32 {
    let text = std::fs::read_to_string(world.config.directory.join("holder.pid")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn web(world: &Fixture) -> Instance {
    let script = "#!/bin/sh\ncd /srv; date +%s.%N >index.html; nohup python3 -m http.server 80 >/dev/null 2>&1 &\n";
    Instance { user_data: script.into(), public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") }
}

fn instances_outlive_warden_plane_and_daemon() {
    let mut world = Fixture::new();
    world.ask(simple());
    world.instance(&web(&world));
    let first = until("an answer", || answers(world.public(10), 80));
    let body = |text: &str| text.lines().last().map(str::to_owned);
    // The daemon is dead: traffic goes on.
    world.world = None;
    assert_eq!(answers(world.public(10), 80).as_deref().and_then(body), body(&first));
    // The warden is dead: what stands goes on; another adopts it.
    let [warden, plane] = world.processes.as_ref().unwrap().ids();
    kill(warden.unwrap());
    assert_eq!(answers(world.public(10), 80).as_deref().and_then(body), body(&first));
    kill(plane.unwrap());
    until("new processes", || {
        world.processes.as_mut().unwrap().keep().unwrap();
        let [new_warden, new_plane] = world.processes.as_ref().unwrap().ids();
        (new_warden != warden && new_plane != plane).then_some(())
    });
    // The plane goes on from its own disk, with no daemon to tell it.
    let again = until("the plane's door", || {
        world.processes.as_mut().unwrap().keep().unwrap();
        answers(world.public(10), 80)
    });
    assert_eq!(body(&again), body(&first), "the same start of the same instance");
    world.connect();
    let inventory = world.world().inventory();
    assert_eq!(inventory.sandboxes["i-a"], (1, SandboxState::UserDataDone { exit: 0 }));
    assert_eq!((inventory.interfaces, inventory.networks), (vec!["eni-a".to_owned()], vec!["vpc-1".to_owned()]));
    // Asked again, as a daemon does at its start, nothing changes.
    world.ask(simple());
    world.instance(&web(&world));
    assert_eq!(answers(world.public(10), 80).as_deref().and_then(body), body(&first));
    world.ask(vec![group("sg-all", "vpc-1", vec![], vec![])]);
    until("a new rule to hold", || answers(world.public(10), 80).is_none().then_some(()));
}

/// The process that carries a sandbox's user namespace lives for a moment only: caught in it, and its holder killed.
fn what_the_holder_forks_ends_with_it() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let mut world = Fixture::new();
    world.ask(simple());
    let a = Instance::new("a", "10.0.1.10");
    world.instance(&a);
    let holder = holder(&world);
    let signal = |signal| kill(Pid::from_raw(holder.cast_signed()), signal).unwrap();
    let namespace = |pid: u32, kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    let ended = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    let stopped = || std::fs::read_to_string(format!("/proc/{holder}/stat")).unwrap().contains(") T ").then_some(());
    // One that was killed already, and has had no time to end, is no catch.
    let doomed = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let pending = |name: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
            mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(u64::MAX)
        };
        (pending("SigPnd:") | pending("ShdPnd:")) & (1 << (Signal::SIGKILL as u32 - 1)) != 0
    };
    let children = || -> BTreeSet<u32> {
        let text = std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children")).unwrap();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let own = (namespace(holder, "pid"), namespace(holder, "user"));
    let mut generation = 1;
    let carrier = until("a process that carries a user namespace", || {
        let mut known = children();
        world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation, force: true }]);
        generation += 1;
        world.ask(vec![Ask::StartSandbox(Box::new(Instance { generation, ..a.clone() }.sandbox()))]);
        let deadline = Instant::now() + Duration::from_millis(500);
        while Instant::now() < deadline {
            let new: Vec<u32> = children().difference(&known).copied().collect();
            let Some(new) = new.first() else { continue };
            signal(Signal::SIGSTOP);
            until("the holder to stand still", stopped);
            let carries = namespace(*new, "pid") == own.0 && namespace(*new, "user").is_some_and(|u| Some(u) != own.1);
            if carries && !doomed(*new) && !ended(*new) {
                return Some(*new);
            }
            signal(Signal::SIGCONT);
            known.insert(*new);
        }
        None
    });
    signal(Signal::SIGKILL);
    until("its end", || ended(carrier).then_some(()));
    world.world = None;
    supervise::down(&world.config).unwrap();
}

fn a_world_whose_holder_was_killed_comes_up_again() {
    let mut world = Fixture::new();
    world.ask(simple());
    let a = web(&world);
    world.instance(&a);
    until("an answer", || answers(world.public(10), 80));
    world.run("a", "echo kept >/srv/kept");
    kill(holder(&world));
    // Warden and plane end or start again as they find out; the daemon asks for all that should stand.
    world.reports.lock().unwrap().clear();
    // Nothing that waits for the warden is called here: it is this thread that starts it again.
    until("all that should stand, at a new holder", || {
        world.processes.as_mut().unwrap().keep().unwrap();
        let reports = world.reports.lock().unwrap();
        reports.iter().any(|report| matches!(report, Report::InterfaceReady { .. })).then_some(())
    });
    world.ask(vec![Ask::StartSandbox(Box::new(Instance { generation: 2, ..a }.sandbox()))]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    assert_eq!(world.run("a", "cat /srv/kept; ls /srv"), "kept\nindex.html\nkept\n");
    world.run("a", "cd /srv; nohup python3 -m http.server 80 >/dev/null 2>&1 &");
    until("the door into the new network", || {
        world.processes.as_mut().unwrap().keep().unwrap();
        answers(world.public(10), 80)
    });
}

fn what_a_killed_supervisor_left_running_is_replaced() {
    let mut world = Fixture::new();
    world.ask(simple());
    world.instance(&web(&world));
    until("an answer", || answers(world.public(10), 80));
    // As if killed: nobody ends its children.
    let old = world.processes.take().unwrap();
    let ids = old.ids();
    std::mem::forget(old);
    world.processes = Some(supervise::Processes::start(&world.config).unwrap());
    for pid in ids.into_iter().flatten() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
    until("an answer again", || answers(world.public(10), 80));
    assert_eq!(world.world().inventory().sandboxes["i-a"].0, 1);
}

fn a_warden_that_cannot_come_up() {
    let directory = std::path::PathBuf::from(format!("/tmp/zonal-test-{}-mute", std::process::id()));
    let mut config = zonal_linux::Config::new(directory, (65534, 65534));
    config.base = "/dev/null/base".into();
    let refused = supervise::Processes::start(&config).map(drop).unwrap_err().to_string();
    supervise::purge(&config).unwrap();
    for part in ["the warden ended with exit status: 1", "warden.log", "/dev/null"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
}

fn down_ends_the_world_and_keeps_its_disks() {
    let mut world = Fixture::new();
    world.ask(simple());
    let a = web(&world);
    world.instance(&a);
    world.run("a", "trap : TERM; echo kept >/srv/kept");
    world.world = None;
    supervise::down(&world.config).unwrap();
    world.processes.take().unwrap().stop();
    assert!(answers(world.public(10), 80).is_none());
    assert!(world.config.directory.join("disks/i-a/record.json").exists());
    world.processes = Some(supervise::Processes::start(&world.config).unwrap());
    world.connect();
    let inventory = world.world().inventory();
    assert!(matches!(inventory.sandboxes["i-a"], (1, SandboxState::Stopped(StopCause::WorldEnded))), "{inventory:?}");
    world.ask(simple());
    world.ask(vec![
        Ask::PutInterface(a.interface()),
        Ask::StartSandbox(Box::new(Instance { generation: 2, ..a }.sandbox())),
    ]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    assert_eq!(world.run("a", "cat /srv/kept"), "kept\n");
}

fn kills_at_random_instants_lose_no_ask() {
    const COUNT: u8 = 20;
    let mut world = Fixture::new();
    world.ask(simple());
    let mut chance: u32 = std::process::id();
    println!("seed {chance}");
    let mut below = move |most: u32| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (chance >> 16) % most
    };
    for number in 0..COUNT {
        let name: &'static str = Box::leak(format!("r{number}").into_boxed_str());
        let instance = Instance {
            user_data: format!("#!/bin/sh\necho run >>/root/runs\necho {number} >/root/number\n"),
            public: Some(world.public(100 + number)),
            groups: vec!["sg-web"],
            ..Instance::new(name, &format!("10.0.1.{}", 100 + number))
        };
        world.ask(vec![Ask::PutInterface(instance.interface()), Ask::StartSandbox(Box::new(instance.sandbox()))]);
        if number > 2 && below(3) == 0 {
            world.ask(vec![
                Ask::RemoveSandbox(format!("i-r{}", number - 2)),
                Ask::RemoveInterface(format!("eni-r{}", number - 2)),
            ]);
        }
        // The very purpose: an instant that nothing waits for.
        std::thread::sleep(std::time::Duration::from_micros(u64::from(below(40_000))));
        let [warden, plane] = world.processes.as_ref().unwrap().ids();
        let which = below(3);
        for (pid, hit) in [(warden, which != 1), (plane, which != 0)] {
            if hit {
                kill(pid.unwrap());
            }
        }
        until("processes anew", || {
            world.processes.as_mut().unwrap().keep().unwrap();
            let now = world.processes.as_ref().unwrap().ids();
            ((which == 1 || now[0] != warden) && (which == 0 || now[1] != plane)).then_some(())
        });
    }
    until("everything that should stand", || {
        world.processes.as_mut().unwrap().keep().unwrap();
        let inventory = world.world().inventory();
        let settled = inventory.sandboxes.values().all(|(_, state)| *state == SandboxState::UserDataDone { exit: 0 });
        (settled
            && inventory.sandboxes.len() == inventory.interfaces.len()
            && inventory.sandboxes.contains_key("i-r19"))
        .then_some(())
    });
    let inventory = world.world().inventory();
    assert!(inventory.sandboxes.len() > 5, "{inventory:?}");
    for id in inventory.sandboxes.keys() {
        let name: &'static str = Box::leak(id.trim_start_matches("i-").to_owned().into_boxed_str());
        assert_eq!(world.run(name, "cat /root/runs"), "run\n", "{id}");
    }
    // A start asked once more may come after its own removal. The plane may say that a door could not be opened while the warden was
    // away; it tries again by itself.
    for report in world.reports.lock().unwrap().iter() {
        if let Report::Failed { id, .. } = report {
            assert!(id.starts_with("127.") || !inventory.sandboxes.contains_key(id), "{report:?}");
        }
    }
}

/// All that a world could leave behind, found by its directory's path or its control group.
fn traces(world: &Fixture) -> BTreeSet<String> {
    let directory = world.config.directory.to_str().unwrap().to_owned();
    let script = format!(
        "ls -d {directory} 2>/dev/null; grep {directory} /proc/mounts; grep -l {directory} /proc/[0-9]*/mountinfo 2>/dev/null\n\
         for p in /proc/[0-9]*; do readlink $p/cwd $p/exe 2>/dev/null | grep {directory}; done\n\
         grep -l {directory} /proc/[0-9]*/cmdline 2>/dev/null; grep -a {directory} /proc/net/unix\n\
         cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep {directory}\n\
         find /sys/fs/cgroup -type d -name {group}",
        group = world.config.cgroup()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let own = format!("/proc/{}/", std::process::id());
    // The search itself, and this process, speak of the directory too.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !(line.starts_with(&own) || line.ends_with("/cmdline")) || line.contains("mountinfo"))
        .map(str::to_owned)
        .collect()
}

fn a_purge_leaves_nothing_even_after_everything_was_killed() {
    let mut world = Fixture::new();
    world.ask(simple());
    world.instance(&web(&world));
    world.instance(&Instance::new("b", "10.0.1.11"));
    assert!(traces(&world).len() > 4, "the search finds what is there: {:?}", traces(&world));
    for pid in world.processes.as_ref().unwrap().ids().into_iter().flatten().chain([holder(&world)]) {
        kill(pid);
    }
    world.world = None;
    world.processes.take().unwrap().stop();
    supervise::purge(&world.config).unwrap();
    until("nothing to be left", || traces(&world).is_empty().then_some(()));
    supervise::purge(&world.config).unwrap();
}
