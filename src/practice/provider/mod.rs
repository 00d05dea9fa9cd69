//! The practice OAuth provider, and what a test may ask of it.

mod authorize;
mod dialect;
mod fault;
mod ledger;
mod misbehave;
mod token;

pub use dialect::Dialect;
pub use fault::{Fault, Whose};
pub use ledger::Owner;

use super::Label;
use super::gate::{Busy, Gate, Hold};
use crate::clock::Clock;
use crate::tasks::Tasks;
use axum::Router;
use axum::routing::{any, get, post};
use fault::Faults;
use ledger::Ledger;
use scopegate_core::secret::{AccessToken, ClientSecret, RefreshToken};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long access tokens live unless a test says otherwise.
const LIFETIME: Duration = Duration::from_secs(60);

/// An OAuth 2.0 provider: `/authorize`, `/token`, `/revoke`. Clones are the same provider.
#[derive(Clone, Debug)]
pub struct Provider {
    clock: Clock,
    tasks: Tasks,
    registration: Registration,
    state: Arc<Mutex<State>>,
    /// Before a refresh call is carried out, and before it is answered.
    gate: Gate,
    answers: Gate,
    busy: Busy,
    /// Tells of refresh calls that arrived and that were granted.
    progress: Arc<watch::Sender<u64>>,
    received: Arc<AtomicU64>,
}

/// The one client that the provider knows.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its name.
    pub client_id: String,
    /// What it proves itself with.
    pub client_secret: ClientSecret,
}

/// Tokens of a consent that nobody had to walk for.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// What the API takes.
    pub access_token: AccessToken,
    /// What the next access token costs.
    pub refresh_token: RefreshToken,
    /// How long the access token lives.
    pub expires_in: Duration,
    /// Provider scopes, separated by blanks.
    pub scope: String,
}

/// Refresh calls of one label.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refreshes {
    /// Calls that arrived, faults included.
    pub arrived: u64,
    /// Calls that were answered with a token, lost answers included.
    pub granted: u64,
    /// Calls that arrived while another one of the same label was being answered.
    pub overlapping: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    now: u64,
    most: u64,
    arrived: u64,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    faults: Faults,
    lifetimes: HashMap<Whose, Duration>,
    delays: HashMap<Whose, Duration>,
    leeways: HashMap<Whose, Duration>,
    sent: HashMap<Label, Vec<String>>,
    refreshes: HashMap<Label, Refreshes>,
    running: HashMap<Label, u64>,
    /// Refresh calls of everybody, and how many there were at a time at most.
    crowd: Crowd,
    codes_spent: u64,
    revoked: Vec<Label>,
    problems: Vec<String>,
}

impl State {
    fn lifetime(&self, label: &Label) -> Duration {
        setting(&self.lifetimes, label).unwrap_or(LIFETIME)
    }

    fn leeway(&self, label: &Label) -> Duration {
        setting(&self.leeways, label).unwrap_or_default()
    }

    fn delay(&self, label: &Label) -> Duration {
        setting(&self.delays, label).unwrap_or_default()
    }
}

fn setting(settings: &HashMap<Whose, Duration>, label: &Label) -> Option<Duration> {
    settings.get(&Whose::Of(label.clone())).or_else(|| settings.get(&Whose::Everybody)).copied()
}

impl Provider {
    pub(super) fn new(clock: Clock, tasks: Tasks, registration: Registration) -> Self {
        Self {
            clock,
            tasks,
            registration,
            state: Arc::default(),
            gate: Gate::default(),
            answers: Gate::default(),
            busy: Busy::default(),
            progress: Arc::new(watch::channel(0).0),
            received: Arc::default(),
        }
    }

    pub(super) fn router(&self) -> Router {
        Router::new()
            .route("/authorize", get(authorize::page).post(authorize::answer))
            .route("/token", post(token::token))
            .route("/revoke", post(token::revoke))
            .route("/elsewhere", any(token::elsewhere))
            .route("/{dialect}/authorize", get(authorize::page).post(authorize::answer))
            .route("/{dialect}/token", post(token::token))
            .route("/{dialect}/revoke", post(token::revoke))
            .with_state(self.clone())
    }

    pub(super) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    pub(super) fn busy(&self) -> Busy {
        self.busy.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A consent that exists already, for credentials that are brought.
    #[must_use]
    pub fn seed(&self, label: &Label, scope: &str) -> TokenSet {
        let now = self.clock.instant();
        let mut state = self.state();
        let lifetime = state.lifetime(label);
        let issued = state.ledger.consent(label.clone(), scopes(scope), Dialect::Plain, now, lifetime);
        TokenSet {
            access_token: AccessToken::new(issued.access),
            refresh_token: RefreshToken::new(issued.refresh.unwrap_or_default()),
            expires_in: issued.lifetime,
            scope: issued.scope,
        }
    }

    /// How long the access tokens live that are issued from now on; 60 s where nothing was said.
    pub fn set_lifetime(&self, whose: Whose, lifetime: Duration) {
        self.state().lifetimes.insert(whose, lifetime);
    }

    /// How long each refresh call takes from now on.
    pub fn set_delay(&self, whose: Whose, delay: Duration) {
        self.state().delays.insert(whose, delay);
    }

    /// For how long a refresh token is still taken after it was replaced, from now on; not at all where nothing was said.
    pub fn set_leeway(&self, whose: Whose, leeway: Duration) {
        self.state().leeways.insert(whose, leeway);
    }

    /// Queues a fault for the next refresh call.
    pub fn fault(&self, whose: Whose, fault: Fault) {
        self.state().faults.queue(whose, fault);
    }

    /// From now on the API refuses the access tokens that `label` has; its refresh token stays good.
    pub fn expire(&self, label: &Label) {
        self.state().ledger.expire(label);
    }

    /// The customer takes the consent back: nothing of `label` is good any more.
    pub fn withdraw(&self, label: &Label) {
        self.state().ledger.withdraw(label);
    }

    /// Whose access token this is, also when it is over; none: never issued here.
    #[must_use]
    pub fn owner(&self, access_token: &str) -> Option<Owner> {
        let now = self.clock.instant();
        self.state().ledger.owner(access_token, now)
    }

    /// The refresh calls of `label` so far.
    #[must_use]
    pub fn refreshes(&self, label: &Label) -> Refreshes {
        self.state().refreshes.get(label).copied().unwrap_or_default()
    }

    /// How many refresh calls have arrived, whoever's they were.
    #[must_use]
    pub fn refresh_calls(&self) -> u64 {
        self.state().crowd.arrived
    }

    /// How many refresh calls were under way at a time at most.
    #[must_use]
    pub fn most_at_a_time(&self) -> u64 {
        self.state().crowd.most
    }

    /// Every refresh token that arrived from `label`, in order, whatever became of it.
    #[must_use]
    pub fn sent(&self, label: &Label) -> Vec<String> {
        self.state().sent.get(label).cloned().unwrap_or_default()
    }

    /// Whether the newest consent of `label` is good for anything.
    #[must_use]
    pub fn honours(&self, label: &Label) -> bool {
        self.state().ledger.honours(label)
    }

    /// Keeps refresh calls waiting, once they have arrived, until the hold is dropped. Nothing has happened by then.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.gate.shut()
    }

    /// Keeps the answers of refresh calls back, once they were carried out, until the hold is dropped.
    #[must_use]
    pub fn hold_answers(&self) -> Hold {
        self.answers.shut()
    }

    /// Waits until the refresh calls of `label` have come so far.
    pub async fn until(&self, label: &Label, so_far: impl Fn(Refreshes) -> bool) {
        // The sender lives as long as this provider, so the wait can only end with the calls.
        let _ = self.progress.subscribe().wait_for(|_| so_far(self.refreshes(label))).await;
    }

    /// Waits until so many refresh calls of `label` have arrived.
    pub async fn until_refreshes(&self, label: &Label, arrived: u64) {
        self.until(label, |calls| calls.arrived >= arrived).await;
    }

    /// Waits until nobody is connected and no call is under way.
    pub async fn until_idle(&self) {
        self.busy.over().await;
    }

    /// How many codes were exchanged for tokens.
    #[must_use]
    pub fn codes_spent(&self) -> u64 {
        self.state().codes_spent
    }

    /// Whose consents were revoked through the revocation endpoint, in order.
    #[must_use]
    pub fn revoked(&self) -> Vec<Label> {
        self.state().revoked.clone()
    }

    /// What no correct client does, in order, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.state().problems.clone()
    }

    /// Every code and token that was ever issued, for a search of places where none may be.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.state().ledger.secrets()
    }

    fn complain(&self, problem: impl Into<String>) {
        self.state().problems.push(problem.into());
    }
}

impl TokenSet {
    /// The body of the admin API's `PUT .../credentials`. It shows the tokens.
    #[must_use]
    pub fn credentials(&self) -> Value {
        json!({
            "access_token": self.access_token.reveal(), "refresh_token": self.refresh_token.reveal(),
            "expires_in": self.expires_in.as_secs(), "scope": self.scope,
        })
    }
}

/// The scopes of a text that separates them by blanks or commas.
fn scopes(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}
