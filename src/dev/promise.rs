//! The six promises of the scenario, and how a test has the practice side break each.

use std::fmt;
use std::str::FromStr;

/// What the scenario shows. As the argument of a sabotage: which of them the practice side is to break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// A researcher reads an account.
    AllowedRead,
    /// The researcher's write is refused before a byte leaves.
    RefusedWrite,
    /// The publisher's write goes through.
    PublisherWrite,
    /// Both customers at once, across a refresh, see their own records only.
    BothCustomers,
    /// A specialist to whom a manager delegates is held to its own scopes.
    Delegation,
    /// An expired token is refreshed once for fifty callers.
    OneRefresh,
}

/// A text that names no promise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a promise of the scenario")]
pub struct UnknownPromise;

impl Promise {
    /// All of them, in the order in which they are played.
    pub const ALL: [Self; 6] = [Self::AllowedRead, Self::RefusedWrite, Self::PublisherWrite, Self::BothCustomers, Self::Delegation, Self::OneRefresh];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowedRead => "allowed-read",
            Self::RefusedWrite => "refused-write",
            Self::PublisherWrite => "publisher-write",
            Self::BothCustomers => "both-customers",
            Self::Delegation => "delegation",
            Self::OneRefresh => "one-refresh",
        }
    }

    /// What it says, in a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AllowedRead => "A researcher of acme reads an account, with acme's token.",
            Self::RefusedWrite => "The same researcher's write is refused, and not a byte reaches the CRM.",
            Self::PublisherWrite => "The publisher's write goes through.",
            Self::BothCustomers => "acme and globex at once, across a refresh: each sees its own records only.",
            Self::Delegation => "A manager delegates within its session; the specialist is held to its own scopes.",
            Self::OneRefresh => "Fifty calls at once meet an expired token: one refresh serves them all.",
        }
    }

    /// Takes the practice policy over, so that it breaks this promise where a policy can.
    pub(super) fn sabotage(self, policy: &str) -> String {
        let (right, wrong) = match self {
            Self::AllowedRead => ("researcher: {allow: {crm: [accounts:read, ", "researcher: {allow: {crm: ["),
            Self::RefusedWrite => ("researcher: {allow: {crm: [", "researcher: {allow: {crm: [opportunities:write, "),
            Self::PublisherWrite => {
                ("publisher: {allow: {crm: [opportunities:read, opportunities:write, ", "publisher: {allow: {crm: [opportunities:read, ")
            }
            Self::Delegation => ("responder: {allow: {crm: [", "responder: {allow: {crm: [accounts:read, "),
            Self::BothCustomers | Self::OneRefresh => return policy.to_owned(),
        };
        policy.replace(right, wrong)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

impl FromStr for Promise {
    type Err = UnknownPromise;
    fn from_str(text: &str) -> Result<Self, UnknownPromise> {
        Self::ALL.into_iter().find(|promise| promise.as_str() == text).ok_or(UnknownPromise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sabotage_of_the_policy_changes_it() {
        let policy = include_str!("crm.yaml");
        for promise in Promise::ALL {
            let by_policy = !matches!(promise, Promise::BothCustomers | Promise::OneRefresh);
            assert_eq!(promise.sabotage(policy) != policy, by_policy, "{promise}");
        }
    }
}
