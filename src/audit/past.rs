//! All events that are kept, in their order, one after the other.

use super::files::{Files, failed};
use super::{AuditError, Recorded};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// Hands over every event of the audit at `path`, the oldest first. A line that is none is left out: `verify` finds it. Blocks.
///
/// # Errors
/// No file is there, or one cannot be read.
pub fn read_past(path: &Path, mut each: impl FnMut(Recorded)) -> Result<(), AuditError> {
    let files = Files::at(path);
    let folder = files.folder()?;
    // As long as this is held no file is renamed.
    folder.lock_shared().map_err(failed("lock the folder of", path))?;
    let older: Vec<PathBuf> = files.older()?.into_iter().map(|(_, path)| path).collect();
    let only = older.is_empty();
    for path in older.into_iter().chain([files.current()]) {
        let file = match File::open(&path) {
            Err(fault) if fault.kind() == ErrorKind::NotFound && !only => continue,
            opened => opened.map_err(failed("open", &path))?,
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(failed("read", &path))? > 0 {
            // What is being written has no line feed yet.
            if line.last() == Some(&b'\n')
                && let Ok(event) = serde_json::from_slice(&line)
            {
                each(event);
            }
            line.clear();
        }
    }
    Ok(())
}
