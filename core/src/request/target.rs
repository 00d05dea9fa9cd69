//! Request targets in origin form.

use super::{Ambiguity, CanonicalPath, Query};
use std::str::FromStr;

const FRAGMENT: Ambiguity = Ambiguity::new("fragment", "the target contains a hash sign");
const FORM: Ambiguity = Ambiguity::new("target-form", "the target is not in origin form: it has to begin with a slash");
const NON_ASCII: Ambiguity = Ambiguity::new("raw-non-ascii", "the target contains characters beyond ASCII that are not percent-encoded");

/// A target with one reading: path and query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Its path; in front of it still stands the connector, unless the host names that.
    pub path: CanonicalPath,
    /// Its query.
    pub query: Query,
}

impl Target {
    /// Reads the bytes between the blanks of a request line.
    pub(super) fn from_bytes(raw: &[u8]) -> Result<Self, Ambiguity> {
        str::from_utf8(raw).map_err(|_| NON_ASCII)?.parse()
    }

    /// Splits the segment that names the connector off: `/crm/v1/x` is `crm` and `/v1/x`; `/crm` and `/crm/` both are `crm` and `/`. The name
    /// may be empty, or no connector's.
    /// # Errors
    /// A character that stands encoded in that segment and that no operation could allow there.
    pub fn connector_by_path(&self) -> Result<(&str, CanonicalPath), Ambiguity> {
        self.path.split_first()
    }
}

/// Reads a target in origin form (RFC 9112 section 3.2.1), percent-encoded as on the wire. Absolute form, `*` and fragments are refused, and
/// whatever has two readings in path or query.
impl FromStr for Target {
    type Err = Ambiguity;
    fn from_str(raw: &str) -> Result<Self, Ambiguity> {
        if !raw.starts_with('/') {
            return Err(FORM);
        }
        if raw.as_bytes().contains(&b'#') {
            return Err(FRAGMENT);
        }
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Query::parse(query)?),
            None => (raw, Query::default()),
        };
        Ok(Self { path: path.parse()?, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_and_perhaps_a_query() {
        for (raw, path, query) in
            [("/a/b", "/a/b", None), ("/a?", "/a", Some("")), ("/a?b=/c?d", "/a", Some("b=/c?d")), ("/%41?%41=%42", "/A", Some("%41=%42"))]
        {
            let target: Target = raw.parse().unwrap();
            assert_eq!((target.path.as_str(), target.query.as_str()), (path, query), "{raw}");
        }
    }

    #[test]
    fn other_forms_and_fragments_are_refused() {
        for (raw, code) in [
            ("", "target-form"),
            ("*", "target-form"),
            ("a/b", "target-form"),
            ("?a", "target-form"),
            ("http://127.0.0.1/crm/v1", "target-form"),
            ("127.0.0.1:80", "target-form"),
            ("//evil.example/a", "empty-segment"),
            ("/a#x", "fragment"),
            ("/a?b#x", "fragment"),
            ("/a?b=c d", "query-character"),
            ("/a\u{e9}", "raw-non-ascii"),
            ("/a?\u{e9}", "query-character"),
        ] {
            assert_eq!(raw.parse::<Target>().map_err(|reason| reason.code), Err(code), "{raw}");
        }
        assert_eq!(Target::from_bytes(b"/a\xe9"), Err(NON_ASCII));
    }

    #[test]
    fn the_connector_is_the_first_segment_and_the_query_stays() {
        let target: Target = "/crm/v1/x?a=1".parse().unwrap();
        let (connector, path) = target.connector_by_path().unwrap();
        assert_eq!((connector, path.as_str()), ("crm", "/v1/x"));
        assert!("/c%2Fm/x".parse::<Target>().unwrap().connector_by_path().is_err());
    }
}
