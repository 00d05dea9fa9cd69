//! Who consented.

use scopegate_core::id::{CustomerId, Identifier};
use std::fmt;
use std::str::FromStr;

/// Who consented at the practice provider: a customer, and the name under which its tokens are told apart, such as
/// `acme/user_1_researcher`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label {
    customer: CustomerId,
    name: Identifier,
}

/// A text that is no label.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a label: CUSTOMER/NAME")]
pub struct InvalidLabel;

impl Label {
    /// The label of this customer's consent under this name.
    #[must_use]
    pub const fn new(customer: CustomerId, name: Identifier) -> Self {
        Self { customer, name }
    }

    /// Whose data it is.
    #[must_use]
    pub const fn customer(&self) -> &CustomerId {
        &self.customer
    }

    /// The name beside the customer.
    #[must_use]
    pub const fn name(&self) -> &Identifier {
        &self.name
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;
    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let (customer, name) = text.split_once('/').ok_or(InvalidLabel)?;
        Ok(Self { customer: customer.parse().map_err(|_| InvalidLabel)?, name: name.parse().map_err(|_| InvalidLabel)? })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.customer, self.name)
    }
}
