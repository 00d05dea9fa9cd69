//! One refresh, from the lease to the durable result.

use super::event::{Deed, Effects, Known, Landing, Leased, Spent, Standing, Step, Why, Wrote};
use super::life::Life;
use super::lifetime::{Habits, Moment};
use crate::time::{Instant, Timestamp};
use std::time::Duration;

/// How often a flight begins anew because its lease was lost, before it gives up.
const TURNS: u8 = 5;
/// How long somebody else's flight is waited for: a call and some more.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_secs(1);

/// A refresh under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) cause: Cause,
    /// The version that was known when it took off.
    pub(super) origin: u64,
    /// The version whose refresh token it spends.
    version: u64,
    phase: Phase,
    /// When the refresh token was sent by a call whose answer never came, as the record showed before this flight's own call.
    doubt: Option<Timestamp>,
    /// New tokens that are not durable yet.
    hand: Option<Hand>,
    /// How long somebody else's flight is waited for; none: nobody else's was met.
    patience: Option<Instant>,
    /// How often the lease was lost.
    turns: u8,
    /// How often in a row the store did not take what the provider said.
    stalled: u8,
}

/// Why it took off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// It is time.
    Ahead,
    /// A request found the token over.
    Request,
    /// The API answered 401.
    Unauthorized,
    /// An operator wants it.
    Operator,
}

/// What it waits for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Leasing,
    /// Somebody else flies, or has landed and not yet given the lease back.
    Watching,
    Reading,
    Intending,
    Spending {
        since: Instant,
    },
    /// The provider spent nothing, which the record is to show.
    Recanting,
    /// The provider said `invalid_grant`: has somebody been faster?
    Checking,
    Saving,
    Ending,
}

/// New tokens, as far as their life goes.
#[derive(Clone, Copy, Debug)]
struct Hand {
    expires_in: Option<Duration>,
    since: Instant,
}

impl Flight {
    pub(super) fn new(cause: Cause, version: u64) -> Self {
        Self { cause, origin: version, version, phase: Phase::Leasing, doubt: None, hand: None, patience: None, turns: 0, stalled: 0 }
    }

    /// Somebody else waits for it too. Refused where it has a result that the store does not take.
    pub(super) fn join(&mut self, cause: Cause) -> Result<(), Why> {
        if self.stalled > 0 {
            return Err(Why::Store);
        }
        if matches!((self.cause, cause), (Cause::Ahead | Cause::Request, Cause::Unauthorized)) {
            self.cause = cause;
        }
        Ok(())
    }

    /// 1 s, 2 s, 4 s, 8 s, 8 s ... for what must not be given up.
    fn pause(&mut self) -> Duration {
        let pause = SOON.saturating_mul(1 << self.stalled.min(3));
        self.stalled = self.stalled.saturating_add(1);
        pause
    }
}

impl Life {
    /// Takes the result of the flight's last deed. Without a flight, or out of turn, nothing happens.
    pub(super) fn fly_on(&mut self, step: Step, habits: &Habits, at: Moment) -> Effects {
        let Some(flight) = self.flight.as_deref().copied() else { return Effects::default() };
        match (flight.phase, step) {
            (Phase::Leasing, Step::Leased(leased)) => self.leased(flight, leased, at),
            (Phase::Watching, Step::Read(known)) => self.watched(flight, known, habits, at),
            (Phase::Reading, Step::Read(known)) => self.read(flight, known, habits, at),
            (Phase::Checking, Step::Read(known)) => self.checked(flight, known, habits, at),
            (Phase::Intending, Step::Wrote(Wrote::Done)) => {
                self.go(flight, Phase::Spending { since: at.mono }, Deed::Spend { version: flight.version })
            }
            (Phase::Spending { since }, Step::Spent(spent)) => self.spent(flight, spent, since, habits, at),
            // Where the record goes on to show an intent the next call is careful, and that is all.
            (Phase::Recanting, Step::Wrote(_) | Step::StoreFailed) => self.land_in_back_off(at),
            (Phase::Saving, Step::Wrote(Wrote::Done)) => self.saved(flight, habits, at),
            (Phase::Ending, Step::Wrote(Wrote::Done)) => self.over_and_done(flight, at),
            (Phase::Intending | Phase::Saving | Phase::Ending, Step::Wrote(Wrote::Conflict)) => self.turn_back(flight, at),
            (_, Step::StoreFailed) => self.store_failed(flight, at),
            // A result of another deed than the last: the driver's mistake, and no reason to send anything.
            _ => self.land(Landing::Refused(Why::Store), at),
        }
    }

    /// As after a crash: what the provider may have said is lost.
    pub(super) fn abort(&mut self, habits: &Habits, at: Moment) -> Effects {
        match self.flight.as_deref().map(|flight| (flight.phase, flight.hand)) {
            None => Effects::default(),
            Some((Phase::Spending { since }, _) | (_, Some(Hand { since, .. }))) => self.lost(None, since, habits, at),
            Some((Phase::Recanting, None)) => self.land_in_back_off(at),
            Some((_, None)) => self.land(Landing::Refused(Why::Store), at),
        }
    }

    fn go(&mut self, flight: Flight, phase: Phase, deed: Deed) -> Effects {
        self.go_after(flight, phase, deed, Duration::ZERO)
    }

    fn go_after(&mut self, flight: Flight, phase: Phase, deed: Deed, after: Duration) -> Effects {
        self.flight = Some(Box::new(Flight { phase, stalled: 0, ..flight }));
        Effects { next: Some((deed, after)), ..Effects::default() }
    }

    fn leased(&mut self, flight: Flight, leased: Leased, at: Moment) -> Effects {
        match (leased, flight.hand) {
            (Leased::Taken, _) => self.go(flight, Phase::Reading, Deed::Read),
            (Leased::Elsewhere | Leased::Crowded, Some(_)) => self.go_after(flight, Phase::Leasing, Deed::Lease, SOON),
            (Leased::Elsewhere, None) => {
                let patience = flight.patience.unwrap_or_else(|| at.mono.plus(PATIENCE));
                if patience <= at.mono {
                    return self.not_now(at);
                }
                self.go_after(Flight { patience: Some(patience), ..flight }, Phase::Watching, Deed::Read, GLANCE)
            }
            (Leased::Crowded, None) => self.not_now(at),
        }
    }

    /// No failure of the provider's: soon again.
    fn not_now(&mut self, at: Moment) -> Effects {
        self.put_off(at.mono.plus(SOON * 5));
        self.land(Landing::Refused(Why::Unavailable { retry_after: SOON }), at)
    }

    /// Where the other flight has brought nothing yet, it may have failed: whoever holds the lease next tries.
    fn watched(&mut self, flight: Flight, known: Option<Known>, habits: &Habits, at: Moment) -> Effects {
        match self.settled(flight, known, habits, at) {
            Some(effects) => effects,
            None => self.go(flight, Phase::Leasing, Deed::Lease),
        }
    }

    /// Takes over what was read; the flight's end where nothing is left to do.
    fn settled(&mut self, flight: Flight, known: Option<Known>, habits: &Habits, at: Moment) -> Option<Effects> {
        match known {
            Some(known) if known.version > self.version => self.adopt(&known, habits, at),
            Some(_) => {}
            None => self.standing = Standing::Gone,
        }
        let needed = match flight.cause {
            Cause::Ahead | Cause::Operator => self.version == flight.origin,
            Cause::Request | Cause::Unauthorized => self.is_over(at.mono),
        };
        match self.standing {
            Standing::Ended => Some(self.land(Landing::Refused(Why::Ended), at)),
            Standing::Gone => Some(self.land(Landing::Refused(Why::Gone), at)),
            Standing::Live if !needed => Some(self.land(Landing::Fresh, at)),
            Standing::Live => None,
        }
    }

    fn read(&mut self, flight: Flight, known: Option<Known>, habits: &Habits, at: Moment) -> Effects {
        if flight.hand.is_some() && known.is_some_and(|known| known.version == flight.version) {
            return self.go(flight, Phase::Saving, Deed::Save { version: flight.version });
        }
        if let Some(effects) = self.settled(flight, known, habits, at) {
            return effects;
        }
        let doubt = known.and_then(|known| known.intent);
        let flight = Flight { version: self.version, hand: None, doubt, ..flight };
        if !self.refreshable {
            return self.nothing_to_spend(flight, at);
        }
        if self.holds_back(flight, habits, at) {
            return self.land(Landing::Fresh, at);
        }
        self.go(flight, Phase::Intending, Deed::Intend { version: flight.version })
    }

    /// Whether the refresh token may have been spent by a call whose answer never came, and should be left alone while the token lives.
    fn holds_back(&mut self, flight: Flight, habits: &Habits, at: Moment) -> bool {
        if let Some(sent) = flight.doubt.filter(|_| self.held_from.is_none()) {
            self.held_from = habits.held_after(at.wall.since(sent)).map(|after| at.mono.plus(after));
        }
        let lives = self.over_at.is_some_and(|over| at.mono < over);
        flight.cause == Cause::Ahead && lives && self.held_from.is_some_and(|held| held <= at.mono)
    }

    fn nothing_to_spend(&mut self, flight: Flight, at: Moment) -> Effects {
        if self.is_over(at.mono) {
            self.go(flight, Phase::Ending, Deed::End { version: flight.version })
        } else {
            self.land(Landing::Refused(Why::Ended), at)
        }
    }

    fn spent(&mut self, flight: Flight, spent: Spent, since: Instant, habits: &Habits, at: Moment) -> Effects {
        match spent {
            Spent::Tokens { expires_in } => {
                let hand = Some(Hand { expires_in, since });
                self.go(Flight { hand, ..flight }, Phase::Saving, Deed::Save { version: flight.version })
            }
            Spent::NotHonoured => self.go(flight, Phase::Checking, Deed::Read),
            Spent::Declined { retry_after } => {
                self.backoff.fail(retry_after, at);
                match flight.doubt {
                    Some(_) => self.land_in_back_off(at),
                    None => self.go(flight, Phase::Recanting, Deed::Recant { version: flight.version }),
                }
            }
            Spent::Lost { retry_after } => self.lost(retry_after, since, habits, at),
        }
    }

    fn lost(&mut self, retry_after: Option<Duration>, since: Instant, habits: &Habits, at: Moment) -> Effects {
        if self.held_from.is_none() {
            self.held_from = habits.held_after(Duration::ZERO).map(|after| since.plus(after));
        }
        self.backoff.fail(retry_after, at);
        self.land_in_back_off(at)
    }

    fn land_in_back_off(&mut self, at: Moment) -> Effects {
        let rest = self.backoff.rest(at.mono).unwrap_or(SOON);
        self.land(Landing::Refused(Why::Unavailable { retry_after: rest }), at)
    }

    /// `invalid_grant` of a version that is still the record's ends it; otherwise somebody was faster.
    fn checked(&mut self, flight: Flight, known: Option<Known>, habits: &Habits, at: Moment) -> Effects {
        if known.is_some_and(|known| known.version == flight.version) {
            self.go(flight, Phase::Ending, Deed::End { version: flight.version })
        } else {
            self.read(flight, known, habits, at)
        }
    }

    fn saved(&mut self, flight: Flight, habits: &Habits, at: Moment) -> Effects {
        let version = flight.version.saturating_add(1);
        if let Some(hand) = flight.hand.filter(|_| version >= self.version) {
            self.version = version;
            self.begin(hand.expires_in, at.mono.since(hand.since), habits, at);
            if flight.cause == Cause::Unauthorized {
                self.strikes.try_version(version);
            }
        }
        self.land(Landing::Fresh, at)
    }

    fn over_and_done(&mut self, flight: Flight, at: Moment) -> Effects {
        self.standing = Standing::Ended;
        self.version = self.version.max(flight.version.saturating_add(1));
        self.land(Landing::Refused(Why::Ended), at)
    }

    /// The record changed or the lease was lost: both show when the lease is held again. Tokens in hand are not given up.
    fn turn_back(&mut self, mut flight: Flight, at: Moment) -> Effects {
        flight.turns = flight.turns.saturating_add(1);
        if flight.hand.is_none() && flight.turns > TURNS {
            return self.land(Landing::Refused(Why::Unavailable { retry_after: SOON }), at);
        }
        self.go(flight, Phase::Leasing, Deed::Lease)
    }

    /// What the provider said last is not given up; everything else is.
    fn store_failed(&mut self, mut flight: Flight, at: Moment) -> Effects {
        let (deed, why) = match (flight.phase, flight.hand) {
            (Phase::Saving, _) => (Deed::Save { version: flight.version }, Why::Store),
            (Phase::Leasing, Some(_)) => (Deed::Lease, Why::Store),
            (Phase::Reading, Some(_)) | (Phase::Checking, _) => (Deed::Read, Why::Store),
            (Phase::Ending, _) => (Deed::End { version: flight.version }, Why::Ended),
            // Nothing was sent: what the record holds could not be opened, and will not be soon.
            (Phase::Spending { .. }, _) => {
                self.backoff.fail(None, at);
                return self.land(Landing::Refused(Why::Store), at);
            }
            (Phase::Leasing | Phase::Reading | Phase::Watching | Phase::Intending | Phase::Recanting, _) => {
                self.put_off(at.mono.plus(SOON * 5));
                return self.land(Landing::Refused(Why::Store), at);
            }
        };
        // Another credential may have taken its place meanwhile.
        if why == Why::Ended && self.version == flight.version {
            self.standing = Standing::Ended;
        }
        let pause = flight.pause();
        self.flight = Some(Box::new(flight));
        Effects { tell: Some(Landing::Refused(why)), next: Some((deed, pause)), ..Effects::default() }
    }
}
