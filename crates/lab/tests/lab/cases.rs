//! The case's files: the lab reads, and every template carries the application whole.

use crate::labs::Watcher;
use crate::toy::{Front, ToyWorld};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use zonal_lab::{LabSpec, RunOptions, Verdict, report, run, table};

fn case() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../cases/whatsthetime")
}

fn script() -> String {
    fs::read_to_string(case().join("app/user-data.sh")).expect("the case has its user data")
}

/// The literal blocks under `Fn::Base64: |` of a template, without their indentation.
fn embedded(template: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = template.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.trim() == "Fn::Base64: |");
    starts
        .map(|(start, key)| {
            let block = lines[start + 1..].iter().take_while(|line| line.is_empty() || depth(line) > depth(key));
            let text: String = block.map(|line| format!("{}\n", line.get(depth(key) + 2..).unwrap_or(""))).collect();
            format!("{}\n", text.trim_end())
        })
        .collect()
}

#[test]
fn every_template_carries_the_same_application() {
    for (phase, copies) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 1)] {
        let template = fs::read_to_string(case().join(format!("phase-{phase}.yaml"))).expect("a template per phase");
        let found = embedded(&template);
        assert_eq!(found.len(), copies, "phase {phase}");
        for text in found {
            assert_eq!(text, script(), "phase {phase}: run cases/whatsthetime/app/embed.py");
        }
        assert!(template.len() < 51_200, "CloudFormation takes a template body of 51,200 bytes");
    }
}

/// A word on a program that can't be run, which CI has to have.
fn skipped(program: &str, error: &std::io::Error) {
    assert!(std::env::var_os("ZONAL_STRICT").is_none(), "{program}: {error}");
    eprintln!("skipped: {program}: {error}");
}

/// Runs a checker over files; `None`, and a word on it, where it is not installed.
fn check_with(program: &str, args: &[&str], files: &[PathBuf]) -> Option<Output> {
    let run = Command::new(program).args(args).args(files).output();
    run.inspect_err(|error| skipped(program, error)).ok()
}

#[test]
fn all_templates_pass_cfn_lint() {
    let files: Vec<_> = (1..=6).map(|n| case().join(format!("phase-{n}.yaml"))).collect();
    let Some(output) = check_with("cfn-lint", &[], &files) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn user_data_is_a_shell_script_that_parses() {
    assert!(script().starts_with("#!/bin/sh\n"), "cloud-init runs what names its interpreter");
    let Some(output) = check_with("sh", &["-n"], &[case().join("app/user-data.sh")]) else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn user_data_is_within_what_ec2_takes() {
    assert!(script().len() <= 16 * 1024);
}

#[test]
fn phase_2_differs_from_phase_1_in_nothing_but_the_instance_type() {
    let read = |n| fs::read_to_string(case().join(format!("phase-{n}.yaml"))).expect("a template per phase");
    let (one, two) = (read(1), read(2));
    let differing: Vec<_> =
        one.lines().zip(two.lines()).filter(|(a, b)| a != b).map(|(a, b)| (a.trim(), b.trim())).collect();
    let resources: Vec<_> = differing.iter().filter(|(a, _)| !a.starts_with("Description:")).collect();
    assert_eq!(resources, [&("InstanceType: t2.micro", "InstanceType: m5.large")]);
    assert_eq!(one.lines().count(), two.lines().count());
}

#[test]
fn the_lab_has_six_phases_that_fit_three_minutes() {
    let lab = LabSpec::load(&case().join("lab.toml")).expect("the lab reads");
    assert_eq!(lab.phases.iter().map(|phase| phase.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let loads: f64 = lab.phases.iter().map(|phase| phase.duration.as_secs_f64() / f64::from(phase.speed)).sum();
    assert!(loads < 110.0, "{loads} s of load leave no time to deploy");
    for phase in &lab.phases {
        assert!(phase.template.is_file(), "{}", phase.template.display());
        let real_rate = phase.load.rate * f64::from(phase.speed);
        assert!(real_rate <= 250.0, "phase {}: {real_rate} requests in a real second", phase.number);
        assert!(!phase.expect.is_empty() && phase.shows != Verdict::Unharmed);
    }
}

/// The fronts that the six templates stand for.
fn front_of(template: &str) -> Option<Front> {
    let detect = Duration::from_secs(25);
    match template {
        "phase-4.yaml" => Some(Front::Record { ttl: Duration::from_secs(3600) }),
        "phase-5.yaml" | "phase-6.yaml" => Some(Front::Balancer { detect }),
        _ => Some(Front::Addresses),
    }
}

#[test]
fn in_a_world_that_does_as_aws_documents_every_expectation_is_met() {
    let lab = LabSpec::load(&case().join("lab.toml")).expect("the lab reads");
    let mut world = ToyWorld::new(Front::Addresses);
    world.front_of = front_of;
    let result = run(&lab, RunOptions::default(), &mut world, &mut Watcher::new(None));
    let result = result.expect("the lab runs");
    assert_eq!(result.phases.len(), 6);
    for phase in &result.phases {
        assert_eq!(phase.verdict, phase.expected, "phase {}: {}", phase.number, phase.sentence);
        for judged in &phase.expectations {
            assert_ne!(judged.met, Some(false), "phase {}: {judged:?}\n{}", phase.number, phase.sentence);
        }
    }
    if let Ok(folder) = std::env::var("ZONAL_LAB_REPORT") {
        let path = PathBuf::from(folder).join("whatsthetime.html");
        fs::write(path, report::html(&result, &[])).expect("the folder takes a file");
    }
    println!("{}", table::text(&result, &[]));
}

/// A child that dies with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers the three metadata requests of one start, as IMDSv2 does.
fn metadata(listener: &TcpListener) {
    for (expected, body) in [
        ("PUT /latest/api/token ", "TOKEN"),
        ("GET /latest/meta-data/instance-id ", "i-0123456789abcdef0"),
        ("GET /latest/meta-data/placement/availability-zone ", "us-east-1b"),
    ] {
        let (mut conn, _) = listener.accept().expect("the application asks its metadata");
        let mut head = String::new();
        let mut reader = BufReader::new(conn.try_clone().expect("a socket can be cloned"));
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head comes") > 0, "{head}");
        }
        assert!(head.starts_with(expected), "{head}");
        assert!(
            body == "TOKEN" || head.contains("X-aws-ec2-metadata-token: TOKEN\r\n"),
            "IMDSv2 wants the token: {head}"
        );
        write!(conn, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("it reads the answer");
    }
}

/// The application on a free port, its metadata answered; `None` where there is no python3.
fn application() -> Option<(Running, String)> {
    let script = script();
    let (_, rest) = script.split_once("<<'PYTHON'\n").expect("the user data holds the application");
    let (app, _) = rest.split_once("\nPYTHON\n").expect("it ends");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let imds = format!("http://{}", listener.local_addr().expect("it is bound"));
    let child = Command::new("python3")
        .args(["-c", app])
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds)
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .inspect_err(|error| skipped("python3", error))
        .ok()?;
    let mut running = Running(child);
    metadata(&listener);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says its port");
    let port = line.trim().rsplit(' ').next().expect("the line ends with the port").to_owned();
    Some((running, format!("127.0.0.1:{port}")))
}

#[test]
fn the_application_tells_the_time_and_who_it_is() {
    let Some((_running, address)) = application() else {
        return;
    };
    let ask = |requests: &str| {
        let mut conn = TcpStream::connect(&address).expect("it listens");
        conn.write_all(requests.as_bytes()).expect("it reads");
        let mut answer = String::new();
        conn.read_to_string(&mut answer).expect("it closes after the last request");
        answer
    };
    // Two requests on one connection: HTTP/1.1 keeps it.
    let both = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(both.contains("instance i-0123456789abcdef0\nzone us-east-1b\n"), "{both}");
    assert!(both.ends_with("\r\n\r\nok\n") && both.matches("HTTP/1.1 200 OK").count() == 2, "{both}");
    let check = |target: &str, status: &str| {
        let answer = ask(&format!("GET {target} HTTP/1.0\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {answer}");
    };
    check("/burn?ms=5", "200");
    check("/burn?ms=10001", "400");
    check("/burn?ms=-1", "400");
    check("/other", "404");
    assert_eq!(ask("nonsense\r\n\r\n"), "");
    assert!(ask("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n").starts_with("HTTP/1.1 405"));
}
