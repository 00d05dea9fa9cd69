//! What connections that leave need: names, trusted certificates, and rules that let out no more than is meant.

use super::{Check, told};
use crate::egress::Egress;
use crate::http_client::{self, Trust};
use crate::settings::Settings;
use ipnet::IpNet;
use scopegate_core::connector::PlainHttp;
use std::net::IpAddr;

const EGRESS: &str = "egress";

/// Where clouds tell a machine its credentials.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

pub(super) async fn egress(settings: &Settings) -> Vec<Check> {
    let networks = settings.egress.allow_networks.iter().filter_map(|network| excess(*network));
    [certificates(settings), resolver().await].into_iter().chain(networks).collect()
}

/// The trust that the settings name.
pub(super) fn trust(settings: &Settings) -> Trust {
    settings.egress.ca_file.clone().map_or(Trust::System, Trust::File)
}

fn certificates(settings: &Settings) -> Check {
    match http_client::trusted(&trust(settings)) {
        Ok(0) => Check::fail(EGRESS, "the system has no CA certificates", "install ca-certificates, or set `egress.ca_file`"),
        Ok(count) => Check::ok(EGRESS, format!("{count} certificates of authorities are trusted")),
        Err(error) => Check::fail(EGRESS, told(&error), "give a PEM file of certificates as `egress.ca_file`"),
    }
}

async fn resolver() -> Check {
    match tokio::net::lookup_host(("localhost", 0)).await {
        Ok(_) => Check::ok(EGRESS, "names resolve, as far as localhost"),
        Err(error) => {
            Check::fail(EGRESS, format!("not even localhost resolves: {error}"), "look at /etc/resolv.conf, /etc/hosts and /etc/nsswitch.conf")
        }
    }
}

/// A network that lets out more than anybody means, or that changes nothing.
pub(super) fn excess(network: IpNet) -> Option<Check> {
    let closed = Egress::new(Vec::new(), PlainHttp::Refused);
    let public = |address| closed.judge_address(address).is_ok();
    if network.prefix_len() == 0 {
        let message = format!("`allow_networks` names {network}: every address, those of this machine and of its cloud among them");
        return Some(Check::warn(EGRESS, message, "name the networks that are meant"));
    }
    if let Some(address) = METADATA.iter().find(|address| network.contains(*address)) {
        let message = format!("`allow_networks` names {network}, and in it {address}, where a cloud gives out this machine's credentials");
        return Some(Check::warn(EGRESS, message, "leave that address out"));
    }
    (public(network.network()) && public(network.broadcast()))
        .then(|| Check::warn(EGRESS, format!("`allow_networks` names {network}, whose addresses are public and allowed anyway"), "leave it out"))
}
