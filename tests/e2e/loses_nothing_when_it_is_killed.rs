//! Killed at any point of a refresh, the gateway gives up no grant that the provider honours, sends no refresh token twice but where an
//! answer may have got lost with the process, and answers those who come next at once.

use crate::mortal::{self, Point};
use crate::stage::{Program, Reply, Script, Stage, account_path};
use reqwest::Method;
use scopegate::clock::Clock;
use scopegate::directory::Directory;
use scopegate::practice::{Fault, Label, Whose};
use scopegate::store::{SqliteStore, Store};
use scopegate_core::id::GrantId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// For each point, with a provider that ends a grant whose spent token it sees again, and as often with one that does not mind.
const KILLS: u64 = 25;
/// Grants that are refreshed when the gateway is killed.
const GRANTS: [&str; 3] = ["one", "two", "three"];
/// How long anybody waits for an answer at most.
const BOUND: Duration = Duration::from_secs(20);

/// What makes the gateway refresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The API takes the access token no more.
    Unauthorized,
    /// An operator wants it; the access token lives on.
    Operator,
}

/// What a provider makes of a call that it has when the gateway is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    CarriedOut,
    Dropped,
}

/// What came of the kills at one point.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kills: u64,
    /// Grants whose call may have been under way.
    open: u64,
    /// Refresh tokens that were sent again because of that.
    sent_again: u64,
    /// Grants that the provider ended because of that.
    ended_there: u64,
    /// Grants given up that the provider honours.
    lost: u64,
    /// Refresh tokens that were sent again without that reason.
    sent_twice: u64,
    slowest: Duration,
}

/// One grant: how many of its refresh tokens had arrived at each kill, where its call may have been under way.
#[derive(Debug)]
struct Watched {
    label: Label,
    open_at: Vec<usize>,
    looked_at: usize,
}

struct Kills {
    stage: Stage,
    watched: Vec<Watched>,
    tallies: BTreeMap<Point, Tally>,
    /// splitmix64, for everything that may be this way or that.
    dice: u64,
}

impl Kills {
    async fn begin(leeway: Option<Duration>) -> Self {
        let script = Script { program: Program::Test(mortal::GATEWAY), ..Script::default() };
        let stage = Stage::with(script).await;
        stage.practice.provider().set_lifetime(Whose::Everybody, Duration::from_secs(3600));
        if let Some(leeway) = leeway {
            stage.practice.provider().set_leeway(Whose::Everybody, leeway);
        }
        let mut watched = Vec::new();
        for identifier in GRANTS {
            let label = stage.account("acme", identifier, "researcher").await;
            watched.push(Watched { label, open_at: Vec::new(), looked_at: 0 });
        }
        Self { stage, watched, tallies: BTreeMap::new(), dice: leeway.map_or(1, |_| 2) }
    }

    fn throw(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// Refreshes all grants, and kills the gateway at this point.
    async fn kill(&mut self, point: Point, cause: Cause) {
        let provider = self.stage.practice.provider().clone();
        let fate = if point == Point::AfterCall && self.throw(2) == 0 { Fate::Dropped } else { Fate::CarriedOut };
        let hold = match point {
            Point::AfterCall => Some(provider.hold()),
            Point::AfterAnswer => Some(provider.hold_answers()),
            Point::BeforeIntent | Point::AfterIntent | Point::AfterWrite | Point::BeforePublish => {
                let times = 1 + self.throw(GRANTS.len() as u64);
                self.stage.cue(&mortal::line(point, times)).await;
                None
            }
            Point::Anywhere => {
                let times = 1 + self.throw(30);
                self.stage.cue(&mortal::line(point, times)).await;
                None
            }
        };
        let before: Vec<_> = self.watched.iter().map(|watched| provider.refreshes(&watched.label)).collect();
        for watched in &self.watched {
            if fate == Fate::Dropped {
                provider.fault(Whose::Of(watched.label.clone()), Fault::Reset);
            }
            if cause == Cause::Unauthorized {
                provider.expire(&watched.label);
            }
        }
        let calls = GRANTS.iter().flat_map(|identifier| self.calls(cause, identifier)).collect();
        let calls = crate::refreshes_once_for_many::join_all(calls);
        if hold.is_some() {
            tokio::pin!(calls);
            let under_way = async {
                for (watched, before) in self.watched.iter().zip(&before) {
                    let (arrived, granted) = (before.arrived + 1, before.granted + u64::from(point == Point::AfterAnswer));
                    provider.until(&watched.label, |calls| calls.arrived >= arrived && calls.granted >= granted).await;
                }
            };
            tokio::select! {
                _ = &mut calls => panic!("{point:?}: all are answered though the provider keeps its answers back"),
                () = under_way => {}
            }
            self.stage.kill();
            calls.await;
        } else {
            calls.await;
            // Anywhere may be later than the last deed; then it is killed at rest.
            if point != Point::Anywhere {
                tokio::time::timeout(BOUND, self.stage.gone()).await.unwrap_or_else(|_| panic!("{point:?}: nobody came by: {}", self.stage.log()));
            }
            self.stage.kill();
        }
        drop(hold);
        self.note(point).await;
        self.stage.restart().await;
    }

    /// Those who meet the token: some of them want it refreshed.
    fn calls(&self, cause: Cause, identifier: &str) -> Vec<std::pin::Pin<Box<dyn Future<Output = Option<u16>> + Send>>> {
        let get = || self.stage.request(Method::GET, "/crm/v1/accounts/A-1", identifier);
        let address = format!("http://{}{}/refresh", self.stage.admin, account_path("crm", identifier));
        let post = || self.stage.http.post(&address).bearer_auth(crate::stage::ADMIN_TOKEN);
        let requests = match cause {
            Cause::Unauthorized => vec![get(), get()],
            Cause::Operator => vec![post(), get()],
        };
        let answered = |request: reqwest::RequestBuilder| async move {
            let sent = tokio::time::timeout(BOUND, request.send()).await.unwrap_or_else(|_| panic!("neither answered nor cut off in time"));
            // The gateway may have gone in the middle of it.
            sent.ok().map(|answer| answer.status().as_u16())
        };
        requests.into_iter().map(|request| Box::pin(answered(request)) as _).collect()
    }

    /// Which grants the store shows with a call that may have been under way, once the provider has seen all that was sent to it.
    async fn note(&mut self, point: Point) {
        let provider = self.stage.practice.provider();
        // Connections are taken in their order: whatever the gateway had sent has been heard when this one is answered.
        let closed = self.stage.http.get(format!("{}/authorize", self.stage.practice.provider_origin())).header("connection", "close");
        closed.send().await.unwrap();
        tokio::time::timeout(BOUND, provider.until_idle()).await.unwrap_or_else(|_| panic!("{point:?}: the provider does not come to rest"));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&self.stage.path("data"), Clock::system()).unwrap());
        let open: Vec<GrantId> = store.intents().await.unwrap().into_iter().map(|(grant, _)| grant).collect();
        let directory = Directory::open(store).await.unwrap();
        let tally = self.tallies.entry(point).or_default();
        tally.kills += 1;
        for (watched, identifier) in self.watched.iter_mut().zip(GRANTS) {
            let account = directory.find(&"crm".parse().unwrap(), &identifier.parse().unwrap()).unwrap();
            if account.record.grant.as_ref().is_some_and(|grant| open.contains(grant)) {
                watched.open_at.push(provider.sent(&watched.label).len());
                tally.open += 1;
            }
        }
    }

    /// Asks for every grant as the next callers do, and settles what is open.
    async fn ask_again(&mut self, point: Point, cause: Cause) {
        for (number, identifier) in GRANTS.into_iter().enumerate() {
            let label = self.watched[number].label.clone();
            let path = account_path("crm", identifier);
            let first = self.timed(point, Method::GET, "/crm/v1/accounts/A-1", identifier).await;
            assert!(matches!((first.status, first.text("reason")), (200, "") | (403, "reauthorization_required")), "{point:?} {cause:?}: {first:?}");
            if cause == Cause::Operator {
                assert_eq!(first.status, 200, "{point:?}: the old access token lives: {}", first.body);
            }
            let (settled, _) = self.stage.ask(Method::POST, &format!("{path}/refresh"), Value::Null).await;
            assert!(matches!(settled, 200 | 403), "{point:?} {cause:?}: {settled}");
            let honoured = self.stage.practice.provider().honours(&label);
            let tally = self.tallies.entry(point).or_default();
            tally.lost += u64::from(settled != 200 && honoured);
            tally.ended_there += u64::from(!honoured);
            self.count_what_was_sent(point, number);
            if settled != 200 {
                let credentials = self.stage.practice.provider().seed(&label, "api write").credentials();
                self.stage.must(Method::PUT, &format!("{path}/credentials"), credentials).await;
            }
        }
    }

    async fn timed(&mut self, point: Point, method: Method, target: &str, identifier: &str) -> Reply {
        let began = self.stage.clock.instant();
        let reply = tokio::time::timeout(BOUND, self.stage.call(method, target, identifier)).await;
        let reply = reply.unwrap_or_else(|_| panic!("{point:?}: neither answered nor refused in time"));
        let tally = self.tallies.entry(point).or_default();
        tally.slowest = tally.slowest.max(self.stage.clock.instant().since(began));
        reply
    }

    /// A refresh token may be sent again where a process that was killed in between may have sent it and not have heard.
    fn count_what_was_sent(&mut self, point: Point, number: usize) {
        let watched = &mut self.watched[number];
        let sent = self.stage.practice.provider().sent(&watched.label);
        let tally = self.tallies.entry(point).or_default();
        for (at, token) in sent.iter().enumerate().skip(watched.looked_at) {
            if let Some(before) = sent[..at].iter().rposition(|other| other == token) {
                let excused = watched.open_at.iter().any(|kill| before < *kill && *kill <= at);
                *(if excused { &mut tally.sent_again } else { &mut tally.sent_twice }) += 1;
            }
        }
        watched.looked_at = sent.len();
    }

    fn report(&self, provider: &str) -> String {
        let mut report = format!("kills with a provider that {provider}:\n");
        let head = "point            kills  open  sent again  ended there | lost though honoured  sent twice | slowest answer\n";
        report.push_str(head);
        for (point, tally) in &self.tallies {
            let Tally { kills, open, sent_again, ended_there, lost, sent_twice, slowest } = tally;
            let name = point.name();
            report.push_str(&format!(
                "{name:<15} {kills:>6} {open:>5} {sent_again:>11} {ended_there:>12} | {lost:>20} {sent_twice:>11} | {slowest:?}\n"
            ));
        }
        report
    }
}

async fn killed(provider: &str, leeway: Option<Duration>) -> Vec<Tally> {
    let mut kills = Kills::begin(leeway).await;
    for number in 0..KILLS {
        let cause = if number % 2 == 0 { Cause::Unauthorized } else { Cause::Operator };
        for point in Point::ALL {
            kills.kill(point, cause).await;
            kills.ask_again(point, cause).await;
        }
    }
    // Past the harness, which keeps to itself what a test prints that holds.
    std::io::stderr().write_all(kills.report(provider).as_bytes()).unwrap();
    for (point, tally) in &kills.tallies {
        assert_eq!((tally.kills, tally.lost, tally.sent_twice), (KILLS, 0, 0), "{point:?}");
    }
    kills.tallies.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_provider_that_ends_a_grant_whose_spent_token_it_sees_again() {
    let tallies = killed("ends a grant whose spent token it sees again", None).await;
    assert!(tallies.iter().any(|tally| tally.ended_there > 0), "the kills are worth something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_provider_that_takes_a_spent_token_again_for_a_while() {
    let tallies = killed("takes a spent token again for a while", Some(Duration::from_secs(600))).await;
    assert!(tallies.iter().any(|tally| tally.sent_again > 0), "the kills are worth something");
    assert!(tallies.iter().all(|tally| tally.ended_there == 0), "no grant ends with a provider that honours it");
}
