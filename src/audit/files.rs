//! The files of an audit: the current one under its plain name, older ones with a number after
//! it, the highest being the youngest of them.

use super::AuditError;
use super::chain::Head;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where the files of one audit are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    name: String,
}

impl Files {
    /// The files of the audit whose current one is at `path`.
    pub(super) fn at(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().map_or_else(|| "audit.jsonl".into(), |name| name.to_string_lossy().into_owned());
        Self { folder: folder.into(), name }
    }

    pub(super) fn current(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Older files with their numbers, the oldest first.
    pub(super) fn older(&self) -> Result<Vec<(u64, PathBuf)>, AuditError> {
        let failed = failed("look for", &self.folder);
        let mut older = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let suffix = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(&self.name)?.strip_prefix('.'));
            if let Some(number) = suffix.and_then(|suffix| suffix.parse().ok()) {
                older.push((number, path));
            }
        }
        older.sort();
        Ok(older)
    }

    /// Whether anybody has begun an audit here, or put something else where it will be.
    pub(super) fn folder_exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Gives the current file the next number.
    pub(super) fn retire_current(&self) -> Result<(), AuditError> {
        let next = self.older()?.last().map_or(1, |(number, _)| number + 1);
        let path = self.folder.join(format!("{}.{next}", self.name));
        fs::rename(self.current(), &path).map_err(failed("rename", &self.current()))
    }

    /// All files that are there, the oldest first, opened at one moment: whatever is renamed, deleted or appended afterwards, they
    /// stay what they were.
    pub(super) fn open_all(&self) -> Result<Vec<Opened>, AuditError> {
        let folder = self.folder()?;
        // As long as this is held no file is renamed; and no longer, for whoever begins a file waits for it.
        folder.lock_shared().map_err(failed("lock the folder of", &self.current()))?;
        let mut opened = Vec::new();
        for path in self.older()?.into_iter().map(|(_, path)| path).chain([self.current()]) {
            match File::open(&path) {
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => return Err(failed("open", &path)(fault)),
                Ok(file) => {
                    let length = file.metadata().map_err(failed("read", &path))?.len();
                    opened.push(Opened { path, file, length });
                }
            }
        }
        Ok(opened)
    }

    /// Notes the last event of a file that is about to be deleted for its age.
    pub(super) fn note_pruned(&self, last: &Head) -> Result<(), AuditError> {
        let path = self.pruned_note();
        let failed = failed("note what is deleted in", &path);
        let mut note = tempfile::Builder::new().prefix(".pruned-").tempfile_in(&self.folder).map_err(&failed)?;
        serde_json::to_writer(&mut note, last).map_err(io::Error::from).and_then(|()| note.as_file().sync_all()).map_err(&failed)?;
        note.persist(&path).map_err(|fault| failed(fault.error))?;
        self.folder()?.sync_all().map_err(&failed)
    }

    /// The last event that was deleted for its age; the beginning of everything where none was, or nobody can read the note.
    pub(super) fn pruned(&self) -> Result<Head, AuditError> {
        let path = self.pruned_note();
        match fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(Head::default()),
            Err(fault) => Err(failed("read", &path)(fault)),
        }
    }

    fn pruned_note(&self) -> PathBuf {
        self.folder.join(format!("pruned-{}", self.name))
    }

    /// Where what a kill tore is put: beside the audit, and not one of its files.
    pub(super) fn torn(&self, mark: &str) -> PathBuf {
        self.folder.join(format!("torn-{}-{mark}", self.name))
    }

    pub(super) fn make_folder(&self) -> Result<(), AuditError> {
        if self.folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed("make the folder of", &self.current()))
    }

    /// The folder itself. Whoever renames or makes files holds its lock, so that names keep still
    /// for whoever holds it shared; and syncing it makes new names durable.
    pub(super) fn folder(&self) -> Result<File, AuditError> {
        File::open(&self.folder).map_err(failed("open the folder of", &self.current()))
    }
}

/// A file as it was when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// What comes after that was written later.
    pub(super) length: u64,
}

/// For `map_err`: which deed failed on which file.
pub(super) fn failed(deed: &'static str, path: &Path) -> impl Fn(io::Error) -> AuditError + use<> {
    let path = path.to_path_buf();
    move |cause| AuditError::Io { deed, path: path.clone(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_files_are_counted_and_others_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::at(&folder.path().join("audit.jsonl"));
        for name in ["audit.jsonl", "audit.jsonl.2", "audit.jsonl.10", "audit.jsonl.old", "torn-audit.jsonl-1", "scopegate.db"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        files.retire_current().unwrap();
        let older = files.older().unwrap();
        assert_eq!(older.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 10, 11]);
        assert_eq!(fs::read_to_string(&older[2].1).unwrap(), "audit.jsonl");
    }
}
