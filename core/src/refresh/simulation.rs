//! A deterministic world around [`Life`]: callers, nodes that crash, a store and a provider that fail, an operator and a
//! customer who interfere. Each seed is one history; what must never happen is checked as it runs.

use super::*;
use crate::connector::oauth::RefreshMode;
use crate::time::{Instant, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: u64 = 60_000;
/// Until then things go wrong; afterwards they must heal.
const TROUBLE: u64 = 20 * MINUTE;
const END: u64 = TROUBLE + 15 * MINUTE;
const LIFETIME: u64 = 120_000;
const WALL: i64 = 1_800_000_000_000;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How a provider treats a refresh token that it has replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reuse {
    /// Tokens are not replaced.
    Static,
    /// It ends the grant.
    Fatal,
    /// It is taken for so long.
    Leeway(u64),
}

/// What was issued by one consent.
#[derive(Debug, Default)]
struct Family {
    dead: bool,
    current: u64,
    replaced: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Provider {
    reuse: Reuse,
    families: Vec<Family>,
    family_of: BTreeMap<u64, usize>,
    access: BTreeMap<u64, u64>,
    serial: u64,
}

impl Provider {
    fn consent(&mut self, now: u64) -> (u64, u64) {
        self.families.push(Family::default());
        self.issue(self.families.len() - 1, now)
    }

    fn issue(&mut self, family: usize, now: u64) -> (u64, u64) {
        self.serial += 2;
        let (access, fresh) = (self.serial, self.serial + 1);
        let chain = &mut self.families[family];
        if chain.current == 0 || self.reuse != Reuse::Static {
            if chain.current != 0 {
                chain.replaced.insert(chain.current, now);
            }
            chain.current = fresh;
            self.family_of.insert(fresh, family);
        }
        self.access.insert(access, now + LIFETIME);
        (access, chain.current)
    }

    fn honours(&self, refresh: u64, now: u64) -> bool {
        let chain = &self.families[self.family_of[&refresh]];
        let in_leeway = |replaced: &u64| matches!(self.reuse, Reuse::Leeway(window) if now < replaced + window);
        !chain.dead && (chain.current == refresh || chain.replaced.get(&refresh).is_some_and(in_leeway))
    }

    fn refresh(&mut self, refresh: u64, now: u64) -> Option<(u64, u64)> {
        let family = self.family_of[&refresh];
        if self.honours(refresh, now) {
            return Some(self.issue(family, now));
        }
        self.families[family].dead |= self.reuse == Reuse::Fatal;
        None
    }
}

#[derive(Clone, Copy, Debug)]
struct Record {
    version: u64,
    standing: Standing,
    access: u64,
    refresh: u64,
    issued: u64,
    intent: Option<u64>,
}

impl Record {
    fn known(&self) -> Known {
        Known {
            version: self.version,
            standing: self.standing,
            refreshable: true,
            issued_at: wall(self.issued),
            expires_at: Some(wall(self.issued + LIFETIME)),
            intent: self.intent.map(wall),
        }
    }
}

fn wall(millis: u64) -> Timestamp {
    Timestamp::from_millis(WALL + i64::try_from(millis).unwrap())
}

/// One process.
struct Node {
    life: Life,
    /// Counts its lives: what an earlier one had begun comes to nothing.
    birth: u64,
    waiters: u64,
    /// Tokens that it holds and that are not durable.
    hand: Option<(u64, u64)>,
    lease: Option<u64>,
    /// The refresh token of the record that was read last, and when it was sent.
    spending: Option<(u64, u64)>,
}

#[derive(Debug)]
enum Happening {
    Ask(usize),
    Deed(usize, u64, Deed),
    Result(usize, u64, Step),
    /// A refresh token arrives at the provider; its answer takes some time or gets lost.
    Arrives(usize, u64, u64),
    Answer(usize, u64, Spent, Option<(u64, u64)>),
    Wake(usize, u64, Instant),
    News(usize, u64),
    Crash(usize),
    Reconnect,
}

struct World {
    now: u64,
    count: u64,
    dice: Dice,
    agenda: BTreeMap<(u64, u64), Happening>,
    provider: Provider,
    record: Record,
    habits: Habits,
    nodes: Vec<Node>,
    /// The lease: fencing number, end.
    lease: (u64, u64),
    wakes: Vec<Option<Instant>>,
    /// Refresh tokens whose answer arrived at a node that is still the same.
    answered: BTreeSet<u64>,
    /// Refresh tokens that are under way.
    under_way: BTreeMap<u64, (usize, u64)>,
    served: u64,
    served_late: u64,
    refused_late: Vec<Why>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let reuse = [Reuse::Static, Reuse::Fatal, Reuse::Leeway(10 * MINUTE)][dice.below(3) as usize];
        let replay = match reuse {
            Reuse::Static => Replay::Always,
            Reuse::Fatal => Replay::Never,
            Reuse::Leeway(window) => Replay::For(Duration::from_millis(window)),
        };
        let mode = if dice.percent(70) { RefreshMode::Ahead } else { RefreshMode::OnUse };
        let mut provider = Provider { reuse, families: Vec::new(), family_of: BTreeMap::new(), access: BTreeMap::new(), serial: 0 };
        let (access, refresh) = provider.consent(0);
        let record = Record { version: 1, standing: Standing::Live, access, refresh, issued: 0, intent: None };
        let habits = Habits { mode, keep_alive: None, replay };
        let mut world = Self {
            now: 0,
            count: 0,
            agenda: BTreeMap::new(),
            provider,
            record,
            habits,
            nodes: Vec::new(),
            lease: (0, 0),
            wakes: Vec::new(),
            answered: BTreeSet::new(),
            under_way: BTreeMap::new(),
            served: 0,
            served_late: 0,
            refused_late: Vec::new(),
            dice,
        };
        for node in 0..1 + world.dice.below(2) as usize {
            let life = Life::new(&world.record.known(), &habits, world.moment());
            world.nodes.push(Node { life, birth: 0, waiters: 0, hand: None, lease: None, spending: None });
            world.wakes.push(None);
            world.boot(node);
            let mut at = 0;
            while at < END {
                at += 1 + world.dice.below(30_000);
                world.plan(at, Happening::Ask(node));
            }
            let crashes = world.dice.below(6);
            for _ in 0..crashes {
                let at = world.dice.below(TROUBLE);
                world.plan(at, Happening::Crash(node));
            }
        }
        for _ in 0..world.dice.below(3) {
            let at = world.dice.below(TROUBLE);
            world.plan(at, Happening::Reconnect);
        }
        world
    }

    fn moment(&mut self) -> Moment {
        Moment { mono: Instant::from_millis(self.now), wall: wall(self.now), chance: self.dice.unit() }
    }

    fn plan(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.agenda.insert((at.max(self.now), self.count), happening);
    }

    fn soon(&mut self, most: u64, happening: Happening) {
        let at = self.now + self.dice.below(most);
        self.plan(at, happening);
    }

    fn troubled(&mut self, percent: u64) -> bool {
        self.now < TROUBLE && self.dice.percent(percent)
    }

    fn run(&mut self) {
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            if at > END {
                break;
            }
            self.now = at;
            self.happens(happening);
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Ask(node) => self.ask(node),
            Happening::Deed(node, birth, deed) if self.nodes[node].birth == birth => self.deed(node, birth, deed),
            Happening::Result(node, birth, step) if self.nodes[node].birth == birth => drop(self.step(node, Event::Done(step))),
            Happening::Arrives(node, birth, refresh) => self.arrives(node, birth, refresh),
            Happening::Answer(node, birth, spent, tokens) if self.nodes[node].birth == birth => self.answer(node, spent, tokens),
            Happening::Wake(node, birth, at) if self.nodes[node].birth == birth && self.wakes[node] == Some(at) => {
                let used_at = wall(self.now.saturating_sub(MINUTE));
                self.step(node, Event::Due { used_at });
            }
            Happening::News(node, birth) if self.nodes[node].birth == birth => {
                self.step(node, Event::Learned(self.record.known()));
            }
            Happening::Crash(node) => self.crash(node),
            Happening::Reconnect => self.reconnect(),
            Happening::Deed(..) | Happening::Result(..) | Happening::Answer(..) | Happening::Wake(..) | Happening::News(..) => {}
        }
    }

    fn step(&mut self, node: usize, event: Event) -> Option<Verdict> {
        let (habits, at) = (self.habits, self.moment());
        let effects = self.nodes[node].life.step(event, &habits, at);
        let birth = self.nodes[node].birth;
        let in_flight = matches!(event, Event::Done(_));
        match effects.next {
            Some((deed, after)) => self.plan(self.now + after.as_millis() as u64, Happening::Deed(node, birth, deed)),
            None if in_flight => {
                self.nodes[node].hand = None;
                if self.nodes[node].lease.take() == Some(self.lease.0) {
                    self.lease.1 = 0;
                }
            }
            None => {}
        }
        match effects.wake {
            Wake::At(at) => {
                self.wakes[node] = Some(at);
                self.plan(at.millis(), Happening::Wake(node, birth, at));
            }
            Wake::Never => self.wakes[node] = None,
            Wake::Unchanged => {}
        }
        if let Some(landing) = effects.tell {
            let waiters = std::mem::take(&mut self.nodes[node].waiters);
            for _ in 0..waiters {
                match landing {
                    Landing::Fresh => self.ask(node),
                    Landing::Refused(why) => self.refused(why),
                }
            }
        }
        effects.verdict
    }

    fn ask(&mut self, node: usize) {
        let ask = if self.dice.percent(3) && self.now < TROUBLE { Ask::Operator } else { Ask::Request };
        match self.step(node, Event::Asked(ask)) {
            Some(Verdict::Use { version }) => self.serve(node, version),
            Some(Verdict::Wait) => self.nodes[node].waiters += 1,
            Some(Verdict::Refuse(why)) => self.refused(why),
            Some(Verdict::Pass) | None => panic!("a request is answered"),
        }
    }

    /// The node opens the record of this version, so it must be there; and its token must still work.
    fn serve(&mut self, node: usize, version: u64) {
        if version == self.record.version && self.record.standing == Standing::Live {
            let ends = self.provider.access[&self.record.access];
            assert!(self.now < ends, "a token is used that ended {} ms ago", self.now - ends);
            self.served += 1;
            self.served_late += u64::from(self.now > TROUBLE + 10 * MINUTE);
        } else {
            // A node that news have not reached yet. It finds out when it opens the record.
            assert!(version < self.record.version, "node {node} uses version {version} before it is durable");
        }
    }

    fn refused(&mut self, why: Why) {
        if self.now > TROUBLE + 10 * MINUTE {
            self.refused_late.push(why);
        }
    }

    fn deed(&mut self, node: usize, birth: u64, deed: Deed) {
        if self.troubled(8) && !matches!(deed, Deed::Spend { .. }) {
            // Half of the time the store did it and could not say so.
            if self.dice.percent(50) {
                let _ = self.at_store(node, deed);
            }
            return self.soon(3_000, Happening::Result(node, birth, Step::StoreFailed));
        }
        match deed {
            Deed::Spend { version } => {
                assert_eq!(version, self.record_read(node), "the token of the record that was read last is spent");
                let (refresh, _) = self.nodes[node].spending.unwrap();
                self.nodes[node].spending = Some((refresh, self.now));
                if self.troubled(10) {
                    let spent = Spent::Declined { retry_after: None };
                    return self.soon(15_000, Happening::Answer(node, birth, spent, None));
                }
                self.send(node, birth, refresh);
            }
            Deed::Lease | Deed::Read | Deed::Intend { .. } | Deed::Save { .. } | Deed::End { .. } => {
                let step = self.at_store(node, deed);
                self.soon(50, Happening::Result(node, birth, step));
            }
        }
    }

    fn record_read(&self, node: usize) -> u64 {
        self.nodes[node].life.flight.unwrap().version_for_tests()
    }

    fn send(&mut self, node: usize, birth: u64, refresh: u64) {
        assert!(!self.answered.contains(&refresh), "a refresh token is sent again although its answer arrived");
        if let Some((other, other_birth)) = self.under_way.insert(refresh, (node, birth)) {
            assert_ne!(self.nodes[other].birth, other_birth, "two calls with one refresh token at a time");
        }
        let at = self.now + self.dice.below(2_000);
        self.plan(at, Happening::Arrives(node, birth, refresh));
    }

    fn at_store(&mut self, node: usize, deed: Deed) -> Step {
        let held = self.nodes[node].lease == Some(self.lease.0) && self.now < self.lease.1;
        let write = |world: &mut Self, version: u64, change: &dyn Fn(&mut Record)| {
            if !held || world.record.version != version || world.record.standing != Standing::Live {
                return Step::Wrote(Wrote::Conflict);
            }
            change(&mut world.record);
            world.news();
            Step::Wrote(Wrote::Done)
        };
        let now = self.now;
        match deed {
            Deed::Lease => {
                if self.now < self.lease.1 && self.nodes[node].lease != Some(self.lease.0) {
                    return Step::Leased(Leased::Elsewhere);
                }
                self.lease = (self.lease.0 + 1, self.now + MINUTE);
                self.nodes[node].lease = Some(self.lease.0);
                Step::Leased(Leased::Taken)
            }
            Deed::Read => {
                self.nodes[node].spending = Some((self.record.refresh, self.now));
                Step::Read(Some(self.record.known()))
            }
            Deed::Intend { version } => write(self, version, &|record| record.intent = Some(record.intent.unwrap_or(now))),
            Deed::Save { version } => {
                let ((access, refresh), (_, issued)) = (self.nodes[node].hand.unwrap(), self.nodes[node].spending.unwrap());
                write(self, version, &|record| *record = Record { version: version + 1, access, refresh, issued, intent: None, ..*record })
            }
            Deed::End { version } => {
                let step = write(self, version, &|record| {
                    (record.version, record.standing) = (version + 1, Standing::Ended);
                });
                if matches!(step, Step::Wrote(Wrote::Done)) {
                    assert!(!self.provider.honours(self.record.refresh, self.now), "a grant is given up that the provider honours");
                }
                step
            }
            Deed::Spend { .. } => panic!("no deed of the store"),
        }
    }

    fn news(&mut self) {
        for node in 0..self.nodes.len() {
            let birth = self.nodes[node].birth;
            self.soon(1_000, Happening::News(node, birth));
        }
    }

    fn arrives(&mut self, node: usize, birth: u64, refresh: u64) {
        let (answer, lost) = if self.troubled(15) {
            (Some(Spent::Declined { retry_after: Some(Duration::from_millis(self.dice.below(30_000))) }), false)
        } else {
            (None, self.troubled(10))
        };
        let (spent, tokens) = match answer {
            Some(declined) => (declined, None),
            None => match self.provider.refresh(refresh, self.now) {
                Some(tokens) => (Spent::Tokens { expires_in: Some(Duration::from_millis(LIFETIME)) }, Some(tokens)),
                None => (Spent::NotHonoured, None),
            },
        };
        let (spent, tokens, most) = if lost { (Spent::Lost, None, 15_000) } else { (spent, tokens, 3_000) };
        self.soon(most, Happening::Answer(node, birth, spent, tokens));
    }

    fn answer(&mut self, node: usize, spent: Spent, tokens: Option<(u64, u64)>) {
        let (refresh, _) = self.nodes[node].spending.unwrap();
        self.under_way.remove(&refresh);
        if let Some((_, fresh)) = tokens {
            self.nodes[node].hand = tokens;
            if fresh != refresh {
                self.answered.insert(refresh);
            }
        }
        self.step(node, Event::Done(Step::Spent(spent)));
    }

    /// What was not durable is gone, the answers of the provider with it.
    fn crash(&mut self, node: usize) {
        if self.nodes[node].hand.take().is_some() {
            let (spending, _) = self.nodes[node].spending.unwrap();
            self.answered.remove(&spending);
        }
        let (habits, at) = (self.habits, self.moment());
        let life = Life::new(&self.record.known(), &habits, at);
        let birth = self.nodes[node].birth + 1;
        self.nodes[node] = Node { life, birth, waiters: 0, hand: None, lease: None, spending: None };
        self.boot(node);
    }

    fn boot(&mut self, node: usize) {
        let at = self.moment();
        let wake = first_wake(&self.record.known(), at.wall, &self.habits, at);
        self.wakes[node] = wake;
        if let Some(wake) = wake {
            let birth = self.nodes[node].birth;
            self.plan(wake.millis(), Happening::Wake(node, birth, wake));
        }
    }

    /// The customer connects again, or an operator brings another credential.
    fn reconnect(&mut self) {
        let (access, refresh) = self.provider.consent(self.now);
        let version = self.record.version + 1;
        self.record = Record { version, standing: Standing::Live, access, refresh, issued: self.now, intent: None };
        self.news();
    }
}

#[test]
fn no_history_sends_a_spent_token_again_or_gives_up_a_grant_that_is_honoured() {
    let (mut served, mut ended) = (0, 0);
    for seed in 0..1_500 {
        let mut world = World::new(seed);
        world.run();
        served += world.served;
        match world.record.standing {
            Standing::Live => {
                assert_eq!(world.refused_late, [], "seed {seed}: all is well again, and somebody is refused");
                assert!(world.served_late > 0, "seed {seed}: nobody is served although all is well again");
            }
            Standing::Ended => {
                ended += 1;
                assert_eq!(world.provider.reuse, Reuse::Fatal, "seed {seed}: a provider that takes the token again honours the grant");
            }
            Standing::Gone => panic!("seed {seed}: nobody deletes it"),
        }
    }
    assert!(served > 50_000 && ended > 10, "the histories are worth something: {served} {ended}");
}
