//! What handlers are given: bodies, queries and the account that a path names, read strictly.

use super::Plane;
use super::problem::{Problem, Thing};
use super::strict;
use axum::body::BodyDataStream;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use futures_core::Stream as _;
use scopegate_core::account::ConnectedAccount;
use scopegate_core::connector::Connector;
use scopegate_core::id::{ConnectorId, Identifier};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// The largest body that is read: a dry run carries the body of the request that it judges.
const LARGEST_BODY: usize = 16 << 20;

/// How long a body may take; one in lines, each piece of it.
const BODY: Duration = Duration::from_secs(30);

/// How much of a body in lines has to come in this time: a long import may take longer than any other body, as long as it comes.
const PIECE: usize = 256 << 10;

/// A JSON body; none at all counts as an empty object, and the media type is not looked at.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Plane> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Plane) -> Result<Self, Problem> {
        let whole = tokio::time::timeout(BODY, axum::body::to_bytes(request.into_body(), LARGEST_BODY)).await;
        let bytes = whole.map_err(|_| Problem::TooSlow)?.map_err(|_| Problem::TooLarge)?;
        Ok(Self(strict::json(&bytes)?))
    }
}

/// A body that is text in lines.
pub(super) struct Lines(pub Bytes);

impl FromRequest<Plane> for Lines {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Plane) -> Result<Self, Problem> {
        whole(request.into_body(), BODY).await.map(|bytes| Self(bytes.into()))
    }
}

/// All of a body that comes piece by piece, each of which may take so long.
async fn whole(body: axum::body::Body, patience: Duration) -> Result<Vec<u8>, Problem> {
    let (mut frames, mut bytes) = (body.into_data_stream(), Vec::new());
    let mut ended = false;
    while !ended {
        let most = bytes.len() + PIECE;
        let piece = async {
            while bytes.len() < most {
                let Some(frame) = next(&mut frames).await else { return Ok(true) };
                bytes.extend_from_slice(&frame.map_err(|_| Problem::TooLarge)?);
                if bytes.len() > LARGEST_BODY {
                    return Err(Problem::TooLarge);
                }
            }
            Ok(false)
        };
        ended = tokio::time::timeout(patience, piece).await.map_err(|_| Problem::TooSlow)??;
    }
    Ok(bytes)
}

async fn next(frames: &mut BodyDataStream) -> Option<Result<Bytes, axum::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *frames).poll_next(context)).await
}

impl Lines {
    /// The lines that hold something, with their numbers from 1.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (1..).zip(self.0.split(|byte| *byte == b'\n')).map(|(number, line)| (number, line.trim_ascii())).filter(|(_, line)| !line.is_empty())
    }
}

/// The parameters of a query; an unknown one is refused, for a filter that is misspelt would show too much.
pub(super) struct Filter<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Filter<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(strict::pairs(url::form_urlencoded::parse(query.as_bytes()).into_owned())?))
    }
}

/// Names a connected account.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AccountParams {
    /// The connector's name.
    connector: String,
    /// The account's identifier.
    identifier: String,
}

/// The place of an account: its names are well formed; whether there is one is not known.
pub(super) struct AccountPlace {
    pub connector: ConnectorId,
    pub identifier: Identifier,
}

impl FromRequestParts<Plane> for AccountPlace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        let Path(AccountParams { connector, identifier }) =
            Path::from_request_parts(parts, plane).await.map_err(|_| Problem::field("identifier", "must be UTF-8"))?;
        let connector = connector.parse().map_err(|_| Problem::Unknown(Thing::Connector))?;
        let identifier = identifier.parse().map_err(|fault| Problem::field("identifier", format_args!("is {fault}")))?;
        Ok(Self { connector, identifier })
    }
}

impl AccountPlace {
    /// The connector's facts.
    pub(super) fn facts(&self, plane: &Plane) -> Result<Arc<Connector>, Problem> {
        plane.policies.policies().connector(self.connector.as_str()).cloned().ok_or(Problem::Unknown(Thing::Connector))
    }

    /// The account that is there. One whose connector has left the policies can still be seen and deleted.
    pub(super) fn find(&self, plane: &Plane) -> Result<ConnectedAccount, Problem> {
        plane
            .directory
            .find(&self.connector, &self.identifier)
            .map_or_else(|| Err(self.facts(plane).err().unwrap_or(Problem::Unknown(Thing::Account))), Ok)
    }
}

/// The account that a path names; it exists.
pub(super) struct Existing(pub ConnectedAccount);

impl FromRequestParts<Plane> for Existing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        AccountPlace::from_request_parts(parts, plane).await?.find(plane).map(Self)
    }
}

/// Names an identifier, at whatever connector.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct IdentifierParam {
    /// The identifier.
    identifier: String,
}

/// An identifier that a path names; whether an account has it is not known.
pub(super) struct NamedIdentifier(pub Identifier);

impl FromRequestParts<Plane> for NamedIdentifier {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Problem> {
        let Path(IdentifierParam { identifier }) =
            Path::from_request_parts(parts, plane).await.map_err(|_| Problem::field("identifier", "must be UTF-8"))?;
        identifier.parse().map(Self).map_err(|fault| Problem::field("identifier", format_args!("is {fault}")))
    }
}

/// Names of a path that are read by the handler itself. What is no UTF-8 names nothing.
pub(super) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(names) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::NoSuchRoute)?;
        Ok(Self(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body as Sent;
    use std::convert::Infallible;
    use std::task::Poll;

    /// A body of these pieces, each after so long, and then nothing any more; or its end.
    fn body(pieces: usize, size: usize, pause: Duration, ends: bool) -> Sent {
        struct Pieces(Vec<Bytes>, Duration, bool, std::pin::Pin<Box<tokio::time::Sleep>>);
        impl futures_core::Stream for Pieces {
            type Item = Result<Bytes, Infallible>;
            fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
                if self.0.is_empty() {
                    return if self.2 { Poll::Ready(None) } else { Poll::Pending };
                }
                std::task::ready!(self.3.as_mut().poll(context));
                self.3 = Box::pin(tokio::time::sleep(self.1));
                Poll::Ready(self.0.pop().map(Ok))
            }
        }
        Sent::from_stream(Pieces(vec![vec![b'x'; size].into(); pieces], pause, ends, Box::pin(tokio::time::sleep(pause))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_lines_may_take_long_as_long_as_it_comes() {
        let long = whole(body(16, PIECE / 2, Duration::from_secs(14), true), BODY).await.unwrap();
        assert_eq!(long.len(), 8 * PIECE);
        for (name, slow) in [("stops", body(3, PIECE, Duration::ZERO, false)), ("trickles", body(1_000, 1, Duration::from_secs(1), true))] {
            assert!(matches!(whole(slow, BODY).await, Err(Problem::TooSlow)), "{name}");
        }
        assert!(matches!(whole(body(17, 1 << 20, Duration::ZERO, true), BODY).await, Err(Problem::TooLarge)));
    }
}
