//! One refresh under way: does the deeds that the rules ask for, one after the other.
//!
//! Runs as a task of its own, so that it goes on when everybody who waited has hung up.

use super::Shared;
use super::install::log;
use super::lives::{habits, known_of};
use super::opened::{OpenedGrant, OpenedGrants};
use super::provider::{Place, ProviderFault, Urgency};
use super::sealing::KeepError;
use crate::metrics::OutcomeLabels;
use crate::store::{Applied, Change, GrantRecord, Intent, Lease, LeaseName, LeaseOwner, Store};
use scopegate_core::account::{Credential, Ended, GrantFacts, GrantState, Granted, TokenSet};
use scopegate_core::connector::Connector;
use scopegate_core::connector::oauth::OAuth;
use scopegate_core::connector::variables::{Variables, effective};
use scopegate_core::id::GrantId;
use scopegate_core::oauth::{TokenFault, Tokens};
use scopegate_core::refresh::{Deed, Event, Leased, Spent, Step, Wrote};
use scopegate_core::secret::RefreshToken;
use scopegate_core::time::Timestamp;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longer than a call and the writes around it take.
const LEASE: Duration = Duration::from_secs(60);
/// How often a process that ends offers the store what it must not take along.
const AT_THE_END: Duration = Duration::from_millis(250);
/// A write under a lease that ends sooner than this renews it first.
const SHORT: Duration = Duration::from_secs(30);

/// One refresh under way.
pub(super) struct Flight {
    shared: Arc<Shared>,
    grant: GrantId,
    urgency: Urgency,
    place: Option<Place>,
    lease: Option<Lease>,
    /// As it was read last.
    record: Option<GrantRecord>,
    hand: Option<Hand>,
    landed: bool,
}

impl Drop for Flight {
    /// Nobody is left waiting for a flight that a panic or the end of the process cut short, and nobody finds its lease taken.
    fn drop(&mut self) {
        if self.hand.is_some() {
            tracing::error!(
                grant = %self.grant,
                "a refresh is cut short before the store has taken what it brought, and its tokens are lost: the one that bought them is tried once more"
            );
        }
        if !self.landed {
            self.shared.fly_on(&self.grant, Event::Aborted, &habits(self.connector().as_deref()));
        }
        if let Some(lease) = self.lease.take() {
            let (store, grant) = (Arc::clone(&self.shared.store), self.grant.clone());
            self.shared.tasks.spawn("release a lease", async move { give_back(store.as_ref(), &grant, &lease).await });
        }
    }
}

/// New tokens that are not durable yet.
struct Hand {
    tokens: Tokens,
    /// The refresh token that bought them.
    old: RefreshToken,
    sent_at: Timestamp,
}

impl Flight {
    pub(super) fn new(shared: Arc<Shared>, grant: GrantId, urgency: Urgency, place: Option<Place>) -> Self {
        Self { shared, grant, urgency, place, lease: None, record: None, hand: None, landed: false }
    }

    /// Flies to the end. A process that ends cuts pauses short and gives up after one more try, but not on tokens that are in hand:
    /// it goes on with them as long as it is let.
    pub(super) async fn run(mut self, first: (Deed, Duration)) {
        let end = self.shared.tasks.token();
        let mut next = Some(first);
        while let Some((deed, pause)) = next {
            if !pause.is_zero() {
                self.rest(pause, &end).await;
            }
            let last = !pause.is_zero() && end.is_cancelled() && self.hand.is_none();
            let step = self.perform(deed).await;
            let habits = habits(self.connector().as_deref());
            next = self.shared.fly_on(&self.grant, Event::Done(step), &habits);
            if last {
                break;
            }
        }
        self.landed = next.is_none();
        self.land().await;
    }

    async fn rest(&self, pause: Duration, end: &CancellationToken) {
        tokio::select! {
            biased;
            () = self.shared.clock.sleep(pause) => {}
            () = end.cancelled() => if self.hand.is_some() {
                self.shared.clock.sleep(pause.min(AT_THE_END)).await;
            }
        }
    }

    async fn perform(&mut self, deed: Deed) -> Step {
        let done = match deed {
            Deed::Lease => self.take_lease().await,
            Deed::Read => self.read().await,
            Deed::Intend { version } => self.intend(version).await,
            Deed::Spend { version } => self.spend(version).await,
            Deed::Recant { version } => self.recant(version).await,
            Deed::Save { version } => self.save(version).await,
            Deed::End { version } => self.end(version).await,
        };
        done.unwrap_or_else(|error| {
            tracing::error!(grant = %self.grant, error = &error as &dyn Error, "a refresh could not go on");
            Step::StoreFailed
        })
    }

    fn connector(&self) -> Option<Arc<Connector>> {
        let facts = self.shared.directory.grant(&self.grant)?;
        self.shared.connector(&facts.connector)
    }

    async fn take_lease(&mut self) -> Result<Step, KeepError> {
        let Some(facts) = self.shared.directory.grant(&self.grant) else { return Ok(Step::Leased(Leased::Taken)) };
        if let (None, None, Some(connector)) = (&self.place, &self.hand, self.connector()) {
            self.place = self.shared.provider.place(&connector, self.urgency).await;
            if self.place.is_none() {
                return Ok(Step::Leased(Leased::Crowded));
            }
        }
        let name = LeaseName::refresh(&facts.connector, &facts.customer, &facts.id);
        self.release().await;
        let taken = self.shared.store.acquire(&name, &LeaseOwner::random(), LEASE).await;
        self.lease = taken.map_err(|cause| KeepError::Store { grant: self.grant.clone(), cause })?;
        Ok(Step::Leased(if self.lease.is_some() { Leased::Taken } else { Leased::Elsewhere }))
    }

    async fn read(&mut self) -> Result<Step, KeepError> {
        self.record = self.shared.record(&self.grant).await?;
        Ok(Step::Read(self.record.as_ref().map(|record| known_of(&record.facts, record.intent))))
    }

    /// An intent that is open keeps its time: that of the first call whose answer never came.
    async fn intend(&mut self, version: u64) -> Result<Step, KeepError> {
        let open = self.record.as_ref().and_then(|record| record.intent).filter(|intent| intent.version == version);
        let intent = open.unwrap_or_else(|| Intent { version, at: self.shared.clock.timestamp() });
        self.write(vec![Change::SetIntent { grant: self.grant.clone(), version, intent: Some(intent) }]).await
    }

    async fn recant(&mut self, version: u64) -> Result<Step, KeepError> {
        self.write(vec![Change::SetIntent { grant: self.grant.clone(), version, intent: None }]).await
    }

    async fn spend(&mut self, version: u64) -> Result<Step, KeepError> {
        let shape = || KeepError::Shape { grant: self.grant.clone() };
        let record = self.record.as_ref().filter(|record| record.facts.version == version).ok_or_else(shape)?;
        let credential = self.shared.unseal(record).await?.ok_or_else(shape)?;
        let token = credential.refresh().cloned().ok_or_else(shape)?;
        let Some(connector) = self.connector() else {
            tracing::error!(grant = %self.grant, "no policy has the connector of a grant that is to be refreshed");
            return Ok(Step::Spent(Spent::Declined { retry_after: None }));
        };
        let Some(oauth) = &connector.oauth else { return Ok(Step::Spent(Spent::Declined { retry_after: None })) };
        let variables = self.shared.variables(&connector, &record.facts);
        let sent_at = self.shared.clock.timestamp();
        let result = self.shared.provider.refresh(&connector, oauth, &variables, &token).await;
        // What is left to do keeps nobody from the token endpoint.
        self.place = None;
        self.count(&connector, result.as_ref().map_or_else(ProviderFault::word, |_| "tokens"));
        Ok(Step::Spent(match result {
            Ok(tokens) => {
                let expires_in = lifetime(oauth, &tokens);
                self.hand = Some(Hand { tokens, old: token, sent_at });
                Spent::Tokens { expires_in }
            }
            Err(ProviderFault::Said(TokenFault::NotHonoured)) => Spent::NotHonoured,
            Err(ProviderFault::Said(TokenFault::Declined { retry_after, .. })) => Spent::Declined { retry_after },
            Err(ProviderFault::Said(TokenFault::Failed { retry_after, .. })) => Spent::Lost { retry_after },
            Err(ProviderFault::Said(TokenFault::Garbage) | ProviderFault::Lost(_)) => Spent::Lost { retry_after: None },
            Err(
                ProviderFault::Said(TokenFault::ClientRefused { .. } | TokenFault::RequestRefused { .. })
                | ProviderFault::NotSent(_)
                | ProviderFault::NoCall(_)
                | ProviderFault::NoEvidence(_)
                | ProviderFault::Key(_),
            ) => Spent::Declined { retry_after: None },
        }))
    }

    async fn save(&mut self, version: u64) -> Result<Step, KeepError> {
        let shape = || KeepError::Shape { grant: self.grant.clone() };
        let hand = self.hand.as_ref().ok_or_else(shape)?;
        let record = self.record.as_ref().filter(|record| record.facts.version == version).ok_or_else(shape)?;
        let oauth = self.connector();
        let lifetime =
            oauth.as_ref().and_then(|connector| connector.oauth.as_ref()).map_or(hand.tokens.expires_in, |oauth| lifetime(oauth, &hand.tokens));
        let facts = self.renewed(&record.facts, hand, lifetime);
        let refresh = hand.tokens.refresh.clone().unwrap_or_else(|| hand.old.clone());
        let credential = Credential::Tokens(TokenSet { access: hand.tokens.access.clone(), refresh: Some(refresh) });
        let sealed = self.shared.seal(&facts, &credential).await?;
        let put = Change::PutGrant { record: GrantRecord { facts: facts.clone(), sealed, intent: None }, expected: Some(version) };
        let step = self.write(vec![put]).await?;
        if matches!(step, Step::Wrote(Wrote::Done)) {
            self.hand = None;
            log(&facts, "refreshed");
            let opened = OpenedGrant::new(self.shared.shared_facts(facts), credential);
            match (self.urgency, self.shared.lives.seat(&self.grant)) {
                (Urgency::Now, Some(seat)) => self.shared.opened.put(&seat, &opened),
                (Urgency::Ahead, Some(seat)) => OpenedGrants::renew(&seat, &opened),
                (Urgency::Now | Urgency::Ahead, None) => {}
            }
        }
        Ok(step)
    }

    /// The facts after a refresh: what the answer says, and what was known where it says nothing.
    fn renewed(&self, old: &GrantFacts, hand: &Hand, lifetime: Option<Duration>) -> GrantFacts {
        for (name, fault) in &hand.tokens.told.refused {
            tracing::warn!(connector = %old.connector, grant = %old.id, variable = %name, error = fault as &dyn Error, "a value of a refresh answer is not allowed; the old one stays");
        }
        let used_at = self.shared.directory.grant(&self.grant).map_or(old.used_at, |known| known.used_at.max(old.used_at));
        let mut variables = old.variables.clone();
        variables.extend(hand.tokens.told.values.clone());
        GrantFacts {
            version: old.version.saturating_add(1),
            state: GrantState::Live,
            granted: match &hand.tokens.scope {
                Some(scopes) if !scopes.is_empty() => Granted::of(scopes.iter().cloned()),
                Some(_) | None => old.granted.clone(),
            },
            expires_at: lifetime.map(|lifetime| hand.sent_at.plus(lifetime)),
            issued_at: hand.sent_at,
            refreshable: true,
            variables,
            used_at,
            ..old.clone()
        }
    }

    async fn end(&mut self, version: u64) -> Result<Step, KeepError> {
        let shape = || KeepError::Shape { grant: self.grant.clone() };
        let old = &self.record.as_ref().filter(|record| record.facts.version == version).ok_or_else(shape)?.facts;
        let facts =
            GrantFacts { version: version.saturating_add(1), state: GrantState::Ended(Ended::NotHonoured), refreshable: false, ..old.clone() };
        let sealed = self.shared.seal_nothing(&facts).await?;
        let put = Change::PutGrant { record: GrantRecord { facts: facts.clone(), sealed, intent: None }, expected: Some(version) };
        let step = self.write(vec![put]).await?;
        if matches!(step, Step::Wrote(Wrote::Done)) {
            self.shared.forget_opened(&self.grant);
            tracing::warn!(
                connector = %facts.connector, customer = %facts.customer, grant = %facts.id, version = facts.version,
                "the provider does not honour the grant any more: its accounts need a new authorization"
            );
        }
        Ok(step)
    }

    /// Writes, if the lease is still held; one that ends soon is renewed first.
    async fn write(&mut self, mut changes: Vec<Change>) -> Result<Step, KeepError> {
        let failed = |grant: &GrantId| {
            let grant = grant.clone();
            |cause| KeepError::Store { grant, cause }
        };
        let Some(lease) = self.lease.take() else { return Ok(Step::Wrote(Wrote::Conflict)) };
        let ends_soon = lease.expires_at.since(self.shared.clock.timestamp()) < SHORT;
        let renewed = if ends_soon { self.shared.store.renew(&lease, LEASE).await.map_err(failed(&self.grant)) } else { Ok(Some(lease.clone())) };
        // Whether it is lost is known once the store answers again.
        let renewed = renewed.inspect_err(|_| self.lease = Some(lease))?;
        let Some(lease) = renewed else { return Ok(Step::Wrote(Wrote::Conflict)) };
        changes.insert(0, Change::Holding(lease.clone()));
        self.lease = Some(lease);
        let applied = self.shared.directory.apply(changes).await.map_err(failed(&self.grant))?;
        Ok(Step::Wrote(match applied {
            Applied::Done => Wrote::Done,
            Applied::Conflict => Wrote::Conflict,
        }))
    }

    async fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            give_back(self.shared.store.as_ref(), &self.grant, &lease).await;
        }
    }

    /// Tokens for a grant that was revoked or deleted meanwhile must not stay alive at the provider.
    async fn land(&mut self) {
        self.release().await;
        let Some(hand) = self.hand.take() else { return };
        let wanted = self.shared.directory.grant(&self.grant).is_some_and(|facts| facts.state != GrantState::Ended(Ended::Revoked));
        if let (false, Some(record)) = (wanted, self.record.take()) {
            let refresh = hand.tokens.refresh.unwrap_or(hand.old);
            let tokens = TokenSet { access: hand.tokens.access, refresh: Some(refresh) };
            self.shared.revoke_in_background(record.facts, tokens);
        }
    }

    fn count(&self, connector: &Connector, outcome: &'static str) {
        self.shared.metrics.refreshes.get_or_create(&OutcomeLabels { connector: (&connector.id).into(), outcome }).inc();
    }
}

async fn give_back(store: &dyn Store, grant: &GrantId, lease: &Lease) {
    if let Err(error) = store.release(lease).await {
        tracing::warn!(grant = %grant, error = &error as &dyn Error, "a lease could not be given back; it ends by itself");
    }
}

/// What the answer says, else the connector's table.
pub(super) fn lifetime(oauth: &OAuth, tokens: &Tokens) -> Option<Duration> {
    tokens.expires_in.or(oauth.expires_in)
}

impl Shared {
    /// What the connector's endpoints are filled with for a grant: all that share it are of one customer, and the first of them
    /// speaks for all. A grant that nobody has any more brought its account's values along.
    pub(super) fn variables(&self, connector: &Connector, facts: &GrantFacts) -> Variables {
        let account = self.directory.sharers(&facts.id).first().map_or_else(|| facts.variables.clone(), |account| account.variables.clone());
        effective(&connector.variables, &account, &facts.variables, self.provider.plain_http())
    }
}
