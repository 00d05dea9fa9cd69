//! Request methods.

use super::Ambiguity;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

const METHOD: Ambiguity = Ambiguity::new("method", "the method is no word of up to 32 upper-case letters, digits and hyphens");
const METHOD_NEVER: Ambiguity = Ambiguity::new("method-never-forwarded", "CONNECT and TRACE are never forwarded");

/// The longest method that is read.
pub(super) const LONGEST: usize = 32;

/// A request method: an uppercase token (RFC 9110 section 9.1) that may be forwarded; never CONNECT or TRACE.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Method(Cow<'static, str>);

const COMMON: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

impl Method {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it promises to change nothing (RFC 9110 section 9.2.1).
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Whether sending it twice does as much as sending it once (RFC 9110 section 9.2.2).
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self.as_str(), "PUT" | "DELETE")
    }
}

/// `[A-Z][A-Z0-9-]*`, at most 32 bytes.
impl FromStr for Method {
    type Err = Ambiguity;
    fn from_str(text: &str) -> Result<Self, Ambiguity> {
        if let Some(common) = COMMON.into_iter().find(|common| *common == text) {
            return Ok(Self(Cow::Borrowed(common)));
        }
        let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if text.len() > LONGEST || !text.starts_with(|first: char| first.is_ascii_uppercase()) || !text.bytes().all(legal) {
            return Err(METHOD);
        }
        if matches!(text, "CONNECT" | "TRACE") {
            return Err(METHOD_NEVER);
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

impl From<Method> for Cow<'static, str> {
    fn from(method: Method) -> Self {
        method.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_an_upper_case_word_and_never_connect_or_trace() {
        for good in ["GET", "PATCH", "M-SEARCH", "PROPFIND", "X2", &"X".repeat(32)] {
            assert_eq!(good.parse::<Method>().unwrap().as_str(), good);
        }
        for bad in ["", "get", "Get", "1GET", "-GET", "GE T", "GET\t", "GÉT", "GET_X", &"X".repeat(33)] {
            assert_eq!(bad.parse::<Method>(), Err(METHOD), "{bad:?}");
        }
        for never in ["CONNECT", "TRACE"] {
            assert_eq!(never.parse::<Method>(), Err(METHOD_NEVER), "{never}");
        }
    }

    #[test]
    fn safe_methods_are_idempotent_and_so_are_put_and_delete() {
        let sorted = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "REPORT"].map(|text| {
            let method: Method = text.parse().unwrap();
            (method.is_safe(), method.is_idempotent())
        });
        assert_eq!(sorted, [(true, true), (true, true), (true, true), (false, true), (false, true), (false, false), (false, false), (false, false)]);
    }
}
