//! Values that differ by account: an instance, a tenant, a login host.

use super::upstream::{Origin, PlainHttp, Scheme};
use std::collections::BTreeMap;

/// Values of variables by name.
pub type Variables = BTreeMap<String, String>;

/// One variable of a connector, and what its values may be.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Where its value comes from.
    pub from: Source,
    /// The value where none came.
    pub default: Option<String>,
    /// What values are legal.
    pub rule: Rule,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A JSON pointer into the token answer.
    Token {
        /// RFC 6901.
        pointer: String,
    },
    /// A parameter of the callback's query, such as `realmId`.
    Callback {
        /// The parameter's name.
        parameter: String,
    },
    /// A JSON pointer into the answer of the connector's `oauth.lookup` call.
    Lookup {
        /// RFC 6901.
        pointer: String,
    },
    /// Given by whoever makes the account.
    Account,
}

/// What a variable's value may be. There is no rule that allows everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// An origin whose host matches one of these patterns (`*.example.com`, `example.com`, `127.0.0.1:8080`).
    OriginOf(Vec<String>),
    /// One of these values.
    OneOf(Vec<String>),
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or digit: safe as a host label or a path segment.
    Label,
}

/// A value that its variable's rule does not admit. It never repeats the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InadmissibleValue(&'static str);

const NO_ORIGIN: InadmissibleValue = InadmissibleValue("the value is no origin such as `https://host.example`");
const PLAIN: InadmissibleValue = InadmissibleValue("the value is an http origin, and only https is allowed");
const OTHER_ORIGIN: InadmissibleValue = InadmissibleValue("the value is an origin that no pattern of `origin_of` names");
const NOT_LISTED: InadmissibleValue = InadmissibleValue("the value is not one of `one_of`");
const NO_LABEL: InadmissibleValue = InadmissibleValue("the value is not 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-`, the first a letter or digit");

impl Rule {
    /// Checks a value that came for the variable.
    /// # Errors
    /// A sentence that says what the value had to be.
    pub fn admits(&self, value: &str, http: PlainHttp) -> Result<(), InadmissibleValue> {
        match self {
            Self::OriginOf(patterns) => {
                let origin: Origin = value.parse().map_err(|_| NO_ORIGIN)?;
                if (origin.scheme(), http) == (Scheme::Http, PlainHttp::Refused) {
                    return Err(PLAIN);
                }
                if patterns.iter().any(|pattern| origin.matches(pattern)) { Ok(()) } else { Err(OTHER_ORIGIN) }
            }
            Self::OneOf(values) if values.iter().any(|known| known == value) => Ok(()),
            Self::OneOf(_) => Err(NOT_LISTED),
            Self::Label if is_label(value) => Ok(()),
            Self::Label => Err(NO_LABEL),
        }
    }
}

/// Never a dot segment, and no label of a host that is empty.
fn is_label(value: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    value.len() <= 128
        && value.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !value.ends_with('.')
        && !value.contains("..")
        && value.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_to_match_a_pattern_and_to_be_https() {
        let rule = Rule::OriginOf(vec!["*.my.salesforce.com".into(), "127.0.0.1:9000".into()]);
        for (value, http, expected) in [
            ("https://one.my.salesforce.com", PlainHttp::Refused, Ok(())),
            ("https://one.my.salesforce.com/", PlainHttp::Refused, Ok(())),
            ("http://one.my.salesforce.com", PlainHttp::Refused, Err(PLAIN)),
            ("http://127.0.0.1:9000", PlainHttp::Allowed, Ok(())),
            ("http://127.0.0.1:9000", PlainHttp::Refused, Err(PLAIN)),
            ("http://127.0.0.1:9001", PlainHttp::Allowed, Err(OTHER_ORIGIN)),
            ("http://127.0.0.1:9000/?.my.salesforce.com", PlainHttp::Allowed, Err(NO_ORIGIN)),
            ("http://x.my.salesforce.com@127.0.0.1:9000", PlainHttp::Allowed, Err(NO_ORIGIN)),
            ("https://one.my.salesforce.com/path", PlainHttp::Refused, Err(NO_ORIGIN)),
            ("one.my.salesforce.com", PlainHttp::Refused, Err(NO_ORIGIN)),
        ] {
            assert_eq!(rule.admits(value, http), expected, "{value}");
        }
    }

    #[test]
    fn a_value_is_one_of_the_list_or_a_plain_label() {
        let rule = Rule::OneOf(vec!["login.salesforce.com".into(), "test.salesforce.com".into()]);
        for (value, expected) in [
            ("login.salesforce.com", Ok(())),
            ("LOGIN.salesforce.com", Err(NOT_LISTED)),
            ("login.salesforce.com.evil.example", Err(NOT_LISTED)),
            ("login.salesforce.com/evil", Err(NOT_LISTED)),
            ("", Err(NOT_LISTED)),
        ] {
            assert_eq!(rule.admits(value, PlainHttp::Refused), expected, "{value}");
        }
        for value in ["acme", "7f-3", "a.b_c", &"x".repeat(128)] {
            assert_eq!(Rule::Label.admits(value, PlainHttp::Refused), Ok(()), "{value}");
        }
        for value in ["", ".", "..", "-a", "_a", "a..b", "a.", "a/b", "a:b", "a@b", "a b", "a%2f", "\u{e9}", "a\n", &"x".repeat(129)] {
            assert_eq!(Rule::Label.admits(value, PlainHttp::Refused), Err(NO_LABEL), "{value}");
        }
    }
}
