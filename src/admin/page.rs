//! Where lists begin and end: limits, cursors and durations in queries and bodies.

use crate::audit;
use crate::directory::AccountCursor;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::time::Duration;

/// How many rows a page may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limit(pub usize);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = String::deserialize(from)?.parse().ok().filter(|number| (1..=1000).contains(number));
        number.map(Self).ok_or_else(|| de::Error::custom("not a number from 1 to 1000"))
    }
}

/// A list of accounts goes on after this one.
pub(super) struct AccountsAfter(pub AccountCursor);

impl<'de> Deserialize<'de> for AccountsAfter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A search of the audit goes on after this event.
pub(super) struct EventsAfter(pub audit::Cursor);

impl<'de> Deserialize<'de> for EventsAfter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// How long something lives: whole seconds, or text such as `15m`; at least a second and at most ten years.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ttl(pub Duration);

const TEN_YEARS: u64 = 10 * 365 * 86_400;
const RULE: &str = "not a time to live: whole seconds, or a number with `s`, `m`, `h` or `d`, from 1 second to 10 years";

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl Visitor<'_> for Seconds {
            type Value = Ttl;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("seconds, or text such as `15m`")
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Ttl, E> {
                Ttl::of_seconds(seconds).ok_or_else(|| E::custom(RULE))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ttl, E> {
                Ttl::of_text(text).ok_or_else(|| E::custom(RULE))
            }
        }
        from.deserialize_any(Seconds)
    }
}

impl Ttl {
    fn of_seconds(seconds: u64) -> Option<Self> {
        (1..=TEN_YEARS).contains(&seconds).then(|| Self(Duration::from_secs(seconds)))
    }

    fn of_text(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        let each: u64 = match text.get(digits.len()..)? {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::of_seconds(digits.parse::<u64>().ok()?.checked_mul(each)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_seconds_or_a_number_with_a_unit() {
        for (text, seconds) in [("15m", Some(900)), ("1s", Some(1)), ("60", Some(60)), ("2h", Some(7_200)), ("30d", Some(2_592_000))] {
            assert_eq!(Ttl::of_text(text).map(|ttl| ttl.0.as_secs()), seconds, "{text}");
        }
        for wrong in ["", "m", "0s", "0", "-1s", "+1s", "1.5h", "15 m", "15M", "1h30m", "4000d", "99999999999999999999d", "1é"] {
            assert_eq!(Ttl::of_text(wrong), None, "{wrong}");
        }
        assert_eq!(Ttl::of_seconds(0), None);
    }
}
