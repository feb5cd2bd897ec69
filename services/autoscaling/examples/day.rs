//! What a virtual day of a group costs in real time: `day INSTANCES HOURS`. The group stands in four zones behind a load balancer that
//! checks each instance every 30 s from each of its nodes; it is full before the clock starts to be watched.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zonal_cloud::Service;
use zonal_sim::{Costs, Sim};
use zonal_testbed::{START, TestClock, Testbed, in_memory};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let (instances, hours) = (arguments.next().unwrap_or(1000), arguments.next().unwrap_or(24));
    let sim = Arc::new(Sim::new(START.0, Costs::default()));
    let services: Vec<Box<dyn Service>> = vec![
        Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().expect("a range") }),
        Box::new(zonal_elbv2::Elbv2),
        Box::new(zonal_cloudwatch::CloudWatch),
        Box::new(zonal_autoscaling::AutoScaling),
    ];
    let bed = Testbed::over(in_memory(), services, sim.clone(), Some(sim), TestClock::at(START));
    let begin = Instant::now();
    make(&bed, instances);
    let serving = |bed: &Testbed| {
        let groups = bed.json("autoscaling", "DescribeAutoScalingGroups", &json!({}));
        let all = groups["AutoScalingGroups"][0]["Instances"].as_array().map_or(0, |instances| {
            instances.iter().filter(|instance| instance["LifecycleState"] == "InService").count()
        });
        all as u64
    };
    while serving(&bed) < instances {
        bed.pass(Duration::from_secs(10));
    }
    let (full, revision) = (begin.elapsed(), bed.cloud.revision());
    let begin = Instant::now();
    bed.pass(Duration::from_secs(3600 * hours));
    println!(
        "{instances} instances: full after {full:.2?}; {hours} virtual hours in {:.2?}, {} commits; {} in service",
        begin.elapsed(),
        bed.cloud.revision() - revision,
        serving(&bed)
    );
}

fn make(bed: &Testbed, instances: u64) {
    let call = |service: &str, operation: &str, input: Value| bed.json(service, operation, &input);
    let image = call("ec2", "DescribeImages", json!({ "Owners": ["amazon"] }))["Images"][0]["ImageId"].clone();
    let data = json!({ "ImageId": image, "InstanceType": "t3.micro" });
    call("ec2", "CreateLaunchTemplate", json!({ "LaunchTemplateName": "web", "LaunchTemplateData": data }));
    let found = call("ec2", "DescribeSubnets", json!({}));
    let subnets: Vec<&str> =
        found["Subnets"].as_array().into_iter().flatten().filter_map(|own| own["SubnetId"].as_str()).take(4).collect();
    let vpc = &found["Subnets"][0]["VpcId"];
    let group = json!({ "Name": "tg", "Protocol": "HTTP", "Port": 80, "VpcId": vpc });
    let group = call("elbv2", "CreateTargetGroup", group)["TargetGroups"][0]["TargetGroupArn"].clone();
    let balancer = call("elbv2", "CreateLoadBalancer", json!({ "Name": "lb", "Subnets": subnets }));
    let listener = json!({ "LoadBalancerArn": balancer["LoadBalancers"][0]["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80,
        "DefaultActions": [{ "Type": "forward", "TargetGroupArn": group }] });
    call("elbv2", "CreateListener", listener);
    let scaling = json!({ "AutoScalingGroupName": "asg", "LaunchTemplate": { "LaunchTemplateName": "web", "Version": "$Latest" },
        "MinSize": 0, "DesiredCapacity": instances, "MaxSize": instances, "VPCZoneIdentifier": subnets.join(","),
        "TargetGroupARNs": [group], "HealthCheckType": "ELB", "HealthCheckGracePeriod": 300 });
    call("autoscaling", "CreateAutoScalingGroup", scaling);
}
