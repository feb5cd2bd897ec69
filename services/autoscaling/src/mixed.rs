//! Mixed instances policies: a launch template with instance types in its place. All instances are On-Demand Instances: what asks for
//! Spot Instances, weights or requirements is refused by its name.
//!
//! Source: "Auto Scaling groups with multiple instance types and purchase options" in the Auto Scaling user guide.

use crate::errors::Error;
use crate::model::Template;
use crate::neighbours;
use crate::operations::create_group::{refuse, template_of};
use crate::operations::groups::shown_template;
use crate::shapes::{InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, MixedInstancesPolicy};
use serde::{Deserialize, Serialize};
use zonal_cloud::Tx;
use zonal_wire::AwsError;

/// A mixed instances policy, all On-Demand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// What may be launched, the first choice first; empty means what the template says.
    pub overrides: Vec<Override>,
    /// Shown only, as what follows: there are no Spot Instances.
    pub on_demand_base: Option<i32>,
    /// `capacity-optimized` and its like.
    pub spot_strategy: Option<String>,
    /// Of how many pools.
    pub spot_pools: Option<i32>,
    /// For how much.
    pub spot_price: Option<String>,
}

/// How Spot Instances can be chosen; the first where nobody says.
const SPOT_STRATEGIES: [&str; 4] =
    ["lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"];

impl Mixed {
    fn spot_strategy(&self) -> &str {
        self.spot_strategy.as_deref().unwrap_or(SPOT_STRATEGIES[0])
    }

    /// Whether a number of pools has a meaning.
    fn counts_pools(&self) -> bool {
        self.spot_strategy() == SPOT_STRATEGIES[0]
    }
}

/// What a mixed instances policy puts in the template's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The instance type.
    pub instance_type: Option<String>,
    /// Another template.
    pub template: Option<Template>,
    /// Another image.
    pub image: Option<String>,
}

/// What a request gives in place of a launch template: that template, and the policy. Where it leaves one of both out, the group's
/// own stays.
pub fn of(
    tx: &mut Tx<'_>,
    given: &MixedInstancesPolicy,
    own: Option<(&Template, &Mixed)>,
) -> Result<(Template, Mixed), AwsError> {
    let mut mixed = own.map(|(_, mixed)| mixed.clone()).unwrap_or_default();
    if let Some(distribution) = &given.instances_distribution {
        distribute(&mut mixed, distribution)?;
    }
    let missing =
        "Valid requests must contain LaunchTemplateSpecification in the LaunchTemplate of MixedInstancesPolicy.";
    let template = match (&given.launch_template, own) {
        (Some(launch), _) => {
            mixed.overrides = overrides(tx, &launch.overrides)?;
            match (&launch.launch_template_specification, own) {
                (Some(specification), _) => template_of(tx, specification)?,
                (None, Some((template, _))) => template.clone(),
                (None, None) => return Err(Error::Validation(missing.to_owned()).into()),
            }
        }
        (None, Some((template, _))) => template.clone(),
        (None, None) => return Err(Error::Validation(missing.to_owned()).into()),
    };
    Ok((template, mixed))
}

fn distribute(mixed: &mut Mixed, given: &InstancesDistribution) -> Result<(), Error> {
    let member = |name: &str| format!("MixedInstancesPolicy.InstancesDistribution.{name}");
    if let Some(strategy) = given.on_demand_allocation_strategy.as_deref().filter(|own| *own != "prioritized") {
        return Err(Error::unsupported(&member(&format!("OnDemandAllocationStrategy = {strategy}"))));
    }
    match given.on_demand_percentage_above_base_capacity {
        None | Some(100) => {}
        Some(percent @ 0..100) => {
            return Err(Error::unsupported(&member(&format!("OnDemandPercentageAboveBaseCapacity = {percent}"))));
        }
        Some(percent) => {
            let text = format!("Value {percent} of OnDemandPercentageAboveBaseCapacity must be between 0 and 100.");
            return Err(Error::Validation(text));
        }
    }
    if given.on_demand_base_capacity.is_some_and(|base| base < 0) {
        return Err(Error::Validation("OnDemandBaseCapacity must not be negative.".to_owned()));
    }
    if let Some(strategy) = given.spot_allocation_strategy.as_deref().filter(|own| !SPOT_STRATEGIES.contains(own)) {
        let text = format!("Invalid SpotAllocationStrategy {strategy}: it is one of {}.", SPOT_STRATEGIES.join(", "));
        return Err(Error::Validation(text));
    }
    if let Some(pools) = given.spot_instance_pools.filter(|pools| !(1..=20).contains(pools)) {
        return Err(Error::Validation(format!("Value {pools} of SpotInstancePools must be between 1 and 20.")));
    }
    // An empty price takes one away.
    let is_price = |price: &str| price.is_empty() || price.parse::<f64>().is_ok_and(|price| (0.001..).contains(&price));
    if let Some(price) = given.spot_max_price.as_deref().filter(|price| !is_price(price)) {
        return Err(Error::Validation(format!("Value {price} of SpotMaxPrice must be a number of 0.001 at least.")));
    }
    mixed.on_demand_base = given.on_demand_base_capacity.or(mixed.on_demand_base);
    mixed.spot_strategy = given.spot_allocation_strategy.clone().or(mixed.spot_strategy.take());
    mixed.spot_price = given.spot_max_price.clone().or(mixed.spot_price.take()).filter(|price| !price.is_empty());
    if !mixed.counts_pools() {
        if given.spot_instance_pools.is_some() {
            let text = "SpotInstancePools option is only available with the lowest-price allocation strategy.";
            return Err(Error::Validation(text.to_owned()));
        }
        mixed.spot_pools = None;
    }
    mixed.spot_pools = given.spot_instance_pools.or(mixed.spot_pools);
    Ok(())
}

fn overrides(tx: &mut Tx<'_>, given: &[LaunchTemplateOverrides]) -> Result<Vec<Override>, AwsError> {
    let mut out = Vec::new();
    for own in given {
        refuse(&[
            ("MixedInstancesPolicy.LaunchTemplate.Overrides.WeightedCapacity", own.weighted_capacity.is_some()),
            ("MixedInstancesPolicy.LaunchTemplate.Overrides.InstanceRequirements", own.instance_requirements.is_some()),
        ])?;
        let template = own.launch_template_specification.as_ref().map(|given| template_of(tx, given)).transpose()?;
        out.push(Override { instance_type: own.instance_type.clone(), template, image: own.image_id.clone() });
    }
    let types: Vec<&str> = out.iter().filter_map(|own| own.instance_type.as_deref()).collect();
    neighbours::check_types(tx, &types)?;
    Ok(out)
}

/// The policy as the API shows it, with what is where nothing is given.
pub fn shown(template: &Template, mixed: Option<&Mixed>) -> Option<MixedInstancesPolicy> {
    let mixed = mixed?;
    Some(MixedInstancesPolicy {
        launch_template: Some(LaunchTemplate {
            launch_template_specification: Some(shown_template(template)),
            overrides: mixed.overrides.iter().map(shown_override).collect(),
        }),
        instances_distribution: Some(InstancesDistribution {
            on_demand_allocation_strategy: Some("prioritized".to_owned()),
            on_demand_base_capacity: Some(mixed.on_demand_base.unwrap_or(0)),
            on_demand_percentage_above_base_capacity: Some(100),
            spot_allocation_strategy: Some(mixed.spot_strategy().to_owned()),
            spot_instance_pools: mixed.counts_pools().then(|| mixed.spot_pools.unwrap_or(2)),
            spot_max_price: mixed.spot_price.clone(),
        }),
    })
}

fn shown_override(own: &Override) -> LaunchTemplateOverrides {
    LaunchTemplateOverrides {
        instance_type: own.instance_type.clone(),
        launch_template_specification: own.template.as_ref().map(shown_template),
        image_id: own.image.clone(),
        ..Default::default()
    }
}
