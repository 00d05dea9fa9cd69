//! JSON as text, for what every request writes.

use std::fmt::Display;
use std::io::Write as _;

/// Puts a text at the end of `to` as a JSON string (RFC 8259 section 7). Nearly all texts are plain, and are seen to be so many bytes
/// at a time.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        to.push(b'"');
        to.extend_from_slice(text.as_bytes());
        to.push(b'"');
    } else {
        // Writing a text into memory cannot fail.
        let _ = serde_json::to_writer(to, text);
    }
}

/// Puts a list of texts at the end of `to`.
pub fn put_texts<'a>(to: &mut Vec<u8>, texts: impl IntoIterator<Item = &'a str>) {
    to.push(b'[');
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        put_text(to, text);
    }
    to.push(b']');
}

/// Puts a number, `true`, `false` or `null` at the end of `to`.
pub fn put_plain(to: &mut Vec<u8>, value: impl Display) {
    // Writing into memory cannot fail.
    let _ = write!(to, "{value}");
}

const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_written_as_serde_writes_them(texts in prop::collection::vec("[ -~]{0,40}|\\PC*|[\\x00-\\x7f]*", 0..4)) {
            let mut written = Vec::new();
            put_texts(&mut written, texts.iter().map(String::as_str));
            prop_assert_eq!(written, serde_json::to_vec(&texts).unwrap());
        }
    }
}
