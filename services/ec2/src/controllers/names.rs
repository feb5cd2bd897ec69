//! DNS names of interfaces: private ones inside their VPC, public ones for everyone; inside the VPC a public name leads to the
//! private address, as on AWS.

use crate::model::{Interface, InterfacePhase, Vpc};
use crate::operations::interfaces;
use std::net::Ipv4Addr;
use zonal_cloud::regions::Region;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_dns::config::{PUBLIC, RecordSet, Zone};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// How long such a name may be kept, seconds.
const TTL: u32 = 60;

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
        } else {
            for name in [region.internal_domain(), region.public_domain()] {
                asks.push(Ask::RemoveZone { view: key.to_owned(), name });
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

/// A zone that hides nothing beside it: names that it lacks are looked for elsewhere.
fn put(view: &str, name: String, records: Vec<RecordSet>) -> Ask {
    Ask::PutZone { view: view.to_owned(), zone: Box::new(Zone { name, overlay: view != PUBLIC, records }) }
}
