//! The world of one history: what is true at this moment, what is planned, and what was promised.

use super::broken::Rules;
use super::callers::{Answer, Waiter};
use super::dice::Dice;
use super::provider::{Aftermath, Issued, Provider, Reuse};
use crate::connector::oauth::RefreshMode;
use crate::refresh::{Deed, Habits, Known, Life, Moment, Replay, Spent, Standing, Step, Why};
use crate::time::{Instant, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
/// Until then things go wrong; afterwards they must heal.
pub(super) const TROUBLE: u64 = 15 * MINUTE;
/// From then on all is well: longer than any back-off, lease or pause goes on.
pub(super) const WELL: u64 = TROUBLE + 9 * MINUTE;
const END: u64 = WELL + 6 * MINUTE;
/// Nobody waits longer.
pub(super) const BOUND: u64 = 45 * SECOND;
/// So often a node takes off in one minute at most; more is a loop.
const BUSIEST: u32 = 40;
const WALL: i64 = 1_800_000_000_000;

/// Where the nodes run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Site {
    /// On one machine, over one file: one wall clock, which leases go by; a process that is gone holds nothing.
    OneFile,
    /// On several machines: each has a clock of its own, and leases go by the store's.
    Fleet,
}

/// Whether answers say how long a token lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Says {
    Always,
    Sometimes,
    Never,
}

/// What a seed chose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) nodes: usize,
    pub(super) jumps: bool,
    pub(super) lifetime: u64,
    pub(super) says: Says,
    pub(super) habits: Habits,
    /// Whether somebody calls all the time, or hardly ever.
    pub(super) busy: bool,
}

/// A record of the store. Times are those of the wall clock of whoever wrote them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) version: u64,
    pub(super) standing: Standing,
    pub(super) refreshable: bool,
    pub(super) tokens: Issued,
    pub(super) issued: i64,
    pub(super) expires: Option<i64>,
    pub(super) intent: Option<i64>,
    /// How wrong the clock was that dated it.
    pub(super) shift: i64,
}

impl Record {
    pub(super) fn known(&self) -> Known {
        Known {
            version: self.version,
            standing: self.standing,
            refreshable: self.refreshable,
            issued_at: wall(self.issued),
            expires_at: self.expires.map(wall),
            intent: self.intent.map(wall),
        }
    }
}

pub(super) fn wall(millis: i64) -> Timestamp {
    Timestamp::from_millis(WALL + millis)
}

/// One process.
pub(super) struct Node {
    pub(super) life: Life,
    /// How wrong its wall clock is.
    pub(super) shift: i64,
    /// Counts its lives and its flights: what an earlier one had begun comes to nothing.
    pub(super) birth: u64,
    pub(super) flights: u64,
    pub(super) waiting: Vec<Waiter>,
    /// Tokens that it holds and that are not durable.
    pub(super) hand: Option<(Issued, Option<u64>)>,
    pub(super) fence: Option<u64>,
    /// What the flight read last, and what it sent when, by its wall clock.
    pub(super) read: Option<Record>,
    pub(super) sent: Option<(i64, i64)>,
    pub(super) wake: Option<Instant>,
    /// How much too long it may take the token to live: its clock is behind that of whoever dated the record.
    pub(super) slack: u64,
    /// The minute of its last flight, and how many there were in it.
    pub(super) minute: (u64, u32),
    /// Calls in a row that brought nothing, and when the next may be made.
    pub(super) failures: u32,
    pub(super) rest_until: u64,
    /// The version that a 401 forced and that has not had its own yet; how many in a row healed nothing; and until when none is forced.
    pub(super) on_trial: Option<u64>,
    pub(super) unhealed: u8,
    pub(super) force_nothing_until: u64,
}

/// A flight of a node's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Flown {
    pub(super) node: usize,
    pub(super) birth: u64,
    pub(super) number: u64,
}

#[derive(Debug)]
pub(super) enum Happening {
    Ask(usize),
    Deed(Flown, Deed),
    Result(Flown, Step),
    /// A refresh token arrives at the provider; its answer takes some time or gets lost.
    Arrives(Flown, u64),
    Answer(Flown, Spent, Option<Issued>),
    Wake(usize, u64, Instant),
    News(usize, u64, Record),
    Crash(usize),
    /// The flight of a node breaks off.
    Abort(usize),
    Jump(usize),
    Reconnect,
    Withdraw,
    Revoke,
    /// For so long the API takes no token.
    ApiRefuses(u64),
    ApiAnswers(usize, u64, Answer),
    /// For so long the store does nothing.
    StoreFails(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) node: usize,
    pub(super) fence: u64,
    pub(super) until: i64,
}

/// What happened in a history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) served: u64,
    pub(super) healed: u64,
    pub(super) refreshed: u64,
    pub(super) waited_long: u64,
    pub(super) crashed_in_call: u64,
    pub(super) lost_rotations: u64,
    pub(super) kept_through_store_faults: u64,
    pub(super) jumps: u64,
    pub(super) ended: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts_mut().into_iter().zip(other.counts()) {
            *sum += count;
        }
    }

    fn counts(&self) -> [u64; 9] {
        let mut copy = *self;
        copy.counts_mut().map(|count| *count)
    }

    fn counts_mut(&mut self) -> [&mut u64; 9] {
        let Self { served, healed, refreshed, waited_long, crashed_in_call, lost_rotations, kept_through_store_faults, jumps, ended } = self;
        [served, healed, refreshed, waited_long, crashed_in_call, lost_rotations, kept_through_store_faults, jumps, ended]
    }

    /// Everything that can happen has happened often.
    pub(super) fn assert_worth_something(&self) {
        assert!(self.counts().into_iter().all(|count| count > 100), "{self:?}");
    }
}

pub(super) struct World<'a> {
    pub(super) rules: Rules,
    pub(super) scene: Scene,
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) provider: Provider,
    pub(super) record: Record,
    pub(super) nodes: Vec<Node>,
    pub(super) fences: u64,
    pub(super) lease: Option<Lease>,
    /// Refresh tokens whose answer arrived at a flight that is still the same.
    pub(super) answered: BTreeSet<u64>,
    /// Those that were sent and whose answer will never come.
    pub(super) lost: BTreeSet<u64>,
    pub(super) under_way: BTreeMap<u64, Flown>,
    pub(super) api_refuses_until: u64,
    pub(super) store_fails_until: u64,
    /// Versions that the API has answered with 401.
    pub(super) refused_versions: BTreeSet<u64>,
    /// Why a grant may end.
    pub(super) excused: bool,
    pub(super) served_late: u64,
    pub(super) waited_late: u64,
    pub(super) refused_late: Vec<Why>,
    pub(super) tally: Tally,
    agenda: BTreeMap<(u64, u64), Happening>,
    count: u64,
    wrong: Option<String>,
    told: Option<&'a mut Vec<String>>,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, rules: Rules) -> Self {
        let mut dice = Dice::new(seed);
        let reuse = dice.one_of([Reuse::Static, Reuse::Fatal, Reuse::Refused, Reuse::Leeway(10 * MINUTE)]);
        let scene = scene(&mut dice, reuse);
        let aftermath = dice.one_of([Aftermath::TokensLiveOn, Aftermath::TokensDie]);
        let mut provider = Provider::new(reuse, aftermath, scene.lifetime);
        let tokens = provider.consent(0);
        let expires = (scene.says == Says::Always).then_some(scene.lifetime as i64);
        let record = Record { version: 1, standing: Standing::Live, refreshable: true, tokens, issued: 0, expires, intent: None, shift: 0 };
        let mut world = Self {
            rules,
            scene,
            dice,
            now: 0,
            provider,
            record,
            nodes: Vec::new(),
            fences: 0,
            lease: None,
            answered: BTreeSet::new(),
            lost: BTreeSet::new(),
            under_way: BTreeMap::new(),
            api_refuses_until: 0,
            store_fails_until: 0,
            refused_versions: BTreeSet::new(),
            excused: false,
            served_late: 0,
            waited_late: 0,
            refused_late: Vec::new(),
            tally: Tally::default(),
            agenda: BTreeMap::new(),
            count: 0,
            wrong: None,
            told: None,
        };
        for node in 0..scene.nodes {
            let shift = if scene.site == Site::Fleet { world.dice.around_zero(30 * SECOND) } else { 0 };
            world.be_born(node, shift, 0);
            world.plan_troubles(node);
        }
        world.plan_interference();
        world
    }

    /// Notes everything that happens.
    pub(super) fn told(mut self, told: &'a mut Vec<String>) -> Self {
        told.push(format!("{:?} {:?}", self.scene, self.provider));
        self.told = Some(told);
        self
    }

    fn plan_troubles(&mut self, node: usize) {
        let (mut at, rarely) = (0, if self.scene.busy { 30 * SECOND } else { 14 * MINUTE });
        while at < END {
            at += 1 + self.dice.below(rarely);
            self.plan(at, Happening::Ask(node));
        }
        for _ in 0..self.dice.below(6) {
            let at = self.dice.below(TROUBLE);
            self.plan(at, Happening::Crash(node));
        }
        if self.dice.percent(15) {
            let at = self.dice.below(TROUBLE);
            self.plan(at, Happening::Abort(node));
        }
        if self.scene.jumps {
            for _ in 0..self.dice.below(4) {
                let at = self.dice.below(TROUBLE);
                self.plan(at, Happening::Jump(node));
            }
            self.plan(TROUBLE, Happening::Jump(node));
        }
    }

    fn plan_interference(&mut self) {
        for _ in 0..self.dice.below(3) {
            let at = self.dice.below(TROUBLE);
            self.plan(at, Happening::Reconnect);
        }
        let (withdraw, revoke) = (self.dice.percent(4), self.dice.percent(2));
        for (wanted, happening) in [(withdraw, Happening::Withdraw), (revoke, Happening::Revoke)] {
            if wanted {
                let at = self.dice.below(TROUBLE);
                self.plan(at, happening);
            }
        }
        // While a store fails for longer than a lease, nobody can tell who holds tokens from who is gone.
        let longest = if self.scene.nodes == 1 { 5 * MINUTE } else { 20 * SECOND };
        for (outage, longest) in [(Happening::ApiRefuses as fn(u64) -> _, 5 * MINUTE), (Happening::StoreFails, longest)] {
            if self.dice.percent(30) {
                let (at, time) = (self.dice.below(TROUBLE), self.dice.below(longest));
                self.plan(at, outage(time.min(TROUBLE - at)));
            }
        }
    }

    pub(super) fn moment(&mut self, node: usize) -> Moment {
        let shift = self.nodes.get(node).map_or(0, |node| node.shift);
        Moment { mono: Instant::from_millis(self.now), wall: wall(self.now as i64 + shift), chance: self.dice.unit() }
    }

    pub(super) fn plan(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.agenda.insert((at.max(self.now), self.count), happening);
    }

    pub(super) fn soon(&mut self, most: u64, happening: Happening) {
        let at = self.now + self.dice.below(most);
        self.plan(at, happening);
    }

    pub(super) fn troubled(&mut self, percent: u64) -> bool {
        self.now < TROUBLE && self.dice.percent(percent)
    }

    pub(super) fn takes_off(&mut self, node: usize) {
        let (minute, this) = (self.now / MINUTE, &mut self.nodes[node]);
        this.flights += 1;
        this.minute = if this.minute.0 == minute { (minute, this.minute.1 + 1) } else { (minute, 1) };
        if this.minute.1 > BUSIEST {
            self.wrong(|| format!("a loop: node {node} has taken off {BUSIEST} times within a minute"));
        }
    }

    /// A promise is broken: the first one is told.
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(what());
        }
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(told) = &mut self.told {
            told.push(format!("{:>4}.{:03} {}", now / SECOND, now % SECOND, what()));
        }
    }

    pub(super) fn run(mut self) -> Result<Tally, String> {
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            if at > END || self.wrong.is_some() {
                break;
            }
            self.now = at;
            self.tell(|| format!("{happening:?}"));
            self.happens(happening);
        }
        self.judge_the_end();
        let at = Clock(self.now);
        self.wrong.map_or(Ok(self.tally), |wrong| Err(format!("{wrong} (at {at})")))
    }

    fn judge_the_end(&mut self) {
        if self.wrong.is_some() {
            return;
        }
        self.now = END;
        if let Some(since) = self.nodes.iter().flat_map(|node| &node.waiting).map(|waiter| waiter.since).min()
            && END - since > BOUND
        {
            self.wrong(|| format!("somebody waits since {}", Clock(since)));
        }
        if self.record.standing == Standing::Ended {
            self.tally.ended += 1;
            if !self.excused {
                self.wrong(|| "a grant has ended that nobody took back and of which no answer got lost".into());
            }
        } else if self.provider.honours(self.record.tokens.refresh, END) && self.record.refreshable {
            self.judge_a_living_grant();
        }
    }

    fn judge_a_living_grant(&mut self) {
        let (refused, served, waited) = (std::mem::take(&mut self.refused_late), self.served_late, self.waited_late);
        if !refused.is_empty() {
            self.wrong(|| format!("all is well again, and somebody is refused: {refused:?}"));
        }
        if served == 0 && self.scene.busy {
            self.wrong(|| "all is well again, and nobody is served".into());
        }
        let Scene { habits, says, lifetime, nodes, .. } = self.scene;
        let foreseeable = habits.mode == RefreshMode::Ahead && says == Says::Always && lifetime == 2 * MINUTE && nodes == 1;
        if waited > 0 && foreseeable {
            self.wrong(|| "all is well again, and somebody has to wait for a refresh that could be foreseen".into());
        }
        let age = END - self.provider.refreshed_at;
        if habits.keep_alive.is_some_and(|most| Duration::from_millis(age) > most) {
            self.wrong(|| format!("a grant that is to be kept alive was not refreshed for {} s", age / SECOND));
        }
    }
}

/// Minutes and seconds of a history.
pub(super) struct Clock(pub(super) u64);

impl fmt::Display for Clock {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}.{:03} s", self.0 / SECOND, self.0 % SECOND)
    }
}

fn scene(dice: &mut Dice, reuse: Reuse) -> Scene {
    let site = dice.one_of([Site::OneFile, Site::Fleet]);
    let nodes = 1 + dice.below(2) as usize;
    let known = match reuse {
        Reuse::Static => Replay::Always,
        Reuse::Fatal | Reuse::Refused => Replay::Never,
        Reuse::Leeway(window) => Replay::For(Duration::from_millis(window)),
    };
    let habits = Habits {
        mode: if dice.percent(70) { RefreshMode::Ahead } else { RefreshMode::OnUse },
        keep_alive: dice.percent(20).then_some(Duration::from_millis(8 * MINUTE)),
        replay: if dice.percent(70) { known } else { Replay::Never },
    };
    Scene {
        site,
        nodes,
        // Two processes on one file go by one clock, and that one must not jump over a lease of the other.
        jumps: (nodes == 1 || site == Site::Fleet) && dice.percent(40),
        lifetime: dice.one_of([30 * SECOND, 2 * MINUTE, 10 * MINUTE]),
        says: dice.one_of([Says::Always, Says::Always, Says::Sometimes, Says::Never]),
        habits,
        busy: dice.percent(75),
    }
}
