//! What each change needs to be true, and what it writes.

use super::news::{self, Changed};
use super::writer::Done;
use super::{failed, leases, number, queries, unreadable};
use crate::store::{
    Applied, AuthorizationRecord, Change, DataKeyPurpose, DataKeyRecord, GrantRecord, Intent, KekId, Sealed, SealedRecord, StoreError,
};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Params, params};
use scopegate_core::account::{AccountRecord, GrantFacts, HandleRecord, HandleTarget};
use scopegate_core::id::{AccountId, CustomerId, GrantId, HandleId, SessionId};
use scopegate_core::time::Timestamp;
use serde::Serialize;

/// Applies one change of a batch. After a conflict the batch has to be undone.
pub(super) fn apply(connection: &Connection, change: Change, now: Timestamp) -> Result<Applied, StoreError> {
    match change {
        Change::InsertAccount(record) => insert_account(connection, &record),
        Change::UpdateAccount(record) => update_account(connection, &record),
        Change::DeleteAccount(id) => delete_account(connection, &id),
        Change::PutGrant { record, expected } => put_grant(connection, &record, expected),
        Change::DeleteGrant(id) => {
            let done = changed_one(connection, "delete a grant", "DELETE FROM grants WHERE id = ?1", [id.to_string()])?;
            logged(connection, done, &Changed::Grant(id))
        }
        Change::SetIntent { grant, version, intent } => set_intent(connection, &grant, version, intent),
        Change::TouchGrant { grant, used_at } => touch_grant(connection, &grant, used_at),
        Change::InsertHandle(record) => insert_handle(connection, &record),
        Change::DeleteHandle(id) => delete_handle(connection, id),
        Change::PutAuthorization { record, expected } => put_authorization(connection, &record, expected),
        Change::DeleteAuthorization(id) => {
            execute(connection, "delete an authorization", "DELETE FROM authorizations WHERE id = ?1", [id.to_string()]).map(|_| Applied::Done)
        }
        Change::BindSession { id, customer, now, over_before } => bind_session(connection, &id, &customer, now, over_before),
        Change::InsertDataKey(record) => insert_data_key(connection, &record),
        Change::RewrapDataKey { record, expected } => rewrap_data_key(connection, &record, &expected),
        Change::Reseal { record, sealed } => reseal(connection, record, sealed),
        Change::Holding(lease) => leases::is_held(connection, &lease, now).map(done_if),
    }
}

fn insert_account(connection: &Connection, record: &AccountRecord) -> Result<Applied, StoreError> {
    let query = "INSERT INTO accounts (id, connector, identifier, version, record) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![record.id.to_string(), record.connector.as_str(), record.identifier.as_str(), number(record.version)?, json(record)?];
    let done = changed_one(connection, "insert an account", query, row)?;
    logged(connection, done, &Changed::Account(record.id.clone()))
}

fn update_account(connection: &Connection, record: &AccountRecord) -> Result<Applied, StoreError> {
    let query = "UPDATE accounts SET connector = ?2, identifier = ?3, version = ?4, record = ?5 WHERE id = ?1 AND version = ?4 - 1";
    let row = params![record.id.to_string(), record.connector.as_str(), record.identifier.as_str(), number(record.version)?, json(record)?];
    let done = changed_one(connection, "update an account", query, row)?;
    logged(connection, done, &Changed::Account(record.id.clone()))
}

fn delete_account(connection: &Connection, id: &AccountId) -> Result<Applied, StoreError> {
    let handles: Vec<String> = connection
        .prepare_cached("DELETE FROM handles WHERE account = ?1 RETURNING id")
        .and_then(|mut query| query.query_map([id.to_string()], |row| row.get(0))?.collect())
        .map_err(failed("delete an account's handles"))?;
    for handle in handles {
        news::log(connection, &Changed::Handle(handle.parse().map_err(unreadable("a handle"))?))?;
    }
    execute(connection, "delete an account's authorizations", "DELETE FROM authorizations WHERE account = ?1", [id.to_string()])?;
    let done = changed_one(connection, "delete an account", "DELETE FROM accounts WHERE id = ?1", [id.to_string()])?;
    logged(connection, done, &Changed::Account(id.clone()))
}

fn put_grant(connection: &Connection, record: &GrantRecord, expected: Option<u64>) -> Result<Applied, StoreError> {
    let facts = &record.facts;
    let intent = record.intent.as_ref().map(json).transpose()?;
    let (id, version, sealed) = (facts.id.to_string(), number(facts.version)?, record.sealed.as_bytes());
    let done = match expected {
        None => {
            let query = "INSERT INTO grants (id, version, facts, sealed, intent) VALUES (?1, ?2, ?3, ?4, ?5)";
            changed_one(connection, "insert a grant", query, params![id, version, json(facts)?, sealed, intent])?
        }
        Some(expected) if expected < facts.version => {
            let query = "UPDATE grants SET version = ?2, facts = ?3, sealed = ?4, intent = ?5 WHERE id = ?1 AND version = ?6";
            changed_one(connection, "update a grant", query, params![id, version, json(facts)?, sealed, intent, number(expected)?])?
        }
        Some(_) => Applied::Conflict,
    };
    logged(connection, done, &Changed::Grant(facts.id.clone()))
}

fn set_intent(connection: &Connection, grant: &GrantId, version: u64, intent: Option<Intent>) -> Result<Applied, StoreError> {
    let intent = intent.as_ref().map(json).transpose()?;
    let query = "UPDATE grants SET intent = ?3 WHERE id = ?1 AND version = ?2";
    changed_one(connection, "note an intent", query, params![grant.to_string(), number(version)?, intent])
}

fn touch_grant(connection: &Connection, id: &GrantId, used_at: Timestamp) -> Result<Applied, StoreError> {
    let Some(grant) = queries::grant(connection, id)? else { return Ok(Applied::Done) };
    if used_at <= grant.facts.used_at {
        return Ok(Applied::Done);
    }
    let facts = GrantFacts { used_at, ..grant.facts };
    let row = params![id.to_string(), json(&facts)?];
    let done = changed_one(connection, "note the use of a grant", "UPDATE grants SET facts = ?2 WHERE id = ?1", row)?;
    logged(connection, done, &Changed::Grant(facts.id))
}

fn insert_handle(connection: &Connection, record: &HandleRecord) -> Result<Applied, StoreError> {
    let account = match &record.target {
        HandleTarget::Account(account) => Some(account.to_string()),
        HandleTarget::Identifier(_) => None,
    };
    let query = "INSERT INTO handles (id, digest, account, record) VALUES (?1, ?2, ?3, ?4)";
    let done = changed_one(connection, "insert a handle", query, params![record.id.to_string(), record.digest.0, account, json(record)?])?;
    logged(connection, done, &Changed::Handle(record.id.clone()))
}

fn delete_handle(connection: &Connection, id: HandleId) -> Result<Applied, StoreError> {
    let done = changed_one(connection, "delete a handle", "DELETE FROM handles WHERE id = ?1", [id.to_string()])?;
    logged(connection, done, &Changed::Handle(id))
}

fn put_authorization(connection: &Connection, record: &AuthorizationRecord, expected: Option<u64>) -> Result<Applied, StoreError> {
    let mut row: Vec<Value> = vec![
        record.id.to_string().into(),
        number(record.version)?.into(),
        record.account.to_string().into(),
        record.link.0.to_vec().into(),
        record.phase.state().map(|digest| digest.0.to_vec()).into(),
        record.expires_at.millis().into(),
        json(record)?.into(),
    ];
    let query = match expected {
        None => "INSERT INTO authorizations (id, version, account, link, state, expires_at, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        Some(expected) if expected < record.version => {
            row.push(number(expected)?.into());
            "UPDATE authorizations SET version = ?2, account = ?3, link = ?4, state = ?5, expires_at = ?6, record = ?7 WHERE id = ?1 AND version = ?8"
        }
        Some(_) => return Ok(Applied::Conflict),
    };
    changed_one(connection, "put an authorization", query, rusqlite::params_from_iter(row))
}

fn bind_session(
    connection: &Connection,
    id: &SessionId,
    customer: &CustomerId,
    now: Timestamp,
    over_before: Timestamp,
) -> Result<Applied, StoreError> {
    // A binding that has ended is made anew; one of the same customer is used; any other stays, and nothing is changed.
    let query = "INSERT INTO sessions (id, customer, started_at, last_used) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (id) DO UPDATE SET
         customer = excluded.customer, started_at = iif(last_used < ?4, excluded.started_at, started_at),
         last_used = max(last_used, excluded.last_used) WHERE last_used < ?4 OR customer = excluded.customer";
    changed_one(connection, "bind a session", query, params![id.as_str(), customer.as_str(), now.millis(), over_before.millis()])
}

fn insert_data_key(connection: &Connection, record: &DataKeyRecord) -> Result<Applied, StoreError> {
    let purpose = match record.purpose {
        DataKeyPurpose::Seal => "seal",
        DataKeyPurpose::Digest => "digest",
    };
    let query = "INSERT INTO data_keys (id, purpose, kek, made_with, wrapped, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![record.id.0, purpose, record.kek.0, record.made_with.0, record.wrapped, record.created_at.millis()];
    changed_one(connection, "insert a data key", query, row)
}

fn rewrap_data_key(connection: &Connection, record: &DataKeyRecord, expected: &KekId) -> Result<Applied, StoreError> {
    let query = "UPDATE data_keys SET kek = ?2, wrapped = ?3 WHERE id = ?1 AND kek = ?4";
    changed_one(connection, "wrap a data key anew", query, params![record.id.0, record.kek.0, record.wrapped, expected.0])
}

fn reseal(connection: &Connection, record: SealedRecord, sealed: Sealed) -> Result<Applied, StoreError> {
    match record {
        SealedRecord::Grant(read) => {
            let query = "UPDATE grants SET sealed = ?3 WHERE id = ?1 AND version = ?2 AND sealed = ?4";
            let row = params![read.facts.id.to_string(), number(read.facts.version)?, sealed.as_bytes(), read.sealed.as_bytes()];
            execute(connection, "seal a grant anew", query, row)?;
        }
        // Its text may be that of an older version of this program: what it says is compared.
        SealedRecord::Authorization(read) => {
            if queries::authorization(connection, "id", read.id.to_string())?.as_ref() == Some(&read) {
                let record = AuthorizationRecord { phase: read.phase.with_sealed(sealed), ..read };
                let query = "UPDATE authorizations SET record = ?2 WHERE id = ?1";
                execute(connection, "seal an authorization anew", query, params![record.id.to_string(), json(&record)?])?;
            }
        }
    }
    Ok(Applied::Done)
}

/// Forgets authorizations that ended, and sessions that were last used, before `before`.
pub(super) fn sweep(connection: &Connection, before: Timestamp) -> Result<Done<()>, StoreError> {
    let query = "DELETE FROM authorizations WHERE expires_at < ?1 AND json_extract(record, '$.phase.awaiting_confirmation') IS NULL";
    execute(connection, "forget authorizations", query, [before.millis()])?;
    execute(connection, "forget sessions", "DELETE FROM sessions WHERE last_used < ?1", [before.millis()])?;
    execute(connection, "forget leases", "DELETE FROM leases WHERE expires_at < ?1", [before.millis()])?;
    Ok(Done::Keep(()))
}

/// Writes something that nobody reads.
pub(super) fn prove_writable(connection: &Connection) -> Result<Done<()>, StoreError> {
    execute(connection, "write", "UPDATE counters SET value = value + 1 WHERE name = 'ready'", [])?;
    Ok(Done::Keep(()))
}

/// Executes a statement that changes one row where all is as the change needs it. A name that is
/// taken, or an account that is not there, is a conflict.
fn changed_one(connection: &Connection, deed: &'static str, query: &str, row: impl Params) -> Result<Applied, StoreError> {
    match connection.prepare_cached(query).and_then(|mut query| query.execute(row)) {
        Ok(rows) => Ok(done_if(rows == 1)),
        Err(fault) if fault.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(Applied::Conflict),
        Err(fault) => Err(failed(deed)(fault)),
    }
}

fn execute(connection: &Connection, deed: &'static str, query: &str, row: impl Params) -> Result<usize, StoreError> {
    connection.prepare_cached(query).and_then(|mut query| query.execute(row)).map_err(failed(deed))
}

fn logged(connection: &Connection, applied: Applied, changed: &Changed) -> Result<Applied, StoreError> {
    match applied {
        Applied::Done => news::log(connection, changed).map(|()| Applied::Done),
        Applied::Conflict => Ok(Applied::Conflict),
    }
}

fn done_if(holds: bool) -> Applied {
    if holds { Applied::Done } else { Applied::Conflict }
}

fn json(record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(unreadable("a record"))
}
