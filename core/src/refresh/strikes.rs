//! 401s of an API that no refresh heals.

use crate::time::Instant;
use std::time::Duration;

const MOST: u8 = 3;
const PAUSE: Duration = Duration::from_secs(60);

/// How often in a row a token that was obtained because of a 401 got a 401 itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Strikes {
    in_a_row: u8,
    /// The version that was obtained because of a 401 and has not had its own yet.
    on_trial: Option<u64>,
    paused_until: Option<Instant>,
}

impl Strikes {
    /// This version was obtained because of a 401.
    pub(super) fn try_version(&mut self, version: u64) {
        self.on_trial = Some(version);
    }

    /// A 401 came for this version. After three in a row 401s mean nothing for a while.
    pub(super) fn unauthorized(&mut self, version: u64, now: Instant) {
        if self.on_trial == Some(version) {
            self.on_trial = None;
            self.in_a_row = self.in_a_row.saturating_add(1);
            if self.in_a_row >= MOST {
                self.paused_until = Some(now.plus(PAUSE));
            }
        }
    }

    /// Whether 401s mean nothing at present.
    pub(super) fn paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_healings_in_a_row_that_healed_nothing_stop_the_next_for_a_minute() {
        let (mut strikes, start) = (Strikes::default(), Instant::from_millis(5));
        for version in 2..=4 {
            assert!(!strikes.paused(start), "{version}");
            strikes.try_version(version);
            strikes.unauthorized(version, start);
            strikes.unauthorized(version, start);
        }
        for (seconds, paused) in [(0, true), (59, true), (60, false)] {
            assert_eq!(strikes.paused(start.plus(Duration::from_secs(seconds))), paused, "{seconds}");
        }
    }

    #[test]
    fn a_token_that_no_401_brought_about_is_no_strike() {
        let mut strikes = Strikes::default();
        for version in 1..10 {
            strikes.unauthorized(version, Instant::default());
        }
        assert_eq!(strikes, Strikes::default());
    }
}
