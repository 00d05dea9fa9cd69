//! For each code that is of the settings alone a file in which it is found, and the same one put right.

use super::scalar::{ENVIRONMENT, SECRET_FILE, UNSERVED, VALUE};
use scopegate_core::policy::Code;

/// What a code means, and how it comes about.
#[derive(Clone, Copy, Debug)]
pub struct SettingsExample {
    /// The code.
    pub code: &'static Code,
    /// What it is about.
    pub meaning: &'static str,
    /// A settings file in which it is found.
    pub wrong: &'static str,
    /// The same put right.
    pub right: &'static str,
}

/// All of them, in order.
pub static CODE_EXAMPLES: [SettingsExample; 4] = [
    SettingsExample {
        code: &VALUE,
        meaning: "a value that is not what the key of the settings wants",
        wrong: "limits: {body: 10MB}\n",
        right: "limits: {body: 10MiB}\n",
    },
    SettingsExample {
        code: &ENVIRONMENT,
        meaning: "a `${NAME}` where the environment has no such variable",
        wrong: "admin: {token: \"${SCOPEGATE_ADMIN_TOKNE}\"}\n",
        right: "admin: {token: \"${SCOPEGATE_ADMIN_TOKEN}\"}\n",
    },
    SettingsExample {
        code: &SECRET_FILE,
        meaning: "a secret's file that cannot be read, or holds nothing",
        wrong: "clients:\n  crm: {client_id: gateway, client_secret: {file: ./nowhere}}\n",
        right: "clients:\n  crm: {client_id: gateway, client_secret: \"${SCOPEGATE_ADMIN_TOKEN}\"}\n",
    },
    SettingsExample {
        code: &UNSERVED,
        meaning: "a key that this version does not serve",
        wrong: "store: {redis: \"rediss://store.example\"}\n",
        right: "store: {embedded: ./data}\n",
    },
];

#[cfg(test)]
mod tests {
    use super::super::{Settings, SettingsError};
    use super::*;
    use scopegate_core::policy::{Origin, Source};
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_of_the_settings_has_an_example_that_shows_it_and_one_that_is_clean() {
        let known = |name: &str| (name == "SCOPEGATE_ADMIN_TOKEN").then(|| "token".to_owned());
        let found = |text: &str| -> BTreeSet<&'static str> {
            let source = Source { name: "scopegate.yaml".into(), text: text.to_owned(), origin: Origin::Own };
            match Settings::parse(source, Path::new("scopegate.yaml"), known) {
                Ok(_) => BTreeSet::new(),
                Err(SettingsError::Faulty { diagnostics, .. }) => diagnostics.iter().map(|one| one.code).collect(),
                Err(SettingsError::Unreadable { .. }) => BTreeSet::from(["unreadable"]),
            }
        };
        for example in CODE_EXAMPLES {
            assert_eq!((found(example.wrong), found(example.right)), (BTreeSet::from([example.code.id]), BTreeSet::new()), "{}", example.wrong);
        }
        // Nobody adds a code without one.
        let source = include_str!("scalar.rs");
        assert_eq!(source.matches("Code { id: \"SG").count(), CODE_EXAMPLES.len());
    }
}
