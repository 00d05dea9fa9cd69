//! The injected token never comes back: it is overwritten by as many `*`.

use crate::connector::{Credential, Inject};
use bytes::Bytes;
use std::sync::Arc;

/// A secret to look for.
#[derive(Clone)]
pub struct Needle(Arc<str>);

impl std::fmt::Debug for Needle {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Needle(***)")
    }
}

impl Needle {
    /// What of `credential` must not be in an answer, as `inject` wrote it: the secret itself, and the encoded form in which it was sent.
    #[must_use]
    pub fn of(_credential: &Credential, _inject: &Inject) -> Vec<Self> {
        todo!()
    }
}

/// Whether bytes may be held back until it is clear whether they are the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holding {
    /// 16 bytes or more of a possible token may wait for the next chunk.
    Long,
    /// Nothing ever waits: WebSocket and gRPC messages.
    Never,
}

/// Overwrites needles in one body, chunk by chunk.
#[derive(Debug)]
pub struct Mask {}

impl Mask {
    /// At the beginning of a body.
    #[must_use]
    pub fn new(_needles: &[Needle], _holding: Holding) -> Self {
        todo!()
    }

    /// Takes a chunk and gives what can be passed on; it is the chunk itself, uncopied, where there is nothing to do.
    #[must_use]
    pub fn feed(&mut self, _chunk: Bytes) -> Bytes {
        todo!()
    }

    /// What was held back when the body ended.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        todo!()
    }

    /// How often a needle was found.
    #[must_use]
    pub fn hits(&self) -> u64 {
        todo!()
    }
}
