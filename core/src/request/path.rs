//! Paths with one reading.

use super::Ambiguity;
use super::escape::{self, Plus, byte_of, has_escape, is_unreserved, push_encoded};
use std::str::FromStr;
use unicode_normalization::UnicodeNormalization;

const NO_SLASH: Ambiguity = Ambiguity::new("target-form", "the target does not begin with a slash");
const EMPTY_SEGMENT: Ambiguity = Ambiguity::new("empty-segment", "the path contains two slashes side by side");
const DOT_SEGMENT: Ambiguity = Ambiguity::new("dot-segment", "the path contains a dot segment");
const BACKSLASH: Ambiguity = Ambiguity::new("backslash", "the path contains a backslash");
const PATH_PARAMETER: Ambiguity = Ambiguity::new("path-parameter", "the path contains a semicolon");
const CONTROL: Ambiguity = Ambiguity::new("control-character", "the path contains a control character");
const NON_ASCII: Ambiguity = Ambiguity::new("raw-non-ascii", "the path contains characters beyond ASCII that are not percent-encoded");
const NOT_ENCODED: Ambiguity = Ambiguity::new("not-encoded", "the path contains a character that has to be percent-encoded");
const ESCAPE: Ambiguity = Ambiguity::new("malformed-escape", "the path contains a percent sign without two hex digits");
const NO_UTF_8: Ambiguity = Ambiguity::new("not-utf-8", "an escape in the path is not UTF-8");
const TWICE: Ambiguity = Ambiguity::new("encoded-twice", "the path is percent-encoded twice");
const LOOKALIKE: Ambiguity = Ambiguity::new("lookalike-separator", "the path contains a character that some servers read as a separator");
const BLANK: Ambiguity = Ambiguity::new("outer-blank", "a path segment begins or ends with an encoded blank");
const ENCODED_SLASH: Ambiguity = Ambiguity::new("encoded-slash", "the path contains an encoded slash that no operation allows there");
const ENCODED_QUESTION: Ambiguity =
    Ambiguity::new("encoded-question-mark", "the path contains an encoded question mark that no operation allows there");
const ENCODED_HASH: Ambiguity = Ambiguity::new("encoded-hash", "the path contains an encoded hash sign that no operation allows there");
const ENCODED_SEMICOLON: Ambiguity = Ambiguity::new("encoded-semicolon", "the path contains an encoded semicolon that no operation allows there");

/// A path in its one canonical form: unreserved characters decoded, hex digits in upper case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalPath {
    text: String,
    encoded: Vec<Encoded>,
}

/// A character that stands encoded although it could change the path; only an operation's `allow_encoded` takes it off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// The segment that it stands in, from 0.
    pub segment: usize,
    /// The character: one of `/`, `?`, `#`, `;`.
    pub character: char,
}

impl Encoded {
    /// What is refused where no operation allows it.
    #[must_use]
    pub fn ambiguity(&self) -> Ambiguity {
        match self.character {
            '/' => ENCODED_SLASH,
            '?' => ENCODED_QUESTION,
            '#' => ENCODED_HASH,
            _ => ENCODED_SEMICOLON,
        }
    }
}

impl CanonicalPath {
    /// As it is decided and sent, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments behind each slash, canonically encoded; the last is empty where the path ends in a slash.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').skip(1)
    }

    /// What only an operation can allow.
    #[must_use]
    pub fn encoded(&self) -> &[Encoded] {
        &self.encoded
    }

    /// The path that a server sees which decodes before it routes: what may stand plain (`:`, `@`, `(` and the like) is plain. None where that
    /// is this path itself. If policy reads the two differently, the request has two readings.
    #[must_use]
    pub fn plain_twin(&self) -> Option<Self> {
        if !self.text.as_bytes().contains(&b'%') {
            return None;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some((before, behind)) = rest.split_once('%') {
            text.push_str(before);
            match byte_of(behind.as_bytes()) {
                Some(byte) if is_plain(byte) => text.push(char::from(byte)),
                Some(byte) => push_encoded(byte, &mut text),
                None => text.push('%'),
            }
            rest = behind.get(2..).unwrap_or_default();
        }
        text.push_str(rest);
        (text != self.text).then(|| Self { text, encoded: self.encoded.clone() })
    }

    /// The first segment, and the path that the others make.
    pub(super) fn split_first(&self) -> Result<(&str, Self), Ambiguity> {
        if let Some(encoded) = self.encoded.iter().find(|encoded| encoded.segment == 0) {
            return Err(encoded.ambiguity());
        }
        let behind = self.text.strip_prefix('/').unwrap_or_default();
        let (first, rest) = behind.split_once('/').unwrap_or((behind, ""));
        let encoded = self.encoded.iter().map(|encoded| Encoded { segment: encoded.segment - 1, ..*encoded }).collect();
        Ok((first, Self { text: ["/", rest].concat(), encoded }))
    }
}

/// Reads a path as it stands on the wire.
impl FromStr for CanonicalPath {
    type Err = Ambiguity;
    fn from_str(raw: &str) -> Result<Self, Ambiguity> {
        let behind = raw.strip_prefix('/').ok_or(NO_SLASH)?;
        let mut path = Self { text: String::with_capacity(raw.len()), encoded: Vec::new() };
        let mut segments = behind.split('/').enumerate().peekable();
        while let Some((index, segment)) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err(EMPTY_SEGMENT);
            }
            path.text.push('/');
            path.push(index, segment)?;
        }
        Ok(path)
    }
}

impl CanonicalPath {
    /// Judges one segment, and writes it in its canonical form.
    fn push(&mut self, index: usize, raw: &str) -> Result<(), Ambiguity> {
        if let Some(byte) = raw.bytes().find(|byte| !is_plain(*byte) && *byte != b'%') {
            return Err(misplaced(byte));
        }
        if !raw.as_bytes().contains(&b'%') {
            if matches!(raw, "." | "..") {
                return Err(DOT_SEGMENT);
            }
            self.text.push_str(raw);
            return Ok(());
        }
        let decoded = escape::decode(raw, Plus::Itself).map_err(|escape::Malformed| ESCAPE)?;
        let decoded = str::from_utf8(&decoded).map_err(|_| NO_UTF_8)?;
        judge(decoded)?;
        let separators = decoded.chars().filter(|character| matches!(character, '/' | '?' | '#' | ';'));
        self.encoded.extend(separators.map(|character| Encoded { segment: index, character }));
        self.push_canonical(raw);
        Ok(())
    }

    /// Appends a segment whose escapes are all well-formed.
    fn push_canonical(&mut self, mut rest: &str) {
        while let Some((before, behind)) = rest.split_once('%') {
            self.text.push_str(before);
            match byte_of(behind.as_bytes()) {
                Some(byte) if is_unreserved(byte) => self.text.push(char::from(byte)),
                Some(byte) => push_encoded(byte, &mut self.text),
                None => self.text.push('%'),
            }
            rest = behind.get(2..).unwrap_or_default();
        }
        self.text.push_str(rest);
    }
}

/// RFC 3986 section 3.3 without escapes, and without the semicolon, which begins a parameter to some servers.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

fn misplaced(byte: u8) -> Ambiguity {
    match byte {
        b'\\' => BACKSLASH,
        b';' => PATH_PARAMETER,
        0..=0x1f | 0x7f => CONTROL,
        0x80.. => NON_ASCII,
        _ => NOT_ENCODED,
    }
}

/// Judges a segment that held escapes by what it decodes to.
fn judge(decoded: &str) -> Result<(), Ambiguity> {
    if decoded.chars().any(char::is_control) {
        return Err(CONTROL);
    }
    if decoded.contains('\\') {
        return Err(BACKSLASH);
    }
    if decoded.is_ascii() {
        return judge_form(decoded);
    }
    let becomes_separator = |character: char| std::iter::once(character).nfkc().any(|made| matches!(made, '/' | '\\' | '?' | '#' | ';'));
    if decoded.chars().any(|character| !character.is_ascii() && becomes_separator(character)) {
        return Err(LOOKALIKE);
    }
    judge_form(decoded)?;
    judge_form(&decoded.nfkc().collect::<String>())
}

fn judge_form(decoded: &str) -> Result<(), Ambiguity> {
    if decoded.split(['/', '?', '#', ';']).any(|piece| matches!(piece, "." | "..")) {
        return Err(DOT_SEGMENT);
    }
    if has_escape(decoded.as_bytes()) {
        return Err(TWICE);
    }
    if decoded.trim() != decoded {
        return Err(BLANK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(raw: &str) -> Result<CanonicalPath, Ambiguity> {
        raw.parse()
    }

    #[test]
    fn a_path_is_brought_into_its_one_canonical_form() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/v1/accounts/hp-7", "/v1/accounts/hp-7"),
            ("/%41%7e%2d%5F", "/A~-_"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a%3ab%40c%2b", "/a%3Ab%40c%2B"),
            ("/messages('x')/a:cancel,b@c!$&*+=", "/messages('x')/a:cancel,b@c!$&*+="),
            ("/%E4%BD%A0%E2%80%A6", "/%E4%BD%A0%E2%80%A6"),
            ("/100%25", "/100%25"),
            ("/100%25%25", "/100%25%25"),
            ("/50%25x", "/50%25x"),
            ("/...", "/..."),
            ("/.a/..b/c.", "/.a/..b/c."),
            ("/a%2eb", "/a.b"),
        ] {
            assert_eq!(read(raw).map(|path| (path.text, path.encoded)), Ok((canonical.to_owned(), vec![])), "{raw}");
        }
    }

    #[test]
    fn paths_that_two_servers_could_read_differently_are_refused() {
        for (raw, reason) in [
            ("", NO_SLASH),
            ("*", NO_SLASH),
            ("a/b", NO_SLASH),
            ("http://a/b", NO_SLASH),
            ("//", EMPTY_SEGMENT),
            ("//a", EMPTY_SEGMENT),
            ("/a//b", EMPTY_SEGMENT),
            ("/a//", EMPTY_SEGMENT),
            ("/.", DOT_SEGMENT),
            ("/..", DOT_SEGMENT),
            ("/a/../b", DOT_SEGMENT),
            ("/a/./b", DOT_SEGMENT),
            ("/a/%2e%2E/b", DOT_SEGMENT),
            ("/a/.%2e", DOT_SEGMENT),
            ("/a/%2E", DOT_SEGMENT),
            ("/a/..%2Fb", DOT_SEGMENT),
            ("/a/b%2F..", DOT_SEGMENT),
            ("/a/b%2F%2E%2E%2Fc", DOT_SEGMENT),
            ("/a/..%3Fb", DOT_SEGMENT),
            ("/a/..%23b", DOT_SEGMENT),
            ("/a/..%3Bb", DOT_SEGMENT),
            ("/%EF%BC%8E%EF%BC%8E/a", DOT_SEGMENT),
            ("/%E2%80%A5/a", DOT_SEGMENT),
            ("/%E2%80%A4/a", DOT_SEGMENT),
            ("/.%EF%BC%8E/a", DOT_SEGMENT),
            ("/a\\b", BACKSLASH),
            ("/a%5Cb", BACKSLASH),
            ("/a%5cb", BACKSLASH),
            ("/a;x=1/b", PATH_PARAMETER),
            ("/a/..;/b", PATH_PARAMETER),
            ("/a%00", CONTROL),
            ("/a%0d%0aX:1", CONTROL),
            ("/a%7F", CONTROL),
            ("/a%C2%85", CONTROL),
            ("/a\u{1}", CONTROL),
            ("/a\u{e9}", NON_ASCII),
            ("/a b", NOT_ENCODED),
            ("/a\"b", NOT_ENCODED),
            ("/<a>", NOT_ENCODED),
            ("/{a}", NOT_ENCODED),
            ("/a|b", NOT_ENCODED),
            ("/a[0]", NOT_ENCODED),
            ("/a^`", NOT_ENCODED),
            ("/a%", ESCAPE),
            ("/a%4", ESCAPE),
            ("/a%4/b", ESCAPE),
            ("/a%zz", ESCAPE),
            ("/a%%41", ESCAPE),
            ("/a%u002f", ESCAPE),
            ("/a%c0%af", NO_UTF_8),
            ("/a%e0%80%af", NO_UTF_8),
            ("/a%ed%a0%80", NO_UTF_8),
            ("/a%e9", NO_UTF_8),
            ("/a%f8%80%80%80%af", NO_UTF_8),
            ("/a%252F", TWICE),
            ("/a%252e%252e/b", TWICE),
            ("/a%2541", TWICE),
            ("/a%25252F", TWICE),
            ("/a%25%32%46", TWICE),
            ("/a%25%2541", TWICE),
            ("/a%EF%BC%852F", TWICE),
            ("/a%25%EF%BC%92F", TWICE),
            ("/a%EF%BC%8Fx", LOOKALIKE),
            ("/a%EF%BC%BCx", LOOKALIKE),
            ("/a%EF%BC%9Fx", LOOKALIKE),
            ("/a%EF%BC%83x", LOOKALIKE),
            ("/a%EF%BC%9Bx", LOOKALIKE),
            ("/a%CD%BEx", LOOKALIKE),
            ("/%E2%84%85", LOOKALIKE),
            ("/a%EF%B9%A8x", LOOKALIKE),
            ("/a%20", BLANK),
            ("/%20a", BLANK),
            ("/%20", BLANK),
            ("/a%20/b", BLANK),
            ("/..%20/b", BLANK),
            ("/a%C2%A0", BLANK),
            ("/%E3%80%80a", BLANK),
        ] {
            assert_eq!(read(raw), Err(reason), "{raw}");
        }
    }

    #[test]
    fn what_an_operation_may_allow_is_noted_with_its_segment() {
        for (raw, canonical, noted, reason) in [
            ("/a%2fb", "/a%2Fb", vec![(0, '/')], ENCODED_SLASH),
            ("/x/a%3Fb%23c", "/x/a%3Fb%23c", vec![(1, '?'), (1, '#')], ENCODED_QUESTION),
            ("/x/%23", "/x/%23", vec![(1, '#')], ENCODED_HASH),
            ("/x/a%3bb/%2F", "/x/a%3Bb/%2F", vec![(1, ';'), (2, '/')], ENCODED_SEMICOLON),
        ] {
            let path = read(raw).unwrap();
            let found: Vec<_> = path.encoded().iter().map(|encoded| (encoded.segment, encoded.character)).collect();
            assert_eq!((path.as_str(), found), (canonical, noted), "{raw}");
            assert_eq!(path.encoded().first().map(Encoded::ambiguity), Some(reason), "{raw}");
        }
    }

    #[test]
    fn the_first_segment_comes_off() {
        for (raw, expected) in [
            ("/crm/v1/x", Ok(("crm", "/v1/x"))),
            ("/crm/", Ok(("crm", "/"))),
            ("/crm", Ok(("crm", "/"))),
            ("/", Ok(("", "/"))),
            ("/c%20m/x/", Ok(("c%20m", "/x/"))),
            ("/c%2Fm/x", Err(ENCODED_SLASH)),
        ] {
            let path = read(raw).unwrap();
            let split = path.split_first();
            assert_eq!(split.as_ref().map(|(first, rest)| (*first, rest.as_str())), expected.as_ref().map(|pair| *pair), "{raw}");
        }
        let path = read("/crm/a/b%2Fc").unwrap();
        assert_eq!(path.split_first().unwrap().1, read("/a/b%2Fc").unwrap());
    }

    #[test]
    fn the_plain_twin_decodes_what_may_stand_plain() {
        for (raw, twin) in [
            ("/a", None),
            ("/a%20b", None),
            ("/7%3Acancel", Some("/7:cancel")),
            ("/m%28x%29/%40", Some("/m(x)/@")),
            ("/a%2Fb%3Ac%25", Some("/a%2Fb:c%25")),
        ] {
            assert_eq!(read(raw).unwrap().plain_twin().as_ref().map(CanonicalPath::as_str), twin, "{raw}");
        }
    }

    /// All that decoding once more could make of a path, until nothing changes; what is no escape stays.
    fn decodings(raw: &str) -> Vec<Vec<u8>> {
        let mut all = vec![raw.as_bytes().to_vec()];
        loop {
            let before = all.last().unwrap();
            let mut made = Vec::new();
            let mut at = 0;
            while at < before.len() {
                let decoded = (before[at] == b'%').then(|| byte_of(&before[at + 1..])).flatten();
                made.push(decoded.unwrap_or(before[at]));
                at += if decoded.is_some() { 3 } else { 1 };
            }
            if &made == before {
                return all;
            }
            all.push(made);
        }
    }

    /// What a hostile client would put together.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/".to_owned()),
            Just(".".to_owned()),
            Just("%".to_owned()),
            Just("%2e".to_owned()),
            Just("%25".to_owned()),
            Just("2e".to_owned()),
            Just("2F".to_owned()),
            Just("%2F".to_owned()),
            Just("%5C".to_owned()),
            Just("%20".to_owned()),
            Just("%C3%A9".to_owned()),
            Just("%EF%BC%8E".to_owned()),
            Just("%EF%BC%8F".to_owned()),
            Just("%EF%BC%85".to_owned()),
            Just(";".to_owned()),
            "[a-f0-9:@]{1,3}",
            any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_read_as_itself(raw in pieces()) {
            if let Ok(path) = read(&raw) {
                prop_assert_eq!(read(path.as_str()), Ok(path.clone()));
                if let Some(twin) = path.plain_twin() {
                    prop_assert_eq!(read(twin.as_str()), Ok(twin));
                }
            }
        }

        #[test]
        fn no_number_of_decodings_finds_what_was_not_there(raw in pieces()) {
            if let Ok(path) = read(&raw) {
                let slashes = path.encoded().iter().filter(|encoded| encoded.character == '/').count() + path.segments().count();
                for decoded in decodings(path.as_str()) {
                    let text = String::from_utf8(decoded).expect("UTF-8 at every depth");
                    let normal: String = text.nfkc().collect();
                    for seen in [&text, &normal] {
                        prop_assert!(!seen.split(['/', '?', '#', ';']).any(|piece| piece == "." || piece == ".."), "{} -> {}", raw, seen);
                        prop_assert!(!seen.contains('\\') && !seen.chars().any(char::is_control), "{} -> {}", raw, seen);
                        prop_assert!(seen.matches('/').count() <= slashes, "{} -> {}", raw, seen);
                    }
                }
            }
        }

        #[test]
        fn spelling_unreserved_characters_otherwise_changes_nothing(text in "(/[A-Za-z0-9._~-]{1,6}){1,4}", mask in any::<u64>()) {
            let spelled: String = text.bytes().enumerate().map(|(at, byte)| {
                if byte != b'/' && mask >> (at % 64) & 1 == 1 { format!("%{byte:02x}") } else { char::from(byte).to_string() }
            }).collect();
            prop_assert_eq!(read(&spelled), read(&text));
        }
    }
}
