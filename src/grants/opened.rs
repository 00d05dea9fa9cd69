//! Opened token sets, within a bound.

use super::seat::{Opened, Seat};
use scopegate_core::account::{Credential, GrantFacts};
use scopegate_core::answer::Needle;
use scopegate_core::connector::Inject;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One version of a grant, opened.
#[derive(Debug)]
pub(super) struct OpenedGrant {
    pub(super) version: u64,
    /// What was sealed.
    pub(super) credential: Credential,
    /// The facts that were sealed with it.
    pub(super) facts: Arc<GrantFacts>,
    /// What searching for it needs, made for the first answer, and where it was injected then.
    needles: OnceLock<(Arc<Inject>, Arc<[Needle]>)>,
}

impl OpenedGrant {
    pub(super) fn new(facts: Arc<GrantFacts>, credential: Credential) -> Arc<Self> {
        Arc::new(Self { version: facts.version, credential, facts, needles: OnceLock::new() })
    }

    /// What no answer may show, where it is injected so.
    pub(super) fn needles(&self, inject: &Arc<Inject>) -> Arc<[Needle]> {
        let made = || Needle::of(&self.credential, inject).into();
        let (known, needles) = self.needles.get_or_init(|| (Arc::clone(inject), made()));
        if Arc::ptr_eq(known, inject) || known == inject { Arc::clone(needles) } else { made() }
    }
}

/// The token sets that were used last, approximately: when there is no place, the hand goes round and takes the
/// first one that was not used since it last came by. Each lies with its seat; here is only who has one.
#[derive(Debug)]
pub(super) struct OpenedGrants {
    most: usize,
    count: AtomicUsize,
    round: Mutex<Round>,
}

#[derive(Debug, Default)]
struct Round {
    seats: Vec<Arc<Seat>>,
    hand: usize,
}

impl OpenedGrants {
    /// At most `most` of them, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), count: AtomicUsize::new(0), round: Mutex::default() }
    }

    /// Keeps a token set instead of an older version.
    pub(super) fn put(&self, seat: &Arc<Seat>, fresh: &Arc<OpenedGrant>) {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let opened = &mut seat.lock().opened;
            match &opened.grant {
                Some(known) if known.version > fresh.version => return,
                Some(_) => {}
                None => drop(self.count.fetch_add(1, Ordering::Relaxed)),
            }
            (opened.grant, opened.used) = (Some(Arc::clone(fresh)), true);
            if std::mem::replace(&mut opened.listed, true) {
                return;
            }
        }
        self.make_room(&mut round);
        round.seats.push(Arc::clone(seat));
    }

    /// Keeps a token set where an older version is kept: nobody needs one that nobody uses.
    pub(super) fn renew(seat: &Seat, fresh: &Arc<OpenedGrant>) {
        let opened = &mut seat.lock().opened;
        if opened.grant.as_ref().is_some_and(|known| known.version < fresh.version) {
            opened.grant = Some(Arc::clone(fresh));
        }
    }

    /// Forgets a token set of whatever version.
    pub(super) fn forget(&self, seat: &Seat) {
        if seat.lock().opened.grant.take().is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn make_room(&self, round: &mut Round) {
        while round.seats.len() >= self.most {
            round.hand %= round.seats.len();
            let Some(seat) = round.seats.get(round.hand) else { return };
            if self.makes_room(&mut seat.lock().opened) {
                // The last one moves into the gap.
                drop(round.seats.swap_remove(round.hand));
            } else {
                round.hand += 1;
            }
        }
    }

    fn makes_room(&self, opened: &mut Opened) -> bool {
        if opened.grant.is_some() && std::mem::replace(&mut opened.used, false) {
            return false;
        }
        if opened.grant.take().is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        opened.listed = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::lives::{habits, known_of};
    use crate::grants::tests::facts;
    use scopegate_core::refresh::{Life, Moment};
    use scopegate_core::secret::ApiKey;

    fn seat() -> Arc<Seat> {
        Seat::new(Life::new(&known_of(&facts(), None), &habits(None), Moment::default()))
    }

    fn opened(version: u64) -> Arc<OpenedGrant> {
        OpenedGrant::new(GrantFacts { version, ..facts() }.into(), Credential::Key(ApiKey::new("k".into())))
    }

    fn has(seat: &Seat, version: u64) -> bool {
        seat.lock().opened.get(version).is_some()
    }

    #[test]
    fn only_the_asked_version_comes_out_and_an_older_one_never_takes_its_place() {
        let (grants, seat) = (OpenedGrants::new(2), seat());
        for (put, found) in [(1, [true, false]), (2, [false, true]), (1, [false, true])] {
            grants.put(&seat, &opened(put));
            assert_eq!([has(&seat, 1), has(&seat, 2)], found, "{put}");
        }
        for (renewed, found) in [(3, [false, true]), (1, [false, true])] {
            OpenedGrants::renew(&seat, &opened(renewed));
            assert_eq!([has(&seat, 2), has(&seat, 3)], found, "{renewed}");
        }
        grants.forget(&seat);
        OpenedGrants::renew(&seat, &opened(4));
        assert!(!has(&seat, 3) && !has(&seat, 4), "what nobody uses is not kept");
        assert_eq!(grants.count(), 0);
        grants.put(&seat, &opened(1));
        assert!(has(&seat, 1), "whoever was forgotten may come again");
        assert_eq!(grants.count(), 1);
    }

    #[test]
    fn the_bound_holds_and_what_is_used_stays() {
        let (grants, seats) = (OpenedGrants::new(3), Vec::from_iter((0..40).map(|_| seat())));
        let held = || Vec::from_iter(seats.iter().map(|seat| seat.lock().opened.grant.is_some()));
        let count = || held().into_iter().filter(|held| *held).count();
        for seat in &seats[..4] {
            grants.put(seat, &opened(1));
        }
        assert_eq!((count(), held()[3]), (3, true));
        // All that are left were just used; of the next two newcomers the second takes the place of the first.
        for seat in &seats[4..] {
            grants.put(seat, &opened(1));
            assert!(has(seat, 1));
            assert_eq!((count(), grants.count()), (3, 3));
        }
        grants.forget(&seats[39]);
        grants.put(&seats[0], &opened(1));
        assert!(held()[0] && count() <= 3);
        assert_eq!(grants.count(), count());
        seats.iter().for_each(|seat| grants.forget(seat));
        assert_eq!((count(), grants.count()), (0, 0));
    }
}
