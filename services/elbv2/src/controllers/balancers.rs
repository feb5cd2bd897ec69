//! Load balancers: their nodes' interfaces and addresses, and the configuration that their plane works by.

use super::balancers_of;
use crate::ec2;
use crate::model::{BalancerState, LoadBalancer, Node, NodeInterface, NodeStage, Scheme, Told};
use crate::snapshot;
use zonal_balancer::config::BalancerConfig;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// Drives each load balancer. The key is its ARN.
pub struct Balancers;

impl Controller for Balancers {
    fn name(&self) -> &'static str {
        "elbv2.balancers"
    }

    fn wakes_on(&self, change: &Change, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for arn in balancers_of(change, view) {
            wake(&change.scope, &arn);
        }
    }

    fn all(&self, view: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        for (scope, balancer) in view.everywhere::<LoadBalancer>() {
            wake(scope, &balancer.arn);
        }
    }

    fn reconcile(&self, tx: &mut Tx<'_>, key: &str) -> Result<Wake, AwsError> {
        let Some(mut balancer) = tx.get::<LoadBalancer>(key).cloned() else {
            // Whoever was killed before the world heard of it tells it now.
            tx.ask(Ask::RemoveBalancer(key.to_owned()));
            return Ok(Wake::OnChange);
        };
        if !balancer.lives() {
            tx.ask(Ask::RemoveBalancer(balancer.arn.clone()));
        }
        join_nodes(tx, &mut balancer)?;
        remove_leaving(tx, &mut balancer)?;
        match balancer.state {
            BalancerState::Deleting if balancer.nodes.is_empty() => {
                tx.remove::<Told>(key);
                tx.remove::<LoadBalancer>(key);
                return Ok(Wake::OnChange);
            }
            BalancerState::Deleting => {}
            BalancerState::Provisioning | BalancerState::Active => {
                tell(tx, &balancer);
                balancer.settle();
            }
        }
        tx.put(balancer);
        Ok(Wake::OnChange)
    }
}

/// Gives each node that stays an interface with the right groups and, facing the internet, a public address.
fn join_nodes(tx: &mut Tx<'_>, balancer: &mut LoadBalancer) -> Result<(), AwsError> {
    let description = format!("ELB {}", balancer.path());
    for node in balancer.nodes.iter_mut().filter(|node| node.stage != NodeStage::Leaving) {
        match &mut node.interface {
            None => {
                let (id, address) = ec2::create_interface(
                    tx,
                    &node.subnet,
                    &balancer.security_groups,
                    &description,
                    node.wanted.private,
                )?;
                let public = match balancer.scheme {
                    Scheme::InternetFacing => Some(match &node.wanted.allocation {
                        Some(allocation) => ec2::give_users_address(tx, &id, allocation)?,
                        None => ec2::give_public_address(tx, &id, &balancer.arn)?,
                    }),
                    Scheme::Internal => None,
                };
                node.interface = Some(NodeInterface { id, address, groups: balancer.security_groups.clone(), public });
            }
            Some(interface) if interface.groups != balancer.security_groups => {
                ec2::set_groups(tx, &interface.id, &balancer.security_groups)?;
                interface.groups.clone_from(&balancer.security_groups);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Takes back what nodes that leave have, and forgets them.
fn remove_leaving(tx: &mut Tx<'_>, balancer: &mut LoadBalancer) -> Result<(), AwsError> {
    for node in balancer.nodes.iter().filter(|node| node.stage == NodeStage::Leaving) {
        let Some(interface) = &node.interface else { continue };
        if let Some(public) = &interface.public {
            ec2::take_public_address(tx, public)?;
        }
        ec2::delete_interface(tx, &interface.id)?;
    }
    balancer.nodes.retain(|node: &Node| node.stage != NodeStage::Leaving);
    Ok(())
}

/// Asks for the configuration as it is to be. A new revision is given only to what is new.
fn tell(tx: &mut Tx<'_>, balancer: &LoadBalancer) {
    let told = tx.get::<Told>(&balancer.arn).map(|told| told.config.clone());
    let last = told.as_ref().map_or(0, |config| config.revision);
    let wanted = snapshot::of(&tx.view(), balancer, last);
    let config = match told {
        Some(same) if same == wanted => same,
        _ => BalancerConfig { revision: last + 1, ..wanted },
    };
    tx.put(Told { balancer: balancer.arn.clone(), config: config.clone() });
    tx.ask(Ask::PutBalancer(Box::new(config)));
}

/// An interface passes packets: the node that has it serves.
pub fn interface_ready(tx: &mut Tx<'_>, interface: &str) {
    let has_it = |node: &&Node| node.interface.as_ref().is_some_and(|own| own.id == interface);
    let owner =
        tx.view().everywhere::<LoadBalancer>().find(|(_, balancer)| balancer.nodes.iter().any(|node| has_it(&node)));
    let Some((scope, arn)) = owner.map(|(scope, balancer)| (scope.clone(), balancer.arn.clone())) else { return };
    tx.within(&scope, |tx| {
        tx.update(&arn, |balancer: &mut LoadBalancer| {
            for node in &mut balancer.nodes {
                if has_it(&&*node) && node.stage == NodeStage::Joining {
                    node.stage = NodeStage::Ready;
                }
            }
        })
    });
}
