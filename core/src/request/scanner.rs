//! Finds the end of a head in bytes that come bit by bit.

use super::{HeadFault, HeadLimits};

/// Finds the end of an HTTP/1 head in a growing buffer, and tells early when it can become none. The answer is the same however the bytes come.
///
/// Nothing may stand before the request line, not even an empty line.
#[derive(Debug)]
pub struct HeadScanner {}

/// What a [`HeadScanner`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scan {
    /// The head has not ended yet.
    More,
    /// The head is so many bytes long, its empty line included.
    Head(usize),
}

impl HeadScanner {
    /// At the beginning of a head.
    #[must_use]
    pub fn new(_limits: HeadLimits) -> Self {
        todo!()
    }

    /// Looks at `buffer`: all bytes since the head began, at least as many as the last time.
    /// # Errors
    /// Bytes that can become no head: too many, a bare line feed, or a first line that is no request line of HTTP/1.
    pub fn scan(&mut self, _buffer: &[u8]) -> Result<Scan, HeadFault> {
        todo!()
    }
}
