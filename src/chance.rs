//! The only place that draws random numbers, all of them from the system's generator.

use std::cell::RefCell;

/// `N` unpredictable bytes. Ends the process if the system has no randomness to give:
/// without it no nonce, token or identifier here is safe.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}

/// 16 unpredictable bytes for the name of something: as good as those of [`bytes()`], and drawn many at a time, because every request
/// needs some. Not for secrets, which are not to lie about in advance.
#[must_use]
pub fn name() -> [u8; 16] {
    const MANY: usize = 64;
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.extend_from_slice(bytes::<{ 16 * MANY }>().as_chunks().0);
        }
        drawn.pop().unwrap_or_else(bytes)
    })
}

/// The generator itself, for signatures that draw for themselves.
#[must_use]
pub fn generator() -> aws_lc_rs::rand::SystemRandom {
    aws_lc_rs::rand::SystemRandom::new()
}

/// A number from 0 up to, but not, 1; for jitter.
#[must_use]
pub fn unit() -> f64 {
    // 53 bits are what a double holds exactly.
    let [bits @ .., _, _, _, _, _, _, _, _] = name();
    let bits = u64::from_le_bytes(bits) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let numerator = bits as f64;
    numerator / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_jitter_stays_in_its_range() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        let names: std::collections::BTreeSet<_> = (0..1_000).map(|_| name()).collect();
        assert_eq!(names.len(), 1_000);
        assert!((0..1_000).map(|_| unit()).all(|number| (0.0..1.0).contains(&number)));
    }
}
