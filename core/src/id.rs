//! Names of things. Each is parsed once; from then on the compiler carries the proof.

use arcstr::ArcStr;
use std::fmt;
use std::str::FromStr;

/// A text that is not a name of the kind asked for. It never repeats the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid {kind}: {rule}")]
pub struct InvalidName {
    /// What the text should have named, such as `connector`.
    pub kind: &'static str,
    /// The rule that it breaks, in words.
    pub rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $legal:path, $rule:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(ArcStr);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, for whoever keeps it as such.
            #[must_use]
            pub fn to_shared(&self) -> ArcStr {
                self.0.clone()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $legal(text) { Ok(Self(text.into())) } else { Err(InvalidName { kind: $kind, rule: $rule }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

names! {
    /// One upstream API, as it stands in a policy document and as the first segment of a target.
    ConnectorId, "connector", is_slug, "1 to 64 of a-z, 0-9, `.`, `_`, `-`, the first a letter or digit";
    /// An operation of a connector, unique within it.
    OperationId, "operation id", is_operation, "1 to 256 printable ASCII characters without `\"`, `\\`, `+` and outer blanks";
    /// A role of the policy documents.
    RoleName, "role", is_role, "1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`, the first a letter or digit";
    /// What an agent sends to name a connected account.
    Identifier, "identifier", is_identifier, "1 to 128 of A-Z, a-z, 0-9 and `._:@|+~=-`, the first a letter or digit, never beginning with `sgh_`";
    /// The tenant whose data it is.
    CustomerId, "customer", is_identifier, "1 to 128 of A-Z, a-z, 0-9 and `._:@|+~=-`, the first a letter or digit, never beginning with `sgh_`";
    /// One run of a crew of agents.
    SessionId, "session", is_identifier, "1 to 128 of A-Z, a-z, 0-9 and `._:@|+~=-`, the first a letter or digit, never beginning with `sgh_`";
}

macro_rules! hex_ids {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id made of 16 random bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                read_hex(text).map(Self).ok_or(InvalidName { kind: $kind, rule: HEX_RULE })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(HexDigits::of(&self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(to, "{}({self})", stringify!($name))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(HexDigits::of(&self.0).as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

hex_ids! {
    /// One connected account for ever: a deleted account's id is never given again. 32 hex digits.
    AccountId, "account id";
    /// One grant for ever. 32 hex digits.
    GrantId, "grant id";
    /// Names a handle without being it. 32 hex digits.
    HandleId, "handle id";
    /// One attempt to authorize an account. 32 hex digits.
    AuthorizationId, "authorization id";
    /// One request at the gateway. 32 hex digits.
    RequestId, "request id";
}

const HEX_RULE: &str = "32 lower-case hex digits";

/// 32 lower-case hex digits, without an allocation: every request writes some.
struct HexDigits([u8; 32]);

impl HexDigits {
    fn of(bytes: &[u8; 16]) -> Self {
        let mut digits = [0; 32];
        // Cannot fail: there are twice as many digits as bytes.
        let _ = hex::encode_to_slice(bytes, &mut digits);
        Self(digits)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn read_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    (!upper && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

fn is_slug(text: &str) -> bool {
    within(text, 64, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn is_role(text: &str) -> bool {
    within(text, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_identifier(text: &str) -> bool {
    within(text, 128, |byte| byte.is_ascii_alphanumeric() || b"._:@|+~=-".contains(&byte)) && !text.starts_with("sgh_")
}

fn within(text: &str, most: usize, legal: impl Fn(u8) -> bool) -> bool {
    text.len() <= most && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && text.bytes().all(legal)
}

fn is_operation(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.trim() == text
        && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_what_the_contract_says_and_nothing_else() {
        for good in ["user_123_researcher", "a", "7", "A.b:c@d|e+f~g=h-i", &"x".repeat(128)] {
            assert!(good.parse::<Identifier>().is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "sgh_abc", "a b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_of_chance_is_32_lower_case_hex_digits() {
        let text = "00010203040506070809a0b0c0d0e0ff";
        assert_eq!(text.parse::<AccountId>().unwrap().to_string(), text);
        for bad in ["", text.trim_start_matches("00"), &format!("{text}0"), &text.to_uppercase(), &text.replace('f', "g")] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_operation_id_may_be_a_method_and_a_template() {
        for good in ["account.get", "GET /users/{id}", "a/b:c"] {
            assert!(good.parse::<OperationId>().is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a+b", "a\"b", "a\\b", "a\nb"] {
            assert!(bad.parse::<OperationId>().is_err(), "{bad:?}");
        }
    }
}
