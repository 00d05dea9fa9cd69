//! All events that are kept, in their order, one after the other.

use super::files::{Files, failed};
use super::{AuditError, Recorded};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Hands over every event of the audit at `path`, the oldest first. A line that is none is left out: `verify` finds it. Blocks.
///
/// # Errors
/// No file is there, or one cannot be read.
pub fn read_past(path: &Path, mut each: impl FnMut(Recorded)) -> Result<(), AuditError> {
    let files = Files::at(path);
    let opened = files.open_all()?;
    if opened.is_empty() {
        File::open(files.current()).map_err(failed("open", &files.current()))?;
    }
    for one in opened {
        let mut lines = BufReader::new(one.file.take(one.length));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(failed("read", &one.path))? > 0 {
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
