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

/// One wrapping key, and where it was read.
#[derive(Debug)]
pub(super) struct WrappingKey {
    pub(super) id: KekId,
    pub(super) path: PathBuf,
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

    /// The key that wraps.
    #[must_use]
    pub fn current(&self) -> &KekId {
        &self.current.id
    }

    /// All keys, the one that wraps first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &WrappingKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The first wrapping key that one of these needs and that is not known.
    pub(super) fn lacks(&self, records: &[DataKeyRecord]) -> Option<KekId> {
        records.iter().find(|record| self.key(&record.kek).is_none()).map(|record| record.kek.clone())
    }

    fn key(&self, id: &KekId) -> Option<&WrappingKey> {
        self.keys().find(|key| key.id == *id)
    }

    /// Wraps a new data key for the store; none only where the library fails.
    pub(super) fn wrap(&self, id: DataKeyId, purpose: DataKeyPurpose, key: &[u8; KEY], now: Timestamp) -> Option<DataKeyRecord> {
        let kek = self.current.id.clone();
        let wrapped = self.current.wrapped(id, purpose, key)?;
        Some(DataKeyRecord { id, purpose, made_with: kek.clone(), kek, wrapped, created_at: now })
    }

    /// The record of a data key as it is when the current key wraps it; none where it does not open.
    pub(super) fn rewrap(&self, record: &DataKeyRecord) -> Option<DataKeyRecord> {
        let key = self.unwrap(record)?;
        let wrapped = self.current.wrapped(record.id, record.purpose, &key)?;
        Some(DataKeyRecord { kek: self.current.id.clone(), wrapped, ..record.clone() })
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
        let cipher = Cipher::new(&key).ok_or_else(|| KeyFileError::NoKey { path: path.into() })?;
        Ok(Self { id: key_file::id(&key), path: path.into(), cipher })
    }

    fn wrapped(&self, id: DataKeyId, purpose: DataKeyPurpose, key: &[u8; KEY]) -> Option<Vec<u8>> {
        let encrypted = self.cipher.encrypt(key, &bound_to(id, purpose))?;
        Some([&encrypted.nonce[..], &encrypted.ciphertext].concat())
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
