//! HTTP/2 frame by frame: a client that sends what no library would.

use crate::raw;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Kinds of frames (RFC 9113, section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITISED: u8 = 0x20;

/// A frame of HTTP/2 as bytes (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What a client says before its first frame.
pub(crate) const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client says first, with empty settings.
pub(crate) fn preface() -> Vec<u8> {
    [HELLO, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// A literal field without indexing (RFC 7541, section 6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The fields of a request.
pub(crate) fn fields(method: &str, path: &str, account: &str) -> Vec<u8> {
    [field(":method", method), field(":scheme", "http"), field(":authority", "localhost"), field(":path", path), field("scopegate-account", account)]
        .concat()
}

/// A frame that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code at the end of a RST_STREAM, or behind the last stream of a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The status, where it stands first, as it does.
    pub(crate) fn status(&self) -> u16 {
        match self.payload[0] {
            // RFC 7541, appendix A
            indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
            // a literal whose name is the table's 8th: length, and digits by the table of appendix B
            _ => {
                let (length, digits) = (self.payload[1], &self.payload[2..]);
                assert_eq!(length & 0x80, 0x80, "{self:?}");
                let bits: String = digits[..usize::from(length & 0x7f)].iter().map(|byte| format!("{byte:08b}")).collect();
                let number = |bits: Option<&str>| bits.and_then(|bits| u16::from_str_radix(bits, 2).ok());
                let (mut at, mut status) = (0, 0);
                // what is left is padding of ones
                while let Some(short) = number(bits.get(at..at + 5)).filter(|short| *short < 0b11000) {
                    let (digit, taken) = if short < 3 { (short, 5) } else { (number(bits.get(at..at + 6)).unwrap() - 22, 6) };
                    status = status * 10 + digit;
                    at += taken;
                }
                status
            }
        }
    }
}

/// A connection on which the test says each byte.
pub(crate) struct Frames {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Frames {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self { stream: raw::connect(to).await, read: Vec::new() }
    }

    /// Sends, as far as the other side still takes it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; none where the other side has ended the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((head, rest)) = self.read.split_first_chunk::<9>() {
                let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
                if rest.len() >= length {
                    let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
                    let frame = Frame { kind: head[3], flags: head[4], stream, payload: rest[..length].to_vec() };
                    self.read.drain(..9 + length);
                    return Some(frame);
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(1..) => {}
                // a reset is an end too
                Ok(0) | Err(_) => return None,
            }
        }
    }
}
