//! Disks are as large as they are said to be, and keep what is on them.

use crate::fixture::*;
use std::os::unix::fs::{FileExt, MetadataExt};
use zonal_linux::supervise;
use zonal_substrate::*;

pub const TESTS: &[Test] = &[
    ("a_disk_holds_what_it_is_said_to_hold_and_no_more", a_disk_holds_what_it_is_said_to_hold),
    ("a_large_disk_takes_no_room_before_it_is_used", a_large_disk_takes_no_room_before_it_is_used),
    ("a_disk_that_was_not_unmounted_in_order_is_checked_before_it_is_used", a_disk_is_checked),
    ("a_start_that_lacks_its_image_says_so_and_leaves_no_disk", a_start_that_lacks_its_image),
    ("a_stopped_instance_becomes_an_image_after_the_world_was_down", a_stopped_instance_becomes_an_image),
    ("what_stands_on_a_removed_image_keeps_its_files_until_the_last_of_it_goes", what_stands_on_a_removed_image_keeps),
    ("what_a_killed_warden_left_of_an_image_is_no_image_and_goes_at_the_next_start", what_a_killed_warden_left_goes),
];

const GIB: u64 = 1 << 30;

fn stop(world: &Fixture, generation: u64) {
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation, force: false }]);
    world.await_state("i-a", |state| *state == SandboxState::Stopped(StopCause::Asked));
}

fn start(world: &Fixture, instance: &Instance, generation: u64) {
    world.ask(vec![
        Ask::PutInterface(instance.interface()),
        Ask::StartSandbox(Box::new(Instance { generation, ..instance.clone() }.sandbox())),
    ]);
    world.hear("the start", |report| {
        matches!(report, Report::Sandbox { generation: of, state: SandboxState::Running, .. } if *of == generation)
    });
}

fn image(world: &Fixture) -> std::path::PathBuf {
    world.config.directory.join("disks/i-a/image")
}

/// How much of the machine's own disk it takes.
fn taken(world: &Fixture) -> u64 {
    image(world).metadata().unwrap().blocks() * 512
}

fn a_disk_holds_what_it_is_said_to_hold() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance { disk_gib: 1, ..Instance::new("a", "10.0.1.10") };
    world.instance(&a);
    assert_eq!(world.run("a", "df -B1 --output=size / | tail -1").trim(), GIB.to_string());
    assert!(taken(&world) < 16 << 20, "{}", taken(&world));
    let full = world.run(
        "a",
        "dd if=/dev/zero of=/big bs=1M 2>&1; stat -c %s /big; echo kept >/root/kept; df --output=avail / | tail -1",
    );
    assert!(full.contains("No space left on device"), "{full}");
    let written: u64 = full.lines().find_map(|line| line.parse().ok()).unwrap();
    // Inode tables are the rest: 16 bytes of each KiB.
    assert!((GIB / 100 * 95..GIB).contains(&written), "{written}");
    assert!(taken(&world) <= GIB + (1 << 20), "{}", taken(&world));
    world.run("a", "truncate -s 5M /big; sha256sum /big >/root/sum; echo kept >/root/kept; chown 1000 /root/kept");
    stop(&world, 1);
    start(&world, &a, 2);
    assert_eq!(
        world.run("a", "cat /root/kept; stat -c %u /root/kept; sha256sum -c /root/sum"),
        "kept\n1000\n/big: OK\n"
    );
    world.ask(vec![Ask::RemoveSandbox("i-a".into())]);
    world.hear("its end", |report| *report == Report::SandboxRemoved("i-a".into()));
    assert!(!image(&world).exists());
}

fn a_large_disk_takes_no_room_before_it_is_used() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance { disk_gib: 2000, ..Instance::new("a", "10.0.1.10") });
    assert_eq!(world.run("a", "df -BG --output=size / | tail -1").trim(), "2000G");
    assert!(taken(&world) < 64 << 20, "{}", taken(&world));
    // Allocated, not written: the machine has nothing to do with it.
    assert_eq!(
        world.run("a", "fallocate -l 100G /big && stat -c %s /big; sudo -n true; echo $?"),
        format!("{}\n0\n", 100 * GIB)
    );
}

fn a_disk_is_checked() {
    let mut world = Fixture::new();
    world.ask(simple());
    let a = Instance::new("a", "10.0.1.10");
    world.instance(&a);
    world.run("a", "echo kept >/root/kept");
    world.world = None;
    supervise::down(&world.config).unwrap();
    world.processes.take().unwrap().stop();
    // As a machine that lost its power would leave it: mounted still, its free blocks miscounted.
    let file = std::fs::File::options().read(true).write(true).open(image(&world)).unwrap();
    let mut state = [0; 2];
    file.read_exact_at(&mut state, 1024 + 0x3A).unwrap();
    assert_eq!(state, [1, 0], "it was unmounted in order");
    file.write_all_at(&[0, 0], 1024 + 0x3A).unwrap();
    file.write_all_at(&[1, 0, 0, 0], 1024 + 0x0C).unwrap();
    drop(file);
    world.processes = Some(supervise::Processes::start(&world.config).unwrap());
    world.connect();
    world.ask(simple());
    start(&world, &a, 2);
    assert_eq!(world.run("a", "cat /root/kept; fallocate -l 7G /big && echo room"), "kept\nroom\n");
}

fn a_start_that_lacks_its_image() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance { disk: DiskSource::Image("ami-0".into()), ..Instance::new("a", "10.0.1.10") };
    world.ask(vec![Ask::PutInterface(a.interface()), Ask::StartSandbox(Box::new(a.sandbox()))]);
    let state = world.await_state("i-a", |_| true);
    let why = "there is no image ami-0".to_owned();
    assert_eq!(state, SandboxState::Stopped(StopCause::NotStarted { lack: Lack::Image, why }));
    assert!(world.world().inventory().sandboxes.is_empty());
    world.instance(&Instance::new("b", "10.0.1.11"));
}

fn a_stopped_instance_becomes_an_image() {
    let mut world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("a", "10.0.1.10"));
    world.run("a", "echo baked >/root/made");
    stop(&world, 1);
    world.world = None;
    supervise::down(&world.config).unwrap();
    world.processes.take().unwrap().stop();
    world.processes = Some(supervise::Processes::start(&world.config).unwrap());
    world.connect();
    world.ask(simple());
    world.ask(vec![Ask::PutImage { id: "ami-1".into(), sandbox: "i-a".into() }]);
    world.hear("the image", |report| *report == Report::ImageReady("ami-1".into()));
    let from = Instance { disk: DiskSource::Image("ami-1".into()), disk_gib: 9, ..Instance::new("b", "10.0.1.11") };
    world.instance(&from);
    assert_eq!(world.run("b", "cat /root/made; df -BG --output=size / | tail -1 | tr -d ' '"), "baked\n9G\n");
}

/// Ends the world and begins it again: kernel's caches of what was mounted go with it.
fn restart(world: &mut Fixture) {
    world.world = None;
    supervise::down(&world.config).unwrap();
    world.processes.take().unwrap().stop();
    world.processes = Some(supervise::Processes::start(&world.config).unwrap());
    world.connect();
    world.ask(simple());
}

fn make_image(world: &Fixture, id: &str, sandbox: &str) {
    world.ask(vec![Ask::PutImage { id: id.into(), sandbox: sandbox.into() }]);
    world.hear("the image", |report| *report == Report::ImageReady(id.into()));
}

fn remove_image(world: &Fixture, id: &str) {
    world.ask(vec![Ask::RemoveImage(id.into())]);
    until("the image's end", || (!world.world().inventory().images.contains(&id.to_owned())).then_some(()));
}

fn of(image: &str, name: &'static str, private: &str) -> Instance {
    Instance { disk: DiskSource::Image(image.into()), ..Instance::new(name, private) }
}

fn what_stands_on_a_removed_image_keeps() {
    let mut world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("first", "10.0.1.9"));
    world.run("first", "head -c 3M /dev/urandom >/root/parent; sha256sum /root/parent >/root/sums");
    make_image(&world, "ami-1", "i-first");
    let a = of("ami-1", "a", "10.0.1.10");
    world.instance(&a);
    world.run("a", "echo child >/root/child");
    make_image(&world, "ami-2", "i-a");
    remove_image(&world, "ami-1");
    let kept = "cat /root/child; sha256sum -c /root/sums";
    assert_eq!(world.run("a", kept), "child\n/root/parent: OK\n", "what runs keeps its files");
    // Nothing can be started of it any more.
    let late = of("ami-1", "late", "10.0.1.20");
    world.ask(vec![Ask::PutInterface(late.interface()), Ask::StartSandbox(Box::new(late.sandbox()))]);
    let state = world.await_state("i-late", |_| true);
    assert!(matches!(state, SandboxState::Stopped(StopCause::NotStarted { lack: Lack::Image, .. })), "{state:?}");
    stop(&world, 1);
    restart(&mut world);
    start(&world, &a, 2);
    assert_eq!(world.run("a", kept), "child\n/root/parent: OK\n", "what was stopped boots again");
    world.ask(vec![Ask::RemoveSandbox("i-a".into())]);
    world.hear("its end", |report| *report == Report::SandboxRemoved("i-a".into()));
    world.instance(&of("ami-2", "b", "10.0.1.11"));
    assert_eq!(world.run("b", kept), "child\n/root/parent: OK\n", "the child's image stands on it");
    remove_image(&world, "ami-2");
    let directory = world.config.directory.join("images");
    assert!(directory.join("ami-1").exists() && directory.join("ami-2").exists());
    assert_eq!(world.world().inventory().images, Vec::<String>::new());
    world.ask(vec![Ask::RemoveSandbox("i-b".into())]);
    world.hear("its end", |report| *report == Report::SandboxRemoved("i-b".into()));
    assert!(!directory.join("ami-1").exists() && !directory.join("ami-2").exists(), "nothing is left of them");
}

fn what_a_killed_warden_left_goes() {
    let mut world = Fixture::new();
    let directory = world.config.directory.join("images");
    for left in [".new-ami-1", "ami-2.new", "ami-3"] {
        std::fs::create_dir_all(directory.join(left).join("root")).unwrap();
    }
    assert_eq!(world.world().inventory().images, Vec::<String>::new());
    restart(&mut world);
    world.instance(&Instance::new("a", "10.0.1.10"));
    for left in [".new-ami-1", "ami-2.new", "ami-3"] {
        assert!(!directory.join(left).exists(), "{left}");
    }
}
