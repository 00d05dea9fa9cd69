//! Where a body ends.

use super::{Ambiguity, Headers, Version};

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes; perhaps none.
    Length(u64),
    /// Nobody knows yet: chunks over HTTP/1 ([`ChunkReader`](super::ChunkReader)), DATA frames over HTTP/2.
    Chunked,
}

/// What an HTTP/2 stream says about its body besides headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamBody {
    /// The stream ended with the head.
    Ended,
    /// DATA frames may follow.
    Open,
}

impl Framing {
    /// Reads `content-length` and `transfer-encoding` of an HTTP/1 head.
    /// # Errors
    /// Two lengths, a length that is not plain digits, a length beside chunks, any transfer coding but one `chunked`.
    pub(super) fn read(_headers: &Headers, _version: Version) -> Result<Self, Ambiguity> {
        todo!()
    }
}
