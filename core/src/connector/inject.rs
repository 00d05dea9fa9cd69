//! Where the credential stands in the upstream request.

/// The place of the credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inject {
    /// A header, with or without a scheme before the token. The default is `authorization` with `Bearer`.
    Header {
        /// Lower case.
        name: String,
        /// Followed by one blank.
        scheme: Option<String>,
    },
    /// A query parameter.
    Query {
        /// The parameter's name, as it stands in the query.
        name: String,
    },
    /// Basic authentication with the credential on one side and nothing, or what was brought, on the other.
    Basic {
        /// Which side the credential takes.
        side: BasicSide,
    },
}

/// A side of Basic authentication.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BasicSide {
    /// Before the colon.
    User,
    /// Behind the colon.
    Password,
}

impl Default for Inject {
    fn default() -> Self {
        Self::Header { name: "authorization".into(), scheme: Some("Bearer".into()) }
    }
}
