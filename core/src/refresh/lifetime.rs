//! When a token counts as over, and when it is refreshed ahead of that.

use super::event::Known;
use crate::connector::oauth::{OAuth, RefreshMode};
use crate::time::{Instant, Timestamp};
use std::time::Duration;

/// The moment of an event: both clocks and a number drawn for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Deadlines are kept on this one, so that a jump of the other un-expires nothing.
    pub mono: Instant,
    /// What records are dated by.
    pub wall: Timestamp,
    /// At least 0 and less than 1; for jitter.
    pub chance: f64,
}

/// The ways of a connector's provider, as far as refreshing goes.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// When tokens are refreshed.
    pub mode: RefreshMode,
    /// Refresh unused grants at least this often.
    pub keep_alive: Option<Duration>,
    /// How long after a refresh the old refresh token is still taken: for ever where it is not replaced.
    pub replay: Replay,
}

/// How long after a refresh the old refresh token is still taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replay {
    /// Not at all, as far as we know: to send it again may end the grant.
    Never,
    /// So long.
    For(Duration),
    /// It is not replaced.
    Always,
}

impl Habits {
    /// The ways of this provider.
    #[must_use]
    pub fn of(oauth: &OAuth) -> Self {
        let replay = match (oauth.rotation, oauth.replay_window) {
            (Some(false), _) => Replay::Always,
            (Some(true) | None, Some(window)) => Replay::For(window),
            (Some(true) | None, None) => Replay::Never,
        };
        Self { mode: oauth.refresh, keep_alive: oauth.keep_alive, replay }
    }

    /// How much longer a refresh token that was sent `ago`, and whose answer never came, may be sent again without danger;
    /// none: for ever.
    pub(super) fn held_after(&self, ago: Duration) -> Option<Duration> {
        match self.replay {
            Replay::Never => Some(Duration::ZERO),
            Replay::For(window) => Some(window.saturating_sub(ago)),
            Replay::Always => None,
        }
    }
}

/// How long after its issue a token is used: until 10 s before its end, or 5 % of its lifetime if that is less.
pub(super) fn usable(lifetime: Duration) -> Duration {
    lifetime.saturating_sub((lifetime / 20).min(Duration::from_secs(10)))
}

/// How long after its issue a token is refreshed ahead: `min(300 s, 10 %)` before its end, jittered, but 30 s at least;
/// never before half of its lifetime.
pub(super) fn ahead(lifetime: Duration, chance: f64) -> Duration {
    let window = jittered((lifetime / 10).min(Duration::from_secs(300)), chance).max(Duration::from_secs(30));
    lifetime.saturating_sub(window).max(lifetime / 2)
}

/// How long after its last refresh an unused grant is refreshed, so that it stays alive.
pub(super) fn keep(keep_alive: Duration) -> Duration {
    keep_alive - keep_alive / 10
}

/// `duration` and up to 20 % less or more.
pub(super) fn jittered(duration: Duration, chance: f64) -> Duration {
    duration.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

/// When a process that starts has to look at a grant for the first time; none: not before somebody uses it.
/// What is due already is spread over 60 s.
#[must_use]
pub fn first_wake(known: &Known, used_at: Timestamp, habits: &Habits, at: Moment) -> Option<Instant> {
    let life = super::Life::new(known, habits, at);
    let wake = life.wake_for(used_at, at)?;
    Some(if wake > at.mono { wake } else { at.mono.plus(Duration::from_secs(60).mul_f64(at.chance.clamp(0.0, 1.0))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_token_is_over_ten_seconds_or_a_twentieth_before_its_end() {
        for (lifetime, used_for) in [(8_000, 7_600), (100_000, 95_000), (200_000, 190_000), (3_600_000, 3_590_000), (1_000, 950), (0, 0)] {
            assert_eq!(usable(Duration::from_millis(lifetime)), Duration::from_millis(used_for), "{lifetime}");
        }
    }

    #[test]
    fn refreshing_ahead_begins_late_but_not_too_late_and_never_in_the_first_half() {
        for (lifetime, earliest, latest) in [
            (86_400, 86_400 - 360, 86_400 - 240), // 300 s, a fifth less or more
            (3_600, 3_600 - 360, 3_600 - 240),    // a tenth would be 360 s
            (1_800, 1_800 - 216, 1_800 - 144),    // a tenth: 180 s
            (120, 90, 90),                        // the floor: 30 s
            (40, 20, 20),                         // half
            (8, 4, 4),
        ] {
            for chance in [0.0, 0.3, 0.5, 0.999] {
                let begins = ahead(seconds(lifetime), chance);
                assert!((seconds(earliest)..=seconds(latest)).contains(&begins), "{lifetime} {chance}: {begins:?}");
                assert!(begins < usable(seconds(lifetime)), "{lifetime}");
            }
        }
    }
}
