//! Envelope encryption: what is secret is sealed under data keys, and those under the key file.
//!
//! AES-256-GCM with random nonces. A sealed text is bound to what it belongs to
//! ([`Binding`]): moved to another connector, customer, grant or version it does not open.
//!
//! **Invariant: the store never sees plaintext**, and no plaintext is kept here.

mod binding;
mod digest;
pub mod key_file;
mod keyring;

pub use binding::Binding;
pub use keyring::Keyring;

use crate::clock::Clock;
use crate::store::{ProofDigest, Sealed, Store, StoreError};
use scopegate_core::account::HandleDigest;
use scopegate_core::secret::{HandleText, Proof};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seals and opens. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Vault;

impl Vault {
    /// Opens the store's keys with the keyring, and makes the first ones in a new store.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where the keyring lacks the key that the store was sealed with.
    pub async fn open(_keyring: Keyring, _store: Arc<dyn Store>, _clock: Clock) -> Result<Self, VaultError> {
        todo!()
    }

    /// Seals `plain` so that only the same binding opens it. The data key changes by itself after
    /// a bounded number of seals and a bounded time.
    ///
    /// # Errors
    /// A new data key was due and the store could not take it.
    pub async fn seal(&self, _plain: &[u8], _binding: &Binding<'_>) -> Result<Sealed, VaultError> {
        todo!()
    }

    /// Opens what was sealed with the same binding, by this process or another.
    ///
    /// # Errors
    /// [`VaultError::DoesNotOpen`] where it was changed, or belongs to something else.
    pub async fn unseal(&self, _sealed: &Sealed, _binding: &Binding<'_>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        todo!()
    }

    /// A new handle, to be shown once, and what is stored of it.
    #[must_use]
    pub fn mint_handle(&self) -> (HandleText, HandleDigest) {
        todo!()
    }

    /// The keyed hash of a handle: what it is looked up by.
    #[must_use]
    pub fn handle_digest(&self, _handle: &HandleText) -> HandleDigest {
        todo!()
    }

    /// A new secret of an authorization (link, `state`, cookie): 43 base64url characters of 256 random bits.
    #[must_use]
    pub fn mint_proof(&self) -> (Proof, ProofDigest) {
        todo!()
    }

    /// The keyed hash of a link's secret, a `state` or a cookie.
    #[must_use]
    pub fn proof_digest(&self, _proof: &Proof) -> ProofDigest {
        todo!()
    }
}

/// The vault could not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store was sealed with a key that is not in the keyring.
    #[error("the key in {} is not the one that the store was sealed with: give the key file that was used before", path.display())]
    WrongKey {
        /// The key file that was tried.
        path: PathBuf,
    },
    /// Changed, torn, or bound to something else.
    #[error("the sealed record of {what} does not open: it was changed, or belongs to something else")]
    DoesNotOpen {
        /// Whose, without secrets.
        what: String,
    },
    /// Sealing itself failed.
    #[error("the record of {what} could not be sealed")]
    DoesNotSeal {
        /// Whose, without secrets.
        what: String,
    },
    /// The store could not give or take a data key.
    #[error("the vault could not {deed}")]
    Store {
        /// What it was to do.
        deed: &'static str,
        /// Why.
        #[source]
        cause: StoreError,
    },
}
