//! A token endpoint that fails whomever it is asked for: what nobody waits for leaves it alone for a while.

use scopegate_core::time::Instant;
use std::time::Duration;

/// So many failures in a row are no grant's own affair.
const SUSPICIOUS: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A provider may ask for more, within reason.
const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// Failures in a row, of whatever grants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Outage {
    failures: u32,
    until: Instant,
}

impl Outage {
    /// One more failure: from the fifth on 1 s, 2 s, 4 s ... 1 min, or what the provider asks for if that is longer.
    pub(super) fn fail(&mut self, asked: Option<Duration>, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        // Calls that were under way when a rest began are no news.
        if self.failures >= SUSPICIOUS && self.rest(now).is_none() {
            let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures - SUSPICIOUS)).min(LONGEST);
            self.until = now.plus(doubled.max(asked.unwrap_or_default().min(LONGEST_ASKED)));
        }
    }

    /// What is left of the rest.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        (self.until > now).then(|| self.until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_mean_nothing_and_many_in_a_row_a_rest_that_doubles() {
        let (mut outage, mut now) = (Outage::default(), Instant::from_millis(1));
        for _ in 1..SUSPICIOUS {
            outage.fail(None, now);
            assert_eq!(outage.rest(now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let rest = Duration::from_secs(seconds);
            outage.fail(None, now);
            assert_eq!(outage.rest(now), Some(rest));
            now = now.plus(rest);
            assert_eq!(outage.rest(now), None);
        }
    }

    #[test]
    fn a_provider_may_ask_for_more_and_what_was_under_way_lengthens_nothing() {
        let (mut outage, now) = (Outage::default(), Instant::from_millis(1));
        for (asked, rests) in [(600, None), (600, None), (600, None), (600, None), (600, Some(600)), (700, Some(600))] {
            outage.fail(Some(Duration::from_secs(asked)), now);
            assert_eq!(outage.rest(now), rests.map(Duration::from_secs));
        }
        let later = now.plus(Duration::from_secs(600));
        outage.fail(Some(Duration::from_secs(1 << 30)), later);
        assert_eq!(outage.rest(later), Some(LONGEST_ASKED));
    }
}
