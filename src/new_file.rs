//! A new file: there whole or not at all, and never in the place of another.
//!
//! It is written beside its place, under a name that nobody looks for, and gets its own name when all of it is on disk. Whatever
//! goes wrong before, nothing is left that would be in the way of the next try.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is being written, and gone unless it is kept.
#[derive(Debug)]
pub struct NewFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that will be at `path`, with this mode but for what the umask takes.
    ///
    /// # Errors
    /// `AlreadyExists` where something is there, or its folder cannot be written.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(".new-").permissions(Permissions::from_mode(mode)).tempfile_in(folder(path))?;
        Ok(Self { file: BufWriter::new(file), path: path.into() })
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// `AlreadyExists` where something has come there meanwhile, or the disk does not take all of it.
    pub fn keep(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path).map_err(|fault| fault.error)?;
        File::open(folder(&self.path))?.sync_all()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole file that is not there yet.
///
/// # Errors
/// As for [`NewFile::begin`] and [`NewFile::keep`].
pub fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::begin(path, mode)?;
    file.write_all(bytes)?;
    file.keep()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut dropped = NewFile::begin(&path, 0o600).unwrap();
        dropped.write_all(b"half").unwrap();
        dropped.flush().unwrap();
        drop(dropped);
        assert_eq!(names(folder.path()), [""; 0]);
        write_new(&path, 0o600, b"whole").unwrap();
        assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a".into()], b"whole".to_vec()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_written_over_not_even_what_comes_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let late = NewFile::begin(&path, 0o600).unwrap();
        write_new(&path, 0o600, b"first").unwrap();
        for fault in [late.keep(), write_new(&path, 0o600, b"second")] {
            assert_eq!(fault.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a".into()], b"first".to_vec()));
    }
}
