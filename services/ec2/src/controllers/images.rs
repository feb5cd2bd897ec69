//! Images made of instances.

use crate::model::{Image, ImageState, Instance, InstanceState};
use std::time::Duration;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// How long until it is looked at again whether an image that is gone is waited for: a launch takes less.
const AGAIN: Duration = Duration::from_secs(1);

fn awaits(instance: &Instance, image: &str) -> bool {
    instance.image == image && instance.state == InstanceState::Pending && instance.generation == 1
}

/// Images.
pub(super) struct Images;

impl Controller for Images {
    fn name(&self) -> &'static str {
        "ec2.images"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.is::<Image>() {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        view.everywhere::<Image>().for_each(|(scope, image)| wake(scope, &image.id));
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        match tx.get::<Image>(key) {
            Some(image) if image.state == ImageState::Pending => {
                let ask = Ask::PutImage { id: image.id.clone(), sandbox: image.instance.clone() };
                tx.ask(ask);
            }
            Some(_) => {}
            // Who was launched of it before comes up, as with AWS. Once it has a disk, the world keeps what is below that.
            None if tx.list::<Instance>().any(|instance| awaits(instance, key)) => return Ok(Wake::At(tx.now + AGAIN)),
            None => tx.ask(Ask::RemoveImage(key.to_owned())),
        }
        Ok(Wake::OnChange)
    }
}
