//! From a file to its text, within limits.

use super::fault::Refusal;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// More text than this is no description.
pub(super) const MOST_TEXT: usize = 64 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// The text of a file, unpacked where it is gzip.
pub(super) fn of(file: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let bytes = if file.starts_with(GZIP) { Cow::Owned(unpacked(file)?) } else { Cow::Borrowed(file) };
    if bytes.len() > MOST_TEXT {
        return Err(Refusal::refused("the description has more than 64 MiB of text"));
    }
    let no_text = || Refusal::refused("the description is no text in UTF-8");
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(without_mark(std::str::from_utf8(bytes).map_err(|_| no_text())?)),
        Cow::Owned(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| no_text())?;
            Cow::Owned(without_mark(&text).to_owned())
        }
    })
}

fn unpacked(file: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut made = Vec::new();
    let most = MOST_TEXT as u64 + 1;
    MultiGzDecoder::new(file).take(most).read_to_end(&mut made).map_err(|_| Refusal::refused("the description is packed with gzip, and broken"))?;
    Ok(made)
}

/// Without a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_file_is_unpacked_as_far_as_a_description_goes() {
        assert_eq!(of(&packed("\u{feff}openapi: 3.0.0".as_bytes())).unwrap(), "openapi: 3.0.0");
        assert_eq!(of("\u{feff}a".as_bytes()).unwrap(), "a");
        let bomb = packed(&vec![b' '; MOST_TEXT + 1]);
        for (file, part) in [
            (bomb.as_slice(), "more than 64 MiB"),
            (&vec![b' '; MOST_TEXT + 1], "more than 64 MiB"),
            (&packed(b"openapi")[..12], "broken"),
            (b"\xff\xfeo\0", "UTF-8"),
        ] {
            assert!(of(file).unwrap_err().to_string().contains(part), "{part}");
        }
    }
}
