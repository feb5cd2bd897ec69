//! What those inside an instance can't do: each tried, as root inside.

use crate::fixture::*;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zonal_substrate::*;

pub const TESTS: &[Test] = &[
    ("a_machine_says_of_itself_what_its_type_has", a_machine_says_of_itself_what_its_type_has),
    ("nothing_of_the_host_is_in_reach_from_inside", nothing_of_the_host_is_in_reach_from_inside),
    ("no_service_of_the_host_is_in_reach_from_inside", no_service_of_the_host_is_in_reach_from_inside),
    ("nobody_borrows_an_address", nobody_borrows_an_address),
    ("links_left_in_the_way_lead_nowhere", links_left_in_the_way_lead_nowhere),
    ("limits_hold", limits_hold),
    ("the_warden_refuses_what_it_does_not_know_and_whom_it_does_not_know", the_warden_refuses_whom_it_does_not_know),
];

/// Every line must fail inside; the name of one that does not is printed.
const FORBIDDEN: &[(&str, &str)] = &[
    ("see the host's processes", "ls /proc | grep -E '^[0-9]+$' | sort -n | awk '$1 > 500' | grep ."),
    ("read PID 1's memory", "dd if=/proc/1/mem bs=1 count=1"),
    ("read PID 1's environment", "cat /proc/1/environ | grep ."),
    ("read PID 1's map", "cat /proc/1/maps | grep ."),
    ("use PID 1's descriptors", "ls /proc/1/fd | grep ."),
    ("inherit a descriptor", "test $(ls /proc/self/fd | wc -l) -gt 4"),
    ("leave by PID 1's root", "ls /proc/1/root/"),
    ("find the world's path in PID 1's command line", "tr '\\0' ' ' </proc/1/cmdline | grep /tmp"),
    ("trace PID 1", "python3 -c 'import ctypes; import sys; sys.exit(ctypes.CDLL(None).ptrace(16, 1, 0, 0) != 0)'"),
    ("make a device", "mknod /root/sda b 8 0"),
    ("mount a disk", "mount -t ext4 /dev/vda /mnt"),
    ("mount anything", "mount -t tmpfs none /mnt"),
    ("mount fresh kernel files", "mount -t proc none /mnt"),
    ("uncover kernel files", "umount /proc/kcore"),
    ("uncover kernel settings", "umount /proc/sys"),
    ("write kernel settings", "echo 1 >/proc/sys/kernel/sysrq"),
    ("write network settings", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
    ("send a kernel command", "echo b >/proc/sysrq-trigger"),
    ("read kernel memory", "dd if=/proc/kcore bs=1 count=1 | grep -a ."),
    ("read the kernel's log", "dmesg"),
    (
        "load a module",
        "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None, use_errno=True).syscall(313, 0, b\"\", 0) == -1)'",
    ),
    ("make a user namespace", "unshare -U true"),
    ("make a user namespace by clone", "unshare -Ur true"),
    ("enter the host's namespaces", "nsenter -t 1 -n true"),
    ("change the clock", "date -s 2020-01-01"),
    ("add an address", "ip addr add 10.0.1.77/32 dev eth0"),
    ("add a route", "ip route add 192.0.2.0/24 dev eth0"),
    ("take the interface down", "ip link set eth0 down"),
    ("open a raw socket", "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'"),
    ("open a packet socket", "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)'"),
    ("talk to the machine's hypervisor", "python3 -c 'import socket; socket.socket(40, socket.SOCK_STREAM)'"),
    ("use the kernel's ciphers", "python3 -c 'import socket; socket.socket(38, socket.SOCK_SEQPACKET)'"),
    ("open a TIPC socket", "python3 -c 'import socket; socket.socket(30, socket.SOCK_SEQPACKET)'"),
    ("open a pair of TIPC sockets", "python3 -c 'import socket; socket.socketpair(30, socket.SOCK_SEQPACKET)'"),
    ("open an RDS socket", "python3 -c 'import socket; socket.socket(21, socket.SOCK_SEQPACKET)'"),
    (
        "have the kernel look for a module by a kind of socket",
        "python3 -c '\nimport socket\nfor family in set(range(46)) - {1, 2, 10, 16}:\n    try:\n        socket.socket(family, socket.SOCK_DGRAM)\n    except OSError as error:\n        if error.errno == 97: continue\n    break\nelse: raise SystemExit(1)'",
    ),
    ("change firewall rules", "nft list ruleset | grep ."),
    ("write our program", "echo x >/usr/lib/zonal/guest"),
    ("replace our program", "rm -f /usr/lib/zonal/guest && ! test -e /usr/lib/zonal/guest"),
    ("see the world's directory", "ls -d /tmp/zonal-test*"),
    ("find the warden's socket", "find / -xdev -name 'warden.sock' | grep ."),
    ("find an abstract socket of the host's", "grep -a '@' /proc/net/unix"),
    (
        "open a file by handle",
        "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(304, 0, 0, 0) == -1)'",
    ),
    ("use bpf", "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(321, 0, 0, 0) == -1)'"),
    ("see the host's control groups", "ls /sys/fs/cgroup | grep ."),
    ("see other instances' names", "grep -r i-other /proc/mounts /proc/self/mountinfo"),
    ("raise its limits", "python3 -c 'import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1<<22, 1<<22))'"),
];

/// Every line must work inside.
const ALLOWED: &[(&str, &str)] = &[
    ("be root", "test $(id -u) = 0"),
    ("have other users", "su nobody -s /bin/sh -c 'test $(id -u) = 65534'"),
    ("change owners", "touch /root/f && chown 1000:1000 /root/f && test $(stat -c %u /root/f) = 1000"),
    ("ping", "! command -v ping || ping -c 1 -W 2 10.0.1.10"),
    (
        "bind low ports as anybody",
        "su nobody -s /bin/sh -c \"python3 -c 'import socket; socket.create_server((\\\"0.0.0.0\\\", 81))'\"",
    ),
    ("use a terminal", "python3 -c 'import pty; pty.openpty()'"),
    ("write to the console", "echo hello-console >/dev/console"),
    ("log", "test -S /dev/log"),
    ("rename directories of the image", "mv /usr/share/zoneinfo /usr/share/z2 || mkdir -p /usr/share/z2"),
    ("set the host name", "hostnamectl set-hostname other.example && test $(hostname) = other.example"),
    ("sudo", "test ! -e /usr/bin/sudo || sudo -u nobody true"),
    ("ask the kernel about its network", "ip -o addr show dev eth0 | grep -q 10.0.1.10"),
    ("open a pair of sockets", "python3 -c 'import socket; socket.socketpair(); socket.socket(socket.AF_INET6)'"),
    ("tell packages", "dpkg -s bash"),
    ("check certificates", "test -s /etc/ssl/certs/ca-certificates.crt"),
];

fn nothing_of_the_host_is_in_reach_from_inside() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("a", "10.0.1.10"));
    world.instance(&Instance::new("other", "10.0.1.11"));
    let mut script = String::from("cd /root\n");
    for (what, line) in FORBIDDEN {
        script += &format!("if ( {line} ) >/dev/null 2>&1; then echo \"could {}\"; fi\n", what.replace('\'', "’"));
    }
    for (what, line) in ALLOWED {
        script += &format!("if ! ( {line} ) >/dev/null 2>&1; then echo \"could not {what}\"; ( {line} ) 2>&1; fi\n");
    }
    assert_eq!(world.run("a", &script), "");
    until("the console to have it", || world.console("i-a").contains("hello-console").then_some(()));
    // From the host: what is root inside is nobody here.
    let upper = world.upper("i-a").join("root/f");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(upper).unwrap());
    assert!(owner > 0x7000_0000, "{owner}");
}

fn links_left_in_the_way_lead_nowhere() {
    let world = Fixture::new();
    world.ask(simple());
    let a = Instance::new("a", "10.0.1.10");
    world.instance(&a);
    let traps = "mkdir /root/t; ln -s /etc/shadow /root/t/file; ln -s / /root/t/dir; rm -rf /usr/lib/zonal 2>/dev/null; mkdir -p /root/x/y; mknod /root/p p; \
                 rm -rf /mnt && ln -s /etc /mnt; echo done";
    assert!(world.run("a", traps).ends_with("done\n"));
    // Below what is mounted now: seen by the next boot only, so put there from outside.
    world.ask(vec![Ask::StopSandbox { id: "i-a".into(), generation: 1, force: true }]);
    world.await_state("i-a", |state| matches!(state, SandboxState::Stopped(_)));
    let upper = world.upper("i-a");
    for name in ["proc", "dev", "run", "sys"] {
        let _ = std::fs::remove_dir_all(upper.join(name));
        std::os::unix::fs::symlink("/etc", upper.join(name)).unwrap();
    }
    world.ask(vec![Ask::PutImage { id: "ami-1".into(), sandbox: "i-a".into() }]);
    world.hear("the image", |report| *report == Report::ImageReady("ami-1".into()));
    let copied = world.config.directory.join("images/ami-1/root/root/t/file");
    assert!(copied.symlink_metadata().unwrap().file_type().is_symlink(), "a link is copied as one");
    world.ask(vec![Ask::StartSandbox(Box::new(Instance { generation: 2, ..a }.sandbox()))]);
    world.hear("the second start", |report| {
        matches!(report, Report::Sandbox { generation: 2, state: SandboxState::Running, .. })
    });
    assert_eq!(
        world.run("a", "test -d /proc/1 && test -c /dev/null && ls -d /proc/self/fd/0 && ls /sys"),
        "/proc/self/fd/0\ndevices\n"
    );
}

fn no_service_of_the_host_is_in_reach_from_inside() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance { public: Some(world.public(10)), ..Instance::new("a", "10.0.1.10") });
    // A service on every address of the host, which counts who comes.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 10]);
        }
    });
    let mut near: Vec<String> = [
        "127.0.0.1",
        "127.0.0.2",
        "127.128.0.1",
        "169.254.0.1",
        "169.254.1.1",
        "169.254.1.2",
        "169.254.169.254",
        "0.0.0.0",
    ]
    .iter()
    .map(|address| (*address).to_owned())
    .collect();
    near.extend([world.config.host().to_string(), world.public(200).to_string(), "10.0.0.1".into(), "10.0.0.2".into()]);
    near.extend(["127.100.0.1".to_owned(), "192.168.0.1".into(), "172.17.0.1".into(), "100.100.100.200".into()]);
    for interface in nix::ifaddrs::getifaddrs().unwrap() {
        if let Some(address) = interface.address.as_ref().and_then(|address| address.as_sockaddr_in()) {
            near.push(address.ip().to_string());
        }
    }
    let list = near.join("', '");
    let script = format!(
        "python3 - <<'E'\nimport socket, threading\ndef go(a):\n    try:\n        s = socket.create_connection((a, {port}), 1)\n        s.settimeout(1)\n        s.sendall(b'x')\n        \
         d = s.recv(10)\n        print(a, 'answered', d)\n    except OSError:\n        pass\n    for u in (53, {port}):\n        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         ts = [threading.Thread(target=go, args=(x,)) for x in ['{list}']]\n[t.start() for t in ts]\n[t.join() for t in ts]\nE\n"
    );
    assert_eq!(world.run("a", &script), "");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

fn nobody_borrows_an_address() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance::new("a", "10.0.1.10"));
    world.instance(&Instance {
        user_data:
            "#!/bin/sh\npython3 -m http.server 80 >/dev/null 2>&1 &\nuntil curl -s 127.0.0.1 >/dev/null; do :; done\n"
                .into(),
        ..Instance::new("b", "10.0.1.11")
    });
    let pid = std::fs::read_to_string(world.config.directory.join("holder.pid")).unwrap();
    let pid = pid.split(' ').next().unwrap();
    // Done from outside, with the right that those inside lack.
    let inside = |script: &str| {
        let path = format!("{}/run/interfaces/eni-a", world.config.directory.display());
        let output = std::process::Command::new("nsenter")
            .args(["-t", pid, "-m", "nsenter", &format!("--net={path}"), "sh", "-c", script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(inside("curl -s -m 2 -o /dev/null -w %{http_code} http://10.0.1.11/"), "200");
    inside("ip addr add 10.0.1.99/32 dev eth0");
    let borrowed = inside("curl -s -m 2 --interface 10.0.1.99 -o /dev/null -w %{http_code} http://10.0.1.11/");
    assert_eq!(borrowed, "000");
}

fn limits_hold() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance { memory_mib: 96, vcpus: 2, ..Instance::new("a", "10.0.1.10") });
    let ate = world.run("a", "python3 -c 'x = b\"x\" * (200 << 20)' 2>/dev/null; echo $?");
    assert_ne!(ate.trim(), "0", "more memory than the instance has");
    // Two virtual CPUs are a fifth of a core, however many are busy.
    let used = world.run(
        "a",
        "python3 - <<'E'\nimport os, time\nt = time.time()\nfor _ in range(2):\n    if os.fork() == 0:\n        while time.time() < t + 1: pass\n        os._exit(0)\n\
         os.wait(); os.wait()\nc = os.times()\nprint(c.children_user + c.children_system)\nE\n",
    );
    let used: f64 = used.trim().parse().unwrap();
    assert!(used < 0.4, "{used} s of processor time in one second");
    let busy = |figures: &[SandboxFigures]| figures.iter().any(|own| own.id == "i-a" && own.cpu_percent > 50.0);
    world.hear("figures", |report| matches!(report, Report::SandboxFigures { figures, .. } if busy(figures)));
    let forks = "import os, sys\nn = 0\ntry:\n    while n < 6000:\n        if os.fork() == 0:\n            import time; time.sleep(5); os._exit(0)\n        n += 1\nexcept OSError:\n    pass\nprint(n)\n";
    world.instance(&Instance { memory_mib: 2048, ..Instance::new("b", "10.0.1.12") });
    let made: u32 =
        world.run("b", &format!("python3 -c '{forks}'; kill -9 -1")).lines().next().unwrap_or("0").parse().unwrap_or(0);
    assert!(made < 4200, "{made} processes");
}

fn the_warden_refuses_whom_it_does_not_know() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let world = Fixture::new();
    let socket = world.config.warden_socket();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // Even where the file let them: another user is refused by who it is.
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import socket, struct, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nfor t in sys.argv[2:]:\n    b = t.encode()\n    s.sendall(struct.pack('<I', len(b)) + b)\n    r = s.recv(1000)[4:].decode()\nprint(r)\n";
    let say_all = |user: u32, texts: &[&str]| {
        let mut command = std::process::Command::new("/usr/bin/python3");
        command.args(["-c", script, socket.to_str().unwrap()]).args(texts).uid(user).gid(user);
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    let key = world.config.directory.join("warden.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o400);
    let key = format!("{{\"Key\":\"{}\"}}", std::fs::read_to_string(key).unwrap());
    assert!(say_all(65533, &["\"Inventory\""]).contains("may not"));
    assert!(!say_all(65533, &[&key, "\"Inventory\""]).contains("sandboxes"));
    // As the plane, which has the daemon's user and not its key.
    for beyond in ["\"Inventory\"", "{\"Shell\":\"i-a\"}", "{\"RemoveSandbox\":\"i-a\"}", "\"Events\""] {
        for asked in [&[beyond][..], &["{\"Key\":\"\"}", beyond], &["{\"Key\":\"guessed\"}", beyond]] {
            assert!(say_all(65534, asked).contains("key"), "{asked:?}");
        }
    }
    let socket_of_its = "{\"Sockets\":{\"place\":\"Internet\",\"kind\":\"Tcp\",\"count\":1,\"transparent\":false}}";
    assert!(say_all(65534, &[socket_of_its]).contains("Done"));
    assert!(say_all(65534, &[&key, "\"Inventory\""]).contains("Inventory"));
    let say = |user: u32, text: &str| say_all(user, &[&key, text]);
    for wrong in [
        "{}",
        "\"Format\"",
        "{\"RemoveSandbox\":\"../../etc\"}",
        "{\"RemoveImage\":\"/\"}",
        "{\"Console\":\"\"}",
        "nonsense",
        "{\"Bind\":{\"place\":\"Host\",\"kind\":\"Tcp\",\"address\":\"0.0.0.0\",\"port\":22}}",
        "{\"Bind\":{\"place\":\"Host\",\"kind\":\"Tcp\",\"address\":\"127.0.0.1\",\"port\":80}}",
        "{\"Sockets\":{\"place\":{\"Interface\":\"inet\"},\"kind\":\"Tcp\",\"count\":1}}",
        "{\"Sockets\":{\"place\":\"Internet\",\"kind\":\"Tcp\",\"count\":100000}}",
        "{\"RemoveNetwork\":\"inet\"}",
        "{\"RemoveImage\":\"base\"}",
        "{\"RemoveImage\":\"base-shared\"}",
        "{\"PutImage\":{\"id\":\"base\",\"sandbox\":\"i-a\"}}",
    ] {
        assert!(say(65534, wrong).contains("Failed"), "{wrong}");
    }
    // Whoever speaks in others' names does so in those of the world outside.
    let as_one = |address| {
        format!("{{\"Bind\":{{\"place\":\"Internet\",\"kind\":\"Udp\",\"address\":\"{address}\",\"port\":53}}}}")
    };
    assert!(say(65534, &as_one(world.public(10))).contains("Failed"));
    assert!(say(65534, &as_one(Ipv4Addr::new(203, 0, 113, 80))).contains("Done"));
    assert!(say(65534, "\"Inventory\"").contains("Inventory"), "it still serves");
    let _: Ipv4Addr = world.config.host();
}

fn a_machine_says_of_itself_what_its_type_has() {
    let world = Fixture::new();
    world.ask(simple());
    world.instance(&Instance { vcpus: 1, memory_mib: 700, ..Instance::new("a", "10.0.1.10") });
    world.instance(&Instance { vcpus: 96, ..Instance::new("b", "10.0.1.11") });
    let count = "grep -c ^processor /proc/cpuinfo; python3 -c 'import os; print(os.cpu_count())'; cat /sys/devices/system/cpu/online";
    assert_eq!(world.run("a", &format!("nproc; {count}")), "1\n1\n1\n0\n");
    assert_eq!(world.run("b", count), "96\n96\n0-95\n");
    assert_eq!(
        world
            .run("a", "echo x >/sys/x; echo x >/proc/meminfo; echo x >/proc/cpuinfo; umount /proc/meminfo; echo done")
            .lines()
            .last(),
        Some("done")
    );
    assert_eq!(world.run("a", "free -m | awk '/^Mem/{print $2}'"), "700\n");
    let available =
        || -> u64 { world.run("a", "awk '/^MemAvailable/{print int($2/1024)}' /proc/meminfo").trim().parse().unwrap() };
    assert!(available() > 500, "{}", available());
    world.run("a", "nohup python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)' >/dev/null 2>&1 &");
    until("what is used to be seen", || (available() < 300).then_some(()));
    world.run("a", "pkill python3");
    until("what is free again to be seen", || (available() > 500).then_some(()));
}
