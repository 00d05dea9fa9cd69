//! The shape of what the vault sealed.

use super::DataKeyId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Ciphertext, and all that a vault with the right key needs to open it: format, data key, nonce.
#[derive(Clone, Eq, PartialEq)]
pub struct Sealed(Vec<u8>);

/// The parts of a [`Sealed`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedParts<'a> {
    pub(crate) key: DataKeyId,
    pub(crate) nonce: [u8; Sealed::NONCE],
    pub(crate) ciphertext: &'a [u8],
}

impl Sealed {
    /// AES-256-GCM; data key id, nonce and ciphertext with its tag follow.
    const FORMAT: u8 = 1;
    pub(crate) const NONCE: usize = 12;

    pub(crate) fn of_parts(parts: SealedParts<'_>) -> Self {
        Self([&[Self::FORMAT][..], &parts.key.0, &parts.nonce, parts.ciphertext].concat())
    }

    /// None where the format is not known or something is missing.
    pub(crate) fn parts(&self) -> Option<SealedParts<'_>> {
        let (format, rest) = self.0.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        (*format == Self::FORMAT).then_some(SealedParts { key: DataKeyId(*key), nonce: *nonce, ciphertext })
    }

    /// As the store keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the store kept it; whether it opens is the vault's to say.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}
