//! One request, as it comes from its connection.

use super::progress::{Pace, Progress};
use crate::gateway::BodyFault;
use bytes::{Buf, Bytes, BytesMut};
use scopegate_core::request::{ChunkReader, Framing, Head};

/// The request at hand.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) stage: Stage,
    pub(super) progress: Progress,
}

/// What belongs to the request of what comes next.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing: all of the request came, or none is under way. What comes belongs to the next.
    Whole,
    /// A body of known length.
    Sized { left: u64 },
    /// A body in chunks.
    Chunked(ChunkReader),
    /// Whatever comes: the connection speaks another protocol.
    Raw,
}

impl UnderWay {
    /// No request.
    pub(super) fn none() -> Self {
        Self { stage: Stage::Whole, progress: Progress::default() }
    }

    /// From here on it is the request that `head` began.
    pub(super) fn begin(&mut self, head: &Head, pace: Pace) {
        self.stage = match head.framing {
            Framing::None | Framing::Length(0) => Stage::Whole,
            Framing::Length(left) => Stage::Sized { left },
            Framing::Chunked => Stage::Chunked(ChunkReader::new()),
        };
        let expected = matches!(self.stage, Stage::Sized { .. } | Stage::Chunked(_)).then_some(pace);
        self.progress.begin(expected);
    }

    /// Takes what is here of the body's content out of `came`; nothing where none of it is.
    pub(super) fn take_body(&mut self, came: &mut BytesMut, pace: Pace) -> Bytes {
        let taken = match &mut self.stage {
            Stage::Whole | Stage::Raw => return Bytes::new(),
            Stage::Sized { left } => {
                let taken = came.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(came.len()));
                *left -= taken.len() as u64;
                if *left == 0 {
                    self.stage = Stage::Whole;
                }
                taken
            }
            Stage::Chunked(reader) => {
                let mut content = BytesMut::new();
                match reader.feed(came, |piece| content.extend_from_slice(piece)) {
                    Ok(fed) => {
                        came.advance(fed.used);
                        if fed.ended {
                            self.stage = Stage::Whole;
                        }
                    }
                    Err(ambiguity) => self.progress.fail(BodyFault::Ambiguous(ambiguity)),
                }
                content
            }
        };
        self.progress.arrived(taken.len(), pace);
        taken.freeze()
    }
}
