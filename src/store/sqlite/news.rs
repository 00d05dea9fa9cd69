//! What this process and others have to take over: a short log of what changed, by kind and id.
//!
//! The log says only that something changed. What it is like is read when the news is told, so
//! that news can be told late, twice or together and memory ends up the same.

use super::queries::{self, json, one};
use super::{failed, unreadable};
use crate::store::{News, StoreError};
use rusqlite::Connection;
use rusqlite::types::FromSqlError;
use scopegate_core::id::{AccountId, GrantId, HandleId};
use std::collections::BTreeSet;

/// A process that was away for longer than this many changes is told everything.
const KEPT: i64 = 100_000;

/// Something that changed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Changed {
    Grant(GrantId),
    Account(AccountId),
    Handle(HandleId),
}

/// Writes into the log that something changed.
pub(super) fn log(connection: &Connection, changed: &Changed) -> Result<(), StoreError> {
    let (kind, id) = match changed {
        Changed::Grant(id) => ("grant", id.to_string()),
        Changed::Account(id) => ("account", id.to_string()),
        Changed::Handle(id) => ("handle", id.to_string()),
    };
    connection
        .prepare_cached("INSERT INTO news (kind, id) VALUES (?1, ?2)")
        .and_then(|mut query| query.execute([kind, &id]))
        .map(|_| ())
        .map_err(failed("log a change"))
}

/// What was logged after `seen`, as it stands now, and how far the log goes. `seen` moves along.
pub(super) fn since(connection: &Connection, seen: &mut i64) -> Result<Vec<News>, StoreError> {
    let rows: Vec<(i64, String, String)> = connection
        .prepare_cached("SELECT seq, kind, id FROM news WHERE seq > ?1 ORDER BY seq")
        .and_then(|mut query| query.query_map([*seen], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect())
        .map_err(failed("read the log of changes"))?;
    let (Some((first, ..)), Some((last, ..))) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let gap = *first > *seen + 1;
    *seen = *last;
    if gap {
        return Ok(vec![News::Everything(queries::snapshot(connection)?)]);
    }
    let changed: BTreeSet<Changed> = rows.iter().map(|(_, kind, id)| read(kind, id)).collect::<Result<_, _>>()?;
    changed.into_iter().map(|changed| as_it_stands(connection, changed)).collect()
}

/// How far the log goes.
pub(super) fn end(connection: &Connection) -> Result<i64, StoreError> {
    connection.query_row("SELECT coalesce(max(seq), 0) FROM news", [], |row| row.get(0)).map_err(failed("read the log of changes"))
}

/// Forgets what every process has long been told.
pub(super) fn trim(connection: &Connection) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM news WHERE seq <= (SELECT max(seq) FROM news) - ?1")?.execute([KEPT])
}

fn read(kind: &str, id: &str) -> Result<Changed, StoreError> {
    let fault = unreadable("a log of changes");
    match kind {
        "grant" => id.parse().map(Changed::Grant).map_err(fault),
        "account" => id.parse().map(Changed::Account).map_err(fault),
        "handle" => id.parse().map(Changed::Handle).map_err(fault),
        _unknown => Err(unreadable("a log of changes")(FromSqlError::InvalidType)),
    }
}

fn as_it_stands(connection: &Connection, changed: Changed) -> Result<News, StoreError> {
    Ok(match changed {
        Changed::Grant(id) => one(connection, "a grant", "SELECT facts FROM grants WHERE id = ?1", id.to_string(), |row| json(row, 0))?
            .map_or(News::GrantGone(id), News::Grant),
        Changed::Account(id) => one(connection, "an account", "SELECT record FROM accounts WHERE id = ?1", id.to_string(), |row| json(row, 0))?
            .map_or(News::AccountGone(id), News::Account),
        Changed::Handle(id) => one(connection, "a handle", "SELECT record FROM handles WHERE id = ?1", id.to_string(), |row| json(row, 0))?
            .map_or(News::HandleGone(id), News::Handle),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn logged(numbers: std::ops::Range<u8>) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(schema::migrate(&mut connection).is_ok());
        for number in numbers {
            log(&connection, &Changed::Grant(GrantId::from_bytes([number; 16]))).unwrap();
        }
        connection
    }

    #[test]
    fn what_changed_several_times_is_told_once() {
        let connection = logged(0..3);
        log(&connection, &Changed::Grant(GrantId::from_bytes([1; 16]))).unwrap();
        let mut seen = 0;
        assert_eq!(since(&connection, &mut seen).unwrap().len(), 3);
        assert_eq!((seen, since(&connection, &mut seen).unwrap().len()), (4, 0));
    }

    #[test]
    fn whoever_missed_what_was_trimmed_is_told_everything() {
        let connection = logged(0..5);
        connection.execute("DELETE FROM news WHERE seq <= 2", []).unwrap();
        for (mut seen, everything) in [(0, true), (1, true), (2, false), (3, false)] {
            let news = since(&connection, &mut seen).unwrap();
            assert_eq!(matches!(news.as_slice(), [News::Everything(_)]), everything);
            assert_eq!(seen, 5);
        }
    }

    #[test]
    fn a_thing_that_is_gone_is_told_as_gone() {
        let connection = logged(0..1);
        assert!(matches!(since(&connection, &mut 0).unwrap().as_slice(), [News::GrantGone(_)]));
    }
}
