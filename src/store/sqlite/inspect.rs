//! Looking at a store that another process may be using: nothing is written, and no process is registered.

use super::{FILE, PATIENCE, failed, queries};
use crate::store::{DataKeyRecord, StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::sync::Arc;

/// More faults than this say nothing new.
const FAULTS: usize = 10;

/// What a look at a store shows.
#[derive(Debug)]
pub struct Inspected {
    /// How many accounts it holds.
    pub accounts: u64,
    /// How many grants.
    pub grants: u64,
    /// Its wrapped data keys, oldest first.
    pub data_keys: Vec<DataKeyRecord>,
    /// What is broken in the file; none: it is sound.
    pub faults: Vec<String>,
}

/// Looks at the store in `folder`; none where nobody has made one yet. Blocks, and reads all of it.
/// # Errors
/// The file cannot be read, or is no store.
pub fn inspect(folder: &Path) -> Result<Option<Inspected>, StoreError> {
    let path = folder.join(FILE);
    if !path.try_exists().map_err(|cause| StoreError::Open { path: path.clone(), cause: Arc::new(cause) })? {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = connection.map_err(|cause| StoreError::Open { path: path.clone(), cause: Arc::new(cause) })?;
    connection.busy_timeout(PATIENCE).map_err(failed("wait"))?;
    let faults = faults(&connection).or_else(damage).map_err(failed("check the store"))?;
    if !faults.is_empty() {
        return Ok(Some(Inspected { accounts: 0, grants: 0, data_keys: Vec::new(), faults }));
    }
    let count = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map_err(failed("count"));
    Ok(Some(Inspected {
        accounts: count("SELECT count(*) FROM accounts")?.unsigned_abs(),
        grants: count("SELECT count(*) FROM grants")?.unsigned_abs(),
        data_keys: queries::data_keys(&connection)?,
        faults,
    }))
}

/// Some damage keeps SQLite from looking for more.
fn damage(fault: rusqlite::Error) -> rusqlite::Result<Vec<String>> {
    match fault.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(vec![fault.to_string()]),
        _ => Err(fault),
    }
}

fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare(&format!("PRAGMA integrity_check({FAULTS})"))?;
    let rows: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(rows.into_iter().filter(|row| row != "ok").collect())
}
