//! Requests and templates that nobody meant, against a virtual world: each is answered, none with a failure of ours, and what is
//! refused leaves nothing half made.

use crate::Test;
use crate::world::{TestWorld, case, exchange, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("a_thousand_mutated_requests_are_answered_and_what_is_refused_changes_nothing", mutated_requests),
    ("mutated_templates_end_deployed_or_refused_and_leave_nothing_when_deleted", mutated_templates),
];

const REQUESTS: u32 = 1000;
const TEMPLATES: u32 = 200;

/// A request: its head, with the body's length left out, and its body.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    fn form(service: &'static str, version: &str, action: &str) -> Self {
        Self {
            method: "POST",
            path: "/".to_owned(),
            headers: format!("Content-Type: application/x-www-form-urlencoded\r\n{}", authorization(service)),
            body: format!("Version={version}&Action={action}").into_bytes(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { method, path, headers, body } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

fn authorization(service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n"
    )
}

/// Requests as clients send them, of every protocol.
fn meant() -> Vec<Request> {
    let ec2 = |action: &str| Request::form("ec2", "2016-11-15", action);
    let mut all = vec![
        ec2(
            "CreateVpc&CidrBlock=10.1.0.0/16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b",
        ),
        ec2("CreateSecurityGroup&GroupName=web&GroupDescription=web"),
        ec2(
            "AuthorizeSecurityGroupIngress&GroupName=default&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
        ),
        ec2(
            "RunInstances&ImageId=ami-0123456789abcdef0&InstanceType=t3.micro&MinCount=1&MaxCount=1&UserData=IyEvYmluL3NoCg==",
        ),
        ec2("DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running&MaxResults=5"),
        ec2("DescribeSubnets&SubnetId.1=subnet-0123456789abcdef0"),
        ec2("CreateTags&ResourceId.1=vpc-0123456789abcdef0&Tag.1.Key=k&Tag.1.Value=v"),
        ec2("AllocateAddress&Domain=vpc"),
        ec2("CreateLaunchTemplate&LaunchTemplateName=t&LaunchTemplateData.InstanceType=t3.micro"),
        Request::form(
            "elasticloadbalancing",
            "2015-12-01",
            "CreateTargetGroup&Name=web&Protocol=HTTP&Port=80&TargetType=ip&VpcId=vpc-0123456789abcdef0",
        ),
        Request::form(
            "elasticloadbalancing",
            "2015-12-01",
            "CreateLoadBalancer&Name=web&Subnets.member.1=subnet-1&Subnets.member.2=subnet-2",
        ),
        Request::form(
            "autoscaling",
            "2011-01-01",
            "CreateAutoScalingGroup&AutoScalingGroupName=g&MinSize=0&MaxSize=3&LaunchTemplate.LaunchTemplateName=t&AvailabilityZones.member.1=us-east-1a",
        ),
        Request::form(
            "monitoring",
            "2010-08-01",
            "PutMetricData&Namespace=N&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1.5",
        ),
        Request::form(
            "monitoring",
            "2010-08-01",
            "PutMetricAlarm&AlarmName=a&Namespace=N&MetricName=m&Period=60&EvaluationPeriods=1&Threshold=1&ComparisonOperator=GreaterThanThreshold&Statistic=Average",
        ),
        Request::form(
            "cloudformation",
            "2010-05-15",
            "CreateStack&StackName=s&TemplateBody=%7B%22Resources%22%3A%7B%22V%22%3A%7B%22Type%22%3A%22AWS%3A%3AEC2%3A%3AVPC%22%2C%22Properties%22%3A%7B%22CidrBlock%22%3A%2210.0.0.0%2F16%22%7D%7D%7D%7D",
        ),
        Request::form("sts", "2011-06-15", "GetCallerIdentity"),
    ];
    for (target, body) in [
        ("AmazonSSM.PutParameter", r#"{"Name":"/a/b","Value":"v","Type":"String","Overwrite":true}"#),
        ("AmazonSSM.GetParametersByPath", r#"{"Path":"/aws/service/ami-amazon-linux-latest","Recursive":true}"#),
    ] {
        let headers =
            format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n{}", authorization("ssm"));
        all.push(Request { method: "POST", path: "/".to_owned(), headers, body: body.into() });
    }
    let zone = r#"<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>a.example</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>"#;
    let headers = format!("Content-Type: text/xml\r\n{}", authorization("route53"));
    all.push(Request {
        method: "POST",
        path: "/2013-04-01/hostedzone".to_owned(),
        headers: headers.clone(),
        body: zone.into(),
    });
    all.push(Request {
        method: "GET",
        path: "/2013-04-01/hostedzone?maxitems=5".to_owned(),
        headers,
        body: Vec::new(),
    });
    all
}

/// What is put in where nobody would.
const ODD: &[&str] = &[
    "",
    "%00",
    "%",
    "%zz",
    "-1",
    "0",
    "99999999999999999999",
    "1e400",
    "NaN",
    "null",
    "true",
    "\u{1F600}",
    "..",
    "../../etc/passwd",
    "'",
    "\"",
    "<",
    "&lt;",
    "]]>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "{",
    "}",
    "[[[[[[[[",
    "\\u0000",
    "\r\n",
    "\t",
    ".1",
    ".member.1",
    ".999999999",
    "&&",
    "==",
    "0.0.0.0/0",
    "10.0.0.0/33",
    "::/0",
    "arn:aws:ec2",
    "i-0",
    "*",
    "?",
    ";",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];

/// Changes a text by one to four small accidents.
fn mutate(text: &mut Vec<u8>, chance: &mut StdRng) {
    for _ in 0..chance.random_range(1..=4) {
        let at = chance.random_range(0..=text.len());
        let to = (at + chance.random_range(0..=12)).min(text.len());
        match chance.random_range(0..8) {
            0 if at < text.len() => text[at] ^= 1 << chance.random_range(0..8),
            1 => drop(text.drain(at..to)),
            2 => {
                let piece = text[at..to].to_vec();
                text.splice(at..at, piece);
            }
            3 => text.truncate(at),
            4 => {
                let long = vec![b'x'; chance.random_range(1..20_000)];
                text.splice(at..at, long);
            }
            5 => {
                // The value of one member becomes an odd one.
                let Some(from) = text[at..].iter().position(|b| matches!(b, b'=' | b':' | b'>')).map(|n| at + n + 1)
                else {
                    continue;
                };
                let end = text[from..]
                    .iter()
                    .position(|b| matches!(b, b'&' | b',' | b'<' | b'}' | b'\n'))
                    .map_or(text.len(), |n| from + n);
                text.splice(from..end, ODD[chance.random_range(0..ODD.len())].bytes());
            }
            _ => drop(text.splice(at..at, ODD[chance.random_range(0..ODD.len())].bytes())),
        }
    }
}

/// What there is, as its owner would list it.
fn everything(world: &TestWorld) -> Vec<(&'static str, Value)> {
    [
        ("ec2", "DescribeVpcs"),
        ("ec2", "DescribeSubnets"),
        ("ec2", "DescribeSecurityGroups"),
        ("ec2", "DescribeSecurityGroupRules"),
        ("ec2", "DescribeInstances"),
        ("ec2", "DescribeNetworkInterfaces"),
        ("ec2", "DescribeAddresses"),
        ("ec2", "DescribeTags"),
        ("ec2", "DescribeVolumes"),
        ("ec2", "DescribeRouteTables"),
        ("ec2", "DescribeInternetGateways"),
        ("ec2", "DescribeLaunchTemplates"),
        ("elbv2", "DescribeTargetGroups"),
        ("elbv2", "DescribeLoadBalancers"),
        ("autoscaling", "DescribeAutoScalingGroups"),
        ("cloudwatch", "DescribeAlarms"),
        ("route53", "ListHostedZones"),
        ("ssm", "DescribeParameters"),
    ]
    .map(|(service, operation)| {
        let mut value = world.must(service, operation, json!({}));
        // What an alarm last saw changes with time alone.
        for alarm in value["MetricAlarms"].as_array_mut().into_iter().flatten() {
            alarm.as_object_mut().expect("an alarm").retain(|key, _| !key.starts_with("State"));
        }
        (operation, value)
    })
    .into()
}

/// The same, without instances that are terminated, which AWS shows for a while too.
fn standing(world: &TestWorld) -> Vec<(&'static str, Value)> {
    let mut all = everything(world);
    for (operation, value) in &mut all {
        match *operation {
            "DescribeInstances" => {
                let live = |reservation: &Value| {
                    list(reservation, "Instances").iter().any(|i| i["State"]["Name"] != "terminated")
                };
                value["Reservations"] = list(value, "Reservations").iter().filter(|r| live(r)).cloned().collect();
            }
            "DescribeTags" => {
                let of_others = |tag: &&Value| tag["ResourceType"] != "instance";
                value["Tags"] = list(value, "Tags").iter().filter(of_others).cloned().collect();
            }
            _ => {}
        }
    }
    all
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// What of the two differs.
fn difference(before: &[(&'static str, Value)], now: &[(&'static str, Value)]) -> Vec<String> {
    let differ = before.iter().zip(now).filter(|(before, now)| before != now);
    differ.map(|(before, now)| format!("{}: {} became {}", before.0, before.1, now.1)).collect()
}

fn revision(world: &TestWorld) -> u64 {
    let request = "GET /_zonal/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (_, body) = exchange(world.api(), request.as_bytes()).unwrap();
    serde_json::from_str::<Value>(&body).unwrap()["revision"].as_u64().unwrap()
}

/// Waits until nothing goes on by itself: no commit for a while.
fn quiet(world: &TestWorld) -> u64 {
    let mut last = (revision(world), Instant::now());
    until("quiet", || {
        let now = revision(world);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(40)).then_some(now)
    })
}

/// Whether an answer names an error's code, in whichever protocol.
fn names_a_code(body: &str) -> bool {
    let json = || {
        let value: Value = serde_json::from_str(body).ok()?;
        value.get("__type").or_else(|| value.get("code"))?.as_str().map(|code| !code.is_empty())
    };
    let xml = || Some(!body.split_once("<Code>")?.1.split_once("</Code>")?.0.is_empty());
    json().or_else(xml).unwrap_or_default()
}

fn daemon(world: &TestWorld) -> u32 {
    world.processes()["daemon"]
}

fn assert_unharmed(world: &TestWorld, before: u32) {
    assert_eq!(daemon(world), before, "the daemon is the same process");
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

fn mutated_requests() {
    let world = TestWorld::virtual_one(&["--speed", "1000", "--settle", "0"]);
    let process = daemon(&world);
    let mut chance = StdRng::seed_from_u64(4);
    let meant = meant();
    let mut known = everything(&world);
    let (mut refused, mut done) = (0, 0);
    for count in 0..REQUESTS {
        let mut request = meant[chance.random_range(0..meant.len())].clone();
        match chance.random_range(0..10) {
            0 => {
                let mut path = request.path.clone().into_bytes();
                mutate(&mut path, &mut chance);
                // The head's own syntax is the HTTP library's affair: what a path may hold stays.
                path.retain(|byte| byte.is_ascii_alphanumeric() || b"-._~/?&=%+:@!$'()*,;".contains(byte));
                path.truncate(8000);
                request.path = format!("/{}", String::from_utf8(path).unwrap().trim_start_matches('/'));
            }
            1 => {
                let mut headers = std::mem::take(&mut request.headers).replace("\r\n", "\n").into_bytes();
                let kept = headers.len().saturating_sub(1);
                headers.truncate(kept);
                mutate(&mut headers, &mut chance);
                let lines = String::from_utf8_lossy(&headers).into_owned();
                let fine = |line: &&str| {
                    line.split_once(':').is_some_and(|(name, _)| {
                        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    })
                };
                let lines = lines
                    .split(['\n', '\r'])
                    .filter(fine)
                    .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
                request.headers = lines.map(|line| format!("{line}\r\n")).collect();
            }
            _ => mutate(&mut request.body, &mut chance),
        }
        let before = quiet(&world);
        let shown = || {
            format!(
                "request {count}: {}",
                String::from_utf8_lossy(&request.bytes()).chars().take(2000).collect::<String>()
            )
        };
        let (status, body) =
            exchange(world.api(), &request.bytes()).unwrap_or_else(|error| panic!("{}\n{error}", shown()));
        match status {
            200..=299 => {
                done += 1;
                quiet(&world);
                known = everything(&world);
            }
            400..=499 => {
                refused += 1;
                assert!(names_a_code(&body), "{}\n{status} {body}", shown());
                if quiet(&world) != before {
                    assert_eq!(
                        difference(&known, &everything(&world)),
                        Vec::<String>::new(),
                        "{}\n{status} {body}",
                        shown()
                    );
                }
            }
            _ => panic!("{}\n{status} {body}", shown()),
        }
    }
    assert_unharmed(&world, process);
    assert!(refused > REQUESTS / 3 && done > REQUESTS / 20, "{refused} refused, {done} done");
    println!("{refused} refused, {done} done");
}

fn mutated_templates() {
    let world = TestWorld::virtual_one(&["--speed", "2000", "--settle", "0"]);
    let process = daemon(&world);
    let mut chance = StdRng::seed_from_u64(5);
    let templates: Vec<String> = (1..=6).map(|phase| std::fs::read_to_string(case(phase)).unwrap()).collect();
    // What a region has from its first use on is there before.
    everything(&world);
    quiet(&world);
    let clean = standing(&world);
    let (mut refused, mut deployed, mut rolled_back) = (0, 0, 0);
    for count in 0..TEMPLATES {
        let mut body = templates[chance.random_range(0..templates.len())].clone().into_bytes();
        if chance.random_bool(0.7) {
            // Most of a template is user data, which may say anything: the rest is what is to be hit.
            body = String::from_utf8_lossy(&body)
                .lines()
                .filter(|line| !line.starts_with("          "))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
                .into_bytes();
        }
        mutate(&mut body, &mut chance);
        let body = String::from_utf8_lossy(&body).into_owned();
        let stack = format!("s{count}");
        let before = revision(&world);
        match world.call("cloudformation", "CreateStack", json!({ "StackName": stack, "TemplateBody": body })) {
            Err(crate::world::Refusal::Said(error)) => {
                refused += 1;
                assert!(!error.starts_with("Internal"), "template {count}: {error}\n{body}");
                if quiet(&world) != before {
                    let left = difference(&clean, &standing(&world));
                    assert_eq!(
                        left,
                        Vec::<String>::new(),
                        "template {count} was refused ({error}) and left something\n{body}"
                    );
                }
            }
            Err(crate::world::Refusal::NoAnswer) => panic!("template {count}: no answer\n{body}"),
            Ok(_) => {
                let status = until(&format!("template {count}: an end\n{body}"), || {
                    world.stack_status(&stack).filter(|status| !status.ends_with("_IN_PROGRESS"))
                });
                match status.as_str() {
                    "CREATE_COMPLETE" => deployed += 1,
                    "ROLLBACK_COMPLETE" => rolled_back += 1,
                    other => panic!("template {count}: {other}\n{body}"),
                }
                world.must("cloudformation", "DeleteStack", json!({ "StackName": stack }));
                until(&format!("template {count}: its removal\n{body}"), || {
                    let status = world.stack_status(&stack);
                    let why = || world.must("cloudformation", "DescribeStackEvents", json!({ "StackName": stack }));
                    assert!(status.as_deref() != Some("DELETE_FAILED"), "template {count}: {:#}\n{body}", why());
                    status.is_none_or(|status| status == "DELETE_COMPLETE").then_some(())
                });
                quiet(&world);
                let left = difference(&clean, &standing(&world));
                assert_eq!(left, Vec::<String>::new(), "template {count} left something\n{body}");
            }
        }
    }
    assert_unharmed(&world, process);
    assert!(
        refused > 0 && deployed > 0 && rolled_back > 0,
        "{refused} refused, {deployed} deployed, {rolled_back} rolled back"
    );
    println!("{refused} refused, {deployed} deployed, {rolled_back} rolled back");
}
