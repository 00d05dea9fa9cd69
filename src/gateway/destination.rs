//! Where a request goes: the connector's origin, filled for the account, and the addresses that egress allows.

use crate::egress::{Egress, ResolveError};
use papaya::HashMap;
use scopegate_core::connector::{Origin, PlainHttp, Scheme};
use scopegate_core::time::Instant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a resolved name is used again.
const FRESH: Duration = Duration::from_secs(10);

/// How many names are remembered at most.
const REMEMBERED: usize = 10_000;

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resolves origins, and remembers for a moment what came out.
#[derive(Debug)]
pub(super) struct Addresses {
    egress: Egress,
    known: HashMap<(String, u16), Resolved>,
}

/// Addresses of a name, and until when they are used again.
type Resolved = (Arc<[SocketAddr]>, Instant);

/// Why there is no address to dial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoAddress {
    /// The rules forbid it.
    Denied,
    /// Nobody knows one.
    Unresolved,
}

impl Addresses {
    pub(super) fn new(egress: Egress) -> Self {
        Self { egress, known: HashMap::new() }
    }

    /// The addresses of `origin` that may be dialled, best first.
    pub(super) async fn of(&self, origin: &Origin, now: Instant) -> Result<Arc<[SocketAddr]>, NoAddress> {
        if origin.scheme() == Scheme::Http && self.egress.plain_http() == PlainHttp::Refused {
            return Err(NoAddress::Denied);
        }
        let key = (origin.host().to_owned(), origin.port());
        if let Some((addresses, until)) = self.known.pin().get(&key)
            && now < *until
        {
            return Ok(Arc::clone(addresses));
        }
        let resolved = tokio::time::timeout(PATIENCE, self.egress.resolve(&key.0, key.1)).await.map_err(|_| NoAddress::Unresolved)?;
        let addresses: Arc<[SocketAddr]> = resolved
            .map_err(|error| match error {
                ResolveError::Denied(why) => {
                    tracing::warn!(host = key.0, error = %why, "egress denied");
                    NoAddress::Denied
                }
                ResolveError::Unresolved(why) => {
                    tracing::warn!(host = key.0, error = %why, "the upstream's name does not resolve");
                    NoAddress::Unresolved
                }
            })?
            .into();
        let known = self.known.pin();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, (Arc::clone(&addresses), now.plus(FRESH)));
        Ok(addresses)
    }
}
