//! One target's health checks: when to ask, and what the answers make of the target.
//!
//! As the ELB guide has it (Health checks for Application Load Balancer target groups): one success
//! makes an initial target healthy; after that, thresholds of successes or failures in a row turn
//! it.

use std::time::Duration;

use super::matcher::Matcher;
use crate::config::{CheckProtocol, Health, HealthCheck, HealthReason, HealthState};

/// A point in virtual time, since whatever the caller counts from.
pub type Time = Duration;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection stood; no more was asked.
    Connected,
    /// An answer came with this status.
    Status(u16),
    /// Nothing, in time.
    TimedOut,
    /// Refused, reset, closed early or not HTTP.
    Failed,
    /// The balancer itself could not ask: says nothing about the target.
    Unasked,
}

/// The checks of one target.
#[derive(Clone, Debug)]
pub struct Checker {
    check: HealthCheck,
    matcher: Matcher,
    schedule: Schedule,
    /// Outcomes in a row that speak against the present state.
    streak: u32,
    health: Health,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schedule {
    Due(Time),
    /// A check is out since then.
    Out(Time),
}

impl Checker {
    /// A target just registered, to be asked at once.
    pub fn new(check: HealthCheck, now: Time) -> Self {
        Self {
            matcher: matcher_of(&check),
            check,
            schedule: Schedule::Due(now),
            streak: 0,
            health: initial(HealthReason::RegistrationInProgress),
        }
    }

    /// The health that the checks so far add up to.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The settings.
    pub fn check(&self) -> &HealthCheck {
        &self.check
    }

    /// When the next check is due; `None` while one is out.
    pub fn due(&self) -> Option<Time> {
        match self.schedule {
            Schedule::Due(at) => Some(at),
            Schedule::Out(_) => None,
        }
    }

    /// New settings: the state stands, the streak does not, and the next check comes no later than
    /// the new interval says.
    pub fn reconfigure(&mut self, check: HealthCheck, now: Time) {
        if let Schedule::Due(at) = self.schedule {
            self.schedule = Schedule::Due(at.min(now + check.interval));
        }
        self.matcher = matcher_of(&check);
        self.check = check;
        self.streak = 0;
    }

    /// A check goes out. True if the health that shows has changed.
    pub fn begin(&mut self, now: Time) -> bool {
        self.schedule = Schedule::Out(now);
        self.become_(match self.health.state {
            HealthState::Initial => initial(HealthReason::InitialHealthChecking),
            _ => self.health.clone(),
        })
    }

    /// A check is back. True if the health that shows has changed.
    pub fn finish(&mut self, outcome: Outcome, now: Time) -> bool {
        let Schedule::Out(began) = self.schedule else { return false };
        self.schedule = Schedule::Due(now.max(began + self.check.interval));
        if outcome == Outcome::Unasked {
            return false;
        }
        match self.complaint(outcome) {
            None => self.succeed(),
            Some(complaint) => self.fail(complaint),
        }
    }

    fn succeed(&mut self) -> bool {
        let needed = match self.health.state {
            HealthState::Initial => 1,
            HealthState::Unhealthy => self.check.healthy_threshold,
            _ => {
                self.streak = 0;
                return false;
            }
        };
        self.streak = match self.health.state {
            // An initial target's streak counts failures: one success ends the matter.
            HealthState::Initial => 1,
            _ => self.streak + 1,
        };
        if self.streak < needed {
            return false;
        }
        self.streak = 0;
        self.become_(Health { state: HealthState::Healthy, reason: None, description: None })
    }

    fn fail(&mut self, complaint: Health) -> bool {
        if self.health.state == HealthState::Unhealthy {
            self.streak = 0;
            return self.become_(complaint);
        }
        self.streak += 1;
        if self.streak < self.check.unhealthy_threshold {
            return false;
        }
        self.streak = 0;
        self.become_(complaint)
    }

    fn become_(&mut self, health: Health) -> bool {
        let changed = self.health != health;
        self.health = health;
        changed
    }

    fn complaint(&self, outcome: Outcome) -> Option<Health> {
        let (reason, description) = match (outcome, &self.check.protocol) {
            (Outcome::Connected, CheckProtocol::Tcp) => return None,
            (Outcome::Status(status), CheckProtocol::Http { .. } | CheckProtocol::Https { .. }) => {
                if self.matcher.matches(status) {
                    return None;
                }
                (HealthReason::ResponseCodeMismatch, format!("Health checks failed with these codes: [{status}]"))
            }
            (Outcome::TimedOut, _) => (HealthReason::Timeout, "Request timed out".to_owned()),
            _ => (HealthReason::FailedHealthChecks, "Health checks failed".to_owned()),
        };
        Some(Health { state: HealthState::Unhealthy, reason: Some(reason), description: Some(description) })
    }
}

fn matcher_of(check: &HealthCheck) -> Matcher {
    match &check.protocol {
        CheckProtocol::Http { matcher, .. } | CheckProtocol::Https { matcher, .. } => Matcher::parse(matcher),
        CheckProtocol::Tcp => Matcher::parse(""),
    }
}

fn initial(reason: HealthReason) -> Health {
    let description = match reason {
        HealthReason::RegistrationInProgress => "Target registration is in progress",
        _ => "Initial health checks in progress",
    };
    Health { state: HealthState::Initial, reason: Some(reason), description: Some(description.to_owned()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(healthy_threshold: u32, unhealthy_threshold: u32) -> HealthCheck {
        HealthCheck {
            protocol: CheckProtocol::Http { path: "/".to_owned(), matcher: "200".to_owned() },
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold,
            unhealthy_threshold,
        }
    }

    fn run(checker: &mut Checker, outcome: Outcome) -> bool {
        let at = checker.due().expect("no check is out");
        checker.begin(at);
        checker.finish(outcome, at + Duration::from_secs(1))
    }

    #[test]
    fn one_success_makes_an_initial_target_healthy() {
        let mut checker = Checker::new(check(5, 2), Time::ZERO);
        assert_eq!(checker.health().reason, Some(HealthReason::RegistrationInProgress));
        assert!(checker.begin(Time::ZERO));
        assert_eq!(checker.health().reason, Some(HealthReason::InitialHealthChecking));
        assert!(checker.finish(Outcome::Status(200), Time::ZERO));
        assert_eq!(checker.health().state, HealthState::Healthy);
        assert_eq!(checker.due(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn failures_must_be_in_a_row() {
        let mut checker = Checker::new(check(2, 2), Time::ZERO);
        run(&mut checker, Outcome::Status(200));
        assert!(!run(&mut checker, Outcome::TimedOut));
        assert!(!run(&mut checker, Outcome::Status(200)));
        assert!(!run(&mut checker, Outcome::Failed));
        assert!(run(&mut checker, Outcome::Status(404)));
        assert_eq!(checker.health().reason, Some(HealthReason::ResponseCodeMismatch));
        assert_eq!(checker.health().description.as_deref(), Some("Health checks failed with these codes: [404]"));
        // The newest reason shows.
        assert!(run(&mut checker, Outcome::TimedOut));
        assert_eq!(checker.health().reason, Some(HealthReason::Timeout));
        assert!(!run(&mut checker, Outcome::Status(200)));
        assert!(run(&mut checker, Outcome::Status(200)));
        assert_eq!(checker.health().state, HealthState::Healthy);
    }

    #[test]
    fn what_could_not_be_asked_counts_for_nothing() {
        let mut checker = Checker::new(check(2, 2), Time::ZERO);
        run(&mut checker, Outcome::Status(200));
        run(&mut checker, Outcome::Failed);
        assert!(!run(&mut checker, Outcome::Unasked));
        assert_eq!(checker.health().state, HealthState::Healthy);
        assert!(run(&mut checker, Outcome::Failed));
    }

    #[test]
    fn a_check_that_outlasts_its_interval_is_followed_at_once() {
        let mut checker = Checker::new(check(2, 2), Time::ZERO);
        checker.begin(Time::ZERO);
        assert_eq!(checker.due(), None);
        checker.finish(Outcome::TimedOut, Duration::from_secs(12));
        assert_eq!(checker.due(), Some(Duration::from_secs(12)));
    }

    proptest! {
        /// Whatever came before, a threshold of equal outcomes in a row decides the state.
        #[test]
        fn a_full_streak_decides(
            history in prop::collection::vec(any::<bool>(), 0..40),
            healthy in 1u32..6, unhealthy in 1u32..6, last in any::<bool>(),
        ) {
            let mut checker = Checker::new(check(healthy, unhealthy), Time::ZERO);
            let outcome = |good| if good { Outcome::Status(200) } else { Outcome::Failed };
            for good in history {
                run(&mut checker, outcome(good));
            }
            for _ in 0..if last { healthy } else { unhealthy } {
                run(&mut checker, outcome(last));
            }
            let expected = if last { HealthState::Healthy } else { HealthState::Unhealthy };
            prop_assert_eq!(checker.health().state, expected);
        }
    }
}
