//! The connectors that ship in the binary: `policies/` of this repository.

use scopegate_core::policy::{Origin, Source};

macro_rules! shipped {
    ($($name:literal)+) => {
        &[$((concat!("catalog:", $name, ".yaml"), include_str!(concat!("../../policies/", $name, ".yaml")))),+]
    };
}

/// Name and text of each document.
const SHIPPED: &[(&str, &str)] = shipped!["github" "google-gmail" "jira" "notion" "pagerduty" "salesforce" "slack" "stripe"];

/// The shipped documents, as sources for [`compile`](scopegate_core::policy::compile).
#[must_use]
pub fn sources() -> Vec<Source> {
    SHIPPED.iter().map(|(name, text)| Source { name: (*name).into(), text: (*text).into(), origin: Origin::Catalog }).collect()
}
