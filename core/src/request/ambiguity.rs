//! Why a request has more than one reading.

/// What is wrong with the request, as a sentence that never repeats it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}")]
pub struct Ambiguity {
    /// A short code for `explain`, logs and tests, such as `dot-segment`.
    pub code: &'static str,
    /// One lower-case sentence for the agent, such as "the path contains a dot segment".
    pub sentence: &'static str,
}

impl Ambiguity {
    pub(crate) const fn new(code: &'static str, sentence: &'static str) -> Self {
        Self { code, sentence }
    }
}
