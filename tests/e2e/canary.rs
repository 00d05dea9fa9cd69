//! Looking for secrets: however they are written, wherever somebody could read them; and the proof that this looking finds them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use memchr::memmem;

/// Somewhere that somebody can read.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Something that may stand nowhere.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Place {
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        memmem::find(&self.bytes, text.as_bytes()).is_some()
    }
}

impl Secret {
    pub(crate) fn new(what: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what, bytes: bytes.into() }
    }
}

/// Where a secret was found, as a sentence.
pub(crate) fn found(places: &[Place], secrets: &[Secret]) -> Vec<String> {
    let mut told = Vec::new();
    for secret in secrets {
        for (writing, bytes) in writings(&secret.bytes) {
            let finder = memmem::Finder::new(&bytes);
            let holding = places.iter().filter(|place| finder.find(&place.bytes).is_some());
            told.extend(holding.map(|place| format!("{} tells {} {writing}", place.name, secret.what)));
        }
    }
    told
}

/// Puts a secret into each of these places, in each of its writings, and demands that it is found there and so.
pub(crate) fn assert_findable(places: &[Place], secret: &Secret) {
    for place in places {
        for (writing, bytes) in writings(&secret.bytes) {
            let (before, behind) = place.bytes.split_at(place.bytes.len() / 2);
            let planted = Place::new(place.name.clone(), [before, &bytes, behind].concat());
            let sentence = format!("{} tells {} {writing}", place.name, secret.what);
            assert!(found(&[planted], std::slice::from_ref(secret)).contains(&sentence), "not found: {sentence}");
        }
    }
}

/// How a secret may be written, each with its name.
fn writings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let lower = hex::encode(secret);
    let upper = lower.to_uppercase();
    let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
    let mut writings = vec![
        ("as it is", secret.to_vec()),
        ("as lower-case hex", lower.clone().into_bytes()),
        ("as upper-case hex", upper.clone().into_bytes()),
        ("percent-encoded byte by byte in lower case", percent(&lower)),
        ("percent-encoded byte by byte in upper case", percent(&upper)),
        ("percent-encoded as a form's value", url::form_urlencoded::byte_serialize(secret).collect::<String>().into_bytes()),
        ("percent-encoded where it has to be", percent_where_needed(secret)),
        ("as a list of numbers", decimal.join(", ").into_bytes()),
    ];
    for (engine, names) in [
        (STANDARD, ["as base64", "as base64 after one byte", "as base64 after two bytes"]),
        (URL_SAFE, ["as base64url", "as base64url after one byte", "as base64url after two bytes"]),
    ] {
        for (before, name) in names.into_iter().enumerate() {
            // Only the groups of four that depend on nothing but the secret.
            let padded = [&vec![0; before][..], secret].concat();
            let encoded = engine.encode(&padded);
            writings.push((name, encoded.as_bytes()[before.div_ceil(3) * 4..padded.len() / 3 * 4].to_vec()));
        }
    }
    writings
}

fn percent(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).flat_map(|pair| [b"%", pair].concat()).collect()
}

fn percent_where_needed(secret: &[u8]) -> Vec<u8> {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    secret.iter().flat_map(|byte| if unreserved(byte) { vec![*byte] } else { format!("%{byte:02X}").into_bytes() }).collect()
}

#[test]
fn a_secret_is_found_however_and_wherever_it_is_written() {
    let secret = Secret::new("a token", "practice/access+Ab1_-xyz=~");
    let text = "practice/access+Ab1_-xyz=~";
    for before in ["", "x", "xy", "xyz"] {
        let told = format!("{before}{text} and more");
        for written in [
            told.clone(),
            STANDARD.encode(&told),
            URL_SAFE.encode(&told),
            hex::encode(&told),
            hex::encode_upper(&told),
            format!("{:?}", told.as_bytes()),
        ] {
            assert!(!found(&[Place::new("a log", written.clone())], std::slice::from_ref(&secret)).is_empty(), "{written}");
        }
    }
    for (written, silent) in
        [("", true), ("practice/access+Ab1_-xyz=", true), ("practice%2Faccess%2BAb1_-xyz%3D~", false), ("practice%2Faccess%2BAb1_-xyz%3D%7E", false)]
    {
        assert_eq!(found(&[Place::new("a log", written)], std::slice::from_ref(&secret)).is_empty(), silent, "{written}");
    }
    assert_findable(&[Place::new("an empty place", ""), Place::new("another", "with a text")], &secret);
}
