//! Records on disk: one SQLite table, one commit per transaction.
//!
//! A write that the kernel has taken survives `kill -9`, so that the default does not wait for the disk; [`Sync::Full`] does, for
//! power loss.

use crate::scope::Scope;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// How far a commit must have gone before the answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// In the kernel's hands: survives the death of the process.
    #[default]
    Process,
    /// On the disk: survives the loss of power.
    Full,
}

/// Storing or loading failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// SQLite refused.
    #[error("the state at {path}: {source}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A record does not decode.
    #[error("the state's record {table} {key} does not decode: {source}")]
    Decode {
        /// Its table.
        table: String,
        /// Its key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A record does not encode.
    #[error("a record of {table} does not encode: {source}")]
    Encode {
        /// Its table.
        table: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

/// A stored record, still encoded.
pub(crate) struct Stored {
    pub table: String,
    pub scope: Scope,
    pub key: String,
    pub value: String,
}

/// One record's change, encoded: `None` where it was removed.
pub(crate) struct Written<'a> {
    pub table: &'static str,
    pub scope: &'a Scope,
    pub key: &'a str,
    pub value: Option<String>,
}

/// The database, or nothing where the state is kept in memory only.
pub(crate) struct Storage {
    connection: Connection,
    path: PathBuf,
}

impl Storage {
    pub(crate) fn open(path: &Path, sync: Sync) -> Result<Self, StorageError> {
        let wrap = |source| StorageError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(wrap)?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = {};
                 CREATE TABLE IF NOT EXISTS records (
                    tbl TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                    PRIMARY KEY (tbl, account, region, key)) WITHOUT ROWID;",
                if sync == Sync::Full { "FULL" } else { "OFF" }
            ))
            .map_err(wrap)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    pub(crate) fn load(&self) -> Result<Vec<Stored>, StorageError> {
        let wrap = |source| StorageError::Sqlite { path: self.path.clone(), source };
        let mut statement =
            self.connection.prepare("SELECT tbl, account, region, key, value FROM records").map_err(wrap)?;
        let rows = statement
            .query_map([], |row| {
                let (account, region): (String, String) = (row.get(1)?, row.get(2)?);
                Ok(Stored { table: row.get(0)?, scope: Scope::new(&account, &region), key: row.get(3)?, value: row.get(4)? })
            })
            .map_err(wrap)?;
        rows.collect::<Result<_, _>>().map_err(wrap)
    }

    /// Writes all or nothing.
    pub(crate) fn write(&mut self, records: &[Written<'_>]) -> Result<(), StorageError> {
        let path = &self.path;
        let wrap = |source| StorageError::Sqlite { path: path.clone(), source };
        let transaction = self.connection.transaction().map_err(wrap)?;
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5)")
                .map_err(wrap)?;
            let mut remove = transaction
                .prepare_cached("DELETE FROM records WHERE tbl = ?1 AND account = ?2 AND region = ?3 AND key = ?4")
                .map_err(wrap)?;
            for record in records {
                let Scope { account, region } = record.scope;
                match &record.value {
                    Some(value) => put.execute(params![record.table, &**account, &**region, record.key, value]),
                    None => remove.execute(params![record.table, &**account, &**region, record.key]),
                }
                .map_err(wrap)?;
            }
        }
        transaction.commit().map_err(wrap)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> Result<(), StorageError> {
        self.connection
            .execute("DELETE FROM records", [])
            .map(drop)
            .map_err(|source| StorageError::Sqlite { path: self.path.clone(), source })
    }
}
