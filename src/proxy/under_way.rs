//! One request, as the door gives it to pingora.

use super::progress::{Pace, Progress};
use crate::gateway::BodyFault;
use bytes::{Buf, Bytes, BytesMut};
use scopegate_core::request::{ChunkReader, Framing, Head, Version};
use tokio::io::ReadBuf;

/// The request at hand.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// What pingora reads next, whatever the stage.
    pub(super) ready: Bytes,
    pub(super) stage: Stage,
    pub(super) progress: Progress,
}

/// What pingora may read behind the head.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing: all of the request was given, or none is under way. What comes belongs to the next.
    Whole,
    /// A body of known length.
    Sized { left: u64 },
    /// A body in chunks; `framed` was read of it and waits for pingora.
    Chunked { reader: ChunkReader, framed: BytesMut, ended: bool },
    /// Nothing yet: the request offers to change the protocol, and the upstream has not answered. pingora believes that a body
    /// is under way; were there none, it would close a connection whose 101 comes before it has looked for that.
    Offered,
    /// Whatever comes: the connection speaks another protocol.
    Raw,
}

impl UnderWay {
    /// The request that `head` began.
    pub(super) fn begin(head: &Head, pace: Pace) -> Self {
        let stage = match head.framing {
            Framing::None if head.websocket => Stage::Offered,
            Framing::None | Framing::Length(0) => Stage::Whole,
            Framing::Length(left) => Stage::Sized { left },
            Framing::Chunked => Stage::Chunked { reader: ChunkReader::new(), framed: BytesMut::new(), ended: false },
        };
        let expected = matches!(stage, Stage::Sized { .. } | Stage::Chunked { .. }).then_some(pace);
        Self { ready: Bytes::new(), stage, progress: Progress::begin(expected) }
    }

    /// Gives pingora the head to read.
    pub(super) fn let_in(&mut self, head: &Head) {
        self.ready = head_for_pingora(head);
    }

    /// No request.
    pub(super) fn none() -> Self {
        Self { ready: Bytes::new(), stage: Stage::Whole, progress: Progress::begin(None) }
    }

    /// Moves what is here of the body from `came` to pingora, and says how many bytes that was.
    pub(super) fn give_body(&mut self, came: &mut BytesMut, pace: Pace, to: &mut ReadBuf<'_>) -> usize {
        match &mut self.stage {
            Stage::Whole | Stage::Offered | Stage::Raw => 0,
            Stage::Sized { left } => {
                let given = give(came, usize::try_from(*left).unwrap_or(usize::MAX), to);
                *left -= given as u64;
                if *left == 0 {
                    self.stage = Stage::Whole;
                }
                self.progress.arrived(given, pace);
                given
            }
            Stage::Chunked { framed, .. } if framed.is_empty() => {
                self.reframe(came, pace);
                self.give_framed(to)
            }
            Stage::Chunked { .. } => self.give_framed(to),
        }
    }

    /// Moves the content that is here of the body from `came` to `body`, instead of giving it to pingora.
    pub(super) fn take_body(&mut self, came: &mut BytesMut, pace: Pace, body: &mut BytesMut) {
        let before = body.len();
        match &mut self.stage {
            Stage::Whole | Stage::Offered | Stage::Raw => return,
            Stage::Sized { left } => {
                let taken = came.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(came.len()));
                body.extend_from_slice(&taken);
                *left -= taken.len() as u64;
                if *left == 0 {
                    self.stage = Stage::Whole;
                }
            }
            Stage::Chunked { reader, .. } => match reader.feed(came, |piece| body.extend_from_slice(piece)) {
                Ok(fed) => {
                    came.advance(fed.used);
                    if fed.ended {
                        self.stage = Stage::Whole;
                    }
                }
                Err(ambiguity) => self.progress.fail(BodyFault::Ambiguous(ambiguity)),
            },
        }
        self.progress.arrived(body.len() - before, pace);
    }

    fn give_framed(&mut self, to: &mut ReadBuf<'_>) -> usize {
        let Stage::Chunked { framed, ended, .. } = &mut self.stage else { return 0 };
        let given = give(framed, usize::MAX, to);
        if *ended && framed.is_empty() {
            self.stage = Stage::Whole;
        }
        given
    }

    /// Reads chunks and writes them anew, so that pingora has nothing to interpret.
    fn reframe(&mut self, came: &mut BytesMut, pace: Pace) {
        let Stage::Chunked { reader, framed, ended } = &mut self.stage else { return };
        let mut content = 0;
        let fed = reader.feed(came, |piece| {
            content += piece.len();
            framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            framed.extend_from_slice(piece);
            framed.extend_from_slice(b"\r\n");
        });
        match fed {
            Ok(fed) => {
                came.advance(fed.used);
                *ended = fed.ended;
                if fed.ended {
                    framed.extend_from_slice(b"0\r\n\r\n");
                }
            }
            Err(ambiguity) => self.progress.fail(BodyFault::Ambiguous(ambiguity)),
        }
        self.progress.arrived(content, pace);
    }
}

/// The head that pingora reads: what it needs to frame both messages, and nothing else of what the client sent.
pub(super) fn head_for_pingora(head: &Head) -> Bytes {
    let version = if head.version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let framing = match head.framing {
        Framing::None if !head.websocket => String::new(),
        Framing::Length(length) => format!("Content-Length: {length}\r\n"),
        Framing::None | Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    let connection = match (head.websocket, head.keep_alive) {
        (true, _) => "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        (false, true) => "",
        (false, false) => "Connection: close\r\n",
    };
    format!("{} / {version}\r\nHost: scopegate\r\n{framing}{connection}\r\n", head.method).into()
}

/// A body that was read whole, framed as pingora was told.
pub(super) fn body_for_pingora(head: &Head, body: &Bytes) -> Bytes {
    match head.framing {
        Framing::None | Framing::Length(_) => body.clone(),
        Framing::Chunked if body.is_empty() => Bytes::from_static(b"0\r\n\r\n"),
        Framing::Chunked => [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat().into(),
    }
}

/// Moves at most `most` bytes, and says how many.
pub(super) fn give(from: &mut impl Buf, most: usize, to: &mut ReadBuf<'_>) -> usize {
    let given = from.remaining().min(most).min(to.remaining());
    from.copy_to_slice(to.initialize_unfilled_to(given));
    to.advance(given);
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use scopegate_core::request::HeadLimits;

    #[test]
    fn pingora_gets_a_head_that_says_nothing_but_the_framing() {
        for (sent, written) in [
            ("GET /crm/v1?q=1 HTTP/1.1\nHost: a\nCookie: b\nExpect: 100-continue", "GET / HTTP/1.1\r\nHost: scopegate\r\n\r\n"),
            ("GET / HTTP/1.1\nHost: a\nConnection: close", "GET / HTTP/1.1\r\nHost: scopegate\r\nConnection: close\r\n\r\n"),
            ("PUT / HTTP/1.1\nHost: a\nContent-Length: 5", "PUT / HTTP/1.1\r\nHost: scopegate\r\nContent-Length: 5\r\n\r\n"),
            ("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", "PUT / HTTP/1.1\r\nHost: scopegate\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (
                "GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nSec-WebSocket-Version: 13",
                "GET / HTTP/1.1\r\nHost: scopegate\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ),
            ("GET / HTTP/1.0\nHost: a", "GET / HTTP/1.0\r\nHost: scopegate\r\nConnection: close\r\n\r\n"),
        ] {
            let text = format!("{}\r\n\r\n", sent.replace('\n', "\r\n"));
            let head = Head::read(&Bytes::from(text), &HeadLimits::STANDARD).unwrap();
            assert_eq!(String::from_utf8_lossy(&head_for_pingora(&head)), written, "{sent}");
        }
    }
}
