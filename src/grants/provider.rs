//! Calls of providers: token, revocation and lookup endpoints.

use super::Clients;
use super::assertion::{KeyFault, assertion};
use super::outage::Outage;
use crate::clock::Clock;
use crate::http_client::{CallError, HttpAnswer, HttpClient};
use crate::metrics::{ConnectorLabels, Metrics, OutcomeLabels};
use http::header;
use scopegate_core::account::{Credential, TokenSet};
use scopegate_core::connector::PlainHttp;
use scopegate_core::connector::oauth::{ClientAuth, OAuth};
use scopegate_core::connector::variables::Variables;
use scopegate_core::connector::{Connector, Inject};
use scopegate_core::oauth::{
    Call, Client, ClientRegistration, Evidence, NoCall, Reply, Revocation, TokenFault, Tokens, Told, exchange_call, read_lookup, read_revocation,
    read_tokens, refresh_call, revoke_call,
};
use scopegate_core::secret::{Proof, RefreshToken};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use url::Url;

/// How many calls one provider gets at a time.
const AT_A_TIME: usize = 16;
/// How many of them may be for what nobody waits for.
const AHEAD_AT_A_TIME: usize = 12;
/// How long a place is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// All providers.
pub(super) struct Provider {
    http: HttpClient,
    clients: Clients,
    clock: Clock,
    metrics: Metrics,
    places: Mutex<HashMap<String, Places>>,
}

#[derive(Clone)]
struct Places {
    all: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    outage: Arc<Mutex<Outage>>,
    /// Told when a rest is over before its time.
    recovered: Arc<Notify>,
}

impl Places {
    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider has answered somebody: what waits for the end of its rest need not wait any more.
    fn recover(&self) {
        *self.outage() = Outage::default();
        self.recovered.notify_waiters();
    }

    /// Waits until the provider is not left alone any more.
    async fn rested(&self, clock: &Clock) {
        loop {
            let mut recovered = std::pin::pin!(self.recovered.notified());
            // From here on it hears, also of what happens before it waits.
            recovered.as_mut().enable();
            let Some(rest) = self.outage().rest(clock.instant()) else { return };
            tokio::select! {
                () = recovered => {}
                () = clock.sleep(rest) => {}
            }
        }
    }
}

/// A place at a provider's token endpoint, for as long as it is held.
pub(super) struct Place {
    _ahead: Option<OwnedSemaphorePermit>,
    _one: OwnedSemaphorePermit,
}

/// Who waits for a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// Nobody yet.
    Ahead,
    /// A request, an operator or a customer.
    Now,
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub(super) enum ProviderFault {
    /// What the provider said.
    #[error(transparent)]
    Said(#[from] TokenFault),
    /// Nothing was sent.
    #[error("the provider could not be called")]
    NotSent(#[source] CallError),
    /// What was sent may have been carried out.
    #[error("the provider's answer got lost")]
    Lost(#[source] CallError),
    /// There is no call to make.
    #[error("the connector's endpoint cannot be called")]
    NoCall(#[source] NoCall),
    /// We have nothing to show who we are.
    #[error("`clients` has no {0} for this connector, and the provider wants one")]
    NoEvidence(&'static str),
    /// Our key is none.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

impl ProviderFault {
    /// How long the provider asks us to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Said(TokenFault::Declined { retry_after, .. } | TokenFault::Failed { retry_after, .. }) => *retry_after,
            Self::Said(TokenFault::NotHonoured | TokenFault::ClientRefused { .. } | TokenFault::RequestRefused { .. } | TokenFault::Garbage)
            | Self::NotSent(_)
            | Self::Lost(_)
            | Self::NoCall(_)
            | Self::NoEvidence(_)
            | Self::Key(_) => None,
        }
    }

    /// A word for metrics and logs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Said(TokenFault::NotHonoured) => "not_honoured",
            Self::Said(TokenFault::ClientRefused { .. }) => "client_refused",
            Self::Said(TokenFault::RequestRefused { .. }) => "request_refused",
            Self::Said(TokenFault::Declined { .. }) => "declined",
            Self::Said(TokenFault::Failed { .. }) => "failed",
            Self::Said(TokenFault::Garbage) => "garbage",
            Self::NotSent(_) => "not_sent",
            Self::Lost(_) => "lost",
            Self::NoCall(_) | Self::NoEvidence(_) | Self::Key(_) => "misconfigured",
        }
    }
}

impl Provider {
    pub(super) fn new(http: HttpClient, clients: Clients, clock: Clock, metrics: Metrics) -> Self {
        Self { http, clients, clock, metrics, places: Mutex::default() }
    }

    /// Whether http without TLS is allowed.
    pub(super) fn plain_http(&self) -> PlainHttp {
        self.http.egress().plain_http()
    }

    /// Our registration for this connector.
    pub(super) fn registration(&self, connector: &Connector) -> Option<&ClientRegistration> {
        self.clients.get(&connector.id)
    }

    /// A place at the provider's token endpoint; none where too many others have one. What nobody waits for does not wait either.
    pub(super) async fn place(&self, connector: &Connector, urgency: Urgency) -> Option<Place> {
        let places = self.places_of(&connector.provider);
        match urgency {
            Urgency::Ahead if places.outage().rest(self.clock.instant()).is_some() => None,
            Urgency::Ahead => {
                let ahead = places.ahead.try_acquire_owned().ok()?;
                Some(Place { _ahead: Some(ahead), _one: places.all.try_acquire_owned().ok()? })
            }
            Urgency::Now => tokio::select! {
                one = places.all.acquire_owned() => Some(Place { _ahead: None, _one: one.ok()? }),
                () = self.clock.sleep(PATIENCE) => None,
            },
        }
    }

    /// A place for what nobody waits for, however long it takes.
    pub(super) async fn place_ahead(&self, provider: &str) -> Option<Place> {
        let places = self.places_of(provider);
        let ahead = Arc::clone(&places.ahead).acquire_owned().await.ok()?;
        places.rested(&self.clock).await;
        Some(Place { _ahead: Some(ahead), _one: places.all.acquire_owned().await.ok()? })
    }

    fn places_of(&self, provider: &str) -> Places {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Places {
            all: Arc::new(Semaphore::new(AT_A_TIME)),
            ahead: Arc::new(Semaphore::new(AHEAD_AT_A_TIME)),
            outage: Arc::default(),
            recovered: Arc::default(),
        };
        places.entry(provider.to_owned()).or_insert_with(new).clone()
    }

    /// Sends a refresh token.
    pub(super) async fn refresh(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        token: &RefreshToken,
    ) -> Result<Tokens, ProviderFault> {
        self.tokens(connector, oauth, variables, |client| refresh_call(oauth, client, variables, token)).await
    }

    /// Sends an authorization code.
    pub(super) async fn exchange(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        code: (&Proof, Option<&Proof>),
        redirect_uri: &str,
    ) -> Result<Tokens, ProviderFault> {
        let (code, verifier) = code;
        self.tokens(connector, oauth, variables, |client| exchange_call(oauth, client, variables, code, verifier, redirect_uri)).await
    }

    /// One call, or one for each of our secrets until the provider knows us by one: a call that it refuses for its secret spends nothing.
    async fn tokens(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        call: impl Fn(&Client<'_>) -> Result<Call, NoCall>,
    ) -> Result<Tokens, ProviderFault> {
        let judged = |answer: HttpAnswer| {
            let (retry_after, content_type) = (text(&answer, header::RETRY_AFTER), text(&answer, header::CONTENT_TYPE));
            let reply = Reply { status: answer.status, retry_after, content_type, body: &answer.body };
            let tokens = read_tokens(oauth, &connector.variables, reply, self.clock.timestamp(), self.plain_http());
            match tokens {
                Err(refused @ TokenFault::ClientRefused { .. }) => Err(refused),
                other => Ok(other),
            }
        };
        let result = self.as_us(connector, oauth, variables, call, judged).await.and_then(|judged| judged.map_err(Into::into));
        self.count(connector, result.as_ref().err());
        let (places, now) = (self.places_of(&connector.provider), self.clock.instant());
        match &result {
            Ok(_) | Err(ProviderFault::Said(TokenFault::NotHonoured)) => places.recover(),
            Err(fault) => places.outage().fail(fault.retry_after(), now),
        }
        result
    }

    /// Tells the provider that the tokens are to be worth nothing; none where it has no endpoint for that.
    pub(super) async fn revoke(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        tokens: &TokenSet,
    ) -> Result<Option<Revocation>, ProviderFault> {
        let Some(url) = &oauth.revocation_url else { return Ok(None) };
        let call = |client: &Client<'_>| revoke_call(oauth, url, client, variables, tokens);
        let judged = |answer: HttpAnswer| match answer.status {
            401 => Err(TokenFault::ClientRefused { code: "401" }),
            status => Ok(read_revocation(status, &answer.body)),
        };
        let result = self.as_us(connector, oauth, variables, call, judged).await;
        let outcome = match &result {
            Ok(Revocation::Confirmed) => "confirmed",
            Ok(Revocation::NotConfirmed) => "not_confirmed",
            Err(fault) => fault.word(),
        };
        self.metrics.revocations.get_or_create(&OutcomeLabels { connector: (&connector.id).into(), outcome }).inc();
        result.map(Some)
    }

    /// Asks the connector's `oauth.lookup` for variables; nothing where it has none.
    pub(super) async fn look_up(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        credential: &Credential,
    ) -> Result<Told, ProviderFault> {
        let Some(lookup) = &oauth.lookup else { return Ok(Told::default()) };
        let url = lookup.fill(variables).map_err(NoCall::Unfilled).and_then(|url| Url::parse(&url).map_err(NoCall::NoUrl));
        let url = url.map_err(ProviderFault::NoCall)?;
        let (name, value) = match connector.inject.as_ref() {
            Inject::Header { name, scheme: Some(scheme) } => (name.as_str(), format!("{scheme} {}", credential.secret())),
            Inject::Header { name, scheme: None } => (name.as_str(), credential.secret().to_owned()),
            Inject::Query { .. } | Inject::Basic { .. } => ("authorization", format!("Bearer {}", credential.secret())),
        };
        let value = zeroize::Zeroizing::new(value);
        let answer = self.http.get(&url, &[(name, value.as_str())]).await.map_err(not_answered)?;
        let told = Some(&answer).filter(|answer| (200..=299).contains(&answer.status));
        let told = told.and_then(|answer| read_lookup(&answer.body, &connector.variables, self.plain_http()));
        told.ok_or(ProviderFault::Said(TokenFault::Declined { status: answer.status, retry_after: None }))
    }

    /// Makes a call as us: with each of our secrets in turn while the provider refuses us.
    async fn as_us<T>(
        &self,
        connector: &Connector,
        oauth: &OAuth,
        variables: &Variables,
        call: impl Fn(&Client<'_>) -> Result<Call, NoCall>,
        judged: impl Fn(HttpAnswer) -> Result<T, TokenFault>,
    ) -> Result<T, ProviderFault> {
        let registration = self.registration(connector).ok_or(ProviderFault::NoEvidence("entry"))?;
        let signed = match (oauth.client_auth, &registration.key) {
            (ClientAuth::PrivateKeyJwt, None) => return Err(ProviderFault::NoEvidence("private key")),
            (ClientAuth::PrivateKeyJwt, Some(key)) => {
                let audience = oauth.token_url.fill(variables).map_err(|unfilled| ProviderFault::NoCall(NoCall::Unfilled(unfilled)))?;
                Some(assertion(key, &registration.client_id, &audience, self.clock.timestamp())?)
            }
            (ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost | ClientAuth::None, _) => None,
        };
        let evidence = match (&signed, oauth.client_auth) {
            (Some(assertion), _) => vec![Evidence::Assertion(assertion)],
            (None, ClientAuth::None) => vec![Evidence::Nothing],
            (None, auth) => registration.secrets.iter().filter_map(|secret| Evidence::of_secret(auth, secret)).collect(),
        };
        let mut fault = ProviderFault::NoEvidence("secret");
        for evidence in evidence {
            let call = call(&Client { id: &registration.client_id, evidence }).map_err(ProviderFault::NoCall)?;
            let began = self.clock.instant();
            let answered = self.http.post(&call).await;
            let took = self.clock.instant().since(began).as_secs_f64();
            self.metrics.token_call_seconds.get_or_create(&ConnectorLabels { connector: (&connector.id).into() }).observe(took);
            match judged(answered.map_err(not_answered)?) {
                Ok(value) => return Ok(value),
                Err(refused) => fault = refused.into(),
            }
        }
        Err(fault)
    }

    fn count(&self, connector: &Connector, fault: Option<&ProviderFault>) {
        let outcome = fault.map_or("tokens", ProviderFault::word);
        self.metrics.token_calls.get_or_create(&OutcomeLabels { connector: (&connector.id).into(), outcome }).inc();
        match fault {
            Some(ProviderFault::Said(TokenFault::ClientRefused { code })) => {
                tracing::error!(connector = %connector.id, code, "the provider refuses our registration: check `clients` of the settings; no account dies of it");
            }
            Some(ProviderFault::Said(TokenFault::RequestRefused { code })) => {
                tracing::error!(connector = %connector.id, code, "the provider refuses the way in which it is asked: check the connector's `oauth`; no account dies of it");
            }
            Some(fault @ (ProviderFault::NoCall(_) | ProviderFault::NoEvidence(_) | ProviderFault::Key(_))) => {
                tracing::error!(connector = %connector.id, error = fault as &dyn Error, "the token endpoint cannot be called");
            }
            Some(fault) => tracing::warn!(connector = %connector.id, error = fault as &dyn Error, "the token endpoint gave no token"),
            None => {}
        }
    }
}

fn not_answered(error: CallError) -> ProviderFault {
    match error {
        CallError::Denied(_) | CallError::Unwritable | CallError::Unconnected(_) => ProviderFault::NotSent(error),
        CallError::Lost(_) | CallError::TooLarge => ProviderFault::Lost(error),
    }
}

fn text(answer: &HttpAnswer, name: header::HeaderName) -> Option<&str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}
