//! How a node is driven: its deeds at store and provider, its crashes, and what others do to its record.

use super::broken::Rules;
use super::provider::{Issued, Reuse, Taken};
use super::world::{Flown, Happening, Lease, MINUTE, Node, Record, SECOND, Says, Site, TROUBLE, World};
use crate::refresh::flight::Cause;
use crate::refresh::{Deed, Event, Habits, Leased, Life, Replay, Spent, Standing, Step, Verdict, Wake, Wrote, first_wake};
use crate::time::Instant;
use std::time::Duration;

/// How long a lease is taken for, and when it is renewed.
const LEASE: i64 = 60_000;
const SHORT: i64 = 30_000;

impl World<'_> {
    pub(super) fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Ask(node) => self.somebody_asks(node),
            Happening::Deed(flown, deed) if self.flies(flown) => self.deed(flown, deed),
            Happening::Result(flown, step) if self.flies(flown) => drop(self.step(flown.node, Event::Done(step))),
            Happening::Arrives(flown, refresh) => self.arrives(flown, refresh),
            Happening::Answer(flown, spent, tokens) if self.flies(flown) => self.answer(flown.node, spent, tokens),
            Happening::Wake(node, birth, at) if self.nodes[node].birth == birth && self.nodes[node].wake == Some(at) => {
                let used_at = self.moment(node).wall.minus(Duration::from_secs(60));
                self.step(node, Event::Due { used_at });
            }
            Happening::News(node, birth, record) if self.nodes[node].birth == birth => {
                self.step(node, Event::Learned(record.known()));
            }
            Happening::ApiAnswers(node, birth, answer) if self.nodes[node].birth == birth => self.api_answers(node, answer),
            Happening::Deed(..)
            | Happening::Result(..)
            | Happening::Answer(..)
            | Happening::Wake(..)
            | Happening::News(..)
            | Happening::ApiAnswers(..) => {}
            Happening::Crash(node) => self.crash(node),
            Happening::Abort(node) => self.abort(node),
            Happening::Jump(node) => self.jump(node),
            Happening::Reconnect => self.reconnect(),
            Happening::Withdraw => {
                self.excused = true;
                self.provider.withdraw(self.record.tokens.refresh);
            }
            Happening::Revoke => self.revoke(),
            Happening::ApiRefuses(time) => self.api_refuses_until = self.now + time,
            Happening::StoreFails(time) => self.store_fails_until = self.now + time,
        }
    }

    fn flown(&self, node: usize) -> Flown {
        Flown { node, birth: self.nodes[node].birth, number: self.nodes[node].flights }
    }

    fn flies(&self, flown: Flown) -> bool {
        self.flown(flown.node) == flown
    }

    /// The rules take an event, and the driver does what they say.
    pub(super) fn step(&mut self, node: usize, event: Event) -> Option<Verdict> {
        let habits = self.habits();
        let event = self.bent(event);
        let at = self.moment(node);
        let (version, cause) = (self.nodes[node].life.version(), self.nodes[node].life.flight.as_ref().map(|flight| flight.cause));
        let flew = cause.is_some();
        if self.rules == Rules::TrustTheWall && matches!(event, Event::Asked(_)) && version == self.record.version {
            self.nodes[node].life.over_at = self.record.known().expires_at.map(|end| at.mono.plus(end.since(at.wall)));
        }
        let mut effects = self.nodes[node].life.step(event, &habits, at);
        if self.nodes[node].life.version() != version {
            self.adopted(node, event, cause);
        }
        self.tell(|| format!("     node {node}: {event:?} -> {effects:?}"));
        if !flew && self.nodes[node].life.flight.is_some() {
            self.takes_off(node);
        }
        if self.rules == Rules::ForgetIntents && matches!(effects.next, Some((Deed::Intend { .. }, _))) {
            return self.step(node, Event::Done(Step::Wrote(Wrote::Done)));
        }
        if self.rules == Rules::NeverRest {
            self.nodes[node].life.backoff = Default::default();
        }
        let flown = self.flown(node);
        match effects.next {
            Some((deed, after)) => self.plan(self.now + after.as_millis() as u64, Happening::Deed(flown, deed)),
            None if flew && self.nodes[node].life.flight.is_none() => self.land(node),
            None => {}
        }
        if self.rules == Rules::SleepIn && matches!(effects.wake, Wake::At(_)) {
            effects.wake = Wake::Never;
        }
        self.set_wake(node, effects.wake);
        let early = self.rules == Rules::PublishEarly && matches!(event, Event::Done(Step::Spent(Spent::Tokens { .. })));
        if early {
            self.step(node, Event::Done(Step::Wrote(Wrote::Done)));
        }
        if let Some(landing) = effects.tell.filter(|_| self.rules != Rules::LeaveWaiting) {
            self.answer_waiting(node, landing);
        }
        effects.verdict
    }

    /// What the rules are told, where they have a hole.
    fn bent(&self, event: Event) -> Event {
        match (self.rules, event) {
            (Rules::EndAtOnce, Event::Done(Step::Spent(Spent::Declined { .. }))) => Event::Done(Step::Spent(Spent::NotHonoured)),
            (Rules::SpendTwice, Event::Done(Step::Spent(Spent::Tokens { .. }))) => Event::Done(Step::Spent(Spent::Declined { retry_after: None })),
            _ => event,
        }
    }

    fn habits(&self) -> Habits {
        let replay = if self.rules == Rules::RushAfterLoss { Replay::Always } else { self.scene.habits.replay };
        Habits { replay, ..self.scene.habits }
    }

    /// The life of a node took another version over: its own, or one that a record showed.
    fn adopted(&mut self, node: usize, event: Event, cause: Option<Cause>) {
        let saved = matches!(event, Event::Done(Step::Wrote(Wrote::Done)));
        let slack = if saved { 0 } else { (self.record.shift - self.nodes[node].shift).max(0) };
        let this = &mut self.nodes[node];
        (this.slack, this.failures, this.rest_until) = (slack.unsigned_abs(), 0, 0);
        if saved && cause == Some(Cause::Unauthorized) {
            this.on_trial = Some(this.life.version());
        }
        self.tally.refreshed += u64::from(saved);
    }

    fn set_wake(&mut self, node: usize, wake: Wake) {
        let birth = self.nodes[node].birth;
        match wake {
            Wake::At(at) => {
                self.nodes[node].wake = Some(at);
                self.plan(at.millis(), Happening::Wake(node, birth, at));
            }
            Wake::Never => self.nodes[node].wake = None,
            Wake::Unchanged => {}
        }
    }

    fn land(&mut self, node: usize) {
        if self.rules != Rules::PublishEarly {
            self.nodes[node].hand = None;
        }
        self.release(node);
    }

    fn release(&mut self, node: usize) {
        let fence = self.nodes[node].fence.take();
        self.lease = self.lease.filter(|lease| Some(lease.fence) != fence);
    }

    fn deed(&mut self, flown: Flown, deed: Deed) {
        if let Deed::Spend { version } = deed {
            return self.spend(flown, version);
        }
        if self.now < self.store_fails_until || self.troubled(8) {
            self.tally.kept_through_store_faults += u64::from(self.nodes[flown.node].hand.is_some());
            // Half of the time the store did it and could not say so.
            if self.now >= self.store_fails_until && self.dice.percent(50) {
                let _ = self.at_store(flown.node, deed);
            }
            return self.soon(3 * SECOND, Happening::Result(flown, Step::StoreFailed));
        }
        if deed == Deed::Lease && self.troubled(3) {
            return self.soon(10 * SECOND, Happening::Result(flown, Step::Leased(Leased::Crowded)));
        }
        let step = self.at_store(flown.node, deed);
        self.soon(50, Happening::Result(flown, step));
    }

    fn spend(&mut self, flown: Flown, version: u64) {
        let node = flown.node;
        let Some(read) = self.nodes[node].read.filter(|read| read.version == version) else {
            return self.wrong(|| format!("version {version} is to be spent, and another was read last"));
        };
        self.nodes[node].sent = Some((self.now as i64 + self.nodes[node].shift, self.nodes[node].shift));
        if self.troubled(10) {
            // No connection: nothing was sent.
            return self.soon(15 * SECOND, Happening::Answer(flown, Spent::Declined { retry_after: None }, None));
        }
        self.judge_call(flown, &read);
        self.under_way.insert(read.tokens.refresh, flown);
        self.soon(2 * SECOND, Happening::Arrives(flown, read.tokens.refresh));
    }

    /// What was promised of each call.
    fn judge_call(&mut self, flown: Flown, read: &Record) {
        let (node, refresh) = (&self.nodes[flown.node], read.tokens.refresh);
        let node_flight = node.life.flight.as_deref().copied();
        let cause = node_flight.map(|flight| flight.cause);
        let forced_too_soon = self.nodes.len() == 1 && cause == Some(Cause::Unauthorized) && self.now < node.force_nothing_until;
        let known_to_work = self.provider.takes(read.tokens.access, self.now) == Taken::Yes && node.shift == read.shift;
        let alive = node.life.over_at.is_some() && !node.life.is_over(Instant::from_millis(self.now));
        let rested = cause == Some(Cause::Operator) || self.now >= node.rest_until;
        let careful = matches!(self.scene.habits.replay, Replay::Never);
        let intended = self.record.version != read.version || self.record.intent.is_some();
        let with = self.under_way.get(&refresh).copied().filter(|other| self.flies(*other));
        if self.answered.contains(&refresh) {
            self.wrong(|| "a refresh token is sent again although its answer arrived".into());
        }
        if let Some(with) = with {
            self.wrong(|| format!("two calls with one refresh token at a time: {with:?} and {flown:?}"));
        }
        if !intended {
            self.wrong(|| "a refresh token is sent and no durable intent says so".into());
        }
        if self.lost.contains(&refresh) && careful && cause == Some(Cause::Ahead) && alive {
            self.wrong(|| "a refresh token that may have been spent is sent again though the access token lives and nobody asked".into());
        }
        if forced_too_soon {
            self.wrong(|| "a 401 forces a refresh although the last three healed nothing".into());
        }
        if node_flight.is_some_and(|flight| flight.cause == Cause::Ahead && flight.origin != read.version) {
            self.wrong(|| "what somebody else has just refreshed is refreshed again, and nobody asked".into());
        }
        if cause == Some(Cause::Unauthorized) && known_to_work && !self.refused_versions.contains(&read.version) {
            self.wrong(|| "a 401 of an older token forces a refresh of one that works".into());
        }
        if !rested {
            self.wrong(|| "a provider that gave nothing is called again too soon".into());
        }
    }

    fn at_store(&mut self, node: usize, deed: Deed) -> Step {
        match deed {
            Deed::Lease => self.acquire(node),
            Deed::Read => {
                let record = if self.rules == Rules::ReadNothing { self.nodes[node].read.unwrap_or(self.record) } else { self.record };
                self.nodes[node].read = Some(record);
                Step::Read(Some(record.known()))
            }
            Deed::Intend { version } => {
                let at = self.now as i64 + self.nodes[node].shift;
                self.write(node, version, |record| record.intent = Some(record.intent.unwrap_or(at)))
            }
            Deed::Recant { version } => self.write(node, version, |record| record.intent = None),
            Deed::Save { version } => {
                let (Some((tokens, expires_in)), Some((issued, shift))) = (self.nodes[node].hand, self.nodes[node].sent) else {
                    self.wrong(|| "tokens are to be saved, and there are none".into());
                    return Step::StoreFailed;
                };
                let expires = expires_in.map(|lifetime| issued + lifetime as i64);
                let fresh = Record { version: version + 1, tokens, issued, expires, intent: None, shift, ..self.record };
                self.write(node, version, |record| *record = fresh)
            }
            Deed::End { version } => {
                let step = self.write(node, version, |record| (record.version, record.standing) = (version + 1, Standing::Ended));
                let honoured = self.record.refreshable && self.provider.honours(self.record.tokens.refresh, self.now);
                if matches!(step, Step::Wrote(Wrote::Done)) && honoured {
                    self.wrong(|| "a grant is given up that the provider honours".into());
                }
                step
            }
            Deed::Spend { .. } => Step::StoreFailed,
        }
    }

    /// The time that leases go by.
    fn lease_clock(&self) -> i64 {
        let shift = match self.scene.site {
            Site::OneFile => self.nodes.first().map_or(0, |node| node.shift),
            Site::Fleet => 0,
        };
        self.now as i64 + shift
    }

    fn acquire(&mut self, node: usize) -> Step {
        let now = self.lease_clock();
        self.release(node);
        if self.lease.is_some_and(|lease| now < lease.until) && self.rules != Rules::TakeNoLease {
            return Step::Leased(Leased::Elsewhere);
        }
        self.fences += 1;
        self.lease = Some(Lease { node, fence: self.fences, until: now + LEASE });
        self.nodes[node].fence = Some(self.fences);
        Step::Leased(Leased::Taken)
    }

    /// Whether the lease is held; one that ends soon is renewed.
    fn holds(&mut self, node: usize) -> bool {
        let (now, fence) = (self.lease_clock(), self.nodes[node].fence);
        match &mut self.lease {
            Some(lease) if Some(lease.fence) == fence && now < lease.until => {
                if lease.until - now < SHORT {
                    lease.until = now + LEASE;
                }
                true
            }
            Some(_) | None => false,
        }
    }

    fn write(&mut self, node: usize, version: u64, change: impl FnOnce(&mut Record)) -> Step {
        let held = self.holds(node) || self.rules == Rules::TakeNoLease;
        if !held || self.record.version != version || self.record.standing != Standing::Live {
            return Step::Wrote(Wrote::Conflict);
        }
        change(&mut self.record);
        self.spread_news();
        Step::Wrote(Wrote::Done)
    }

    fn spread_news(&mut self) {
        for node in 0..self.nodes.len() {
            let birth = self.nodes[node].birth;
            self.soon(SECOND, Happening::News(node, birth, self.record));
        }
    }

    /// The provider carries the call out, or declines it, or the answer gets lost on either side of that.
    fn arrives(&mut self, flown: Flown, refresh: u64) {
        let retry_after = self.dice.percent(30).then(|| Duration::from_millis(self.dice.below(30 * SECOND)));
        if self.troubled(5) {
            return self.soon(15 * SECOND, Happening::Answer(flown, Spent::Lost { retry_after }, None));
        }
        if self.troubled(15) {
            return self.soon(3 * SECOND, Happening::Answer(flown, Spent::Declined { retry_after }, None));
        }
        let tokens = self.provider.refresh(refresh, self.now);
        let lost = self.troubled(10);
        if tokens.is_some() && self.provider.reuse != Reuse::Static && (lost || !self.flies(flown)) {
            self.excused = true;
            self.tally.lost_rotations += 1;
        }
        match tokens {
            _ if lost => self.soon(15 * SECOND, Happening::Answer(flown, Spent::Lost { retry_after }, None)),
            Some(tokens) => {
                let says = self.scene.says == Says::Always || self.scene.says == Says::Sometimes && self.dice.percent(50);
                let expires_in = says.then_some(Duration::from_millis(self.scene.lifetime));
                self.soon(3 * SECOND, Happening::Answer(flown, Spent::Tokens { expires_in }, Some(tokens)));
            }
            None => self.soon(3 * SECOND, Happening::Answer(flown, Spent::NotHonoured, None)),
        }
    }

    fn answer(&mut self, node: usize, spent: Spent, tokens: Option<Issued>) {
        let refresh = self.nodes[node].read.map_or(0, |read| read.tokens.refresh);
        self.under_way.remove(&refresh);
        match (spent, tokens) {
            (Spent::Tokens { expires_in }, Some(tokens)) => {
                self.lost.remove(&refresh);
                self.nodes[node].hand = Some((tokens, expires_in.map(|lifetime| lifetime.as_millis() as u64)));
                if tokens.refresh != refresh {
                    self.answered.insert(refresh);
                }
            }
            (Spent::Declined { retry_after }, _) => self.rest(node, retry_after),
            (Spent::Lost { retry_after }, _) => {
                self.lost.insert(refresh);
                self.rest(node, retry_after);
            }
            (Spent::Tokens { .. } | Spent::NotHonoured, _) => {}
        }
        self.step(node, Event::Done(Step::Spent(spent)));
    }

    /// 1 s, 2 s, 4 s ... 5 min, a fifth less at most, or what the provider asks for.
    fn rest(&mut self, node: usize, asked: Option<Duration>) {
        let this = &mut self.nodes[node];
        let pause = (SECOND << this.failures.min(20)).min(5 * MINUTE) * 4 / 5;
        this.failures += 1;
        this.rest_until = self.now + pause.max(asked.map_or(0, |asked| asked.as_millis() as u64));
    }

    /// What was not durable is gone, the answers of the provider with it.
    fn crash(&mut self, node: usize) {
        self.give_up(node);
        if self.scene.site == Site::OneFile {
            self.lease = self.lease.filter(|lease| lease.node != node);
        }
        let (shift, birth) = (self.nodes[node].shift, self.nodes[node].birth + 1);
        self.be_born(node, shift, birth);
    }

    /// The task of a flight is gone: tokens in its hand are lost, whoever waits is told, its lease is given back.
    fn abort(&mut self, node: usize) {
        if self.nodes[node].life.flight.is_some() {
            if self.give_up(node) {
                self.rest(node, None);
            }
            self.nodes[node].flights += 1;
            self.release(node);
            self.step(node, Event::Aborted);
        }
    }

    /// An answer that a flight waited for or had not saved will never be known; whether there is one.
    fn give_up(&mut self, node: usize) -> bool {
        let flown = self.flown(node);
        let Some(refresh) = self.nodes[node].read.map(|read| read.tokens.refresh) else { return false };
        let unsaved = self.nodes[node].hand.take().is_some_and(|(tokens, _)| tokens.access != self.record.tokens.access);
        let called = unsaved || self.under_way.get(&refresh).is_some_and(|other| *other == flown);
        if called {
            self.under_way.remove(&refresh);
            self.answered.remove(&refresh);
            self.lost.insert(refresh);
            self.tally.crashed_in_call += 1;
        }
        if called && self.provider.has_replaced(refresh) {
            self.excused = true;
            self.tally.lost_rotations += 1;
        }
        called
    }

    pub(super) fn be_born(&mut self, node: usize, shift: i64, birth: u64) {
        let habits = self.habits();
        let mut at = self.moment(node);
        if node == self.nodes.len() {
            at.wall = super::world::wall(self.now as i64 + shift);
        }
        let life = Life::new(&self.record.known(), &habits, at);
        let slack = (self.record.shift - shift).max(0).unsigned_abs();
        let born = Node {
            life,
            shift,
            birth,
            flights: 0,
            waiting: Vec::new(),
            hand: None,
            fence: None,
            read: None,
            sent: None,
            wake: None,
            minute: (0, 0),
            slack,
            failures: 0,
            rest_until: 0,
            on_trial: None,
            unhealed: 0,
            force_nothing_until: 0,
        };
        match self.nodes.get_mut(node) {
            Some(old) => *old = born,
            None => self.nodes.push(born),
        }
        let wake = first_wake(&self.record.known(), at.wall, &habits, at);
        let asleep = self.rules == Rules::SleepIn;
        self.set_wake(node, wake.filter(|_| !asleep).map_or(Wake::Never, Wake::At));
    }

    /// The wall clock is set: wrongly for a while, and rightly when the trouble is over.
    fn jump(&mut self, node: usize) {
        self.tally.jumps += 1;
        let most = if self.now >= TROUBLE { SECOND } else { 120 * MINUTE };
        let shift = self.dice.around_zero(most);
        self.nodes[node].shift = shift;
    }

    /// The customer connects again, or an operator brings another credential: some cannot be refreshed.
    fn reconnect(&mut self) {
        let tokens = self.provider.consent(self.now);
        let refreshable = !self.dice.percent(5);
        self.excused |= !refreshable;
        let expires = (self.scene.says != Says::Never).then_some((self.now + self.scene.lifetime) as i64);
        let version = self.record.version + 1;
        self.record = Record { version, standing: Standing::Live, refreshable, tokens, issued: self.now as i64, expires, intent: None, shift: 0 };
        self.spread_news();
    }

    fn revoke(&mut self) {
        self.excused = true;
        (self.record.version, self.record.standing) = (self.record.version + 1, Standing::Ended);
        self.provider.withdraw(self.record.tokens.refresh);
        self.spread_news();
    }
}
