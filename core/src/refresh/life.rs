//! What memory holds of the life of one grant, and what it does about an event.

use super::backoff::Backoff;
use super::event::{Ask, Deed, Effects, Event, Known, Landing, Standing, Verdict, Wake, Why};
use super::flight::{Cause, Flight};
use super::lifetime::{Habits, Moment, ahead, keep, usable};
use super::strikes::Strikes;
use crate::connector::oauth::RefreshMode;
use crate::time::{Instant, Timestamp};
use std::time::Duration;

const RECENT: Duration = Duration::from_secs(24 * 60 * 60);

/// What memory holds of the life of one grant.
#[derive(Clone, Debug)]
pub struct Life {
    pub(super) version: u64,
    pub(super) standing: Standing,
    pub(super) refreshable: bool,
    /// When the token counts as over; none: not known.
    pub(super) over_at: Option<Instant>,
    ahead_at: Option<Instant>,
    keep_at: Option<Instant>,
    /// From then on the refresh token may have been spent and be dangerous to send again: not before the token is over.
    pub(super) held_from: Option<Instant>,
    pub(super) backoff: Backoff,
    pub(super) strikes: Strikes,
    /// In a box: of very many lives in memory few fly at a time.
    pub(super) flight: Option<Box<Flight>>,
}

impl Life {
    /// The life of a grant as its record shows it.
    #[must_use]
    pub fn new(known: &Known, habits: &Habits, at: Moment) -> Self {
        let mut life = Self {
            version: 0,
            standing: known.standing,
            refreshable: false,
            over_at: None,
            ahead_at: None,
            keep_at: None,
            held_from: None,
            backoff: Backoff::default(),
            strikes: Strikes::default(),
            flight: None,
        };
        life.adopt(known, habits, at);
        life
    }

    /// The version that it knows.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes an event. `habits` are the connector's of this moment.
    pub fn step(&mut self, event: Event, habits: &Habits, at: Moment) -> Effects {
        match event {
            Event::Learned(known) => self.learn(&known, habits, at),
            Event::Asked(Ask::Request) => self.request(at),
            Event::Asked(Ask::Operator) => self.operator(at),
            Event::Asked(Ask::Unauthorized { version }) => self.unauthorized(version, at),
            Event::Unhealed { version } => {
                self.strikes.unauthorized(version, at.mono);
                Effects::default()
            }
            Event::Honoured => {
                self.strikes = Strikes::default();
                Effects::default()
            }
            Event::Due { used_at } => self.due(used_at, at),
            Event::Done(step) => self.fly_on(step, habits, at),
            Event::Aborted => self.abort(habits, at),
        }
    }

    fn learn(&mut self, known: &Known, habits: &Habits, at: Moment) -> Effects {
        if known.version <= self.version {
            return Effects::default();
        }
        self.adopt(known, habits, at);
        Effects { wake: self.wake(at.mono), ..Effects::default() }
    }

    /// Takes over what a record shows, with deadlines on the monotonic clock.
    pub(super) fn adopt(&mut self, known: &Known, habits: &Habits, at: Moment) {
        let age = at.wall.since(known.issued_at);
        self.version = known.version;
        self.standing = known.standing;
        self.refreshable = known.refreshable;
        self.begin(known.expires_at.map(|end| end.since(known.issued_at)), age, habits, at);
        self.held_from = known.intent.and_then(|sent| habits.held_after(at.wall.since(sent))).map(|after| at.mono.plus(after));
    }

    /// A token of this lifetime was issued `age` ago.
    pub(super) fn begin(&mut self, lifetime: Option<Duration>, age: Duration, habits: &Habits, at: Moment) {
        let after_issue = |duration: Duration| at.mono.plus(duration.saturating_sub(age));
        self.over_at = lifetime.map(usable).map(after_issue);
        self.ahead_at = match habits.mode {
            RefreshMode::Ahead => lifetime.map(|lifetime| after_issue(ahead(lifetime, at.chance))),
            RefreshMode::OnUse => None,
        };
        self.keep_at = habits.keep_alive.map(|most| after_issue(keep(most)));
        self.held_from = None;
        self.backoff = Backoff::default();
    }

    fn request(&mut self, at: Moment) -> Effects {
        if let Some(why) = self.ended() {
            return refuse(why);
        }
        if !self.is_over(at.mono) {
            let due = self.refreshable && self.ahead_point(at.mono).is_some_and(|point| point <= at.mono);
            let next = (due && self.flight.is_none()).then(|| self.take_off(Cause::Ahead));
            return Effects { verdict: Some(Verdict::Use { version: self.version }), next, ..Effects::default() };
        }
        self.wait_for(Cause::Request, at)
    }

    fn operator(&mut self, at: Moment) -> Effects {
        match self.ended() {
            Some(why) => refuse(why),
            None if !self.refreshable => refuse(Why::Ended),
            None => self.wait_for(Cause::Operator, at),
        }
    }

    fn unauthorized(&mut self, version: u64, at: Moment) -> Effects {
        if version < self.version {
            return self.request(at);
        }
        if let Some(why) = self.ended() {
            return refuse(why);
        }
        self.strikes.unauthorized(version, at.mono);
        if self.strikes.paused(at.mono) {
            return Effects { verdict: Some(Verdict::Pass), ..Effects::default() };
        }
        self.over_at = Some(self.over_at.map_or(at.mono, |over| over.min(at.mono)));
        self.ahead_at = self.ahead_at.map(|point| point.min(at.mono));
        self.wait_for(Cause::Unauthorized, at)
    }

    /// Waits for the flight that is under way, or for a new one.
    fn wait_for(&mut self, cause: Cause, at: Moment) -> Effects {
        if let Some(flight) = &mut self.flight {
            return match flight.join(cause) {
                Ok(()) => Effects { verdict: Some(Verdict::Wait), ..Effects::default() },
                Err(why) => refuse(why),
            };
        }
        match (cause, self.backoff.rest(at.mono)) {
            (Cause::Request | Cause::Unauthorized | Cause::Ahead, Some(rest)) if self.refreshable => refuse(Why::Unavailable { retry_after: rest }),
            _ => Effects { verdict: Some(Verdict::Wait), next: Some(self.take_off(cause)), ..Effects::default() },
        }
    }

    fn due(&mut self, used_at: Timestamp, at: Moment) -> Effects {
        if self.flight.is_some() {
            return Effects::default();
        }
        match self.wake_for(used_at, at) {
            Some(point) if point <= at.mono => Effects { next: Some(self.take_off(Cause::Ahead)), ..Effects::default() },
            Some(point) => Effects { wake: Wake::At(point), ..Effects::default() },
            None => Effects { wake: Wake::Never, ..Effects::default() },
        }
    }

    fn take_off(&mut self, cause: Cause) -> (Deed, Duration) {
        self.flight = Some(Box::new(Flight::new(cause, self.version)));
        (Deed::Lease, Duration::ZERO)
    }

    fn ended(&self) -> Option<Why> {
        match self.standing {
            Standing::Live => None,
            Standing::Ended => Some(Why::Ended),
            Standing::Gone => Some(Why::Gone),
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.over_at.is_some_and(|over| over <= now)
    }

    /// When a refresh is due ahead of the token's end; what has passed is due.
    fn ahead_point(&self, now: Instant) -> Option<Instant> {
        self.ahead_at.map(|point| self.allowed(point, now))
    }

    /// When a refresh is due though nobody may ever use it.
    fn keep_point(&self, now: Instant) -> Option<Instant> {
        self.keep_at.map(|point| self.allowed(point, now))
    }

    /// `point`, or the end of the back-off if that is later; where the refresh token is dangerous to send by then, not before the token
    /// is over. A token whose end is not known is over for nobody, and its grant may have to be kept alive.
    fn allowed(&self, point: Instant, now: Instant) -> Instant {
        let point = self.backoff.not_before(point);
        match (self.held_from, self.over_at) {
            (Some(held), Some(over)) if held <= point.max(now) => self.backoff.not_before(over).max(point),
            _ => point,
        }
    }

    /// When the grant is to be looked at, as if it were in use.
    #[must_use]
    pub fn wake(&self, now: Instant) -> Wake {
        match self.first_of(self.ahead_point(now), self.keep_point(now)) {
            Some(point) => Wake::At(point),
            None => Wake::Never,
        }
    }

    /// When the grant is to be looked at, given when it was used last.
    pub(super) fn wake_for(&self, used_at: Timestamp, at: Moment) -> Option<Instant> {
        let used = at.wall.since(used_at) < RECENT;
        self.first_of(self.ahead_point(at.mono).filter(|_| used), self.keep_point(at.mono))
    }

    fn first_of(&self, ahead: Option<Instant>, keep: Option<Instant>) -> Option<Instant> {
        let open = self.refreshable && matches!(self.standing, Standing::Live);
        ahead.into_iter().chain(keep).min().filter(|_| open)
    }

    /// A flight that found no time or place tries again a little later.
    pub(super) fn put_off(&mut self, until: Instant) {
        for point in [&mut self.ahead_at, &mut self.keep_at] {
            *point = point.map(|point| point.max(until));
        }
    }

    /// The end of a flight.
    pub(super) fn land(&mut self, landing: Landing, at: Moment) -> Effects {
        self.flight = None;
        Effects { tell: Some(landing), wake: self.wake(at.mono), ..Effects::default() }
    }
}

fn refuse(why: Why) -> Effects {
    Effects { verdict: Some(Verdict::Refuse(why)), ..Effects::default() }
}
