//! What can be read.

use super::{failed, unreadable};
use crate::store::{
    AuthorizationPhase, AuthorizationRecord, DataKeyId, DataKeyPurpose, DataKeyRecord, Follower, GrantRecord, Intent, KekId, News, Sealed, SealedId,
    SealedRecord, SessionRecord, Snapshot, StoreError,
};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use scopegate_core::id::{GrantId, SessionId};
use scopegate_core::time::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// A column that holds a record as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|fault| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(fault)))
}

fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A failure of reading a record: of SQLite, or of the record itself.
fn fault(what: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |cause| {
        let of_the_record = matches!(cause, rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..));
        if of_the_record { unreadable(what)(cause) } else { failed("read")(cause) }
    }
}

const GRANTS: &str = "SELECT facts FROM grants";
const ACCOUNTS: &str = "SELECT record FROM accounts";
const HANDLES: &str = "SELECT record FROM handles";

/// Everything that memory holds.
pub(super) fn snapshot(connection: &Connection) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        accounts: all(connection, "an account", ACCOUNTS, |row| json(row, 0))?,
        grants: all(connection, "a grant", GRANTS, |row| json(row, 0))?,
        handles: all(connection, "a handle", HANDLES, |row| json(row, 0))?,
    })
}

/// Everything that memory holds, a part at a time, so that it is not there twice.
pub(super) fn tell_all(connection: &Connection, follower: &Follower) -> Result<(), StoreError> {
    tell_each(connection, follower, "a grant", GRANTS, |row| json(row, 0).map(News::Grant))?;
    tell_each(connection, follower, "an account", ACCOUNTS, |row| json(row, 0).map(News::Account))?;
    tell_each(connection, follower, "a handle", HANDLES, |row| json(row, 0).map(News::Handle))
}

fn tell_each(
    connection: &Connection,
    follower: &Follower,
    what: &'static str,
    query: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<News>,
) -> Result<(), StoreError> {
    const PART: usize = 1_000;
    let mut query = connection.prepare(query).map_err(fault(what))?;
    let mut rows = query.query_map([], |row| read(row)).map_err(fault(what))?;
    loop {
        let part = rows.by_ref().take(PART).collect::<Result<Vec<_>, _>>().map_err(fault(what))?;
        if part.is_empty() {
            return Ok(());
        }
        follower(part);
    }
}

/// Each row of a query without parameters.
fn all<T>(connection: &Connection, what: &'static str, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, StoreError> {
    connection.prepare_cached(query).and_then(|mut query| query.query_map([], read)?.collect()).map_err(fault(what))
}

/// The one row of a query by one key.
pub(super) fn one<T, K: ToSql>(
    connection: &Connection,
    what: &'static str,
    query: &str,
    key: K,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    connection.prepare_cached(query).and_then(|mut query| query.query_row([key], read).optional()).map_err(fault(what))
}

pub(super) fn grant(connection: &Connection, id: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
    one(connection, "a grant", "SELECT facts, sealed, intent FROM grants WHERE id = ?1", id.to_string(), grant_record)
}

fn grant_record(row: &Row<'_>) -> rusqlite::Result<GrantRecord> {
    Ok(GrantRecord { facts: json(row, 0)?, sealed: Sealed::from_bytes(row.get(1)?), intent: intent(row, 2)? })
}

fn intent(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Intent>> {
    match row.get_ref(column)?.as_str_or_null() {
        Ok(None) => Ok(None),
        Ok(Some(_)) => json(row, column).map(Some),
        Err(fault) => Err(rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(fault))),
    }
}

pub(super) fn intents(connection: &Connection) -> Result<Vec<(GrantId, Intent)>, StoreError> {
    all(connection, "an intent", "SELECT id, intent FROM grants WHERE intent IS NOT NULL", |row| Ok((name(row, 0)?, json(row, 1)?)))
}

/// The authorization whose `column` is `key`.
pub(super) fn authorization<K: ToSql>(connection: &Connection, column: &'static str, key: K) -> Result<Option<AuthorizationRecord>, StoreError> {
    let query = format!("SELECT record FROM authorizations WHERE {column} = ?1");
    one(connection, "an authorization", &query, key, |row| json(row, 0))
}

/// Authorizations that wait for their confirmation, of which `column` is so.
pub(super) fn unconfirmed<K: ToSql>(connection: &Connection, column: &'static str, key: K) -> Result<Vec<AuthorizationRecord>, StoreError> {
    let query = format!("SELECT record FROM authorizations WHERE {column} ?1 ORDER BY id");
    let found: rusqlite::Result<Vec<AuthorizationRecord>> =
        connection.prepare_cached(&query).and_then(|mut query| query.query_map([key], |row| json(row, 0))?.collect());
    let mut found = found.map_err(fault("an authorization"))?;
    found.retain(|record| matches!(record.phase, AuthorizationPhase::AwaitingConfirmation { .. }));
    Ok(found)
}

pub(super) fn session(connection: &Connection, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
    one(connection, "a session", "SELECT id, customer, started_at, last_used FROM sessions WHERE id = ?1", id.as_str(), |row| {
        Ok(SessionRecord { id: name(row, 0)?, customer: name(row, 1)?, started_at: timestamp(row, 2)?, last_used: timestamp(row, 3)? })
    })
}

pub(super) fn data_keys(connection: &Connection) -> Result<Vec<DataKeyRecord>, StoreError> {
    let query = "SELECT id, purpose, kek, made_with, wrapped, created_at FROM data_keys ORDER BY created_at, id";
    all(connection, "a data key", query, |row| {
        let purpose = match row.get_ref(1)?.as_str()? {
            "seal" => DataKeyPurpose::Seal,
            "digest" => DataKeyPurpose::Digest,
            _unknown => return Err(FromSqlError::InvalidType.into()),
        };
        let (id, kek, made_with) = (DataKeyId(row.get(0)?), KekId(row.get(2)?), KekId(row.get(3)?));
        Ok(DataKeyRecord { id, purpose, kek, made_with, wrapped: row.get(4)?, created_at: timestamp(row, 5)? })
    })
}

pub(super) fn sealed_counts(connection: &Connection) -> Result<Vec<(DataKeyId, u64)>, StoreError> {
    // Answered from the index alone.
    let grants = "SELECT substr(sealed, 2, 16), count(*) FROM grants GROUP BY substr(sealed, 2, 16)";
    let counted: Vec<(Vec<u8>, i64)> = all(connection, "a grant", grants, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut counts: HashMap<DataKeyId, u64> = HashMap::new();
    for (key, count) in counted {
        // What is too short to name a key was not sealed by a vault.
        if let Ok(key) = key.try_into() {
            counts.insert(DataKeyId(key), u64::try_from(count).map_err(unreadable("a count"))?);
        }
    }
    for record in authorizations(connection)? {
        if let Some(parts) = record.phase.sealed().and_then(Sealed::parts) {
            *counts.entry(parts.key).or_default() += 1;
        }
    }
    Ok(counts.into_iter().collect())
}

pub(super) fn sealed_with(connection: &Connection, key: DataKeyId, after: Option<&SealedId>, limit: usize) -> Result<Vec<SealedRecord>, StoreError> {
    let (grant, authorization) = match after {
        None => (Some(String::new()), String::new()),
        Some(SealedId::Grant(id)) => (Some(id.to_string()), String::new()),
        Some(SealedId::Authorization(id)) => (None, id.to_string()),
    };
    let mut found = Vec::new();
    if let Some(grant) = grant {
        let query = "SELECT facts, sealed, intent FROM grants WHERE substr(sealed, 2, 16) = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let grants = connection.prepare_cached(query).and_then(|mut query| {
            let rows = query.query_map(params![key.0, grant, limit], grant_record)?;
            rows.map(|record| record.map(SealedRecord::Grant)).collect::<rusqlite::Result<Vec<_>>>()
        });
        found = grants.map_err(fault("a grant"))?;
    }
    let room = limit.saturating_sub(found.len());
    if room == 0 {
        return Ok(found);
    }
    let sealed_so = |record: &AuthorizationRecord| record.phase.sealed().and_then(Sealed::parts).is_some_and(|parts| parts.key == key);
    let others = authorizations(connection)?.into_iter().filter(|record| record.id.to_string() > authorization && sealed_so(record));
    found.extend(others.take(room).map(SealedRecord::Authorization));
    Ok(found)
}

/// All of them: they live for a day at most.
fn authorizations(connection: &Connection) -> Result<Vec<AuthorizationRecord>, StoreError> {
    all(connection, "an authorization", "SELECT record FROM authorizations ORDER BY id", |row| json(row, 0))
}

/// A column that holds a name.
fn name<T: std::str::FromStr<Err = scopegate_core::id::InvalidName>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|fault: T::Err| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(fault)))
}
