//! Backups: a copy of the store while it is in use, and a copy in the store's place.

use super::process::{self, Gate};
use super::{FILE, PATIENCE, make_folder};
use crate::store::schema;
use rusqlite::{Connection, OpenFlags, params};
use scopegate_core::time::Timestamp;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use url::Url;

/// Copies the store in `folder` to the file `to`, as it is at one moment, also while processes use it. Never over a file that is there.
///
/// # Errors
/// [`CopyError`]; nothing stands at `to` then that was not there before.
pub fn back_up(folder: &Path, to: &Path, now: Timestamp) -> Result<(), CopyError> {
    let store = folder.join(FILE);
    let failed = |cause: rusqlite::Error| CopyError::read(&store, cause);
    let written = |cause: io::Error| CopyError::Write { path: to.into(), cause: cause.into() };
    if to.exists() {
        return Err(CopyError::Exists { path: to.into() });
    }
    let from = Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    from.busy_timeout(PATIENCE).map_err(failed)?;
    let place = to.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let copy = NamedTempFile::new_in(place).map_err(written)?;
    // What is vacuumed into an empty file is whole, without what was deleted, and of one moment.
    let text = copy.path().to_str().ok_or_else(|| written(ErrorKind::InvalidFilename.into()))?;
    from.execute("VACUUM INTO ?1", [text]).map_err(|cause| CopyError::Write { path: to.into(), cause: cause.into() })?;
    drop(from);
    stamp(copy.path(), now).map_err(|cause| CopyError::Write { path: to.into(), cause: cause.into() })?;
    copy.as_file().sync_all().map_err(written)?;
    match copy.persist_noclobber(to) {
        Ok(_) => File::open(place).and_then(|place| place.sync_all()).map_err(written),
        Err(fault) if fault.error.kind() == ErrorKind::AlreadyExists => Err(CopyError::Exists { path: to.into() }),
        Err(fault) => Err(written(fault.error)),
    }
}

/// The copy says of itself that it is one.
fn stamp(copy: &Path, now: Timestamp) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute("INSERT OR REPLACE INTO about VALUES ('copied_at', ?1)", params![now.to_string()])?;
    connection.close().map_err(|(_, fault)| fault)
}

/// Puts the copy `from` in the place of the store in `folder`, which no process may be using. Where the store that was there
/// before is now, if there was one.
///
/// # Errors
/// [`CopyError`]; the store is as it was then.
pub fn restore(folder: &Path, from: &Path, now: Timestamp) -> Result<Option<PathBuf>, CopyError> {
    check(from)?;
    let written = |cause: io::Error| CopyError::Write { path: folder.join(FILE), cause: cause.into() };
    make_folder(folder).map_err(written)?;
    let gate = Gate::enter(folder).map_err(written)?;
    if process::any_alive(folder, &gate).map_err(written)? {
        return Err(CopyError::InUse { path: folder.into() });
    }
    let mut copy = NamedTempFile::new_in(folder).map_err(written)?;
    let mut source = File::open(from).map_err(|cause| CopyError::Read { path: from.into(), cause: cause.into() })?;
    io::copy(&mut source, copy.as_file_mut()).and_then(|_| copy.as_file().sync_all()).map_err(written)?;
    // A write-ahead log goes with its own database: beside another one it would spoil it.
    let aside = format!("replaced-{}-{FILE}", now.millis());
    let mut replaced = None;
    for suffix in ["", "-wal", "-shm"] {
        let (old, new) = (folder.join(format!("{FILE}{suffix}")), folder.join(format!("{aside}{suffix}")));
        match fs::rename(&old, &new) {
            Ok(()) if suffix.is_empty() => replaced = Some(new),
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(written(fault)),
            Ok(()) | Err(_) => {}
        }
    }
    copy.persist_noclobber(folder.join(FILE)).map_err(|fault| written(fault.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(written)?;
    Ok(replaced)
}

/// Whether the file is a store, whole, and of a version that this program knows.
fn check(path: &Path) -> Result<(), CopyError> {
    let failed = |cause: rusqlite::Error| CopyError::read(path, cause);
    if !path.is_file() {
        return Err(CopyError::Read { path: path.into(), cause: io::Error::from(ErrorKind::NotFound).into() });
    }
    // Nothing is put beside it, and nothing that is there is read.
    let address = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
    let mut address = address.ok_or_else(|| CopyError::Read { path: path.into(), cause: io::Error::from(ErrorKind::InvalidFilename).into() })?;
    address.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(address.as_str(), flags).map_err(failed)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name IN ('accounts', 'grants', 'data_keys')", [], |row| row.get(0));
    let tables: i64 = tables.map_err(failed)?;
    if found != "ok" || tables != 3 || !(1..=schema::known()).contains(&version) {
        return Err(CopyError::NoBackup { path: path.into() });
    }
    Ok(())
}

/// A backup was not made, or not put in place.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something is there already.
    #[error("{} is there already and stays as it is", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Not a store, spoilt, or of a newer version.
    #[error("{} is no intact backup of a store that this version of scopegate knows", path.display())]
    NoBackup {
        /// Which file.
        path: PathBuf,
    },
    /// A process uses the store.
    #[error("a gateway runs on the store in {}: stop it first", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// What is to be copied cannot be read.
    #[error("cannot read the store at {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The copy cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
}

impl CopyError {
    fn read(path: &Path, cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => Self::NoBackup { path: path.into() },
            _ => Self::Read { path: path.into(), cause: cause.into() },
        }
    }
}
