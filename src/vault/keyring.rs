//! The wrapping keys that are known.

use super::cipher::{Cipher, KEY, NONCE};
use super::key_file::{self, KeyFileError};
use crate::store::{DataKeyId, DataKeyPurpose, DataKeyRecord, KekId};
use scopegate_core::time::Timestamp;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The wrapping keys that are known, by id. The first one wraps; all of them unwrap.
#[derive(Debug)]
pub struct Keyring {
    current: WrappingKey,
    older: Vec<WrappingKey>,
}

#[derive(Debug)]
struct WrappingKey {
    id: KekId,
    path: PathBuf,
    cipher: Cipher,
}

impl Keyring {
    /// Reads the key file that wraps, and those that wrapped before and are still needed to unwrap.
    ///
    /// # Errors
    /// A file is missing, open to others, or holds no key.
    pub fn read(current: &Path, older: &[PathBuf]) -> Result<Self, KeyFileError> {
        let older = older.iter().map(|path| WrappingKey::read(path)).collect::<Result<_, _>>()?;
        Ok(Self { current: WrappingKey::read(current)?, older })
    }

    /// The file of the key that wraps.
    pub(super) fn path(&self) -> &Path {
        &self.current.path
    }

    /// Whether a key of this id is known.
    pub(super) fn knows(&self, id: &KekId) -> bool {
        self.key(id).is_some()
    }

    fn key(&self, id: &KekId) -> Option<&WrappingKey> {
        std::iter::once(&self.current).chain(&self.older).find(|key| key.id == *id)
    }

    /// Wraps a data key for the store; none only where the library fails.
    pub(super) fn wrap(&self, id: DataKeyId, purpose: DataKeyPurpose, key: &[u8; KEY], now: Timestamp) -> Option<DataKeyRecord> {
        let encrypted = self.current.cipher.encrypt(key, &bound_to(id, purpose))?;
        let wrapped = [&encrypted.nonce[..], &encrypted.ciphertext].concat();
        Some(DataKeyRecord { id, purpose, kek: self.current.id.clone(), wrapped, created_at: now })
    }

    /// Unwraps a data key; none where its wrapping key is not known, or the record was changed.
    pub(super) fn unwrap(&self, record: &DataKeyRecord) -> Option<Zeroizing<[u8; KEY]>> {
        let (nonce, ciphertext) = record.wrapped.split_first_chunk::<NONCE>()?;
        let plain = self.key(&record.kek)?.cipher.decrypt(*nonce, ciphertext, &bound_to(record.id, record.purpose))?;
        let key: &[u8; KEY] = plain.as_slice().try_into().ok()?;
        Some(Zeroizing::new(*key))
    }
}

impl WrappingKey {
    fn read(path: &Path) -> Result<Self, KeyFileError> {
        let key = key_file::read(path)?;
        let hash = blake3::derive_key("scopegate 1 id of a wrapping key", key.as_slice());
        let id = KekId(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect());
        let cipher = Cipher::new(&key).ok_or_else(|| KeyFileError::NoKey { path: path.into() })?;
        Ok(Self { id, path: path.into(), cipher })
    }
}

/// A wrapped key is bound to its name and purpose.
fn bound_to(id: DataKeyId, purpose: DataKeyPurpose) -> Vec<u8> {
    let purpose = match purpose {
        DataKeyPurpose::Seal => "seal",
        DataKeyPurpose::Digest => "digest",
    };
    format!("scopegate/1\ndata key\n{purpose}\n{}", hex::encode(id.0)).into_bytes()
}
