//! Rules with a hole in them: the histories have to find each.

/// Which rules a history is played by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rules {
    Sound,
    /// The call is made although the intent is not durable.
    ForgetIntents,
    /// Whoever waits is told before the record is durable.
    PublishEarly,
    /// An answer that came is taken for lost, and its refresh token is sent again.
    SpendTwice,
    /// The refresh token is the one that was known, not the one in the record.
    ReadNothing,
    /// Nobody else is looked for.
    TakeNoLease,
    /// Whoever waits is not told of failures.
    LeaveWaiting,
    /// A provider's error ends the grant.
    EndAtOnce,
    /// A provider that fails is asked again at once.
    NeverRest,
    /// A refresh token whose answer got lost is sent again although its access token lives.
    RushAfterLoss,
    /// How long a token lives is what the wall clock says.
    TrustTheWall,
    /// Nothing is done ahead of time.
    SleepIn,
}

impl Rules {
    pub(super) const BROKEN: [Self; 11] = [
        Self::ForgetIntents,
        Self::PublishEarly,
        Self::SpendTwice,
        Self::ReadNothing,
        Self::TakeNoLease,
        Self::LeaveWaiting,
        Self::EndAtOnce,
        Self::NeverRest,
        Self::RushAfterLoss,
        Self::TrustTheWall,
        Self::SleepIn,
    ];
}
