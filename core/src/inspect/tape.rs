//! Random documents for tests: a grammar asks a tape of random bytes for each of its choices.

use proptest::prelude::*;

/// Random choices; at its end every choice is the first.
#[derive(Clone, Debug)]
pub(crate) struct Tape(std::vec::IntoIter<u8>);

impl Tape {
    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % count
    }

    /// One of these.
    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Yes, once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

/// Tapes of all lengths.
pub(crate) fn tapes() -> impl Strategy<Value = Tape> {
    prop::collection::vec(any::<u8>(), 0..160).prop_map(|bytes| Tape(bytes.into_iter()))
}
