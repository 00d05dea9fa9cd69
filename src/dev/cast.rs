//! Who plays: two customers with three roles each at the practice CRM, and one account at each shipped connector.

use crate::practice::Label;

/// The connector of the practice CRM.
pub(super) const CRM: &str = "crm";

/// One connected account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// At which API.
    pub connector: &'static str,
    /// What an agent calls it.
    pub identifier: &'static str,
    /// Whose data it is.
    pub customer: &'static str,
    /// What it may do at most.
    pub role: &'static str,
}

/// An account at a shipped connector, and a read that shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Borrowed {
    /// The account.
    pub member: Member,
    /// A target that its role may GET.
    pub target: &'static str,
}

impl Member {
    /// Under what name its customer consents; none where its names are none.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        Some(Label::new(self.customer.parse().ok()?, self.identifier.parse().ok()?))
    }
}

const fn member(identifier: &'static str, customer: &'static str, role: &'static str) -> Member {
    Member { connector: CRM, identifier, customer, role }
}

pub(super) const RESEARCHER: Member = member("user_1_researcher", "acme", "researcher");
pub(super) const PUBLISHER: Member = member("user_1_publisher", "acme", "publisher");
pub(super) const RESPONDER: Member = member("user_1_responder", "acme", "responder");
pub(super) const OTHER_RESEARCHER: Member = member("user_2_researcher", "globex", "researcher");
pub(super) const OTHER_PUBLISHER: Member = member("user_2_publisher", "globex", "publisher");
pub(super) const OTHER_RESPONDER: Member = member("user_2_responder", "globex", "responder");

/// The accounts at the practice CRM.
#[must_use]
pub const fn members() -> [Member; 6] {
    [RESEARCHER, PUBLISHER, RESPONDER, OTHER_RESEARCHER, OTHER_PUBLISHER, OTHER_RESPONDER]
}

/// The accounts at the shipped connectors, all of them acme's.
#[must_use]
pub const fn borrowed() -> [Borrowed; 5] {
    [
        shipped("salesforce", "user_1_researcher", "researcher", "/salesforce/services/data/v60.0/sobjects/Account/001"),
        shipped("slack", "user_1_responder", "responder", "/slack/api/conversations.list"),
        shipped("google-gmail", "user_1_researcher", "researcher", "/google-gmail/gmail/v1/users/me/profile"),
        shipped("github", "user_1_researcher", "researcher", "/github/repos/acme/site"),
        shipped("pagerduty", "user_1_responder", "responder", "/pagerduty/incidents"),
    ]
}

const fn shipped(connector: &'static str, identifier: &'static str, role: &'static str, target: &'static str) -> Borrowed {
    Borrowed { member: Member { connector, identifier, customer: "acme", role }, target }
}
