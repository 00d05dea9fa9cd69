//! Finished authorizations that nobody confirms: their tokens do not stay alive at the provider.
//!
//! Unless the account works meanwhile with a grant of its own: with one token of a customer many
//! providers end all of them, and an attempt that came to nothing never breaks a working account.

use super::CONFIRMATION;
use crate::grants::Shared;
use crate::grants::ending::AtProvider;
use crate::grants::sealing::KeepError;
use crate::store::{Applied, AuthorizationPhase, AuthorizationRecord, Change, GrantRecord, Unconfirmed};
use scopegate_core::account::{Credential, GrantState, TokenSet};
use scopegate_core::id::{AccountId, GrantId};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked whether the time of one is over, and whether a provider hears by now.
const LOOK: Duration = Duration::from_secs(10 * 60);

impl Shared {
    /// Sees to them now and then, until the process ends.
    pub(in crate::grants) fn see_to_unconfirmed(self: &Arc<Self>) {
        let (shared, end) = (Arc::clone(self), self.tasks.token());
        self.tasks.spawn("unconfirmed authorizations", async move {
            loop {
                shared.end_unconfirmed().await;
                tokio::select! {
                    () = shared.clock.sleep(LOOK) => {}
                    () = end.cancelled() => return,
                }
            }
        });
    }

    /// Ends all whose time is over.
    pub(in crate::grants) async fn end_unconfirmed(&self) {
        let over = match self.store.unconfirmed(Unconfirmed::OverBy(self.clock.timestamp())).await {
            Ok(over) => over,
            Err(error) => return tracing::error!(error = &error as &dyn Error, "unconfirmed authorizations could not be read"),
        };
        for record in over {
            if let Err(error) = self.end_one(&record).await {
                tracing::error!(authorization = %record.id, error = &error as &dyn Error, "an unconfirmed authorization could not be ended");
            }
        }
    }

    /// Tells the provider, and forgets it when that was heard; else it is tried again, for as long as it could be confirmed.
    async fn end_one(&self, record: &AuthorizationRecord) -> Result<(), KeepError> {
        let AuthorizationPhase::AwaitingConfirmation { grant } = &record.phase else { return Ok(()) };
        let told = match self.unseal_the_last_time(grant).await? {
            Some(Credential::Tokens(tokens)) if !self.works(&record.account) => self.tell_once(&grant.facts, &tokens).await,
            Some(_) | None => AtProvider::NoEndpoint,
        };
        let given_up = self.clock.timestamp().since(record.expires_at) > CONFIRMATION;
        if told != AtProvider::NotYet || given_up {
            tracing::info!(authorization = %record.id, customer = %record.customer, heard = told != AtProvider::NotYet, "nobody confirmed an authorization in time");
            let deletion = self.directory.apply(vec![Change::DeleteAuthorization(record.id.clone())]).await;
            let _: Applied = deletion.map_err(|cause| KeepError::Store { grant: grant.facts.id.clone(), cause })?;
        }
        Ok(())
    }

    /// Tokens that wait for a confirmation of `account`.
    pub(in crate::grants) async fn unconfirmed_of(&self, account: &AccountId) -> Result<Vec<(GrantRecord, TokenSet)>, KeepError> {
        let read = self.store.unconfirmed(Unconfirmed::Of(account)).await;
        let mut found = Vec::new();
        for record in read.map_err(|cause| KeepError::Account { account: account.clone(), cause })? {
            if let AuthorizationPhase::AwaitingConfirmation { grant } = record.phase
                && let Some(Credential::Tokens(tokens)) = self.unseal_the_last_time(&grant).await?
            {
                found.push((*grant, tokens));
            }
        }
        Ok(found)
    }

    /// Whether the account has a grant that the provider honours, as far as is known.
    pub(in crate::grants) fn works(&self, account: &AccountId) -> bool {
        self.directory.by_id(account).and_then(|account| account.grant).is_some_and(|grant| grant.state == GrantState::Live)
    }

    /// Whether a grant is still somebody's.
    pub(in crate::grants) fn is_used(&self, grant: &GrantId) -> bool {
        !self.directory.sharers(grant).is_empty()
    }
}
