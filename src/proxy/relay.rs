//! What pingora calls for each request. Nothing is decided here: each call goes to the [`Visit`] that the request pays us.

use super::multiplex::Ticket;
use super::request::{Link, Visit};
use crate::gateway::BodyEnd;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use std::any::Any;
use std::time::Duration;

/// Our side of pingora's proxy; it holds nothing.
#[derive(Debug)]
pub(super) struct Relay;

/// The visit that pingora carries along. A request that comes without one was not read by us, and goes nowhere.
fn known(visit: &mut Option<Box<Visit>>) -> Result<&mut Visit> {
    visit.as_deref_mut().ok_or_else(|| Error::new_in(ErrorType::InternalError))
}

fn end(of_stream: bool) -> BodyEnd {
    if of_stream { BodyEnd::Last } else { BodyEnd::More }
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = Option<Box<Visit>>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    /// Without the module that would pack answers.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    fn on_connection_reuse(&self, _: &mut Session, ctx: &mut Self::CTX, brought: Box<dyn Any + Send + Sync>) {
        *ctx = brought.downcast().ok();
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        if ctx.is_none() {
            *ctx = session.req_header().extensions.get::<Ticket>().and_then(Ticket::redeem);
        }
        known(ctx)?.admit(session).await
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        known(ctx)?.peer()
    }

    fn fail_to_connect(&self, _: &mut Session, peer: &HttpPeer, ctx: &mut Self::CTX, mut error: Box<Error>) -> Box<Error> {
        let again = ctx.as_mut().is_some_and(|visit| visit.turns_to_next_address(peer, &error));
        error.set_retry(again);
        error
    }

    async fn upstream_request_filter(&self, _: &mut Session, request: &mut RequestHeader, ctx: &mut Self::CTX) -> Result<()> {
        *request = known(ctx)?.leaves(request.version)?;
        Ok(())
    }

    async fn request_body_filter(&self, _: &mut Session, body: &mut Option<Bytes>, ends: bool, ctx: &mut Self::CTX) -> Result<()> {
        known(ctx)?.body_passes(body, end(ends));
        Ok(())
    }

    async fn upstream_response_filter(&self, session: &mut Session, answer: &mut ResponseHeader, ctx: &mut Self::CTX) -> Result<()> {
        known(ctx)?.answered(session, answer).await
    }

    fn upstream_response_body_filter(&self, _: &mut Session, body: &mut Option<Bytes>, ends: bool, ctx: &mut Self::CTX) -> Result<Option<Duration>> {
        known(ctx)?.answer_passes(body, end(ends))?;
        Ok(None)
    }

    async fn response_trailer_filter(&self, _: &mut Session, trailers: &mut HeaderMap, ctx: &mut Self::CTX) -> Result<Option<Bytes>> {
        known(ctx)?.trailers_pass(trailers)
    }

    async fn response_filter(&self, session: &mut Session, answer: &mut ResponseHeader, ctx: &mut Self::CTX) -> Result<()> {
        known(ctx)?.frame(session, answer)
    }

    fn error_while_proxy(&self, peer: &HttpPeer, session: &mut Session, mut error: Box<Error>, ctx: &mut Self::CTX, reused: bool) -> Box<Error> {
        let link = if reused { Link::Pooled } else { Link::Fresh };
        let again = ctx.as_mut().is_some_and(|visit| visit.tries_again(session, peer, &error, link));
        error.set_retry(again);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        let error_code = match ctx {
            Some(visit) => visit.has_failed(session, error).await,
            None => 0,
        };
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        if let Some(visit) = ctx.take() {
            visit.departs(session, error);
        }
    }

    /// pingora's own records name nothing of a request.
    fn request_summary(&self, _: &Session, _: &Self::CTX) -> String {
        String::new()
    }

    /// Failures are told by the audit, and by the visit.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}
