//! `doctor`, `deploy` and `ssh` as their users run them.

use crate::Test;
use crate::world::{PROGRAM, RANGE, TestWorld, case, free_port, signal, text, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

pub const VIRTUAL: &[Test] = &[
    ("doctor_says_whether_the_real_world_can_run", doctor_says_whether_the_real_world_can_run),
    ("deploy_creates_updates_and_then_has_nothing_to_change", deploy_creates_updates_and_then_has_nothing_to_change),
    ("deploy_says_what_failed_and_may_be_tried_again", deploy_says_what_failed_and_may_be_tried_again),
    ("deploy_shows_the_line_of_a_malformed_template", deploy_shows_the_line_of_a_malformed_template),
    ("a_deployment_that_is_interrupted_says_that_its_stack_goes_on", deploy_interrupted),
    ("status_leaves_out_terminated_instances_and_says_how_many", status_leaves_out_what_is_terminated),
    ("status_says_until_when_a_zone_is_cut_and_mending_what_is_whole_says_so", status_of_a_cut_zone),
    ("a_purge_removes_the_empty_home_that_a_broken_off_one_left", purge_of_an_empty_home),
    ("help_of_help_and_of_commands_is_printed", help_is_printed),
    ("a_region_that_is_not_there_has_no_environment", env_of_no_region),
    ("a_virtual_instance_has_no_shell", a_virtual_instance_has_no_shell),
    ("logs_take_a_name_and_follow_until_the_instance_is_terminated", logs_follow),
    ("an_instance_that_is_not_there_is_told_in_plain_words", an_instance_that_is_not_there),
    ("an_instance_is_broken_by_its_name", an_instance_is_broken_by_its_name),
    ("a_cut_without_an_end_after_one_with_an_end_says_so", a_cut_without_an_end),
    ("up_in_the_foreground_says_that_down_ended_it", up_says_that_down_ended_it),
    ("up_under_nohup_outlives_its_terminal", up_under_nohup),
    ("a_virtual_start_that_is_interrupted_leaves_nothing_running", virtual_start_interrupted),
    ("a_world_that_is_refused_for_a_busy_port_leaves_no_directory", a_world_refused_for_a_busy_port),
    ("status_shows_stacks_load_balancers_and_hosted_zones", status_shows_what_there_is),
];

pub const REAL: &[Test] = &[
    ("ssh_runs_a_command_and_ends_as_it_did", ssh_runs_a_command_and_ends_as_it_did),
    ("a_start_that_is_interrupted_leaves_nothing_running", start_interrupted),
    ("a_second_world_on_a_range_is_refused_and_one_killed_starts_again_on_its_own", a_second_world_on_a_range),
    ("a_home_that_the_control_plane_cannot_enter_is_refused_by_name", a_home_that_cannot_be_entered),
];

fn a_home_that_cannot_be_entered() {
    use std::os::unix::fs::PermissionsExt;
    let shut = std::path::PathBuf::from(format!("/tmp/zonal-all-{}-shut", std::process::id()));
    std::fs::create_dir(&shut).unwrap();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
    let home = shut.join("world");
    // Who calls sudo is whom the control plane runs as: here nobody, whatever account set-up made.
    let up = |home: &std::path::Path| {
        let mut up = Command::new(PROGRAM);
        up.args(["up", "--world", "linux", "--detach", "--port", "0", "--dns-port", "0", "--home"]).arg(home);
        up.env("SUDO_UID", "65534").env("SUDO_GID", "65534").output().unwrap()
    };
    let said = up(&home);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let expected = format!("who may not enter {} (mode 700)", shut.display());
    assert!(text(&said).contains(&expected) && text(&said).contains("--home"), "{}", text(&said));
    std::fs::remove_dir_all(&shut).unwrap();
}

fn a_second_world_on_a_range() {
    let world = TestWorld::real_one();
    let home = format!("/tmp/zonal-all-{}-second", std::process::id());
    let (port, dns, range) = (free_port().to_string(), free_port().to_string(), RANGE.to_string());
    let mut up = Command::new(PROGRAM);
    up.args([
        "up",
        "--world",
        "linux",
        "--detach",
        "--home",
        &home,
        "--port",
        &port,
        "--dns-port",
        &dns,
        "--range",
        &range,
    ]);
    let said = up.output().unwrap();
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let expected =
        format!("zonal: the world in {} has the public addresses 127.109.0.0/16: --range N", world.home.display());
    assert!(text(&said).starts_with(&expected), "{}", text(&said));
    assert!(!std::path::Path::new(&home).exists(), "{home} was made");
    // What is left of a world that was killed is its own, and no other's.
    let processes = world.processes();
    ["supervise", "daemon"].iter().for_each(|role| signal("KILL", processes[*role]));
    let again = world.up();
    assert!(again.status.success(), "{}{}", text(&again), world.log());
}

fn doctor_says_whether_the_real_world_can_run() {
    let said = Command::new(PROGRAM).args(["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let can = report["real_world"].as_bool().unwrap();
    assert_eq!(said.status.code(), Some(if can { 0 } else { 3 }), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    let missing: Vec<&Value> = checks.iter().filter(|check| check["finding"] == "missing").collect();
    assert_eq!(can, missing.is_empty(), "{report:#}");
    for check in checks.iter().filter(|check| check["finding"] != "ok") {
        assert!(check["remedy"].is_string(), "what to do about {check}");
    }
}

fn template(name: &str, body: &str) -> String {
    let path = format!("/tmp/zonal-all-{}-{name}.yaml", std::process::id());
    std::fs::write(&path, body).unwrap();
    path
}

fn deploy_creates_updates_and_then_has_nothing_to_change() {
    let world = TestWorld::virtual_one(&["--speed", "1000"]);
    let deploy = |phase: u32| world.zonal(&["deploy", case(phase).to_str().unwrap(), "--stack", "web", "--json"]);
    for (phase, changed) in [(1, true), (1, false), (2, true)] {
        let said = deploy(phase);
        assert!(said.status.success(), "phase {phase}: {}", text(&said));
        let end: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(end["changed"], changed, "{end:#}");
        assert!(end["outputs"]["Url"].as_str().is_some_and(|url| url.starts_with("http://127.")), "{end:#}");
    }
    assert_eq!(world.stack_status("web").as_deref(), Some("UPDATE_COMPLETE"));
    let types: Vec<Value> = world.running().into_values().map(|instance| instance["InstanceType"].clone()).collect();
    assert_eq!(types, [json!("m5.large")]);
}

fn deploy_says_what_failed_and_may_be_tried_again() {
    let world = TestWorld::virtual_one(&["--speed", "1000"]);
    let body = |cidr: &str| {
        format!(
            "Parameters:\n  Range: {{Type: String}}\nResources:\n  V:\n    Type: AWS::EC2::VPC\n    Properties: {{CidrBlock: !Ref Range}}\n  \
             S:\n    Type: AWS::EC2::Subnet\n    Properties: {{CidrBlock: {cidr}, VpcId: !Ref V}}\n"
        )
    };
    let wrong = template("wrong", &body("11.0.0.0/24"));
    let said = world.zonal(&["deploy", &wrong, "--stack", "net", "--parameter", "Range=10.0.0.0/16"]);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(errors.contains("ROLLBACK_COMPLETE: S CREATE_FAILED") && errors.contains("11.0.0.0/24"), "{errors}");
    let right = template("right", &body("10.0.1.0/24"));
    let said = world.zonal(&["deploy", &right, "--stack", "net", "--parameter", "Range=10.0.0.0/16"]);
    assert!(said.status.success(), "{}", text(&said));
    for path in [wrong, right] {
        std::fs::remove_file(path).unwrap();
    }
}

fn deploy_shows_the_line_of_a_malformed_template() {
    let world = TestWorld::virtual_one(&[]);
    let path = template("malformed", "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    Properties: [\n  B: x\n");
    let said = world.zonal(&["deploy", &path, "--stack", "bad"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    assert!(text(&said).contains(&format!("{path}:5:   B: x")), "{}", text(&said));
    assert_eq!(world.stack_status("bad"), None);
}

fn deploy_interrupted() {
    let world = TestWorld::virtual_one(&[]);
    let body = "Resources:\n  H: {Type: 'AWS::CloudFormation::WaitConditionHandle'}\n  \
                W: {Type: 'AWS::CloudFormation::WaitCondition', Properties: {Handle: !Ref H, Timeout: 3600}}\n";
    let path = template("waits", body);
    let mut deploy = world.command(&["deploy", &path, "--stack", "waits"]);
    let mut deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(deploy.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("CREATE_IN_PROGRESS") && line.contains(" W ")).expect("it waits");
    signal("INT", deploy.id());
    let said = deploy.wait_with_output().unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(said.status.code(), Some(130), "{}", text(&said));
    let told = text(&said);
    assert!(
        told.contains("waits goes on (CREATE_IN_PROGRESS)") && told.contains("delete-stack --stack-name waits"),
        "{told}"
    );
    assert_eq!(world.stack_status("waits").as_deref(), Some("CREATE_IN_PROGRESS"));
}

fn status_leaves_out_what_is_terminated() {
    let world = TestWorld::virtual_one(&["--speed", "1000"]);
    let (kept, gone) = (launch(&world, "kept"), launch(&world, "gone"));
    world.must("ec2", "TerminateInstances", json!({ "InstanceIds": [gone] }));
    let line = "1 terminated instance is left out: `zonal status --all` shows it.";
    let short =
        until("it is terminated", || Some(text(&world.zonal(&["status"]))).filter(|shown| shown.contains(line)));
    assert!(short.contains(&kept) && !short.contains(&gone), "{short}");
    let all = text(&world.zonal(&["status", "--all"]));
    assert!(all.contains(&kept) && all.contains(&gone) && !all.contains("left out"), "{all}");
}

fn status_of_a_cut_zone() {
    let world = TestWorld::virtual_one(&[]);
    let said = |words: &[&str]| text(&world.zonal(words));
    assert_eq!(said(&["break", "mend", "us-east-1a"]), "us-east-1a was not cut off: it is whole as it was\n");
    assert!(said(&["break", "mend", "us-east-9z"]).contains("Invalid availability zone: [us-east-9z]"));
    let cut = world.zonal(&["break", "--json", "az", "us-east-1a", "--for", "1h"]);
    let cut: Value = serde_json::from_slice(&cut.stdout).unwrap();
    let expected = format!("us-east-1a is cut off until {}.\n", cut["until"].as_str().unwrap());
    let shown = said(&["status"]);
    assert!(shown.contains(&expected), "{shown}");
    said(&["break", "az", "us-east-1a"]);
    let shown = said(&["status"]);
    assert!(shown.contains("us-east-1a is cut off without an end: `zonal break mend us-east-1a`"), "{shown}");
    assert_eq!(said(&["break", "mend", "us-east-1a"]), "us-east-1a is whole again\n");
}

fn purge_of_an_empty_home() {
    let home = format!("/tmp/zonal-all-{}-emptied", std::process::id());
    let down = |more: &[&str]| Command::new(PROGRAM).args(["down", "--home", &home]).args(more).output().unwrap();
    std::fs::create_dir(&home).unwrap();
    assert!(down(&[]).status.success() && std::path::Path::new(&home).exists());
    std::fs::write(format!("{home}/somebodys"), "").unwrap();
    down(&["--purge"]);
    std::fs::remove_file(format!("{home}/somebodys")).expect("what is no world's is left alone");
    let said = down(&["--purge"]);
    assert!(said.status.success() && !std::path::Path::new(&home).exists(), "{}", text(&said));
}

fn help_is_printed() {
    let said = |words: &[&str]| Command::new(PROGRAM).args(words).output().unwrap();
    for (words, expected) in [
        (&["help"][..], "Usage: zonal <COMMAND>"),
        (&["help", "--help"], "Usage: zonal help"),
        (&["help", "break", "az"], "Usage: zonal break az"),
    ] {
        let said = said(words);
        assert!(said.status.success() && text(&said).contains(expected), "{words:?}: {}", text(&said));
    }
    assert!(text(&said(&["help", "nothing"])).contains("there is no `nothing`"));
}

fn env_of_no_region() {
    let world = TestWorld::virtual_one(&[]);
    let said = world.zonal(&["env", "--region", "nope-1"]);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    assert!(text(&said).starts_with("zonal: nope-1 is no region here: ap-northeast-1, "), "{}", text(&said));
}

fn launch(world: &TestWorld, name: &str) -> String {
    let images = world.must("ec2", "DescribeImages", json!({ "Owners": ["amazon"] }));
    let tags = json!([{ "ResourceType": "instance", "Tags": [{ "Key": "Name", "Value": name }] }]);
    let image = &images["Images"][0]["ImageId"];
    let input = json!({ "ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro", "TagSpecifications": tags });
    let launched = world.must("ec2", "RunInstances", input);
    launched["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
}

fn logs_follow() {
    let world = TestWorld::virtual_one(&["--speed", "100"]);
    let id = launch(&world, "web-1");
    let mut logs = world.command(&["logs", "-f", "web-1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("user data has run")).expect("it boots while it is followed");
    let once = world.zonal(&["logs", "web-1"]);
    assert!(text(&once).contains("user data has run"), "{}", text(&once));
    assert_eq!(text(&once), text(&world.zonal(&["logs", &id])));
    world.must("ec2", "TerminateInstances", json!({ "InstanceIds": [id] }));
    let status = until("its log ends", || logs.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

fn an_instance_that_is_not_there() {
    let world = TestWorld::virtual_one(&[]);
    let said = world.zonal(&["logs", "web-9"]);
    assert_eq!(said.status.code(), Some(1));
    let expected = "zonal: no instance has the id or the Name tag `web-9`: `zonal status` lists those that there are\n";
    assert_eq!(text(&said), expected);
    assert_eq!(text(&world.zonal(&["break", "instance", "web-9"])), expected);
}

fn an_instance_is_broken_by_its_name() {
    let world = TestWorld::virtual_one(&["--speed", "1000"]);
    let id = launch(&world, "web-1");
    until("it runs", || world.running().contains_key(&id).then_some(()));
    let said = text(&world.zonal(&["break", "instance", "web-1"]));
    assert!(said.starts_with(&format!("{id} is dead: ")), "{said}");
}

fn a_cut_without_an_end() {
    let world = TestWorld::virtual_one(&[]);
    let cut = |more: &[&str]| {
        let said = world.zonal(&[&["break", "az", "us-east-1a"], more].concat());
        assert!(said.status.success(), "{}", text(&said));
        text(&said)
    };
    let json = |more: &[&str]| serde_json::from_str::<Value>(&cut(&[&["--json"], more].concat())).unwrap();
    let timed = json(&["--for", "1h"]);
    assert!(timed["until"].is_string() && timed["before"].is_null(), "{timed:#}");
    let until = timed["until"].as_str().unwrap();
    let endless = cut(&[]);
    let expected = format!("us-east-1a is now cut off without an end, no longer until {until}");
    assert!(endless.starts_with(&expected) && endless.contains("zonal break mend us-east-1a"), "{endless}");
    let again = cut(&["--for", "2h"]);
    assert!(again.contains("is cut off until ") && again.contains(", no longer without an end"), "{again}");
    let endless = json(&[]);
    assert_eq!(endless["until"], Value::Null, "{endless:#}");
    assert!(endless["before"]["until"].is_string(), "{endless:#}");
    assert!(endless["done"].as_str().is_some_and(|done| done.contains("now cut off without an end")), "{endless:#}");
}

fn up_says_that_down_ended_it() {
    let home = format!("/tmp/zonal-all-{}-foreground", std::process::id());
    let (port, dns) = (free_port().to_string(), free_port().to_string());
    let mut up = Command::new(PROGRAM);
    up.args(["up", "--world", "sim", "--home", &home, "--port", &port, "--dns-port", &dns]);
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line == "Ctrl-C ends it.").expect("it is up");
    let down = Command::new(PROGRAM).args(["down", "--purge", "--home", &home]).output().unwrap();
    assert!(down.status.success(), "{}", text(&down));
    let last = lines.last().unwrap_or_default();
    assert!(last.starts_with("Zonal is down: `zonal down`"), "{last}");
    let ended = up.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", text(&ended));
    // What it logs may be there; no complaint of ours is.
    assert!(!text(&ended).contains("zonal: "), "{}", text(&ended));
}

fn up_under_nohup() {
    let world = TestWorld::virtual_one(&[]);
    assert!(world.zonal(&["down"]).status.success());
    let up = world.command(&[
        "up",
        "--world",
        "sim",
        "--port",
        &world.port.to_string(),
        "--dns-port",
        &world.dns.to_string(),
    ]);
    // As nohup does it, without its redirections.
    let mut nohup = Command::new("/bin/sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(up.get_program()).args(up.get_args());
    let mut up = nohup.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line == "Ctrl-C ends it.").expect("it is up");
    assert!(ignores_hang_ups(up.id()), "it is hung up when its terminal is");
    signal("TERM", up.id());
    let last = lines.last().unwrap_or_default();
    let ended = up.wait_with_output().unwrap();
    assert!(ended.status.success() && last.contains("down"), "{last}{}", text(&ended));
}

/// Whether the kernel throws away what would hang a process up.
fn ignores_hang_ups(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

fn virtual_start_interrupted() {
    interrupt_starts(&TestWorld::virtual_one(&[]), &["--world", "sim"], "daemon");
}

fn start_interrupted() {
    interrupt_starts(&TestWorld::real_one(), &["--world", "linux", "--range", "9"], "supervise");
}

/// Ends the world and starts it again, in the foreground and detached, telling it to end as soon as its first process is there.
fn interrupt_starts(world: &TestWorld, more: &[&str], first: &str) {
    assert!(world.zonal(&["down"]).status.success());
    let (port, dns) = (world.port.to_string(), world.dns.to_string());
    for (detach, code) in [(&[][..], 0), (&["--detach"], 130)] {
        // Who tests under nohup hands that on.
        let hang_up = (!ignores_hang_ups(std::process::id())).then_some("HUP");
        for signal in ["INT", "TERM"].into_iter().chain(hang_up) {
            let mut up = world.command(&[&["up", "--port", &port, "--dns-port", &dns], more, detach].concat());
            let mut up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            until("a process of the world's", || {
                assert!(up.try_wait().unwrap().is_none(), "it ended by itself");
                world.processes().contains_key(first).then_some(())
            });
            let sent = Command::new("kill").args(["-s", signal, &up.id().to_string()]).status().unwrap();
            assert!(sent.success());
            let ended = up.wait_with_output().unwrap();
            // A detached one may have been up by then, and done.
            if !detach.is_empty() && ended.status.success() {
                assert!(text(&ended).contains("Zonal is up"), "{}", text(&ended));
                assert!(world.zonal(&["down"]).status.success());
                continue;
            }
            assert_eq!(world.processes(), BTreeMap::new(), "{signal} {detach:?}: {}", text(&ended));
            assert_eq!(ended.status.code(), Some(code), "{signal} {detach:?}: {}", text(&ended));
        }
    }
}

fn a_world_refused_for_a_busy_port() {
    let home = format!("/tmp/zonal-all-{}-busy", std::process::id());
    let busy = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (port, dns) = (free_port().to_string(), busy.local_addr().unwrap().port().to_string());
    let up = ["up", "--world", "sim", "--detach", "--home", &home, "--port", &port, "--dns-port", &dns];
    let said = Command::new(PROGRAM).args(up).output().unwrap();
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    assert!(text(&said).contains(&format!("the DNS port 127.0.0.1:{dns} cannot be had")), "{}", text(&said));
    assert!(!std::path::Path::new(&home).exists(), "{home} was made");
}

fn status_shows_what_there_is() {
    let world = TestWorld::virtual_one(&["--speed", "1000"]);
    let deployed = world.zonal(&["deploy", case(5).to_str().unwrap(), "--stack", "web"]);
    assert!(deployed.status.success(), "{}", text(&deployed));
    let balancer = world.must("elbv2", "DescribeLoadBalancers", json!({}))["LoadBalancers"][0].take();
    let status: Value = serde_json::from_slice(&world.zonal(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["stacks"][0]["name"], "web", "{status:#}");
    assert_eq!(status["stacks"][0]["status"], "CREATE_COMPLETE");
    assert_eq!(status["hosted_zones"][0]["name"], "whatsthetime.com");
    let shown = &status["load_balancers"][0];
    assert_eq!((&shown["dns_name"], &shown["state"]), (&balancer["DNSName"], &json!("active")), "{shown:#}");
    // Nothing listens in a virtual world: there is nothing to open.
    assert_eq!(shown["url"], Value::Null);
    let human = String::from_utf8(world.zonal(&["status"]).stdout).unwrap();
    for line in ["  web  CREATE_COMPLETE", "  whatsthetime.com  public", balancer["DNSName"].as_str().unwrap()] {
        assert!(human.contains(line), "{line} in {human}");
    }
}

fn a_virtual_instance_has_no_shell() {
    let world = TestWorld::virtual_one(&[]);
    let said = world.zonal(&["ssh", "i-0123456789abcdef0"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said).contains("virtual"), "{}", text(&said));
}

fn ssh_runs_a_command_and_ends_as_it_did() {
    let world = TestWorld::real_one();
    let deployed = world.zonal(&["deploy", case(1).to_str().unwrap(), "--stack", "one"]);
    assert!(deployed.status.success(), "{}", text(&deployed));
    let (id, instance) = world.running().into_iter().next().unwrap();
    let tags = instance["Tags"].as_array().unwrap();
    let name = tags.iter().find(|tag| tag["Key"] == "Name").unwrap()["Value"].as_str().unwrap();
    // As OpenSSH does: all behind the name is the command's, flags too.
    let named = world.zonal(&["ssh", name, "hostname", "--short"]);
    assert!(named.status.success() && text(&named).starts_with("ip-10-0-"), "{}", text(&named));
    let mut shell = world.command(&["ssh", &id, "--", "cat;", "echo 'it is' $(hostname) >&2;", "exit 7"]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let said = shell.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "one\ntwo\n");
    assert!(String::from_utf8_lossy(&said.stderr).starts_with("it is ip-10-0-"), "{}", text(&said));
    assert_eq!(said.status.code(), Some(7));
    let nobody = world.zonal(&["ssh", "i-0123456789abcdef0", "--", "true"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody).contains("i-0123456789abcdef0"), "{}", text(&nobody));
}
