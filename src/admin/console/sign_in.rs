//! Which browsers have signed in.

use crate::chance;
use axum::http::{HeaderMap, HeaderValue, header};
use scopegate_core::time::Instant;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// `__Host-`: only this origin can set it, over https (browsers take loopback for as good).
const COOKIE: &str = "__Host-scopegate-console";
/// A working day, without signing in again.
const LIFE: Duration = Duration::from_secs(10 * 60 * 60);
/// Browsers at once; the oldest gives way.
const BROWSERS: usize = 100;

/// What browsers were given, as digests, and when that ends.
#[derive(Debug, Default)]
pub(in crate::admin) struct SignedIn(Mutex<HashMap<blake3::Hash, Instant>>);

impl SignedIn {
    /// Lets one more browser in: the cookie that it brings back from now on.
    pub(super) fn admit(&self, now: Instant) -> Option<HeaderValue> {
        let secret = hex::encode(chance::bytes::<32>());
        let mut known = self.known();
        known.retain(|_, ends| *ends > now);
        if known.len() >= BROWSERS
            && let Some(oldest) = known.iter().min_by_key(|(_, ends)| **ends).map(|(digest, _)| *digest)
        {
            known.remove(&oldest);
        }
        known.insert(blake3::hash(secret.as_bytes()), now.plus(LIFE));
        cookie(&secret, LIFE.as_secs())
    }

    /// Whether the request comes from a browser that has signed in.
    pub(super) fn knows(&self, headers: &HeaderMap, now: Instant) -> bool {
        // a digest is looked up, so that nothing is learned from how long that takes
        brought(headers).is_some_and(|digest| self.known().get(&digest).is_some_and(|ends| *ends > now))
    }

    /// The browser signs out.
    pub(super) fn forget(&self, headers: &HeaderMap) {
        if let Some(digest) = brought(headers) {
            self.known().remove(&digest);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<blake3::Hash, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the cookie away.
pub(super) fn no_cookie() -> Option<HeaderValue> {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The digest of what the browser brings back, if it does so exactly once.
fn brought(headers: &HeaderMap) -> Option<blake3::Hash> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    let value = values.next()?;
    values.next().is_none().then(|| blake3::hash(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn a_browser_is_known_by_its_cookie_until_it_signs_out_or_the_day_is_over() {
        let (signed_in, now) = (SignedIn::default(), Instant::from_millis(5));
        let given = signed_in.admit(now).unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
        assert!(signed_in.knows(&with(&given), now) && signed_in.knows(&with(&format!("a=b; {given}")), now));
        for stranger in [COOKIE, &format!("{COOKIE}="), &format!("{given}x"), &format!("{given}; {given}"), "a=b"] {
            assert!(!signed_in.knows(&with(stranger), now), "{stranger}");
        }
        assert!(!signed_in.knows(&with(&given), now.plus(LIFE)));
        signed_in.forget(&with(&given));
        assert!(!signed_in.knows(&with(&given), now));
    }

    #[test]
    fn the_oldest_browser_gives_way() {
        let signed_in = SignedIn::default();
        for turn in 0..=BROWSERS as u64 {
            signed_in.admit(Instant::from_millis(turn)).unwrap();
        }
        assert_eq!(signed_in.known().len(), BROWSERS);
    }
}
