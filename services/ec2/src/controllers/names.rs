//! DNS names of interfaces: private ones inside their VPC, public ones for everyone; inside the VPC a public name leads to the
//! private address, as on AWS. And the names of AWS's services, which lead to where the world answers for them.

use crate::model::{Interface, InterfacePhase, Vpc};
use crate::operations::interfaces;
use std::borrow::Cow;
use std::net::Ipv4Addr;
use zonal_cloud::regions::{REGIONS, Region};
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_dns::config::{PUBLIC, RecordSet, Zone};
use zonal_substrate::{Ask, SERVICES};
use zonal_wire::AwsError;

/// How long such a name may be kept, seconds.
const TTL: u32 = 60;

/// Where services' endpoints are: with IPv4 alone, and (in AWS's own network) with both.
const SERVICE_DOMAINS: [&str; 2] = ["amazonaws.com", "api.aws"];

/// Endpoints without a region, of services that are global or once were. Source: the AWS General Reference, service endpoints.
const GLOBAL: &[&str] = &[
    "autoscaling",
    "budgets",
    "cloudformation",
    "cloudfront",
    "ec2",
    "elasticache",
    "elasticloadbalancing",
    "iam",
    "monitoring",
    "organizations",
    "rds",
    "route53",
    "s3",
    "*.s3",
    "sns",
    "sqs",
    "sts",
];

/// What is named below a region and is no endpoint: network load balancers, file systems.
const NO_SERVICES: [&str; 2] = ["elb", "efs"];

/// Names, by VPC; and the region's public ones under the key [`PUBLIC`].
pub(super) struct Names;

impl Controller for Names {
    fn name(&self) -> &'static str {
        "ec2.names"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Interface>() {
            // One that is gone lost its names when it began to go.
            if let Some(interface) = view.get::<Interface>(&change.key) {
                wake(&change.scope, PUBLIC);
                wake(&change.scope, &interface.vpc);
            }
        } else if change.is::<Vpc>() {
            wake(&change.scope, &change.key);
            wake(&change.scope, PUBLIC);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, vpc) in view.everywhere::<Vpc>() {
            wake(scope, &vpc.id);
            wake(scope, PUBLIC);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let view = tx.view();
        let Some(region) = Region::named(&tx.scope.region) else { return Ok(Wake::OnChange) };
        let mut asks = Vec::new();
        if key == PUBLIC {
            let records = live(&view, None).filter_map(|i| public(&view, i, i.public.as_ref()?.ip));
            asks.push(put(PUBLIC, region.public_domain(), records.collect()));
        } else if view.get::<Vpc>(key).is_some_and(|vpc| !vpc.deleting) {
            let private = live(&view, Some(key)).map(|i| a(interfaces::private_name(&view, i.primary()), i.primary()));
            asks.push(put(key, region.internal_domain(), private.collect()));
            let public = live(&view, Some(key)).filter_map(|i| public(&view, i, i.primary()));
            asks.push(put(key, region.public_domain(), public.collect()));
            for domain in SERVICE_DOMAINS {
                asks.push(put(key, domain, services(domain)));
            }
        } else {
            let services = SERVICE_DOMAINS.map(Cow::Borrowed);
            for name in [region.internal_domain(), region.public_domain()].into_iter().chain(services) {
                asks.push(Ask::RemoveZone { view: key.to_owned(), name: name.into_owned(), confirm: None });
            }
        }
        asks.into_iter().for_each(|ask| tx.ask(ask));
        Ok(Wake::OnChange)
    }
}

fn live<'a>(view: &View<'a>, vpc: Option<&'a str>) -> impl Iterator<Item = &'a Interface> + use<'a> {
    view.list::<Interface>().filter(move |i| i.phase != InterfacePhase::Deleting && vpc.is_none_or(|vpc| i.vpc == vpc))
}

fn public(view: &View<'_>, interface: &Interface, leads_to: Ipv4Addr) -> Option<RecordSet> {
    let name = interfaces::public_name(view, &interface.vpc, interface.public.as_ref()?.ip)?;
    Some(a(name, leads_to))
}

fn a(name: String, address: Ipv4Addr) -> RecordSet {
    RecordSet { name, type_: "A".to_owned(), ttl: TTL, values: vec![address.to_string()], ..RecordSet::default() }
}

/// The names below a domain that are services' endpoints. By wildcards: a service that is not implemented answers so itself, in its
/// protocol's form.
fn services(domain: &str) -> Vec<RecordSet> {
    let mut records = Vec::new();
    for region in REGIONS {
        let region = format!("{}.{domain}", region.name);
        records.push(a(format!("*.{region}"), SERVICES));
        for other in NO_SERVICES {
            // A name that exists ends the wildcard's reach: below this one are load balancers and file systems, or nobody.
            let values = vec![format!("\"no service: names below {other} are resources'\"")];
            let name = format!("{other}.{region}");
            records.push(RecordSet { name, type_: "TXT".to_owned(), ttl: TTL, values, ..RecordSet::default() });
        }
    }
    if domain == SERVICE_DOMAINS[0] {
        records.extend(GLOBAL.iter().map(|name| a(format!("{name}.{domain}"), SERVICES)));
    }
    records
}

/// A zone that hides nothing beside it: names that it lacks are looked for elsewhere.
fn put(view: &str, name: impl Into<String>, records: Vec<RecordSet>) -> Ask {
    let zone = Box::new(Zone { name: name.into(), overlay: view != PUBLIC, records });
    Ask::PutZone { view: view.to_owned(), zone, confirm: None }
}
