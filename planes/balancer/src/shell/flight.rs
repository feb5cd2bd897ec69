//! A request that a target has: counted until it ends, however it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::conductor::Event;
use super::shared::Shared;
use super::worker::{Client, Worker};
use crate::core::route::TargetHandle;

/// See the module.
pub struct InFlight {
    /// The core that it is on.
    pub worker: Rc<Worker>,
    /// Whose request it is.
    pub client: Rc<Client>,
    /// The balancer.
    pub shared: Arc<Shared>,
    /// The target.
    pub target: Arc<TargetHandle>,
    /// Whether it has been counted out.
    pub ended: bool,
}

impl InFlight {
    /// It is over.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.client.rest();
            self.target.end(self.worker.core);
            if self.target.draining.load(Relaxed) {
                // The conductor is gone only when the whole balancer is.
                let _ = self.worker.events.send(Event::Rested(self.shared.id.clone()));
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end();
    }
}
