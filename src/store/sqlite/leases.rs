//! Leases in the embedded store. Times are the wall clock's; that a holder whose process is gone
//! holds nothing makes a restart quick, and the fencing number makes a jump of the clock harmless.

use super::process::Process;
use super::writer::Done;
use super::{failed, number, unreadable};
use crate::store::{Lease, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use scopegate_core::time::Timestamp;

/// Takes the lease unless somebody holds it; the fence of `wanted` is given here.
pub(super) fn acquire(connection: &Connection, process: &Process, wanted: Lease, now: Timestamp) -> Result<Done<Option<Lease>>, StoreError> {
    let failed = failed("take a lease");
    let held: Option<(String, i64)> = connection
        .prepare_cached("SELECT holder, expires_at FROM leases WHERE name = ?1")
        .and_then(|mut query| query.query_row([wanted.name.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(&failed)?;
    if held.is_some_and(|(holder, expires_at)| now < Timestamp::from_millis(expires_at) && process.is_alive(&holder)) {
        return Ok(Done::Undo(None));
    }
    let fence: i64 = connection
        .prepare_cached("UPDATE counters SET value = value + 1 WHERE name = 'fence' RETURNING value")
        .and_then(|mut query| query.query_row([], |row| row.get(0)))
        .map_err(&failed)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO leases (name, owner, holder, fence, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut query| {
            query.execute(params![wanted.name.as_str(), wanted.owner.to_string(), process.name(), fence, wanted.expires_at.millis()])
        })
        .map_err(&failed)?;
    let fence = u64::try_from(fence).map_err(unreadable("a fencing number"))?;
    Ok(Done::Keep(Some(Lease { fence, ..wanted })))
}

/// Prolongs a lease that is still held.
pub(super) fn renew(connection: &Connection, held: Lease, now: Timestamp, until: Timestamp) -> Result<Done<Option<Lease>>, StoreError> {
    if !is_held(connection, &held, now)? {
        return Ok(Done::Undo(None));
    }
    connection
        .prepare_cached("UPDATE leases SET expires_at = ?2 WHERE name = ?1")
        .and_then(|mut query| query.execute(params![held.name.as_str(), until.millis()]))
        .map_err(failed("renew a lease"))?;
    Ok(Done::Keep(Some(Lease { expires_at: until, ..held })))
}

/// Ends a lease, if it is still this one.
pub(super) fn release(connection: &Connection, held: &Lease) -> Result<Done<()>, StoreError> {
    let fence = number(held.fence)?;
    connection
        .prepare_cached("DELETE FROM leases WHERE name = ?1 AND owner = ?2 AND fence = ?3")
        .and_then(|mut query| query.execute(params![held.name.as_str(), held.owner.to_string(), fence]))
        .map_err(failed("release a lease"))?;
    Ok(Done::Keep(()))
}

/// Whether the lease is still this one and has not ended.
pub(super) fn is_held(connection: &Connection, lease: &Lease, now: Timestamp) -> Result<bool, StoreError> {
    let fence = number(lease.fence)?;
    connection
        .prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND owner = ?2 AND fence = ?3 AND expires_at > ?4")
        .and_then(|mut query| query.exists(params![lease.name.as_str(), lease.owner.to_string(), fence, now.millis()]))
        .map_err(failed("look at a lease"))
}
