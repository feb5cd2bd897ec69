//! Records on disk: one SQLite table, one commit per transaction; beside them the number of the last commit, so that a start goes
//! on counting where the last one ended.
//!
//! A write that the kernel has taken survives `kill -9`, so that the default does not wait for the disk; [`Sync::Full`] does, for
//! power loss.

use crate::scope::Scope;
use rusqlite::{Connection, params};
use std::os::unix::fs::OpenOptionsExt as _;
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
    /// A record is of a type that its service did not register: the next start could not read it.
    #[error("the record type {0} is not registered by its service")]
    Unregistered(&'static str),
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
        // Private keys are in it, so nobody else reads it; its log takes over its mode. What hinders this, hinders the opening too.
        let _ = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let connection = Connection::open(path).map_err(wrap)?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = {};
                 CREATE TABLE IF NOT EXISTS records (
                    tbl TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                    PRIMARY KEY (tbl, account, region, key)) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS commits (only INTEGER PRIMARY KEY CHECK (only = 0), revision INTEGER NOT NULL);",
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
                Ok(Stored {
                    table: row.get(0)?,
                    scope: Scope::new(&account, &region),
                    key: row.get(3)?,
                    value: row.get(4)?,
                })
            })
            .map_err(wrap)?;
        rows.collect::<Result<_, _>>().map_err(wrap)
    }

    /// The number of the last commit; 0 before the first.
    pub(crate) fn revision(&self) -> Result<u64, StorageError> {
        let last =
            self.connection.query_row("SELECT COALESCE(MAX(revision), 0) FROM commits", [], |row| row.get::<_, i64>(0));
        let last = last.map_err(|source| StorageError::Sqlite { path: self.path.clone(), source })?;
        Ok(u64::try_from(last).unwrap_or(0))
    }

    /// Writes all or nothing, as the commit of that number.
    pub(crate) fn write(&mut self, records: &[Written<'_>], revision: u64) -> Result<(), StorageError> {
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
        count(&transaction, revision).map_err(wrap)?;
        transaction.commit().map_err(wrap)
    }

    /// Forgets everything but how many commits there were.
    pub(crate) fn clear(&mut self, revision: u64) -> Result<(), StorageError> {
        let path = &self.path;
        let wrap = |source| StorageError::Sqlite { path: path.clone(), source };
        let transaction = self.connection.transaction().map_err(wrap)?;
        transaction.execute("DELETE FROM records", []).map_err(wrap)?;
        count(&transaction, revision).map_err(wrap)?;
        transaction.commit().map_err(wrap)
    }
}

fn count(connection: &Connection, revision: u64) -> rusqlite::Result<()> {
    // 2^63 commits, one a microsecond, take 292,000 years.
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    connection.prepare_cached("INSERT OR REPLACE INTO commits VALUES (0, ?1)")?.execute(params![revision]).map(drop)
}
