//! Callers that are recognised by where their connection comes from.

use super::Approach;
use ipnet::IpNet;
use scopegate_core::refusal::Unauthenticated;
use std::net::IpAddr;

/// Where a caller's connection must come from. The socket's address counts, never a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Network {
    /// From this host, through a listener on loopback, not forwarded, for a host that is ours.
    Loopback,
    /// From one of these networks.
    Within(IpNet),
}

impl Network {
    /// Whether the connection comes from there.
    /// # Errors
    /// It comes from loopback and does not count as such.
    pub(super) fn admits(&self, approach: &Approach<'_>, own_hosts: &[String]) -> Result<bool, Unauthenticated> {
        let peer = approach.peer.ip().to_canonical();
        match self {
            Self::Within(net) => Ok(net.contains(&peer)),
            Self::Loopback if !peer.is_loopback() || !approach.local.ip().to_canonical().is_loopback() => Ok(false),
            Self::Loopback if is_forwarded(approach) => Err(Unauthenticated::Forwarded),
            Self::Loopback if !is_ours(approach.host, own_hosts) => Err(Unauthenticated::ForeignHost),
            Self::Loopback => Ok(true),
        }
    }
}

fn is_forwarded(approach: &Approach<'_>) -> bool {
    approach.headers.iter().any(|(name, _)| name == "forwarded" || name.starts_with("x-forwarded-"))
}

fn is_ours(host: Option<&str>, own_hosts: &[String]) -> bool {
    let Some(host) = host else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || own_hosts.iter().any(|own| own == host)
}
