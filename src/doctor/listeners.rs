//! The addresses to listen at: their certificates, and whether they are free, or served by us already.

use super::{Check, told};
use crate::certificates::{self, CertificateFiles, Certificates};
use crate::settings::{ListenSettings, Protocol, Settings};
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const LISTEN: &str = "listen";

/// What an address is for, and how whoever has it is asked whether it is us.
#[derive(Clone, Copy)]
enum Purpose {
    Gateway,
    Admin,
    Pages,
}

pub(super) async fn listeners(settings: &Settings) -> Vec<Check> {
    let web = settings.admin.tls.as_ref();
    let gateway = settings.gateway.listen.iter().map(|listener| (Purpose::Gateway, "gateway.listen", listener.address, shown(listener)));
    let pages = settings.admin.public_listen.map(|address| (Purpose::Pages, "admin.public_listen", address, web));
    let all = gateway.chain([(Purpose::Admin, "admin.listen", settings.admin.listen, web)]).chain(pages);
    let mut checks = Vec::new();
    for (purpose, key, address, files) in all {
        if let Some(Err(error)) = files.map(|files| Certificates::read(files.clone())) {
            checks.push(Check::fail(LISTEN, format!("{key}: {address}: {}", told(&error)), "correct the files of `tls`"));
        }
        checks.push(listener(purpose, key, address, files).await);
    }
    checks
}

fn shown(listener: &ListenSettings) -> Option<&CertificateFiles> {
    match &listener.protocol {
        Protocol::Tls(files) => Some(files),
        Protocol::Plain | Protocol::PriorKnowledge => None,
    }
}

async fn listener(purpose: Purpose, key: &str, address: SocketAddr, files: Option<&CertificateFiles>) -> Check {
    match TcpListener::bind(address) {
        Ok(_) if address.port() == 0 => Check::ok(LISTEN, format!("{key}: any free port of {}", address.ip())),
        Ok(_) => Check::ok(LISTEN, format!("{key}: {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && files.is_some_and(|files| files.client_ca_file.is_some()) => {
            Check::ok(LISTEN, format!("{key}: {address} is taken, by scopegate or not: whoever has it asks for certificates that nobody here has"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => match purpose.ours(address, files).await {
            Ok(true) => Check::ok(LISTEN, format!("{key}: {address} is served by scopegate")),
            Ok(false) => Check::fail(LISTEN, format!("{key}: {address} is taken by another program"), "end that program, or choose another port"),
            Err(error) => {
                let message = format!("{key}: {address} is taken, and whoever has it does not say that it is scopegate ({})", told(&*error));
                Check::warn(LISTEN, message, "find out who listens there: `ss -ltnp`")
            }
        },
        Err(error) => {
            Check::fail(LISTEN, format!("{key}: {address} cannot be had: {error}"), "choose an address of this machine and a port that is allowed")
        }
    }
}

impl Purpose {
    /// Whether scopegate answers there.
    async fn ours(self, address: SocketAddr, files: Option<&CertificateFiles>) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(5));
        if let Some(files) = files {
            client = client.tls_backend_preconfigured(certificates::recognising(&files.cert_file)?);
        }
        let scheme = if files.is_some() { "https" } else { "http" };
        let path = match self {
            Self::Gateway => "/",
            Self::Admin => "/version",
            Self::Pages => "/connect/",
        };
        let answer = client.build()?.get(format!("{scheme}://{}{path}", reachable(address))).send().await.map_err(reqwest::Error::without_url)?;
        Ok(match self {
            Self::Gateway => answer.headers().contains_key("scopegate-request-id"),
            Self::Admin => answer.text().await?.contains("\"scopegate\""),
            Self::Pages => answer.headers().get("cache-control").is_some_and(|value| value == "no-store"),
        })
    }
}

/// Where an address that stands for all of them is reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback: std::net::IpAddr = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    if address.ip().is_unspecified() { SocketAddr::new(loopback, address.port()) } else { address }
}
