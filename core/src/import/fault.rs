//! Why a description is not imported.

/// Why a description is not imported.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It can never be imported as it is.
    #[error("{}{sentence}", place.map_or(String::new(), |(line, column)| format!("{line}:{column}: ")))]
    Refused {
        /// Line and column from 1, the column in characters; none where it is about the whole file.
        place: Option<(usize, usize)>,
        /// One lower-case sentence.
        sentence: String,
    },
    /// It leaves something open that a flag would say.
    #[error("{sentence}")]
    Unsaid {
        /// One lower-case sentence that names the flag.
        sentence: String,
    },
}

impl Refusal {
    pub(super) fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused { place: None, sentence: sentence.into() }
    }
}

/// The same while the description is read: places are bytes of the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Refused { at: Option<usize>, sentence: String },
    Unsaid { sentence: String },
}

impl Fault {
    pub(super) fn at(at: usize, sentence: impl Into<String>) -> Self {
        Self::Refused { at: Some(at), sentence: sentence.into() }
    }

    pub(super) fn whole(sentence: impl Into<String>) -> Self {
        Self::Refused { at: None, sentence: sentence.into() }
    }

    pub(super) fn unsaid(sentence: impl Into<String>) -> Self {
        Self::Unsaid { sentence: sentence.into() }
    }

    /// The refusal, where places are not those of the file.
    pub(super) fn without_place(self) -> Refusal {
        match self {
            Self::Refused { sentence, .. } => Refusal::refused(sentence),
            Self::Unsaid { sentence } => Refusal::Unsaid { sentence },
        }
    }

    /// The refusal, with places as people count them.
    pub(super) fn in_text(self, text: &str) -> Refusal {
        match self {
            Self::Refused { at, sentence } => Refusal::Refused { place: at.map(|at| line_and_column(text, at)), sentence },
            Self::Unsaid { sentence } => Refusal::Unsaid { sentence },
        }
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
