//! Counts what HTTP/2 itself turns away.
//!
//! The `h2` crate answers malformed requests on its own: a stream or the connection ends with an error, or a head that is too
//! large gets a bare 431. Nobody above hears of it, so that the frames that leave are looked at: nine bytes each, and for
//! two kinds their error code. Of what comes the crate lets one mistake pass, which is caught here: a client that does not begin
//! with its settings.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113, section 6.
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
/// Length, type, flags, stream.
const HEAD: usize = 9;

/// What left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    /// A head, or trailers.
    Head,
    /// The end of a stream or of the connection, with a word for a client's mistake.
    Error,
}

/// A wire whose frames are told of as they leave.
pub(super) struct Tap<W, T> {
    wire: W,
    frames: Frames,
    opening: Opening,
    tell: T,
}

impl<W, T: FnMut(Left)> Tap<W, T> {
    pub(super) fn new(wire: W, tell: T) -> Self {
        Self { wire, frames: Frames::default(), opening: Opening::default(), tell }
    }
}

/// How many bytes came, up to the kind and the flags of the first frame.
#[derive(Debug, Default)]
struct Opening(usize);

impl Opening {
    /// Whether what came so far may begin a connection: settings, and no acknowledgement of any. The preface is the `h2` crate's to judge.
    fn holds(&mut self, bytes: &[u8]) -> bool {
        const KIND: usize = PREFACE.len() + 3;
        const FLAGS: usize = KIND + 1;
        let from = self.0;
        self.0 = from.saturating_add(bytes.len()).min(FLAGS + 1);
        let came = |at: usize| bytes.get(at.checked_sub(from)?).copied();
        from > FLAGS || (came(KIND).is_none_or(|kind| kind == SETTINGS) && came(FLAGS).is_none_or(|flags| flags & 1 == 0))
    }
}

/// Where in a frame the bytes stand.
#[derive(Debug, Default)]
struct Frames {
    /// Head of the frame at hand, and as much of its payload as is looked at.
    seen: Vec<u8>,
    /// Payload that is still to come and is not looked at.
    skip: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8], tell: &mut impl FnMut(Left)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = self.wanted();
            let taken = bytes.len().min(wanted - self.seen.len());
            let (now, later) = bytes.split_at(taken);
            self.seen.extend_from_slice(now);
            bytes = later;
            if self.seen.len() == self.wanted() && !self.seen.is_empty() {
                self.frame(tell);
            }
        }
    }

    /// How many bytes of the frame at hand are looked at, as far as is known.
    fn wanted(&self) -> usize {
        match self.seen.get(3) {
            Some(&RST_STREAM) if self.seen.len() >= HEAD => HEAD + 4,
            Some(&GOAWAY) if self.seen.len() >= HEAD => HEAD + 8,
            _ => HEAD,
        }
    }

    fn frame(&mut self, tell: &mut impl FnMut(Left)) {
        let [high, middle, low, kind, ..] = self.seen[..] else { return };
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if kind == HEADERS {
            tell(Left::Head);
        }
        let code = self.seen.last_chunk::<4>().filter(|_| self.seen.len() > HEAD).map(|code| u32::from_be_bytes(*code));
        // 1 protocol error, 3 flow control, 4 settings time-out, 5 stream closed, 6 frame size, 9 compression, 11 calm
        if matches!(code, Some(1 | 3..=6 | 9 | 11)) {
            tell(Left::Error);
        }
        self.skip = (HEAD + length).saturating_sub(self.seen.len());
        self.seen.clear();
    }
}

impl<W: AsyncRead + Unpin, T: FnMut(Left) + Unpin> AsyncRead for Tap<W, T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (tap, before) = (self.get_mut(), to.filled().len());
        ready!(Pin::new(&mut tap.wire).poll_read(cx, to))?;
        if tap.opening.holds(to.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Ok(()));
        }
        (tap.tell)(Left::Error);
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }
}

impl<W: AsyncWrite + Unpin, T: FnMut(Left) + Unpin> AsyncWrite for Tap<W, T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let written = ready!(Pin::new(&mut tap.wire).poll_write(cx, bytes))?;
        tap.frames.pass(bytes.get(..written).unwrap_or_default(), &mut tap.tell);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let written = ready!(Pin::new(&mut tap.wire).poll_write_vectored(cx, pieces))?;
        let mut left = written;
        for piece in pieces {
            let gone = piece.get(..left.min(piece.len())).unwrap_or_default();
            tap.frames.pass(gone, &mut tap.tell);
            left -= gone.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &[0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_connection_begins_with_settings_however_its_bytes_are_cut() {
        for (kind, flags, holds) in [(SETTINGS, 0, true), (SETTINGS, 1, false), (HEADERS, 4, false), (6, 0, false)] {
            let bytes = [PREFACE, &[0, 0, 6, kind, flags, 0, 0, 0, 0], &[7; 100]].concat();
            for cut in 0..bytes.len() {
                let (mut opening, (first, second)) = (Opening::default(), bytes.split_at(cut));
                assert_eq!(opening.holds(first) && opening.holds(second), holds, "{kind} {flags}, cut at {cut}");
            }
        }
    }

    #[test]
    fn heads_and_errors_are_told_of_however_the_bytes_are_cut() {
        let calm = [[0; 4], 11_u32.to_be_bytes()].concat();
        let all = [
            frame(4, &[]),
            frame(HEADERS, b"head"),
            frame(0, &[0; 300]),
            frame(RST_STREAM, &1_u32.to_be_bytes()),
            frame(RST_STREAM, &8_u32.to_be_bytes()),
            frame(HEADERS, b""),
            frame(GOAWAY, &[calm.as_slice(), b"too many resets"].concat()),
            frame(GOAWAY, &[0; 8]),
        ]
        .concat();
        for cut in 0..=all.len() {
            let (mut told, mut frames) = (Vec::new(), Frames::default());
            let (first, second) = all.split_at(cut);
            frames.pass(first, &mut |left| told.push(left));
            frames.pass(second, &mut |left| told.push(left));
            assert_eq!(told, [Left::Head, Left::Error, Left::Head, Left::Error], "cut at {cut}");
        }
    }
}
