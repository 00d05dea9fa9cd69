//! The wrapping key, the store that it opens, and the disk below.

use super::machine::{space, writable};
use super::{Check, told};
use crate::settings::Settings;
use crate::store::{Inspected, StoreError, inspect};
use crate::vault::Keyring;

const KEY: &str = "key";
const STORE: &str = "store";

/// What a look at the store showed.
pub(super) type Looked = Result<Option<Inspected>, StoreError>;

pub(super) fn look(settings: &Settings) -> Looked {
    inspect(&settings.store)
}

/// Whether the key is there, for its owner alone, and the one that the store was sealed with.
pub(super) fn key(settings: &Settings, looked: &Looked) -> Vec<Check> {
    let file = settings.encryption.key_file.display();
    let keyring = match Keyring::read(&settings.encryption.key_file, &settings.encryption.older_key_files) {
        Ok(keyring) => keyring,
        Err(error) => return vec![Check::fail(KEY, told(&error), format!("for a new store: `scopegate keys generate {file}`"))],
    };
    let check = match looked {
        Ok(Some(store)) if !keyring.opens(&store.data_keys) => {
            let message = format!("{file} does not open the store in {}", settings.store.display());
            Check::fail(KEY, message, "give the key file that the store was made with")
        }
        Ok(Some(store)) => Check::ok(KEY, format!("{file} opens the store's {} data keys", store.data_keys.len())),
        Ok(None) | Err(_) => Check::ok(KEY, format!("{file} is there, for its owner alone")),
    };
    vec![check]
}

/// Whether the store is sound and has room.
pub(super) fn store(settings: &Settings, looked: &Looked) -> Vec<Check> {
    let folder = settings.store.display();
    let state = match looked {
        Ok(None) => Check::ok(STORE, format!("none in {folder} yet: `serve` makes it")),
        Ok(Some(store)) if store.faults.is_empty() => {
            Check::ok(STORE, format!("sound in {folder}: {} accounts, {} grants", store.accounts, store.grants))
        }
        Ok(Some(store)) => {
            let first = store.faults.first().map_or("", String::as_str);
            Check::fail(STORE, format!("the file in {folder} is damaged: {first}"), "stop the gateway and restore the folder from a backup")
        }
        Err(error) => Check::fail(STORE, told(error), format!("look at {folder}: who owns it, and what is in it")),
    };
    vec![state, writable(STORE, &settings.store), space(STORE, &settings.store)]
}
