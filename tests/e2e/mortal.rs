//! A gateway that does on cue what nobody wants: the real app over a store that ends the process at a named point, as `kill -9`
//! would, or that takes nothing any more, as a full disk does.
//!
//! It is a test of this binary that only other tests start, as a process of its own.

use crate::stage::ARMED;
use async_trait::async_trait;
use scopegate::app::{App, Signals};
use scopegate::settings::Settings;
use scopegate::store::{
    Applied, AuthorizationKey, AuthorizationRecord, Change, DataKeyId, DataKeyRecord, Follower, GrantRecord, Intent, Lease, LeaseName, LeaseOwner,
    SealedId, SealedRecord, SessionRecord, SqliteStore, Store, StoreError, Unconfirmed,
};
use scopegate_core::id::{GrantId, SessionId};
use scopegate_core::time::Timestamp;
use std::fmt;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The name under which it is started.
pub(crate) const GATEWAY: &str = "mortal::gateway";

/// Where a refresh is cut short.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Point {
    BeforeIntent,
    AfterIntent,
    /// The provider has the call. Whoever starts the gateway sees to that.
    AfterCall,
    /// The provider has carried the call out. Whoever starts the gateway sees to that.
    AfterAnswer,
    AfterWrite,
    /// The new tokens are durable, and nobody has been told.
    BeforePublish,
    /// Before or behind any deed of the store.
    Anywhere,
}

impl Point {
    pub(crate) const ALL: [Self; 7] =
        [Self::BeforeIntent, Self::AfterIntent, Self::AfterCall, Self::AfterAnswer, Self::AfterWrite, Self::BeforePublish, Self::Anywhere];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BeforeIntent => "before intent",
            Self::AfterIntent => "after intent",
            Self::AfterCall => "after call",
            Self::AfterAnswer => "after answer",
            Self::AfterWrite => "after write",
            Self::BeforePublish => "before publish",
            Self::Anywhere => "anywhere",
        }
    }
}

/// The line that tells the gateway to die when it comes to `point` for the `times`th time.
pub(crate) fn line(point: Point, times: u64) -> String {
    format!("{times} {}", point.name())
}

/// The lines that tell the gateway's store to take nothing, and to go on.
pub(crate) const TAKE_NOTHING: &str = "take nothing";
pub(crate) const GO_ON: &str = "go on";

/// What is to go wrong.
#[derive(Clone, Debug, Default)]
struct Cue(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// Where the process dies, and how often it may still pass there.
    death: Option<(Point, u64)>,
    takes_nothing: bool,
}

impl Cue {
    /// Says that it has heard before anybody can die of it: whoever gave the cue waits for that.
    #[expect(clippy::print_stderr, reason = "how it answers")]
    fn hear(&self, line: &str) {
        let mut script = self.0.lock().unwrap();
        eprintln!("{ARMED}");
        match line {
            TAKE_NOTHING => script.takes_nothing = true,
            GO_ON => script.takes_nothing = false,
            line => {
                let (times, name) = line.split_once(' ').unwrap();
                let point = Point::ALL.into_iter().find(|point| point.name() == name).unwrap();
                script.death = Some((point, times.parse().unwrap()));
            }
        }
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if self.0.lock().unwrap().takes_nothing {
            let cause = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::Failed { deed: "write", cause: Arc::new(cause) });
        }
        Ok(())
    }

    fn pass(&self, here: Point) {
        let mut script = self.0.lock().unwrap();
        if let Some((point, left)) = script.death.as_mut()
            && *point == here
        {
            *left -= 1;
            if *left == 0 {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
            }
        }
    }
}

/// Between the write of new tokens and the word to all who wait there is a line in the log.
impl<S: tracing::Subscriber> Layer<S> for Cue {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Message(bool);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0 |= field.name() == "message" && format!("{value:?}") == "refreshed";
            }
        }
        let mut message = Message(false);
        event.record(&mut message);
        if message.0 {
            self.pass(Point::BeforePublish);
        }
    }
}

/// The embedded store, with an end.
#[derive(Debug)]
struct Mortal {
    store: SqliteStore,
    cue: Cue,
}

impl Mortal {
    async fn do_it<T>(&self, deed: impl Future<Output = T>) -> T {
        self.cue.pass(Point::Anywhere);
        let done = deed.await;
        self.cue.pass(Point::Anywhere);
        done
    }
}

#[async_trait]
impl Store for Mortal {
    async fn follow(&self, follower: Follower) -> Result<(), StoreError> {
        self.store.follow(follower).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        self.cue.may_write()?;
        let has = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
        let intends = has(|change| matches!(change, Change::SetIntent { intent: Some(_), .. }));
        let saves = has(|change| matches!(change, Change::Holding(_))) && has(|change| matches!(change, Change::PutGrant { .. }));
        if intends {
            self.cue.pass(Point::BeforeIntent);
        }
        let applied = self.do_it(self.store.apply(changes)).await;
        if intends {
            self.cue.pass(Point::AfterIntent);
        }
        if saves {
            self.cue.pass(Point::AfterWrite);
        }
        applied
    }

    async fn grant(&self, id: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
        self.do_it(self.store.grant(id)).await
    }

    async fn intents(&self) -> Result<Vec<(GrantId, Intent)>, StoreError> {
        self.store.intents().await
    }

    async fn authorization(&self, key: AuthorizationKey<'_>) -> Result<Option<AuthorizationRecord>, StoreError> {
        self.store.authorization(key).await
    }

    async fn unconfirmed(&self, which: Unconfirmed<'_>) -> Result<Vec<AuthorizationRecord>, StoreError> {
        self.store.unconfirmed(which).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.store.session(id).await
    }

    async fn data_keys(&self) -> Result<Vec<DataKeyRecord>, StoreError> {
        self.store.data_keys().await
    }

    async fn sealed_counts(&self) -> Result<Vec<(DataKeyId, u64)>, StoreError> {
        self.store.sealed_counts().await
    }

    async fn sealed_with(&self, key: DataKeyId, after: Option<SealedId>, limit: usize) -> Result<Vec<SealedRecord>, StoreError> {
        self.store.sealed_with(key, after, limit).await
    }

    async fn acquire(&self, name: &LeaseName, owner: &LeaseOwner, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.cue.may_write()?;
        self.do_it(self.store.acquire(name, owner, ttl)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.cue.may_write()?;
        self.do_it(self.store.renew(lease, ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.cue.may_write()?;
        self.do_it(self.store.release(lease)).await
    }

    async fn sweep(&self, before: Timestamp) -> Result<(), StoreError> {
        self.cue.may_write()?;
        self.store.sweep(before).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.cue.may_write()?;
        self.store.ready().await
    }
}

#[test]
#[ignore = "no test, but the process that other tests kill"]
fn gateway() {
    // The only provider of this process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cue = Cue::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(tracing_subscriber::EnvFilter::from_env("SCOPEGATE_LOG"));
    tracing_subscriber::registry().with(lines).with(cue.clone()).init();
    let heard = cue.clone();
    let listen = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            heard.hear(&line);
        }
        // Whoever started it is gone.
        std::process::exit(0);
    };
    scopegate::tasks::thread("cues", listen).unwrap();
    let settings = Settings::read(Path::new("scopegate.yaml")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mortal = |settings: &Settings, clock| {
            let store = SqliteStore::open(&settings.store, clock)?;
            Ok(Arc::new(Mortal { store, cue }) as Arc<dyn Store>)
        };
        let running = App::start_over(settings, None, mortal).await.unwrap();
        let mut signals = Signals::listen().unwrap();
        eprintln!("scopegate: gateway at {}, admin at http://{}", running.gateway_addresses(), running.admin);
        signals.told_to_stop(&running).await;
    });
}
