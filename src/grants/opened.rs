//! Opened token sets, within a bound.

use foldhash::fast::RandomState;
use scopegate_core::account::{Credential, GrantFacts};
use scopegate_core::answer::Needle;
use scopegate_core::connector::Inject;
use scopegate_core::id::GrantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One version of a grant, opened.
#[derive(Debug)]
pub(super) struct OpenedGrant {
    /// The facts that were sealed with it.
    pub(super) facts: Arc<GrantFacts>,
    /// What was sealed.
    pub(super) credential: Credential,
    /// What searching for it needs, made for the first answer, and where it was injected then.
    needles: OnceLock<(Inject, Arc<[Needle]>)>,
}

impl OpenedGrant {
    pub(super) fn new(facts: GrantFacts, credential: Credential) -> Self {
        Self { facts: Arc::new(facts), credential, needles: OnceLock::new() }
    }

    /// What no answer may show, where it is injected so.
    pub(super) fn needles(&self, inject: &Inject) -> Arc<[Needle]> {
        let made = || Needle::of(&self.credential, inject).into();
        let (known, needles) = self.needles.get_or_init(|| (inject.clone(), made()));
        if known == inject { Arc::clone(needles) } else { made() }
    }
}

/// The token sets that were used last, approximately: when there is no place, the hand goes round and takes the
/// first one that was not used since it last came by.
#[derive(Debug)]
pub(super) struct OpenedGrants {
    most: usize,
    clock: Mutex<Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    places: Vec<Place>,
    at: HashMap<GrantId, usize, RandomState>,
    hand: usize,
}

#[derive(Debug)]
struct Place {
    grant: GrantId,
    opened: Arc<OpenedGrant>,
    used: bool,
}

impl OpenedGrants {
    /// At most `most` of them, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), clock: Mutex::default() }
    }

    /// The token set of exactly this version.
    pub(super) fn get(&self, grant: &GrantId, version: u64) -> Option<Arc<OpenedGrant>> {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let at = *clock.at.get(grant)?;
        let place = clock.places.get_mut(at).filter(|place| place.opened.facts.version == version)?;
        place.used = true;
        Some(Arc::clone(&place.opened))
    }

    /// Keeps a token set instead of an older version.
    pub(super) fn put(&self, opened: &Arc<OpenedGrant>) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = &opened.facts.id;
        match clock.at.get(grant).copied().and_then(|at| clock.places.get_mut(at)) {
            Some(place) if place.opened.facts.version > opened.facts.version => {}
            Some(place) => place.opened = Arc::clone(opened),
            None => clock.insert(Place { grant: grant.clone(), opened: Arc::clone(opened), used: true }, self.most),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).places.len()
    }

    /// Keeps a token set where an older version is kept: nobody needs one that nobody uses.
    pub(super) fn renew(&self, opened: &Arc<OpenedGrant>) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = clock.at.get(&opened.facts.id).copied().and_then(|at| clock.places.get_mut(at))
            && place.opened.facts.version < opened.facts.version
        {
            place.opened = Arc::clone(opened);
        }
    }

    /// Forgets a token set of whatever version.
    pub(super) fn forget(&self, grant: &GrantId) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = clock.at.get(grant).copied() {
            clock.take_out(at);
        }
    }
}

impl Clock {
    fn insert(&mut self, place: Place, most: usize) {
        while self.places.len() >= most {
            self.hand %= self.places.len();
            match self.places.get_mut(self.hand) {
                Some(place) if place.used => {
                    place.used = false;
                    self.hand += 1;
                }
                Some(_) | None => self.take_out(self.hand),
            }
        }
        self.at.insert(place.grant.clone(), self.places.len());
        self.places.push(place);
    }

    /// The last place moves into the gap.
    fn take_out(&mut self, at: usize) {
        if at < self.places.len() {
            let gone = self.places.swap_remove(at);
            self.at.remove(&gone.grant);
            if let Some(moved) = self.places.get(at) {
                self.at.insert(moved.grant.clone(), at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::tests::facts;
    use scopegate_core::secret::ApiKey;

    fn opened(number: u8, version: u64) -> Arc<OpenedGrant> {
        let id = GrantId::from_bytes([number; 16]);
        Arc::new(OpenedGrant::new(GrantFacts { id, version, ..facts() }, Credential::Key(ApiKey::new("k".into()))))
    }

    fn known(grants: &OpenedGrants, numbers: std::ops::Range<u8>) -> Vec<u8> {
        numbers.filter(|number| grants.get(&GrantId::from_bytes([*number; 16]), 1).is_some()).collect()
    }

    #[test]
    fn only_the_asked_version_comes_out_and_an_older_one_never_takes_its_place() {
        let grants = OpenedGrants::new(2);
        let id = GrantId::from_bytes([1; 16]);
        for (put, found) in [(1, [true, false]), (2, [false, true]), (1, [false, true])] {
            grants.put(&opened(1, put));
            assert_eq!([grants.get(&id, 1).is_some(), grants.get(&id, 2).is_some()], found, "{put}");
        }
        for (renewed, found) in [(3, [false, true]), (1, [false, true])] {
            grants.renew(&opened(1, renewed));
            assert_eq!([grants.get(&id, 2).is_some(), grants.get(&id, 3).is_some()], found, "{renewed}");
        }
        grants.forget(&id);
        grants.renew(&opened(1, 4));
        assert!(grants.get(&id, 3).is_none() && grants.get(&id, 4).is_none(), "what nobody uses is not kept");
    }

    #[test]
    fn the_bound_holds_and_what_is_used_stays() {
        let grants = OpenedGrants::new(3);
        for number in 0..3 {
            grants.put(&opened(number, 1));
        }
        grants.put(&opened(3, 1));
        let mut left = known(&grants, 0..4);
        assert_eq!((left.len(), left.pop()), (3, Some(3)));
        // All that are left were just used; of the next two newcomers the second takes the place of the first.
        for number in 4..40 {
            grants.put(&opened(number, 1));
            assert!(grants.get(&GrantId::from_bytes([number; 16]), 1).is_some());
            assert!(known(&grants, 0..40).len() <= 3);
        }
        for number in 0..40 {
            grants.forget(&GrantId::from_bytes([number; 16]));
        }
        assert!(known(&grants, 0..40).is_empty());
    }
}
