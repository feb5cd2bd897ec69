//! The conversation with the daemon: what it tells is done, and kept on disk; what is so is recited to it, and what changes reported.

use super::duties::Duties;
use super::kept::Kept;
use super::protocol::{Hear, Tell};
use super::reports::Reports;
use super::stock::Stocks;
use crate::error::{Error, Result};
use crate::frame;
use crate::warden::link::Link;
use crate::world::Config;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::{self, error::RecvError};

/// What the plane was told: what it does of it, and what is kept of it on disk.
pub(super) struct Told(Mutex<What>);

struct What {
    duties: Duties,
    kept: Kept,
}

impl Told {
    /// Takes up what was told before. To be called on a runtime.
    pub(super) fn start(config: &Config, link: Arc<Link>, reports: Reports) -> Result<Self> {
        let (kept, all) = Kept::open(&config.plane_directory().join("duties"))?;
        let mut duties = Duties::start(config, link, reports)?;
        for (key, duty) in &all {
            duties.put(key, duty);
        }
        Ok(Self(Mutex::new(What { duties, kept })))
    }

    /// What others need of what it does.
    pub(super) fn stocks(&self) -> Arc<Stocks> {
        self.what().duties.stocks()
    }

    fn what(&self) -> MutexGuard<'_, What> {
        // The daemon tells all anew when a word of its was not heard to the end.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does as it is told. Takes as long as a disk may.
    fn hear(&self, tell: Tell) {
        let mut what = self.what();
        let What { duties, kept } = &mut *what;
        let kept = match tell {
            Tell::Count(at) => {
                duties.count(at);
                Ok(())
            }
            Tell::Put(key, duty) => {
                if duties.put(&key, &duty) {
                    kept.put(&key, &duty)
                } else {
                    Ok(())
                }
            }
            Tell::Names(key, names) => match duties.put_names(&key, names) {
                news if news.is_empty() => Ok(()),
                news => kept.put_names(&key, &news, || duties.duty(&key)),
            },
            Tell::Drop(key) => {
                duties.drop_one(&key);
                kept.remove(&key)
            }
            Tell::Confirm(key, revision) => {
                duties.confirm(key, revision);
                Ok(())
            }
            Tell::Only(keys) => {
                let over: Vec<String> = duties.keys().filter(|key| !keys.contains(*key)).cloned().collect();
                over.iter().try_for_each(|key| {
                    duties.drop_one(key);
                    kept.remove(key)
                })
            }
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "what was told is not on disk");
        }
    }

    fn recite(&self) {
        self.what().duties.recite();
    }
}

/// Serves one daemon for as long as it stays.
pub(super) async fn converse(stream: UnixStream, told: Arc<Told>, reports: broadcast::Receiver<Arc<Hear>>) {
    let (mut reading, writing) = stream.into_split();
    let telling = tokio::spawn(report(writing, Arc::clone(&told), reports));
    loop {
        match hear(&mut reading).await {
            Ok(Some(tell)) => tokio::task::block_in_place(|| told.hear(tell)),
            Ok(None) => break,
            Err(error) => {
                tracing::error!(%error, "what the daemon says is not understood");
                break;
            }
        }
    }
    telling.abort();
}

/// Tells a daemon all that is so, and then what changes.
async fn report(mut writing: OwnedWriteHalf, told: Arc<Told>, mut reports: broadcast::Receiver<Arc<Hear>>) {
    tokio::task::block_in_place(|| told.recite());
    loop {
        match reports.recv().await {
            Ok(report) => {
                let whole = match frame::whole(&*report, frame::LONGEST) {
                    Ok(whole) => whole,
                    Err(reason) => {
                        tracing::error!(reason, "the daemon can't be told this");
                        continue;
                    }
                };
                if writing.write_all(&whole).await.is_err() {
                    return;
                }
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "the daemon was too slow to hear all: it is told all anew");
                tokio::task::block_in_place(|| told.recite());
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// The daemon's next word; nothing when it has hung up.
async fn hear(stream: &mut OwnedReadHalf) -> Result<Option<Tell>> {
    let failed = |message: String| Error::Protocol { peer: "daemon", message };
    let mut header = [0; 4];
    if stream.read_exact(&mut header).await.is_err() {
        return Ok(None);
    }
    let mut body = vec![0; frame::length(header).map_err(failed)?];
    if stream.read_exact(&mut body).await.is_err() {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Door, Duty};
    use super::super::stock::Ware;
    use super::super::testing::{DEADLINE, Directory};
    use super::*;
    use crate::warden::request::{Place, Reply, Request};
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;
    use std::time::Duration;
    use tokio::time::timeout;
    use zonal_balancer::config::*;
    use zonal_dns::config::{Check, Probe, RecordSet, Zone};
    use zonal_dns::table::NameSets;

    /// What a plane has been told; its directory must outlive it.
    fn told(directory: &Directory, link: Arc<Link>) -> (Arc<Told>, Reports) {
        let mut config = Config::new(directory.0.clone(), (0, 0));
        config.dns_port = 0;
        let reports = Reports::new();
        (Arc::new(Told::start(&config, link, reports.clone()).unwrap()), reports)
    }

    /// A health check of what no health check reaches.
    fn probe() -> Tell {
        let (id, host) = ("check".to_owned(), "127.0.0.1".to_owned());
        let probe = Probe { id, host, port: 1, check: Check::Tcp, interval: 30, threshold: 1 };
        Tell::Put("probe:check".to_owned(), Box::new(Duty::Probe(Box::new(probe))))
    }

    fn door() -> Tell {
        let (public, interface) = (Ipv4Addr::new(127, 100, 0, 9), "eni-1".to_owned());
        let door = Door { public, interface, tcp: BTreeSet::from([80]), udp: BTreeSet::new(), wide: Vec::new() };
        Tell::Put("door:127.100.0.9".to_owned(), Box::new(Duty::Door(door)))
    }

    /// A balancer with a listener, and a target that no listener leads to.
    fn balancer() -> Tell {
        let zone = "us-east-1a".to_owned();
        let target = Target {
            id: "i-1".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            port: 80,
            zone: zone.clone(),
            state: TargetState::Active,
        };
        let second = Duration::from_secs(1);
        let group = TargetGroup {
            id: "group".to_owned(),
            name: "group".to_owned(),
            protocol: TargetProtocol::default(),
            protocol_version: ProtocolVersion::default(),
            health_check: HealthCheck {
                protocol: CheckProtocol::Http { path: "/".to_owned(), matcher: "200".to_owned() },
                port: None,
                interval: second,
                timeout: second,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            targets: vec![target],
            deregistration_delay: second,
            cross_zone: true,
            flow: None,
            routing: GroupRouting::default(),
        };
        let config = BalancerConfig {
            id: "lb".to_owned(),
            revision: 1,
            nodes: vec![Node { interface: "eni-1".to_owned(), zone, address: Ipv4Addr::LOCALHOST }],
            listeners: vec![Listener {
                id: "listener".to_owned(),
                port: 80,
                tls: None,
                flow: None,
                default_action: Action::Forward(Forward::default()),
                rules: Vec::new(),
                response_headers: ResponseHeaders::default(),
            }],
            target_groups: vec![group],
            idle_timeout: second,
            http: HttpSettings::default(),
            cookie_secret: String::new(),
        };
        Tell::Put("balancer:lb".to_owned(), Box::new(Duty::Balancer(Box::new(config))))
    }

    async fn next(stream: &mut UnixStream) -> Hear {
        let read = async {
            let mut body = vec![0; stream.read_u32_le().await.unwrap() as usize];
            stream.read_exact(&mut body).await.unwrap();
            serde_json::from_slice(&body).unwrap()
        };
        timeout(DEADLINE, read).await.expect("a report in time")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_daemon_that_comes_is_told_what_is_so_of_targets_and_of_health_checks() {
        let directory = Directory::new("recited");
        let (told, reports) = told(&directory, directory.no_warden());
        told.hear(balancer());
        told.hear(probe());
        for daemon in ["the first", "the next"] {
            let (ours, mut its) = UnixStream::pair().unwrap();
            let talk = tokio::spawn(converse(ours, Arc::clone(&told), reports.subscribe()));
            let (mut target, mut check) = (false, false);
            while !target || !check {
                match next(&mut its).await {
                    Hear::Health(health) => target |= health.target == "i-1",
                    Hear::Probed { id, healthy, .. } => check |= id == "check" && healthy == Some(false),
                    Hear::Metrics { .. } | Hear::Failed { .. } | Hear::Served { .. } => {}
                }
            }
            drop(its);
            timeout(DEADLINE, talk).await.unwrap_or_else(|_| panic!("{daemon} has hung up")).unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_that_fails_is_reported_once_and_its_balancer_is_not_begun_anew() {
        let directory = Directory::new("listener");
        // The interface is there; its port can't be had.
        let link = directory.warden(|request| {
            Some((
                if matches!(request, Request::Sockets { .. }) { Reply::Done } else { Reply::Failed("no".into()) },
                vec![],
            ))
        });
        let (told, reports) = told(&directory, link);
        let mut heard = reports.subscribe();
        told.hear(balancer());
        let (mut failures, mut healths) = (0, 0);
        while let Ok(Ok(report)) = timeout(Duration::from_millis(2500), heard.recv()).await {
            match &*report {
                Hear::Failed { key, .. } => failures += usize::from(key == "lb"),
                Hear::Health(_) => healths += 1,
                _ => {}
            }
            assert!(failures < 2 && healths < 2, "{report:?} again");
        }
        assert_eq!((failures, healths), (1, 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sockets_of_a_node_that_is_its_balancers_no_more_are_let_go() {
        let directory = Directory::new("left");
        let (told, _) = told(&directory, directory.no_warden());
        let moved = |interface: &str, revision| {
            let Tell::Put(key, duty) = balancer() else { panic!("a duty") };
            let Duty::Balancer(mut config) = *duty else { panic!("a balancer") };
            config.nodes[0].interface = interface.to_owned();
            // Nothing of its own takes sockets.
            (config.revision, config.listeners, config.target_groups) = (revision, Vec::new(), Vec::new());
            Tell::Put(key, Box::new(Duty::Balancer(config)))
        };
        let ware = |interface: &str| Ware::tcp(Place::Interface(interface.to_owned()));
        told.hear(moved("eni-1", 1));
        for interface in ["eni-1", "eni-2"] {
            drop(told.stocks().take(&ware(interface)));
        }
        told.hear(moved("eni-2", 2));
        assert_eq!(told.stocks().wares(), [ware("eni-2")], "the other is its balancer's now");
        // A connection that goes on through the node takes of it once more.
        drop(told.stocks().take(&ware("eni-1")));
        told.hear(Tell::Count(0));
        assert_eq!(told.stocks().wares(), [ware("eni-2")]);
        told.hear(Tell::Drop("balancer:lb".to_owned()));
        assert_eq!(told.stocks().wares(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_warden_that_does_not_answer_holds_up_only_what_needs_it() {
        let directory = Directory::new("held");
        let (told, reports) = told(&directory, directory.warden(|_| None));
        let mut heard = reports.subscribe();
        told.hear(door());
        told.hear(probe());
        let report = timeout(DEADLINE, heard.recv()).await.expect("in time").unwrap();
        assert!(matches!(&*report, Hear::Probed { .. }), "{report:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_among_all_that_was_told_ends_and_is_kept_no_longer() {
        let directory = Directory::new("only");
        let (told, _) = told(&directory, directory.no_warden());
        for tell in [balancer(), probe(), door(), Tell::Drop("door:127.100.0.9".to_owned())] {
            told.hear(tell);
        }
        let kept = || {
            let (_, all) =
                Kept::open(&Config::new(directory.0.clone(), (0, 0)).plane_directory().join("duties")).unwrap();
            all.into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>()
        };
        assert_eq!(kept(), BTreeSet::from(["balancer:lb".to_owned(), "probe:check".to_owned()]));
        told.hear(Tell::Only(BTreeSet::from(["probe:check".to_owned()])));
        assert_eq!(kept(), BTreeSet::from(["probe:check".to_owned()]));
        assert_eq!(told.what().duties.keys().collect::<Vec<_>>(), ["probe:check"]);
    }

    /// A zone with one name, which has an address.
    fn zone(value: &str) -> Tell {
        let record = RecordSet {
            name: "a.test.".to_owned(),
            type_: "A".to_owned(),
            values: vec![value.to_owned()],
            ..RecordSet::default()
        };
        let zone = Zone { name: "test.".to_owned(), overlay: false, records: vec![record] };
        Tell::Put(
            "zone:public:test.".to_owned(),
            Box::new(Duty::Zone { view: "public".to_owned(), zone: Box::new(zone) }),
        )
    }

    /// The record sets of names, from such a zone.
    fn names(zone: &Tell) -> Tell {
        let Tell::Put(key, duty) = zone else { panic!("a zone") };
        let Duty::Zone { zone, .. } = &**duty else { panic!("a zone") };
        Tell::Names(key.clone(), NameSets::from([("a.test.".to_owned(), zone.records.clone())]))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_zone_is_confirmed_once_it_is_answered_by_or_gone_and_not_while_it_is_refused() {
        let directory = Directory::new("confirmed");
        let (told, reports) = told(&directory, directory.no_warden());
        let mut heard = reports.subscribe();
        let confirm = |revision| Tell::Confirm("zone:public:test.".to_owned(), revision);
        let mut served = async || match &*timeout(DEADLINE, heard.recv()).await.expect("in time").unwrap() {
            Hear::Served { revision, .. } => Some(*revision),
            Hear::Failed { .. } => None,
            other => panic!("{other:?}"),
        };
        [zone("192.0.2.1"), confirm(1)].into_iter().for_each(|tell| told.hear(tell));
        assert_eq!(served().await, Some(1));
        [names(&zone("192.0.2")), confirm(2)].into_iter().for_each(|tell| told.hear(tell));
        assert_eq!(served().await, None, "what is no address is refused");
        [names(&zone("192.0.2.3")), confirm(3)].into_iter().for_each(|tell| told.hear(tell));
        assert_eq!(served().await, Some(3), "and is not confirmed, but what comes after it is");
        // The next plane has the names that this one was told.
        let directory = Config::new(directory.0.clone(), (0, 0)).plane_directory().join("duties");
        let (_, kept) = Kept::open(&directory).unwrap();
        let Tell::Put(key, duty) = zone("192.0.2.3") else { panic!("a zone") };
        assert_eq!(kept, [(key.clone(), *duty)]);
        [Tell::Drop(key), confirm(4)].into_iter().for_each(|tell| told.hear(tell));
        assert_eq!(served().await, Some(4));
    }
}
