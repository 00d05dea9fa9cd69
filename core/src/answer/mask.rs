//! The injected token never comes back: it is overwritten by as many `*`.

use crate::account::Credential;
use crate::connector::Inject;
use crate::request::encoded;
use bytes::{Bytes, BytesMut};
use http::HeaderName;
use memchr::memmem::Finder;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A possible token shorter than this is passed on at once, and not looked for in names of headers, where words are.
const HELD_FROM: usize = 16;

const STAR: u8 = b'*';

/// A secret to look for. What searching needs is made once, when it is first searched for.
pub struct Needle {
    finder: Finder<'static>,
    /// For each length of a beginning of the needle: the longest shorter beginning that it ends with.
    fallback: OnceLock<Box<[usize]>>,
}

impl fmt::Debug for Needle {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Needle(***)")
    }
}

impl Needle {
    /// What of `credential` must not be in an answer, as `inject` wrote it: the secret itself, and the encoded form in which it was sent.
    #[must_use]
    pub fn of(credential: &Credential, inject: &Inject) -> Vec<Self> {
        let secret = credential.secret();
        let mut forms = vec![secret.to_owned()];
        forms.extend(inject.basic(credential));
        if let Inject::Query { .. } = inject {
            forms.push(encoded(secret));
        }
        forms.sort();
        forms.dedup();
        forms.iter().filter_map(|form| Self::new(form.as_bytes())).collect()
    }

    /// None for an empty text, which is found everywhere.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        (!text.is_empty()).then(|| Self { finder: Finder::new(text).into_owned(), fallback: OnceLock::new() })
    }

    /// `value` with the needle overwritten; none where it does not hold it.
    pub(super) fn overwritten(&self, value: &[u8]) -> Option<Vec<u8>> {
        // most values are too short for it
        (value.len() >= self.text().len()).then(|| self.finder.find(value))??;
        let mut made = value.to_vec();
        let length = self.text().len();
        for at in self.finder.find_iter(value) {
            made.iter_mut().skip(at).take(length).for_each(|byte| *byte = STAR);
        }
        Some(made)
    }

    /// Whether a header's name holds the needle: in lower case, as all names are.
    pub(super) fn is_in(&self, name: &HeaderName) -> bool {
        let length = self.text().len();
        length >= HELD_FROM && name.as_str().as_bytes().windows(length).any(|part| part.eq_ignore_ascii_case(self.text()))
    }

    fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// The length of the longest beginning of the needle that stands at the end, after `byte` followed one of length `matched`.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        loop {
            if self.text().get(matched) == Some(&byte) {
                return matched + 1;
            }
            if matched == 0 {
                return 0;
            }
            matched = self.fallback(matched);
        }
    }

    fn fallback(&self, matched: usize) -> usize {
        self.fallback.get_or_init(|| fallbacks(self.text())).get(matched).copied().unwrap_or(0)
    }

    /// The longest proper beginning of the needle with which `text`, which does not hold the needle, ends.
    fn beginning_at_the_end_of(&self, text: &[u8]) -> usize {
        let tail = text.get(text.len().saturating_sub(self.text().len() - 1)..).unwrap_or_default();
        let first = self.text().first().copied().unwrap_or_default();
        let from = memchr::memchr(first, tail).unwrap_or(tail.len());
        tail.iter().skip(from).fold(0, |matched, byte| self.step(matched, *byte))
    }
}

fn fallbacks(text: &[u8]) -> Box<[usize]> {
    let mut table = vec![0, 0];
    for byte in text.iter().skip(1) {
        let mut matched = table.last().copied().unwrap_or(0);
        while matched > 0 && text.get(matched) != Some(byte) {
            matched = table.get(matched).copied().unwrap_or(0);
        }
        table.push(if text.get(matched) == Some(byte) { matched + 1 } else { 0 });
    }
    table.into()
}

/// Whether bytes may be held back until it is clear whether they are the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holding {
    /// 16 bytes or more of a possible token may wait for the next chunk.
    Long,
    /// Nothing ever waits: WebSocket and gRPC messages.
    Never,
}

/// Overwrites needles in one body, chunk by chunk.
#[derive(Debug)]
pub struct Mask {
    needles: Arc<[Needle]>,
    holding: Holding,
    /// One for each needle.
    searches: Vec<Search>,
}

impl Mask {
    /// At the beginning of a body.
    #[must_use]
    pub fn new(needles: Arc<[Needle]>, holding: Holding) -> Self {
        Self { searches: needles.iter().map(|_| Search::default()).collect(), needles, holding }
    }

    /// Takes a chunk and gives what can be passed on; it is the chunk itself, uncopied, where there is nothing to do.
    #[must_use]
    pub fn feed(&mut self, chunk: Bytes) -> Bytes {
        let Self { needles, holding, searches } = self;
        searches.iter_mut().zip(needles.iter()).fold(chunk, |chunk, (search, needle)| search.feed(needle, *holding, chunk))
    }

    /// What was held back when the body ended.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let Self { needles, holding, searches } = self;
        let mut rest = Bytes::new();
        for (search, needle) in searches.iter_mut().zip(needles.iter()) {
            let mut passed = BytesMut::from(search.feed(needle, *holding, rest));
            passed.extend_from_slice(&search.release(needle));
            rest = passed.freeze();
        }
        rest
    }

    /// How often a needle was found.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.searches.iter().map(|search| search.hits).sum()
    }
}

/// The search for one needle. Of the `matched` bytes that ended the last chunk and begin the needle, the last `held` were not passed on.
#[derive(Debug, Default)]
struct Search {
    matched: usize,
    held: usize,
    hits: u64,
}

impl Search {
    fn feed(&mut self, needle: &Needle, holding: Holding, chunk: Bytes) -> Bytes {
        let (ends, matched) = self.scan(needle, &chunk);
        self.hits += ends.len() as u64;
        let waiting = match holding {
            Holding::Long if matched >= HELD_FROM => matched,
            Holding::Long | Holding::Never => 0,
        };
        // Of what waits, so much stands in this chunk, and so much of what stands before it has not been passed on.
        let waits_here = waiting.min(chunk.len());
        let waits_before = (waiting - waits_here).min(self.held);
        let before = self.released(needle, ends.first().copied(), self.held - waits_before);
        self.matched = matched;
        self.held = waits_here + waits_before;
        let mut chunk = chunk;
        chunk.truncate(chunk.len() - waits_here);
        if before.is_empty() && ends.is_empty() {
            return chunk;
        }
        let mut made = BytesMut::from(before.as_slice());
        let shift = made.len();
        made.extend_from_slice(&chunk);
        for end in ends {
            let from = (shift + end).saturating_sub(needle.text().len()).max(shift);
            made.iter_mut().take(shift + end).skip(from).for_each(|byte| *byte = STAR);
        }
        made.freeze()
    }

    /// Where in `chunk` the needle ends, and how much of its beginning stands at the very end.
    fn scan(&self, needle: &Needle, chunk: &[u8]) -> (Vec<usize>, usize) {
        let length = needle.text().len();
        let (mut ends, mut at, mut matched) = (Vec::new(), 0, self.matched);
        while matched > 0 {
            let Some(byte) = chunk.get(at) else { return (ends, matched) };
            at += 1;
            matched = needle.step(matched, *byte);
            if matched == length {
                ends.push(at);
                matched = 0;
            }
        }
        let mut rest = chunk.get(at..).unwrap_or_default();
        while let Some(found) = needle.finder.find(rest) {
            at += found + length;
            ends.push(at);
            rest = rest.get(found + length..).unwrap_or_default();
        }
        (ends, needle.beginning_at_the_end_of(rest))
    }

    /// The first `count` of the held bytes: stars where the needle, which ends at `end` of the chunk, covers them.
    fn released(&self, needle: &Needle, end: Option<usize>, count: usize) -> Vec<u8> {
        let from = self.matched - self.held;
        let covered_from = end.filter(|end| *end < needle.text().len()).map_or(self.matched, |end| self.matched + end - needle.text().len());
        let held = needle.text().iter().enumerate().skip(from).take(count);
        held.map(|(at, byte)| if at >= covered_from { STAR } else { *byte }).collect()
    }

    /// All that is held: the body has ended, it is no token.
    fn release(&mut self, needle: &Needle) -> Vec<u8> {
        let held = self.released(needle, None, self.held);
        (self.matched, self.held) = (0, 0);
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::TokenSet;
    use crate::connector::inject::BasicSide;
    use crate::secret::{AccessToken, ApiKey};
    use proptest::prelude::*;

    const TOKEN: &str = "tok-0123456789abcdefghij";

    fn mask(text: &str, holding: Holding) -> Mask {
        Mask::new([Needle::new(text.as_bytes()).unwrap()].into(), holding)
    }

    /// What is passed on for each chunk, and at the end.
    fn passed(mask: &mut Mask, chunks: &[&str]) -> Vec<String> {
        let mut all: Vec<Bytes> = chunks.iter().map(|chunk| mask.feed(Bytes::copy_from_slice(chunk.as_bytes()))).collect();
        all.push(mask.finish());
        all.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    #[test]
    fn a_token_is_overwritten_by_as_many_stars() {
        let stars = "*".repeat(TOKEN.len());
        for (text, expected) in [
            (TOKEN.to_owned(), stars.clone()),
            (format!("a{TOKEN}b{TOKEN}{TOKEN}"), format!("a{stars}b{stars}{stars}")),
            (format!("tok-tok-01{TOKEN}"), format!("tok-tok-01{stars}")),
            ("tok-0123456789abcdefghi!".into(), "tok-0123456789abcdefghi!".into()),
        ] {
            let mut mask = mask(TOKEN, Holding::Long);
            assert_eq!(passed(&mut mask, &[&text]).concat(), expected, "{text}");
            assert_eq!(mask.hits(), expected.matches(&stars).count() as u64);
        }
    }

    #[test]
    fn only_sixteen_bytes_and_more_of_a_possible_token_wait() {
        for (chunks, expected) in [
            (&["data: one tok-0", " and on"][..], &["data: one tok-0", " and on", ""][..]),
            (&["a tok-0", "123456789abcdefghij b"], &["a tok-0", "******************* b", ""]),
            (&["a tok-0123456789a", "bcdefghij b"], &["a tok-0123456789a", "********* b", ""]),
            (&["a tok-0123456789ab", "cdefghij b"], &["a ", "************************ b", ""]),
            (&["a tok-0123456789ab", "c!"], &["a ", "tok-0123456789abc!", ""]),
            (&["a tok-0123456789ab"], &["a ", "tok-0123456789ab"]),
            (&["tok-0", "123456789ab", "cdefghij"], &["tok-0", "", "*******************", ""]),
            (&["tok-0", "123456789ab", "cdefghi", "tok-0123456789abcdefghij"], &["tok-0", "", "", "123456789abcdefghi************************", ""]),
            (&["tok-0123456789abtok-"], &["tok-0123456789abtok-", ""]),
        ] {
            assert_eq!(passed(&mut mask(TOKEN, Holding::Long), chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_message_is_never_held() {
        let mut mask = mask(TOKEN, Holding::Never);
        assert_eq!(passed(&mut mask, &["a tok-0123456789abcdefghi", "j b", TOKEN]), ["a tok-0123456789abcdefghi", "* b", &"*".repeat(24), ""]);
        assert_eq!(mask.hits(), 2);
    }

    #[test]
    fn a_chunk_without_a_token_is_passed_on_uncopied() {
        let mut mask = mask(TOKEN, Holding::Long);
        for text in ["nothing here", "ends with tok-01", "goes on"] {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            assert_eq!(mask.feed(chunk.clone()).as_ptr(), chunk.as_ptr(), "{text}");
        }
    }

    #[test]
    fn the_needles_are_the_secret_and_what_was_sent_of_it() {
        let tokens = |text: &str| Credential::Tokens(TokenSet { access: AccessToken::new(text.into()), refresh: None });
        let basic = Credential::Basic { user: "me".into(), password: ApiKey::new("pw".into()) };
        for (credential, inject, expected) in [
            (tokens("a+b"), Inject::default(), vec!["a+b"]),
            (tokens("a+b"), Inject::Query { name: "key".into() }, vec!["a%2Bb", "a+b"]),
            (tokens("ab"), Inject::Query { name: "key".into() }, vec!["ab"]),
            (tokens("T"), Inject::Basic { side: BasicSide::User }, vec!["T", "VDo="]),
            (basic, Inject::default(), vec!["bWU6cHc=", "pw"]),
        ] {
            let needles = Needle::of(&credential, &inject);
            let texts: Vec<_> = needles.iter().map(|needle| String::from_utf8_lossy(needle.text()).into_owned()).collect();
            assert_eq!(texts, expected, "{inject:?}");
            assert_eq!(format!("{needles:?}").replace("Needle(***)", ""), format!("[{}]", ", ".repeat(needles.len() - 1)));
        }
    }

    #[test]
    fn several_needles_are_all_overwritten() {
        let needles = [Needle::new(b"secret").unwrap(), Needle::new(b"c2VjcmV0LWluLWJhc2U2NA").unwrap()];
        let mut mask = Mask::new(needles.into(), Holding::Long);
        assert_eq!(passed(&mut mask, &["a secret b c2VjcmV0LWluLWJhc", "2U2NA c"]).concat(), "a ****** b ********************** c");
    }

    /// All of `text` with the needle overwritten, found one place after the other.
    fn slow(text: &[u8], needle: &[u8]) -> Vec<u8> {
        let mut made = text.to_vec();
        let mut at = 0;
        while at + needle.len() <= text.len() {
            if text[at..].starts_with(needle) {
                made[at..at + needle.len()].fill(STAR);
                at += needle.len();
            } else {
                at += 1;
            }
        }
        made
    }

    proptest! {
        #[test]
        fn what_passes_is_the_text_with_every_whole_token_overwritten(
            needle in "[ab]{1,5}|a{20}|(ab){12}|a{17}b[ab]{3}",
            pieces in proptest::collection::vec(("[abc]{0,6}", 0_u8..3), 0..8),
            sizes in proptest::collection::vec(1_usize..30, 1..20),
        ) {
            let text: Vec<u8> = pieces.iter().map(|(other, times)| format!("{other}{}", needle.repeat(usize::from(*times)))).collect::<String>().into_bytes();
            let expected = slow(&text, needle.as_bytes());
            for holding in [Holding::Long, Holding::Never] {
                let mut mask = mask(&needle, holding);
                let (mut out, mut rest, mut turn) = (Vec::new(), text.as_slice(), sizes.iter().cycle());
                let mut cuts = Vec::new();
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at((*turn.next().unwrap()).min(rest.len()));
                    rest = behind;
                    out.extend_from_slice(&mask.feed(Bytes::copy_from_slice(piece)));
                    let fed = text.len() - rest.len();
                    cuts.push(fed);
                    let longest = (0..needle.len()).rev().find(|length| text[..fed].ends_with(&needle.as_bytes()[..*length])).unwrap();
                    let held = fed - out.len();
                    prop_assert!(held == 0 || (holding == Holding::Long && held <= longest), "held {} of {}", held, longest);
                    prop_assert!(longest >= HELD_FROM || held == 0);
                }
                out.extend_from_slice(&mask.finish());
                prop_assert_eq!(out.len(), expected.len());
                for (at, (got, want)) in out.iter().zip(&expected).enumerate() {
                    // A byte of a token may show only where it had passed before the rest of the token came.
                    let passed_before = *want == STAR && *got == text[at] && cuts.iter().any(|cut| at < *cut && at + HELD_FROM.max(needle.len()) > *cut);
                    prop_assert!(got == want || passed_before, "byte {} of {:?}", at, String::from_utf8_lossy(&out));
                }
            }
        }
    }
}
