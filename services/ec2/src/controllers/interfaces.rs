//! Network interfaces.

use crate::model::{Instance, Interface, InterfacePhase};
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::{Address, Ask, Beside, Interface as Facts};
use zonal_wire::AwsError;

/// Interfaces.
pub(super) struct Interfaces;

impl Controller for Interfaces {
    fn name(&self) -> &'static str {
        "ec2.interfaces"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Interface>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Interface>().for_each(|(scope, interface)| wake(scope, &interface.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(interface) = tx.get::<Interface>(key) else { return Ok(Wake::OnChange) };
        let ask = if interface.phase == InterfacePhase::Deleting {
            Ask::RemoveInterface(interface.id.clone())
        } else {
            let public = interface.public.as_ref().map(|public| public.ip);
            let addresses = interface.private.iter().enumerate();
            Ask::PutInterface(Facts {
                id: interface.id.clone(),
                network: interface.vpc.clone(),
                subnet: interface.subnet.clone(),
                zone: interface.zone.clone(),
                mac: interface.mac.clone(),
                addresses: addresses
                    .map(|(i, private)| Address { private: *private, public: public.filter(|_| i == 0) })
                    .collect(),
                groups: interface.groups.clone(),
                source_check: interface.source_dest_check,
                transparent: interface.is_flow_node(),
                beside: beside(&tx.view(), interface),
                generation: interface.generation,
            })
        };
        tx.ask(ask);
        Ok(Wake::OnChange)
    }
}

/// Where one more interface of an instance is: beside its primary one.
fn beside(view: &View<'_>, interface: &Interface) -> Option<Beside> {
    let attachment = interface.attachment.as_ref()?;
    let instance = view.get::<Instance>(attachment.instance.as_ref()?)?;
    let index = u8::try_from(attachment.index).ok().filter(|index| *index > 0)?;
    Some(Beside { interface: instance.interface.clone(), index })
}
