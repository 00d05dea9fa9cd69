//! Packed answers are unpacked as they come, within limits.

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::fmt;
use std::io::{self, Write};
use zstd::zstd_safe::DParameter;

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
pub struct Unpacker {
    decoder: Decoder,
    /// Packed bytes so far.
    taken: u64,
    /// Unpacked bytes so far.
    given: u64,
}

/// More than this out of one chunk is no honest answer.
const MOST_AT_ONCE: u64 = 16 << 20;

/// An answer may always unpack to so much,
const ALWAYS: u64 = 1 << 20;

/// and beyond that to so many times its packed length.
const MOST_TIMES: u64 = 256;

/// Two to the power of this is the largest window that a zstd answer may ask for (RFC 9659).
const ZSTD_WINDOW: u32 = 23;

enum Decoder {
    Gzip(MultiGzDecoder<Sink>),
    /// The first bytes of `deflate`, until it is clear whether they are zlib's.
    Undecided(Vec<u8>),
    Zlib(ZlibDecoder<Sink>),
    Bare(DeflateDecoder<Sink>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(zstd::stream::write::Decoder<'static, Sink>),
    /// It failed before.
    Broken,
}

/// Takes what a decoder writes, as long as there is room.
#[derive(Default)]
struct Sink {
    made: Vec<u8>,
    room: u64,
    overflowed: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.room.checked_sub(bytes.len() as u64) else {
            self.overflowed = true;
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        };
        self.room = left;
        self.made.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpacker {
    /// At the beginning of a body.
    /// # Errors
    /// No memory for the decoder.
    pub fn new(packing: Packing) -> Result<Self, UnpackError> {
        let decoder = match packing {
            Packing::Gzip => Decoder::Gzip(MultiGzDecoder::new(Sink::default())),
            Packing::Deflate => Decoder::Undecided(Vec::new()),
            Packing::Brotli => Decoder::Brotli(Box::new(DecompressorWriter::new(Sink::default(), 16 << 10))),
            Packing::Zstd => {
                let mut raw = zstd::stream::raw::Decoder::new().map_err(UnpackError::Broken)?;
                raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(UnpackError::Broken)?;
                Decoder::Zstd(zstd::stream::write::Decoder::with_decoder(Sink::default(), raw))
            }
        };
        Ok(Self { decoder, taken: 0, given: 0 })
    }

    /// Takes a packed chunk and gives all that it unpacks to.
    /// # Errors
    /// [`UnpackError`]; nothing may be fed any more.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Bytes, UnpackError> {
        self.taken = self.taken.saturating_add(chunk.len() as u64);
        self.turn(|decoder, room| decoder.feed(chunk, room))
    }

    /// Gives the rest when the body has ended. A body without any bytes is empty, whatever its coding.
    /// # Errors
    /// [`UnpackError`]: an answer that ends too early among them.
    pub fn finish(&mut self) -> Result<Bytes, UnpackError> {
        if self.taken == 0 {
            return Ok(Bytes::new());
        }
        self.turn(Decoder::finish)
    }

    fn turn(&mut self, act: impl FnOnce(&mut Decoder, u64) -> io::Result<()>) -> Result<Bytes, UnpackError> {
        let most = ALWAYS.max(self.taken.saturating_mul(MOST_TIMES)).saturating_sub(self.given);
        let acted = act(&mut self.decoder, most.min(MOST_AT_ONCE));
        let (made, overflowed) = self.decoder.sink().map_or((Vec::new(), false), |sink| (std::mem::take(&mut sink.made), sink.overflowed));
        self.given = self.given.saturating_add(made.len() as u64);
        acted.map(|()| made.into()).map_err(|cause| {
            self.decoder = Decoder::Broken;
            if overflowed { UnpackError::TooLarge } else { UnpackError::Broken(cause) }
        })
    }
}

impl Decoder {
    /// Decodes all of `chunk`, to at most `room` bytes.
    fn feed(&mut self, chunk: &[u8], room: u64) -> io::Result<()> {
        if let Self::Undecided(first) = self {
            first.extend_from_slice(chunk);
            let [method, flags, ..] = first.as_slice() else { return Ok(()) };
            // RFC 1950 section 2.2: what begins otherwise is bare deflate (RFC 1951).
            let zlib = method & 15 == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0;
            let first = std::mem::take(first);
            *self = if zlib { Self::Zlib(ZlibDecoder::new(Sink::default())) } else { Self::Bare(DeflateDecoder::new(Sink::default())) };
            return self.feed(&first, room);
        }
        self.make_room(room);
        let decoder = self.writer()?;
        decoder.write_all(chunk)?;
        decoder.flush()
    }

    /// Decodes what is left, to at most `room` bytes.
    fn finish(&mut self, room: u64) -> io::Result<()> {
        self.make_room(room);
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Bare(decoder) => decoder.try_finish(),
            Self::Brotli(decoder) => decoder.close(),
            Self::Zstd(decoder) => decoder.do_finish(),
            Self::Undecided(_) | Self::Broken => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    }

    fn make_room(&mut self, room: u64) {
        if let Some(sink) = self.sink() {
            sink.room = room;
        }
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Self::Gzip(decoder) => Ok(decoder),
            Self::Zlib(decoder) => Ok(decoder),
            Self::Bare(decoder) => Ok(decoder),
            Self::Brotli(decoder) => Ok(decoder),
            Self::Zstd(decoder) => Ok(decoder),
            Self::Undecided(_) | Self::Broken => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    }

    fn sink(&mut self) -> Option<&mut Sink> {
        match self {
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Bare(decoder) => Some(decoder.get_mut()),
            Self::Brotli(decoder) => Some(decoder.get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut()),
            Self::Undecided(_) | Self::Broken => None,
        }
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Unpacker").field("taken", &self.taken).field("given", &self.given).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bare(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 3).unwrap()
    }

    /// [`text`] as `brotli -q 11` packs it: there is no encoder here.
    const BROTLI: &[u8] = &[27, 187, 2, 248, 5, 60, 100, 169, 62, 87, 67, 82, 68, 109, 145, 192, 55, 151, 215, 0];

    fn text() -> Vec<u8> {
        b"packed ".repeat(100)
    }

    fn unpacked<'a>(packing: Packing, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, UnpackError> {
        let mut unpacker = Unpacker::new(packing)?;
        let mut made = Vec::new();
        for chunk in chunks {
            made.extend_from_slice(&unpacker.feed(chunk)?);
        }
        made.extend_from_slice(&unpacker.finish()?);
        Ok(made)
    }

    #[test]
    fn each_coding_is_unpacked_however_its_bytes_come() {
        let text = text();
        let two = [gzip(&text[..300]), gzip(&text[300..])].concat();
        for (packing, packed) in [
            (Packing::Gzip, gzip(&text)),
            (Packing::Gzip, two),
            (Packing::Deflate, zlib(&text)),
            (Packing::Deflate, bare(&text)),
            (Packing::Brotli, BROTLI.to_vec()),
            (Packing::Zstd, zstd(&text)),
            (Packing::Zstd, [zstd(&text[..7]), zstd(&text[7..])].concat()),
        ] {
            assert_eq!(unpacked(packing, [packed.as_slice()]).unwrap(), text, "{packing:?}");
            assert_eq!(unpacked(packing, packed.chunks(1)).unwrap(), text, "{packing:?} byte by byte");
            for cut in 0..=packed.len() {
                assert_eq!(unpacked(packing, [&packed[..cut], &packed[cut..]]).unwrap(), text, "{packing:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_was_flushed_comes_out_at_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut unpacker = Unpacker::new(Packing::Gzip).unwrap();
        for event in ["data: one\n\n", "data: two\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let packed = std::mem::take(encoder.get_mut());
            assert_eq!(unpacker.feed(&packed).unwrap(), event);
        }
    }

    #[test]
    fn a_body_without_bytes_is_empty() {
        for packing in [Packing::Gzip, Packing::Deflate, Packing::Brotli, Packing::Zstd] {
            assert_eq!(unpacked(packing, []).unwrap(), b"", "{packing:?}");
        }
    }

    #[test]
    fn a_broken_or_cut_answer_is_no_answer() {
        let text = text();
        for (packing, packed) in [
            (Packing::Gzip, gzip(&text)),
            (Packing::Deflate, zlib(&text)),
            (Packing::Deflate, bare(&text)),
            (Packing::Brotli, BROTLI.to_vec()),
            (Packing::Zstd, zstd(&text)),
        ] {
            for cut in 1..packed.len() {
                assert!(matches!(unpacked(packing, [&packed[..cut]]), Err(UnpackError::Broken(_))), "{packing:?} cut at {cut}");
            }
            let mut unpacker = Unpacker::new(packing).unwrap();
            let garbage = [0xff; 64];
            assert!(unpacker.feed(&garbage).and_then(|_| unpacker.finish()).is_err(), "{packing:?}");
            assert!(unpacker.feed(&packed).is_err(), "{packing:?} after a failure");
        }
        let mut wrong = gzip(&text);
        let sum = wrong.len() - 5;
        wrong[sum] ^= 1;
        assert!(matches!(unpacked(Packing::Gzip, [wrong.as_slice()]), Err(UnpackError::Broken(_))));
    }

    #[test]
    fn an_answer_that_grows_beyond_all_bounds_is_cut() {
        let bomb = vec![0; 64 << 20];
        for (packing, packed) in [(Packing::Gzip, gzip(&bomb)), (Packing::Deflate, zlib(&bomb)), (Packing::Zstd, zstd(&bomb))] {
            assert!(matches!(unpacked(packing, [packed.as_slice()]), Err(UnpackError::TooLarge)), "{packing:?}");
            assert!(matches!(unpacked(packing, packed.chunks(1000)), Err(UnpackError::TooLarge)), "{packing:?} in pieces");
        }
        let fair = vec![0; 1 << 20];
        assert_eq!(unpacked(Packing::Gzip, [gzip(&fair).as_slice()]).unwrap(), fair);
    }
}
