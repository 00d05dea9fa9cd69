//! Which processes use the folder: each holds a lock on a file of its own, and the kernel takes
//! it away when the process is gone, however it went.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "process-";
const SUFFIX: &str = ".lock";

/// This process's place among those that use the folder.
#[derive(Debug)]
pub(super) struct Process {
    folder: PathBuf,
    name: String,
    /// Locked as long as it is open.
    _file: File,
}

impl Process {
    /// Takes a place, and clears away the files of processes that are gone.
    pub(super) fn register(folder: &Path) -> io::Result<Self> {
        // One at a time, so that nobody clears a file away between its making and its locking.
        let _gate = Gate::enter(folder)?;
        for path in locks(folder)? {
            if is_free(&path)? {
                fs::remove_file(&path)?;
            }
        }
        let name = hex::encode(crate::chance::bytes::<8>());
        let file = lock_file(&path_of(folder, &name))?;
        file.lock()?;
        Ok(Self { folder: folder.into(), name, _file: file })
    }

    /// Its name in the store.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the process of that name still runs; where that cannot be told, it does.
    pub(super) fn is_alive(&self, name: &str) -> bool {
        name == self.name || !is_free(&path_of(&self.folder, name)).unwrap_or(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What stays behind is cleared away by the next process.
        let _ = fs::remove_file(path_of(&self.folder, &self.name));
    }
}

/// Who holds it is the only one who comes to the folder or looks who is there.
pub(super) struct Gate {
    /// Locked as long as it is open.
    _file: File,
}

impl Gate {
    /// Waits until nobody else holds it.
    pub(super) fn enter(folder: &Path) -> io::Result<Self> {
        let file = lock_file(&folder.join("processes.lock"))?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}

/// Whether any process uses the folder; none comes to it as long as the gate is held.
pub(super) fn any_alive(folder: &Path, _held: &Gate) -> io::Result<bool> {
    for path in locks(folder)? {
        if !is_free(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The files of processes that are there, or were.
fn locks(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            found.push(path);
        }
    }
    Ok(found)
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{PREFIX}{name}{SUFFIX}"))
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether nobody holds the lock. A file that is not there is free.
fn is_free(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(fault) => return Err(fault),
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(fault)) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_lets_go_of_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Process::register(folder.path()).unwrap(), Process::register(folder.path()).unwrap());
        let name = other.name().to_owned();
        assert!(one.is_alive(&name) && other.is_alive(one.name()));
        drop(other);
        assert!(!one.is_alive(&name));
    }

    #[test]
    fn files_of_processes_that_are_gone_are_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let left_behind = path_of(folder.path(), "0123456789abcdef");
        fs::write(&left_behind, "").unwrap();
        let process = Process::register(folder.path()).unwrap();
        assert!(!left_behind.exists() && path_of(folder.path(), process.name()).exists());
    }
}
