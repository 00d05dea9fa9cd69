//! The admin token, and where customers' browsers are sent.

use super::Check;
use crate::app::is_loopback;
use crate::settings::Settings;
use url::Url;

const TOKEN: &str = "admin token";
const PAGES: &str = "customers' pages";

pub(super) fn admin(settings: &Settings) -> Vec<Check> {
    let public = settings.public_url(settings.admin.listen, settings.admin.public_listen);
    vec![strength(settings.admin.token.reveal()), reachable(&public, settings.admin.public_url.is_some())]
}

/// Judged by its length and by how many different characters it has; nothing of it is told.
pub(super) fn strength(token: &str) -> Check {
    let mut characters: Vec<char> = token.chars().collect();
    let length = characters.len();
    characters.sort_unstable();
    characters.dedup();
    let bits = length * usize::try_from(characters.len().max(1).ilog2()).unwrap_or_default();
    let help = "make one with `openssl rand -hex 24`";
    match bits {
        0..48 => Check::fail(TOKEN, "it can be guessed", help),
        48..96 => Check::warn(TOKEN, "it is short", help),
        96.. => Check::ok(TOKEN, "long enough"),
    }
}

/// Cookies with `__Host-`, which bind an authorization to a browser, need https or loopback.
pub(super) fn reachable(public_url: &str, said: bool) -> Check {
    let help = "set `admin.public_url` to the https origin that customers' browsers reach";
    let Ok(url) = Url::parse(public_url) else { return Check::fail(PAGES, format!("`{public_url}` is no URL"), help) };
    let host = url.host_str().unwrap_or_default();
    if ["0.0.0.0", "[::]"].contains(&host) {
        return Check::fail(PAGES, format!("{url} is no address that a browser reaches"), help);
    }
    match url.scheme() {
        "https" => Check::ok(PAGES, format!("at {url}")),
        _ if is_loopback(host) && said => Check::ok(PAGES, format!("at {url}, for browsers on this machine")),
        _ if is_loopback(host) => Check::warn(PAGES, format!("at {url}, so only browsers on this machine can connect accounts"), help),
        _ => Check::fail(PAGES, format!("at {url} without https: the cookies that bind an authorization to a browser cannot work"), help),
    }
}
