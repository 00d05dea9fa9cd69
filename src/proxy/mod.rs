//! The data plane's sockets: clients on one side, upstreams on the other.
//!
//! The only module that names pingora. Connections are accepted here, and heads are read
//! here, strictly; pingora connects to upstreams, pools those connections and speaks HTTP with them.
//! What may pass is said by the [`gateway`](crate::gateway) alone.
//!
//! **Invariant: nothing reaches an upstream but what the gateway said to send, and every
//! request that was begun ends in its exchange**, also one that is no request at all.

mod connection;
mod door;
mod due;
mod listen;
mod multiplex;
mod pool;
mod progress;
mod rarely;
mod request;
mod response;
mod side;
mod sluice;
mod stream;
mod tap;
mod together;
mod trust;
mod under_way;
mod upstream;
mod wire;

pub use listen::{BindError, Drained, Listener, Proxy, Speaks};
pub use progress::Pace;

use std::path::PathBuf;
use std::time::Duration;

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A head, from its first byte.
    pub head: Duration,
    /// Nothing at all, between requests.
    pub idle: Duration,
    /// A body.
    pub body: Pace,
}

impl Patience {
    /// 10 s for a head, 60 s between requests, a minute and a second more for each 16 KiB of a body.
    pub const STANDARD: Self =
        Self { head: Duration::from_secs(10), idle: Duration::from_secs(60), body: Pace { grace: Duration::from_secs(60), per_second: 16 * 1024 } };
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The CA file cannot be read, or is not PEM.
    #[error("the CA file {} cannot be read", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The CA certificates cannot be handed over.
    #[error("the CA certificates cannot be written to a temporary file")]
    Bundle(#[source] std::io::Error),
}
