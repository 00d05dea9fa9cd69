//! The end of a grant: here first, then at the provider, for as long as it takes to be heard.
//!
//! A grant that was revoked keeps its secrets, and an open intent, until the provider has
//! confirmed; so a process that ends in between does not leave a token alive there.

use super::install::log;
use super::sealing::KeepError;
use super::{Grants, Shared};
use crate::store::{Applied, Change, GrantRecord, Intent};
use scopegate_core::account::{AccountRecord, ConnectedAccount, Credential, Ended, GrantFacts, GrantState, TokenSet};
use scopegate_core::id::GrantId;
use scopegate_core::oauth::Revocation;
use scopegate_core::refresh::Event;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

const TRIES: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// A provider that has not answered for so long never will.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// What the provider said to a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtProvider {
    /// It has taken it.
    Confirmed,
    /// It has not answered; it is told again in the background.
    NotYet,
    /// It has no way to be told, or the credential is none of its tokens.
    NoEndpoint,
}

/// Why nothing was revoked.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NotRevoked {
    /// There is nothing to revoke.
    #[error("the account is not connected")]
    NotConnected,
    /// The store did not take it.
    #[error("the end of the grant could not be kept")]
    Store,
}

/// Why an account is still there.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NotForgotten {
    /// The store did not take it.
    #[error("the end of the account could not be kept")]
    Store,
}

/// How an end went here.
enum Ending {
    /// The grant has ended.
    Ended(EndedHere),
    /// There is no such grant, and no such account any more.
    Gone,
    /// The account that was to end with it has changed: somebody may share the grant by now.
    Overtaken,
}

/// A grant that ended here.
struct EndedHere {
    facts: GrantFacts,
    /// What the provider is to be told of; none where there is nothing.
    tokens: Option<TokenSet>,
}

impl Grants {
    /// Revokes the grant of `account`, for all that share it: here before this returns, then at the provider (RFC 7009).
    /// # Errors
    /// [`NotRevoked`]; a provider that does not answer is none.
    pub async fn revoke(&self, account: &ConnectedAccount) -> Result<AtProvider, NotRevoked> {
        let account = self.0.directory.by_id(&account.record.id).ok_or(NotRevoked::NotConnected)?;
        let grant = account.record.grant.clone().ok_or(NotRevoked::NotConnected)?;
        let shared = Arc::clone(&self.0);
        // A task of its own: whoever asked may hang up.
        let told = self.0.tasks.spawn("revoke", async move {
            match shared.end_here(&grant, None).await.map_err(failed)? {
                Ending::Ended(ended) => Ok(shared.tell(ended).await),
                Ending::Gone | Ending::Overtaken => Err(NotRevoked::NotConnected),
            }
        });
        told.await.unwrap_or(Err(NotRevoked::Store))
    }

    /// Deletes the account; its grant ends with the last account that shares it, and the provider is told in the background.
    /// # Errors
    /// [`NotForgotten`]; then the account is still there.
    pub async fn forget(&self, account: &ConnectedAccount) -> Result<(), NotForgotten> {
        let not_forgotten = |error: KeepError| {
            tracing::error!(account = %account.record.id, error = &error as &dyn Error, "an account could not be deleted");
            NotForgotten::Store
        };
        for _ in 0..TRIES {
            let Some(account) = self.0.directory.by_id(&account.record.id) else { return Ok(()) };
            let unconfirmed = self.0.unconfirmed_of(&account.record.id).await.map_err(not_forgotten)?;
            if self.0.forget_as_it_is(&account.record).await.map_err(not_forgotten)? == Applied::Done {
                if !account.record.grant.as_ref().is_some_and(|grant| self.0.is_used(grant)) {
                    unconfirmed.into_iter().for_each(|(record, tokens)| self.0.revoke_in_background(record.facts, tokens));
                }
                return Ok(());
            }
        }
        Err(not_forgotten(KeepError::Unsettled { account: account.record.id.clone() }))
    }
}

fn failed(error: KeepError) -> NotRevoked {
    tracing::error!(error = &error as &dyn Error, "a grant could not be revoked");
    NotRevoked::Store
}

impl Shared {
    fn is_last(&self, account: &AccountRecord, grant: &GrantId) -> bool {
        self.directory.sharers(grant).iter().all(|sharer| sharer.id == account.id)
    }

    /// Deletes the account, and its grant with it where nobody else shares that; conflicts where the account is not as `account` shows it.
    pub(super) async fn forget_as_it_is(self: &Arc<Self>, account: &AccountRecord) -> Result<Applied, KeepError> {
        let grant = account.grant.as_ref();
        if let Some(grant) = grant.filter(|grant| self.is_last(account, grant)) {
            return self.end_behind(grant, Some(account)).await;
        }
        let deleted = self.delete(account).await?;
        // Two that shared it may have gone at the same time.
        match grant.filter(|grant| deleted == Applied::Done && !self.is_used(grant)) {
            Some(grant) => self.end_behind(grant, None).await,
            None => Ok(deleted),
        }
    }

    async fn delete(&self, account: &AccountRecord) -> Result<Applied, KeepError> {
        let done = self.directory.apply(deletion(account).into()).await;
        done.map_err(|cause| KeepError::Account { account: account.id.clone(), cause })
    }

    /// Ends a grant here, and tells the provider in the background; conflicts where `account`, which is to end with it, has changed.
    pub(super) async fn end_behind(self: &Arc<Self>, grant: &GrantId, account: Option<&AccountRecord>) -> Result<Applied, KeepError> {
        match self.end_here(grant, account).await? {
            Ending::Ended(ended) => {
                let shared = Arc::clone(self);
                self.tasks.spawn("revoke", async move { shared.tell(ended).await });
                Ok(Applied::Done)
            }
            Ending::Gone => Ok(Applied::Done),
            Ending::Overtaken => Ok(Applied::Conflict),
        }
    }

    /// Makes the end of a grant durable, and the end of `account` with it, if that is as it was.
    async fn end_here(self: &Arc<Self>, grant: &GrantId, account: Option<&AccountRecord>) -> Result<Ending, KeepError> {
        let store = |cause| KeepError::Store { grant: grant.clone(), cause };
        for _ in 0..TRIES {
            if let Some(account) = account {
                match self.directory.by_id(&account.id) {
                    None => return Ok(Ending::Gone),
                    Some(known) if known.record.version != account.version => return Ok(Ending::Overtaken),
                    Some(_) => {}
                }
            }
            let Some(mut record) = self.record(grant).await? else {
                return match account {
                    Some(account) if self.delete(account).await? == Applied::Conflict => Ok(Ending::Overtaken),
                    Some(_) | None => Ok(Ending::Gone),
                };
            };
            // The provider's address may need them when the account is gone.
            for (name, value) in account.into_iter().flat_map(|account| &account.variables) {
                if !record.facts.variables.contains_key(name) {
                    record.facts.variables.insert(name.clone(), value.clone());
                }
            }
            let credential = self.unseal_the_last_time(&record).await?;
            let ended = self.ended(record, credential.as_ref()).await?;
            let put = Change::PutGrant { expected: Some(ended.record.facts.version - 1), record: ended.record.clone() };
            let changes = [put].into_iter().chain(account.into_iter().flat_map(deletion)).collect();
            if self.directory.apply(changes).await.map_err(store)? == Applied::Done {
                log(&ended.record.facts, "revoked");
                self.forget_opened(grant);
                self.step(&ended.record.facts, Event::Learned(super::lives::known_of(&ended.record.facts, None)));
                return Ok(Ending::Ended(EndedHere { facts: ended.record.facts, tokens: ended.tokens }));
            }
        }
        Err(KeepError::Restless { grant: grant.clone() })
    }

    /// The record of a grant that was revoked: with its secrets as long as the provider has to be told of them.
    async fn ended(&self, record: GrantRecord, credential: Option<&Credential>) -> Result<EndedRecord, KeepError> {
        let facts = GrantFacts {
            version: record.facts.version.saturating_add(1),
            state: GrantState::Ended(Ended::Revoked),
            refreshable: false,
            ..record.facts
        };
        let tokens = match credential {
            Some(Credential::Tokens(tokens)) => Some(tokens.clone()),
            Some(Credential::Key(_) | Credential::Basic { .. }) | None => None,
        };
        let (sealed, intent) = match &tokens {
            Some(tokens) => {
                let intent = Intent { version: facts.version, at: self.clock.timestamp() };
                (self.seal(&facts, &Credential::Tokens(tokens.clone())).await?, Some(intent))
            }
            None => (self.seal_nothing(&facts).await?, None),
        };
        Ok(EndedRecord { record: GrantRecord { facts, sealed, intent }, tokens })
    }

    /// Tells the provider once, and goes on in the background if it does not hear.
    async fn tell(self: &Arc<Self>, ended: EndedHere) -> AtProvider {
        let Some(tokens) = ended.tokens else {
            self.told(&ended.facts).await;
            return AtProvider::NoEndpoint;
        };
        let said = self.tell_once(&ended.facts, &tokens).await;
        match said {
            AtProvider::Confirmed | AtProvider::NoEndpoint => self.told(&ended.facts).await,
            AtProvider::NotYet => self.revoke_in_background(ended.facts, tokens),
        }
        said
    }

    pub(super) async fn tell_once(&self, facts: &GrantFacts, tokens: &TokenSet) -> AtProvider {
        let Some(connector) = self.connector(&facts.connector) else { return AtProvider::NoEndpoint };
        let Some(oauth) = &connector.oauth else { return AtProvider::NoEndpoint };
        let variables = self.variables(&connector, facts);
        match self.provider.revoke(&connector, oauth, &variables, tokens).await {
            Ok(Some(Revocation::Confirmed)) => AtProvider::Confirmed,
            Ok(None) => AtProvider::NoEndpoint,
            Ok(Some(Revocation::NotConfirmed)) => AtProvider::NotYet,
            Err(error) => {
                tracing::warn!(connector = %connector.id, grant = %facts.id, error = &error as &dyn Error, "the provider did not hear a revocation");
                AtProvider::NotYet
            }
        }
    }

    /// Tells the provider until it hears: 2 s, 4 s ... 5 min apart, for a day, and no more once the grant is in use again: with one
    /// token many providers end all that they gave a customer.
    pub(super) fn revoke_in_background(self: &Arc<Self>, facts: GrantFacts, tokens: TokenSet) {
        let (shared, end) = (Arc::clone(self), self.tasks.token());
        self.tasks.spawn("revoke at the provider", async move {
            let (begun, mut pause) = (shared.clock.instant(), FIRST_PAUSE);
            while shared.clock.instant().since(begun) < PATIENCE {
                tokio::select! {
                    () = end.cancelled() => return,
                    () = shared.clock.sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                if shared.directory.grant(&facts.id).is_some_and(|known| known.state == GrantState::Live && known.version > facts.version) {
                    return tracing::info!(connector = %facts.connector, grant = %facts.id, "the provider never heard a revocation; the grant is connected again");
                }
                match shared.tell_once(&facts, &tokens).await {
                    AtProvider::Confirmed | AtProvider::NoEndpoint => return shared.told(&facts).await,
                    AtProvider::NotYet => {}
                }
            }
            tracing::error!(connector = %facts.connector, grant = %facts.id, "the provider never heard a revocation");
            shared.told(&facts).await;
        });
    }

    /// The provider was told: the secrets are not needed any more, and a grant that nobody shares not at all.
    async fn told(&self, facts: &GrantFacts) {
        let changes = if self.directory.sharers(&facts.id).is_empty() {
            vec![Change::DeleteGrant(facts.id.clone())]
        } else {
            let facts = GrantFacts { version: facts.version.saturating_add(1), ..facts.clone() };
            let Ok(sealed) = self.seal_nothing(&facts).await else { return };
            let expected = Some(facts.version - 1);
            vec![Change::PutGrant { record: GrantRecord { facts, sealed, intent: None }, expected }]
        };
        let is_still_the_one = self.directory.grant(&facts.id).is_some_and(|known| known.version == facts.version);
        if !is_still_the_one {
            return;
        }
        match self.directory.apply(changes).await {
            Ok(Applied::Done) => {
                log(facts, "its secrets are gone");
                if self.directory.grant(&facts.id).is_none() {
                    self.forget(&facts.id);
                }
            }
            Ok(Applied::Conflict) => {}
            Err(error) => {
                tracing::warn!(grant = %facts.id, error = &error as &dyn Error, "what a provider confirmed could not be noted; it is told again after a restart");
            }
        }
    }

    /// Revocations that a provider had not confirmed when the process before this one ended, and grants that nobody has.
    pub(super) fn resume_revocations(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.tasks.spawn("resume revocations", async move {
            let intents = match shared.store.intents().await {
                Ok(intents) => intents,
                Err(error) => return tracing::error!(error = &error as &dyn Error, "open revocations could not be read"),
            };
            let mut open: Vec<GrantId> = intents.into_iter().map(|(grant, _)| grant).collect();
            shared.directory.each_grant(|facts| {
                if shared.directory.sharers(&facts.id).is_empty() {
                    open.push(facts.id.clone());
                }
            });
            for grant in open {
                if let Err(error) = shared.resume(&grant).await {
                    tracing::error!(grant = %grant, error = &error as &dyn Error, "an open revocation could not be read");
                }
            }
        });
    }

    async fn resume(self: &Arc<Self>, grant: &GrantId) -> Result<(), KeepError> {
        let Some(record) = self.record(grant).await? else { return Ok(()) };
        match record.facts.state {
            GrantState::Ended(Ended::Revoked) => match self.unseal_the_last_time(&record).await? {
                Some(Credential::Tokens(tokens)) => self.revoke_in_background(record.facts, tokens),
                Some(Credential::Key(_) | Credential::Basic { .. }) | None => self.told(&record.facts).await,
            },
            GrantState::Live | GrantState::Ended(Ended::NotHonoured) if self.directory.sharers(grant).is_empty() => {
                let _: Applied = self.end_behind(grant, None).await?;
            }
            // A refresh: whoever needs the token sees it in the record.
            GrantState::Live | GrantState::Ended(Ended::NotHonoured) => {}
        }
        Ok(())
    }
}

/// The end of an account that is as `account` shows it: to share its grant counts its version up, and so does all that changes it.
fn deletion(account: &AccountRecord) -> [Change; 2] {
    let as_it_is = AccountRecord { version: account.version.saturating_add(1), ..account.clone() };
    [Change::UpdateAccount(as_it_is), Change::DeleteAccount(account.id.clone())]
}

/// What a grant's end leaves in the store.
struct EndedRecord {
    record: GrantRecord,
    tokens: Option<TokenSet>,
}
