//! What load balancers may have of a certificate: its key, and a word that they use it.

use crate::model::{Certificate, Request};
use std::collections::BTreeSet;
use std::fmt;
use zonal_cloud::{Change, Tx, View};

/// All that a listener needs to show a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The certificate and those of the authorities above it: PEM.
    pub chain: String,
    /// Its private key: PEM.
    pub private_key: String,
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Material")
    }
}

/// A certificate's material; `None` if there is no such certificate.
#[must_use]
pub fn material(view: &View<'_>, arn: &str) -> Option<Material> {
    let found = view.get::<Certificate>(arn)?;
    let mut chain = found.body.trim_end().to_owned();
    chain.push('\n');
    if let Some(above) = &found.chain {
        chain.push_str(above);
    }
    Some(Material { chain, private_key: found.private_key.clone() })
}

/// Whether a certificate was requested that is not issued, or was not when it was asked for.
#[must_use]
pub fn is_requested(view: &View<'_>, arn: &str) -> bool {
    view.get::<Request>(arn).is_some()
}

/// Says which certificates `user` (a load balancer's ARN) shows: these, and no others.
pub fn use_by(tx: &mut Tx<'_>, user: &str, arns: &BTreeSet<String>) {
    let shown = tx.owned_by::<Certificate>(user).filter(|found| !arns.contains(&found.arn));
    let new = arns.iter().filter_map(|arn| tx.get::<Certificate>(arn)).filter(|found| !found.users.contains(user));
    let changed: Vec<Certificate> = shown.chain(new).cloned().collect();
    for mut certificate in changed {
        if !certificate.users.remove(user) {
            certificate.users.insert(user.to_owned());
        }
        tx.put(certificate);
    }
}

/// Who shows the certificate that has changed; nobody if the change is of something else.
#[must_use]
pub fn users_of(change: &Change, view: &View<'_>) -> Vec<String> {
    if !change.is::<Certificate>() {
        return Vec::new();
    }
    view.get::<Certificate>(&change.key).map_or_else(Vec::new, |found| found.users.iter().cloned().collect())
}
