//! How many requests of one account are under way at once.

use foldhash::fast::RandomState;
use scopegate_core::id::AccountId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Accounts that meet in one lock. A request holds it twice, for a moment each.
const SHARDS: usize = 64;

/// Counts the requests of each account that are under way. Takes memory only for accounts that have some. Clones count together.
#[derive(Clone, Debug)]
pub struct AccountPlaces(Option<Arc<Places>>);

#[derive(Debug)]
struct Places {
    most: NonZeroUsize,
    hasher: RandomState,
    shards: [Mutex<HashMap<AccountId, usize, RandomState>>; SHARDS],
}

/// A request that is under way; dropped, it is not.
#[derive(Debug)]
pub struct AccountPlace(Option<(Arc<Places>, AccountId)>);

/// The account has as many requests under way as it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Crowded {
    /// So many.
    pub limit: NonZeroUsize,
}

impl AccountPlaces {
    /// `None` switches it off.
    #[must_use]
    pub fn new(most: Option<NonZeroUsize>) -> Self {
        Self(most.map(|most| Arc::new(Places { most, hasher: RandomState::default(), shards: std::array::from_fn(|_| Mutex::default()) })))
    }

    /// Takes a place for one request of `account`.
    /// # Errors
    /// All of the account's places are taken.
    pub fn take(&self, account: &AccountId) -> Result<AccountPlace, Crowded> {
        let Some(places) = &self.0 else { return Ok(AccountPlace(None)) };
        let mut shard = places.shard(account);
        let taken = shard.entry(account.clone()).or_default();
        if *taken >= places.most.get() {
            return Err(Crowded { limit: places.most });
        }
        *taken += 1;
        Ok(AccountPlace(Some((Arc::clone(places), account.clone()))))
    }
}

impl Places {
    fn shard(&self, account: &AccountId) -> MutexGuard<'_, HashMap<AccountId, usize, RandomState>> {
        let number = usize::try_from(self.hasher.hash_one(account)).unwrap_or(0) % SHARDS;
        let [first, ..] = &self.shards;
        self.shards.get(number).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AccountPlace {
    fn drop(&mut self) {
        let Some((places, account)) = self.0.take() else { return };
        if let Entry::Occupied(mut taken) = places.shard(&account).entry(account) {
            match taken.get_mut() {
                0 | 1 => drop(taken.remove()),
                more => *more -= 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_each_accounts_own_and_free_again_with_the_request_that_held_them() {
        let places = AccountPlaces::new(NonZeroUsize::new(2));
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let (first, second) = (places.take(&one).unwrap(), places.take(&one).unwrap());
        assert_eq!(places.take(&one).unwrap_err().limit.get(), 2);
        let _others = places.take(&other).unwrap();
        drop(first);
        let third = places.clone().take(&one).unwrap();
        assert!(places.take(&one).is_err());
        drop((second, third));
        let held: usize = places.0.iter().flat_map(|places| &places.shards).map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(held, 1, "an account without requests takes no memory");
        let endless = AccountPlaces::new(None);
        let all: Vec<_> = (0..1000).map(|_| endless.take(&one).unwrap()).collect();
        assert_eq!(all.len(), 1000);
    }
}
