//! Walking the chain.

use super::AuditError;
use std::path::{Path, PathBuf};

/// What a walk over all files found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How many events there are.
    pub events: u64,
    /// How many files.
    pub files: usize,
    /// The number of the first event that is kept.
    pub first_seq: Option<u64>,
    /// The hash of the last event.
    pub head: Option<String>,
    /// Whether the last line was torn by a kill, and is not there yet as an event.
    pub torn: Option<PathBuf>,
    /// What does not hold; none: nobody changed anything.
    pub findings: Vec<Finding>,
}

/// One thing that does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Where.
    pub file: PathBuf,
    /// Where, from 1.
    pub line: u64,
    /// What, as a sentence.
    pub what: String,
}

/// Walks the chain over all files of the audit at `path`. Blocks.
///
/// # Errors
/// No file is there, or one cannot be read.
pub fn verify(_path: &Path) -> Result<Verified, AuditError> {
    todo!()
}
