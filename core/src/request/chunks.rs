//! Chunked bodies (RFC 9112 section 7.1), read strictly and bit by bit.

use super::Ambiguity;

/// Finds where a chunked body ends, however its bytes come. Sizes are plain hex digits, extensions are refused, trailers are checked and dropped.
#[derive(Debug)]
pub struct ChunkReader {}

/// What [`ChunkReader::feed`] made of its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fed {
    /// So many bytes of the input belong to this body; what follows them is the next request.
    pub used: usize,
    /// So many of them are passed on as they are; the rest are trailers, which are dropped.
    pub kept: usize,
    /// Whether the body has ended. Whoever passes the chunks on then adds one CRLF behind the kept bytes.
    pub ended: bool,
}

impl ChunkReader {
    /// At the beginning of a body.
    #[must_use]
    pub fn new() -> Self {
        todo!()
    }

    /// Reads on. `payload` gets each piece of content, in order. Once the body has ended nothing more is used.
    /// # Errors
    /// What is no chunk: the connection cannot be used any further.
    pub fn feed<'a>(&mut self, _input: &'a [u8], _payload: impl FnMut(&'a [u8])) -> Result<Fed, Ambiguity> {
        todo!()
    }

    /// Bytes of content so far.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        todo!()
    }
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}
