//! What may be wrong with a deployment: one check after the other, each with what was found and what to do about it.
//!
//! Runs beside a server on the same folder, and without one. It looks, and changes nothing: the store is read, a file that
//! shows whether a folder can be written is taken away again, and no call carries a credential. A gateway that has one of the
//! addresses is asked for what it refuses, and notes that.

mod access;
mod audit;
mod connectors;
mod egress;
mod endpoints;
mod listeners;
mod machine;
mod store;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::settings::Settings;
use scopegate_core::policy::PolicySet;
use serde::Serialize;

/// One check, and what it found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found: one lower-case sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and may not go on like that.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// The word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Check {
    /// All is well.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), help: None }
    }

    fn warn(check: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check, status: Status::Warn, message: message.into(), help: Some(help.into()) }
    }

    /// It does not work.
    pub fn fail(check: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check, status: Status::Fail, message: message.into(), help: Some(help.into()) }
    }
}

/// Whether the endpoints of connectors are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Nothing leaves this machine.
    Offline,
    /// Each endpoint is called once, without a credential.
    Online,
}

/// Looks at everything that the settings name.
pub async fn examine(settings: &Settings, clock: &Clock, reach: Reach) -> Vec<Check> {
    let (mut checks, policies) = connectors::policies(settings);
    let looked = store::look(settings);
    checks.extend(store::key(settings, &looked));
    checks.extend(store::store(settings, &looked));
    checks.extend(audit::audit(settings));
    checks.push(machine::clock(settings, clock));
    checks.push(machine::open_files());
    checks.extend(egress::egress(settings).await);
    checks.extend(access::admin(settings));
    checks.extend(listeners::listeners(settings).await);
    if let Some(policies) = policies {
        checks.extend(connectors::clients(settings, &policies));
        checks.extend(online(settings, clock, &policies, reach).await);
    }
    checks
}

async fn online(settings: &Settings, clock: &Clock, policies: &PolicySet, reach: Reach) -> Vec<Check> {
    match reach {
        Reach::Offline => Vec::new(),
        Reach::Online => endpoints::endpoints(settings, clock, policies).await,
    }
}

/// An error with its causes, as one sentence.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
