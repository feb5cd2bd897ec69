//! What drives EC2's things towards what is stored.

pub(crate) mod checks;
mod images;
mod instances;
mod interfaces;
mod names;
mod networks;
mod zones;

use zonal_cloud::Controller;

pub(crate) fn all() -> Vec<Box<dyn Controller>> {
    vec![
        // At a start, what is cut off is so before anything in it is asked for.
        Box::new(zones::Zones),
        Box::new(networks::Networks),
        Box::new(networks::Subnets),
        Box::new(networks::Groups),
        Box::new(interfaces::Interfaces),
        Box::new(instances::Instances),
        Box::new(checks::Checks),
        Box::new(images::Images),
        Box::new(names::Names),
    ]
}
