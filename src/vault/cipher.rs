//! AES-256-GCM with random nonces, for wrapping and for sealing alike.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

pub(super) const KEY: usize = 32;
pub(super) const NONCE: usize = 12;

/// A key that seals and opens. Shows nothing of itself.
#[derive(Debug)]
pub(super) struct Cipher(RandomizedNonceKey);

/// What came out of sealing: the ciphertext ends with its tag.
pub(super) struct Encrypted {
    pub(super) nonce: [u8; NONCE],
    pub(super) ciphertext: Vec<u8>,
}

impl Cipher {
    /// None only where the library cannot make a key.
    pub(super) fn new(key: &[u8; KEY]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, key).ok().map(Self)
    }

    /// None only where the library fails, such as for more than 64 GiB.
    pub(super) fn encrypt(&self, plain: &[u8], bound_to: &[u8]) -> Option<Encrypted> {
        let mut ciphertext = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        ciphertext.extend_from_slice(plain);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound_to), &mut ciphertext).ok()?;
        Some(Encrypted { nonce: *nonce.as_ref(), ciphertext })
    }

    /// None where anything was changed, or it was bound to something else, or sealed with another key.
    pub(super) fn decrypt(&self, nonce: [u8; NONCE], ciphertext: &[u8], bound_to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let plain = self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut text).ok()?.len();
        text.truncate(plain);
        Some(text)
    }
}
