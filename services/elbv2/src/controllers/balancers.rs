//! Load balancers: their nodes' interfaces and addresses, and the configuration that their plane works by.

use super::balancers_of;
use crate::ec2;
use crate::model::{BalancerState, LoadBalancer, Node, NodeInterface, NodeStage, Scheme, Told};
use crate::snapshot;
use std::time::Duration;
use zonal_cloud::{Change, Controller, Scope, Tx, View, Wake};
use zonal_substrate::Ask;
use zonal_wire::AwsError;

/// When what failed of a node is tried again: what was missing may be there by then.
const RETRY: Duration = Duration::from_secs(30);

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
        join_nodes(tx, &mut balancer);
        remove_leaving(tx, &mut balancer);
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
        let failed = balancer.nodes.iter().any(|node| node.failure.is_some());
        tx.put(balancer);
        Ok(if failed { Wake::At(tx.now + RETRY) } else { Wake::OnChange })
    }
}

/// Gives each node that stays an interface with the right groups and, facing the internet, a public address. A node for which that
/// fails says why, and holds up no other.
fn join_nodes(tx: &mut Tx<'_>, balancer: &mut LoadBalancer) {
    let description = format!("ELB {}", balancer.path());
    let LoadBalancer { nodes, security_groups, scheme, arn, .. } = balancer;
    for node in nodes.iter_mut().filter(|node| node.stage != NodeStage::Leaving) {
        let joined = tx.attempt(|tx| join(tx, node, security_groups, *scheme, arn, &description));
        match joined {
            Ok(interface) => (node.interface, node.failure) = (Some(interface), None),
            Err(error) => node.failure = Some(format!("{}: {}", node.subnet, error.message)),
        }
    }
}

/// A node's interface as it is to be.
fn join(
    tx: &mut Tx<'_>,
    node: &Node,
    groups: &[String],
    scheme: Scheme,
    balancer: &str,
    description: &str,
) -> Result<NodeInterface, AwsError> {
    if let Some(interface) = &node.interface {
        if interface.groups != groups {
            ec2::set_groups(tx, &interface.id, groups)?;
        }
        return Ok(NodeInterface { groups: groups.to_vec(), ..interface.clone() });
    }
    let (id, address) = ec2::create_interface(tx, &node.subnet, groups, description, node.wanted.private)?;
    let public = match scheme {
        Scheme::InternetFacing => Some(match &node.wanted.allocation {
            Some(allocation) => ec2::give_users_address(tx, &id, allocation)?,
            None => ec2::give_public_address(tx, &id, balancer)?,
        }),
        Scheme::Internal => None,
    };
    Ok(NodeInterface { id, address, groups: groups.to_vec(), public })
}

/// Takes back what nodes that leave have, and forgets them; one of which something cannot be taken back stays until it can.
fn remove_leaving(tx: &mut Tx<'_>, balancer: &mut LoadBalancer) {
    balancer.nodes.retain_mut(|node| {
        if node.stage != NodeStage::Leaving {
            return true;
        }
        let left = tx.attempt(|tx| leave(tx, node));
        node.failure = left.err().map(|error| format!("{}: {}", node.subnet, error.message));
        node.failure.is_some()
    });
}

fn leave(tx: &mut Tx<'_>, node: &Node) -> Result<(), AwsError> {
    let Some(interface) = &node.interface else { return Ok(()) };
    if let Some(public) = &interface.public {
        ec2::take_public_address(tx, public)?;
    }
    ec2::delete_interface(tx, &interface.id)
}

/// Asks for the configuration as it is to be. A new revision is given only to what is new. What is kept of it is without the
/// certificates' keys: those are Certificate Manager's to keep, and another key has another certificate.
fn tell(tx: &mut Tx<'_>, balancer: &LoadBalancer) {
    let told = tx.get::<Told>(&balancer.arn).map(|told| told.config.clone());
    let last = told.as_ref().map_or(0, |config| config.revision);
    let mut config = snapshot::of(&tx.view(), balancer, last);
    let mut kept = snapshot::without_keys(&config);
    if told.as_ref() != Some(&kept) {
        (config.revision, kept.revision) = (last + 1, last + 1);
    }
    tx.put(Told { balancer: balancer.arn.clone(), config: kept });
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
