//! Reports: complete, self-contained, escaped, and the same for the same lab.

use crate::labs::{lab, result};
use crate::toy::Front;
use std::time::Duration;
use zonal_lab::compare::compare;
use zonal_lab::{LabResult, report, table};

fn sample() -> LabResult {
    let kill = "[[phase.fault]]\nat = \"1m\"\nkind = \"kill-instance\"\nnumber = 3\n";
    let spec = lab("part-down-then-back", "3m", "name = \"toy.com\"", kill);
    result(&spec, Front::Balancer { detect: Duration::from_secs(20) })
}

#[test]
fn the_table_says_figures_expectation_and_verdict() {
    insta::assert_snapshot!(table::text(&sample(), &[]));
}

#[test]
fn the_report_is_drawn_whole() {
    insta::assert_snapshot!(report::html(&sample(), &compare(&sample(), &[sample()])));
}

#[test]
fn the_report_needs_nothing_from_elsewhere() {
    let html = report::html(&sample(), &[]);
    for word in ["<script", "src=", "href=", "url(", "@import", "https:"] {
        assert!(!html.contains(word), "{word}");
    }
    assert_eq!(html.matches("http://").count(), html.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn what_comes_from_a_world_is_escaped() {
    let mut result = sample();
    let evil = "</title><script>alert('x')</script>\"'&\u{1b}";
    result.title = evil.into();
    let phase = &mut result.phases[0];
    phase.title = evil.into();
    phase.sentence = evil.into();
    phase.figures.lost_by.insert(evil.into(), 1);
    for mark in &mut phase.timeline.marks {
        mark.resource = evil.into();
        mark.text = evil.into();
    }
    let html = report::html(&result, &compare(&result, std::slice::from_ref(&result)));
    assert!(!html.contains("<script") && !html.contains("alert('") && !html.contains('\u{1b}'));
    assert_eq!(html.matches("</title>").count(), html.matches("<title>").count());
}

#[test]
fn a_result_survives_json() {
    let result = sample();
    let text = result.to_json().expect("it is plain data");
    assert_eq!(LabResult::from_json(&text).expect("it reads back"), result);
    let error = LabResult::from_json("{\n\"name\": 1}").expect_err("it is none");
    let place = std::error::Error::source(&error).map(ToString::to_string);
    assert!(place.is_some_and(|place| place.contains("line 2")));
}

#[test]
fn worlds_agree_within_a_tenth_or_an_interval() {
    let real = sample();
    let check = |outage: Duration, agrees: bool| {
        let mut modelled = real.clone();
        modelled.phases[0].figures.outage = outage;
        assert_eq!(compare(&real, &[modelled])[0].agrees, agrees, "{outage:?}");
    };
    let outage = real.phases[0].figures.outage;
    check(outage, true);
    check(outage + Duration::from_secs(10), true);
    check(outage + Duration::from_secs(11), false);
    let modelled = |outage: Duration| {
        let mut modelled = real.clone();
        modelled.phases[0].figures.outage = outage;
        modelled
    };
    let among = [modelled(outage / 2), modelled(outage * 2)];
    assert!(compare(&real, &among)[0].agrees, "between two seeds' figures is among them");
    let beyond = [modelled(outage + Duration::from_secs(11)), modelled(outage * 2)];
    assert!(!compare(&real, &beyond)[0].agrees, "further off than the nearest allows");
    let mut other = real.clone();
    other.phases[0].number = 9;
    assert!(compare(&real, &[other]).is_empty());
}
