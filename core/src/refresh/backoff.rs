//! How long a provider that gave no token is left alone.

use super::lifetime::{Moment, jittered};
use crate::time::Instant;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// A provider that asks for more does not get it: a wrong header must not cost a customer days.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures in a row, and until when they count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Instant,
}

impl Backoff {
    /// One more failure: 1 s, 2 s, 4 s ... 5 min, each jittered, or what the provider asks for if that is longer.
    pub(super) fn fail(&mut self, asked: Option<Duration>, at: Moment) {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let pause = jittered(doubled.min(LONGEST), at.chance).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        self.until = at.mono.plus(pause);
    }

    /// What is left of it.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        (self.failures > 0 && self.until > now).then(|| self.until.since(now))
    }

    /// `instant`, or the end of the back-off if that is later.
    pub(super) fn not_before(&self, instant: Instant) -> Instant {
        if self.failures > 0 { instant.max(self.until) } else { instant }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_a_provider_may_ask_for_more() {
        let at = Moment { chance: 0.5, ..Moment::default() };
        let mut backoff = Backoff::default();
        assert_eq!(backoff.rest(at.mono), None);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            backoff.fail(None, at);
            assert_eq!(backoff.rest(at.mono), Some(Duration::from_secs(seconds)));
        }
        for (asked, seconds) in [(0, 300), (301, 301), (600, 600), (1 << 40, 86_400)] {
            backoff.fail(Some(Duration::from_secs(asked)), at);
            assert_eq!(backoff.rest(at.mono), Some(Duration::from_secs(seconds)), "{asked}");
        }
        for (chance, millis) in [(0.0, 800), (0.999_999, 1200)] {
            let mut first = Backoff::default();
            first.fail(None, Moment { chance, ..at });
            let rest = first.rest(at.mono).unwrap().as_millis();
            assert!(rest.abs_diff(millis) <= 1, "{chance}: {rest}");
        }
        let mut many = Backoff { failures: u32::MAX, ..Backoff::default() };
        many.fail(None, at);
        assert_eq!(many.rest(at.mono), Some(LONGEST));
    }
}
