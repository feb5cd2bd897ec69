//! Instances through their lives: boot, user data, services, reboot, stop, start, image, end.

use crate::fixture::*;
use std::time::{Duration, Instant};
use zonal_substrate::*;

pub const TESTS: &[Test] = &[
    ("user_data_runs_once_and_its_output_is_kept", user_data_runs_once_and_its_output_is_kept),
    ("a_start_that_fails_keeps_console_and_state_of_the_one_before", a_start_that_fails_keeps),
    ("a_world_behind_a_link_has_our_program_in_its_instances", a_world_behind_a_link),
    ("an_instance_that_powers_off_is_stopped_by_itself", an_instance_that_powers_off_is_stopped_by_itself),
    ("whatever_those_inside_do_to_their_first_process_an_instance_stops", whatever_those_inside_do),
    ("a_shutdown_comes_at_its_time_or_is_cancelled", a_shutdown_comes_at_its_time_or_is_cancelled),
    ("programs_inside_can_wait_for_the_end_of_user_data", programs_inside_can_wait_for_the_end_of_user_data),
    ("a_service_is_kept_running_and_starts_at_each_boot", a_service_is_kept_running_and_starts_at_each_boot),
    ("an_image_is_one_more_layer", an_image_is_one_more_layer),
    ("where_owners_cannot_be_mapped_all_instances_have_the_same_ids", where_owners_cannot_be_mapped),
    ("a_cut_zone_is_dead_and_silent_until_it_is_joined", a_cut_zone_is_dead_and_silent_until_it_is_joined),
    ("what_is_on_its_way_when_its_zone_is_cut_dies_with_it", what_is_on_its_way_when_its_zone_is_cut_dies),
    (
        "a_dead_machine_answers_nobody_and_a_living_one_refuses_what_it_does_not_serve",
        a_dead_machine_answers_nobody_and_a_living_one_refuses_what_it_does_not_serve,
    ),
    ("a_wide_range_of_ports_opens_as_something_listens", a_wide_range_of_ports_opens_as_something_listens),
    ("from_the_call_to_the_first_line_of_user_data_takes_milliseconds", launch_takes_milliseconds),
];

fn again(instance: &Instance, generation: u64) -> Ask {
    Ask::StartSandbox(Box::new(Instance { generation, ..instance.clone() }.sandbox()))
}

fn user_data_runs_once_and_its_output_is_kept() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance {
        user_data: "#!/bin/bash\necho to-output; echo to-errors >&2; echo run >>/root/runs; exit 3\n".into(),
        ..Instance::new("a", "10.0.1.10")
    };
    world.ask(vec![Ask::PutInterface(a.interface()), again(&a, 1)]);
    world.await_state("i-a", |state| *state == SandboxState::UserDataDone { exit: 3 });
    let console = world.console("i-a");
    assert!(console.contains("to-output") && console.contains("to-errors"), "{console}");
    assert!(world.run("a", "cat /var/log/cloud-init-output.log").contains("to-errors"));
    // The same start asked again is nothing; a later one is a reboot.
    world.ask(vec![again(&a, 1), again(&a, 2)]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    assert_eq!(world.run("a", "cat /root/runs; hostname"), "run\nip-10-0-1-10.ec2.internal\n");
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation: 1, force: true }]);
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation: 2, force: false }]);
    world.await_state("i-a", |state| *state == SandboxState::Stopped(StopCause::Asked));
    assert_eq!(world.world().inventory().sandboxes["i-a"], (2, SandboxState::Stopped(StopCause::Asked)));
    world.ask(vec![again(&a, 3)]);
    world.hear("the third start", |report| {
        matches!(report, Report::Sandbox { generation: 3, state: SandboxState::Running, .. })
    });
    assert_eq!(world.run("a", "cat /root/runs"), "run\n");
    world.ask(vec![Ask::CrashSandbox { id: "i-a".into(), generation: 3 }]);
    world.await_state("i-a", |state| matches!(state, SandboxState::Stopped(StopCause::Died(_))));
    world.ask(vec![Ask::RemoveSandbox("i-a".into()), Ask::RemoveInterface("eni-a".into())]);
    world.hear("its end", |report| *report == Report::SandboxRemoved("i-a".into()));
    world.hear("its interface's end", |report| *report == Report::InterfaceRemoved("eni-a".into()));
    assert!(!world.config.directory.join("disks/i-a").exists());
    let console = world.console("i-a");
    assert!(console.contains("to-output"), "its console outlives it: {console}");
}

fn a_start_that_fails_keeps() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance { user_data: "#!/bin/sh\necho said-before\n".into(), ..Instance::new("a", "10.0.1.10") };
    world.instance(&a);
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation: 1, force: true }]);
    world.await_state("i-a", |state| matches!(state, SandboxState::Stopped(_)));
    // Where its facts would be written there is no directory.
    let facts = world.within_holder("run/machines");
    let away = facts.with_extension("away");
    std::fs::rename(&facts, &away).unwrap();
    std::fs::write(&facts, "").unwrap();
    world.ask(vec![again(&a, 2)]);
    world.await_state("i-a", |state| matches!(state, SandboxState::Stopped(StopCause::NotStarted { .. })));
    assert!(world.console("i-a").contains("said-before"));
    assert_eq!(world.world().inventory().sandboxes["i-a"], (1, SandboxState::Stopped(StopCause::Asked)));
    std::fs::remove_file(&facts).unwrap();
    std::fs::rename(&away, &facts).unwrap();
    world.ask(vec![again(&a, 2)]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    until("both", || world.console("i-a").matches("boots").nth(1).map(drop));
    assert!(world.console("i-a").contains("said-before"));
}

/// Where homes are elsewhere, and a link leads there.
fn a_world_behind_a_link() {
    let real = std::path::PathBuf::from(format!("/tmp/zonal-test-{}-behind", std::process::id()));
    std::fs::create_dir(&real).unwrap();
    let link = real.with_extension("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    {
        let world = Fixture::with(|config| config.directory.clone_from(&link));
        world.ask(simple());
        world.instance(&Instance::new("a", "10.0.1.10"));
        assert_eq!(world.run("a", "test -s /usr/lib/zonal/guest && systemctl is-active nothing"), "inactive\n");
    }
    assert!(link.is_symlink() && real.read_dir().unwrap().next().is_none(), "purged is empty");
    std::fs::remove_file(link).unwrap();
    std::fs::remove_dir(real).unwrap();
}

fn an_instance_that_powers_off_is_stopped_by_itself() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("a", "10.0.1.10"));
    world.run("a", "touch /root/kept; reboot");
    until("the reboot", || world.console("i-a").matches("boots").nth(1).map(drop));
    until("a shell after the reboot", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run("a", "ls /root/kept"))).ok()
    });
    world.run("a", "shutdown -h now");
    world.await_state("i-a", |state| *state == SandboxState::Stopped(StopCause::Itself));
}

fn whatever_those_inside_do() {
    let world = Fixture::new();
    world.ask(simple());
    // One says more than can be taken, on all ways that there are; the other has the log's file be one that opening waits for.
    let log = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('/dev/log')";
    let flood = format!(
        "#!/bin/sh\nyes >/dev/console & yes >/dev/console & yes & yes &\npython3 -c \"{log}\nwhile True: s.send(b'x')\" &\nyes\n"
    );
    let freeze = format!(
        "#!/bin/sh\nmkdir -p /var/log; mkfifo /var/log/messages\npython3 -c \"{log}; s.send(b'x')\"; touch /root/sent\n"
    );
    let a = Instance { user_data: flood, ..Instance::new("a", "10.0.1.10") };
    let b = Instance { user_data: freeze, ..Instance::new("b", "10.0.1.11") };
    for instance in [&a, &b] {
        world.ask(vec![Ask::PutInterface(instance.interface()), again(instance, 1)]);
    }
    until("the flood", || world.console("i-a").contains("y\ny\n").then_some(()));
    until("the log", || world.upper("i-b").join("root/sent").exists().then_some(()));
    world.ask(["i-a", "i-b"].map(|id| Ask::StopSandbox { id: id.into(), generation: 1, force: false }).to_vec());
    for id in ["i-a", "i-b"] {
        world.await_state(id, |state| *state == SandboxState::Stopped(StopCause::Asked));
    }
    // The one that only says much goes down in order.
    until("its end", || world.console("i-a").contains("zonal: down").then_some(()));
}

fn a_shutdown_comes_at_its_time_or_is_cancelled() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("a", "10.0.1.10"));
    // None of these ends it; the last is for tomorrow at the soonest.
    let said = world
        .run("a", "shutdown --help; reboot --help; systemctl --help; shutdown -h soon; shutdown -h +600; shutdown -c");
    assert!(said.contains("Usage: shutdown") && said.contains("Failed to parse time specification: soon"), "{said}");
    assert!(said.contains("Shutdown scheduled in 36000 seconds"), "{said}");
    assert_eq!(world.run("a", "shutdown -h +600 >/dev/null; systemctl is-system-running"), "running\n");
    world.run("a", "shutdown +0");
    world.await_state("i-a", |state| *state == SandboxState::Stopped(StopCause::Itself));
}

fn programs_inside_can_wait_for_the_end_of_user_data() {
    let world = Fixture::new();
    world.ask(simple());
    let waits = "#!/bin/bash\nuntil [ -e /run/go ]; do read -t 0.02 <> <(:); done\nexit 0\n";
    let a = Instance { user_data: waits.into(), ..Instance::new("a", "10.0.1.10") };
    world.ask(vec![Ask::PutInterface(a.interface()), again(&a, 1)]);
    world.await_state("i-a", |state| *state == SandboxState::Running);
    let told = "test -e /var/lib/cloud/instance/boot-finished || echo not yet; cloud-init status";
    assert_eq!(world.run("a", told), "not yet\nstatus: running\n");
    let told =
        "(sleep 0.2; touch /run/go) & cloud-init status --wait | tail -n 1; ls /var/lib/cloud/instance/boot-finished";
    assert_eq!(world.run("a", told), "status: done\n/var/lib/cloud/instance/boot-finished\n");
    assert_eq!(world.run("a", "cat /var/lib/cloud/data/instance-id"), "i-a\n");
    let b = Instance { user_data: "#!/bin/sh\nexit 3\n".into(), ..Instance::new("b", "10.0.1.11") };
    world.ask(vec![Ask::PutInterface(b.interface()), again(&b, 1)]);
    world.await_state("i-b", |state| *state == SandboxState::UserDataDone { exit: 3 });
    assert_eq!(world.run("b", "cloud-init status --wait >/dev/null; echo $?; cloud-init status"), "1\nstatus: error\n");
}

const UNIT: &str = "#!/bin/bash
cat >/etc/systemd/system/web.service <<'E'
[Unit]
Description=Web
[Service]
Environment=PORT=80 \"GREETING=hello world\"
WorkingDirectory=/srv
ExecStartPre=/bin/sh -c 'echo \"$GREETING\" >/srv/index.html'
ExecStart=/usr/bin/python3 -m http.server ${PORT}
Restart=always
RestartSec=50ms
User=nobody
[Install]
WantedBy=multi-user.target
E
chown nobody /srv
systemctl daemon-reload
systemctl enable --now web
systemctl is-active web || exit 1
systemctl is-enabled web.service || exit 2
";

fn a_service_is_kept_running_and_starts_at_each_boot() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance { user_data: UNIT.into(), public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") };
    world.instance(&a);
    let hello = || answers(world.public(10), 80).filter(|text| text.contains("hello world"));
    until("the service", hello);
    world.run("a", "pkill -9 -f http.server");
    until("the service again", hello);
    let script = "systemctl stop web; systemctl is-active web; systemctl start web; systemctl is-active web; systemctl start nothing 2>&1";
    assert_eq!(world.run("a", script), "inactive\nactive\nUnit nothing.service not found.\n");
    world.ask(vec![again(&a, 2)]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    until("the service after a reboot", hello);
    assert!(world.run("a", "ps -o user= -C python3; systemctl status web; journalctl -u web").contains("nobody"));
}

fn an_image_is_one_more_layer() {
    make_an_image(&Fixture::new());
}

/// As on Linux before 5.19, and on file systems whose mounts show nothing but the owners that there are.
fn where_owners_cannot_be_mapped() {
    let world = Fixture::with(|config| config.ids = zonal_linux::Ids::Shared);
    make_an_image(&world);
    let own = world.run("c", "cat /proc/self/uid_map | tr -s ' '; stat -c '%u %a' /etc/shadow /usr/bin/passwd; find / -xdev ! -path /proc ! -path /usr/lib/zonal/guest -uid +60000");
    let first = own.lines().next().unwrap_or_default().to_owned();
    assert_eq!(own, format!("{first}\n0 640\n0 4755\n"), "all files have owners inside");
    world.instance(&Instance::new("d", "10.0.1.13"));
    assert_eq!(world.run("d", "cat /proc/self/uid_map | tr -s ' '").trim_end(), first);
    assert_eq!(world.run("d", "su nobody -s /bin/sh -c 'cat /etc/shadow' 2>/dev/null; echo $?"), "1\n");
}

fn make_an_image(world: &Fixture) {
    world.ask(simple());
    let script = "#!/bin/sh\necho baked >/root/made; chown 1000 /root/made; rm /etc/fstab; rm -r /srv /etc/pam.d && mkdir /srv /etc/pam.d; ln -s made /root/link\n";
    world.instance(&Instance { user_data: script.into(), ..Instance::new("a", "10.0.1.10") });
    world.ask(vec![Ask::PutImage { id: "ami-1".into(), sandbox: "i-a".into() }]);
    world.hear("the image", |report| *report == Report::ImageReady("ami-1".into()));
    world.instance(&Instance { disk: DiskSource::Image("ami-1".into()), ..Instance::new("b", "10.0.1.11") });
    let look = "cat /root/link; stat -c %u /root/made; ls /etc/fstab 2>/dev/null; ls -d /srv; ls /etc/pam.d; rm /root/made; ls /root/made 2>/dev/null";
    assert_eq!(world.run("b", look), "baked\n1000\n/srv\n");
    assert_eq!(world.world().inventory().images, ["ami-1"]);
    world.ask(vec![Ask::RemoveSandbox("i-b".into()), Ask::RemoveImage("ami-1".into())]);
    until("the image's end", || world.world().inventory().images.is_empty().then_some(()));
    world.instance(&Instance::new("c", "10.0.1.12"));
    assert_eq!(world.run("c", "ls /root"), "", "the base is as it was");
}

fn a_cut_zone_is_dead_and_silent_until_it_is_joined() {
    let world = Fixture::new();
    world.ask(simple());
    world.ask(vec![Ask::PutSubnet(subnet("subnet-2", "vpc-1", "10.0.2.0/24", "us-east-1b", true))]);
    let serve = "#!/bin/sh\ncd /srv; nohup python3 -m http.server 80 >/dev/null 2>&1 &\n";
    let a = Instance { user_data: serve.into(), public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") };
    let b = Instance {
        name: "b",
        subnet: "subnet-2",
        zone: "us-east-1b",
        public: Some(world.public(11)),
        private: "10.0.2.10".parse().unwrap(),
        ..a.clone()
    };
    world.instance(&a);
    world.instance(&b);
    for public in [10, 11] {
        until("both", || answers(world.public(public), 80));
    }
    world.ask(vec![Ask::SetZone { zone: "us-east-1b".into(), cut: true }]);
    world.await_state("i-b", |state| *state == SandboxState::Stopped(StopCause::ZoneCut));
    assert!(answers(world.public(10), 80).is_some() && answers(world.public(11), 80).is_none());
    world.ask(vec![again(&b, 2)]);
    // It is answered as in every world: what starts there dies at once.
    let dead = |generation: u64| Report::Sandbox {
        id: "i-b".into(),
        generation,
        state: SandboxState::Stopped(StopCause::ZoneCut),
    };
    world.hear("its death", |report| *report == dead(2));
    world.ask(vec![Ask::SetZone { zone: "us-east-1b".into(), cut: false }, again(&b, 3)]);
    world.hear(
        "b again",
        |report| matches!(report, Report::Sandbox { id, generation: 3, state: SandboxState::Running } if id == "i-b"),
    );
    assert_eq!(world.run("b", "curl -s -m 2 -o /dev/null -w %{http_code} http://10.0.1.10/"), "200");
}

fn what_is_on_its_way_when_its_zone_is_cut_dies() {
    let world = Fixture::new();
    world.ask(simple());
    let names = ["a", "b", "c", "d", "e", "f"];
    for (number, name) in (0_u8..).zip(names) {
        let zone = ["us-east-1a", "us-east-1b"][usize::from(number % 2)];
        // Of sizes that nobody has a disk of: making one takes longer than cutting a zone.
        let disk_gib = 10 + u32::from(number);
        let machine = Instance { zone, disk_gib, ..Instance::new(name, &format!("10.0.1.{}", 10 + number)) };
        let interface = machine.interface();
        world.ask(vec![Ask::PutInterface(interface)]);
        world.hear("the interface", |report| {
            *report == Report::InterfaceReady { id: format!("eni-{name}"), generation: 0 }
        });
        world.ask(vec![again(&machine, 1), Ask::SetZone { zone: zone.into(), cut: true }]);
        let state = world.await_state(&format!("i-{name}"), |state| matches!(state, SandboxState::Stopped(_)));
        assert_eq!(state, SandboxState::Stopped(StopCause::ZoneCut), "{name}");
        world.ask(vec![Ask::SetZone { zone: zone.into(), cut: false }]);
    }
}

fn a_dead_machine_answers_nobody_and_a_living_one_refuses_what_it_does_not_serve() {
    let world = Fixture::new();
    world.ask(simple());
    let serve = "#!/bin/sh\ncd /srv; nohup python3 -m http.server 80 >/dev/null 2>&1 &\n";
    let a = Instance { user_data: serve.into(), public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") };
    world.instance(&a);
    world.instance(&Instance::new("b", "10.0.1.11"));
    until("the service", || answers(world.public(10), 80));
    // curl's exit codes: 7 is refused, 28 is time-out.
    let ask = |port: u16, seconds: u16| format!("curl -s -m {seconds} -o /dev/null http://10.0.1.10:{port}/; echo $?");
    assert_eq!((world.run("b", &ask(80, 2)), world.run("b", &ask(81, 2))), ("0\n".into(), "7\n".into()));
    let mut open = std::net::TcpStream::connect((world.public(10), 80)).unwrap();
    open.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    std::io::Write::write_all(&mut open, b"GET / HTTP/1.1\r\n").unwrap();
    world.ask(vec![Ask::CrashSandbox { id: "i-a".into(), generation: 1 }]);
    world.await_state("i-a", |state| matches!(state, SandboxState::Stopped(StopCause::Died(_))));
    assert_eq!((world.run("b", &ask(80, 1)), world.run("b", &ask(81, 1))), ("28\n".into(), "28\n".into()));
    let mut byte = [0];
    let error = std::io::Read::read(&mut open, &mut byte).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "an open connection hangs");
    let mut new = std::net::TcpStream::connect((world.public(10), 80)).unwrap();
    new.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    std::io::Write::write_all(&mut new, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let error = std::io::Read::read(&mut new, &mut byte).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "so does a new one");
    world.ask(vec![again(&a, 2)]);
    world.hear(
        "the second start",
        |report| matches!(report, Report::Sandbox { id, generation: 2, state: SandboxState::Running } if id == "i-a"),
    );
    assert_eq!(world.run("b", &ask(81, 2)), "7\n", "it runs, and refuses again");
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation: 2, force: false }]);
    world.await_state("i-a", |state| *state == SandboxState::Stopped(StopCause::Asked));
    until("silence", || (world.run("b", &ask(81, 1)) == "28\n").then_some(()));
}

fn a_wide_range_of_ports_opens_as_something_listens() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance { public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") });
    assert!(answers(world.public(10), 9000).is_none());
    world.run("a", "cd /srv; nohup python3 -m http.server 9000 >/dev/null 2>&1 &");
    until("the port that is listened on", || answers(world.public(10), 9000));
    assert!(answers(world.public(10), 9001).is_none());
}

fn launch_takes_milliseconds() {
    let world = Fixture::new();
    world.ask(simple());
    let mut taken: Vec<Duration> = (0..8_u8)
        .map(|number| {
            let name = ["a", "b", "c", "d", "e", "f", "g", "h"][usize::from(number)];
            let script = "#!/bin/sh\necho first-line\n";
            let a = Instance { user_data: script.into(), ..Instance::new(name, &format!("10.0.1.{}", 10 + number)) };
            let asked = Instant::now();
            world.ask(vec![Ask::PutInterface(a.interface()), again(&a, 1)]);
            let id = format!("i-{name}");
            until("the first line", || world.console(&id).contains("first-line").then_some(()));
            asked.elapsed()
        })
        .collect();
    taken.sort();
    println!("call to first line of user data: median {:?}, all {taken:?}", taken[4]);
    // The budget is the release build's, on a machine of its own; here others are at work.
    assert!(taken[0] < Duration::from_millis(if cfg!(debug_assertions) { 300 } else { 50 }), "{taken:?}");
}
