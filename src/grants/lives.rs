//! The lives of grants in memory: who may fly, who waits.

use super::flight::Flight;
use super::opened::OpenedGrant;
use super::provider::{Place, Urgency};
use super::seat::{Seat, Seated};
use super::{NoToken, Shared};
use crate::chance;
use crate::store::{Change, Intent};
use foldhash::fast::RandomState;
use scopegate_core::account::{GrantFacts, GrantState};
use scopegate_core::connector::Connector;
use scopegate_core::connector::oauth::RefreshMode;
use scopegate_core::id::GrantId;
use scopegate_core::refresh::{Ask, Deed, Effects, Event, Habits, Known, Landing, Life, Moment, Replay, Standing, Verdict, Wake};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A use is noted when the last one that was noted is older than this.
const NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long noting a use may take before another request tries.
const NOTING: Duration = Duration::from_secs(60);

/// How often one request waits for a flight and finds its token over again, before it gives up.
const ROUNDS: usize = 4;

/// The lives of grants that were touched since the process began.
#[derive(Debug, Default)]
pub(super) struct Lives(papaya::HashMap<GrantId, Arc<Seat>, RandomState>);

impl Lives {
    pub(super) fn seat(&self, grant: &GrantId) -> Option<Arc<Seat>> {
        self.0.pin().get(grant).cloned()
    }
}

/// A token that may be used now, and the life that it is of.
pub(super) struct Token {
    pub(super) opened: Arc<OpenedGrant>,
    pub(super) seat: Arc<Seat>,
}

/// What whoever asked gets.
pub(super) enum Answer {
    /// The token of this version, which may have to be opened.
    Use { version: u64, opened: Option<Arc<OpenedGrant>>, seat: Arc<Seat> },
    /// What the flight brings.
    Wait(oneshot::Receiver<Landing>),
    /// Nothing: 401s mean nothing at present.
    Pass,
    /// No token.
    Refuse(NoToken),
}

/// The ways of a connector's provider; without OAuth nothing is ever refreshed.
pub(super) fn habits(connector: Option<&Connector>) -> Habits {
    let none = Habits { mode: RefreshMode::OnUse, keep_alive: None, replay: Replay::Never };
    connector.and_then(|connector| connector.oauth.as_ref()).map_or(none, Habits::of)
}

/// A record, as far as its life goes.
pub(super) fn known_of(facts: &GrantFacts, intent: Option<Intent>) -> Known {
    Known {
        version: facts.version,
        standing: match facts.state {
            GrantState::Live => Standing::Live,
            GrantState::Ended(_) => Standing::Ended,
        },
        refreshable: facts.refreshable,
        issued_at: facts.issued_at,
        expires_at: facts.expires_at,
        intent: intent.filter(|intent| intent.version == facts.version).map(|intent| intent.at),
    }
}

impl Shared {
    pub(super) fn moment(&self) -> Moment {
        Moment { mono: self.clock.instant(), wall: self.clock.timestamp(), chance: chance::unit() }
    }

    fn habits_of(&self, facts: &GrantFacts) -> Habits {
        habits(self.connector(&facts.connector).as_deref())
    }

    fn seat(&self, facts: &GrantFacts, habits: &Habits) -> Arc<Seat> {
        let lives = self.lives.0.pin();
        if let Some(seat) = lives.get(&facts.id) {
            return Arc::clone(seat);
        }
        let at = self.moment();
        let life = Life::new(&known_of(facts, None), habits, at);
        let wake = life.wake(at.mono);
        let seat = lives.get_or_insert(facts.id.clone(), Seat::new(life));
        self.set_wake(&facts.id, wake);
        Arc::clone(seat)
    }

    fn set_wake(&self, grant: &GrantId, wake: Wake) {
        match wake {
            Wake::Unchanged => {}
            Wake::At(at) => self.schedule.set(grant, Some(at)),
            Wake::Never => self.schedule.set(grant, None),
        }
    }

    /// Takes an event that is no question; whose it was.
    pub(super) fn step(self: &Arc<Self>, facts: &GrantFacts, event: Event) -> Arc<Seat> {
        let habits = self.habits_of(facts);
        let seat = self.seat(facts, &habits);
        let effects = self.take(&mut seat.lock(), facts, event, &habits);
        self.follow(&facts.id, effects, None);
        seat
    }

    /// The moment has come that was planned for this grant; `place` is for its flight.
    pub(super) fn due(self: &Arc<Self>, facts: &GrantFacts, place: Place) {
        let habits = self.habits_of(facts);
        let seat = self.seat(facts, &habits);
        let effects = self.take(&mut seat.lock(), facts, Event::Due { used_at: facts.used_at }, &habits);
        self.follow(&facts.id, effects, Some(place));
    }

    /// Takes what a flight has to say; its next deed.
    pub(super) fn fly_on(&self, grant: &GrantId, event: Event, habits: &Habits) -> Option<(Deed, Duration)> {
        let seat = self.lives.seat(grant)?;
        let at = self.moment();
        let (effects, waiting) = {
            let mut seated = seat.lock();
            let effects = seated.life.step(event, habits, at);
            (effects, effects.tell.map(|landing| (landing, std::mem::take(&mut seated.waiting))))
        };
        for (landing, waiter) in waiting.into_iter().flat_map(|(landing, waiting)| waiting.into_iter().map(move |waiter| (landing, waiter))) {
            // Whoever waited may have left.
            let _ = waiter.send(landing);
        }
        self.set_wake(grant, effects.wake);
        effects.next
    }

    /// Asks for a token of the grant as `facts` show it.
    pub(super) fn ask(self: &Arc<Self>, facts: &GrantFacts, connector: &Connector, ask: Ask) -> Answer {
        let habits = habits(Some(connector));
        let seat = self.seat(facts, &habits);
        let mut seated = seat.lock();
        let effects = self.take(&mut seated, facts, Event::Asked(ask), &habits);
        let answer = match effects.verdict {
            Some(Verdict::Use { version }) => Answer::Use { version, opened: seated.opened.get(version), seat: Arc::clone(&seat) },
            Some(Verdict::Wait) => {
                let (waiter, landing) = oneshot::channel();
                seated.waiting.push(waiter);
                Answer::Wait(landing)
            }
            Some(Verdict::Pass) => Answer::Pass,
            Some(Verdict::Refuse(why)) => Answer::Refuse(why.into()),
            None => Answer::Refuse(NoToken::Store),
        };
        drop(seated);
        self.follow(&facts.id, effects, None);
        answer
    }

    /// Takes an event, and before it what the directory knows by now.
    fn take(&self, seated: &mut Seated, facts: &GrantFacts, event: Event, habits: &Habits) -> Effects {
        let at = self.moment();
        if facts.version > seated.life.version() {
            let learned = seated.life.step(Event::Learned(known_of(facts, None)), habits, at);
            self.set_wake(&facts.id, learned.wake);
        }
        seated.life.step(event, habits, at)
    }

    fn follow(self: &Arc<Self>, grant: &GrantId, effects: Effects, place: Option<Place>) {
        self.set_wake(grant, effects.wake);
        let urgency = if matches!(effects.verdict, Some(Verdict::Wait)) { Urgency::Now } else { Urgency::Ahead };
        if let Some(first) = effects.next {
            self.tasks.spawn("refresh", Flight::new(Arc::clone(self), grant.clone(), urgency, place).run(first));
        }
    }

    /// A token that may be used now, after a flight where there has to be one.
    pub(super) async fn token(self: &Arc<Self>, grant: &GrantId, connector: &Connector, first: Ask) -> Result<Token, NoToken> {
        let mut ask = first;
        for _ in 0..ROUNDS {
            let facts = self.directory.grant(grant).ok_or(NoToken::ConsentRequired)?;
            match self.ask(&facts, connector, ask) {
                Answer::Use { version, opened, seat } => {
                    let opened = match opened {
                        // rare, and larger than all the rest
                        None => Box::pin(self.open_or_store_fault(grant, &seat, version)).await?,
                        some => some,
                    };
                    if let Some(opened) = opened {
                        self.note_use(&facts, &seat);
                        return Ok(Token { opened, seat });
                    }
                }
                Answer::Wait(landing) => match landing.await {
                    Ok(Landing::Fresh) => ask = Ask::Request,
                    Ok(Landing::Refused(why)) => return Err(why.into()),
                    // The grant is gone, or the process ends.
                    Err(_) => ask = Ask::Request,
                },
                Answer::Refuse(why) => return Err(why),
                Answer::Pass => return Err(NoToken::Store),
            }
        }
        tracing::warn!(connector = %connector.id, grant = %grant, "tokens are over as soon as they come");
        Err(NoToken::Unavailable { retry_after: Duration::from_secs(1) })
    }

    async fn open_or_store_fault(&self, grant: &GrantId, seat: &Arc<Seat>, version: u64) -> Result<Option<Arc<OpenedGrant>>, NoToken> {
        self.open(grant, seat, version).await.map_err(|error| {
            tracing::error!(grant = %grant, error = &error as &dyn std::error::Error, "a grant could not be opened");
            NoToken::Store
        })
    }

    /// Notes that the grant is used, at most once an hour, and waits for nothing.
    fn note_use(self: &Arc<Self>, facts: &GrantFacts, seat: &Seat) {
        let now = self.clock.timestamp();
        if now.since(facts.used_at) < NOTED_EVERY {
            return;
        }
        let moment = self.clock.instant();
        let mut seated = seat.lock();
        if seated.noting.is_some_and(|before| moment.since(before) < NOTING) {
            return;
        }
        seated.noting = Some(moment);
        let (shared, grant) = (Arc::clone(self), facts.id.clone());
        self.tasks.spawn("note use", async move {
            if let Err(error) = shared.directory.apply(vec![Change::TouchGrant { grant: grant.clone(), used_at: now }]).await {
                tracing::warn!(grant = %grant, error = &error as &dyn std::error::Error, "the use of a grant could not be noted");
            }
        });
    }

    /// Forgets the life of a grant that is gone. Whoever waits for its flight is told at once; the map gives memory back when it likes.
    pub(super) fn forget(&self, grant: &GrantId) {
        if let Some(seat) = self.lives.0.pin().remove(grant) {
            seat.lock().waiting.clear();
            self.opened.forget(seat);
        }
        self.schedule.forget(grant);
    }

    /// Forgets the token set of a grant, of whatever version.
    pub(super) fn forget_opened(&self, grant: &GrantId) {
        if let Some(seat) = self.lives.seat(grant) {
            self.opened.forget(&seat);
        }
    }
}
