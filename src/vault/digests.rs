//! Keyed hashes of what somebody has to show, and the secrets that they are of.

use super::cipher::KEY;
use crate::chance;
use crate::store::ProofDigest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate_core::account::HandleDigest;
use scopegate_core::secret::{HandleText, Proof};
use std::fmt;
use zeroize::Zeroizing;

/// Keyed BLAKE3, a key for each kind of secret. Whoever reads the store cannot try guesses.
pub(super) struct Digests {
    handles: Zeroizing<[u8; KEY]>,
    proofs: Zeroizing<[u8; KEY]>,
}

impl Digests {
    pub(super) fn new(key: &[u8; KEY]) -> Self {
        let derived = |kind| Zeroizing::new(blake3::derive_key(kind, key));
        Self { handles: derived("scopegate 1 digest of a handle"), proofs: derived("scopegate 1 digest of a proof") }
    }

    pub(super) fn handle(&self, handle: &HandleText) -> HandleDigest {
        HandleDigest(blake3::keyed_hash(&self.handles, handle.reveal().as_bytes()).into())
    }

    pub(super) fn proof(&self, proof: &Proof) -> ProofDigest {
        ProofDigest(blake3::keyed_hash(&self.proofs, proof.reveal().as_bytes()).into())
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Digests(***)")
    }
}

/// `sgh_` and 43 base64url characters of 256 random bits.
pub(super) fn random_handle() -> HandleText {
    HandleText::new(format!("sgh_{}", *random_text()))
}

/// 43 base64url characters of 256 random bits.
pub(super) fn random_proof() -> Proof {
    Proof::new(random_text().to_string())
}

fn random_text() -> Zeroizing<String> {
    let bytes = Zeroizing::new(chance::bytes::<32>());
    Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}
