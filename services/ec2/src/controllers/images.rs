//! Images made of instances.

use crate::model::{Image, ImageState};
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

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
            None => tx.ask(Ask::RemoveImage(key.to_owned())),
        }
        Ok(Wake::OnChange)
    }
}
