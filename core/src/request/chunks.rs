//! Chunked bodies (RFC 9112 section 7.1), read strictly and bit by bit.

use super::{Ambiguity, headers};

const SIZE: Ambiguity = Ambiguity::new("chunk-size", "a chunk does not begin with a plain hexadecimal size");
const EXTENSION: Ambiguity = Ambiguity::new("chunk-extension", "a chunk carries an extension");
const LINE_END: Ambiguity = Ambiguity::new("chunk-end", "a chunk does not end where its size says");
const TRAILER: Ambiguity = Ambiguity::new("trailer", "a trailer is no header, or one that may not stand behind a body");
const TRAILERS: Ambiguity = Ambiguity::new("trailers", "the trailers are longer than 4 KiB");

/// Digits of a chunk's size: 4 GiB and more is nobody's chunk.
const DIGITS: u8 = 8;

/// Bytes of all trailers together.
const TRAILER_BYTES: usize = 4 << 10;

/// Finds where a chunked body ends, however its bytes come. Sizes are plain hex digits, extensions are refused, trailers are checked and dropped.
#[derive(Debug)]
pub struct ChunkReader {
    state: State,
    content: u64,
    /// Bytes of trailers so far, line ends included.
    trailers: usize,
    /// The trailer line that is being read.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Size { value: u64, digits: u8 },
    SizeLineFeed { value: u64 },
    Content { left: u64 },
    ContentReturn,
    ContentLineFeed,
    Trailer,
    TrailerLineFeed,
    Ended,
}

const FIRST: State = State::Size { value: 0, digits: 0 };

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
        Self { state: FIRST, content: 0, trailers: 0, line: Vec::new() }
    }

    /// Reads on. `payload` gets each piece of content, in order. Once the body has ended nothing more is used.
    /// # Errors
    /// What is no chunk: the connection cannot be used any further.
    pub fn feed<'a>(&mut self, input: &'a [u8], mut payload: impl FnMut(&'a [u8])) -> Result<Fed, Ambiguity> {
        let mut rest = input;
        let mut kept = 0;
        while let (Some((byte, behind)), false) = (rest.split_first(), self.state == State::Ended) {
            if let State::Content { left } = self.state {
                let (content, behind) = rest.split_at_checked(usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or((rest, &[]));
                let left = left - content.len() as u64;
                self.content += content.len() as u64;
                self.state = if left == 0 { State::ContentReturn } else { State::Content { left } };
                payload(content);
                rest = behind;
                kept = input.len() - rest.len();
                continue;
            }
            let framed = !matches!(self.state, State::Trailer | State::TrailerLineFeed);
            self.state = self.step(*byte)?;
            rest = behind;
            if framed {
                kept = input.len() - rest.len();
            }
        }
        Ok(Fed { used: input.len() - rest.len(), kept, ended: self.state == State::Ended })
    }

    /// Bytes of content so far.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.content
    }

    /// Takes one byte that is no content.
    fn step(&mut self, byte: u8) -> Result<State, Ambiguity> {
        match (self.state, byte) {
            (State::Size { value, digits }, b'\r') if digits > 0 => Ok(State::SizeLineFeed { value }),
            (State::Size { digits, .. }, b';' | b' ' | b'\t') if digits > 0 => Err(EXTENSION),
            (State::Size { value, digits }, byte) => {
                let digit = char::from(byte).to_digit(16).filter(|_| digits < DIGITS).ok_or(SIZE)?;
                Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (State::SizeLineFeed { value: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeLineFeed { value: left }, b'\n') => Ok(State::Content { left }),
            (State::ContentReturn, b'\r') => Ok(State::ContentLineFeed),
            (State::ContentLineFeed, b'\n') => Ok(FIRST),
            (State::Trailer, b'\r') => Ok(State::TrailerLineFeed),
            (State::Trailer, byte) => {
                self.line.push(byte);
                self.count_trailer()?;
                Ok(State::Trailer)
            }
            (State::TrailerLineFeed, b'\n') if self.line.is_empty() => Ok(State::Ended),
            (State::TrailerLineFeed, b'\n') => {
                judge_trailer(&self.line)?;
                self.line.clear();
                self.count_trailer()?;
                Ok(State::Trailer)
            }
            (State::TrailerLineFeed, _) => Err(TRAILER),
            (State::SizeLineFeed { .. } | State::Content { .. } | State::ContentReturn | State::ContentLineFeed | State::Ended, _) => Err(LINE_END),
        }
    }

    fn count_trailer(&mut self) -> Result<(), Ambiguity> {
        self.trailers += 1;
        if self.trailers > TRAILER_BYTES { Err(TRAILERS) } else { Ok(()) }
    }
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}

/// A trailer frames, routes, authenticates and describes nothing (RFC 9110 section 6.5.1).
fn judge_trailer(line: &[u8]) -> Result<(), Ambiguity> {
    let (name, _) = headers::read_line(line).map_err(|_| TRAILER)?;
    let name = name.as_str().replace('_', "-");
    let forbidden = [
        "authorization",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let begins = ["content-", "scopegate-", "proxy-", "x-http-method", "x-method-override", "if-"];
    if forbidden.contains(&name.as_str()) || begins.iter().any(|prefix| name.starts_with(prefix)) { Err(TRAILER) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Content, what is passed on, and how many bytes were used, when the bytes come in these pieces.
    #[derive(Debug, Eq, PartialEq)]
    struct Outcome {
        content: Vec<u8>,
        passed: Vec<u8>,
        used: usize,
        ended: Result<bool, Ambiguity>,
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut reader = ChunkReader::new();
        let mut outcome = Outcome { content: vec![], passed: vec![], used: 0, ended: Ok(false) };
        for piece in pieces {
            let fed = match reader.feed(piece, |content| outcome.content.extend_from_slice(content)) {
                Ok(fed) => fed,
                Err(reason) => return Outcome { content: vec![], passed: vec![], used: 0, ended: Err(reason) },
            };
            outcome.used += fed.used;
            outcome.passed.extend_from_slice(&piece[..fed.kept]);
            if fed.ended && outcome.ended == Ok(false) {
                outcome.passed.extend_from_slice(b"\r\n");
                outcome.ended = Ok(true);
            }
        }
        assert_eq!(reader.content_length(), outcome.content.len() as u64);
        outcome
    }

    #[test]
    fn a_chunked_body_ends_behind_its_last_chunk_and_trailers_are_dropped() {
        for (wire, content, passed, used) in [
            ("0\r\n\r\n", "", "0\r\n\r\n", 5),
            ("3\r\nabc\r\n0\r\n\r\nGET /", "abc", "3\r\nabc\r\n0\r\n\r\n", 13),
            ("1\r\na\r\n0a\r\n0123456789\r\n000\r\n\r\n", "a0123456789", "1\r\na\r\n0a\r\n0123456789\r\n000\r\n\r\n", 29),
            ("A\r\n\r\n0\r\n\r\nxyz\r\n0\r\n\r\n", "\r\n0\r\n\r\nxyz", "A\r\n\r\n0\r\n\r\nxyz\r\n0\r\n\r\n", 20),
            ("1\r\na\r\n0\r\nX-Sum: 1\r\nB: c\r\n\r\nGET", "a", "1\r\na\r\n0\r\n\r\n", 27),
        ] {
            let expected = Outcome { content: content.into(), passed: passed.into(), used, ended: Ok(true) };
            assert_eq!(read([wire.as_bytes()]), expected, "{wire:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long = format!("0\r\nX: {}\r\n\r\n", "y".repeat(5000));
        for (wire, reason) in [
            ("zz\r\n", SIZE),
            ("\r\n", SIZE),
            ("\n", SIZE),
            ("-1\r\n", SIZE),
            ("+1\r\n", SIZE),
            ("0x1\r\n", SIZE),
            (" 1\r\n", SIZE),
            ("1_0\r\n", SIZE),
            ("123456789\r\n", SIZE),
            ("000000000\r\n", SIZE),
            ("1\na\r\n", SIZE),
            ("1 \r\na\r\n", EXTENSION),
            ("1;a=b\r\na\r\n", EXTENSION),
            ("0;\r\n\r\n", EXTENSION),
            ("1\r\nab\r\n", LINE_END),
            ("1\r\na\n0\r\n\r\n", LINE_END),
            ("1\r\na\rb", LINE_END),
            ("1\r\na0\r\n\r\n", LINE_END),
            ("1\ra", LINE_END),
            ("0\r\r\n", LINE_END),
            ("0\r\nX\r\n\r\n", TRAILER),
            ("0\r\n X: a\r\n\r\n", TRAILER),
            ("0\r\nX : a\r\n\r\n", TRAILER),
            ("0\r\nX: a\0\r\n\r\n", TRAILER),
            ("0\r\nX: a\nY: b\r\n\r\n", TRAILER),
            ("0\r\nX: a\rY: b\r\n\r\n", TRAILER),
            ("0\r\n\r0\r\n", TRAILER),
            ("0\r\nContent-Length: 3\r\n\r\n", TRAILER),
            ("0\r\nContent_Length: 3\r\n\r\n", TRAILER),
            ("0\r\nTransfer-Encoding: chunked\r\n\r\n", TRAILER),
            ("0\r\nHost: a\r\n\r\n", TRAILER),
            ("0\r\nAuthorization: a\r\n\r\n", TRAILER),
            ("0\r\nScopegate-Account: a\r\n\r\n", TRAILER),
            ("0\r\nX-HTTP-Method-Override: a\r\n\r\n", TRAILER),
            (&long, TRAILERS),
            (&format!("0\r\n{}\r\n", "X:\r\n".repeat(2000)), TRAILERS),
        ] {
            assert_eq!(read([wire.as_bytes()]).ended, Err(reason), "{wire:?}");
        }
    }

    #[test]
    fn an_unfinished_body_is_neither_an_end_nor_a_fault() {
        for wire in ["", "1", "1\r", "1\r\n", "1\r\na", "1\r\na\r", "1\r\na\r\n", "1\r\na\r\n0\r\n", "0\r\n\r", "0\r\nX", "0\r\nX: a\r\n"] {
            assert_eq!(read([wire.as_bytes()]).ended, Ok(false), "{wire:?}");
        }
    }

    #[test]
    fn a_chunked_body_reads_the_same_in_every_split() {
        for wire in [
            "3\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nB: c\r\n\r\nGET / HTTP/1.1\r\n",
            "3\r\nabc\r\n0\r\n\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3;x\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\nHost: a\r\n\r\n",
            "3\r\nabc\r\n0\n\n",
        ] {
            let bytes = wire.as_bytes();
            let whole = read([bytes]);
            assert_eq!(read(bytes.chunks(1)), whole, "{wire:?} byte by byte");
            for cut in 0..=bytes.len() {
                let (before, behind) = bytes.split_at(cut);
                assert_eq!(read([before, behind]), whole, "{wire:?} cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_comes_out_whole(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6), size in 1_usize..50) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let length = wire.len();
            let passed = wire.clone();
            wire.extend_from_slice(b"GET / HTTP/1.1");
            prop_assert_eq!(read(wire.chunks(size)), Outcome { content: chunks.concat(), passed, used: length, ended: Ok(true) });
        }
    }
}
