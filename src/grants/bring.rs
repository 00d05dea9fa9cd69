//! Credentials that exist already and are brought.

use super::install::{Fresh, InstallError};
use super::{Grants, Shared};
use scopegate_core::account::{AccountRecord, ConnectedAccount, Credential, Granted, TokenSet, fits_a_header};
use scopegate_core::connector::PlainHttp;
use scopegate_core::connector::variables::{NotAllowed, Source, Variables, effective};
use scopegate_core::connector::{Connector, Inject};
use scopegate_core::oauth::read_scopes;
use scopegate_core::secret::{AccessToken, ApiKey, RefreshToken};
use std::error::Error;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// An existing credential, and what otherwise comes with the token answer.
#[derive(Debug)]
pub struct Brought {
    /// The credential.
    pub credential: BroughtCredential,
    /// Values of variables that are not `from: account`.
    pub variables: Variables,
}

/// An existing credential.
#[derive(Debug)]
pub enum BroughtCredential {
    /// What a provider issued.
    Tokens {
        /// The access token.
        access: AccessToken,
        /// What the next one is bought with.
        refresh: Option<RefreshToken>,
        /// From now on; none: not known, or as the connector's table says.
        expires_in: Option<Duration>,
        /// What was granted, separated by blanks; none: all that the role needs.
        scope: Option<String>,
    },
    /// A static key.
    Key(ApiKey),
    /// User and password.
    Basic {
        /// Without a colon.
        user: String,
        /// The secret half.
        password: ApiKey,
    },
}

/// Why a credential was not taken. Nothing changed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BringError {
    /// No policy has the account's connector.
    #[error("no policy has the account's connector")]
    UnknownConnector,
    /// No request can carry it where this connector wants it.
    #[error("`{field}` cannot be carried by a request of this connector")]
    Unusable {
        /// Which field of the credential.
        field: &'static str,
    },
    /// A variable is wrong.
    #[error("the variable `{name}`: {fault}")]
    Variable {
        /// Which; as it was given, where it is unknown.
        name: String,
        /// What is wrong with it.
        fault: VariableFault,
    },
    /// Store or vault did not take it.
    #[error("the credential could not be kept")]
    Store,
}

/// What is wrong with a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VariableFault {
    /// The connector has no such variable that comes with a credential.
    Unknown,
    /// It has no value, and no default.
    Missing,
    /// It has none, and the API did not tell whoever asked with the credential.
    NotTold,
    /// Its rule does not allow the value.
    NotAllowed(NotAllowed),
}

impl fmt::Display for VariableFault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => to.write_str("the connector has none of this name that comes with a credential"),
            Self::Missing => to.write_str("it has no value"),
            Self::NotTold => to.write_str("the lookup with this credential told none"),
            Self::NotAllowed(fault) => fault.fmt(to),
        }
    }
}

impl Grants {
    /// Brings an existing credential; it takes the place of what the account had, for all that share it.
    /// # Errors
    /// [`BringError`]; then nothing changed.
    pub async fn bring(&self, account: &AccountRecord, brought: Brought) -> Result<ConnectedAccount, BringError> {
        let connector = self.0.connector(&account.connector).ok_or(BringError::UnknownConnector)?;
        let mut fresh = self.0.carried(&connector, brought)?;
        self.0.look_up_the_rest(&connector, account, &mut fresh).await?;
        complete(&connector, &fresh.variables)?;
        self.0.install(&account.id, fresh, None).await.map_err(|error| {
            tracing::error!(account = %account.id, error = &error as &dyn Error, "a credential that was brought could not be kept");
            match error {
                InstallError::Keep(_) | InstallError::Gone { .. } | InstallError::Restless { .. } => BringError::Store,
            }
        })
    }
}

impl Shared {
    /// The credential, where requests of this connector can carry it and all is told that comes with one.
    pub(super) fn fresh(&self, connector: &Connector, brought: Brought) -> Result<Fresh, BringError> {
        let fresh = self.carried(connector, brought)?;
        complete(connector, &fresh.variables).map(|()| fresh)
    }

    /// Asks the API for variables that it tells whoever has the credential, where one of them lacks. Those that were given stand.
    async fn look_up_the_rest(&self, connector: &Connector, account: &AccountRecord, fresh: &mut Fresh) -> Result<(), BringError> {
        let plain_http = self.provider.plain_http();
        let Some(name) = missing(connector, &fresh.variables) else { return Ok(()) };
        let is_told = connector.variables.get(name).is_some_and(|variable| matches!(variable.from, Source::Lookup { .. }));
        let (true, Some(oauth)) = (is_told, &connector.oauth) else { return Ok(()) };
        let known = effective(&connector.variables, &account.variables, &fresh.variables, plain_http);
        let told = self.provider.look_up(connector, oauth, &known, &fresh.credential).await.map_err(|error| {
            tracing::warn!(connector = %connector.id, account = %account.id, error = &error as &dyn Error, "the lookup for a credential that was brought failed");
            BringError::Variable { name: name.clone(), fault: VariableFault::NotTold }
        })?;
        if let Some((name, fault)) = told.refused.into_iter().find(|(name, _)| connector.uses(name) && !fresh.variables.contains_key(name)) {
            return Err(BringError::Variable { name, fault: VariableFault::NotAllowed(fault) });
        }
        for (name, value) in told.values {
            if !fresh.variables.contains_key(&name) {
                fresh.variables.insert(name, value);
            }
        }
        Ok(())
    }

    /// The credential, where requests of this connector can carry it.
    fn carried(&self, connector: &Connector, brought: Brought) -> Result<Fresh, BringError> {
        let Brought { credential, variables } = brought;
        let variables = given(connector, &variables, self.provider.plain_http())?;
        let usable = |text: &str, field| if fits_a_header(text) { Ok(()) } else { Err(BringError::Unusable { field }) };
        let table = connector.oauth.as_ref().and_then(|oauth| oauth.expires_in);
        let (credential, lifetime, granted) = match credential {
            BroughtCredential::Tokens { access, refresh, expires_in, scope } => {
                usable(access.reveal(), "access_token")?;
                // RFC 6749 appendix A.17.
                let legal = |token: &RefreshToken| !token.reveal().is_empty() && token.reveal().bytes().all(|byte| matches!(byte, 0x20..=0x7e));
                if !refresh.as_ref().is_none_or(legal) {
                    return Err(BringError::Unusable { field: "refresh_token" });
                }
                let granted = scope.map_or(Granted::Assumed, |text| Granted::of(read_scopes(&text)));
                (Credential::Tokens(TokenSet { access, refresh }), expires_in.map(capped).or(table), granted)
            }
            BroughtCredential::Key(key) => {
                usable(key.reveal(), "api_key")?;
                (Credential::Key(key), None, Granted::Assumed)
            }
            BroughtCredential::Basic { user, password } => {
                if !takes_a_pair(connector) || user.contains(':') || user.chars().chain(password.reveal().chars()).any(char::is_control) {
                    return Err(BringError::Unusable { field: "basic" });
                }
                (Credential::Basic { user, password }, None, Granted::Assumed)
            }
        };
        Ok(Fresh { credential, granted, issued_at: self.clock.timestamp(), lifetime, variables })
    }
}

fn capped(lifetime: Duration) -> Duration {
    lifetime.min(Duration::from_secs(10 * 366 * 24 * 60 * 60))
}

/// Whether user and password can stand where the connector wants its credential.
fn takes_a_pair(connector: &Connector) -> bool {
    match connector.inject.as_ref() {
        Inject::Basic { .. } => true,
        Inject::Header { name, .. } => name == "authorization",
        Inject::Query { .. } => false,
    }
}

/// The values that were given, in the form in which templates take them.
fn given(connector: &Connector, values: &Variables, plain_http: PlainHttp) -> Result<Variables, BringError> {
    let wrong = |name: &String, fault| BringError::Variable { name: name.clone(), fault };
    let comes_along = |name: &String| connector.variables.get(name).filter(|variable| variable.from != Source::Account);
    let mut taken = Variables::new();
    for (name, value) in values {
        let variable = comes_along(name).ok_or_else(|| wrong(name, VariableFault::Unknown))?;
        let value = variable.rule.admit(value, plain_http).map_err(|fault| wrong(name, VariableFault::NotAllowed(fault)))?;
        taken.insert(name.clone(), value);
    }
    Ok(taken)
}

/// All that have no default must be there.
fn complete(connector: &Connector, values: &Variables) -> Result<(), BringError> {
    match missing(connector, values) {
        Some(name) => Err(BringError::Variable { name: name.clone(), fault: VariableFault::Missing }),
        None => Ok(()),
    }
}

/// The first variable that comes with a credential, is needed, and has neither value nor default.
pub(super) fn missing<'a>(connector: &'a Connector, values: &Variables) -> Option<&'a String> {
    let lacks = |(name, variable): &(&String, &scopegate_core::connector::Variable)| {
        variable.from != Source::Account && variable.default.is_none() && !values.contains_key(name) && connector.uses(name)
    };
    connector.variables.iter().find(lacks).map(|(name, _)| name)
}
