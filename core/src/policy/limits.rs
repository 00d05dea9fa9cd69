//! Limits of one operation, instead of those of the deployment.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// What an operation limits itself; what is none is as everywhere.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: Option<u64>,
    /// How often each account may do it.
    pub requests_per_account: Option<Rate>,
    /// Time to connect to the API.
    pub connect: Option<Duration>,
    /// Time until the head of the API's answer.
    pub head: Option<Duration>,
    /// Longest silence of a connection to the API.
    pub idle: Option<Duration>,
}

/// How often; `100/s` is 100 in each second, with a burst of one second's worth.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub u64);

/// A text that is no size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write bytes, or a whole number with `KiB`, `MiB` or `GiB`")]
pub struct InvalidSize;

/// A text that is no rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write a whole number of at least 1 and `/s`, `/m` or `/h`")]
pub struct InvalidRate;

impl FromStr for Size {
    type Err = InvalidSize;
    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(InvalidSize)?;
        let each: u64 = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(InvalidSize),
        };
        let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(each));
        size.filter(|size| *size > 0).map(Self).ok_or(InvalidSize)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;
    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (count, unit) = text.split_once('/').ok_or(InvalidRate)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(InvalidRate),
        };
        Ok(Self { count: count.parse().map_err(|_| InvalidRate)?, per: Duration::from_secs(seconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_read_as_they_are_written() {
        for (text, size) in [
            ("1", Some(1)),
            ("32KiB", Some(32 << 10)),
            ("10MiB", Some(10 << 20)),
            ("2 GiB", Some(2 << 30)),
            ("0", None),
            ("1MB", None),
            ("", None),
            ("-1", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(text.parse::<Size>().ok().map(|Size(size)| size), size, "{text}");
        }
        for (text, count, seconds) in [("100/s", 100, 1), ("5/m", 5, 60), ("1000000/s", 1_000_000, 1), ("7/h", 7, 3600)] {
            assert_eq!(text.parse(), Ok(Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["0/s", "s", "1", "1/d", "/s", "1.5/s"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }
}
