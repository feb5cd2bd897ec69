//! Removals, remembered for a while: whoever is killed between the commit of a removal and telling the world of it tells it at the
//! next start, where no record is left to say so.

use crate::state::{Change, Record};
use crate::transaction::Tx;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zonal_wire::Time;

/// For how long. The world performs what it is asked in seconds.
const REMEMBERED: Duration = Duration::from_secs(600);

/// That a record was removed which a controller watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gone {
    id: String,
    pub table: String,
    pub key: String,
    at: Time,
}

impl Record for Gone {
    const TABLE: &'static str = "cloud.gone";

    // This record's own key: `key` is the removed one's.
    #[allow(clippy::misnamed_getters)]
    fn key(&self) -> &str {
        &self.id
    }
}

/// Remembers a removal.
pub(crate) fn remember(tx: &mut Tx<'_>, change: &Change) {
    let id = format!("{}/{}", change.table, change.key);
    let gone = Gone { id, table: change.table.to_owned(), key: change.key.clone(), at: tx.now };
    tx.within(&change.scope, |tx| tx.put(gone));
}

/// Remembers all for as long again: at a start, which has them told again.
pub(crate) fn keep(tx: &mut Tx<'_>) {
    let all: Vec<_> = tx.view().everywhere::<Gone>().map(|(scope, gone)| (scope.clone(), gone.clone())).collect();
    let at = tx.now;
    for (scope, gone) in all {
        tx.within(&scope, |tx| tx.put(Gone { at, ..gone }));
    }
}

/// Forgets what is past its time.
pub(crate) fn sweep(tx: &mut Tx<'_>) {
    let old: Vec<_> = tx
        .view()
        .everywhere::<Gone>()
        .filter(|(_, gone)| gone.at + REMEMBERED <= tx.now)
        .map(|(scope, gone)| (scope.clone(), gone.id.clone()))
        .collect();
    for (scope, id) in old {
        tx.within(&scope, |tx| tx.remove::<Gone>(&id));
    }
}
