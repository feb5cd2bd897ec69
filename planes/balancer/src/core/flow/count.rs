//! Counters of flows: a shard per core and node, as those of requests are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::{FlowMetrics, FlowProtocol, FlowTotals};
use crate::core::count::Count;

/// What a core has counted of flows on one node.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each is FlowMetrics' of the same name")]
pub struct FlowCounts {
    pub tcp: Totals,
    pub udp: Totals,
    pub tls: Totals,
    pub client_resets: Count,
    pub target_resets: Count,
    pub elb_resets: Count,
    pub client_tls_errors: Count,
    pub target_tls_errors: Count,
    pub rejected: Count,
    pub unhealthy_routing: Count,
    pub port_allocation_errors: Count,
}

/// The counters that every protocol has.
#[derive(Debug, Default)]
pub struct Totals {
    active: AtomicU64,
    new: Count,
    bytes: Count,
}

/// Which counters a flow is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A connection that is passed through.
    Tcp,
    /// Datagrams.
    Udp,
    /// A connection whose TLS ends here.
    Tls,
}

impl Counted {
    /// How a listener's connections count.
    pub fn connection(protocol: FlowProtocol) -> Self {
        if protocol == FlowProtocol::Tls { Self::Tls } else { Self::Tcp }
    }
}

impl FlowCounts {
    /// One protocol's.
    pub fn of(&self, counted: Counted) -> &Totals {
        match counted {
            Counted::Tcp => &self.tcp,
            Counted::Udp => &self.udp,
            Counted::Tls => &self.tls,
        }
    }

    /// Moves what was counted into `sum`; what is active stays.
    pub fn take_into(&self, sum: &mut FlowMetrics) {
        self.tcp.take_into(&mut sum.tcp);
        self.udp.take_into(&mut sum.udp);
        self.tls.take_into(&mut sum.tls);
        self.client_resets.take_into(&mut sum.client_resets);
        self.target_resets.take_into(&mut sum.target_resets);
        self.elb_resets.take_into(&mut sum.elb_resets);
        self.client_tls_errors.take_into(&mut sum.client_tls_errors);
        self.target_tls_errors.take_into(&mut sum.target_tls_errors);
        self.rejected.take_into(&mut sum.rejected);
        self.unhealthy_routing.take_into(&mut sum.unhealthy_routing);
        self.port_allocation_errors.take_into(&mut sum.port_allocation_errors);
    }
}

impl Totals {
    /// A flow begins.
    pub fn begin(&self) {
        self.active.fetch_add(1, Relaxed);
        self.new.add(1);
    }

    /// A flow has ended.
    pub fn end(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    /// So many bytes more were carried.
    pub fn carried(&self, bytes: usize) {
        self.bytes.add(bytes as u64);
    }

    fn take_into(&self, sum: &mut FlowTotals) {
        sum.active += self.active.load(Relaxed);
        self.new.take_into(&mut sum.new);
        self.bytes.take_into(&mut sum.bytes);
    }
}
