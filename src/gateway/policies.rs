//! The policies in force: from which files, in which generation, and what was rejected last.
//!
//! Files are read and compiled together; requests keep the set that they began
//! with, and the next ones see the new one.
//!
//! **Invariant: reload is all or nothing.** One document with an error, or one
//! file that cannot be read, keeps the whole old set, and says so.

use super::change::{self, Occasion};
use crate::metrics::{Metrics, ResultLabels};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use scopegate_core::id::ConnectorId;
use scopegate_core::policy::{Compiled, Diagnostic, Origin, Override, PolicySet, Severity, Source, compile, hash_of};
use scopegate_core::time::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

/// Where policies come from.
#[derive(Clone, Debug, Default)]
pub struct PolicyPlaces {
    /// Files and folders of the platform team, in the order of the settings.
    pub paths: Vec<PathBuf>,
    /// The documents that ship in the binary.
    pub catalog: Vec<Source>,
    /// What this deployment replaces of connectors.
    pub overrides: BTreeMap<ConnectorId, Override>,
}

/// The policies in force, and the way to replace them.
#[derive(Debug)]
pub struct PolicyRoom {
    places: PolicyPlaces,
    in_force: ArcSwap<InForce>,
    last_rejected: ArcSwapOption<Rejected>,
    reloading: Mutex<()>,
    metrics: Metrics,
}

/// A set that is or was in force.
#[derive(Debug)]
pub struct InForce {
    /// The set.
    pub policies: Arc<PolicySet>,
    /// Counts sets that came into force, from 1.
    pub generation: u64,
    /// The platform team's files, as they were found.
    pub files: Vec<String>,
    /// What the author should look at, although it holds nothing up.
    pub warnings: Vec<Diagnostic>,
    /// When it came into force.
    pub since: Timestamp,
}

/// An attempt to reload that changed nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Rejected {
    /// When.
    pub time: Timestamp,
    /// The hash of the documents that were rejected; none where they could not be read.
    pub hash: Option<String>,
    /// What is wrong with them, warnings included.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// The world's fault.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The author's: all findings, warnings included.
    #[error("the policies have errors")]
    Faulty {
        /// The hash of the documents.
        hash: String,
        /// All findings.
        diagnostics: Vec<Diagnostic>,
    },
}

/// A policy file or folder that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the policy file or folder `{}`", path.display())]
pub struct Unreadable {
    /// Which one, as the settings or the folder name it.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub cause: io::Error,
}

impl PolicyRoom {
    /// Loads the first set. Reads files: not for a thread that serves requests.
    /// # Errors
    /// A file that cannot be read, or documents with errors; then there is nothing to fall back on.
    pub fn open(places: PolicyPlaces, now: Timestamp, metrics: Metrics) -> Result<Self, NotLoaded> {
        let first = load(&places, 1, now)?;
        metrics.policy_generation.set(1);
        let (in_force, last_rejected) = (ArcSwap::from_pointee(first), ArcSwapOption::empty());
        Ok(Self { places, in_force, last_rejected, reloading: Mutex::new(()), metrics })
    }

    /// The set in force. One request asks once and keeps what it got.
    #[must_use]
    pub fn policies(&self) -> Arc<PolicySet> {
        Arc::clone(&self.in_force.load().policies)
    }

    /// The set in force, and where it came from.
    #[must_use]
    pub fn in_force(&self) -> Guard<Arc<InForce>> {
        self.in_force.load()
    }

    /// The attempt that was rejected since the set in force was loaded, if there was one.
    #[must_use]
    pub fn last_rejected(&self) -> Option<Arc<Rejected>> {
        self.last_rejected.load_full()
    }

    /// Reads all files again and puts the new set in force, or keeps the old one whole; the log tells what changes.
    /// Attempts come one after the other. Reads files: not for a thread that serves requests.
    /// # Errors
    /// What was wrong; it stays visible until the next reload that works.
    pub fn reload(&self, now: Timestamp, occasion: Occasion) -> Result<Arc<InForce>, Arc<Rejected>> {
        let _one_at_a_time = self.one_at_a_time();
        let generation = self.in_force.load().generation + 1;
        self.conclude(load(&self.places, generation, now), now, occasion)
    }

    /// The same where the files say something else than at the last attempt; whether they did. Reads files.
    pub fn reload_if_changed(&self, now: Timestamp, occasion: Occasion) -> bool {
        let _one_at_a_time = self.one_at_a_time();
        let in_force = self.in_force.load_full();
        let read = self.places.read();
        let differs = match (&read, self.last_rejected()) {
            (Ok(read), Some(rejected)) => rejected.hash.as_ref() != Some(&hash_of(&read.sources)),
            (Ok(read), None) => in_force.policies.hash() != hash_of(&read.sources),
            (Err(unreadable), Some(rejected)) => rejected.diagnostics != [unreadable.diagnostic()],
            (Err(_), None) => true,
        };
        if differs {
            let loaded = read.map_err(NotLoaded::from).and_then(|read| read.compiled(in_force.generation + 1, now, &self.places));
            // Both outcomes are told where they belong: in the log, and to whoever looks.
            let _ = self.conclude(loaded, now, occasion);
        }
        differs
    }

    /// The files and folders of the platform team.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.places.paths
    }

    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conclude(&self, loaded: Result<InForce, NotLoaded>, now: Timestamp, occasion: Occasion) -> Result<Arc<InForce>, Arc<Rejected>> {
        match loaded {
            Ok(next) => {
                let next = Arc::new(next);
                self.count("accepted", 0);
                self.metrics.policy_generation.set(i64::try_from(next.generation).unwrap_or(i64::MAX));
                let old = self.in_force.swap(Arc::clone(&next));
                self.last_rejected.store(None);
                change::tell(&old, &next, occasion);
                Ok(next)
            }
            Err(fault) => {
                let rejected = Arc::new(Rejected::of(fault, now));
                self.last_rejected.store(Some(Arc::clone(&rejected)));
                self.count("rejected", 1);
                change::tell_rejected(&rejected, occasion);
                Err(rejected)
            }
        }
    }

    fn count(&self, result: &'static str, rejected: i64) {
        self.metrics.reloads.get_or_create(&ResultLabels { result }).inc();
        self.metrics.policy_rejected.set(rejected);
    }
}

impl Rejected {
    /// How many errors there are, warnings not counted.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    fn of(fault: NotLoaded, time: Timestamp) -> Self {
        match fault {
            NotLoaded::Faulty { hash, diagnostics } => Self { time, hash: Some(hash), diagnostics },
            NotLoaded::Unreadable(unreadable) => Self { time, hash: None, diagnostics: vec![unreadable.diagnostic()] },
        }
    }
}

impl Unreadable {
    /// The same as a finding, for those who read only findings.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            file: self.path.display().to_string(),
            line: 1,
            column: 1,
            width: 1,
            severity: Severity::Error,
            code: "SG0001",
            message: format!("this file or folder cannot be read: {}", self.cause.kind()),
            help: Some("check the path, and that the user scopegate runs as may read it".into()),
        }
    }
}

/// Documents as they were found, before anybody understood them.
struct Read {
    sources: Vec<Source>,
    files: Vec<String>,
}

impl PolicyPlaces {
    fn read(&self) -> Result<Read, Unreadable> {
        let own = read_sources(&self.paths)?;
        let files = own.iter().map(|source| source.name.clone()).collect();
        Ok(Read { sources: self.catalog.iter().cloned().chain(own).collect(), files })
    }
}

impl Read {
    fn compiled(self, generation: u64, since: Timestamp, places: &PolicyPlaces) -> Result<InForce, NotLoaded> {
        let Self { sources, files } = self;
        let Compiled { policies, diagnostics, .. } = compile(&sources, &places.overrides);
        match policies {
            Some(policies) => Ok(InForce { policies: Arc::new(policies), generation, files, warnings: diagnostics, since }),
            None => Err(NotLoaded::Faulty { hash: hash_of(&sources), diagnostics }),
        }
    }
}

fn load(places: &PolicyPlaces, generation: u64, since: Timestamp) -> Result<InForce, NotLoaded> {
    places.read()?.compiled(generation, since, places)
}

/// Reads policy files, and all `*.yaml` and `*.yml` of folders and their subfolders, sorted by name. What begins with a
/// dot is left out, and a file that two paths lead to is read once.
/// # Errors
/// The first file or folder that is not there, may not be read, or is no UTF-8.
pub fn read_sources(paths: &[PathBuf]) -> Result<Vec<Source>, Unreadable> {
    let (mut files, mut folders) = (Vec::new(), HashSet::new());
    for path in paths {
        if stat(path)?.is_dir() {
            gather(path, &mut files, &mut folders)?;
        } else {
            files.push(path.clone());
        }
    }
    let mut known = HashSet::new();
    let mut sources = Vec::new();
    for file in files {
        if known.insert(whole(&file)?) {
            let text = fs::read_to_string(&file).map_err(|cause| Unreadable { path: file.clone(), cause })?;
            sources.push(Source { name: file.display().to_string(), text, origin: Origin::Own });
        }
    }
    Ok(sources)
}

/// `folders` were looked into already: links may lead round in a circle.
fn gather(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut HashSet<PathBuf>) -> Result<(), Unreadable> {
    if !folders.insert(whole(folder)?) {
        return Ok(());
    }
    let unreadable = |cause| Unreadable { path: folder.into(), cause };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if stat(&path)?.is_dir() {
            gather(&path, files, folders)?;
        } else if path.extension().is_some_and(|extension| extension == OsStr::new("yaml") || extension == OsStr::new("yml")) {
            files.push(path);
        }
    }
    Ok(())
}

/// Where a path leads, without links on the way.
fn whole(path: &Path) -> Result<PathBuf, Unreadable> {
    fs::canonicalize(path).map_err(|cause| Unreadable { path: path.into(), cause })
}

fn stat(path: &Path) -> Result<fs::Metadata, Unreadable> {
    fs::metadata(path).map_err(|cause| Unreadable { path: path.into(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: 1\nroles:\n  reader: {allow: {}}\n";
    const BAD: &str = "version: 1\nrolls: {}\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn files_of_folders_come_sorted_once_and_without_what_begins_with_a_dot() {
        let folder =
            folder(&[("b.yaml", "b"), ("a.yml", "a"), ("c/d.cases.yaml", "d"), (".hidden.yaml", "x"), ("..data/e.yaml", "x"), ("readme.md", "x")]);
        let paths = [folder.path().to_owned(), folder.path().join("b.yaml"), folder.path().join("readme.md")];
        let read = read_sources(&paths).unwrap();
        let texts: Vec<_> = read.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "d", "x"]);
        assert!(read.iter().all(|source| source.origin == Origin::Own && source.name.starts_with(folder.path().to_str().unwrap())));
    }

    #[test]
    fn links_that_lead_round_in_circles_are_followed_once() {
        let folder = folder(&[("a.yaml", "a"), ("deep/b.yaml", "b")]);
        for name in ["one", "two", "deep/three", "deep/four"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(name)).unwrap();
        }
        let read = read_sources(&[folder.path().to_owned(), folder.path().join("deep")]).unwrap();
        assert_eq!(read.iter().map(|source| source.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_named() {
        let missing = PathBuf::from("/nonexistent/policies");
        assert_eq!(read_sources(std::slice::from_ref(&missing)).unwrap_err().path, missing);
    }

    #[test]
    fn a_reload_puts_all_in_force_or_keeps_the_whole_old_set() {
        let folder = folder(&[("one.yaml", GOOD)]);
        let at = Timestamp::from_millis;
        let room =
            PolicyRoom::open(PolicyPlaces { paths: vec![folder.path().to_owned()], ..PolicyPlaces::default() }, at(1), Metrics::new()).unwrap();
        let first = room.policies();
        assert_eq!((room.in_force().generation, room.in_force().since), (1, at(1)));

        fs::write(folder.path().join("two.yaml"), BAD).unwrap();
        let rejected = room.reload(at(2), Occasion::Api).unwrap_err();
        assert!(rejected.errors() >= 1 && rejected.hash.as_deref() != Some(first.hash()), "{rejected:?}");
        assert!(Arc::ptr_eq(&room.policies(), &first) && Arc::ptr_eq(&room.last_rejected().unwrap(), &rejected));

        fs::remove_file(folder.path().join("two.yaml")).unwrap();
        let same = room.reload(at(3), Occasion::Api).unwrap();
        assert_eq!((same.generation, same.since, same.policies.hash()), (2, at(3), first.hash()));
        assert!(room.last_rejected().is_none());
    }

    #[test]
    fn a_folder_that_went_away_is_a_rejected_reload() {
        let folder = folder(&[("policies/one.yaml", GOOD)]);
        let path = folder.path().join("policies");
        let room =
            PolicyRoom::open(PolicyPlaces { paths: vec![path.clone()], ..PolicyPlaces::default() }, Timestamp::default(), Metrics::new()).unwrap();
        fs::remove_dir_all(&path).unwrap();
        let rejected = room.reload(Timestamp::default(), Occasion::Api).unwrap_err();
        assert_eq!((rejected.errors(), &rejected.hash), (1, &None));
        assert!(rejected.diagnostics.iter().all(|finding| finding.file == path.display().to_string()));
    }
}
