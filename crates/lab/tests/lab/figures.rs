//! Outages, healing and verdicts of made-up loads.

use proptest::prelude::*;
use std::time::Duration;
use zonal_lab::measure::{Healing, Measure, Measured};
use zonal_lab::{At, Figures, Outcome, Sample, Verdict};

fn at(ms: u64) -> At {
    At(ms * 1000)
}

/// A request wanted at `ms` that took 100 ms.
fn sample(client: u32, ms: u64, ok: bool) -> Sample {
    let outcome = if ok { Outcome::Status(200) } else { Outcome::Status(504) };
    Sample { client, intended: at(ms), finished: at(ms + 100), outcome }
}

fn measured(clients: u32, samples: &[Sample], faults: &[u64], end: u64) -> Measured {
    let mut measure = Measure::new(at(0), clients);
    faults.iter().for_each(|&ms| measure.broke(at(ms), format!("fault at {ms}")));
    samples.iter().for_each(|sample| measure.record(sample));
    measure.finish(at(end))
}

fn figures(measured: &Measured) -> Figures {
    Figures::new(measured, Duration::ZERO, Duration::ZERO, &[])
}

#[test]
fn an_outage_lasts_from_the_first_loss_to_the_next_answer() {
    let samples =
        [(0, true), (1000, false), (2000, false), (5000, true), (6000, true)].map(|(ms, ok)| sample(0, ms, ok));
    let m = measured(1, &samples, &[], 10_000);
    let outage = m.longest_outage().expect("there is one");
    assert_eq!((outage.from, outage.to, outage.ended), (at(1000), at(5100), true));
    assert_eq!(m.outages.len(), 1);
    assert_eq!((m.seconds[1].failed, m.seconds[5].ok), (1, 1));
}

#[test]
fn outages_are_a_clients_own() {
    // One client's losses end with its own next answer, not with another's.
    let samples = [
        sample(0, 1000, false),
        sample(1, 1500, true),
        sample(1, 2000, false),
        sample(0, 3000, true),
        sample(1, 9000, true),
    ];
    let m = measured(2, &samples, &[], 10_000);
    let spans: Vec<_> = m.outages.iter().map(|o| (o.client, o.from, o.to)).collect();
    assert_eq!(spans, [(0, at(1000), at(3100)), (1, at(2000), at(9100))]);
    assert_eq!(m.peak_down(), 2);
}

#[test]
fn who_never_gets_an_answer_again_is_down_to_the_end() {
    let m = measured(1, &[sample(0, 0, true), sample(0, 1000, false)], &[500], 60_000);
    let outage = m.longest_outage().expect("there is one");
    assert_eq!((outage.to, outage.ended), (at(60_000), false));
    assert_eq!(m.recoveries[0].healing, Healing::Down { watched: Duration::from_millis(59_500) });
    assert_eq!(figures(&m).verdict(), Verdict::AllDownForGood);
}

#[test]
fn a_service_has_healed_from_its_last_loss_on() {
    let samples =
        [(0, true), (11_000, false), (14_000, true), (17_000, false), (18_000, true)].map(|(ms, ok)| sample(0, ms, ok));
    let m = measured(1, &samples, &[10_000], 60_000);
    assert_eq!(m.recoveries[0].healing, Healing::Healed { after: Duration::from_secs(7) });
}

#[test]
fn each_loss_is_put_down_to_the_last_fault_before_it() {
    let samples = [(1500, false), (2000, true), (12_000, true)].map(|(ms, ok)| sample(0, ms, ok));
    let m = measured(1, &samples, &[1000, 10_000], 60_000);
    let healings: Vec<_> = m.recoveries.iter().map(|recovery| recovery.healing).collect();
    assert_eq!(healings, [Healing::Healed { after: Duration::from_millis(500) }, Healing::Unharmed]);
}

#[test]
fn all_down_means_nine_of_ten_at_once() {
    let check = |down: u32, verdict| {
        let lost = (0..down).map(|client| sample(client, 1000, false));
        let back = (0..10).map(|client| sample(client, 5000, true));
        let all: Vec<_> = lost.chain(back).collect();
        assert_eq!(figures(&measured(10, &all, &[500], 10_000)).verdict(), verdict, "{down} of 10");
    };
    check(0, Verdict::Unharmed);
    check(1, Verdict::PartDownThenBack);
    check(8, Verdict::PartDownThenBack);
    check(9, Verdict::AllDownThenBack);
}

#[test]
fn a_redirect_is_an_answer_and_an_error_page_is_not() {
    let check = |outcome: Outcome, ok| assert_eq!(outcome.is_ok(), ok, "{outcome:?}");
    check(Outcome::Status(200), true);
    check(Outcome::Status(302), true);
    check(Outcome::Status(404), false);
    check(Outcome::Status(503), false);
    check(Outcome::Timeout, false);
}

proptest! {
    #[test]
    fn outages_are_what_a_plain_reading_of_the_samples_gives(
        // (client, gap to its last request, whether it was answered)
        steps in proptest::collection::vec((0u32..4, 1u64..5000, any::<bool>()), 0..200),
    ) {
        let mut clocks = [0u64; 4];
        let samples: Vec<_> = steps.iter().map(|&(client, gap, ok)| {
            clocks[client as usize] += gap;
            sample(client, clocks[client as usize], ok)
        }).collect();
        let end = 2_000_000;
        let m = measured(4, &samples, &[0], end);
        let mut expected = Vec::new();
        for client in 0..4 {
            let own: Vec<_> = samples.iter().filter(|s| s.client == client).collect();
            let mut rest = own.as_slice();
            while let Some(first) = rest.iter().position(|s| !s.outcome.is_ok()) {
                let from = rest[first].intended;
                let back = rest[first..].iter().position(|s| s.outcome.is_ok()).map(|n| first + n);
                expected.push((from, client, back.map_or(at(end), |back| rest[back].finished)));
                rest = back.map_or(&[], |back| &rest[back..]);
            }
        }
        expected.sort_unstable();
        let got: Vec<_> = m.outages.iter().map(|o| (o.from, o.client, o.to)).collect();
        prop_assert_eq!(got, expected);
        let f = figures(&m);
        prop_assert_eq!(f.requests, samples.len() as u64);
        prop_assert_eq!(m.seconds.iter().map(|s| u64::from(s.ok + s.failed)).sum::<u64>(), f.requests);
        prop_assert!(f.clients_down <= f.clients && f.clients_down <= f.clients_hit);
        prop_assert!((0.0..=1.0).contains(&f.availability()));
        prop_assert_eq!(f.lost == 0, f.verdict() == Verdict::Unharmed);
    }
}
