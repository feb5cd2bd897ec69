//! Health checks from outside: a connection at each interval, judged as the DNS plane's own core does.

use crate::events::{Event, micros};
use crate::requests::Ending;
use crate::world::Inner;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use zonal_dns::config::{Check, PUBLIC, Probe};
use zonal_dns::probe::{ANSWER_TIMEOUT, Outcome, Streak, connect_timeout};
use zonal_substrate::Report;

/// Where health checkers connect from: nowhere in particular on the internet.
const CHECKER: Ipv4Addr = Ipv4Addr::new(15, 177, 0, 1);

/// The health checks that run, by id.
#[derive(Default)]
pub(crate) struct Probes {
    running: BTreeMap<String, Running>,
    rounds: u64,
}

struct Running {
    probe: Probe,
    /// Which start of the check is meant: events of an earlier one mean nothing.
    round: u64,
    streak: Streak,
    told: Option<Report>,
}

impl Probes {
    pub(crate) fn remove(&mut self, id: &str) {
        self.running.remove(id);
    }
}

impl Inner {
    pub(crate) fn put_probe(&mut self, probe: Probe) {
        self.probes.rounds += 1;
        let (id, round) = (probe.id.clone(), self.probes.rounds);
        self.probes.running.insert(id.clone(), Running { probe, round, streak: Streak::default(), told: None });
        self.agenda.plan(self.now, Event::ProbeDue { id, round });
    }

    pub(crate) fn probe_from_outside(&mut self, id: &str, round: u64) {
        let found = self.probes.running.get(id).filter(|running| running.round == round);
        let Some(probe) = found.map(|running| running.probe.clone()) else { return };
        let (address, outcome) = self.outcome(&probe);
        let took = match &outcome {
            Outcome::Failure(text) if text.contains("timed out") => connect_timeout(&probe.check),
            _ => Duration::ZERO,
        };
        let next = self.now + micros(Duration::from_secs(probe.interval.max(1).into()) + took);
        if let Some(running) = self.probes.running.get_mut(id) {
            let healthy = running.streak.note(outcome.is_success(), probe.threshold);
            let report = Report::Probed { id: id.to_owned(), healthy, address, outcome: outcome.to_string() };
            if running.told.as_ref() != Some(&report) {
                running.told = Some(report.clone());
                self.reports.push(report);
            }
        }
        self.agenda.plan(next, Event::ProbeDue { id: id.to_owned(), round });
    }

    fn outcome(&mut self, probe: &Probe) -> (Option<IpAddr>, Outcome) {
        let failure = |text: &str| Outcome::Failure(text.to_owned());
        self.draws += 1;
        let address = match probe.host.parse::<Ipv4Addr>() {
            Ok(address) => Some(address),
            Err(_) => self.names.addresses(PUBLIC, &probe.host, self.draws).into_iter().find_map(|ip| match ip {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            }),
        };
        let Some(address) = address else { return (None, failure("The name could not be resolved")) };
        let visit = self.request(CHECKER, address, probe.port);
        let outcome = match (visit.ending, &probe.check) {
            (Ending::Silence, _) => failure("Connection timed out"),
            (Ending::Refused, _) => failure("The connection failed: Connection refused"),
            (Ending::Status(_), Check::Tcp) => Outcome::Success("TCP connection established".to_owned()),
            (Ending::Status(_), Check::Http { .. }) if visit.after > ANSWER_TIMEOUT => {
                failure("The endpoint did not answer within the time allowed")
            }
            // What stands in a body is not modelled: a text that is looked for counts as found.
            (Ending::Status(code), Check::Http { .. }) if (200..400).contains(&code) => {
                Outcome::Success(format!("HTTP Status Code {code}"))
            }
            (Ending::Status(code), Check::Http { .. }) => Outcome::Failure(format!("HTTP Status Code {code}")),
        };
        (Some(address.into()), outcome)
    }
}
