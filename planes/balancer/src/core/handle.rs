//! What of groups and targets outlives snapshots: whose turn it is, counters, requests on their way.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::count::GroupCounts;
use super::fleet::TargetKey;
use super::sticky::token;
use crate::config::{ProtocolVersion, TargetProtocol};

/// Zones that a balancer can have had in its life, at most.
pub const MAX_ZONES: usize = 16;

/// What of a target group outlives a snapshot.
#[derive(Debug)]
pub struct GroupHandle {
    /// Whether its targets are spoken to over TLS.
    pub protocol: TargetProtocol,
    /// What they are spoken to in.
    pub version: ProtocolVersion,
    /// Which target's turn it is.
    pub(super) turn: AtomicUsize,
    /// Which group's turn it is, in actions that begin with this one.
    pub(super) share_turn: AtomicUsize,
    /// Cookies made so far.
    pub(super) cookies: AtomicUsize,
    /// One per core and zone, made when first needed.
    counts: Box<[OnceLock<Box<GroupCounts>>]>,
}

impl GroupHandle {
    /// For so many cores.
    pub fn new(cores: usize, protocol: TargetProtocol, version: ProtocolVersion) -> Self {
        let counts = (0..cores * MAX_ZONES).map(|_| OnceLock::new()).collect();
        Self {
            protocol,
            version,
            turn: AtomicUsize::new(0),
            share_turn: AtomicUsize::new(0),
            cookies: AtomicUsize::new(0),
            counts,
        }
    }

    /// The counters of one core and node.
    pub fn counts(&self, core: usize, zone: usize) -> &GroupCounts {
        self.counts[core * MAX_ZONES + zone].get_or_init(Box::default)
    }

    /// All counters that exist, with their zone.
    pub fn all_counts(&self) -> impl Iterator<Item = (usize, &GroupCounts)> {
        self.counts.iter().enumerate().filter_map(|(at, counts)| Some((at % MAX_ZONES, &**counts.get()?)))
    }
}

/// What of a target outlives a snapshot.
#[derive(Debug)]
pub struct TargetHandle {
    /// Never used twice.
    pub slot: u64,
    /// Whom it is about.
    pub key: Arc<TargetKey>,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Its group.
    pub group: Arc<GroupHandle>,
    /// Deregistered: whoever finishes a request says so.
    pub draining: AtomicBool,
    /// Names it in cookies: the same in every process that has this target.
    pub token: u64,
    /// Requests on their way, per core.
    in_flight: Box<[OwnLine]>,
}

/// A counter on a cache line of its own, so that cores do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OwnLine(AtomicU32);

impl TargetHandle {
    /// For so many cores.
    pub fn new(slot: u64, key: Arc<TargetKey>, address: SocketAddrV4, group: Arc<GroupHandle>, cores: usize) -> Self {
        let in_flight = (0..cores).map(|_| OwnLine::default()).collect();
        let token = token(&[key.group.as_bytes(), key.target.as_bytes(), &key.port.to_be_bytes()]);
        Self { slot, key, address, group, draining: AtomicBool::new(false), token, in_flight }
    }

    /// A request begins.
    pub fn begin(&self, core: usize) {
        self.in_flight[core].0.fetch_add(1, Relaxed);
    }

    /// A request has ended.
    pub fn end(&self, core: usize) {
        self.in_flight[core].0.fetch_sub(1, Relaxed);
    }

    /// Requests on their way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.iter().map(|core| core.0.load(Relaxed)).sum()
    }
}
