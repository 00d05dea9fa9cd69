//! Everything comes together: from settings to a running gateway, and to its end.
//!
//! What can fail without a socket fails first, so that nothing listens when settings,
//! policies, key or store are wrong.

use crate::admin::{self, AdminParts};
use crate::audit::{AuditError, AuditLog, Rotation};
use crate::caller::Callers;
use crate::certificates::{CertificateError, CertificateFiles, Certificates};
use crate::clock::Clock;
use crate::directory::{Directory, Sessions};
use crate::gateway::{Gateway, GatewayParts, NotLoaded, Occasion, PolicyRoom, Sources, Unreadable, Watcher, watch_policies};
use crate::grants::{Grants, GrantsParts};
use crate::http_client::{ClientError, HttpClient, Trust};
use crate::limits::{self, AccountPlaces, AccountRates};
use crate::metrics::Metrics;
use crate::process;
use crate::proxy::{BindError, Listener, Patience, Proxy, ProxyError, Speaks};
use crate::settings::{self, EncryptionSettings, ListenSettings, Protocol, Settings, Watch};
use crate::store::{Notes, Rollback, SqliteStore, Store, StoreError};
use crate::tasks::{Shutdown, Tasks};
use crate::vault::key_file::KeyFileError;
use crate::vault::{KeyRoom, Keyring, Vault, VaultError};
use scopegate_core::policy::{Diagnostic, Look, Severity, Source, compile, render};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How often accounts that have been quiet are forgotten by the limits.
const FORGETTING: Duration = Duration::from_secs(60);

/// What is left of the grace at least for what goes on behind the requests.
const A_MOMENT: Duration = Duration::from_secs(1);
/// How long the audit's disk may take at the end, whatever is left of the grace.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Starts a gateway.
#[derive(Debug)]
pub struct App;

/// A gateway that runs.
pub struct Running {
    /// Where agents connect.
    pub gateway: Vec<SocketAddr>,
    /// Where operators connect.
    pub admin: SocketAddr,
    /// Where customers' browsers connect, where that is apart.
    pub public: Option<SocketAddr>,
    /// The policies in force.
    pub policies: Arc<PolicyRoom>,
    /// What is shown over TLS, and where.
    certificates: Vec<(SocketAddr, Arc<Certificates>)>,
    keys: KeyRoom,
    proxy: Arc<Proxy>,
    audit: AuditLog,
    clock: Clock,
    tasks: Tasks,
    draining: CancellationToken,
    drain: Duration,
    grace: Duration,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policies have errors.
    #[error("the policies have errors")]
    Policies {
        /// All findings.
        diagnostics: Vec<Diagnostic>,
        /// The documents, for showing the lines that findings are about.
        sources: Vec<Source>,
    },
    /// A policy file cannot be read.
    #[error("the policies cannot be read")]
    Unreadable(#[from] Unreadable),
    /// The wrapping key.
    #[error("there is no usable wrapping key")]
    Key(#[from] KeyFileError),
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The vault.
    #[error("the store's secrets cannot be opened")]
    Vault(#[from] VaultError),
    /// The audit.
    #[error("the audit cannot be written")]
    Audit(#[from] AuditError),
    /// The client for token endpoints.
    #[error("outgoing connections cannot be made")]
    Client(#[from] ClientError),
    /// The proxy.
    #[error("the proxy cannot be made")]
    Proxy(#[from] ProxyError),
    /// The certificates of an address.
    #[error("the certificates of {address} cannot be used")]
    Certificates {
        /// Which address.
        address: SocketAddr,
        /// What is wrong with them.
        #[source]
        source: Box<CertificateError>,
    },
    /// An address is taken.
    #[error("{key} cannot have its address")]
    Address {
        /// Which key of the settings names it.
        key: &'static str,
        /// Which address, and why not.
        #[source]
        source: BindError,
    },
    /// The system lets us watch no signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// `admin.public_url` is none.
    #[error("`{0}` is no URL for customers' browsers")]
    PublicUrl(String),
}

/// What `serve --check` found.
#[derive(Debug, Serialize)]
pub struct Checked {
    ok: bool,
    diagnostics: Vec<Diagnostic>,
    problems: Vec<String>,
    #[serde(skip)]
    sources: Vec<Source>,
}

impl Checked {
    /// Whether nothing keeps the gateway from starting.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.ok
    }

    /// One line for when there is nothing to report.
    #[must_use]
    pub fn summary(&self) -> String {
        let warnings = self.diagnostics.len() + self.problems.len();
        if warnings == 0 { "settings, policies and key are in order".into() } else { self.text() }
    }

    /// All findings, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = render(&self.diagnostics, &self.sources, Look::Plain);
        for problem in &self.problems {
            text.push_str(problem);
            text.push('\n');
        }
        text
    }
}

/// Reads policies and key as [`App::start`] would, and opens nothing.
#[must_use]
pub fn check(settings: &Settings) -> Checked {
    let places = settings.policy_places();
    let (own, unreadable) = match crate::gateway::read_sources(&places.paths) {
        Ok(own) => (own, None),
        Err(unreadable) => (Vec::new(), Some(unreadable.diagnostic())),
    };
    let sources: Vec<Source> = places.catalog.iter().cloned().chain(own).collect();
    let mut diagnostics = compile(&sources, &places.overrides).diagnostics;
    diagnostics.extend(unreadable);
    let mut problems = Vec::new();
    let mut ok = diagnostics.iter().all(|one| one.severity != Severity::Error);
    if let Err(error) = keyring(&settings.encryption) {
        ok = false;
        problems.push(format!("error: encryption: {error}"));
    }
    let of_gateway = settings.gateway.listen.iter().filter_map(|listen| Some(("gateway.listen", listen.certificates()?)));
    let of_admin = settings.admin.tls.as_ref().map(|files| ("admin.tls", (settings.admin.listen, files)));
    for (key, (address, files)) in of_gateway.chain(of_admin) {
        if let Err(error) = Certificates::read(files.clone()) {
            ok = false;
            problems.push(format!("error: {key}: {address}: {}", whole(&error)));
        }
    }
    if let Ok(url) = Url::parse(&settings.public_url(settings.admin.listen, settings.admin.public_listen))
        && url.scheme() == "http"
        && !url.host_str().is_some_and(is_loopback)
    {
        problems.push(format!("warning: admin.public_url: without https the cookies that bind an authorization to a browser cannot work at {url}"));
    }
    Checked { ok, diagnostics, problems, sources }
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl App {
    /// Starts a gateway; `watcher` is told of every event, and a store that was rolled back is taken or not. Must be called on a
    /// multi-threaded runtime.
    /// # Errors
    /// Why nothing was started: nothing listens then.
    pub async fn start(settings: Settings, watcher: Option<Watcher>, rollback: Rollback) -> Result<Running, StartError> {
        let open = |settings: &Settings, clock| {
            let store = SqliteStore::open_marked(&settings.store, clock, &notes(settings), rollback)?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        };
        Self::start_over(settings, watcher, open).await
    }

    /// The same over whatever store `open` makes.
    /// # Errors
    /// Why nothing was started: nothing listens then.
    pub async fn start_over(
        settings: Settings,
        watcher: Option<Watcher>,
        open: impl FnOnce(&Settings, Clock) -> Result<Arc<dyn Store>, StoreError>,
    ) -> Result<Running, StartError> {
        process::outlive_quotas().map_err(StartError::Signals)?;
        let files = limits::files::raise().unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the limit of open files stays as it is, and with it how many may connect at once");
            None
        });
        let clock = Clock::system();
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let metrics = Metrics::new();
        let policies = Arc::new(policies(&settings, &clock, metrics.clone())?);
        let keyring = keyring(&settings.encryption)?;
        let store = open(&settings, clock.clone())?;
        let vault = Vault::open(keyring, Arc::clone(&store), clock.clone()).await?;
        // From here on the system takes connections: they wait until all is loaded, and there is a key that opens it.
        let listeners = Listeners::bind(&settings)?;
        let public_url = settings.public_url(listeners.admin.1, listeners.public.as_ref().map(|(_, address)| *address));
        let public_url = Url::parse(&public_url).map_err(|_| StartError::PublicUrl(public_url))?;

        let keys = keys(&settings, &vault, &tasks);
        let directory = Directory::open(Arc::clone(&store)).await?;
        directory.keep_swept(&clock, &tasks);
        let sessions = Sessions::new(Arc::clone(&store), clock.clone(), tasks.clone());
        let rotation = Rotation { size: settings.audit.rotate, keep: settings.audit.keep };
        let audit = AuditLog::open(&settings.audit.file, rotation, clock.clone(), tasks.clone(), metrics.clone())?;
        let trust = settings.egress.ca_file.clone().map_or(Trust::System, Trust::File);
        let egress = settings.egress.rules();
        let http = HttpClient::new(egress.clone(), &trust)?;
        let in_force = Arc::clone(&policies);
        let grants = Grants::new(GrantsParts {
            directory: directory.clone(),
            store: Arc::clone(&store),
            vault: vault.clone(),
            http,
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            policies: Arc::new(move || in_force.policies()),
            clients: settings.clients.clone(),
            public_url: public_url.clone(),
            return_to: settings.admin.return_to.iter().filter_map(|origin| Url::parse(origin).ok()).collect(),
            open_grants: settings.limits.open_grants,
        });
        let draining = CancellationToken::new();
        let gateway = Gateway::new(GatewayParts {
            policies: Arc::clone(&policies),
            directory: directory.clone(),
            sessions: sessions.clone(),
            grants: grants.clone(),
            vault: vault.clone(),
            audit: audit.clone(),
            callers: callers(&settings),
            rates: AccountRates::new(settings.limits.requests_per_account),
            places: AccountPlaces::new(settings.limits.concurrent_per_account),
            bounds: settings.limits.bounds,
            egress,
            metrics: metrics.clone(),
            clock: clock.clone(),
            sources: Sources { headers: settings.gateway.identifier_headers.clone(), token_slot: settings.gateway.token_slot },
            hosts: settings.gateway.hosts.clone(),
            external_url: settings.gateway.external_url.as_deref().map(Into::into),
            watcher,
        });
        let connections = limits::files::connections(settings.gateway.connections, files);
        let proxy = Arc::new(Proxy::new(Arc::clone(&gateway), &trust, Patience::STANDARD, connections, tasks.clone())?);
        grants.start();
        keys.keep_turning(&clock);
        if settings.watch == Watch::Files {
            watch_policies(&policies, &clock, &tasks);
        }
        let parts = AdminParts {
            token: settings.admin.token.clone(),
            metrics_access: settings.admin.metrics,
            public_url,
            own_origins: listeners.origins(),
            plain_http: settings.egress.plain_http,
            directory,
            sessions,
            store,
            vault,
            keys: keys.clone(),
            audit: audit.clone(),
            metrics: metrics.clone(),
            grants,
            policies: Arc::clone(&policies),
            clock: clock.clone(),
            tasks: tasks.clone(),
            draining: draining.clone(),
        };
        forget_quiet_accounts(gateway, &tasks, &clock);
        Ok(listeners.open(&settings, parts, Ended { policies, keys, proxy, audit, clock, tasks, draining }))
    }
}

fn keyring(settings: &EncryptionSettings) -> Result<Keyring, KeyFileError> {
    Keyring::read(&settings.key_file, &settings.older_key_files)
}

/// Where it is noted how far the store is: beside the audit, and not one of its files; and beside the key, which whoever puts the
/// store's folder back as a whole leaves where it is.
fn notes(settings: &Settings) -> Notes {
    let audit = &settings.audit.file;
    let file = audit.with_file_name(format!("store-mark-{}", audit.file_name().unwrap_or_default().to_string_lossy()));
    Notes { file, also_in: settings.encryption.key_file.parent().map(Into::into) }
}

/// The keys in force; the next ones come from the settings as they are then.
fn keys(settings: &Settings, vault: &Vault, tasks: &Tasks) -> KeyRoom {
    let file = settings.file.clone();
    let files = move || Ok(keyring(&settings::encryption(&file)?)?);
    KeyRoom::new(vault.clone(), Arc::new(files), tasks.clone())
}

fn policies(settings: &Settings, clock: &Clock, metrics: Metrics) -> Result<PolicyRoom, StartError> {
    let places = settings.policy_places();
    PolicyRoom::open(places.clone(), clock.timestamp(), metrics).map_err(|error| match error {
        NotLoaded::Unreadable(unreadable) => unreadable.into(),
        NotLoaded::Faulty { diagnostics, .. } => {
            let own = crate::gateway::read_sources(&places.paths).unwrap_or_default();
            StartError::Policies { diagnostics, sources: places.catalog.into_iter().chain(own).collect() }
        }
    })
}

/// Rules, and the hosts that are ours besides loopback.
fn callers(settings: &Settings) -> Callers {
    let external = settings.gateway.external_url.as_ref().and_then(|url| Url::parse(url).ok());
    let external = external.and_then(|url| url.host_str().map(str::to_lowercase));
    Callers::new(settings.callers.clone(), settings.gateway.hosts.keys().cloned().chain(external).collect())
}

fn forget_quiet_accounts(gateway: Arc<Gateway>, tasks: &Tasks, clock: &Clock) {
    let (ends, clock) = (tasks.token(), clock.clone());
    tasks.spawn("limits", async move {
        loop {
            tokio::select! {
                () = ends.cancelled() => return,
                () = clock.sleep(FORGETTING) => gateway.forget_quiet_accounts(),
            }
        }
    });
}

/// Addresses that are bound, and not served yet.
struct Listeners {
    gateway: Vec<(Listener, Speaks)>,
    admin: (TcpListener, SocketAddr),
    public: Option<(TcpListener, SocketAddr)>,
    /// What both of them show.
    web: Option<Arc<Certificates>>,
}

/// What a running gateway keeps for its end.
struct Ended {
    policies: Arc<PolicyRoom>,
    keys: KeyRoom,
    proxy: Arc<Proxy>,
    audit: AuditLog,
    clock: Clock,
    tasks: Tasks,
    draining: CancellationToken,
}

impl Listeners {
    fn bind(settings: &Settings) -> Result<Self, StartError> {
        let web = |key, address| web_listener(address).map_err(|source| StartError::Address { key, source: BindError { address, source } });
        Ok(Self {
            gateway: settings.gateway.listen.iter().map(gateway_listener).collect::<Result<_, _>>()?,
            admin: web("admin.listen", settings.admin.listen)?,
            public: settings.admin.public_listen.map(|address| web("admin.public_listen", address)).transpose()?,
            web: settings.admin.tls.as_ref().map(|files| certificates(settings.admin.listen, files)).transpose()?,
        })
    }

    /// Under which the customers' pages are reached besides `admin.public_url`.
    fn origins(&self) -> Vec<String> {
        let scheme = if self.web.is_some() { "https" } else { "http" };
        let addresses = std::iter::once(self.admin.1).chain(self.public.as_ref().map(|(_, address)| *address));
        addresses.map(|address| format!("{scheme}://{address}")).collect()
    }

    fn open(self, settings: &Settings, parts: AdminParts, ended: Ended) -> Running {
        let Ended { policies, keys, proxy, audit, clock, tasks, draining } = ended;
        let gateway = self.gateway.iter().map(|(listener, _)| listener.address()).collect();
        let mut certificates: Vec<_> =
            self.gateway.iter().filter_map(|(listener, speaks)| Some((listener.address(), speaks.certificates()?))).collect();
        certificates.extend(self.web.clone().map(|shown| (self.admin.1, shown)));
        self.gateway.into_iter().for_each(|(listener, speaks)| proxy.open(listener, speaks));
        let public = self.public.map(|(listener, address)| {
            serve_web(&tasks, "customers' pages", listener, self.web.clone(), admin::public_router(parts.clone()));
            address
        });
        let (listener, admin) = self.admin;
        serve_web(&tasks, "admin plane", listener, self.web, admin::router(parts));
        let (drain, grace) = (settings.gateway.drain, settings.gateway.grace);
        Running { gateway, certificates, admin, public, policies, keys, proxy, audit, clock, tasks, draining, drain, grace }
    }
}

/// An address that is bound, with the certificates that it shows.
fn gateway_listener(wanted: &ListenSettings) -> Result<(Listener, Speaks), StartError> {
    let address = wanted.address;
    let speaks = match &wanted.protocol {
        Protocol::Plain => Speaks::Plain,
        Protocol::PriorKnowledge => Speaks::PriorKnowledge,
        Protocol::Tls(files) => Speaks::Tls(certificates(address, files)?),
    };
    let listener = Listener::bind(address).map_err(|source| StartError::Address { key: "gateway.listen", source })?;
    Ok((listener, speaks))
}

fn certificates(address: SocketAddr, files: &CertificateFiles) -> Result<Arc<Certificates>, StartError> {
    Certificates::read(files.clone()).map(Arc::new).map_err(|source| StartError::Certificates { address, source: Box::new(source) })
}

fn web_listener(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn serve_web(tasks: &Tasks, name: &'static str, listener: TcpListener, certificates: Option<Arc<Certificates>>, plane: admin::Router) {
    let ends = tasks.token();
    tasks.spawn(name, async move {
        if let Err(error) = admin::serve(listener, certificates, plane, ends).await {
            tracing::error!(error = %error, "{name} ended");
        }
    });
}

/// The end was not clean.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum EndError {
    /// Requests were cut off.
    #[error("{0} requests did not end within `gateway.grace` and were cut off")]
    Cut(usize),
}

impl Running {
    /// The gateway's addresses as URLs.
    #[must_use]
    pub fn gateway_addresses(&self) -> String {
        self.gateway.iter().map(|address| self.url(address)).collect::<Vec<_>>().join(", ")
    }

    /// The admin plane's address as a URL.
    #[must_use]
    pub fn admin_address(&self) -> String {
        self.url(&self.admin)
    }

    fn url(&self, address: &SocketAddr) -> String {
        let tls = self.certificates.iter().any(|(shown_at, _)| shown_at == address);
        format!("{}://{address}", if tls { "https" } else { "http" })
    }

    /// Readiness first, then drain, then requests in flight end whole, and what goes on behind them: both within the grace. Where
    /// requests took all of it, the rest has a moment, and so has the audit.
    /// # Errors
    /// Some requests did not end in time.
    pub async fn shutdown(self) -> Result<(), EndError> {
        self.draining.cancel();
        self.clock.sleep(self.drain).await;
        let end = self.clock.instant().plus(self.grace);
        let drained = self.proxy.drain(self.grace).await;
        let left = end.since(self.clock.instant()).max(A_MOMENT);
        if let Shutdown::Left(tasks) = self.tasks.shutdown(left).await {
            tracing::warn!(tasks, "what goes on in the background did not end within `gateway.grace` and is cut off");
        }
        tokio::select! {
            () = self.audit.flush() => {}
            () = self.clock.sleep(LAST_EVENTS) => tracing::error!("the audit's disk does not answer: the last events may be missing"),
        }
        match drained {
            crate::proxy::Drained::Whole => Ok(()),
            crate::proxy::Drained::Cut(count) => Err(EndError::Cut(count)),
        }
    }

    /// Reads policies, certificates and key files again and goes on with the audit in a new file, as SIGHUP asks.
    pub async fn reload(&self) {
        self.audit.reopen();
        for (address, certificates) in &self.certificates {
            match certificates.reload() {
                Ok(()) => tracing::info!(%address, "certificates reloaded"),
                Err(error) => tracing::error!(%address, error = %whole(&error), "the new certificates cannot be used; the old ones stay in use"),
            }
        }
        let (policies, now) = (Arc::clone(&self.policies), self.clock.timestamp());
        // How it ended is in the log already, unless it did not; and what a panic said is for nobody's eyes.
        if self.tasks.blocking(move || policies.reload(now, Occasion::Signal).is_ok()).await.is_err() {
            tracing::error!("the reload broke off; the old policies stay in force");
        }
        match self.keys.rotate().await {
            Ok(()) => tracing::info!("key files read again"),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the keys in force stay"),
        }
    }
}

/// What the process is told from outside, from the moment this is made. Whoever says that it runs makes it before.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Hears from now on; nothing that is told later is lost.
    /// # Errors
    /// The system lets us watch no signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hang_up: signal(SignalKind::hangup())? })
    }

    /// Waits until the process is told to stop (SIGTERM, SIGINT); reloads at each SIGHUP meanwhile.
    pub async fn told_to_stop(&mut self, running: &Running) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => running.reload().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_listens_before_the_key_opens_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = |key: &str| {
            crate::vault::key_file::generate(&folder.path().join(key)).unwrap();
            let (file, at) = (folder.path().join("scopegate.yaml"), taken.local_addr().unwrap());
            let text = format!(
                "gateway: {{listen: [\"{at}\"]}}\nadmin: {{token: secret, listen: \"{at}\"}}\npolicies: []\nwatch: false\n\
                 store: {{embedded: ./data}}\nencryption: {{key_file: ./{key}}}\naudit: {{file: ./data/audit.jsonl}}\n"
            );
            std::fs::write(&file, text).unwrap();
            Settings::read(&file).unwrap()
        };
        let error = App::start(settings("right"), None, Rollback::Refused).await.err();
        assert!(matches!(error, Some(StartError::Address { key: "gateway.listen", .. })), "{error:?}");
        // Had anything been bound, it would be the address that is complained of.
        let error = App::start(settings("wrong"), None, Rollback::Refused).await.err();
        assert!(matches!(error, Some(StartError::Vault(VaultError::WrongKey { .. }))), "{error:?}");
    }

    #[test]
    fn pages_whose_cookies_cannot_work_are_pointed_at() {
        for (admin, said) in [
            ("", false),
            (", public_url: \"https://connect.example\"", false),
            (", public_url: \"http://127.0.0.1:4101\"", false),
            (", public_url: \"http://connect.example\"", true),
            (", listen: \"0.0.0.0:4101\"", true),
            (", listen: \"0.0.0.0:4101\", public_url: \"https://connect.example\"", false),
            (", public_listen: \"10.0.0.1:4102\"", true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("scopegate.yaml");
            std::fs::write(&file, format!("admin: {{token: secret{admin}}}\npolicies: []\n")).unwrap();
            let text = check(&Settings::read(&file).unwrap()).text();
            assert_eq!(text.contains("the cookies that bind an authorization to a browser cannot work"), said, "{admin}: {text}");
        }
    }
}
