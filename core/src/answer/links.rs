//! Links of the upstream's own origin lead back through the gateway.

use crate::connector::{Inject, Upstream};
use crate::id::ConnectorId;

/// How the client reached the connector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Door {
    /// By the first segment of the path.
    Path {
        /// That segment.
        connector: ConnectorId,
        /// `gateway.external_url` without a final slash, where it is set.
        external_url: Option<String>,
    },
    /// By host: paths are the upstream's own.
    Host,
}

/// Turns links of one answer.
#[derive(Clone, Debug)]
pub struct Links {
    door: Door,
    upstream: Upstream,
    path_and_query: String,
    injected: Option<String>,
}

/// Where a link leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Back through the gateway.
    Own(String),
    /// To another origin, or to a part of this one that the connector does not reach.
    Elsewhere,
    /// Nobody can tell.
    Unreadable,
}

impl Links {
    /// `path_and_query` is the upstream request's, before the credential was written; `inject` says which parameter of it must never come back.
    #[must_use]
    pub fn new(_door: Door, _upstream: Upstream, _path_and_query: String, _inject: &Inject) -> Self {
        todo!()
    }
}
