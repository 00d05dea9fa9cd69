//! Sessions: one run of a crew, bound to one customer by its first request.

use crate::clock::Clock;
use crate::store::{Applied, Change, SessionRecord, Store, StoreError};
use crate::tasks::Tasks;
use papaya::HashMap;
use scopegate_core::id::{CustomerId, SessionId};
use scopegate_core::time::Timestamp;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a session lives after its last use.
const LIFE: Duration = Duration::from_hours(24);

/// How far the store's idea of the last use may lag behind. Where the store alone knows of a session it lives for so much longer: another
/// customer never gets it before its time.
const LAG: Duration = Duration::from_mins(10);

/// How many sessions memory holds; the store knows all of them.
const HELD: usize = 100_000;

/// Sessions. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Clock,
    tasks: Tasks,
    held: Arc<HashMap<SessionId, Held>>,
}

/// Whether a session may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// It is this customer's.
    Bound,
    /// It is another customer's.
    Mismatch,
}

/// What memory knows of a session. Times are milliseconds of [`Timestamp`].
#[derive(Debug)]
struct Held {
    customer: CustomerId,
    used: AtomicI64,
    written: AtomicI64,
}

/// What memory says of a use.
enum Known {
    /// Whose it is, and nothing has to be written.
    Answer(Bound),
    /// It is this customer's, and the store's idea of its last use is old.
    Lagging,
    /// Ask the store, for whom it is over where it was last used before then.
    Nothing { over_before: Timestamp },
}

impl Sessions {
    /// Sessions as the store knows them.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, tasks: Tasks) -> Self {
        Self { store, clock, tasks, held: Arc::default() }
    }

    /// Binds the session to the customer at its first use, or says whether it is another's. It lives
    /// 24 h after its last use. A first binding is durable when this returns; later uses wait for nothing.
    ///
    /// # Errors
    /// The store could not take the first binding.
    pub async fn bind(&self, session: &SessionId, customer: &CustomerId) -> Result<Bound, StoreError> {
        let now = self.clock.timestamp();
        match self.known(session, customer, now) {
            Known::Answer(bound) => Ok(bound),
            Known::Lagging => {
                self.write_behind(session.clone(), customer.clone(), now);
                Ok(Bound::Bound)
            }
            Known::Nothing { over_before } => self.bind_in_store(session, customer, now, over_before).await,
        }
    }

    /// What is known of a session, for whoever looks back at it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, session: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.store.session(session).await
    }

    fn known(&self, session: &SessionId, customer: &CustomerId, now: Timestamp) -> Known {
        let sessions = self.held.pin();
        let Some(held) = sessions.get(session) else { return Known::Nothing { over_before: over_for_sure(now) } };
        if is_over(held.used.load(Ordering::Relaxed), now, LIFE) {
            return Known::Nothing { over_before: now.minus(LIFE) };
        }
        if held.customer != *customer {
            return Known::Answer(Bound::Mismatch);
        }
        held.used.fetch_max(now.millis(), Ordering::Relaxed);
        let written = held.written.load(Ordering::Relaxed);
        let first_to_see = || held.written.compare_exchange(written, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_over(written, now, LAG) && first_to_see() { Known::Lagging } else { Known::Answer(Bound::Bound) }
    }

    /// Where the store saw it used last before `over_before` it is nobody's any more.
    async fn bind_in_store(&self, session: &SessionId, customer: &CustomerId, now: Timestamp, over_before: Timestamp) -> Result<Bound, StoreError> {
        match self.store.apply(vec![use_of(session.clone(), customer.clone(), now, over_before)]).await? {
            Applied::Done => {
                self.hold(session.clone(), customer.clone(), now);
                Ok(Bound::Bound)
            }
            Applied::Conflict => {
                // Held, so that a crew with the wrong session does not come back to the store with each call.
                if let Some(record) = self.store.session(session).await? {
                    // it may have been used since
                    let used = record.last_used.plus(LAG).min(now);
                    self.hold(record.id, record.customer, used);
                }
                Ok(Bound::Mismatch)
            }
        }
    }

    fn hold(&self, session: SessionId, customer: CustomerId, used: Timestamp) {
        let sessions = self.held.pin();
        if sessions.len() >= HELD {
            sessions.clear();
        }
        sessions.insert(session, Held { customer, used: AtomicI64::new(used.millis()), written: AtomicI64::new(used.millis()) });
    }

    fn write_behind(&self, session: SessionId, customer: CustomerId, now: Timestamp) {
        let store = Arc::clone(&self.store);
        self.tasks.spawn("note the use of a session", async move {
            if let Err(fault) = store.apply(vec![use_of(session.clone(), customer, now, over_for_sure(now))]).await {
                tracing::warn!(%session, error = &fault as &(dyn Error + 'static), "the use of a session could not be noted");
            }
        });
    }
}

fn use_of(id: SessionId, customer: CustomerId, now: Timestamp, over_before: Timestamp) -> Change {
    Change::BindSession { id, customer, now, over_before }
}

/// What the store saw used before then is over, whoever else knows of it.
pub(super) fn over_for_sure(now: Timestamp) -> Timestamp {
    now.minus(LIFE + LAG)
}

fn is_over(since: i64, now: Timestamp, span: Duration) -> bool {
    now.since(Timestamp::from_millis(since)) >= span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hands;
    use crate::store::SqliteStore;
    use tempfile::TempDir;
    use tokio::runtime::Handle;

    struct Run {
        folder: TempDir,
        clock: Clock,
        hands: Hands,
        tasks: Tasks,
    }

    impl Run {
        fn new() -> Self {
            let (clock, hands) = Clock::manual("2026-11-26T09:00:00Z".parse().unwrap());
            Self { folder: tempfile::tempdir().unwrap(), clock, hands, tasks: Tasks::new(Handle::current()) }
        }

        /// Sessions as a process sees them that has just started.
        fn sessions(&self) -> Sessions {
            let store = SqliteStore::open(self.folder.path(), self.clock.clone()).unwrap();
            Sessions::new(Arc::new(store), self.clock.clone(), self.tasks.clone())
        }
    }

    async fn bind(sessions: &Sessions, session: &str, customer: &str) -> Bound {
        sessions.bind(&session.parse().unwrap(), &customer.parse().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_use_binds_and_another_customer_is_told_so() {
        let run = Run::new();
        let sessions = run.sessions();
        for (session, customer, bound) in [
            ("run-1", "acme", Bound::Bound),
            ("run-1", "globex", Bound::Mismatch),
            ("run-1", "acme", Bound::Bound),
            ("run-2", "globex", Bound::Bound),
            ("run-2", "acme", Bound::Mismatch),
        ] {
            assert_eq!(bind(&sessions, session, customer).await, bound, "{session} {customer}");
        }
    }

    #[tokio::test]
    async fn a_restart_keeps_the_binding() {
        let run = Run::new();
        assert_eq!(bind(&run.sessions(), "run-1", "acme").await, Bound::Bound);
        let after = run.sessions();
        for customer in ["globex", "globex"] {
            assert_eq!(bind(&after, "run-1", customer).await, Bound::Mismatch);
        }
        assert_eq!(bind(&after, "run-1", "acme").await, Bound::Bound);
    }

    #[tokio::test]
    async fn a_session_ends_a_day_after_its_last_use_and_not_before() {
        let run = Run::new();
        let sessions = run.sessions();
        assert_eq!(bind(&sessions, "run-1", "acme").await, Bound::Bound);
        run.hands.advance(LIFE - Duration::from_secs(1));
        assert_eq!(bind(&sessions, "run-1", "globex").await, Bound::Mismatch);
        assert_eq!(bind(&sessions, "run-1", "acme").await, Bound::Bound);
        run.hands.advance(LIFE - Duration::from_secs(1));
        assert_eq!(bind(&sessions, "run-1", "globex").await, Bound::Mismatch);
        run.hands.advance(Duration::from_secs(1));
        assert_eq!(bind(&sessions, "run-1", "globex").await, Bound::Bound);
        assert_eq!(bind(&sessions, "run-1", "acme").await, Bound::Mismatch);
    }

    #[tokio::test]
    async fn a_session_that_the_store_alone_knows_of_never_ends_early() {
        let run = Run::new();
        let sessions = run.sessions();
        assert_eq!(bind(&sessions, "run-1", "acme").await, Bound::Bound);
        run.hands.advance(LAG - Duration::from_secs(1));
        assert_eq!(bind(&sessions, "run-1", "acme").await, Bound::Bound);
        // Ends without having noted that.
        let after = run.sessions();
        run.hands.advance(LIFE - Duration::from_secs(1));
        assert_eq!(bind(&run.sessions(), "run-1", "globex").await, Bound::Mismatch, "who has never heard of it");
        assert_eq!(bind(&after, "run-1", "globex").await, Bound::Mismatch);
        run.hands.advance(Duration::from_secs(3));
        assert_eq!(bind(&after, "run-1", "globex").await, Bound::Bound, "whoever was told of it once");
    }

    #[tokio::test]
    async fn later_uses_are_written_behind_now_and_then() {
        let run = Run::new();
        let sessions = run.sessions();
        let id: SessionId = "run-1".parse().unwrap();
        let last_used = async |sessions: &Sessions| sessions.find(&id).await.unwrap().unwrap().last_used;
        let began = run.clock.timestamp();
        let _ = bind(&sessions, "run-1", "acme").await;
        run.hands.advance(LAG - Duration::from_millis(1));
        let _ = bind(&sessions, "run-1", "acme").await;
        assert_eq!(last_used(&sessions).await, began);
        run.hands.advance(Duration::from_millis(1));
        let _ = bind(&sessions, "run-1", "acme").await;
        run.tasks.shutdown(Duration::from_secs(10)).await;
        assert_eq!(last_used(&sessions).await, began.plus(LAG));
        assert_eq!(sessions.find(&id).await.unwrap().unwrap().started_at, began);
    }
}
