//! `zonal lab` as its users run it, in the virtual world.

use crate::Test;
use crate::world::{PROGRAM, signal, text, until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub const TESTS: &[Test] = &[
    ("a_modelled_lab_is_the_same_to_the_byte_for_the_same_seed", the_same_for_the_same_seed),
    ("a_modelled_lab_differs_for_another_seed", differs_for_another_seed),
    ("ctrl_c_ends_a_lab_with_130_after_all_is_down", ctrl_c_ends_a_lab),
    ("a_case_that_is_not_there_is_told_with_those_that_are", a_case_that_is_not_there),
];

/// A lab's command, where the cases are found.
fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("lab").args(arguments).stdin(Stdio::null());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

fn report(name: &str) -> String {
    format!("/tmp/zonal-all-{}-{name}.html", std::process::id())
}

/// A phase in the virtual world; what was printed, and the report's bytes.
fn modelled(phase: &str, seed: &str, more: &[&str]) -> (Output, Vec<u8>) {
    let page = report(&format!("lab-{phase}"));
    let common = ["whatsthetime", "--world", "sim", "--phase", phase, "--seed", seed, "--report", &page];
    let said = lab(&[&common, more].concat()).output().unwrap();
    assert!(said.status.success(), "{}", text(&said));
    let bytes = std::fs::read(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    (said, bytes)
}

fn the_same_for_the_same_seed() {
    for phase in ["5", "6"] {
        let [first, second] = [(); 2].map(|()| modelled(phase, "7", &[]));
        for (what, one, other) in [
            ("log", &first.0.stderr, &second.0.stderr),
            ("table", &first.0.stdout, &second.0.stdout),
            ("report", &first.1, &second.1),
        ] {
            assert!(!one.is_empty(), "phase {phase} has no {what}");
            let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
            let differ = lines(one).into_iter().zip(lines(other)).find(|(one, other)| one != other);
            assert!(one == other, "phase {phase}, {what}: {differ:#?}");
        }
    }
}

fn differs_for_another_seed() {
    let result = |seed: &str| {
        let (said, _) = modelled("6", seed, &["--json"]);
        let mut result: Value = serde_json::from_slice(&said.stdout).unwrap();
        // The seed itself is told beside.
        result["phases"].take()
    };
    let (one, other) = (result("7"), result("8"));
    assert!(one.is_array() && other.is_array());
    assert_ne!(one, other);
}

fn ctrl_c_ends_a_lab() {
    let page = report("stopped");
    let mut command = lab(&["whatsthetime", "--world", "sim", "--report", &page]);
    let mut lab = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(lab.stderr.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("Phase ")).expect("a phase begins");
    signal("INT", lab.id());
    let rest: Vec<String> = lines.collect();
    let status = until("the lab ends", || lab.try_wait().unwrap());
    assert_eq!(status.code(), Some(130), "{rest:#?}");
    assert!(rest.last().is_some_and(|line| line.contains("all was taken down")), "{rest:#?}");
    assert!(!Path::new(&page).exists(), "a stopped lab has no report");
}

fn a_case_that_is_not_there() {
    let said = lab(&["whatsthetim", "--world", "sim"]).output().unwrap();
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(errors.contains("`whatsthetim`") && errors.contains("there are: whatsthetime"), "{errors}");
}
