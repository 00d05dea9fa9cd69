//! One request without a socket: who asks, for which account, for which operation, and what comes of it.
//!
//! The proxy brings heads, bodies and answers; an [`Exchange`] says what to do with each.
//! The order of reasons is the contract's: reading, caller, connector, identifier, account,
//! session, rate, operation, role, status, consent, body, token, egress, upstream.
//!
//! **Invariant: one request, one policy set, one audit event**, whatever happens, cancellation included.

mod admit;
mod change;
mod destination;
mod exchange;
mod identify;
mod passage;
mod policies;
mod record;
mod seam;
mod watch;

pub use change::Occasion;
pub use exchange::Exchange;
pub use identify::{Sources, TokenSlot};
pub use passage::{BodyEnd, Unpassable};
pub use policies::{InForce, NotLoaded, PolicyPlaces, PolicyRoom, Rejected, Unreadable, read_sources};
pub use seam::{Answer, Arrival, BodyAtHand, BodyFault, Ending, Forward, Reply, Step, UpstreamFailure};
pub use watch::watch_policies;

use crate::audit::AuditLog;
use crate::caller::Callers;
use crate::clock::Clock;
use crate::directory::{Directory, Sessions};
use crate::egress::Egress;
use crate::grants::Grants;
use crate::limits::{AccountPlaces, AccountRates, Bounds};
use crate::metrics::{Connection, Metrics, ProtocolLabels};
use crate::vault::Vault;
use destination::Addresses;
use scopegate_core::id::ConnectorId;
use std::collections::HashMap;
use std::sync::Arc;

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    /// The policies in force.
    pub policies: Arc<PolicyRoom>,
    /// Accounts, grants and handles.
    pub directory: Directory,
    /// Runs of crews.
    pub sessions: Sessions,
    /// Opens grants for permits.
    pub grants: Grants,
    /// Knows handles by their digests.
    pub vault: Vault,
    /// Where every request is written down.
    pub audit: AuditLog,
    /// Who may connect.
    pub callers: Callers,
    /// How often accounts may ask.
    pub rates: AccountRates,
    /// How many requests of an account may be under way at once.
    pub places: AccountPlaces,
    /// Sizes and times.
    pub bounds: Bounds,
    /// Which addresses may be dialled.
    pub egress: Egress,
    /// Counters.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Where identifiers and handles are taken from.
    pub sources: Sources,
    /// Connectors by Host, lower case and without port.
    pub hosts: HashMap<String, ConnectorId>,
    /// Where clients reach the gateway, without a final slash.
    pub external_url: Option<Arc<str>>,
    /// Watches every event; `dev` prints them.
    pub watcher: Option<Watcher>,
}

/// Is told of every event when it is written; must be quick.
#[derive(Clone)]
pub struct Watcher(pub Arc<Watch>);

/// What a watcher does with an event, and with the names of the headers that did not reach the API.
pub type Watch = dyn Fn(&crate::audit::Event, &[String]) + Send + Sync;

impl std::fmt::Debug for Watcher {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Watcher")
    }
}

/// Decides requests. Shared by all connections.
#[derive(Debug)]
pub struct Gateway {
    parts: GatewayParts,
    addresses: Addresses,
}

impl Gateway {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: GatewayParts) -> Arc<Self> {
        let addresses = Addresses::new(parts.egress.clone());
        Arc::new(Self { parts, addresses })
    }

    /// Begins the life of one request.
    #[must_use]
    pub fn begin(self: &Arc<Self>, arrival: &Arrival) -> Box<Exchange> {
        Box::new(Exchange::new(Arc::clone(self), *arrival))
    }

    /// Forgets accounts that have not asked for a while, so that limits take no memory for them.
    pub fn forget_quiet_accounts(&self) {
        self.parts.rates.forget_quiet();
    }

    /// A client has come; it is here until this is dropped.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.parts.metrics.connection()
    }

    /// `count` requests of `protocol` were malformed beyond an answer of ours.
    pub fn ended_below(&self, protocol: &'static str, count: u64) {
        if count > 0 {
            self.parts.metrics.malformed.get_or_create(&ProtocolLabels { protocol }).inc_by(count);
        }
    }

    /// The largest head that is read, in bytes.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.parts.bounds.header_bytes
    }
}
