//! The key file: 32 random bytes as base64 in a text file that only its owner can read.

use std::path::{Path, PathBuf};

/// Writes a new key, mode 0600, and never over a file that is there.
///
/// # Errors
/// [`KeyFileError::Exists`], or the file cannot be written.
pub fn generate(_path: &Path) -> Result<(), KeyFileError> {
    todo!()
}

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("key file {} is missing: `scopegate keys generate {}` writes a new one for a new store", path.display(), path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} is there already, and a key that was used must not be lost: choose another name", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// Others than its owner can read or write it.
    #[error("key file {} has mode {mode:03o}: `chmod 600` it, so that only its owner can read it", path.display())]
    OpenToOthers {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No key in it.
    #[error("key file {} does not hold 32 bytes in base64", path.display())]
    NoKey {
        /// Which.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {deed} key file {}", path.display())]
    Io {
        /// `read` or `write`.
        deed: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}
