//! Who may use the admin plane: whoever brings the admin token.
//!
//! **Invariant: everything under `/v1` asks for the token, also what is not there.**
//! The decision is made on the path, before any route is looked up, so that a new
//! route cannot forget it.

use super::Plane;
use super::problem::{Presented, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use scopegate_core::secret::BearerSecret;

/// The admin token, as a digest: compared in constant time, whatever the length of what is compared.
#[derive(Clone, Debug)]
pub(super) struct AdminToken(blake3::Hash);

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetricsAccess {
    /// Everyone who reaches the admin listener.
    Open,
    /// Whoever brings the admin token (`admin.metrics: token`).
    Token,
}

impl AdminToken {
    pub(super) fn new(token: &BearerSecret) -> Self {
        Self(blake3::hash(token.reveal().as_bytes()))
    }

    /// Whether the request carries the token, and nothing beside it.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Presented> {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let Some(only) = all.next() else { return Err(Presented::Nothing) };
        let Some((scheme, given)) = split(only.as_bytes()) else { return Err(Presented::Nothing) };
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(Presented::Nothing);
        }
        if all.next().is_none() && self.is(given) { Ok(()) } else { Err(Presented::Wrong) }
    }

    /// Whether this is it.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        // `blake3::Hash` compares in constant time
        blake3::hash(given) == self.0
    }
}

fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(blank)?;
    Some((scheme, rest.trim_ascii()))
}

/// Lets a request through that brings the token, or needs none.
pub(super) async fn guard(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let private = path == "/v1" || path.starts_with("/v1/") || (path == "/metrics" && plane.metrics_access == MetricsAccess::Token);
    match if private { plane.token.check(request.headers()) } else { Ok(()) } {
        Ok(()) => next.run(request).await,
        Err(presented) => Problem::Unauthenticated(presented).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_the_one_whole_token_opens() {
        let token = AdminToken::new(&BearerSecret::new("s3cret".into()));
        for (values, expected) in [
            (&["Bearer s3cret"][..], Ok(())),
            (&["bearer  s3cret"], Ok(())),
            (&[], Err(Presented::Nothing)),
            (&["s3cret"], Err(Presented::Nothing)),
            (&["Basic s3cret"], Err(Presented::Nothing)),
            (&["Bearer "], Err(Presented::Wrong)),
            (&["Bearer s3cre"], Err(Presented::Wrong)),
            (&["Bearer s3crets"], Err(Presented::Wrong)),
            (&["Bearer S3CRET"], Err(Presented::Wrong)),
            (&["Bearer s3cret", "Bearer s3cret"], Err(Presented::Wrong)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(token.check(&headers), expected, "{values:?}");
        }
    }
}
