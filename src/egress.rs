//! Egress: which resolved addresses may be dialled.
//!
//! Names are resolved here and the caller dials exactly what comes back, so that
//! a second answer of the name server changes nothing. An address is dialled when
//! it is public unicast, or when `egress.allow_networks` names it.
//!
//! **Invariant: a forbidden address never comes out of [`Egress::resolve`]**, in
//! whatever spelling or embedding it went in.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use scopegate_core::connector::PlainHttp;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;
use url::{Host, Url};

/// The rules of one deployment; cheap to clone.
#[derive(Clone, Debug)]
pub struct Egress {
    allowed: Arc<[IpNet]>,
    plain_http: PlainHttp,
    known: Arc<KnownNames>,
}

/// Names, in lower case, whose addresses are said here, so that no name server is asked.
pub type KnownNames = HashMap<String, Vec<IpAddr>>;

/// What must not be dialled. Names the address, for the operator alone.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EgressDenied {
    /// The address, or every address of the name, is neither public nor allowed.
    #[error("{address} is not a public address and `egress.allow_networks` does not name it")]
    Address {
        /// The address, or the first one of the name.
        address: IpAddr,
    },
    /// Not https, and http is not allowed or it is neither.
    #[error("the scheme is not https, and `egress.allow_http` is off or does not apply")]
    Scheme,
    /// No host, or a user part.
    #[error("an address to dial has a host and no user part")]
    Malformed,
}

/// Why there is no address to dial.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// There is one, and it is forbidden.
    #[error("the destination is forbidden")]
    Denied(#[source] EgressDenied),
    /// The name servers know none.
    #[error("the name does not resolve")]
    Unresolved(#[source] std::io::Error),
}

impl Egress {
    /// `allow_networks` come in addition to public unicast addresses.
    #[must_use]
    pub fn new(allow_networks: Vec<IpNet>, plain_http: PlainHttp) -> Self {
        Self { allowed: allow_networks.into(), plain_http, known: Arc::default() }
    }

    /// The same, with these names known. What they lead to is judged like the answer of a name server.
    #[must_use]
    pub fn knowing(self, names: KnownNames) -> Self {
        Self { known: Arc::new(names), ..self }
    }

    /// Whether http without TLS is allowed.
    #[must_use]
    pub fn plain_http(&self) -> PlainHttp {
        self.plain_http
    }

    /// Resolves `host`, a name or an address in any spelling (IPv6 with or without brackets), to the
    /// addresses that may be dialled. Takes as long as the system's resolver; the caller sets a limit.
    /// # Errors
    /// [`ResolveError::Denied`] where all addresses are forbidden, [`ResolveError::Unresolved`] where there are none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = match (literal(host), self.known.get(&host.to_ascii_lowercase())) {
            (Some(address), _) => vec![SocketAddr::new(address, port)],
            (None, Some(known)) => known.iter().map(|address| SocketAddr::new(*address, port)).collect(),
            (None, None) => tokio::net::lookup_host((host, port)).await.map_err(ResolveError::Unresolved)?.collect(),
        };
        let mut denied = None;
        let mut open = Vec::with_capacity(found.len());
        for address in found {
            match self.judge_address(address.ip()) {
                Ok(canonical) => open.push(SocketAddr::new(canonical, address.port())),
                Err(error) => denied = denied.or(Some(error)),
            }
        }
        match (open.is_empty(), denied) {
            (false, _) => Ok(open),
            (true, Some(error)) => Err(ResolveError::Denied(error)),
            (true, None) => Err(ResolveError::Unresolved(std::io::ErrorKind::NotFound.into())),
        }
    }

    /// Judges the origin of `url` as far as no name server is needed: scheme, user part, literal address.
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge_origin(&self, url: &Url) -> Result<(), EgressDenied> {
        match (url.scheme(), self.plain_http) {
            ("https", _) | ("http", PlainHttp::Allowed) => {}
            _ => return Err(EgressDenied::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressDenied::Malformed);
        }
        match url.host() {
            None => Err(EgressDenied::Malformed),
            Some(Host::Domain(name)) => literal(name).map_or(Ok(()), |address| self.judge_address(address).map(drop)),
            Some(Host::Ipv4(address)) => self.judge_address(address.into()).map(drop),
            Some(Host::Ipv6(address)) => self.judge_address(address.into()).map(drop),
        }
    }

    /// Judges one address, and gives it in the form in which it is dialled: IPv4 within IPv6 as IPv4.
    /// # Errors
    /// It is not public, and not allowed.
    pub fn judge_address(&self, address: IpAddr) -> Result<IpAddr, EgressDenied> {
        let canonical = address.to_canonical();
        if is_public(canonical) || self.allowed.iter().any(|network| network.contains(&canonical)) {
            Ok(canonical)
        } else {
            Err(EgressDenied::Address { address: canonical })
        }
    }
}

/// The address that `host` spells, in all spellings that resolvers and URLs know (`127.1`, `0x7f000001`, `[::1]`).
fn literal(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address);
    }
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => Some(address.into()),
        Ok(Host::Ipv6(address)) => Some(address.into()),
        Ok(Host::Domain(_)) | Err(_) => None,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(&address))
}

/// Global unicast is `2000::/3`; of it the special blocks are taken off. Behind NAT64 the address that is meant counts.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// IANA's special-purpose registry, multicast, and the cloud's metadata service that stands in public space.
const SPECIAL_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 52, 193, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 3),
];

const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Protocol assignments (Teredo among them), documentation, 6to4.
const SPECIAL_V6: [Ipv6Net; 4] = [v6(0x2001, 0, 0, 23), v6(0x2001, 0xdb8, 0, 32), v6(0x2002, 0, 0, 16), v6(0x3fff, 0, 0, 20)];

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Egress {
        Egress::new(Vec::new(), PlainHttp::Refused)
    }

    #[test]
    fn only_public_unicast_addresses_are_dialled() {
        for address in [
            "0.0.0.0",
            "10.255.255.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.255.254",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.255.255.1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(closed().judge_address(address.parse().unwrap()).is_err(), "{address}");
        }
        for address in ["8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"] {
            assert!(closed().judge_address(address.parse().unwrap()).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_holds_for_the_address_however_it_is_embedded() {
        let egress = Egress::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()], PlainHttp::Refused);
        for (address, dialled) in
            [("10.1.2.3", Some("10.1.2.3")), ("::ffff:10.1.2.3", Some("10.1.2.3")), ("fd00::1", Some("fd00::1")), ("10.2.0.1", None)]
        {
            let judged = egress.judge_address(address.parse().unwrap()).ok();
            assert_eq!(judged, dialled.map(|address| address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_origin_needs_https_a_host_and_no_user_part() {
        let open = Egress::new(vec!["127.0.0.0/8".parse().unwrap()], PlainHttp::Allowed);
        for (url, closed_says, open_says) in [
            ("https://api.example/x", true, true),
            ("http://api.example/x", false, true),
            ("ftp://api.example/x", false, false),
            ("https://user@api.example/", false, false),
            ("https://:secret@api.example/", false, false),
            ("https://127.0.0.1/", false, true),
            ("https://127.1/", false, true),
            ("https://0x7f000001/", false, true),
            ("https://2130706433/", false, true),
            ("https://0177.0.0.1/", false, true),
            ("https://[::1]/", false, false),
            ("https://[::ffff:7f00:1]/", false, true),
            ("https://169.254.169.254/latest", false, false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((closed().judge_origin(&url).is_ok(), open.judge_origin(&url).is_ok()), (closed_says, open_says), "{url}");
        }
    }

    #[tokio::test]
    async fn known_names_are_judged_like_any_other_and_nobody_is_asked() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let names = [("api.invalid", vec!["10.0.0.1", "8.8.8.8", "9.9.9.9"]), ("inside.invalid", vec!["10.0.0.1"])];
        let names = names.map(|(name, addresses)| (name.to_owned(), addresses.into_iter().map(address).collect()));
        let egress = closed().knowing(names.into());
        let open = egress.resolve("API.invalid", 443).await.unwrap();
        assert_eq!(open, ["8.8.8.8:443".parse().unwrap(), "9.9.9.9:443".parse().unwrap()]);
        assert!(matches!(egress.resolve("inside.invalid", 443).await, Err(ResolveError::Denied(_))));
        assert_eq!(egress.resolve("8.8.4.4", 1).await.unwrap(), ["8.8.4.4:1".parse().unwrap()]);
    }

    #[tokio::test]
    async fn literal_addresses_are_judged_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "[::1]",
            "::1",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "0",
            "[fd00::1]",
            "localhost",
        ] {
            assert!(matches!(closed().resolve(host, 443).await, Err(ResolveError::Denied(EgressDenied::Address { .. }))), "{host}");
        }
        let open = Egress::new(vec!["127.0.0.0/8".parse().unwrap()], PlainHttp::Refused);
        for host in ["127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]"] {
            assert_eq!(open.resolve(host, 443).await.unwrap(), ["127.0.0.1:443".parse().unwrap()], "{host}");
        }
        assert_eq!(open.resolve("8.8.8.8", 1).await.unwrap(), ["8.8.8.8:1".parse().unwrap()]);
    }
}
