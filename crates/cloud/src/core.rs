//! What a cloud is made of and does not change while it is open.

use crate::controller::Controller;
use crate::service::{Entry, Registrar, Service};
use crate::state::Record;
use crate::transaction::Tx;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use zonal_substrate::World;
use zonal_wire::AwsError;

/// What does not change while a cloud is open.
pub(crate) struct Core {
    pub services: Vec<Box<dyn Service>>,
    pub entries: BTreeMap<&'static str, BTreeMap<&'static str, Entry>>,
    pub controllers: Vec<Box<dyn Controller>>,
    pub registrar: Registrar,
    pub world: Arc<dyn World>,
    pub seed: u64,
}

impl Core {
    pub(crate) fn entry(&self, service: &str, operation: &str) -> Result<&Entry, AwsError> {
        self.entries.get(service).and_then(|entries| entries.get(operation)).ok_or_else(|| {
            AwsError::client("InvalidAction", format!("The action {operation} is not valid for this web service."))
        })
    }

    pub(crate) fn first_use(&self, service: &str, tx: &mut Tx<'_>) -> Result<(), AwsError> {
        if tx.get::<Used>(service).is_some() {
            return Ok(());
        }
        tx.put(Used { service: service.to_owned() });
        match self.services.iter().find(|s| s.name() == service) {
            Some(service) => service.first_use(tx),
            None => Ok(()),
        }
    }

    /// A generator for one step: of its own seed, so that a draw more in one moves no other.
    pub(crate) fn chance(&self, label: &str, revision: u64) -> StdRng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(revision.to_le_bytes());
        hash.update(label);
        StdRng::from_seed(hash.finalize().into())
    }
}

/// That a service has been used in a scope, and has made there what it makes at first use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Used {
    service: String,
}

impl Record for Used {
    const TABLE: &'static str = "cloud.used";

    fn key(&self) -> &str {
        &self.service
    }
}
