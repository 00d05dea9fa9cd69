//! Each endpoint called once, without a credential: does its name resolve, may we go there, does it speak TLS that we
//! trust and HTTP; and what time is it there.

use super::connectors::{addresses, in_use};
use super::egress::trust;
use super::{Check, told};
use crate::clock::Clock;
use crate::http_client::{CallError, HttpClient};
use crate::settings::Settings;
use crate::tasks::Tasks;
use http::HeaderMap;
use scopegate_core::policy::PolicySet;
use scopegate_core::time::Timestamp;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use url::Url;

const ENDPOINTS: &str = "endpoints";
const CLOCK: &str = "clock";

/// What a call came to.
struct Called {
    check: Check,
    /// How far our clock is ahead of that of the endpoint, in milliseconds.
    ahead: Option<i64>,
}

pub(super) async fn endpoints(settings: &Settings, clock: &Clock, policies: &PolicySet) -> Vec<Check> {
    let egress = settings.egress.rules();
    let Ok(client) = HttpClient::new(egress, &trust(settings)) else { return Vec::new() };
    // One address of several connectors is called once.
    let mut called: BTreeMap<Url, String> = BTreeMap::new();
    let mut checks = Vec::new();
    for connector in in_use(settings, policies) {
        let addresses = addresses(connector);
        if !addresses.iter().any(|(what, _)| *what == "upstream") {
            checks.push(Check::ok(ENDPOINTS, format!("{}: {} differs by account, and is not called", connector.id, *connector.upstream)));
        }
        for (what, url) in addresses {
            called.entry(url).or_insert_with(|| format!("{}: {what}", connector.id));
        }
    }
    let tasks = Tasks::new(tokio::runtime::Handle::current());
    let (sender, mut results) = mpsc::unbounded_channel();
    for (number, (url, name)) in called.into_iter().enumerate() {
        let (client, clock, sender) = (client.clone(), clock.clone(), sender.clone());
        tasks.spawn("endpoint", async move {
            // Whoever asked may have gone.
            let _ = sender.send((number, call(&client, &clock, &name, &url).await));
        });
    }
    drop(sender);
    let mut ended = BTreeMap::new();
    while let Some((number, result)) = results.recv().await {
        ended.insert(number, result);
    }
    let skews: Vec<i64> = ended.values().filter_map(|called| called.ahead).collect();
    checks.extend(ended.into_values().map(|called| called.check));
    checks.extend(skew(&skews));
    checks
}

async fn call(client: &HttpClient, clock: &Clock, name: &str, url: &Url) -> Called {
    let began = clock.instant();
    let answered = client.get(url, &[]).await;
    let took = clock.instant().since(began);
    let at = format!("{name} {url}");
    let ms = took.as_millis();
    match answered {
        Ok(answer) => {
            let message = format!("{at} answered {} in {ms} ms", answer.status);
            let check = if answer.status < 500 {
                Check::ok(ENDPOINTS, message)
            } else {
                Check::warn(ENDPOINTS, message, "look at the provider's status page")
            };
            // The date was written about half way.
            let ahead = date(&answer.headers).map(|there| clock.timestamp().minus(took / 2).millis().saturating_sub(there.millis()));
            Called { check, ahead }
        }
        Err(CallError::TooLarge) => Called { check: Check::ok(ENDPOINTS, format!("{at} answered at length in {ms} ms")), ahead: None },
        Err(error) => {
            let help = match error {
                CallError::Denied(_) => "look at `egress.allow_networks` and `egress.allow_http`",
                CallError::Unconnected(_) => "look at name, route, firewall and certificates between here and there",
                CallError::Unwritable | CallError::Lost(_) | CallError::TooLarge => "look at what stands between here and there",
            };
            Called { check: Check::fail(ENDPOINTS, format!("{at}: {}", told(&error)), help), ahead: None }
        }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(http::header::DATE)?.to_str().ok()?)
}

/// Judges our clock by those of the endpoints, in milliseconds ahead of each. The nearest one counts: one of them may be wrong itself.
pub(super) fn skew(ahead: &[i64]) -> Option<Check> {
    let nearest = ahead.iter().copied().min_by_key(|millis| millis.saturating_abs())?;
    let seconds = nearest.saturating_abs() / 1000;
    let way = if nearest > 0 { "ahead of" } else { "behind" };
    let help = "set the clock (NTP): tokens would be refreshed too late, or assertions refused";
    Some(match seconds {
        ..=4 => Check::ok(CLOCK, format!("as at {} endpoints, to a few seconds", ahead.len())),
        5..60 => Check::warn(CLOCK, format!("{seconds} s {way} all endpoints"), help),
        60.. => Check::fail(CLOCK, format!("{seconds} s {way} all endpoints"), help),
    })
}
