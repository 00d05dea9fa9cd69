//! The key file: 32 random bytes as base64 in a text file that only its owner can read, or the service that root gave it to.

use super::cipher::KEY;
use crate::chance;
use crate::new_file::write_new;
use crate::store::KekId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::geteuid;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Writes a new key, mode 0600, and never over a file that is there. A folder that lacks is made. Says what the key is called.
///
/// # Errors
/// [`KeyFileError::Exists`], or the file cannot be written.
pub fn generate(path: &Path) -> Result<KekId, KeyFileError> {
    let failed = |cause: io::Error| {
        let path = path.into();
        if cause.kind() == ErrorKind::AlreadyExists { KeyFileError::Exists { path } } else { KeyFileError::Io { deed: "write", path, cause } }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let key = Zeroizing::new(chance::bytes::<KEY>());
    let text = Zeroizing::new(STANDARD.encode(key.as_slice()) + "\n");
    write_new(path, 0o600, text.as_bytes()).map_err(failed)?;
    Ok(id(&key))
}

/// What a key is called: it tells nothing of the key.
pub(super) fn id(key: &[u8; KEY]) -> KekId {
    let hash = blake3::derive_key("scopegate 1 id of a wrapping key", key.as_slice());
    KekId(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The key in a file that only its owner can use.
pub(super) fn read(path: &Path) -> Result<Zeroizing<[u8; KEY]>, KeyFileError> {
    /// No key file is longer.
    const MOST: u64 = 4096;
    let failed = |cause: io::Error| {
        let path = path.into();
        if cause.kind() == ErrorKind::NotFound { KeyFileError::Missing { path } } else { KeyFileError::Io { deed: "read", path, cause } }
    };
    let no_key = || KeyFileError::NoKey { path: path.into() };

    let file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    let mode = facts.mode() & 0o777;
    if !is_private(mode, facts.uid(), geteuid().as_raw()) {
        return Err(KeyFileError::OpenToOthers { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MOST).read_to_end(&mut text).map_err(failed)?;
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| no_key())?);
    let key: &[u8; KEY] = bytes.as_slice().try_into().map_err(|_| no_key())?;
    Ok(Zeroizing::new(*key))
}

/// Whether nobody but those whom the file is meant for can use it. systemd and Kubernetes hand a service that is not root's its secrets
/// as files of root that one group, or an entry beside the mode that shows as one, may read.
fn is_private(mode: u32, owner: u32, reader: u32) -> bool {
    const ROOT: u32 = 0;
    mode & 0o077 == 0 || (owner == ROOT && reader != ROOT && mode & 0o077 == 0o040)
}

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("key file {0} is missing: give the one that the store was made with, or for a new store write one with `scopegate keys generate {0}`", path.display())]
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
    #[error("key file {0} has mode {mode:03o}: make it readable by its owner alone, with `chmod 600 {0}`", path.display())]
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
        cause: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_generated_key_is_read_back_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/kek-1");
        generate(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let key = read(&path).unwrap();
        assert!(matches!(generate(&path), Err(KeyFileError::Exists { .. })));
        assert_eq!(read(&path).unwrap(), key);
    }

    #[test]
    fn a_group_may_read_what_root_gave_a_service_and_nothing_else() {
        for (mode, owner, reader, private) in [
            (0o600, 1000, 1000, true),
            (0o400, 0, 1000, true),
            (0o440, 0, 1000, true),
            (0o640, 0, 1000, true),
            (0o640, 0, 0, false),
            (0o440, 1000, 1000, false),
            (0o444, 0, 1000, false),
            (0o460, 0, 1000, false),
            (0o604, 0, 1000, false),
        ] {
            assert_eq!(is_private(mode, owner, reader), private, "{mode:o} of {owner} for {reader}");
        }
    }

    #[test]
    fn a_file_that_is_no_private_key_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        assert!(read(&path).unwrap_err().to_string().contains("scopegate keys generate"));
        let short = STANDARD.encode([7; 31]);
        let whole = STANDARD.encode([7; 32]);
        for (text, mode, said) in [
            (whole.as_str(), 0o644, "chmod 600"),
            (whole.as_str(), 0o660, "mode 660"),
            (short.as_str(), 0o600, "32 bytes"),
            ("", 0o600, "32 bytes"),
            ("not base64!", 0o600, "32 bytes"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let fault = read(&path).unwrap_err().to_string();
            assert!(fault.contains(said), "{said}: {fault}");
        }
    }
}
