//! The `AWS/EC2` metrics: what the world says its sandboxes used in a minute, and how status checks stand.
//!
//! An instance is measured each minute. With detailed monitoring each sample is a datum of its minute. With basic monitoring, a datum is of
//! five minutes, and each sample is put to it as it is taken, under the five minutes' beginning. Averages are of minutes therefore, and
//! sums of periods, in both. Source: CloudWatch User Guide, "Amazon EC2 metrics and dimensions" (the part on Nitro instances); EC2 User Guide,
//! "CloudWatch metrics that are available for your instances".

use crate::model::{Instance, InstanceState, Status};
use crate::operations::run;
use std::collections::BTreeMap;
use zonal_cloud::{Scope, Tx};
use zonal_cloudwatch::shapes::{Dimension, MetricDatum, PutMetricDataInput, StandardUnit, ops};
use zonal_substrate::SandboxFigures;
use zonal_wire::Time;

/// The tag that names an instance's group: its metrics are kept for the group too.
const GROUP_TAG: &str = "aws:autoscaling:groupName";
/// Seconds of a minute, and of what a datum of basic monitoring covers.
pub(crate) const MINUTE: i64 = 60;
const FIVE_MINUTES: i64 = 300;
/// As many data as one `PutMetricData` takes, and as many values as a datum.
const PER_CALL: usize = 1000;
const VALUES_PER_DATUM: usize = 150;

/// Publishes what sandboxes used in the minute that begins at a second.
pub(crate) fn publish(tx: &mut Tx<'_>, minute: i64, figures: &[SandboxFigures]) {
    let mut all: BTreeMap<Scope, Data> = BTreeMap::new();
    for own in figures {
        let Some((scope, instance)) = tx.find::<Instance>(&own.id) else { continue };
        if instance.state != InstanceState::Running {
            continue;
        }
        let data = all.entry(scope.clone()).or_default();
        let beginning = |period: i64| minute - minute.rem_euclid(period);
        let stamp = beginning(if instance.monitoring { MINUTE } else { FIVE_MINUTES });
        data.sample(instance, "CPUUtilization", StandardUnit::Percent, stamp, own.cpu_percent);
        data.sample(instance, "NetworkIn", StandardUnit::Bytes, stamp, own.network_in as f64);
        data.sample(instance, "NetworkOut", StandardUnit::Bytes, stamp, own.network_out as f64);
        // Of five minutes always.
        let stamp = beginning(FIVE_MINUTES);
        data.sample(instance, "NetworkPacketsIn", StandardUnit::Count, stamp, own.packets_in as f64);
        data.sample(instance, "NetworkPacketsOut", StandardUnit::Count, stamp, own.packets_out as f64);
    }
    for (scope, data) in all {
        tx.within(&scope, |tx| data.put(tx));
    }
}

/// Publishes how the status checks of an account's running instances stand, for the minute that begins at a second: each minute, whatever
/// the monitoring.
pub(crate) fn publish_checks(tx: &mut Tx<'_>, minute: i64) {
    let mut data = Data::default();
    let end = Time::from_secs(minute + MINUTE);
    let is_checked = |own: &&Instance| own.state == InstanceState::Running && own.launched < end;
    for instance in tx.view().list::<Instance>().filter(is_checked) {
        let system = instance.status == Status::SystemImpaired;
        // Nothing answers behind a dead system.
        let machine = instance.status != Status::Ok;
        let mut put =
            |name, failed: bool| data.sample(instance, name, StandardUnit::Count, minute, f64::from(u8::from(failed)));
        put("StatusCheckFailed", machine || system);
        put("StatusCheckFailed_Instance", machine);
        put("StatusCheckFailed_System", system);
        if run::type_of(instance).is_some_and(|kind| kind.is_nitro()) {
            put("StatusCheckFailed_AttachedEBS", system);
        }
    }
    data.put(tx);
}

/// Which datum: its metric, the second that it is stamped with, and its dimension, where it has one.
type Place = (&'static str, i64, Option<(&'static str, String)>);

/// Values in the unit of their metric, each with how often it came in a row.
type Samples = (StandardUnit, Vec<(f64, f64)>);

/// Samples by the data that they belong to.
#[derive(Default)]
struct Data(BTreeMap<Place, Samples>);

impl Data {
    /// Adds a sample of an instance to all data that it belongs to: its own, its group's, and with detailed monitoring those of its
    /// image, of its type and of all.
    fn sample(&mut self, of: &Instance, name: &'static str, unit: StandardUnit, second: i64, value: f64) {
        let mut owners = vec![Some(("InstanceId", of.id.clone()))];
        owners.extend(of.tags.get(GROUP_TAG).map(|group| Some(("AutoScalingGroupName", group.clone()))));
        if of.monitoring {
            owners.push(Some(("ImageId", of.image.clone())));
            owners.push(Some(("InstanceType", of.instance_type.clone())));
            owners.push(None);
        }
        for owner in owners {
            let samples = &mut self.0.entry((name, second, owner)).or_insert_with(|| (unit, Vec::new())).1;
            match samples.last_mut() {
                Some((last, count)) if *last == value => *count += 1.0,
                _ => samples.push((value, 1.0)),
            }
        }
    }

    /// Puts them: by PutMetricData's own types, for there are many.
    fn put(self, tx: &mut Tx<'_>) {
        let mut data = Vec::new();
        for ((name, second, owner), (unit, samples)) in self.0 {
            let dimensions: Vec<Dimension> =
                owner.into_iter().map(|(name, value)| Dimension { name: name.to_owned(), value }).collect();
            for samples in samples.chunks(VALUES_PER_DATUM) {
                let (values, counts) = samples.iter().copied().unzip();
                data.push(MetricDatum {
                    metric_name: name.to_owned(),
                    unit: Some(unit),
                    timestamp: Some(Time::from_secs(second)),
                    dimensions: dimensions.clone(),
                    values,
                    counts,
                    ..Default::default()
                });
            }
        }
        let mut data = data.into_iter().peekable();
        while data.peek().is_some() {
            let metric_data = data.by_ref().take(PER_CALL).collect();
            let input = PutMetricDataInput { namespace: "AWS/EC2".to_owned(), metric_data, ..Default::default() };
            let put = tx.as_service("ec2", |tx| tx.call::<ops::PutMetricData>("cloudwatch", &input));
            if let Err(error) = put {
                tracing::warn!("metrics of instances were lost: {error}");
            }
        }
    }
}
