//! Whether wrapping keys are those of a store, asked without opening the store.

use super::Keyring;
use crate::store::DataKeyRecord;

impl Keyring {
    /// Whether all of these data keys open with a key that is known.
    #[must_use]
    pub fn opens(&self, records: &[DataKeyRecord]) -> bool {
        records.iter().all(|record| self.unwrap(record).is_some())
    }
}
