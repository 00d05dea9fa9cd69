//! Limits on what an account may ask for and how large a request may be.

pub mod files;
mod guests;
mod places;

pub use guests::{Guests, Seat};
pub use places::{AccountPlace, AccountPlaces, Crowded};

use governor::clock::{Clock, QuantaClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use scopegate_core::id::AccountId;
use std::num::NonZeroU32;
use std::time::Duration;

/// Sizes and times that bound one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub body: u64,
    /// The largest head, in bytes, request line included.
    pub header_bytes: usize,
    /// The largest body that a policy reads, in bytes.
    pub inspected_body: usize,
    /// Time to connect to the API.
    pub connect: Duration,
    /// Time until the head of the API's answer.
    pub head: Duration,
    /// Longest silence of a connection to the API.
    pub idle: Duration,
}

/// How often; `100/s` is 100 in each second, with a burst of one second's worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

/// Counts the requests of each account.
#[derive(Debug)]
pub struct AccountRates(Option<RateLimiter<AccountId, DefaultKeyedStateStore<AccountId>, QuantaClock>>);

impl AccountRates {
    /// `None` switches it off.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        let quota = rate.and_then(|rate| {
            let each = rate.per.checked_div(rate.count.get()).filter(|each| !each.is_zero())?;
            let burst = u32::try_from(u128::from(rate.count.get()) * 1000 / rate.per.as_millis().max(1)).unwrap_or(u32::MAX);
            Some(Quota::with_period(each)?.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
        });
        Self(quota.map(RateLimiter::keyed))
    }

    /// Counts one request of `account`.
    /// # Errors
    /// How long to wait until it would pass.
    pub fn count(&self, account: &AccountId) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(account).map_err(|not_until| not_until.wait_time_from(limiter.clock().now()))
    }

    /// Forgets accounts that have been quiet.
    pub fn forget_quiet(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_seconds_worth_and_accounts_do_not_share_it() {
        let rates = AccountRates::new(Some(Rate { count: NonZeroU32::new(2).unwrap(), per: Duration::from_secs(1) }));
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let came: Vec<bool> = (0..4).map(|_| rates.count(&one).is_ok()).collect();
        assert_eq!(came, [true, true, false, false]);
        assert!(rates.count(&other).is_ok());
        assert!(rates.count(&one).unwrap_err() <= Duration::from_millis(500));
        assert!((0..1000).all(|_| AccountRates::new(None).count(&one).is_ok()));
    }
}
