//! Queries with one reading.
//!
//! A query passes byte for byte; it is never written anew. What it holds is read as servers read forms, and judged by the names of its
//! parameters: credentials and method overrides are suspects, which only a connector or an operation takes off.

use super::Ambiguity;
use super::escape::{self, Plus};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

const ILLEGAL: Ambiguity = Ambiguity::new("query-character", "the query contains a character that has to be percent-encoded");
const ESCAPE: Ambiguity = Ambiguity::new("query-escape", "the query contains a percent sign without two hex digits");
const NO_UTF_8: Ambiguity = Ambiguity::new("query-not-utf-8", "an escape in the query is not UTF-8");
const NUL: Ambiguity = Ambiguity::new("query-nul", "the query contains an encoded NUL");
const TOO_MANY: Ambiguity = Ambiguity::new("query-parameters", "the query holds more than 500 parameters");
const CREDENTIAL: Ambiguity = Ambiguity::new("query-credential", "a query parameter is named like a credential");
const OVERRIDE: Ambiguity = Ambiguity::new("query-override", "a query parameter is named like a method override");
const SECOND_READING: Ambiguity = Ambiguity::new("query-second-reading", "a second reading of the query finds a method override or a token in it");

/// Parameters of one query, empty ones included.
const MOST: usize = 500;

/// Compared literally but without case.
const OVERRIDES: [&str; 9] =
    ["_method", "_httpmethod", "$httpmethod", "httpmethod", "http_method", "x-http-method-override", "x-http-method", "x-method-override", "$ct"];

/// Compared without case, `-`, `_`, `$` and brackets. Sorted.
const CREDENTIALS: [&str; 31] = [
    "accesstoken",
    "apikey",
    "auth",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "code",
    "hapikey",
    "idtoken",
    "jwt",
    "key",
    "oauthtoken",
    "ospassword",
    "osusername",
    "passwd",
    "password",
    "privatetoken",
    "refreshtoken",
    "secret",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "token",
    "xamzcredential",
    "xamzsecuritytoken",
    "xamzsignature",
    "xapikey",
    "xgoogsignature",
];

/// The query byte for byte, and how it reads. `Debug` shows no value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query(Option<Arc<Reading>>);

#[derive(Eq, PartialEq)]
struct Reading {
    raw: String,
    parameters: Vec<Parameter>,
    suspects: Vec<Suspect>,
}

/// One parameter, decoded (`+` is a blank). `Debug` shows no value.
#[derive(Clone, Eq, PartialEq)]
pub struct Parameter {
    /// Decoded once.
    pub name: String,
    /// Decoded once; empty where there is no `=`.
    pub value: String,
}

impl fmt::Debug for Reading {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_list().entries(&self.parameters).finish()
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:?}=...", self.name)
    }
}

/// A parameter that looks like a credential or a method override; only `allow_query` takes it off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspect {
    /// The parameter's name, decoded once: what `allow_query` is compared with.
    pub name: String,
    /// What it looks like.
    pub ambiguity: Ambiguity,
    /// Whether `allow_query` may take it off (an override found inside of a value may not).
    pub allowable: bool,
}

impl Parameter {
    /// Whether some server could take its name for `known`: as it is, decoded once or twice more, in other letters, with blanks, controls, a
    /// leading question mark or a final index.
    #[must_use]
    pub fn could_be(&self, known: &str) -> bool {
        let is_plain = self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$'));
        if is_plain {
            self.name.eq_ignore_ascii_case(known)
        } else {
            self.name == known || readings(&self.name).any(|name| bare(&name) == bare(known))
        }
    }
}

impl Query {
    /// Byte for byte without the question mark; none where there is no question mark.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_ref().map(|reading| reading.raw.as_str())
    }

    /// All parameters in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        self.0.as_ref().map_or(&[], |reading| &reading.parameters)
    }

    /// What only a connector or an operation can take off.
    #[must_use]
    pub fn suspects(&self) -> &[Suspect] {
        self.0.as_ref().map_or(&[], |reading| &reading.suspects)
    }

    /// Reads what stands behind the question mark.
    /// # Errors
    /// Bytes that no query holds, escapes that are none or no UTF-8, or more than 500 parameters.
    pub fn parse(raw: &str) -> Result<Self, Ambiguity> {
        if !raw.bytes().all(is_legal) {
            return Err(ILLEGAL);
        }
        if raw.split('&').count() > MOST {
            return Err(TOO_MANY);
        }
        let mut reading = Reading { raw: raw.to_owned(), parameters: Vec::new(), suspects: Vec::new() };
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let parameter = Parameter { name: decode(name)?, value: decode(value)? };
            suspect(&parameter, &mut reading.suspects);
            reading.parameters.push(parameter);
        }
        Ok(Self(Some(Arc::new(reading))))
    }
}

/// What RFC 3986 section 3.4 allows, and what browsers send as it is. `<`, `>` and everything beyond ASCII has to be encoded.
fn is_legal(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'#' | b'<' | b'>')
}

fn decode(raw: &str) -> Result<String, Ambiguity> {
    let decoded = escape::decode(raw, Plus::Blank).map_err(|escape::Malformed| ESCAPE)?;
    if decoded.contains(&0) {
        return Err(NUL);
    }
    String::from_utf8(decoded).map_err(|_| NO_UTF_8)
}

/// Judges a parameter by its name, and by what a second reading would find in it.
fn suspect(parameter: &Parameter, suspects: &mut Vec<Suspect>) {
    let mut note = |ambiguity, allowable| suspects.push(Suspect { name: parameter.name.clone(), ambiguity, allowable });
    if let Some(ambiguity) = readings(&parameter.name).find_map(|name| named(&bare(&name))) {
        note(ambiguity, true);
    }
    let finds = |text: &str, skip: usize| text.split(['&', ';']).skip(skip).any(is_hidden);
    let in_name = readings(&parameter.name).any(|name| name.contains(['&', ';']) && finds(&name, 0));
    if in_name || readings(&parameter.value).any(|value| finds(&value, 1)) {
        note(SECOND_READING, false);
    }
}

/// The text, and what decoding it once and twice more makes of it.
fn readings(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    std::iter::successors(Some(Cow::Borrowed(text)), |text| text.contains(['%', '+']).then(|| Cow::Owned(escape::decode_leniently(text)))).take(3)
}

/// A name in lower case, without blanks, controls, leading question marks and a final index (`[]`, `[0]`).
fn bare(name: &str) -> String {
    let lower: String = name.chars().filter(|char| !char.is_whitespace() && !char.is_control()).flat_map(char::to_lowercase).collect();
    let mut rest = lower.trim_start_matches('?');
    while let Some((before, index)) = rest.strip_suffix(']').and_then(|open| open.rsplit_once('[')) {
        if !index.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        rest = before;
    }
    rest.to_owned()
}

/// What a bare name says.
fn named(bare: &str) -> Option<Ambiguity> {
    if OVERRIDES.contains(&bare) {
        return Some(OVERRIDE);
    }
    is_credential(bare).then_some(CREDENTIAL)
}

/// Whether a name overrides the method, in whatever case.
pub(crate) fn is_override(name: &str) -> bool {
    OVERRIDES.contains(&bare(name).as_str())
}

/// Whether a name, in lower case, is on the list of credentials.
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.binary_search(&plain(name).as_str()).is_ok()
}

fn plain(name: &str) -> String {
    name.replace(['-', '_', '$', '[', ']'], "")
}

/// Whether a piece of a value, read as a parameter, is one that no honest value holds.
fn is_hidden(piece: &str) -> bool {
    let name = bare(piece.split_once('=').map_or(piece, |(name, _)| name));
    OVERRIDES.contains(&name.as_str()) || matches!(plain(&name).as_str(), "accesstoken" | "oauthtoken")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(raw: &str) -> Vec<(&'static str, bool)> {
        Query::parse(raw).unwrap().suspects().iter().map(|suspect| (suspect.ambiguity.code, suspect.allowable)).collect()
    }

    #[test]
    fn the_list_of_credentials_is_sorted_and_plain() {
        assert!(CREDENTIALS.is_sorted());
        assert!(CREDENTIALS.iter().all(|name| plain(name) == *name));
    }

    #[test]
    fn parameters_are_decoded_once_and_the_query_stays_as_it_is() {
        for (raw, parameters) in [
            ("", vec![]),
            ("&", vec![]),
            ("flag&empty=&x", vec![("flag", ""), ("empty", ""), ("x", "")]),
            ("b=2&a=1&b=1", vec![("b", "2"), ("a", "1"), ("b", "1")]),
            ("q=a%20b%2Bc%26d%3De&r=%C3%A9", vec![("q", "a b+c&d=e"), ("r", "\u{e9}")]),
            ("q=a+b&c=%2B", vec![("q", "a b"), ("c", "+")]),
            ("a=b=c", vec![("a", "b=c")]),
            ("=x", vec![("", "x")]),
            ("f=(a:1,b:2)&q='x'!$*~-._&r=a/b:c@d?e", vec![("f", "(a:1,b:2)"), ("q", "'x'!$*~-._"), ("r", "a/b:c@d?e")]),
            ("a[]=1&b={\"c\":[1|2]}&d=\\^`", vec![("a[]", "1"), ("b", "{\"c\":[1|2]}"), ("d", "\\^`")]),
            ("a=%2541&b=%0A", vec![("a", "%41"), ("b", "\n")]),
        ] {
            let query = Query::parse(raw).unwrap();
            let found: Vec<_> = query.parameters().iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
            assert_eq!((query.as_str(), found, query.suspects()), (Some(raw), parameters, &[][..]), "{raw}");
        }
        assert_eq!(Query::default().as_str(), None);
    }

    #[test]
    fn a_name_could_be_another_to_a_server_that_reads_it_differently() {
        for (raw, known, could) in [
            ("type", "type", true),
            ("TYPE", "type", true),
            ("%3Ftype", "type", true),
            ("type%255B%255D", "type", true),
            ("t%2579pe", "type", true),
            ("filter[Kind]", "filter[kind]", true),
            ("subtype", "type", false),
            ("type.x", "type", false),
            ("kind", "kind[]", false),
            ("type[a]", "type", false),
        ] {
            assert_eq!(Query::parse(raw).unwrap().parameters()[0].could_be(known), could, "{raw}");
        }
    }

    #[test]
    fn queries_that_cannot_be_read_in_one_way_are_refused() {
        for (raw, reason) in [
            ("a=b#c", ILLEGAL),
            ("a=b c", ILLEGAL),
            ("a=<b>", ILLEGAL),
            ("a=\u{e9}", ILLEGAL),
            ("a=\u{1}", ILLEGAL),
            ("a=\u{7f}", ILLEGAL),
            ("a=%", ESCAPE),
            ("a=%4", ESCAPE),
            ("a=%zz", ESCAPE),
            ("a%4&b", ESCAPE),
            ("a=100%&b", ESCAPE),
            ("a=%00", NUL),
            ("a%00=1", NUL),
            ("a=%e9", NO_UTF_8),
            ("a=%c0%a6", NO_UTF_8),
            ("access%c1%9ftoken=1", NO_UTF_8),
        ] {
            assert_eq!(Query::parse(raw), Err(reason), "{raw}");
        }
        let many = |count: usize| vec!["a="; count].join("&");
        assert!(Query::parse(&many(500)).is_ok());
        assert_eq!(Query::parse(&many(501)), Err(TOO_MANY));
        assert_eq!(Query::parse(&"&".repeat(500)), Err(TOO_MANY));
    }

    #[test]
    fn no_spelling_hides_a_credential() {
        for name in CREDENTIALS {
            assert_eq!(verdict(&format!("{name}=x")), [("query-credential", true)], "{name}");
        }
        for raw in [
            "access_token=x",
            "Access-Token=x",
            "API_KEY=x",
            "token[]=x",
            "token[0]=x",
            "token[0][]=x",
            "[token]=x",
            "$key=x",
            "a=1&sid=x",
            "access%5Ftoken=x",
            "access%255Ftoken=x",
            "access%25255Ftoken=x",
            "?token=x",
            "??token=x",
            "%3Ftoken=x",
            "+token=x",
            "token%20=x",
            "to%0Aken=x",
            "to%2Bken=x",
            "%20%3Ftoken=x",
            "X-Amz-Signature=x",
            "X-Goog-Signature=x",
            "token",
            "to%E2%84%AAen=x",
            "os_username=x",
            "t%256Fken%255B%255D=x",
        ] {
            assert_eq!(verdict(raw), [("query-credential", true)], "{raw}");
        }
    }

    #[test]
    fn no_spelling_hides_a_method_override() {
        for name in OVERRIDES {
            for raw in [format!("{name}=DELETE"), format!("{}=DELETE", name.to_uppercase()), format!("{name}[]=DELETE"), format!("?{name}")] {
                assert_eq!(verdict(&raw), [("query-override", true)], "{raw}");
            }
        }
        for raw in ["%24httpMethod=DELETE", "%255Fmethod=DELETE", "a=1&_HttpMethod=PATCH", "%2524ct=x"] {
            assert_eq!(verdict(raw), [("query-override", true)], "{raw}");
        }
    }

    #[test]
    fn what_a_second_reading_would_find_cannot_be_taken_off() {
        for raw in [
            "a=1;access_token=x",
            "a=1;Access-Token=x",
            "a=1%26access_token%3Dx",
            "a=1%3Boauth_token%3Dx",
            "a=1%26_method%3DDELETE",
            "a=1%2526_method%253DDELETE",
            "a=1%252526_method%25253DDELETE",
            "a=1;_method",
            "a=;%20_method=DELETE",
            "a;access_token=x",
            "a%26access_token=x",
            "a%2526_method",
            "a=1;b=2;$ct=x",
        ] {
            assert_eq!(verdict(raw), [("query-second-reading", false)], "{raw}");
        }
    }

    #[test]
    fn honest_queries_hold_no_suspect() {
        for raw in [
            "next=https%3A%2F%2Fshop.example%2Fdone%3Fcode%3D1%26state%3D2",
            "q=the+key%3A+a+secret%3B+a+token%3Dof+esteem",
            "method=fast&ct=1&content_type=x&http=1",
            "keyword=a&tokens=1&zipcode=8000&authors=x&postal_code=9",
            "field=password&sort=key&f=access_token&m=_method",
            "b=2&a=1&b=1&q=a%20b%2Bc%26d",
            "filter[code]=1&filter[name]=2",
            "state=x&csrftoken=y&pageToken=z&nextPageToken=z&page_token=1&sync_token=2&key_id=3",
            "q=SELECT+Id+FROM+Account+WHERE+Name+%3D+%27x%3By%27",
        ] {
            assert_eq!(verdict(raw), [], "{raw}");
        }
    }

    #[test]
    fn a_suspect_says_what_allow_query_is_compared_with() {
        let query = Query::parse("co%64e=1&%63ode%5B%5D=2").unwrap();
        let names: Vec<_> = query.suspects().iter().map(|suspect| suspect.name.as_str()).collect();
        assert_eq!(names, ["code", "code[]"]);
    }

    /// A slow reading by the letter of the rules: all names at three depths, stripped one character at a time.
    fn slow_verdict(raw: &str) -> bool {
        let stripped = |name: &str| {
            let mut kept: Vec<char> = name.to_lowercase().chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
            while kept.first() == Some(&'?') {
                kept.remove(0);
            }
            loop {
                let text: String = kept.iter().collect();
                let Some((before, index)) = text.strip_suffix(']').and_then(|open| open.rsplit_once('[')) else { return text };
                if !index.chars().all(|c| c.is_ascii_digit()) {
                    return text;
                }
                kept = before.chars().collect();
            }
        };
        let strict = |name: &str| name.chars().filter(|c| !"-_$[]".contains(*c)).collect::<String>();
        raw.split('&').any(|piece| {
            let name = piece.split('=').next().unwrap();
            let mut depth = escape::decode_leniently(name);
            (0..3).any(|_| {
                let bare = stripped(&depth);
                depth = escape::decode_leniently(&depth);
                OVERRIDES.contains(&bare.as_str()) || CREDENTIALS.contains(&strict(&bare).as_str())
            })
        })
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "&", "=", "%", "%25", "%26", "%3B", ";", "?", "%3F", "+", "%20", "[", "]", "[0]", "_", "%5F", "%255F", "-", "$", "token", "to", "ken",
            "key", "_method", "ct", "a", "1", "TOKEN", "%2B", "%6B", "%256B", "25",
        ]);
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn names_are_judged_as_the_slow_reading_does(raw in pieces()) {
            if let Ok(query) = Query::parse(&raw) {
                prop_assert_eq!(query.as_str(), Some(raw.as_str()));
                prop_assert_eq!(query.suspects().iter().any(|suspect| suspect.allowable), slow_verdict(&raw), "{}", raw);
            }
        }
    }
}
