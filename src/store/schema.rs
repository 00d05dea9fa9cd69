//! The tables of the embedded store, version by version.
//!
//! Identifiers, customers, scopes and times stand there as text; tokens only sealed, and what
//! somebody has to show only as a digest.

use rusqlite::{Connection, TransactionBehavior};

/// Each entry leads from the version that is its index to the next. Entries are never changed,
/// only added: a file in the field has been through them.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE accounts (
        id TEXT PRIMARY KEY, connector TEXT NOT NULL, identifier TEXT NOT NULL, version INTEGER NOT NULL, record TEXT NOT NULL,
        UNIQUE (connector, identifier)
    ) STRICT;
    CREATE TABLE grants (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL, facts TEXT NOT NULL, sealed BLOB NOT NULL, intent TEXT
    ) STRICT;
    CREATE INDEX grants_with_intent ON grants (id) WHERE intent IS NOT NULL;
    CREATE TABLE handles (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, account TEXT REFERENCES accounts (id), record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX handles_of_account ON handles (account) WHERE account IS NOT NULL;
    CREATE TABLE authorizations (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL, account TEXT NOT NULL, link BLOB NOT NULL UNIQUE, state BLOB UNIQUE,
        expires_at INTEGER NOT NULL, record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX authorizations_of_account ON authorizations (account);
    CREATE INDEX authorizations_by_end ON authorizations (expires_at);
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, started_at INTEGER NOT NULL, last_used INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_use ON sessions (last_used);
    CREATE TABLE data_keys (
        id BLOB PRIMARY KEY, purpose TEXT NOT NULL, kek TEXT NOT NULL, wrapped BLOB NOT NULL, created_at INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_digest_key ON data_keys (purpose) WHERE purpose = 'digest';
    CREATE TABLE leases (
        name TEXT PRIMARY KEY, owner TEXT NOT NULL, holder TEXT NOT NULL, fence INTEGER NOT NULL, expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO counters VALUES ('fence', 0), ('ready', 0);
    -- What other processes have to take over: the kind and id of each thing that changed.
    CREATE TABLE news (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL) STRICT;
",
    "
    ALTER TABLE data_keys ADD COLUMN made_with TEXT NOT NULL DEFAULT '';
    UPDATE data_keys SET made_with = kek;
    -- The data key stands behind the format byte of what is sealed.
    CREATE INDEX grants_by_data_key ON grants (substr(sealed, 2, 16), id);
    INSERT INTO counters VALUES ('commits', 0);
    -- The store's id; and of a copy, when it was made.
    CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
",
];

/// What keeps a file from being used.
pub(super) enum SchemaFault {
    /// It was written by a newer version.
    Newer { found: i64, known: i64 },
    /// It cannot be read or written.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaFault {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Failed(cause)
    }
}

/// The newest version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings a file, or a new one, to the version that this program knows. Safe beside other processes.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SchemaFault> {
    let known = known();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(SchemaFault::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_of_the_first_version_was_made_with_the_key_that_wraps_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let [first, ..] = MIGRATIONS else { panic!("there is a first version") };
        connection.execute_batch(first).unwrap();
        connection.execute_batch("PRAGMA user_version = 1; INSERT INTO data_keys VALUES (x'01', 'seal', 'kek', x'02', 3)").unwrap();
        assert!(migrate(&mut connection).is_ok());
        let made_with: String = connection.query_row("SELECT made_with FROM data_keys", [], |row| row.get(0)).unwrap();
        assert_eq!(made_with, "kek");
    }
}
