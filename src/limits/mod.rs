//! Limits on what an account may ask for and how large a request may be.

pub mod files;
mod guests;
mod places;

pub use guests::{Guests, Seat};
pub use places::{AccountPlace, AccountPlaces, Crowded};

use governor::clock::{Clock, QuantaClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use papaya::HashMap;
use scopegate_core::id::{AccountId, ConnectorId, OperationId};
use scopegate_core::policy::{Operations, Rate};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Sizes and times that bound one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub body: u64,
    /// The largest head, in bytes, request line included.
    pub header_bytes: usize,
    /// The largest body that a policy reads, in bytes.
    pub inspected_body: u64,
    /// Time to connect to the API.
    pub connect: Duration,
    /// Time until the head of the API's answer.
    pub head: Duration,
    /// Longest silence of a connection to the API.
    pub idle: Duration,
}

impl Bounds {
    /// The most of a body that a policy reads, which is no more than may pass.
    #[must_use]
    pub fn read_here(self) -> u64 {
        self.inspected_body.min(self.body)
    }

    /// As these operations have it: each that says nothing of its own keeps what is here, and the narrowest holds.
    #[must_use]
    pub fn of(self, operations: &Operations) -> Self {
        let limits = || operations.all().iter().map(|operation| operation.limits);
        Self {
            body: limits().map(|own| own.body.unwrap_or(self.body)).min().unwrap_or(self.body),
            connect: limits().map(|own| own.connect.unwrap_or(self.connect)).min().unwrap_or(self.connect),
            head: limits().map(|own| own.head.unwrap_or(self.head)).min().unwrap_or(self.head),
            idle: limits().map(|own| own.idle.unwrap_or(self.idle)).min().unwrap_or(self.idle),
            ..self
        }
    }
}

/// Counts the requests of each account.
#[derive(Debug)]
pub struct AccountRates {
    all: Option<Limiter>,
    /// Those of operations that limit themselves.
    of_operations: HashMap<Limited, Arc<Limiter>>,
}

type Limiter = RateLimiter<AccountId, DefaultKeyedStateStore<AccountId>, QuantaClock>;

/// An operation, and how often it may be done: another rate counts anew.
type Limited = (ConnectorId, OperationId, Rate);

impl AccountRates {
    /// `None` switches it off, but for operations that limit themselves.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        Self { all: rate.and_then(limiter), of_operations: HashMap::new() }
    }

    /// Counts one request of `account`.
    /// # Errors
    /// How long to wait until it would pass.
    pub fn count(&self, account: &AccountId) -> Result<(), Duration> {
        self.all.as_ref().map_or(Ok(()), |all| counted(all, account))
    }

    /// Counts that `account` does `operation` once.
    /// # Errors
    /// How long to wait until it would pass.
    pub fn count_operation(&self, account: &AccountId, connector: &ConnectorId, operation: &OperationId, rate: Rate) -> Result<(), Duration> {
        let known = self.of_operations.pin();
        let limited = (connector.clone(), operation.clone(), rate);
        if let Some(limiter) = known.get(&limited) {
            return counted(limiter, account);
        }
        let Some(fresh) = limiter(rate) else { return Ok(()) };
        counted(known.get_or_insert(limited, Arc::new(fresh)), account)
    }

    /// Forgets accounts that have been quiet.
    pub fn forget_quiet(&self) {
        let known = self.of_operations.pin();
        for limiter in self.all.iter().chain(known.values().map(AsRef::as_ref)) {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limiter(rate: Rate) -> Option<Limiter> {
    let each = rate.per.checked_div(rate.count.get()).filter(|each| !each.is_zero())?;
    let burst = u32::try_from(u128::from(rate.count.get()) * 1000 / rate.per.as_millis().max(1)).unwrap_or(u32::MAX);
    Some(RateLimiter::keyed(Quota::with_period(each)?.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))))
}

fn counted(limiter: &Limiter, account: &AccountId) -> Result<(), Duration> {
    limiter.check_key(account).map_err(|not_until| not_until.wait_time_from(limiter.clock().now()))
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
        let (connector, operation) = ("crm".parse().unwrap(), "export".parse().unwrap());
        let slow = "1/h".parse().unwrap();
        let count = |account, rate| rates.count_operation(account, &connector, &operation, rate).is_ok();
        assert_eq!([count(&one, slow), count(&one, slow), count(&other, slow), count(&one, "2/h".parse().unwrap())], [true, false, true, true]);
    }
}
