//! Readers of bytes from outside, against what was found before and against mutations of it.
//!
//! Each reader has a corpus, `tests/fuzz/corpus/NAME`: every file of it is replayed, and some thousand mutations are tried, the
//! same ones each time. `SCOPEGATE_FUZZ_SECONDS=600 cargo test --release --test fuzz` tries others for so long, per reader. Coverage-guided
//! search runs with the same functions: `cargo fuzz run --fuzz-dir tests/fuzz -s none head` (needs cargo-fuzz and a C++ compiler).
//! What fails is written to `target/fuzz`: put it into the corpus with its mending.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests, also where a function is none")]

#[expect(unreachable_pub, reason = "the targets of `cargo fuzz` include the same file")]
mod properties;

use properties::{PROPERTIES, Property};
use scopegate::settings::{Settings, SettingsError};
use scopegate_core::policy::{Origin, Source};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Mutations that every run tries.
const ROUNDS: u64 = 2_000;
/// Inputs do not grow beyond this.
const LARGEST: usize = 16 * 1024;

/// Settings read, or say what is wrong with a place in the file.
fn settings_read_or_say_why(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source { name: "scopegate.yaml".into(), text: text.into(), origin: Origin::Own };
    let Err(SettingsError::Faulty { diagnostics, .. }) = Settings::parse(source, Path::new("scopegate.yaml"), |_| None) else { return };
    let lines = text.split(['\n', '\r']).count();
    assert!(!diagnostics.is_empty());
    for finding in diagnostics {
        assert!((1..=lines + 1).contains(&finding.line) && finding.column >= 1 && !finding.message.is_empty(), "{finding:?}");
    }
}

const SETTINGS: Property = Property { name: "settings", holds: settings_read_or_say_why };

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{name} has a corpus");
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(length + 1), self.below(length + 1));
        a.min(b)..a.max(b)
    }
}

/// One of the corpus, changed in a few places: bytes, stretches, and pieces of others.
fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut data = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        match dice.below(6) {
            0 if !data.is_empty() => {
                let at = dice.below(data.len());
                data[at] ^= 1 << dice.below(8);
            }
            1 => {
                let at = dice.below(data.len() + 1);
                data.insert(at, b"\r\n\t \0%/:;,{}[]\"'\\#&=?*-0aZ\x7f\xff"[dice.below(28)]);
            }
            2 => drop(data.drain(dice.range(data.len())).count()),
            3 => {
                let again = data[dice.range(data.len())].to_vec();
                let at = dice.below(data.len() + 1);
                data.splice(at..at, again);
            }
            4 => {
                let other = &corpus[dice.below(corpus.len())];
                let piece = other[dice.range(other.len())].to_vec();
                let place = dice.range(data.len());
                data.splice(place, piece);
            }
            _ => data.truncate(dice.below(data.len() + 1)),
        }
        data.truncate(LARGEST);
    }
    data
}

fn check(property: &Property, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (property.holds)(data))).is_err() {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", property.name));
        fs::write(&place, data).unwrap();
        panic!("{} does not hold for the bytes in {}: {:?}", property.name, place.display(), String::from_utf8_lossy(data));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to look is for whoever runs it to say")]
fn seconds() -> Option<Duration> {
    std::env::var("SCOPEGATE_FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()))
}

#[expect(clippy::print_stdout, reason = "how much was tried is for whoever runs it to know")]
fn holds_for_the_corpus_and_beyond(property: &Property) {
    let corpus = corpus(property.name);
    corpus.iter().for_each(|data| check(property, data));
    let clock = scopegate::clock::Clock::system();
    let (began, longest) = (clock.instant(), seconds());
    let mut dice = Dice(longest.map_or(0, |_| u64::try_from(clock.timestamp().millis()).unwrap()));
    let mut rounds = 0_u64;
    while longest.map_or(rounds < ROUNDS, |longest| clock.instant().since(began) < longest) {
        check(property, &mutated(&corpus, &mut dice));
        rounds += 1;
    }
    println!("{}: {} inputs of the corpus, {rounds} mutations", property.name, corpus.len());
}

macro_rules! readers {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name);
            let all = PROPERTIES.iter().chain([&SETTINGS]);
            holds_for_the_corpus_and_beyond(all.into_iter().find(|property| property.name == name).unwrap());
        })+

        #[test]
        fn every_reader_is_tried() {
            let tried = [$(stringify!($name)),+];
            assert!(PROPERTIES.iter().chain([&SETTINGS]).all(|property| tried.contains(&property.name)));
        }
    };
}

readers! { head framing path query content token_answer document settings }
