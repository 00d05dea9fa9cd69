//! Percent-encoding (RFC 3986 section 2.1).

/// The byte of the two hex digits at the front of `digits`.
pub(super) fn byte_of(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(*high)? << 4 | value(*low)?)
}

/// RFC 3986 section 2.3: bytes that mean the same encoded or not.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a percent sign with two hex digits stands in `text`.
pub(super) fn has_escape(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| text.get(at + 1..).is_some_and(|digits| byte_of(digits).is_some()))
}

/// Writes `byte` as `%XX` with upper-case digits.
pub(crate) fn push_encoded(byte: u8, to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map_or('0', char::from);
    to.push('%');
    to.push(digit(byte >> 4));
    to.push(digit(byte & 15));
}

/// `text` with everything encoded but unreserved bytes.
pub(crate) fn encoded(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            made.push(char::from(byte));
        } else {
            push_encoded(byte, &mut made);
        }
    }
    made
}

/// A text with an escape that is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// `text` decoded once, as bytes; with `plus`, a `+` is a blank.
pub(super) fn decode(text: &str, plus: Plus) -> Result<Vec<u8>, Malformed> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, plus) {
            (b'%', Plus::Blank | Plus::Itself) => {
                made.push(byte_of(behind).ok_or(Malformed)?);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', Plus::Blank) => made.push(b' '),
            (byte, Plus::Blank | Plus::Itself) => made.push(*byte),
        }
    }
    Ok(made)
}

/// `text` decoded once more as somebody lenient would: what is no escape stays, `+` is a blank, what is no UTF-8 is replaced.
pub(crate) fn decode_leniently(text: &str) -> String {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, byte_of(behind)) {
            (b'%', Some(decoded)) => {
                made.push(decoded);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => made.push(b' '),
            (byte, _) => made.push(*byte),
        }
    }
    String::from_utf8_lossy(&made).into_owned()
}

/// What a `+` means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plus {
    /// A blank, as in queries and forms.
    Blank,
    /// A plus sign, as in paths.
    Itself,
}
