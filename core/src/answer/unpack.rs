//! Packed answers are unpacked as they come, within limits.

use bytes::Bytes;

/// A content coding that can be taken off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: zlib, or bare as some servers send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Packing {
    /// The coding of this name, in any case.
    pub(super) fn named(coding: &[u8]) -> Option<Self> {
        match coding.to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            b"br" => Some(Self::Brotli),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Why an answer cannot be unpacked; the rest of it must not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is not what its content coding says, or it ends too early.
    #[error("the packed answer is broken")]
    Broken(#[source] std::io::Error),
    /// It grows beyond what an honest answer does.
    #[error("the packed answer grows beyond the limit")]
    TooLarge,
}

/// Unpacks one body, chunk by chunk.
pub struct Unpacker {}

impl Unpacker {
    /// At the beginning of a body.
    /// # Errors
    /// No memory for the decoder.
    pub fn new(_packing: Packing) -> Result<Self, UnpackError> {
        todo!()
    }

    /// Takes a packed chunk and gives all that it unpacks to.
    /// # Errors
    /// [`UnpackError`]; nothing may be fed any more.
    pub fn feed(&mut self, _chunk: &[u8]) -> Result<Bytes, UnpackError> {
        todo!()
    }

    /// Gives the rest when the body has ended.
    /// # Errors
    /// [`UnpackError`]: an answer that ends too early among them.
    pub fn finish(&mut self) -> Result<Bytes, UnpackError> {
        todo!()
    }
}
