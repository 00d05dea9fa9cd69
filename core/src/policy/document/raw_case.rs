//! Tests as they stand in documents: read, and still knowing their places.

use crate::scope::ProviderScope;

/// A place in a document.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A text, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The text.
    pub text: String,
    /// Where it begins.
    pub place: Place,
}

/// One request of a test. Connector, role, operation, reason and scopes that it names are known, else
/// [`super::compile`](crate::policy::compile) reports them and hands no case over.
#[derive(Clone, Debug)]
pub struct RawCase {
    /// The test's name.
    pub name: String,
    /// Who asks.
    pub role: Placed,
    /// What the customer granted; none: all that the role needs.
    pub granted: Option<Vec<ProviderScope>>,
    /// The connector.
    pub connector: Placed,
    /// The method.
    pub method: Placed,
    /// Path and query as they stand in a request line, without the connector's segment.
    pub target: Placed,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// `allow OPERATION`, or `deny REASON [SCOPE...]`; words separated by one blank.
    pub expect: Placed,
}
