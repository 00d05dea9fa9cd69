//! From a head to a forwarded request, in the order of the contract's reasons.

use super::destination::NoAddress;
use super::exchange::Exchange;
use super::identify::Named;
use super::passage::Passage;
use super::seam::{Forward, Step};
use crate::caller::{Approach, NamedBy};
use crate::directory::Bound;
use crate::grants::{Admission, NoToken};
use crate::limits::Crowded;
use bytes::Bytes;
use scopegate_core::account::{ConnectedAccount, HandleTarget, Switch};
use scopegate_core::answer::Door;
use scopegate_core::id::{CustomerId, Identifier, SessionId};
use scopegate_core::policy::{self, Decision, Operations, Permit};
use scopegate_core::refusal::Refusal;
use scopegate_core::request::{Ambiguity, Body, Framing, Head, HeadFault, HeadFaultReason, OutgoingHead, Request};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// What waits looks again so often at most, however much changes: very many may wait while very much changes.
const A_MOMENT: Duration = Duration::from_millis(50);

const TWIN: Ambiguity = Ambiguity { code: "header-twin", sentence: "a header that names the account is spelled with underscores" };
const SESSION: Ambiguity = Ambiguity { code: "session", sentence: "Scopegate-Session is not exactly one legal session id" };

impl Exchange {
    pub(super) async fn admitted(&mut self, head: Result<Arc<Head>, HeadFault>) -> Result<Step, Refusal> {
        let head = head.map_err(|fault| self.faulty(&fault))?;
        self.record.event.method = Some(head.method.clone().into());
        let session = self.read(&head)?;
        self.identify_caller(&head)?;
        self.find_connector()?;
        self.find_account()?;
        self.bind(session).await?;
        self.count()?;
        self.decide().await
    }

    pub(super) async fn admitted_body(&mut self, body: Bytes) -> Result<Step, Refusal> {
        if let Some(request) = &mut self.known.request {
            request.body = Body::Whole(body);
        }
        self.decide().await
    }

    /// Notes what could be read of a head that is refused.
    fn faulty(&mut self, fault: &HeadFault) -> Refusal {
        self.record.event.method = fault.method.clone().map(Into::into);
        if let Some(target) = &fault.target {
            self.record.event.path = Some(target.path.as_str().to_owned());
        }
        match fault.reason {
            HeadFaultReason::Ambiguous(ambiguity) => Refusal::Ambiguous(ambiguity),
            HeadFaultReason::TooLarge => Refusal::HeaderTooLarge { limit: self.gateway.parts.bounds.header_bytes },
            HeadFaultReason::TooSlow => Refusal::TooSlow,
        }
    }

    /// Which connector is meant, and whether everything about the request has one reading; the session that it names.
    fn read(&mut self, head: &Head) -> Result<Option<SessionId>, Refusal> {
        let parts = &self.gateway.parts;
        let by_host = parts.hosts.get(head.host.name());
        let (name, path) = match by_host {
            Some(connector) => (connector.as_str(), head.target.path.clone()),
            None => head.target.connector_by_path().map_err(Refusal::Ambiguous)?,
        };
        self.record.event.path = Some(path.as_str().to_owned());
        self.known.connector = self.policies.connector(name).cloned();
        let request = head.request(path);
        if let Some(connector) = &self.known.connector {
            self.record.event.connector = Some(connector.id.clone());
            let door =
                if by_host.is_some() { Door::Host } else { Door::Path { connector: connector.id.clone(), external_url: parts.external_url.clone() } };
            self.known.door = Some(door);
        }
        let connector = self.known.connector.as_ref().map(|connector| &connector.id);
        policy::read(&self.policies, connector, &request).map_err(Refusal::Ambiguous)?;
        if parts.sources.headers.iter().any(|name| head.headers.has_twin(name)) {
            return Err(Refusal::Ambiguous(TWIN));
        }
        let session = session_of(head)?;
        self.record.event.session.clone_from(&session);
        if matches!(head.framing, Framing::Length(length) if length > parts.bounds.body) {
            let limit = policy::largest_body(&self.policies, connector, &request).unwrap_or_default().max(parts.bounds.body);
            if matches!(head.framing, Framing::Length(length) if length > limit) {
                return Err(Refusal::BodyTooLarge { limit });
            }
        }
        self.known.request = Some(request);
        Ok(session)
    }

    fn identify_caller(&mut self, head: &Head) -> Result<(), Refusal> {
        let parts = &self.gateway.parts;
        let found = parts.sources.found(&head.headers, self.known.connector.as_deref());
        let named_by = if found.has_handle() { NamedBy::Handle } else { NamedBy::Other };
        let approach =
            Approach { peer: self.arrival.peer, local: self.arrival.local, host: Some(head.host.name()), headers: &head.headers, named_by };
        let caller = parts.callers.judge(&approach).map_err(Refusal::CallerUnauthenticated)?;
        self.record.event.caller = Some(caller.name.clone());
        self.known.named = Some(found.named());
        self.known.caller = Some(caller);
        Ok(())
    }

    fn find_connector(&self) -> Result<(), Refusal> {
        match (&self.known.connector, &self.known.caller) {
            (None, _) => Err(Refusal::UnknownConnector),
            (Some(connector), Some(caller)) if caller.may_use(connector.id.as_str()) => Ok(()),
            (Some(_), _) => Err(Refusal::CallerNotAllowed),
        }
    }

    fn find_account(&mut self) -> Result<(), Refusal> {
        let named = self.known.named.take().unwrap_or(Err(Refusal::MissingIdentifier))?;
        self.record.event.account = match &named {
            Named::Identifier(identifier) => Some(identifier.to_shared()),
            Named::Nonsense(nonsense) => nonsense.as_given().cloned(),
            Named::Handle(_) => None,
        };
        let age = self.gateway.parts.directory.age();
        let account = self.usable(&named)?;
        self.known.found = Some((named, age));
        let event = &mut self.record.event;
        event.account.get_or_insert_with(|| account.record.identifier.to_shared());
        event.customer = Some(account.record.customer.clone());
        event.role = Some(account.record.role.clone());
        self.known.account = Some(account);
        Ok(())
    }

    /// The account, if it is in use and the caller may use it.
    fn usable(&self, named: &Named) -> Result<ConnectedAccount, Refusal> {
        let account = self.account_of(named).filter(|account| account.record.switch == Switch::On);
        let may_use = |account: &ConnectedAccount| self.known.caller.as_ref().is_some_and(|caller| caller.acts_for(&account.record.customer));
        account.filter(may_use).ok_or(Refusal::UnknownAccount)
    }

    /// Judges anew what changed while the request waited, for its body, a token, an address: whoever was disabled, deleted or
    /// given another role, or whose handle was taken away meanwhile, sends nothing any more.
    /// # Errors
    /// What is to be answered instead.
    pub(super) fn still_may(&self) -> Result<(), Refusal> {
        let Some((named, age)) = &self.known.found else { return Ok(()) };
        if self.gateway.parts.directory.age() == *age {
            return Ok(());
        }
        let (Some(before), Some(request)) = (&self.known.account, &self.known.request) else { return Ok(()) };
        let account = self.usable(named)?;
        if account.record.id != before.record.id {
            return Err(Refusal::UnknownAccount);
        }
        match policy::decide(&self.policies, &account, request) {
            Decision::Permit(_) | Decision::ReadBody(_) => Ok(()),
            Decision::Deny(denial) => Err(denial.into()),
        }
    }

    /// What `token` brings, unless this request may not be sent any more before that.
    /// # Errors
    /// What is to be answered then.
    pub(super) async fn unless_it_may_not<T>(&self, token: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            brought = token => Ok(brought),
            refusal = self.may_not_any_more() => Err(refusal),
        }
    }

    /// Waits until this request may not be sent any more.
    async fn may_not_any_more(&self) -> Refusal {
        let parts = &self.gateway.parts;
        loop {
            let age = parts.directory.age();
            if let Err(refusal) = self.still_may() {
                return refusal;
            }
            parts.directory.changed_since(age).await;
            parts.clock.sleep(A_MOMENT).await;
        }
    }

    /// `refusal`, but of an account that is not there any more nothing is told.
    pub(super) fn gone_or(&self, refusal: Refusal) -> Refusal {
        match self.still_may() {
            Err(gone @ Refusal::UnknownAccount) => gone,
            Ok(()) | Err(_) => refusal,
        }
    }

    fn account_of(&self, named: &Named) -> Option<ConnectedAccount> {
        let parts = &self.gateway.parts;
        let connector = &self.known.connector.as_ref()?.id;
        let of_customer = |identifier: &Identifier, customer: &CustomerId| {
            parts.directory.find(connector, identifier).filter(|account| account.record.customer == *customer)
        };
        match named {
            Named::Nonsense(_) => None,
            Named::Identifier(identifier) => parts.directory.find(connector, identifier),
            Named::Handle(text) => {
                let handle = parts.directory.handle(&parts.vault.handle_digest(text), parts.clock.timestamp())?;
                match &handle.target {
                    HandleTarget::Account(id) => parts.directory.by_id(id).filter(|account| account.record.connector == *connector),
                    HandleTarget::Identifier(identifier) => of_customer(identifier, &handle.customer),
                }
            }
        }
    }

    async fn bind(&self, session: Option<SessionId>) -> Result<(), Refusal> {
        let (Some(session), Some(account)) = (session, &self.known.account) else { return Ok(()) };
        match self.gateway.parts.sessions.bind(&session, &account.record.customer).await {
            Ok(Bound::Bound) => Ok(()),
            Ok(Bound::Mismatch) => Err(Refusal::SessionCustomerMismatch),
            Err(error) => {
                tracing::error!(session = %session, error = %error, "the session could not be bound");
                Err(Refusal::StoreUnavailable)
            }
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        let Some(account) = &self.known.account else { return Ok(()) };
        let parts = &self.gateway.parts;
        parts.rates.count(&account.record.id).map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        let place = parts.places.take(&account.record.id);
        self.known.place = Some(place.map_err(|Crowded { limit }| Refusal::Crowded { limit: limit.get() })?);
        Ok(())
    }

    async fn decide(&mut self) -> Result<Step, Refusal> {
        let (Some(account), Some(request)) = (&self.known.account, &self.known.request) else { return Err(Refusal::UnknownAccount) };
        match policy::decide(&self.policies, account, request) {
            Decision::Permit(permit) => {
                self.record.allowed(permit.allowance());
                self.known.operations = Some(permit.operations().clone());
                self.check_length(u64::MAX)?;
                self.count_operations(permit.operations())?;
                self.send(permit).await
            }
            Decision::ReadBody(operations) => {
                self.record.concerns(&operations);
                self.known.operations = Some(operations);
                let most = self.bounds().read_here();
                self.check_length(most)?;
                Ok(Step::ReadBody { limit: usize::try_from(most).unwrap_or(usize::MAX) })
            }
            Decision::Deny(denial) => Err(denial.into()),
        }
    }

    /// Whether a body that announces its length is within what its operations, and `most`, allow.
    fn check_length(&self, most: u64) -> Result<(), Refusal> {
        let limit = self.bounds().body.min(most);
        match self.known.request.as_ref().and_then(Request::length) {
            Some(length) if length > limit => Err(Refusal::BodyTooLarge { limit }),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts what limits itself: of a batch each part.
    fn count_operations(&self, operations: &Operations) -> Result<(), Refusal> {
        let (Some(account), Some(connector)) = (&self.known.account, &self.known.connector) else { return Ok(()) };
        for operation in operations.done() {
            let Some(rate) = operation.limits.requests_per_account else { continue };
            let counted = self.gateway.parts.rates.count_operation(&account.record.id, &connector.id, &operation.id, rate);
            counted.map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        }
        Ok(())
    }

    /// Opens the grant, finds the address, writes the head. A place in the audit is taken before anything leaves.
    async fn send(&mut self, permit: Permit) -> Result<Step, Refusal> {
        let operations = permit.operations().clone();
        let body = permit.allowance().body.clone();
        // pinned where it is made: it is large
        let opened = self.unless_it_may_not(pin!(self.gateway.parts.grants.open(&self.policies, permit))).await?;
        let admission = opened.map_err(|why| self.gone_or(no_token(why, &operations)))?;
        if let (Some(body), Some(request)) = (body, &mut self.known.request) {
            request.body = Body::Whole(body.clone());
            self.known.body = Some(body);
        }
        if let (Some(request), Some(connector)) = (&self.known.request, &self.known.connector) {
            self.record.leaves_out(request, connector);
        }
        let addressed = self.addressed(&admission, &operations).await?;
        self.still_may()?;
        self.record.reserve().map_err(|_| Refusal::StoreUnavailable)?;
        self.known.admission = Some(admission);
        Ok(Step::Forward(self.leaves(addressed)?))
    }

    /// The head that is sent for this account, still without its credential, and the addresses that egress allows.
    pub(super) async fn addressed(&self, admission: &Admission, operations: &Operations) -> Result<Addressed, Refusal> {
        let (Some(connector), Some(request)) = (&self.known.connector, &self.known.request) else { return Err(Refusal::UnknownConnector) };
        let head = OutgoingHead::write(request, connector, operations.host(), admission.variables()).map_err(|error| {
            tracing::warn!(connector = %connector.id, account = %self.record.event.account.as_deref().unwrap_or_default(), error = %error, "no address for this account");
            Refusal::EgressDenied(operations.clone())
        })?;
        let now = self.gateway.parts.clock.instant();
        let addresses = self.gateway.addresses.of(&head.upstream.origin, now).await.map_err(|why| match why {
            NoAddress::Denied => Refusal::EgressDenied(operations.clone()),
            NoAddress::Unresolved => Refusal::UpstreamUnreachable(operations.clone()),
        })?;
        Ok(Addressed { head, addresses })
    }

    /// Writes the credential into the head, and notes what has to be known of it when its answer comes.
    pub(super) fn leaves(&mut self, Addressed { mut head, addresses }: Addressed) -> Result<Box<Forward>, Refusal> {
        let (Some(connector), Some(request), Some(door), Some(admission)) =
            (&self.known.connector, &self.known.request, &self.known.door, &self.known.admission)
        else {
            return Err(Refusal::UnknownConnector);
        };
        let passage = Passage::new(connector, door, &head, request, admission);
        admission.authorize(&mut head);
        self.known.passage = Some(passage);
        Ok(self.forward(head, addresses))
    }
}

/// A head without a credential, and where it goes.
pub(super) struct Addressed {
    head: OutgoingHead,
    addresses: Arc<[SocketAddr]>,
}

pub(super) fn no_token(why: NoToken, operations: &policy::Operations) -> Refusal {
    let operations = operations.clone();
    match why {
        NoToken::ConsentRequired => Refusal::NotConnected(operations),
        NoToken::ReauthorizationRequired => Refusal::GrantEnded(operations),
        NoToken::Unavailable { retry_after } => Refusal::TokenUnavailable { operations, retry_after },
        NoToken::Store => Refusal::StoreUnavailable,
    }
}

fn session_of(head: &Head) -> Result<Option<SessionId>, Refusal> {
    let mut given = head.headers.all("scopegate-session");
    let Some(value) = given.next() else { return Ok(None) };
    let text = std::str::from_utf8(value).ok().filter(|_| given.next().is_none());
    text.and_then(|text| text.parse().ok()).map(Some).ok_or(Refusal::Ambiguous(SESSION))
}
