//! What must hold for any bytes whatever, one function a reader. The tests replay and mutate the corpus with them; `cargo fuzz`
//! looks for more with the same functions.

use bytes::Bytes;
use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::connector::PlainHttp;
use scopegate_core::oauth::{Reply, read_tokens};
use scopegate_core::policy::{Origin, PolicySet, Ruling, Source, compile, judge};
use scopegate_core::request::{ChunkReader, Head, HeadLimits, HeadScanner, Query, Request, Scan, Target};
use scopegate_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A reader that gets bytes from outside.
pub struct Property {
    /// Names its folder of the corpus, and its target.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub holds: fn(&[u8]),
}

/// All readers of the core.
pub const PROPERTIES: [Property; 7] = [
    Property { name: "head", holds: head },
    Property { name: "framing", holds: framing },
    Property { name: "path", holds: path },
    Property { name: "query", holds: query },
    Property { name: "content", holds: content },
    Property { name: "token_answer", holds: token_answer },
    Property { name: "document", holds: document },
];

/// A head reads alike however its bytes come, and what was read says the same when it is read again.
pub fn head(data: &[u8]) {
    let limits = HeadLimits::STANDARD;
    let mut scanner = HeadScanner::new(limits);
    let whole = scanner.scan(data);
    let mut by_byte = HeadScanner::new(limits);
    let mut found = Ok(Scan::More);
    for end in 1..=data.len() {
        found = by_byte.scan(&data[..end]);
        if found != Ok(Scan::More) {
            break;
        }
    }
    assert_eq!(whole.as_ref().ok(), found.as_ref().ok(), "a head ends where it ends, however it comes");
    let Ok(Scan::Head(length)) = whole else { return };
    let Ok(read) = Head::read(&Bytes::copy_from_slice(&data[..length]), &limits) else { return };
    let target = match read.target.query.as_str() {
        Some(query) => format!("{}?{query}", read.target.path.as_str()),
        None => read.target.path.as_str().to_owned(),
    };
    assert_eq!(target.parse::<Target>().as_ref(), Ok(&read.target), "{target}");
    let lines: String = read.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.escape_ascii())).collect();
    assert!(!lines.contains("\n\r\n"), "{lines:?}");
    assert!(
        read.method.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)),
        "{}",
        read.method.as_str()
    );
}

/// A body of chunks reads alike however its bytes come, and holds what a plain reader finds in it.
pub fn framing(data: &[u8]) {
    let (mut content, mut reader) = (Vec::new(), ChunkReader::new());
    let whole = reader.feed(data, |piece| content.extend_from_slice(piece));
    let (mut by_byte, mut singly) = (Vec::new(), ChunkReader::new());
    let mut used = 0;
    let mut ended = false;
    for byte in data {
        match singly.feed(std::slice::from_ref(byte), |piece| by_byte.extend_from_slice(piece)) {
            Ok(fed) => {
                used += fed.used;
                ended = fed.ended;
            }
            Err(ambiguity) => {
                assert_eq!(whole.as_ref().err(), Some(&ambiguity));
                return;
            }
        }
        if ended {
            break;
        }
    }
    let fed = whole.unwrap_or_else(|ambiguity| panic!("{ambiguity:?} only where all comes at once"));
    assert_eq!((fed.used, fed.ended, &content), (used, ended, &by_byte));
    assert_eq!(reader.content_length(), content.len() as u64);
    if fed.ended {
        assert_eq!(plainly(&data[..fed.used]), Some(content));
    }
}

/// The content of whole chunks, read without any thought of what could be wrong.
fn plainly(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = data.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&data[..line]).ok()?, 16).ok()?;
        data = &data[line + 2..];
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(data.get(..size)?);
        data = data.get(size + 2..)?;
    }
}

/// A path has one form, which no other server reads as another path.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(target) = text.parse::<Target>() else { return };
    let path = target.path.as_str();
    assert_eq!(path.parse().as_ref(), Ok(&target.path), "{path}");
    assert!(path.starts_with('/') && !path.contains("//"), "{path}");
    let lower = path.to_lowercase();
    for never in ["/./", "/../", "\\", "%5c", "%2e", "%00", ";", "#", "%25", "%3f", "%23"] {
        // what stands encoded is refused later, unless the operation's parameter says that it may
        let encoded = target.path.encoded().is_empty() || never.starts_with('/');
        assert!(!encoded || !lower.contains(never) || never == "%25", "{path}: {never}");
    }
    assert!(!path.ends_with("/..") && !path.ends_with("/."), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    // the connector's segment comes off whole
    if let Ok((connector, rest)) = target.connector_by_path() {
        assert!(!connector.contains('/') && rest.as_str().starts_with('/'), "{path}");
    }
}

/// A query passes byte for byte, or not at all; and no reading of it hides a parameter.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(query) = Query::parse(text) else { return };
    assert_eq!(query.as_str(), Some(text));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert!(query.parameters().len() <= 500);
    let pieces = text.split('&').filter(|piece| !piece.is_empty()).count();
    assert!(query.parameters().len() >= pieces, "{text}: {:?}", query.parameters());
}

/// Connectors that look into bodies and queries, a role that holds all, and one that holds nothing.
static LOOKING: LazyLock<PolicySet> = LazyLock::new(|| compiled(include_str!("looking.yaml")));

fn compiled(text: &str) -> PolicySet {
    let made = compile(&[Source { name: "looking.yaml".into(), text: text.into(), origin: Origin::Own }], &BTreeMap::new());
    made.policies.unwrap_or_else(|| panic!("{:?}", made.diagnostics))
}

/// Whatever stands in a query or a body: it is judged, judged alike again, and never allowed to who holds nothing.
pub fn content(data: &[u8]) {
    let (kind, rest) = data.split_first().map_or((0, data), |(kind, rest)| (*kind, rest));
    let (kind, operation) = [
        ("application/json", "/graphql"),
        ("application/json", "/composite"),
        ("application/json", "/graphs"),
        ("application/json", "/tree/Account"),
        ("multipart/mixed; boundary=b", "/multipart"),
        ("application/json", "/where"),
        ("application/json", "/soql-body"),
        ("", "/soql"),
    ][usize::from(kind) % 8];
    let encoded: String = rest.iter().map(|byte| format!("%{byte:02X}")).collect();
    let (method, target, headers, body) = if kind.is_empty() {
        ("GET", format!("{operation}?q={encoded}"), Vec::new(), None)
    } else {
        let headers = vec![("content-type".to_owned(), kind.to_owned()), ("content-length".to_owned(), rest.len().to_string())];
        ("POST", operation.to_owned(), headers, Some(Bytes::copy_from_slice(rest)))
    };
    let Ok(request) = Request::read(method, &target, &headers, body) else { return };
    let Ok(connector) = "api".parse() else { return };
    for role in ["everything", "nothing"] {
        let Ok(role) = role.parse() else { return };
        let standing = Standing { role: &role, grant: GrantStanding::Live(&Granted::Assumed) };
        let ruling = judge(&LOOKING, &connector, &standing, &request);
        assert_eq!(format!("{ruling:?}"), format!("{:?}", judge(&LOOKING, &connector, &standing, &request)));
        assert!(role.as_str() == "everything" || !matches!(ruling, Ruling::Allow(_)), "{ruling:?}");
    }
}

/// Shipped dialects of token endpoints.
static DIALECTS: LazyLock<Vec<PolicySet>> = LazyLock::new(|| {
    let shipped = [
        include_str!("../../policies/slack.yaml"),
        include_str!("../../policies/salesforce.yaml"),
        include_str!("../../policies/google-gmail.yaml"),
        include_str!("../../policies/github.yaml"),
    ];
    shipped.map(compiled).into()
});

/// Any answer of a token endpoint is a token that a header can carry, or a fault; never a panic, and never a life without end.
pub fn token_answer(data: &[u8]) {
    let (kind, body) = data.split_first().map_or((0, data), |(kind, rest)| (*kind, rest));
    let status = [200, 400, 401, 429, 500][usize::from(kind >> 4) % 5];
    let policies = &DIALECTS[usize::from(kind) % DIALECTS.len()];
    for connector in policies.connectors() {
        let Some(oauth) = &connector.oauth else { continue };
        let content_type = [None, Some("application/json"), Some("application/x-www-form-urlencoded")][usize::from(kind >> 2) % 3];
        let reply = Reply { status, retry_after: std::str::from_utf8(body).ok(), content_type, body };
        let Ok(tokens) = read_tokens(oauth, &connector.variables, reply, Timestamp::from_millis(1_800_000_000_000), PlainHttp::Refused) else {
            continue;
        };
        assert_eq!(status, 200);
        assert!(!tokens.access.reveal().is_empty() && tokens.access.reveal().bytes().all(|byte| (0x21..0x7f).contains(&byte)), "a header carries it");
        assert!(tokens.expires_in.is_none_or(|life| (1..=10 * 366 * 24 * 60 * 60).contains(&life.as_secs())), "{:?}", tokens.expires_in);
    }
}

/// Any document compiles, or says why with a place in it; twice alike.
pub fn document(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources = [Source { name: "fuzz.yaml".into(), text: text.into(), origin: Origin::Own }];
    let made = compile(&sources, &BTreeMap::new());
    // YAML takes a carriage return for a line break too (YAML 1.2, section 5.4)
    let lines = text.split(['\n', '\r']).count();
    for finding in &made.diagnostics {
        assert!((1..=lines + 1).contains(&finding.line) && finding.column >= 1, "{finding:?}");
        assert!(!finding.message.is_empty() && !finding.code.is_empty(), "{finding:?}");
    }
    let again = compile(&sources, &BTreeMap::new());
    assert_eq!(format!("{:?}", made.diagnostics), format!("{:?}", again.diagnostics));
    assert_eq!(made.policies.map(|set| set.hash().to_owned()), again.policies.map(|set| set.hash().to_owned()));
}
