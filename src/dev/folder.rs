//! The folder of `dev`: settings, the practice policy, a wrapping key, an admin token, data.

use super::cast::{self, CRM};
use super::{Options, Promise};
use crate::chance;
use crate::practice::Practice;
use crate::vault::key_file::{self, KeyFileError};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The first line of the settings that `dev` writes; a file without it is somebody else's.
const MARK: &str = "# Written by `scopegate dev` at each start: the ports of the practice servers change.";

/// Names and proves the one client that the practice provider knows. No secret: it opens nothing but practice servers.
pub(super) const CLIENT: (&str, &str) = ("scopegate-practice", "practice-secret");

/// The folder, locked against a second `dev`.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Reading or writing failed.
    #[error("cannot {deed} {}", path.display())]
    Io {
        /// Such as `write`.
        deed: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Somebody's own settings are there.
    #[error("{} was not written by `scopegate dev`, and stays as it is: name another folder", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// Another `dev` runs there.
    #[error("another `scopegate dev` runs in {}: name another folder", path.display())]
    Busy {
        /// Which folder.
        path: PathBuf,
    },
    /// The wrapping key cannot be made.
    #[error("cannot make a wrapping key for {}", path.display())]
    Key {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: KeyFileError,
    },
}

impl Folder {
    /// Makes the folder, or takes it over from an earlier `dev`. The practice provider has forgotten every token by
    /// then, so that accounts begin anew; policies and audit stay.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        make(path)?;
        let place = path.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&place);
        let lock = lock.map_err(|cause| FolderError::Io { deed: "open", path: place.clone(), cause })?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy { path: path.into() }),
            Err(TryLockError::Error(cause)) => return Err(FolderError::Io { deed: "lock", path: place, cause }),
        }
        let folder = Self { path: path.into(), _lock: lock };
        folder.spare_others()?;
        folder.forget()?;
        Ok(folder)
    }

    /// Writes what is missing, and settings for these servers; where the settings are.
    pub(super) fn furnish(&self, options: &Options, practice: &Practice, sabotage: Option<Promise>) -> Result<PathBuf, FolderError> {
        for name in ["keys", "policies", "data"] {
            make(&self.path.join(name))?;
        }
        let key = self.path.join("keys/kek-1");
        if !key.exists() {
            key_file::generate(&key).map_err(|cause| FolderError::Key { path: self.path.clone(), cause })?;
        }
        self.keep("keys/admin-token", &format!("{}\n", hex::encode(chance::bytes::<24>())))?;
        self.keep(".gitignore", "*\n")?;
        self.keep("policies/crm.yaml", include_str!("crm.yaml"))?;
        if let Some(promise) = sabotage {
            make(&self.path.join("sabotage"))?;
            self.write("sabotage/crm.yaml", &promise.sabotage(include_str!("crm.yaml")))?;
        }
        self.write("scopegate.yaml", &settings(options.port, practice, if sabotage.is_some() { "./sabotage" } else { "./policies" }))
    }

    /// The admin token.
    pub(super) fn admin_token(&self) -> Result<String, FolderError> {
        let path = self.path.join("keys/admin-token");
        let text = fs::read_to_string(&path).map_err(|cause| FolderError::Io { deed: "read", path, cause })?;
        Ok(text.trim_end().to_owned())
    }

    fn spare_others(&self) -> Result<(), FolderError> {
        let path = self.path.join("scopegate.yaml");
        match fs::read_to_string(&path) {
            Ok(text) if text.starts_with(MARK) => Ok(()),
            Ok(_) => Err(FolderError::Foreign { path }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(FolderError::Io { deed: "read", path, cause }),
        }
    }

    fn forget(&self) -> Result<(), FolderError> {
        let path = self.path.join("data/store");
        match fs::remove_dir_all(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(FolderError::Io { deed: "remove", path, cause }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes a file that only its owner can read, unless it is there.
    fn keep(&self, name: &str, text: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(FolderError::Io { deed: "write", path, cause }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, FolderError> {
        let path = self.path.join(name);
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(cause) => Err(FolderError::Io { deed: "write", path, cause }),
        }
    }
}

fn make(path: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(path).map_err(|cause| FolderError::Io { deed: "make", path: path.into(), cause })
}

/// The settings, as anybody could have written them.
fn settings(port: u16, practice: &Practice, policies: &str) -> String {
    let (provider, api) = (practice.provider_origin(), practice.api_origin());
    let (id, secret) = CLIENT;
    let admin = if port == 0 { 0 } else { port.saturating_add(1) };
    let mut text = format!(
        "{MARK}\n\
         gateway: {{listen: [\"127.0.0.1:{port}\"]}}\n\
         admin: {{listen: \"127.0.0.1:{admin}\", token: {{file: ./keys/admin-token}}}}\n\
         policies: [{policies}]\n\
         store: {{embedded: ./data/store}}\n\
         encryption: {{key_file: ./keys/kek-1}}\n\
         audit: {{file: ./data/audit.jsonl}}\n\
         callers: [{{network: loopback}}]\n\
         egress: {{allow_networks: [\"127.0.0.0/8\"], allow_http: true}}\n"
    );
    let shipped = cast::borrowed().map(|borrowed| borrowed.member.connector);
    text.push_str("clients:\n");
    for connector in [CRM].into_iter().chain(shipped) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {connector}: {{client_id: {id}, client_secret: {secret}}}");
    }
    text.push_str("connectors:\n");
    for (connector, dialect) in [(CRM, String::new())].into_iter().chain(shipped.map(|connector| (connector, format!("/{connector}")))) {
        let _ = writeln!(
            text,
            "  {connector}: {{upstream: \"{api}\", authorization_url: \"{provider}{dialect}/authorize\", token_url: \"{provider}{dialect}/token\", \
             revocation_url: \"{provider}{dialect}/revoke\"}}"
        );
    }
    text
}
