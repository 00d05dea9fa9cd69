//! Who is calling: the workload that opened the connection.
//!
//! [`Callers::judge`] answers from the settings' rules, in their order. A
//! credential that is given must hold; without one the network may do; a handle
//! alone does only where a rule says so. **Invariant: no rule, no caller.**

mod network;

use arcstr::ArcStr;
use aws_lc_rs::{constant_time, digest};
use ipnet::IpNet;
use scopegate_core::id::{ConnectorId, CustomerId};
use scopegate_core::refusal::Unauthenticated;
use scopegate_core::request::Headers;
use std::net::SocketAddr;
use std::sync::Arc;

pub use network::Network;

/// One entry of `callers`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// How the caller is recognised.
    pub by: By,
    /// Whose accounts it may use; none: everybody's.
    pub customers: Option<Vec<CustomerId>>,
    /// Which connectors it may use; none: all.
    pub connectors: Option<Vec<ConnectorId>>,
}

/// How a caller is recognised.
#[derive(Clone, Debug)]
pub enum By {
    /// By where its connection comes from.
    Network(Network),
    /// By a key in `Scopegate-Authorization`.
    ApiKey {
        /// Its name in the audit.
        name: String,
        /// SHA-256 of the key's UTF-8 bytes.
        sha256: [u8; 32],
    },
    /// By nothing but an account's handle.
    Handle {
        /// Where from; empty: from everywhere.
        networks: Vec<IpNet>,
    },
}

/// A caller that a rule vouches for.
#[derive(Debug)]
pub struct Caller {
    /// Its name in the audit: `network`, `handle`, or the key's name.
    pub name: ArcStr,
    /// Whose accounts it may use; none: everybody's.
    pub customers: Option<Vec<CustomerId>>,
    /// Which connectors it may use; none: all.
    pub connectors: Option<Vec<ConnectorId>>,
}

impl Caller {
    /// Whether it may use accounts of `customer`.
    #[must_use]
    pub fn acts_for(&self, customer: &CustomerId) -> bool {
        self.customers.as_ref().is_none_or(|those| those.contains(customer))
    }

    /// Whether its entry lists `connector`, or lists none.
    #[must_use]
    pub fn may_use(&self, connector: &str) -> bool {
        self.connectors.as_ref().is_none_or(|those| those.iter().any(|one| one.as_str() == connector))
    }
}

/// Whether the request names its account by a handle, which a `handle` rule asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamedBy {
    /// By a handle.
    Handle,
    /// By an identifier, by nothing, or ambiguously.
    Other,
}

/// Where a request came from and how it names its account.
#[derive(Clone, Copy, Debug)]
pub struct Approach<'a> {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Our end of the socket.
    pub local: SocketAddr,
    /// The Host, lower case and without port.
    pub host: Option<&'a str>,
    /// All headers.
    pub headers: &'a Headers,
    /// How the account is named.
    pub named_by: NamedBy,
}

/// All entries of `callers`.
#[derive(Debug)]
pub struct Callers {
    /// Each with the caller whom it vouches for.
    rules: Vec<(Rule, Arc<Caller>)>,
    /// Hosts that belong to this gateway, besides loopback: `gateway.hosts` and `external_url`.
    own_hosts: Vec<String>,
}

impl Callers {
    /// The rules in their order; `own_hosts` in lower case without ports.
    #[must_use]
    pub fn new(rules: Vec<Rule>, own_hosts: Vec<String>) -> Self {
        let rules = rules.into_iter().map(|rule| (rule.clone(), Arc::new(rule.caller())));
        Self { rules: rules.collect(), own_hosts }
    }

    /// Who is calling.
    /// # Errors
    /// Why nobody vouches for whoever it is.
    pub fn judge(&self, approach: &Approach<'_>) -> Result<Arc<Caller>, Unauthenticated> {
        let mut given = approach.headers.all("scopegate-authorization");
        if let Some(value) = given.next() {
            let single = given.next().is_none();
            return self.by_credential(value).filter(|_| single).ok_or(Unauthenticated::WrongCredential);
        }
        let mut why = Unauthenticated::NoCredential;
        for (rule, caller) in &self.rules {
            match &rule.by {
                By::Network(network) => match network.admits(approach, &self.own_hosts) {
                    Ok(true) => return Ok(Arc::clone(caller)),
                    Ok(false) => {}
                    Err(reason) => why = reason,
                },
                By::Handle { networks } => {
                    let near = networks.is_empty() || networks.iter().any(|net| net.contains(&approach.peer.ip().to_canonical()));
                    if approach.named_by == NamedBy::Handle && near {
                        return Ok(Arc::clone(caller));
                    }
                }
                By::ApiKey { .. } => {}
            }
        }
        Err(why)
    }

    fn by_credential(&self, value: &[u8]) -> Option<Arc<Caller>> {
        let text = std::str::from_utf8(value).ok()?;
        let (scheme, key) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let found = digest::digest(&digest::SHA256, key.trim_matches(' ').as_bytes());
        let mut known = None;
        for (rule, caller) in &self.rules {
            if let By::ApiKey { sha256, .. } = &rule.by
                && constant_time::verify_slices_are_equal(sha256, found.as_ref()).is_ok()
            {
                known = known.or_else(|| Some(Arc::clone(caller)));
            }
        }
        known
    }
}

impl Rule {
    fn caller(self) -> Caller {
        let name = match &self.by {
            By::Network(_) => "network",
            By::ApiKey { name, .. } => name,
            By::Handle { .. } => "handle",
        };
        Caller { name: name.into(), customers: self.customers, connectors: self.connectors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scopegate_core::request::Request;

    fn key(name: &str, key: &str) -> Rule {
        let sha256 = digest::digest(&digest::SHA256, key.as_bytes()).as_ref().try_into().unwrap();
        Rule { by: By::ApiKey { name: name.into(), sha256 }, customers: None, connectors: None }
    }

    fn loopback() -> Rule {
        Rule { by: By::Network(Network::Loopback), customers: None, connectors: None }
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request::read("GET", "/", &pairs, None).unwrap().headers
    }

    fn judge(rules: Vec<Rule>, pairs: &[(&str, &str)], host: &str, peer: &str, named_by: NamedBy) -> Result<String, Unauthenticated> {
        let headers = headers(pairs);
        let approach =
            Approach { peer: peer.parse().unwrap(), local: "127.0.0.1:4100".parse().unwrap(), host: Some(host), headers: &headers, named_by };
        Callers::new(rules, vec!["gate.example".into()]).judge(&approach).map(|caller| caller.name.to_string())
    }

    #[test]
    fn a_credential_that_is_given_must_hold_even_where_the_network_would_do() {
        let rules = || vec![loopback(), key("crew-a", "k-1")];
        for (value, came) in [
            ("Bearer k-1", Ok("crew-a")),
            ("bearer k-1", Ok("crew-a")),
            ("Bearer k-2", Err(Unauthenticated::WrongCredential)),
            ("Bearer ", Err(Unauthenticated::WrongCredential)),
            ("k-1", Err(Unauthenticated::WrongCredential)),
            ("Basic k-1", Err(Unauthenticated::WrongCredential)),
        ] {
            let made = judge(rules(), &[("scopegate-authorization", value)], "127.0.0.1", "127.0.0.1:9", NamedBy::Other);
            assert_eq!(made, came.map(str::to_owned), "{value}");
        }
    }

    #[test]
    fn loopback_is_a_socket_address_and_never_what_a_proxy_or_a_page_says() {
        for (pairs, host, peer, came) in [
            (&[][..], "127.0.0.1", "127.0.0.1:9", Ok("network")),
            (&[], "localhost", "[::1]:9", Ok("network")),
            (&[], "gate.example", "127.0.0.1:9", Ok("network")),
            (&[], "evil.example", "127.0.0.1:9", Err(Unauthenticated::ForeignHost)),
            (&[("x-forwarded-for", "1.2.3.4")], "127.0.0.1", "127.0.0.1:9", Err(Unauthenticated::Forwarded)),
            (&[("forwarded", "for=1.2.3.4")], "127.0.0.1", "127.0.0.1:9", Err(Unauthenticated::Forwarded)),
            (&[], "127.0.0.1", "10.0.0.1:9", Err(Unauthenticated::NoCredential)),
        ] {
            assert_eq!(judge(vec![loopback()], pairs, host, peer, NamedBy::Other), came.map(str::to_owned), "{host} {peer} {pairs:?}");
        }
    }

    #[test]
    fn a_handle_alone_does_only_where_a_rule_says_so() {
        let rule = |networks: &[&str]| Rule {
            by: By::Handle { networks: networks.iter().map(|net| net.parse().unwrap()).collect() },
            customers: None,
            connectors: None,
        };
        for (rules, named_by, peer, came) in [
            (vec![rule(&[])], NamedBy::Handle, "8.8.8.8:1", Ok("handle")),
            (vec![rule(&["10.0.0.0/8"])], NamedBy::Handle, "10.1.1.1:1", Ok("handle")),
            (vec![rule(&["10.0.0.0/8"])], NamedBy::Handle, "8.8.8.8:1", Err(Unauthenticated::NoCredential)),
            (vec![rule(&[])], NamedBy::Other, "10.1.1.1:1", Err(Unauthenticated::NoCredential)),
            (vec![key("a", "k")], NamedBy::Handle, "10.1.1.1:1", Err(Unauthenticated::NoCredential)),
        ] {
            assert_eq!(judge(rules, &[], "127.0.0.1", peer, named_by), came.map(str::to_owned), "{peer} {named_by:?}");
        }
    }
}
