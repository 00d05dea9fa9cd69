//! Which folders tell of a change of policy files: those that hold them, and those where a link or a folder on the way to
//! them could be swapped.

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as the system follows.
const MOST_LINKS: usize = 40;

/// Kinds of file systems that other machines may change unseen, by their numbers in `statfs(2)`.
const SHARED: [u64; 12] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB 2
    0x0102_1997, // 9P
    0x6573_5546, // FUSE
    0x00C3_6400, // Ceph
    0x0BD0_0BD0, // Lustre
    0x0116_1970, // GFS2
    0x7461_636F, // OCFS2
    0x5346_414F, // AFS
    0x786F_4256, // VirtualBox
];

/// Folders without links on the way to them, and what in them counts.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<PathBuf, Counts>);

/// What counts in a folder.
#[derive(Debug)]
enum Counts {
    /// Everything: it holds policies.
    All,
    /// These names: they lead to policies.
    Names(BTreeSet<OsString>),
}

impl Places {
    /// For these files and folders, as they are now.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut places = Self::default();
        for path in paths {
            places.gather(path);
        }
        places
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// A folder that other machines may change without this one being told.
    pub(super) fn elsewhere(&self) -> Option<&Path> {
        self.folders()
            .find(|folder| rustix::fs::statfs(*folder).is_ok_and(|system| u64::try_from(system.f_type).is_ok_and(|kind| SHARED.contains(&kind))))
    }

    /// Whether this may change what the policies say. Reading does not.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        let writes = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Data(_)) => true,
            EventKind::Access(_) => return false,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => false,
        };
        event.need_rescan() || event.paths.iter().any(|path| self.counts(path, writes))
    }

    fn counts(&self, path: &Path, writes: bool) -> bool {
        let within = path.parent().and_then(|folder| self.0.get(folder)).zip(path.file_name());
        self.0.contains_key(path)
            || within.is_some_and(|(counts, name)| match counts {
                // A database may live in the same folder.
                Counts::All => !writes || is_policy(path),
                Counts::Names(names) => names.contains(name),
            })
    }

    /// What the path leads to, and with a folder all that is in it.
    fn gather(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        let Some(found) = self.follow(&path) else { return };
        if !found.is_dir() || matches!(self.0.get(&found), Some(Counts::All)) {
            return;
        }
        self.0.insert(found.clone(), Counts::All);
        let Ok(entries) = fs::read_dir(&found) else { return };
        for entry in entries.flatten() {
            let is_plain = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_plain && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.gather(&entry.path());
            }
        }
    }

    /// Where the path leads, noting on the way what could lead it elsewhere; none where that is nowhere.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let mut reached = PathBuf::new();
        let mut ahead: Vec<OsString> = reversed(path);
        let mut links = 0;
        while let Some(next) = ahead.pop() {
            if next == OsStr::new("..") {
                reached.pop();
                continue;
            }
            let candidate = reached.join(&next);
            let Ok(found) = fs::symlink_metadata(&candidate) else {
                self.note(&reached, next);
                return None;
            };
            if found.is_symlink() {
                links += 1;
                let target = fs::read_link(&candidate).ok().filter(|_| links <= MOST_LINKS);
                self.note(&reached, next);
                let target = target?;
                if target.is_absolute() {
                    reached = PathBuf::new();
                }
                ahead.extend(reversed(&target));
            } else {
                if ahead.is_empty() {
                    self.note(&reached, next);
                }
                reached = candidate;
            }
        }
        Some(reached)
    }

    fn note(&mut self, folder: &Path, name: OsString) {
        if let Counts::Names(names) = self.0.entry(folder.to_owned()).or_insert_with(|| Counts::Names(BTreeSet::new())) {
            names.insert(name);
        }
    }
}

/// The parts of a path, the first last.
fn reversed(path: &Path) -> Vec<OsString> {
    path.components().rev().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned()).collect()
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == OsStr::new("yaml") || extension == OsStr::new("yml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};
    use std::os::unix::fs::symlink;

    #[test]
    fn every_place_counts_where_something_on_the_way_to_a_file_could_be_swapped() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in ["real/map/..one", "real/map/sub", "shared"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("real/map/..one/a.yaml"), "").unwrap();
        fs::write(root.join("shared/b.yaml"), "").unwrap();
        for (target, link) in [("..one", "real/map/..data"), ("..data/a.yaml", "real/map/a.yaml"), ("../../shared", "real/map/b"), ("real", "now")] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink("round", root.join("round")).unwrap();
        let places = Places::of(&[root.join("now/map"), root.join("./shared/../missing/policies"), root.join("round/x")]);
        let shown: Vec<String> = places
            .0
            .iter()
            .map(|(folder, counts)| {
                let names = match counts {
                    Counts::All => "*".into(),
                    Counts::Names(names) => names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(" "),
                };
                format!("{}: {names}", folder.strip_prefix(&root).unwrap().display())
            })
            .collect();
        assert_eq!(shown, [": missing now round shared", "real: map", "real/map: *", "real/map/..one: a.yaml", "real/map/sub: *", "shared: *"]);
    }

    #[test]
    fn what_is_read_and_what_a_database_writes_beside_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("policies")).unwrap();
        let places = Places::of(&[root.join("policies"), root.join("single.md")]);
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for (kind, path, concerns) in [
            (data, "policies/a.yaml", true),
            (data, "policies/a.yml", true),
            (data, "policies/store.db-wal", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "policies/a.yaml", true),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "policies/a.yaml", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "policies/a.yaml", false),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), "policies/..data", true),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "policies/a.yaml", true),
            (EventKind::Create(CreateKind::Folder), "policies/more", true),
            (EventKind::Remove(RemoveKind::Folder), "policies", true),
            (data, "single.md", true),
            (data, "another.md", false),
            (EventKind::Create(CreateKind::File), "another.yaml", false),
        ] {
            assert_eq!(places.concerns(&Event::new(kind).add_path(root.join(path))), concerns, "{kind:?} {path}");
        }
        assert!(places.concerns(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert_eq!(places.elsewhere(), None);
    }
}
