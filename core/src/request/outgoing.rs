//! The head that is sent to the API, written anew.

use super::{Framing, Method, Request};
use crate::connector::variables::Variables;
use crate::connector::{Connector, Origin, template::Unfilled};
use bytes::Bytes;
use http::HeaderName;
use std::fmt;

/// What is sent to the API: made from a request by allow-list, so that nothing passes that was not judged.
#[derive(Clone)]
pub struct OutgoingHead {
    /// As decided.
    pub method: Method,
    /// Where it goes.
    pub origin: Origin,
    /// The upstream's path prefix, the canonical path and the query as decided.
    pub path_and_query: String,
    /// Headers in order, `host` first; neither `content-length` nor `transfer-encoding` is among them.
    pub headers: Vec<(HeaderName, Bytes)>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether it asks to become a WebSocket; then `connection` and `upgrade` are among the headers.
    pub websocket: bool,
}

/// Shows neither the query nor any header's value: a credential may stand in both.
impl fmt::Debug for OutgoingHead {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("OutgoingHead").field("method", &self.method).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Why there is no head to send.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OutgoingError {
    /// A variable of the upstream's address or of a fixed header is missing.
    #[error(transparent)]
    Unfilled(#[from] Unfilled),
    /// The connector knows no other origin of this name.
    #[error("the connector has no host `{0}`")]
    UnknownHost(String),
    /// The filled address is none.
    #[error("the upstream's address is no origin with an optional path")]
    Address,
    /// A fixed header holds what no header can.
    #[error("the fixed header `{0}` cannot be sent")]
    FixedHeader(String),
}

impl OutgoingHead {
    /// Writes the head of `request` for `connector`, without credential. `host` names another origin of the connector.
    /// # Errors
    /// [`OutgoingError`]: facts of connector or account that make no address or header.
    pub fn write(_request: &Request, _connector: &Connector, _host: Option<&str>, _variables: &Variables) -> Result<Self, OutgoingError> {
        todo!()
    }
}

/// The names of headers that `request` brought and that do not reach the API, each once, in order: for `explain`, `dev` and the debug log.
#[must_use]
pub fn dropped_headers(_request: &Request, _connector: &Connector) -> Vec<String> {
    todo!()
}
