//! Secrets: no `Display`, a redacted `Debug`, no use as a map key, wiped when dropped.

use std::fmt;
use zeroize::Zeroizing;

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, serde::Deserialize, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "plain")] Zeroizing<String>);

        impl $name {
            /// Takes the secret over.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(Zeroizing::new(text))
            }

            /// The secret itself. Every use is a place to look at in a review.
            #[must_use]
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(concat!(stringify!($name), "(***)"))
            }
        }

        const _: fn() = <$name as Undisplayed<_>>::proven;
    )+};
}

/// Where a type has `Display`, both implementations fit, and what asks for one without saying which does not compile.
trait Undisplayed<Which> {
    fn proven() {}
}

struct Displayed;

impl<T> Undisplayed<()> for T {}
impl<T: fmt::Display> Undisplayed<Displayed> for T {}

secrets! {
    /// An access token (RFC 6749 section 1.4). `Serialize` exists for the sealed record alone.
    AccessToken;
    /// A refresh token (RFC 6749 section 1.5). `Serialize` exists for the sealed record alone.
    RefreshToken;
    /// The secret of our own OAuth registration.
    ClientSecret;
    /// A key, password or other static credential that a customer brought.
    ApiKey;
    /// A PKCE verifier (RFC 7636 section 4.1), the code that belongs to it, or a browser's cookie: proof in an authorization.
    Proof;
    /// A handle as the agent shows it.
    HandleText;
    /// The admin API's bearer token, or a caller's key.
    BearerSecret;
}

mod plain {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(from).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_kind_and_nothing_else() {
        assert_eq!(format!("{:?}", AccessToken::new("canary".into())), "AccessToken(***)");
    }
}
