//! Static stability: what serves goes on when the control plane is dead, and when it comes back.

use crate::Test;
use crate::world::{TestWorld, case, get, lookup, signal, text, until};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] =
    &[("traffic_goes_on_without_a_daemon_and_the_next_one_adopts_what_runs", traffic_goes_on_without_a_daemon)];

/// The name of the case's site.
const NAME: &str = "whatsthetime.com";

/// Clients that never stop asking: pages and names.
struct Load {
    end: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    lost: Arc<Mutex<Vec<String>>>,
    instances: Arc<Mutex<BTreeSet<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(addresses: Vec<Ipv4Addr>, dns: u16) -> Self {
        let mut load = Self {
            end: Arc::default(),
            answered: Arc::default(),
            lost: Arc::default(),
            instances: Arc::default(),
            threads: Vec::new(),
        };
        for client in 0..3 {
            let (end, answered, lost, instances) =
                (load.end.clone(), load.answered.clone(), load.lost.clone(), load.instances.clone());
            let addresses = addresses.clone();
            load.threads.push(std::thread::spawn(move || {
                let mut turn = client;
                while !end.load(Ordering::Relaxed) {
                    turn += 1;
                    let asked = if client == 0 {
                        lookup(dns, NAME)
                            .filter(|found| !found.is_empty())
                            .map(drop)
                            .ok_or_else(|| "no address".to_owned())
                    } else {
                        match get(addresses[turn % addresses.len()], NAME, "/") {
                            Ok((200, body)) => {
                                let instance =
                                    body.lines().find_map(|line| line.strip_prefix("instance ")).unwrap_or_default();
                                instances.lock().unwrap().insert(instance.to_owned());
                                Ok(())
                            }
                            other => Err(format!("{other:?}")),
                        }
                    };
                    match asked {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Err(what) => lost.lock().unwrap().push(what),
                    }
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }));
        }
        load
    }

    /// Waits until so many more were answered.
    fn more(&self, count: u64, what: &str) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        until(&format!("answers {what}; lost so far: {:?}", self.lost.lock().unwrap()), || {
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    fn end(self) -> (u64, Vec<String>, BTreeSet<String>) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let (lost, instances) = (self.lost.lock().unwrap().clone(), self.instances.lock().unwrap().clone());
        (self.answered.load(Ordering::Relaxed), lost, instances)
    }
}

/// When the PID 1 of each instance started.
fn boots(world: &TestWorld, instances: &BTreeSet<String>) -> BTreeMap<String, String> {
    let boot = |id: &String| {
        let said = world.zonal(&["ssh", id, "--", "stat -c %Y /proc/1"]);
        assert!(said.status.success(), "{}", text(&said));
        (id.clone(), text(&said))
    };
    instances.iter().map(boot).collect()
}

fn traffic_goes_on_without_a_daemon() {
    let world = TestWorld::real_one();
    let deployed = world.zonal(&["deploy", case(5).to_str().unwrap(), "--stack", "web"]);
    assert!(deployed.status.success(), "{}", text(&deployed));
    let addresses = until("the site's addresses", || lookup(world.dns, NAME).filter(|found| !found.is_empty()));
    until("a page", || addresses.iter().all(|address| matches!(get(*address, NAME, "/"), Ok((200, _)))).then_some(()));
    let instances: BTreeSet<String> = world.running().into_keys().collect();
    assert_eq!(instances.len(), 3);
    // All three must be in rotation before what is lost counts.
    let mut seen = BTreeSet::new();
    until("each instance's answer", || {
        let (_, body) = get(addresses[0], NAME, "/").ok()?;
        seen.insert(body.lines().find_map(|line| line.strip_prefix("instance "))?.to_owned());
        (seen == instances).then_some(())
    });
    let boots_before = boots(&world, &instances);

    let load = Load::start(addresses, world.dns);
    load.more(50, "with a daemon");
    let before = world.processes();
    // The supervisor is held still, so that nobody starts the daemon again for a while.
    signal("STOP", before["supervise"]);
    signal("KILL", before["daemon"]);
    let dead_since = Instant::now();
    until("silence of the API", || std::net::TcpStream::connect(world.api()).is_err().then_some(()));
    while dead_since.elapsed() < Duration::from_secs(2) {
        load.more(100, "without a daemon");
    }
    let dead_for = dead_since.elapsed();
    signal("CONT", before["supervise"]);
    let running = until("another daemon", || {
        let up = world.call("ec2", "DescribeInstances", serde_json::json!({})).is_ok();
        up.then(|| world.running())
    });
    load.more(300, "with another daemon");
    let (answered, lost, answering) = load.end();
    assert_eq!(
        lost,
        Vec::<String>::new(),
        "of {} requests, the daemon being dead for {dead_for:?}",
        answered + lost.len() as u64
    );
    assert_eq!(running.into_keys().collect::<BTreeSet<_>>(), instances, "the instances that the next daemon knows");
    assert_eq!(answering, instances, "the instances that answered");
    assert_eq!(boots(&world, &instances), boots_before, "none was started again");
    let after = world.processes();
    assert_ne!(after["daemon"], before["daemon"]);
    assert_eq!((after["plane"], after["warden"]), (before["plane"], before["warden"]));
    println!("{answered} requests answered, none lost; the daemon was dead for {dead_for:?}");
}
