//! The only place that draws random numbers, all of them from the system's generator.

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

/// The generator itself, for signatures that draw for themselves.
#[must_use]
pub fn generator() -> aws_lc_rs::rand::SystemRandom {
    aws_lc_rs::rand::SystemRandom::new()
}

/// A number from 0 up to, but not, 1; for jitter.
#[must_use]
pub fn unit() -> f64 {
    // 53 bits are what a double holds exactly.
    let bits = u64::from_le_bytes(bytes()) >> 11;
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
        assert!((0..1_000).map(|_| unit()).all(|number| (0.0..1.0).contains(&number)));
    }
}
