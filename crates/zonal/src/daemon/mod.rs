//! The daemon: services over a world, driven by a clock, behind a door.

pub mod admin;
pub mod clock;
mod door;
pub mod key;
pub mod named;
pub mod names;
pub mod pace;
pub mod pump;
mod serve;
mod signals;
mod status;

use crate::daemon::clock::ScaledClock;
use ipnet::Ipv4Net;
use std::path::PathBuf;
use std::sync::Arc;
use zonal_cloud::{Cloud, CloudConfig, OpenError, Service, Sync};
use zonal_substrate::World;

pub use serve::{ServeError, serve};

/// The services, in the order that their coverage is shown. `key` is what secrets are sealed with.
pub fn services(public_range: Ipv4Net, key: &[u8; 32]) -> Vec<Box<dyn Service>> {
    vec![
        Box::new(zonal_ec2::Ec2 { public_range }),
        Box::new(zonal_elbv2::Elbv2),
        Box::new(zonal_autoscaling::AutoScaling),
        Box::new(zonal_route53::Route53),
        Box::new(zonal_cloudwatch::CloudWatch),
        Box::new(zonal_cloudformation::CloudFormation::default()),
        Box::new(zonal_ssm::Ssm::new(key)),
        Box::new(zonal_acm::Acm),
        Box::new(zonal_sts::Sts),
    ]
}

/// How a daemon is run.
pub struct DaemonConfig {
    /// Where the state is kept; `None` keeps it in memory.
    pub state: Option<PathBuf>,
    /// How far a commit must have gone.
    pub sync: Sync,
    /// The range that public addresses are drawn from.
    pub public_range: Ipv4Net,
    /// What secrets are sealed with.
    pub key: [u8; 32],
    /// The API's port on 127.0.0.1.
    pub port: u16,
    /// Where all chance comes from.
    pub seed: u64,
    /// Whether a Describe waits for what it names to leave a transition.
    pub settle: bool,
    /// The socket that instances' calls come by, where instances are real.
    pub inside: Option<PathBuf>,
    /// The world's directory, for messages.
    pub directory: PathBuf,
}

/// A daemon, assembled.
pub struct Daemon {
    /// The control plane.
    pub cloud: Cloud,
    /// Its clock.
    pub clock: Arc<ScaledClock>,
    /// Its world.
    pub world: Arc<dyn World>,
    /// What happens in it by the clock.
    pub timed: pump::Timed,
    /// How it is run.
    pub config: DaemonConfig,
    /// Counts up with each commit.
    pub committed: tokio::sync::watch::Sender<u64>,
}

impl Daemon {
    /// Opens the state over a world. `nudge` is called when a job may have become due earlier.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn open(
        config: DaemonConfig,
        world: Arc<dyn World>,
        timed: pump::Timed,
        clock: Arc<ScaledClock>,
        nudge: impl Fn() + Send + std::marker::Sync + 'static,
    ) -> Result<Self, OpenError> {
        let (committed, _) = tokio::sync::watch::channel(0);
        let announce = committed.clone();
        let cloud = Cloud::open(
            CloudConfig {
                path: config.state.clone(),
                sync: config.sync,
                seed: config.seed,
                committed: Box::new(move |revision| {
                    announce.send_if_modified(|seen| {
                        let newer = revision > *seen;
                        *seen = revision.max(*seen);
                        newer
                    });
                    nudge();
                }),
            },
            services(config.public_range, &config.key),
            world.clone(),
            clock.clone(),
        )?;
        Ok(Self { cloud, clock, world, timed, config, committed })
    }
}
