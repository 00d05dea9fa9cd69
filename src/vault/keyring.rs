//! The wrapping keys that are known.

use super::key_file::KeyFileError;
use std::path::Path;

/// The wrapping keys that are known, by id. The first one wraps; all of them unwrap.
#[derive(Debug)]
pub struct Keyring;

impl Keyring {
    /// Reads one key file.
    ///
    /// # Errors
    /// The file is missing, open to others, or holds no key.
    pub fn read(_path: &Path) -> Result<Self, KeyFileError> {
        todo!()
    }
}
