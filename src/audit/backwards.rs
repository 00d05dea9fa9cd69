//! The lines of a file, the last one first.

use memchr::memrchr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reads a file's lines from its end, as the file is when this is made.
#[derive(Debug)]
pub(super) struct Backwards<'a> {
    file: &'a File,
    /// Bytes of the file before this are not read yet.
    begin: u64,
    /// What is read and not given out: the file from `begin` on.
    rest: Vec<u8>,
}

/// One line.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Without its line feed.
    pub(super) text: Vec<u8>,
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Whether it ended with a line feed; only the file's last line may not.
    pub(super) ending: Ending,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    LineFeed,
    EndOfFile,
}

impl<'a> Backwards<'a> {
    const CHUNK: u64 = 64 * 1024;

    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self::before(file, file.metadata()?.len()))
    }

    /// The same from where a line begins, that one and what follows it left out.
    pub(super) fn before(file: &'a File, offset: u64) -> Self {
        Self { file, begin: offset, rest: Vec::new() }
    }

    /// The line before the one that was given last.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        if self.rest.is_empty() && !self.read_more()? {
            return Ok(None);
        }
        let ending = if self.rest.last() == Some(&b'\n') { Ending::LineFeed } else { Ending::EndOfFile };
        if ending == Ending::LineFeed {
            self.rest.pop();
        }
        loop {
            if let Some(feed) = memrchr(b'\n', &self.rest) {
                let text = self.rest.split_off(feed + 1);
                return Ok(Some(Line { text, offset: self.begin + feed as u64 + 1, ending }));
            }
            if !self.read_more()? {
                return Ok(Some(Line { text: std::mem::take(&mut self.rest), offset: 0, ending }));
            }
        }
    }

    /// Puts the chunk before `begin` in front of the rest; false where there is none.
    fn read_more(&mut self) -> io::Result<bool> {
        let size = self.begin.min(Self::CHUNK);
        let Ok(length) = usize::try_from(size) else { return Ok(false) };
        if length == 0 {
            return Ok(false);
        }
        let mut chunk = vec![0; length];
        self.file.read_exact_at(&mut chunk, self.begin - size)?;
        chunk.append(&mut self.rest);
        (self.begin, self.rest) = (self.begin - size, chunk);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_from_the_end_whole_and_with_their_place() {
        let long = "x".repeat(200_000);
        for text in ["", "\n", "a\n", "a", "a\nb\n", "a\n\nb", "\n\n", &format!("{long}\na\n{long}\n"), &format!("b\n{long}")] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let (mut lines, mut from_the_end) = (Backwards::new(&file).unwrap(), Vec::new());
            while let Some(line) = lines.next_line().unwrap() {
                let offset = usize::try_from(line.offset).unwrap();
                assert!(text.as_bytes()[offset..].starts_with(&line.text));
                assert_eq!(line.ending == Ending::EndOfFile, offset + line.text.len() == text.len());
                from_the_end.push(String::from_utf8(line.text).unwrap());
            }
            from_the_end.reverse();
            assert_eq!(from_the_end, text.lines().collect::<Vec<_>>(), "{} bytes", text.len());
        }
    }
}
