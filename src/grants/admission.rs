//! An admission: the credential for the one request whose permit opened it.

use super::lives::{Answer, Token, habits};
use super::opened::OpenedGrant;
use super::{NoToken, Shared};
use scopegate_core::account::{AccountRecord, Credential};
use scopegate_core::answer::Needle;
use scopegate_core::connector::Connector;
use scopegate_core::connector::variables::{Variables, effective};
use scopegate_core::refresh::{Ask, Event, Landing, Moment};
use scopegate_core::request::OutgoingHead;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A credential for the one request whose permit opened it. It never leaves but into that request's head.
pub struct Admission {
    shared: Arc<Shared>,
    connector: Arc<Connector>,
    account: Arc<AccountRecord>,
    token: Token,
    variables: Variables,
    sent: Sent,
}

/// How often the request was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    Once,
    Again,
}

/// What a 401 of the API is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum After401 {
    /// Send it once more; the admission holds another token.
    Replay,
    /// Pass the 401.
    Answer,
    /// Refuse it instead, for this reason.
    Refuse(NoToken),
}

/// Whether the request can be sent once more: its body is at hand, and its method is
/// idempotent or the connector (or operation) says that a 401 means not executed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replayable {
    /// It can.
    Yes,
    /// It must not, or cannot.
    No,
}

impl fmt::Debug for Admission {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Admission").field("account", &self.account.id).field("grant", &self.token.opened.facts.id).finish_non_exhaustive()
    }
}

impl Admission {
    pub(super) fn new(shared: Arc<Shared>, connector: Arc<Connector>, account: Arc<AccountRecord>, token: Token) -> Self {
        let variables = variables(&shared, &connector, &account, &token.opened);
        Self { shared, connector, account, token, variables, sent: Sent::Once }
    }

    /// All values that templates of the connector may be filled with, for this account.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Writes the credential. Where the connector's place cannot carry it the head stays without one, so that the API refuses it.
    pub fn authorize(&self, head: &mut OutgoingHead) {
        if let Err(error) = self.connector.inject.write(&self.token.opened.credential, head) {
            tracing::error!(
                connector = %self.connector.id, account = %self.account.id, error = &error as &dyn Error,
                "the credential does not fit where the connector wants it"
            );
        }
    }

    /// What no answer may show.
    #[must_use]
    pub fn needles(&self) -> Arc<[Needle]> {
        self.token.opened.needles(&self.connector.inject)
    }

    /// The API answered 401. If the token is still the current one, one refresh is forced; a request that can be sent once more
    /// waits for it, others are answered at once and the next call waits. Dropping the future does not stop the refresh.
    pub async fn after_401(&mut self, replayable: Replayable) -> After401 {
        let Some(facts) = self.shared.directory.grant(&self.token.opened.facts.id) else { return After401::Refuse(NoToken::ConsentRequired) };
        match (&self.token.opened.credential, self.sent) {
            (Credential::Key(_) | Credential::Basic { .. }, _) => return without_refresh(replayable),
            (Credential::Tokens(_), Sent::Again) => {
                self.shared.step(&facts, Event::Unhealed { version: self.token.opened.facts.version });
                return After401::Answer;
            }
            (Credential::Tokens(_), Sent::Once) => {}
        }
        let answer = self.shared.ask(&facts, &self.connector, Ask::Unauthorized { version: self.token.opened.facts.version });
        match (answer, replayable) {
            (Answer::Pass, _) | (_, Replayable::No) => After401::Answer,
            (Answer::Refuse(why), Replayable::Yes) => After401::Refuse(why),
            (Answer::Use { .. }, Replayable::Yes) => self.renew().await,
            (Answer::Wait(landing), Replayable::Yes) => match landing.await {
                Ok(Landing::Refused(why)) => After401::Refuse(why.into()),
                Ok(Landing::Fresh) | Err(_) => self.renew().await,
            },
        }
    }

    /// The API answered something other than 401.
    pub fn not_401(&self) {
        self.token.seat.lock().life.step(Event::Honoured, &habits(None), Moment::default());
    }

    async fn renew(&mut self) -> After401 {
        match self.shared.token(&self.token.opened.facts.id, &self.connector, Ask::Request).await {
            Ok(token) => {
                self.variables = variables(&self.shared, &self.connector, &self.account, &token.opened);
                self.token = token;
                self.sent = Sent::Again;
                After401::Replay
            }
            Err(why) => After401::Refuse(why),
        }
    }
}

fn variables(shared: &Shared, connector: &Connector, account: &AccountRecord, opened: &OpenedGrant) -> Variables {
    effective(&connector.variables, &account.variables, &opened.facts.variables, shared.provider.plain_http())
}

/// A credential that cannot be refreshed is not honoured; but one 401 of one operation does not end it.
fn without_refresh(replayable: Replayable) -> After401 {
    match replayable {
        Replayable::Yes => After401::Refuse(NoToken::ReauthorizationRequired),
        Replayable::No => After401::Answer,
    }
}
