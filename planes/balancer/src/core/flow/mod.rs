//! Flows: the part of the core that a network load balancer has instead of requests.
//!
//! A flow is a TCP connection or the datagrams that one client's port exchanges with one of ours. A
//! target is chosen once, from the snapshot of that instant ([`choice`]), and the flow keeps it for
//! life. Datagrams have no end of their own, so theirs are in a bounded [`table`] that forgets the
//! silent ones. [`proxy`] is the header that tells a target who the client is.

pub mod choice;
pub mod count;
pub mod proxy;
pub mod table;

pub use choice::{Chosen, FlowKey, FlowSnapshot, NoFlow, Transport};
pub use count::{Counted, FlowCounts};
pub use table::FlowTable;
