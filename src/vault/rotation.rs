//! Another wrapping key takes over while everything goes on.
//!
//! Three steps, of which each can be cut short by a kill: what the store shows is taken up where it stands.
//! All data keys are wrapped with the new key; a new data key, made with it, seals from then on; and
//! every record that an older data key seals is sealed anew, a few at a time.
//!
//! After the first step the older key file opens nothing in the store; after the last one neither does
//! anything that was ever wrapped with it. A data key that seals nothing any more stays, for what another
//! process is sealing with it at this moment has to open tomorrow. The key of the digests only gets
//! another wrapping: with another one all handles would be lost.

use super::{Binding, Keyring, Vault, VaultError, fits};
use crate::clock::Clock;
use crate::store::{
    Applied, AuthorizationPhase, Change, DataKeyId, DataKeyPurpose, DataKeyRecord, KekId, Sealed, SealedId, SealedRecord, StoreError,
};
use crate::tasks::Tasks;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many records are sealed anew in one batch: those who wait for the store meanwhile wait a few milliseconds.
const BATCH: usize = 64;
/// Between two batches others have the store to themselves.
const BREATH: Duration = Duration::from_millis(10);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);
/// How often is looked for what a process with older settings has sealed since.
const GLANCE: Duration = Duration::from_hours(1);

/// What the wrapping keys are used for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyStatus {
    /// The current one first, then the older ones that are known, then those of which there is no file any more.
    pub keys: Vec<KeyUse>,
}

/// What one wrapping key is used for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyUse {
    /// Its name.
    pub id: KekId,
    /// Where it was read; none: no key file of the settings holds it, and none is needed.
    pub file: Option<PathBuf>,
    /// How many data keys it wraps.
    pub data_keys: u64,
    /// How many records are sealed with a data key that was made with it.
    pub records: u64,
}

impl KeyUse {
    /// Whether nothing that it ever wrapped is in use.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.data_keys == 0 && self.records == 0
    }
}

impl KeyStatus {
    /// Records and data keys that are not the current key's.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.keys.iter().skip(1).map(|key| key.data_keys + key.records).sum()
    }
}

/// Reads the key files that the settings name at this moment.
pub type KeyFiles = Arc<dyn Fn() -> Result<Keyring, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// The wrapping keys in force, and where the next ones come from. Clones share them.
#[derive(Clone)]
pub struct KeyRoom {
    vault: Vault,
    files: KeyFiles,
    tasks: Tasks,
}

impl fmt::Debug for KeyRoom {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("KeyRoom")
    }
}

/// Why the keys in force stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// Settings or key files cannot be read.
    #[error("the key files of the settings cannot be used")]
    Files(#[source] Box<dyn Error + Send + Sync>),
    /// They do not open the store, or the store failed.
    #[error("the keys in force stay")]
    Vault(#[from] VaultError),
    /// The process ends.
    #[error("the process ends")]
    Ending,
}

impl KeyRoom {
    /// The keys of `vault`, and of `files` when they are read again.
    #[must_use]
    pub fn new(vault: Vault, files: KeyFiles, tasks: Tasks) -> Self {
        Self { vault, files, tasks }
    }

    /// Reads the key files again. All of them are used from then on, or those before; what is left to do goes on in the background.
    ///
    /// # Errors
    /// [`NotRotated`]: nothing has changed.
    pub async fn rotate(&self) -> Result<(), NotRotated> {
        let files = Arc::clone(&self.files);
        let keyring = self.tasks.blocking(move || files()).await.map_err(|_| NotRotated::Ending)?.map_err(NotRotated::Files)?;
        Ok(self.vault.use_keyring(keyring).await?)
    }

    /// What the keys are used for at this moment.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn status(&self) -> Result<KeyStatus, StoreError> {
        self.vault.key_status().await
    }

    /// Brings the store under the current key, now and whenever there is another one, until the process ends.
    pub fn keep_turning(&self, clock: &Clock) {
        let (vault, clock, end) = (self.vault.clone(), clock.clone(), self.tasks.token());
        self.tasks.spawn("keys", async move {
            let mut turn = Turn::default();
            loop {
                let pause = match vault.turn(&mut turn).await {
                    Ok(Left::More) => BREATH,
                    Ok(Left::Nothing) => {
                        turn.end();
                        GLANCE
                    }
                    Err(fault) => {
                        tracing::error!(
                            error = &fault as &(dyn Error + 'static),
                            "the store could not be brought under the current wrapping key; trying again"
                        );
                        RETRY
                    }
                };
                tokio::select! {
                    () = end.cancelled() => return,
                    () = vault.0.turned.notified() => {}
                    () = clock.sleep(pause) => {}
                }
            }
        });
    }
}

/// How far a turn is; what it forgets the store remembers.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The last record that was looked at, of each older data key: what does not open is passed by.
    after: HashMap<DataKeyId, SealedId>,
    sealed: u64,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    More,
    Nothing,
}

impl Turn {
    fn end(&mut self) {
        if self.sealed > 0 {
            tracing::info!(records = self.sealed, "everything is sealed under the current wrapping key; older key files can be removed");
        }
        *self = Self::default();
    }
}

impl Vault {
    /// Wraps with another key from now on.
    ///
    /// # Errors
    /// The keyring lacks a key that the store needs, or the store failed; the one before stays.
    pub async fn use_keyring(&self, keyring: Keyring) -> Result<(), VaultError> {
        let records = self.records().await?;
        fits(&keyring, &records)?;
        let _nobody_makes_a_key = self.0.renewal.lock().await;
        self.0.keyring.store(Arc::new(keyring));
        self.0.learn(&records)?;
        self.0.turned.notify_one();
        Ok(())
    }

    /// What the wrapping keys are used for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn key_status(&self) -> Result<KeyStatus, StoreError> {
        let records = self.0.store.data_keys().await?;
        let counts: HashMap<DataKeyId, u64> = self.0.store.sealed_counts().await?.into_iter().collect();
        let keyring = self.0.keyring.load();
        let mut keys: IndexMap<KekId, KeyUse> = IndexMap::new();
        let unused = |id: &KekId| KeyUse { id: id.clone(), file: None, data_keys: 0, records: 0 };
        for key in keyring.keys() {
            keys.entry(key.id.clone()).or_insert_with(|| KeyUse { file: Some(key.path.clone()), ..unused(&key.id) });
        }
        for record in &records {
            keys.entry(record.kek.clone()).or_insert_with(|| unused(&record.kek)).data_keys += 1;
            keys.entry(record.made_with.clone()).or_insert_with(|| unused(&record.made_with)).records += counts.get(&record.id).copied().unwrap_or(0);
        }
        Ok(KeyStatus { keys: keys.into_values().filter(|key| key.file.is_some() || !key.is_free()).collect() })
    }

    /// Does a little of what is left to do after the wrapping key has changed.
    pub(super) async fn turn(&self, turn: &mut Turn) -> Result<Left, VaultError> {
        let (records, keyring) = (self.records().await?, self.0.keyring.load_full());
        let stale: Vec<&DataKeyRecord> = records.iter().filter(|record| record.kek != *keyring.current()).collect();
        if !stale.is_empty() {
            return self.rewrap(&keyring, &stale).await;
        }
        for key in records.iter().filter(|record| record.purpose == DataKeyPurpose::Seal && record.made_with != *keyring.current()) {
            let batch = self.0.store.sealed_with(key.id, turn.after.get(&key.id).cloned(), BATCH).await.map_err(reading)?;
            if let Some(last) = batch.last() {
                turn.after.insert(key.id, last.id());
                turn.sealed += self.reseal(batch).await?;
                return Ok(Left::More);
            }
        }
        Ok(Left::Nothing)
    }

    async fn records(&self) -> Result<Vec<DataKeyRecord>, VaultError> {
        self.0.store.data_keys().await.map_err(reading)
    }

    async fn rewrap(&self, keyring: &Keyring, stale: &[&DataKeyRecord]) -> Result<Left, VaultError> {
        let rewrapped = |record: &&DataKeyRecord| {
            let expected = record.kek.clone();
            keyring.rewrap(record).map(|record| Change::RewrapDataKey { record, expected }).ok_or(VaultError::KeyLost)
        };
        let changes = stale.iter().map(rewrapped).collect::<Result<_, _>>()?;
        match self.0.store.apply(changes).await.map_err(|cause| VaultError::Store { deed: "wrap its keys anew", cause })? {
            Applied::Done => {
                tracing::info!(keys = stale.len(), key = %keyring.current(), "the store's keys are wrapped with the current wrapping key")
            }
            Applied::Conflict => tracing::info!("another process wraps the store's keys at the same time"),
        }
        Ok(Left::More)
    }

    /// How many of them were sealed anew; what does not open is told, and stays.
    async fn reseal(&self, batch: Vec<SealedRecord>) -> Result<u64, VaultError> {
        let (mut changes, mut count) = (Vec::new(), 0);
        for record in batch {
            match self.resealed(&record).await {
                Ok(Some(sealed)) => {
                    changes.push(Change::Reseal { record, sealed });
                    count += 1;
                }
                Ok(None) => {}
                Err(fault @ VaultError::Store { .. }) => return Err(fault),
                Err(fault) => tracing::error!(record = %record.id(), error = &fault as &(dyn Error + 'static), "a record stays under an older key"),
            }
        }
        let applied = self.0.store.apply(changes).await.map_err(|cause| VaultError::Store { deed: "keep what was sealed anew", cause })?;
        Ok(if applied == Applied::Done { count } else { 0 })
    }

    async fn resealed(&self, record: &SealedRecord) -> Result<Option<Sealed>, VaultError> {
        match record {
            SealedRecord::Grant(record) => self.sealed_anew(&record.sealed, &Binding::grant(&record.facts)).await.map(Some),
            SealedRecord::Authorization(record) => match &record.phase {
                AuthorizationPhase::AwaitingConfirmation { grant } => self.sealed_anew(&grant.sealed, &Binding::grant(&grant.facts)).await.map(Some),
                AuthorizationPhase::Submitted { verifier: Some(verifier), .. } => {
                    let binding = Binding::authorization(&record.connector, &record.customer, &record.id);
                    self.sealed_anew(verifier, &binding).await.map(Some)
                }
                AuthorizationPhase::Submitted { verifier: None, .. } | AuthorizationPhase::Begun | AuthorizationPhase::Spent => Ok(None),
            },
        }
    }

    async fn sealed_anew(&self, sealed: &Sealed, binding: &Binding<'_>) -> Result<Sealed, VaultError> {
        let plain = self.unseal(sealed, binding).await?;
        self.seal(&plain, binding).await
    }
}

fn reading(cause: StoreError) -> VaultError {
    VaultError::Store { deed: "read its keys", cause }
}
