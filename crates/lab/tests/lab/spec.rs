//! `lab.toml`: mistakes are found, and named with their line.

use std::path::Path;
use std::time::Duration;
use zonal_lab::spec::{FaultKind, Target, Victim};
use zonal_lab::{LabSpec, Verdict};

const GOOD: &str = r#"name = "x"
title = "X"
deploy_speed = 20
teardown_speed = 100

[[phase]]
number = 1
title = "One"
limit = "L"
template = "one.yaml"
stack = "s"
speed = 20
duration = "2m"
shows = "all-down-for-good"
load = { rate = 5.0, clients = 20, outputs = ["Address"], timeout = "5s" }

[[phase.fault]]
at = "40s"
kind = "kill-instance"
number = 1
"#;

fn parse(text: &str) -> Result<LabSpec, String> {
    LabSpec::parse(text, Path::new("cases/x/lab.toml")).map_err(|e| e.to_string())
}

#[test]
fn a_good_file_reads() {
    let lab = parse(GOOD).expect("it is good");
    let phase = &lab.phases[0];
    assert_eq!(phase.template, Path::new("cases/x/one.yaml"));
    assert_eq!(phase.duration, Duration::from_secs(120));
    assert_eq!(phase.shows, Verdict::AllDownForGood);
    assert_eq!(phase.load.target, Target::Outputs(vec!["Address".into()]));
    assert_eq!((phase.load.port, phase.load.path.as_str(), phase.load.idle), (80, "/", None));
    assert_eq!(phase.faults[0].kind, FaultKind::KillInstance(Victim::Number(1)));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let check = |from: &str, to: &str, line: usize, message: &str| {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replace(from, to)).expect_err(to);
        assert!(error.starts_with(&format!("cases/x/lab.toml:{line}: ")) && error.contains(message), "{to}: {error}");
    };
    check("duration = \"2m\"", "duration = \"2 minutes\"", 13, "no span of time");
    check("timeout = \"5s\"", "timeout = \"\"", 15, "no span of time");
    check("speed = 20\nduration", "speed = 0\nduration", 12, "speed");
    check("deploy_speed = 20", "deploy_speed = 20000", 3, "speed");
    check("outputs = [\"Address\"]", "name = \"a\", outputs = [\"Address\"]", 15, "either a name or outputs");
    check("outputs = [\"Address\"]", "outputs = []", 15, "either a name or outputs");
    check("rate = 5.0", "rate = -5.0", 15, "rate");
    check("clients = 20", "clients = 0", 15, "clients");
    check("at = \"40s\"", "at = \"2m\"", 17, "already over");
}

#[test]
fn what_a_fault_lacks_is_said_at_the_fault() {
    let check = |from: &str, to: &str, message: &str| {
        let error = parse(&GOOD.replace(from, to)).expect_err(to);
        assert!(error.starts_with("cases/x/lab.toml:17: ") && error.contains(message), "{error}");
    };
    let kind = "kind = \"kill-instance\"\nnumber = 1";
    check(kind, "kind = \"kill-instance\"", "either an instance or a number");
    check(kind, "kind = \"cut-zone\"", "a zone");
    check(kind, "kind = \"cut-zone\"\nzone = \"us-east-1a\"", "a span");
    check(kind, "kind = \"load\"", "a factor");
}

#[test]
fn unknown_words_and_broken_toml_are_refused() {
    let check = |text: String, line: usize| {
        let error = parse(&text).expect_err("it is broken");
        assert!(error.starts_with(&format!("cases/x/lab.toml:{line}: ")), "{error}");
    };
    check(GOOD.replace("limit = ", "limits = "), 9);
    check(GOOD.replace("\"all-down-for-good\"", "\"perfect\""), 14);
    check(GOOD.replace("stack = \"s\"", "stack = "), 11);
    check(format!("{GOOD}\n[[phase.expect]]\nfigure = \"heal\"\ntext = \"t\"\nsource = \"s\"\nat_most = \"9%\"\n"), 22);
    check("name = \"x\"\ntitle = \"X\"\ndeploy_speed = 1\nteardown_speed = 1\n".into(), 1);
}

#[test]
fn a_phase_number_is_there_once() {
    let second = &GOOD[GOOD.find("[[phase]]").expect("there is one")..];
    let error = parse(&format!("{GOOD}\n{second}")).expect_err("it is there twice");
    assert!(error.contains(":22: phase 1 is there twice"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", cut in 0usize..400, byte in proptest::char::any()) {
        let _ = parse(&text);
        let mut mutated: String = GOOD.chars().take(cut).collect();
        mutated.push(byte);
        mutated.extend(GOOD.chars().skip(cut + 1));
        let _ = parse(&mutated);
    }
}
