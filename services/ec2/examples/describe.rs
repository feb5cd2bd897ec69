//! What a DescribeInstances costs in process: the call, and the writing of its answer, without sockets. For profiles and counters, which
//! need no quiet machine:
//!
//!     perf stat -e instructions:u target/release/examples/describe INSTANCES CALLS

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures time")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use zonal_cloud::{Caller, Prepared};
use zonal_ec2::shapes::{API, DescribeImagesRequest, DescribeInstancesRequest, RunInstancesRequest, ops};
use zonal_sim::{Costs, Sim};
use zonal_testbed::{START, TestClock, Testbed, in_memory};
use zonal_wire::door::{Identified, encode_output};
use zonal_wire::{AwsError, Operation, Protocol};

fn main() -> Result<(), AwsError> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().expect("a number"));
    let (instances, calls) = (arguments.next().unwrap_or(100), arguments.next().unwrap_or(1000));
    let sim = Arc::new(Sim::new(START.0, Costs::default()));
    let services: Vec<Box<dyn zonal_cloud::Service>> = vec![
        Box::new(zonal_ec2::Ec2 { public_range: "127.100.0.0/16".parse().expect("a range") }),
        Box::new(zonal_cloudwatch::CloudWatch),
    ];
    let bed = Testbed::over(in_memory(), services, sim.clone(), Some(sim), TestClock::at(START));
    let images = bed.call::<ops::DescribeImages>("ec2", DescribeImagesRequest::default())?;
    let image = images.images.into_iter().find_map(|image| image.image_id);
    for start in (0..instances).step_by(500) {
        let count = i32::try_from(500.min(instances - start)).ok();
        let input = RunInstancesRequest {
            image_id: image.clone(),
            instance_type: "t3.micro".parse().ok(),
            min_count: count.unwrap_or_default(),
            max_count: count.unwrap_or_default(),
            ..Default::default()
        };
        bed.call::<ops::RunInstances>("ec2", input)?;
    }
    bed.pass(Duration::from_secs(120));
    let request = Prepared {
        service: "ec2",
        operation: "DescribeInstances",
        scope: bed.scope.clone(),
        caller: Caller::User { access_key: "000000000000".to_owned() },
        input: Box::new(DescribeInstancesRequest::default()),
    };
    let identified = Identified::of(&API, ops::DescribeInstances::facts(), Protocol::Ec2);
    let (mut called, mut written, mut dropped, mut bytes) = (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..calls {
        let begin = Instant::now();
        let output = bed.cloud.request(&request)?;
        let answered = Instant::now();
        bytes = encode_output(&identified, &*output, "00000000-0000-0000-0000-000000000000").body.len();
        let encoded = Instant::now();
        drop(output);
        (called, written, dropped) =
            (called + (answered - begin), written + (encoded - answered), dropped + encoded.elapsed());
    }
    let each = |sum: Duration| sum.as_secs_f64() * 1e6 / calls as f64;
    println!(
        "{instances} instances, {bytes} bytes: call {:.1} µs, answer {:.1} µs, taking it apart {:.1} µs",
        each(called),
        each(written),
        each(dropped)
    );
    Ok(())
}
