//! Practice: an OAuth provider and a CRM API on loopback, for `scopegate dev` and the end-to-end tests.
//!
//! The provider is as strict as the strict ones: PKCE S256 always, single-use codes, refresh tokens that rotate, and an
//! old one used again ends the whole family (RFC 9700 section 4.14.2). The API answers with the records of whoever the
//! token belongs to. Both misbehave on request, count what reaches them, and tell a test whose token they saw.
//!
//! **Nothing here is for production**: state lives in memory, and everything listens on loopback alone.

mod api;
mod browser;
mod gate;
mod label;
mod provider;
mod wire;

pub use api::{Api, Seen};
pub use browser::{Browser, BrowserError, Consent, Page, Verdict};
pub use gate::Hold;
pub use label::{InvalidLabel, Label};
pub use provider::{Dialect, Fault, Owner, Provider, Refreshes, Registration, TokenSet, Whose};

use crate::clock::Clock;
use crate::tasks::Tasks;
use gate::Busy;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use wire::Wire;

/// A provider and the API that takes its tokens, both listening on loopback ports of their own.
#[derive(Clone, Debug)]
pub struct Practice {
    provider: Provider,
    api: Api,
    provider_addr: SocketAddr,
    api_addr: SocketAddr,
}

impl Practice {
    /// Starts both. They end with `tasks`.
    /// # Errors
    /// Where no loopback port can be had.
    pub async fn start(clock: &Clock, tasks: &Tasks, registration: Registration) -> io::Result<Self> {
        let (provider_socket, api_socket) = (loopback().await?, loopback().await?);
        let (provider_addr, api_addr) = (provider_socket.local_addr()?, api_socket.local_addr()?);
        let provider = Provider::new(clock.clone(), tasks.clone(), registration);
        let api = Api::new(provider.clone());
        Wire::new(provider_socket, provider.received(), provider.busy()).serve("practice provider", provider.router(), tasks);
        Wire::new(api_socket, api.received(), Busy::default()).serve("practice API", api.router(), tasks);
        Ok(Self { provider, api, provider_addr, api_addr })
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The API.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where the provider listens, such as `http://127.0.0.1:40001`. Its endpoints are `/authorize`, `/token` and
    /// `/revoke`, and the same below `/{dialect}` in the manner of a [`Dialect`].
    #[must_use]
    pub fn provider_origin(&self) -> String {
        format!("http://{}", self.provider_addr)
    }

    /// Where the API listens.
    #[must_use]
    pub fn api_origin(&self) -> String {
        format!("http://{}", self.api_addr)
    }
}

async fn loopback() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

#[cfg(test)]
mod tests;
