//! Settings: `scopegate.yaml`, read whole, with every mistake reported at its line and column.
//!
//! The only place that reads the environment. `${NAME}` is replaced inside of texts after
//! the YAML is read; secrets may also stand in files. Nothing here starts anything.

mod callers;
mod examples;
mod gateway;
mod scalar;
mod schema;
mod sections;

pub use examples::{CODE_EXAMPLES, SettingsExample};
pub use schema::schema;

use crate::admin::MetricsAccess;
use crate::caller::Rule;
use crate::certificates::CertificateFiles;
use crate::egress::{Egress, KnownNames};
use crate::gateway::{PolicyPlaces, TokenSlot};
use crate::grants::Clients;
use crate::limits::Bounds;
use ipnet::IpNet;
use scalar::Scalars;
use scopegate_core::connector::PlainHttp;
use scopegate_core::id::ConnectorId;
use scopegate_core::policy::Rate;
use scopegate_core::policy::document::{self, Fields, Node};
use scopegate_core::policy::{Diagnostic, Findings, Origin, Override, Source};
use scopegate_core::secret::BearerSecret;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that a gateway is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that they were read from.
    pub file: PathBuf,
    /// `gateway`.
    pub gateway: GatewaySettings,
    /// `admin`.
    pub admin: AdminSettings,
    /// `policies`: files and folders.
    pub policies: Vec<PathBuf>,
    /// `watch`.
    pub watch: Watch,
    /// `connectors`: what this deployment replaces.
    pub overrides: BTreeMap<ConnectorId, Override>,
    /// `store.embedded`: a folder.
    pub store: PathBuf,
    /// `encryption`.
    pub encryption: EncryptionSettings,
    /// `callers`, in their order.
    pub callers: Vec<Rule>,
    /// `clients`: our OAuth registrations.
    pub clients: Clients,
    /// `egress`.
    pub egress: EgressSettings,
    /// `audit`.
    pub audit: AuditSettings,
    /// `limits`.
    pub limits: LimitSettings,
}

/// Whether an edit of a policy file comes into force by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watch {
    /// `true`: it does.
    Files,
    /// `false`: only where somebody asks for it.
    Nothing,
}

/// `gateway`.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where agents connect.
    pub listen: Vec<ListenSettings>,
    /// Lower-case names of headers that name the account.
    pub identifier_headers: Vec<String>,
    /// Whether a handle is also taken where a tool puts its token.
    pub token_slot: TokenSlot,
    /// Connectors by Host, lower case and without port.
    pub hosts: HashMap<String, ConnectorId>,
    /// Where clients reach the gateway, without a final slash.
    pub external_url: Option<String>,
    /// Threads that serve requests; none: as many as the process may use.
    pub threads: Option<usize>,
    /// Connections of clients at once, over all listeners.
    pub connections: usize,
    /// How long the listener stays open after `/readyz` says no.
    pub drain: Duration,
    /// How long requests in flight may take to end.
    pub grace: Duration,
}

/// An address for agents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenSettings {
    /// Where.
    pub address: SocketAddr,
    /// What is spoken there.
    pub protocol: Protocol,
}

impl ListenSettings {
    /// The address and its certificates, where it shows some.
    #[must_use]
    pub fn certificates(&self) -> Option<(SocketAddr, &CertificateFiles)> {
        match &self.protocol {
            Protocol::Tls(files) => Some((self.address, files)),
            Protocol::Plain | Protocol::PriorKnowledge => None,
        }
    }
}

/// What clients of an address speak.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.
    Plain,
    /// HTTP/1, or HTTP/2 with prior knowledge (`h2c: true`).
    PriorKnowledge,
    /// HTTP/1.1 or HTTP/2 over TLS.
    Tls(CertificateFiles),
}

/// `admin`.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where operators connect.
    pub listen: SocketAddr,
    /// What they show.
    pub token: BearerSecret,
    /// Where customers' browsers connect, apart from operators.
    pub public_listen: Option<SocketAddr>,
    /// What both addresses show over TLS; none where they speak plain HTTP.
    pub tls: Option<CertificateFiles>,
    /// The origin that customers' browsers know; none: that of `public_listen`, else of `listen`.
    pub public_url: Option<String>,
    /// Origins where `return_to` may lead.
    pub return_to: Vec<String>,
    /// Whether `/metrics` asks for the token.
    pub metrics: MetricsAccess,
}

impl AdminSettings {
    /// How both addresses are spoken to.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// `encryption`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptionSettings {
    /// Holds the key that wraps.
    pub key_file: PathBuf,
    /// Hold keys that wrapped before, as long as they are needed.
    pub older_key_files: Vec<PathBuf>,
}

/// `egress`.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// Networks besides public unicast addresses.
    pub allow_networks: Vec<IpNet>,
    /// Whether http without TLS may be spoken.
    pub plain_http: PlainHttp,
    /// A CA bundle instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Names whose addresses no name server is asked for.
    pub addresses: KnownNames,
}

impl EgressSettings {
    /// What may be dialled.
    #[must_use]
    pub fn rules(&self) -> Egress {
        Egress::new(self.allow_networks.clone(), self.plain_http).knowing(self.addresses.clone())
    }
}

/// `audit`.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// The current file.
    pub file: PathBuf,
    /// The size in bytes at which a file ends.
    pub rotate: u64,
    /// How long files are kept.
    pub keep: Duration,
}

/// `limits`.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Sizes and times of one request.
    pub bounds: Bounds,
    /// How often one account may ask; none: as often as it likes.
    pub requests_per_account: Option<Rate>,
    /// How many requests of one account may be under way; none: as many as it likes.
    pub concurrent_per_account: Option<NonZeroUsize>,
    /// How many opened token sets are kept.
    pub open_grants: usize,
}

/// Where the admin API is, for the verbs that use it.
#[derive(Clone, Debug)]
pub struct AdminDoor {
    /// Its origin.
    pub url: String,
    /// The certificate that it shows, where it speaks TLS.
    pub cert_file: Option<PathBuf>,
    /// What it wants to see.
    pub token: BearerSecret,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The author's mistakes: all of them.
    #[error("the settings have errors: {}", first(diagnostics))]
    Faulty {
        /// The file, for showing the lines that findings are about.
        source_text: Source,
        /// All findings.
        diagnostics: Vec<Diagnostic>,
    },
}

fn first(diagnostics: &[Diagnostic]) -> String {
    diagnostics.first().map_or_else(String::new, |one| format!("{}:{}:{}: {}", one.file, one.line, one.column, one.message))
}

/// Asks the environment for a variable.
pub type Environment = fn(&str) -> Option<String>;

#[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The filter of logs: `SCOPEGATE_LOG`, else `RUST_LOG`.
#[must_use]
pub fn log_filter() -> Option<String> {
    environment("SCOPEGATE_LOG").or_else(|| environment("RUST_LOG"))
}

impl Settings {
    /// Reads the settings file; relative paths in it start from its folder.
    /// # Errors
    /// It cannot be read, or has mistakes: all of them.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::parse(open(path)?, path, environment)
    }

    /// Reads the text of a settings file that stands, or could stand, at `path`; `environment` answers for `${NAME}`.
    /// # Errors
    /// It has mistakes: all of them.
    pub fn parse(source: Source, path: &Path, environment: Environment) -> Result<Self, SettingsError> {
        let sources = [source];
        let mut findings = Findings::new(&sources);
        let made = root(&sources, &mut findings, |fields, findings| {
            let mut scalars = Scalars { folder: path.parent().unwrap_or(Path::new("")), environment, findings };
            sections::settings(path, fields, &mut scalars)
        });
        finished(made, findings.into_diagnostics(), &sources)
    }

    /// Where policies come from, with the documents that ship in the binary.
    #[must_use]
    pub fn policy_places(&self) -> PolicyPlaces {
        PolicyPlaces { paths: self.policies.clone(), catalog: crate::catalog::sources(), overrides: self.overrides.clone() }
    }

    /// The origin that customers' browsers know, where the settings say one or the listeners have one.
    #[must_use]
    pub fn public_url(&self, admin: SocketAddr, public: Option<SocketAddr>) -> String {
        self.admin.public_url.clone().unwrap_or_else(|| format!("{}://{}", self.admin.scheme(), public.unwrap_or(admin)))
    }
}

/// Where the admin API is; reads nothing else of the settings.
/// # Errors
/// As for [`Settings::read`].
pub fn admin_door(path: &Path) -> Result<AdminDoor, SettingsError> {
    let sources = [open(path)?];
    let mut findings = Findings::new(&sources);
    let made = root(&sources, &mut findings, |mut fields, findings| {
        let folder = path.parent().unwrap_or(Path::new(""));
        let admin = gateway::admin(fields.take("admin"), &mut Scalars { folder, environment, findings })?;
        let host = if admin.listen.ip().is_unspecified() { SocketAddr::new([127, 0, 0, 1].into(), admin.listen.port()) } else { admin.listen };
        Some(AdminDoor { url: format!("{}://{host}", admin.scheme()), cert_file: admin.tls.map(|files| files.cert_file), token: admin.token })
    });
    finished(made, findings.into_diagnostics(), &sources)
}

/// Where policies come from by the settings file; reads nothing else of it.
/// # Errors
/// As for [`Settings::read`].
pub fn policy_places(path: &Path) -> Result<PolicyPlaces, SettingsError> {
    let sources = [open(path)?];
    let mut findings = Findings::new(&sources);
    let made = root(&sources, &mut findings, |mut fields, findings| {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut scalars = Scalars { folder, environment, findings };
        let paths = sections::policies(fields.take("policies"), &mut scalars);
        let overrides = sections::overrides(fields.take("connectors"), &mut scalars);
        Some(PolicyPlaces { paths, catalog: crate::catalog::sources(), overrides })
    });
    finished(made, findings.into_diagnostics(), &sources)
}

/// Where the audit is; reads nothing else of the settings.
/// # Errors
/// As for [`Settings::read`].
pub fn audit_file(path: &Path) -> Result<PathBuf, SettingsError> {
    section(path, "audit", sections::audit).map(|audit| audit.file)
}

/// Which key files are to be used; reads nothing else of the settings.
/// # Errors
/// As for [`Settings::read`].
pub fn encryption(path: &Path) -> Result<EncryptionSettings, SettingsError> {
    section(path, "encryption", sections::encryption)
}

/// Where the embedded store is; reads nothing else of the settings.
/// # Errors
/// As for [`Settings::read`].
pub fn store_folder(path: &Path) -> Result<PathBuf, SettingsError> {
    section(path, "store", sections::store)
}

/// What `read` makes of one section of the settings.
fn section<T>(path: &Path, key: &'static str, read: impl FnOnce(Option<&Node>, &mut Scalars<'_, '_, '_>) -> Option<T>) -> Result<T, SettingsError> {
    let sources = [open(path)?];
    let mut findings = Findings::new(&sources);
    let made = root(&sources, &mut findings, |mut fields, findings| {
        let folder = path.parent().unwrap_or(Path::new(""));
        read(fields.take(key), &mut Scalars { folder, environment, findings })
    });
    finished(made, findings.into_diagnostics(), &sources)
}

fn open(path: &Path) -> Result<Source, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|cause| SettingsError::Unreadable { path: path.into(), cause })?;
    Ok(Source { name: path.display().to_string(), text, origin: Origin::Own })
}

/// The value that `read` makes of the file's mapping; an empty file is an empty mapping.
fn root<'s, T>(sources: &'s [Source; 1], findings: &mut Findings<'s>, read: impl FnOnce(Fields<'_>, &mut Findings<'s>) -> Option<T>) -> Option<T> {
    let [source] = sources;
    let node = match document::read(0, &source.text, findings) {
        Some(node) if node.is_null() => Node::empty_mapping(),
        Some(node) => node,
        None if source.text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) => Node::empty_mapping(),
        None => return None,
    };
    read(Fields::open(&node, "the settings", findings)?, findings)
}

fn finished<T>(made: Option<T>, diagnostics: Vec<Diagnostic>, sources: &[Source; 1]) -> Result<T, SettingsError> {
    match made {
        Some(made) if diagnostics.is_empty() => Ok(made),
        _ => {
            let [source] = sources;
            Err(SettingsError::Faulty { source_text: source.clone(), diagnostics })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        (name == "SCOPEGATE_ADMIN_TOKEN").then(|| "token".to_owned())
    }

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        let source = Source { name: "s.yaml".into(), text: text.into(), origin: Origin::Own };
        Settings::parse(source, Path::new("/here/s.yaml"), known).map_err(|error| match error {
            SettingsError::Faulty { diagnostics, .. } => {
                diagnostics.iter().map(|one| format!("{}:{} {} {}", one.line, one.column, one.code, one.message)).collect()
            }
            SettingsError::Unreadable { .. } => Vec::new(),
        })
    }

    #[test]
    fn an_empty_file_is_all_defaults_and_paths_start_from_its_folder() {
        let settings = read("# nothing\n").unwrap();
        assert_eq!(settings.gateway.listen, [ListenSettings { address: "127.0.0.1:4100".parse().unwrap(), protocol: Protocol::Plain }]);
        assert_eq!(settings.admin.token.reveal(), "token");
        assert_eq!((settings.file.as_path(), settings.store.as_path()), (Path::new("/here/s.yaml"), Path::new("/here/data")));
        assert_eq!(settings.encryption, EncryptionSettings { key_file: "/here/keys/kek-1".into(), older_key_files: Vec::new() });
        assert_eq!(settings.egress.plain_http, PlainHttp::Refused);
        assert_eq!((settings.callers.len(), settings.watch), (1, Watch::Files));
        assert_eq!(read("watch: false\n").unwrap().watch, Watch::Nothing);
    }

    #[test]
    fn older_key_files_are_named_beside_the_current_one() {
        let settings = read("encryption: {key_file: ./keys/kek-3, older_key_files: [keys/kek-1, /elsewhere/kek-2]}\n").unwrap();
        let older_key_files = vec!["/here/keys/kek-1".into(), "/elsewhere/kek-2".into()];
        assert_eq!(settings.encryption, EncryptionSettings { key_file: "/here/./keys/kek-3".into(), older_key_files });
        for (text, words) in [
            ("encryption: {older_key_files: [a]}", "`key_file`"),
            ("encryption: {key_file: a, older_key_files: b}", "list"),
            ("encryption: {key_file: a, older_key_file: [b]}", "`older_key_file`"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.iter().any(|one| one.contains(words)), "{text}: {found:#?}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let text = "gateway:\n  lisen: [\"127.0.0.1:1\"]\nlimits: {body: 10MB}\nclients:\n  crm: {client_id: a, client_secret: \"${NOT_SET}\"}\nstore: {redis: \"rediss://x\"}\ncallers: []\n";
        let found = read(text).unwrap_err();
        for (at, words) in [("2:3", "`lisen`"), ("3:16", "`10MB`"), ("5:38", "`NOT_SET`"), ("6:16", "one node"), ("7:10", "nobody may connect")] {
            assert!(found.iter().any(|one| one.starts_with(&format!("{at} ")) && one.contains(words)), "{at} {words}: {found:#?}");
        }
        assert_eq!(found.len(), 5, "{found:#?}");
    }
}
