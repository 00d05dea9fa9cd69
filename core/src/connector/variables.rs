//! Values that differ by account: an instance, a tenant, a login host.

use super::upstream::PlainHttp;
use super::upstream::{Origin, Scheme};
use indexmap::IndexMap;

pub use super::values::Variables;

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

/// A value that a variable's rule does not allow. It never repeats the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAllowed {
    /// Not `https://host` or `https://host:port`.
    #[error("the value is no origin, such as https://host or https://host:8443")]
    NoOrigin,
    /// http, and only https is allowed.
    #[error("the origin is not https")]
    PlainHttp,
    /// The host, or its port, is named by no pattern.
    #[error("no pattern of `origin_of` names this host and port")]
    OtherHost,
    /// Not in the list.
    #[error("the value is not in the list of `one_of`")]
    NotListed,
    /// Not 1 to 128 of the legal characters.
    #[error("the value is not 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-`, the first a letter or digit, no dot at the end or beside another")]
    NoLabel,
}

impl Rule {
    /// The value in the form in which templates take it; an origin stands without a final slash.
    /// # Errors
    /// What the value lacks.
    pub fn admit(&self, value: &str, plain_http: PlainHttp) -> Result<String, NotAllowed> {
        match self {
            Self::OriginOf(patterns) => admit_origin(patterns, value, plain_http),
            Self::OneOf(values) => values.iter().find(|listed| *listed == value).cloned().ok_or(NotAllowed::NotListed),
            Self::Label if is_label(value) => Ok(value.to_owned()),
            Self::Label => Err(NotAllowed::NoLabel),
        }
    }
}

/// The values that templates of a connector are filled with: `account` where a variable is `from: account`,
/// else `grant`, else its default. A value that its rule does not allow is left out, so that a template which needs it
/// cannot be filled.
#[must_use]
pub fn effective(declared: &IndexMap<String, Variable>, account: &Variables, grant: &Variables, plain_http: PlainHttp) -> Variables {
    let value = |name: &String, variable: &Variable| {
        let given = match variable.from {
            Source::Account => account.get(name),
            Source::Token { .. } | Source::Callback { .. } | Source::Lookup { .. } => grant.get(name),
        };
        variable.rule.admit(given.or(variable.default.as_ref())?, plain_http).ok()
    };
    declared.iter().filter_map(|(name, variable)| Some((name.clone(), value(name, variable)?))).collect()
}

/// Never a dot segment, and no empty label of a host.
fn is_label(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !text.contains("..")
        && !text.ends_with('.')
}

fn admit_origin(patterns: &[String], value: &str, plain_http: PlainHttp) -> Result<String, NotAllowed> {
    let origin: Origin = value.parse().map_err(|_| NotAllowed::NoOrigin)?;
    if (origin.scheme(), plain_http) == (Scheme::Http, PlainHttp::Refused) {
        return Err(NotAllowed::PlainHttp);
    }
    if patterns.iter().any(|pattern| origin.matches(pattern)) { Ok(origin.to_string()) } else { Err(NotAllowed::OtherHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_only_where_a_pattern_names_host_and_port() {
        let rule =
            Rule::OriginOf(["*.my.salesforce.com", "api.example", "127.0.0.1:8080", "[::1]:9", "*.port.example:8443"].map(String::from).into());
        for (value, admitted) in [
            ("https://one.my.salesforce.com", Ok("https://one.my.salesforce.com")),
            ("https://ONE.My.Salesforce.com/", Ok("https://one.my.salesforce.com")),
            ("https://a.sandbox.my.salesforce.com", Ok("https://a.sandbox.my.salesforce.com")),
            ("https://api.example:443", Ok("https://api.example")),
            ("https://x.port.example:8443", Ok("https://x.port.example:8443")),
            ("https://x.port.example", Err(NotAllowed::OtherHost)),
            ("https://api.example:8443", Err(NotAllowed::OtherHost)),
            ("https://my.salesforce.com", Err(NotAllowed::OtherHost)),
            ("https://.my.salesforce.com", Err(NotAllowed::NoOrigin)),
            ("https://evilmy.salesforce.com", Err(NotAllowed::OtherHost)),
            ("https://one.my.salesforce.com.evil.example", Err(NotAllowed::OtherHost)),
            ("https://xapi.example", Err(NotAllowed::OtherHost)),
            ("http://one.my.salesforce.com", Err(NotAllowed::PlainHttp)),
            ("ftp://api.example", Err(NotAllowed::NoOrigin)),
            ("https:api.example", Err(NotAllowed::NoOrigin)),
            ("api.example", Err(NotAllowed::NoOrigin)),
            ("https://api.example/path", Err(NotAllowed::NoOrigin)),
            ("https://api.example//", Err(NotAllowed::NoOrigin)),
            ("https://user@api.example", Err(NotAllowed::NoOrigin)),
            ("https://evil.example/?.my.salesforce.com", Err(NotAllowed::NoOrigin)),
            ("https://evil.example#.my.salesforce.com", Err(NotAllowed::NoOrigin)),
            ("https://evil.example\\.my.salesforce.com", Err(NotAllowed::NoOrigin)),
            ("https://api.example\r\nx", Err(NotAllowed::NoOrigin)),
            (" https://api.example", Err(NotAllowed::NoOrigin)),
            ("", Err(NotAllowed::NoOrigin)),
        ] {
            assert_eq!(rule.admit(value, PlainHttp::Refused), admitted.map(String::from), "{value}");
        }
        for (value, admitted) in
            [("http://127.0.0.1:8080", true), ("http://127.1:8080", false), ("http://127.0.0.1:81", false), ("http://[::1]:9", true)]
        {
            assert_eq!(rule.admit(value, PlainHttp::Allowed).is_ok(), admitted, "{value}");
        }
    }

    #[test]
    fn lists_and_labels_are_compared_byte_for_byte() {
        let listed = Rule::OneOf(vec!["eu".into(), "us".into()]);
        for (rule, value, admitted) in [
            (&listed, "eu", true),
            (&listed, "EU", false),
            (&listed, "", false),
            (&Rule::Label, "acme-1.eu", true),
            (&Rule::Label, "-acme", false),
            (&Rule::Label, "a/b", false),
            (&Rule::Label, "a@b", false),
            (&Rule::Label, "a..b", false),
            (&Rule::Label, "a.", false),
            (&Rule::Label, "", false),
        ] {
            assert_eq!(rule.admit(value, PlainHttp::Refused).is_ok(), admitted, "{value}");
        }
    }

    #[test]
    fn each_variable_takes_its_value_from_its_own_source_and_only_a_legal_one() {
        let one_of =
            |from, default: Option<&str>| Variable { from, default: default.map(String::from), rule: Rule::OneOf(vec!["a".into(), "b".into()]) };
        let declared = IndexMap::from([
            ("own".to_owned(), one_of(Source::Account, Some("a"))),
            ("came".to_owned(), one_of(Source::Token { pointer: "/x".into() }, None)),
            ("wrong".to_owned(), one_of(Source::Account, Some("a"))),
        ]);
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Variables>();
        let account = of(&[("came", "a"), ("wrong", "z"), ("undeclared", "a")]);
        assert_eq!(effective(&declared, &account, &of(&[("own", "b"), ("came", "b")]), PlainHttp::Refused), of(&[("own", "a"), ("came", "b")]));
    }
}
