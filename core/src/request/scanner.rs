//! Finds the end of a head in bytes that come bit by bit.

use super::line::RequestLine;
use super::{Ambiguity, HeadFault, HeadFaultReason, HeadLimits};

const LEADING_LINE: Ambiguity = Ambiguity::new("leading-line", "an empty line stands before the request");
const BARE_LINE_FEED: Ambiguity = Ambiguity::new("bare-line-feed", "a line of the head ends without a carriage return");

/// Finds the end of an HTTP/1 head in a growing buffer, and tells early when it can become none. The answer is the same however the bytes come.
///
/// Nothing may stand before the request line, not even an empty line.
#[derive(Debug)]
pub struct HeadScanner {
    limits: HeadLimits,
    /// Bytes that hold no further line end.
    scanned: usize,
    /// Where the current line begins.
    line: usize,
    /// Header lines so far.
    headers: usize,
}

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
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, scanned: 0, line: 0, headers: 0 }
    }

    /// Looks at `buffer`: all bytes since the head began, at least as many as the last time.
    /// # Errors
    /// Bytes that can become no head: too many, a bare line feed, or a first line that is no request line of HTTP/1.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<Scan, HeadFault> {
        let seen = buffer.get(..self.limits.bytes).unwrap_or(buffer);
        if self.line == 0 {
            Self::begins(seen)?;
        }
        while let Some(found) = seen.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = self.scanned + found;
            let line = seen.get(self.line..end).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else { return Err(Self::fault(HeadFaultReason::Ambiguous(BARE_LINE_FEED), seen)) };
            if self.line == 0 {
                RequestLine::read(line).map_err(|reason| Self::fault(HeadFaultReason::Ambiguous(reason), seen))?;
            } else if line.is_empty() {
                return Ok(Scan::Head(end + 1));
            } else {
                self.headers += 1;
            }
            if self.headers > self.limits.headers {
                return Err(Self::fault(HeadFaultReason::TooLarge, seen));
            }
            self.scanned = end + 1;
            self.line = end + 1;
        }
        self.scanned = seen.len();
        if seen.len() >= self.limits.bytes { Err(Self::fault(HeadFaultReason::TooLarge, seen)) } else { Ok(Scan::More) }
    }

    fn begins(seen: &[u8]) -> Result<(), HeadFault> {
        let reason = match seen.first() {
            None => return Ok(()),
            Some(b'\r' | b'\n') => Err(LEADING_LINE),
            Some(_) => RequestLine::may_begin(seen),
        };
        reason.map_err(|reason| HeadFault::at(HeadFaultReason::Ambiguous(reason), b""))
    }

    fn fault(reason: HeadFaultReason, seen: &[u8]) -> HeadFault {
        let line = seen.split(|byte| *byte == b'\n').next().unwrap_or_default();
        HeadFault::at(reason, line.strip_suffix(b"\r").unwrap_or(line))
    }
}
