//! Those who want a token, and the API that they call with it.

use super::provider::Taken;
use super::world::{BOUND, Happening, MINUTE, SECOND, TROUBLE, WELL, World};
use crate::refresh::{Ask, Event, Landing, Standing, Verdict, Why};

/// How often one waits for a flight and finds the token over again, before it gives up.
const ROUNDS: u8 = 4;
/// After so many refreshes in a row that a 401 forced and that healed nothing, none is forced for a minute.
const STUBBORN: u8 = 3;

/// Somebody who wants a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) since: u64,
    rounds: u8,
    call: Call,
}

/// What the API answers to a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    version: u64,
    taken: bool,
    waiter: Waiter,
}

/// How often the API was called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    First,
    /// After a 401.
    Replay,
    /// None: an operator wants a new token.
    None,
}

impl World<'_> {
    pub(super) fn somebody_asks(&mut self, node: usize) {
        let operator = self.now < TROUBLE && self.dice.percent(3);
        let call = if operator { Call::None } else { Call::First };
        self.ask(node, Waiter { since: self.now, rounds: 0, call });
    }

    fn ask(&mut self, node: usize, waiter: Waiter) {
        let ask = if waiter.call == Call::None && waiter.rounds == 0 { Ask::Operator } else { Ask::Request };
        match self.step(node, Event::Asked(ask)) {
            Some(Verdict::Use { version }) => self.call_api(node, version, waiter),
            Some(Verdict::Wait) => self.wait(node, waiter),
            Some(Verdict::Refuse(why)) => self.refused(why),
            Some(Verdict::Pass) | None => self.wrong(|| "a request is not answered".into()),
        }
    }

    fn wait(&mut self, node: usize, waiter: Waiter) {
        self.waited_late += u64::from(self.now > WELL);
        self.nodes[node].waiting.push(waiter);
    }

    /// A flight has landed.
    pub(super) fn answer_waiting(&mut self, node: usize, landing: Landing) {
        for waiter in std::mem::take(&mut self.nodes[node].waiting) {
            let waited = self.now - waiter.since;
            self.tally.waited_long += u64::from(waited > 15 * SECOND);
            if waited > BOUND {
                self.wrong(|| format!("somebody waited for {} s", waited / SECOND));
            }
            match landing {
                Landing::Refused(why) => self.refused(why),
                Landing::Fresh if waiter.rounds + 1 < ROUNDS => self.ask(node, Waiter { rounds: waiter.rounds + 1, ..waiter }),
                Landing::Fresh => self.refused(Why::Unavailable { retry_after: std::time::Duration::from_secs(1) }),
            }
        }
    }

    fn refused(&mut self, why: Why) {
        if self.now > WELL {
            self.refused_late.push(why);
        }
    }

    /// The node opens the record of this version, so it must be there; and its token must still live.
    fn call_api(&mut self, node: usize, version: u64, waiter: Waiter) {
        if version > self.record.version {
            return self.wrong(|| format!("node {node} uses version {version} before it is durable"));
        }
        if waiter.call == Call::None || version < self.record.version || self.record.standing != Standing::Live {
            // A node that news have not reached finds out when it opens the record.
            return;
        }
        let (access, birth) = (self.record.tokens.access, self.nodes[node].birth);
        if let (Taken::Over(ended), Some(_)) = (self.provider.takes(access, self.now), self.record.expires) {
            let (ago, slack) = (self.now - ended, self.nodes[node].slack);
            if ago >= slack {
                self.wrong(|| format!("a token is used that ended {ago} ms ago, and the clock explains {slack} ms"));
            }
        }
        let taken = self.provider.takes(access, self.now) == Taken::Yes && self.now >= self.api_refuses_until;
        self.soon(2 * SECOND, Happening::ApiAnswers(node, birth, Answer { version, taken, waiter }));
    }

    pub(super) fn api_answers(&mut self, node: usize, answer: Answer) {
        let Answer { version, taken, waiter } = answer;
        if taken {
            self.step(node, Event::Honoured);
            let this = &mut self.nodes[node];
            (this.on_trial, this.unhealed, this.force_nothing_until) = (None, 0, 0);
            self.tally.served += 1;
            self.tally.healed += u64::from(waiter.call == Call::Replay);
            self.served_late += u64::from(self.now > WELL);
        } else {
            self.unauthorized(node, version, waiter);
        }
    }

    fn unauthorized(&mut self, node: usize, version: u64, waiter: Waiter) {
        let this = &mut self.nodes[node];
        if version == this.life.version() && this.on_trial.take_if(|tried| *tried == version).is_some() {
            this.unhealed += 1;
            if this.unhealed >= STUBBORN {
                this.force_nothing_until = self.now + MINUTE;
            }
        }
        self.refused_versions.insert(version);
        if waiter.call == Call::Replay {
            self.step(node, Event::Unhealed { version });
            return;
        }
        let replayable = self.dice.percent(70);
        let verdict = self.step(node, Event::Asked(Ask::Unauthorized { version }));
        let waiter = Waiter { call: Call::Replay, ..waiter };
        match verdict {
            Some(Verdict::Use { version }) if replayable => self.call_api(node, version, waiter),
            Some(Verdict::Wait) if replayable => self.wait(node, waiter),
            Some(Verdict::Refuse(why)) if replayable => self.refused(why),
            Some(Verdict::Use { .. } | Verdict::Wait | Verdict::Refuse(_) | Verdict::Pass) => {}
            None => self.wrong(|| "a 401 is not answered".into()),
        }
    }
}
