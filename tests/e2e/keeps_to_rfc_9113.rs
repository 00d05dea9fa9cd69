//! What RFC 9113 and RFC 7541 ask of a server, frame by frame: each mistake of a client ends as they say, and what is merely
//! unusual is served. The sections are those of the two.

use crate::fountain::Fountain;
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, HELLO, PADDED, PING, PRIORITISED, PRIORITY, PUSH_PROMISE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, field, fields, frame, preface, setting,
};
use crate::stage::{Script, Stage};
use reqwest::Method;
use std::collections::BTreeSet;
use std::time::Duration;

/// Error codes (RFC 9113, section 7).
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// How long an end may take to come. Where none comes the case fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the last PING says.
const LAST: [u8; 8] = *b"the last";

/// A stream that no case uses.
const LATER: u32 = 901;

/// What a client does.
enum Step {
    /// Sends bytes.
    Say(Vec<u8>),
    /// Waits until this stream was answered whole.
    Answered(u32),
}
use Step::{Answered, Say};

/// How it ends.
#[derive(Clone, Debug, Eq, PartialEq)]
enum End {
    /// GOAWAY with this code, and the connection's end.
    Connection(u32),
    /// The connection's end without a word.
    Closed,
    /// RST_STREAM with this code, while the connection goes on.
    Stream(u32),
    /// An answer.
    Answer(u16),
    /// Nothing in particular: a later PING is answered, and a later request.
    Goes,
}
use End::{Answer, Closed, Connection, Goes, Stream};

struct Case(&'static str, &'static str, Vec<Step>, End);

/// One thing to say after the preface.
fn says(section: &'static str, name: &'static str, pieces: &[Vec<u8>], end: End) -> Case {
    Case(section, name, vec![Say(preface()), Say(pieces.concat())], end)
}

/// A whole request, whose fields these are.
fn asks(section: &'static str, name: &'static str, fields: Vec<u8>, end: End) -> Case {
    says(section, name, &[frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)], end)
}

fn ping() -> Vec<u8> {
    fields("GET", "/crm/v1/ping", "user_1")
}

/// A whole request on this stream.
fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &ping())
}

/// A request whose body is still to come.
fn put(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &fields("PUT", "/crm/v1/files/a", "user_2"))
}

/// A whole request whose answer does not come.
fn held(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields("GET", "/crm/v1/files/held", "user_1"))
}

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A piece of a request's fields without the one of this name.
fn without(name: &str) -> Vec<u8> {
    let all = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/crm/v1/ping"), ("scopegate-account", "user_1")];
    all.iter().filter(|(other, _)| *other != name).flat_map(|(name, value)| field(name, value)).collect()
}

fn with(name: &str, value: &str) -> Vec<u8> {
    [ping(), field(name, value)].concat()
}

/// Sections 3.4 to 5.5: the connection, frames, and the life of a stream.
fn connections_and_streams() -> Vec<Case> {
    let begun = || frame(HEADERS, 0, 1, &ping());
    let settings = |pairs: &[(u16, u32)]| frame(SETTINGS, 0, 0, &pairs.iter().flat_map(|(id, value)| setting(*id, *value)).collect::<Vec<_>>());
    let alone = |bytes: &[u8]| vec![Say(bytes.to_vec())];
    vec![
        says("3.4", "a preface and a request", &[get(1)], Answer(200)),
        Case("3.4", "a preface that goes wrong on its way", alone(b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n"), Closed),
        Case("3.4", "a preface without settings", vec![Say([HELLO, &get(1)].concat())], Closed),
        says("4.1", "a frame of an unknown kind", &[frame(0x16, 0, 0, &[0; 8])], Goes),
        says("4.1", "flags that mean nothing", &[frame(PING, 0x16, 0, &[0; 8])], Goes),
        says("4.1", "the reserved bit of a stream's number", &[frame(PING, 0, 1 << 31, &[0; 8])], Goes),
        says("4.2", "a frame as large as may be", &[put(1), frame(DATA, END_STREAM, 1, &[b'x'; 16_384])], Answer(200)),
        says("4.2", "a DATA frame that is too large", &[put(1), frame(DATA, END_STREAM, 1, &[b'x'; 16_385])], Connection(FRAME_SIZE)),
        says("4.2", "a HEADERS frame that is too large", &[frame(HEADERS, 5, 1, &[vec![0x82; 16_400]].concat())], Connection(FRAME_SIZE)),
        says("4.2", "a SETTINGS frame that is too large", &[frame(SETTINGS, 0, 0, &setting(0x99, 0).repeat(2_731))], Connection(FRAME_SIZE)),
        says("4.3", "fields that cannot be decoded", &[frame(HEADERS, 5, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])], Connection(COMPRESSION)),
        says("4.3", "a PRIORITY frame amid the fields", &[begun(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])], Connection(PROTOCOL)),
        says("4.3", "another stream's HEADERS amid the fields", &[begun(), get(3)], Connection(PROTOCOL)),
        says("4.3", "an unknown frame amid the fields", &[begun(), frame(0x16, 0, 0, &[0; 8])], Connection(PROTOCOL)),
        says("5.1", "DATA on an idle stream", &[frame(DATA, END_STREAM, 1, b"x")], Connection(PROTOCOL)),
        says("5.1", "RST_STREAM on an idle stream", &[reset(1)], Connection(PROTOCOL)),
        says("5.1", "WINDOW_UPDATE on an idle stream", &[update(1, 100)], Connection(PROTOCOL)),
        says("5.1", "CONTINUATION on an idle stream", &[frame(CONTINUATION, END_HEADERS, 1, &ping())], Connection(PROTOCOL)),
        says("5.1", "PRIORITY on an idle stream", &[frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), get(1)], Answer(200)),
        says("5.1", "DATA after the client's own end", &[held(1), frame(DATA, END_STREAM, 1, b"x")], Stream(STREAM_CLOSED)),
        says("5.1", "HEADERS after the client's own end", &[held(1), get(1)], Stream(STREAM_CLOSED)),
        says("5.1", "CONTINUATION after the client's own end", &[held(1), frame(CONTINUATION, 4, 1, &field("a", "b"))], Connection(PROTOCOL)),
        says(
            "5.1",
            "WINDOW_UPDATE, PRIORITY and RST_STREAM after it",
            &[held(1), update(1, 1), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), reset(1)],
            Goes,
        ),
        says("5.1", "DATA after a reset", &[put(1), reset(1), frame(DATA, END_STREAM, 1, b"x")], Stream(STREAM_CLOSED)),
        says("5.1", "HEADERS after a reset", &[held(1), reset(1), get(1)], Connection(STREAM_CLOSED)),
        says("5.1", "CONTINUATION after a reset", &[held(1), reset(1), frame(CONTINUATION, 4, 1, &field("a", "b"))], Connection(PROTOCOL)),
        says(
            "5.1",
            "WINDOW_UPDATE, PRIORITY and RST_STREAM after a reset",
            &[held(1), reset(1), update(1, 1), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), reset(1)],
            Goes,
        ),
        Case(
            "5.1",
            "DATA on a closed stream",
            vec![Say(preface()), Say(get(1)), Answered(1), Say(frame(DATA, END_STREAM, 1, b"x"))],
            Stream(STREAM_CLOSED),
        ),
        Case("5.1", "HEADERS on a closed stream", vec![Say(preface()), Say(get(1)), Answered(1), Say(get(1))], Connection(STREAM_CLOSED)),
        Case(
            "5.1",
            "CONTINUATION on a closed stream",
            vec![Say(preface()), Say(get(1)), Answered(1), Say(frame(CONTINUATION, 4, 1, &[]))],
            Connection(PROTOCOL),
        ),
        Case(
            "5.1",
            "WINDOW_UPDATE, PRIORITY and RST_STREAM on a closed stream",
            vec![Say(preface()), Say(get(1)), Answered(1), Say([update(1, 1), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), reset(1)].concat())],
            Goes,
        ),
        says("5.1.1", "an even number", &[get(2)], Connection(PROTOCOL)),
        says("5.1.1", "a number below the last one", &[held(5), get(3)], Connection(PROTOCOL)),
        says("5.1.2", "one stream more than there may be", &[(0..=100).flat_map(|number| held(2 * number + 1)).collect()], Stream(REFUSED)),
        says("5.3", "priorities, which mean nothing", &[frame(HEADERS, 5 | PRIORITISED, 1, &[vec![0, 0, 0, 9, 200], ping()].concat())], Answer(200)),
        says(
            "5.3",
            "HEADERS that depend on themselves",
            &[frame(HEADERS, 5 | PRIORITISED, 1, &[vec![0, 0, 0, 1, 200], ping()].concat())],
            Stream(PROTOCOL),
        ),
        says("5.3", "PRIORITY that depends on itself", &[held(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 200])], Stream(PROTOCOL)),
        says("5.4.1", "after an error of the connection it ends", &[frame(PING, 0, 0, &[0; 7]), get(1)], Connection(FRAME_SIZE)),
        says("5.5", "an unknown setting", &[settings(&[(0xff, 1)]), get(1)], Answer(200)),
        says(
            "5.5",
            "an unknown frame between a head and its body",
            &[put(1), frame(0x16, 0, 1, b"x"), frame(DATA, END_STREAM, 1, b"x")],
            Answer(200),
        ),
    ]
}

/// Sections 6.1 to 6.10: the kinds of frames.
fn kinds_of_frames() -> Vec<Case> {
    let settings = |id: u16, value: u32| frame(SETTINGS, 0, 0, &setting(id, value));
    let padded = |kind: u8, flags: u8, pad: u8, rest: &[u8]| frame(kind, flags | PADDED, 1, &[&[pad], rest].concat());
    let fields = ping();
    let (first, rest) = fields.split_at(20);
    let (second, third) = rest.split_at(20);
    vec![
        says("6.1", "DATA on no stream", &[frame(DATA, END_STREAM, 0, b"x")], Connection(PROTOCOL)),
        says("6.1", "DATA in padding", &[put(1), padded(DATA, END_STREAM, 3, b"abc\0\0\0")], Answer(200)),
        says("6.1", "DATA with more padding than there is", &[put(1), padded(DATA, END_STREAM, 7, b"abc\0\0\0")], Connection(PROTOCOL)),
        says("6.1", "DATA that is padded and has no length of it", &[put(1), frame(DATA, END_STREAM | PADDED, 1, &[])], Connection(FRAME_SIZE)),
        says("6.2", "HEADERS in padding", &[padded(HEADERS, 5, 4, &[ping(), vec![0; 4]].concat())], Answer(200)),
        says("6.2", "HEADERS with more padding than there is", &[padded(HEADERS, 5, 200, &ping())], Connection(PROTOCOL)),
        says("6.2", "HEADERS on no stream", &[get(0)], Connection(PROTOCOL)),
        says("6.2", "HEADERS without a priority that is announced", &[frame(HEADERS, 5 | PRIORITISED, 1, &[0, 0])], Connection(FRAME_SIZE)),
        says("6.3", "PRIORITY on no stream", &[frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1])], Connection(PROTOCOL)),
        says("6.3", "PRIORITY of another length", &[held(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 1])], Connection(FRAME_SIZE)),
        says("6.4", "RST_STREAM on no stream", &[reset(0)], Connection(PROTOCOL)),
        says("6.4", "RST_STREAM of another length", &[held(1), frame(RST_STREAM, 0, 1, &[0, 0, 1])], Connection(FRAME_SIZE)),
        says("6.5", "an acknowledgement with content", &[frame(SETTINGS, ACK, 0, &setting(1, 0))], Connection(FRAME_SIZE)),
        says("6.5", "SETTINGS on a stream", &[frame(SETTINGS, 0, 1, &[])], Connection(PROTOCOL)),
        says("6.5", "SETTINGS of another length", &[frame(SETTINGS, 0, 0, &[0, 1, 0])], Connection(FRAME_SIZE)),
        says("6.5.2", "ENABLE_PUSH that is neither", &[settings(2, 2)], Connection(PROTOCOL)),
        says("6.5.2", "a window beyond all", &[settings(4, 1 << 31)], Connection(FLOW_CONTROL)),
        says("6.5.2", "frames smaller than may be", &[settings(5, 16_383)], Connection(PROTOCOL)),
        says("6.5.2", "frames larger than may be", &[settings(5, 1 << 24)], Connection(PROTOCOL)),
        says("6.5.3", "the last of several values", &[frame(SETTINGS, 0, 0, &[setting(4, 0), setting(4, 65_535)].concat()), get(1)], Answer(200)),
        says(
            "6.6",
            "PUSH_PROMISE of a client",
            &[held(1), frame(PUSH_PROMISE, END_HEADERS, 1, &[vec![0, 0, 0, 2], ping()].concat())],
            Connection(PROTOCOL),
        ),
        says("6.7", "an answer to no PING", &[frame(PING, ACK, 0, b"invented")], Goes),
        says("6.7", "PING on a stream", &[frame(PING, 0, 1, &[0; 8])], Connection(PROTOCOL)),
        says("6.7", "PING of another length", &[frame(PING, 0, 0, &[0; 6])], Connection(FRAME_SIZE)),
        says("6.8", "GOAWAY on a stream", &[frame(GOAWAY, 0, 1, &[0; 8])], Connection(PROTOCOL)),
        says("6.8", "GOAWAY while an answer is owed", &[get(1), frame(GOAWAY, 0, 0, &[0; 8])], Answer(200)),
        says("6.9", "a window that is opened by nothing", &[update(0, 0)], Connection(PROTOCOL)),
        says("6.9", "a stream's window that is opened by nothing", &[held(1), update(1, 0)], Stream(PROTOCOL)),
        says("6.9", "WINDOW_UPDATE of another length", &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])], Connection(FRAME_SIZE)),
        says("6.9.1", "a window beyond all", &[update(0, (1 << 31) - 1)], Connection(FLOW_CONTROL)),
        says("6.9.1", "a stream's window beyond all", &[held(1), update(1, (1 << 31) - 1)], Stream(FLOW_CONTROL)),
        says("6.9.1", "more DATA than the stream's window", &[put(1), frame(DATA, 0, 1, &[b'x'; 16_384]).repeat(40)], Stream(FLOW_CONTROL)),
        says(
            "6.9.2",
            "a setting that opens a stream's window beyond all",
            &[held(1), update(1, (1 << 31) - 65_536), settings(4, 65_536)],
            Connection(FLOW_CONTROL),
        ),
        says(
            "6.10",
            "fields in several frames",
            &[frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, 0, 1, second), frame(CONTINUATION, 4, 1, third)],
            Answer(200),
        ),
        says("6.10", "DATA amid the fields", &[frame(HEADERS, 0, 1, first), frame(DATA, 0, 1, b"x")], Connection(PROTOCOL)),
        says("6.10", "CONTINUATION on no stream", &[frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, 4, 0, rest)], Connection(PROTOCOL)),
        says(
            "6.10",
            "CONTINUATION of another stream",
            &[frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, 4, 3, rest)],
            Connection(PROTOCOL),
        ),
        says("6.10", "CONTINUATION of whole fields", &[put(1), frame(CONTINUATION, 4, 1, &field("a", "b"))], Connection(PROTOCOL)),
        says(
            "6.10",
            "CONTINUATION after DATA",
            &[put(1), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, 4, 1, &field("a", "b"))],
            Connection(PROTOCOL),
        ),
    ]
}

/// Sections 8.1 to 8.5: requests.
fn requests() -> Vec<Case> {
    let trailers = |fields: &[u8], flags: u8| [put(1), frame(DATA, 0, 1, b"x"), frame(HEADERS, END_HEADERS | flags, 1, fields)];
    let sized = |length: &str, pieces: &[&[u8]]| {
        let head = [fields("PUT", "/crm/v1/files/a", "user_2"), field("content-length", length)].concat();
        let mut all = frame(HEADERS, END_HEADERS, 1, &head);
        for (number, piece) in pieces.iter().enumerate() {
            all.extend(frame(DATA, u8::from(number + 1 == pieces.len()), 1, piece));
        }
        vec![all]
    };
    let mut cases = vec![
        says("8.1", "trailers", &trailers(&field("x-checksum", "7"), END_STREAM), Answer(200)),
        says("8.1", "a second head that does not end the stream", &trailers(&field("x-checksum", "7"), 0), Stream(PROTOCOL)),
        // malformed, which the h2 crate overlooks; trailers of requests go nowhere, so that nobody is misled
        says("8.1", "trailers with a pseudo-field", &trailers(&field(":method", "GET"), END_STREAM), Answer(200)),
        says("8.1.1", "a length that is that of the body", &sized("3", &[b"a", b"bc"]), Answer(200)),
        says("8.1.1", "a length beyond the body", &sized("4", &[b"abc"]), Stream(PROTOCOL)),
        says("8.1.1", "a length beyond the body in pieces", &sized("4", &[b"a", b"bc"]), Stream(PROTOCOL)),
        says("8.1.1", "a body beyond its length", &sized("2", &[b"a", b"bc"]), Stream(PROTOCOL)),
        asks("8.1.1", "a length without a body", with("content-length", "1"), Stream(PROTOCOL)),
        asks("8.3", "a pseudo-field that nobody knows", with(":what", "a"), Stream(PROTOCOL)),
        asks("8.3", "a pseudo-field of answers", [ping(), field(":status", "200")].concat(), Stream(PROTOCOL)),
        asks("8.3", "a pseudo-field behind a field", [without(":path"), field(":path", "/crm/v1/ping")].concat(), Stream(PROTOCOL)),
        asks("8.3.1", "an empty path", [field(":path", ""), without(":path")].concat(), Stream(PROTOCOL)),
        asks("8.5", "CONNECT", [field(":method", "CONNECT"), field(":authority", "localhost:80")].concat(), Answer(400)),
    ];
    let twice = [fields("PUT", "/crm/v1/files/a", "user_2"), field("content-length", "1"), field("content-length", "1")].concat();
    let renamed = |name: &str, value: &str| [field(name, value), without(name)].concat();
    cases.extend([
        says("8.1.1", "two lengths that agree", &[frame(HEADERS, END_HEADERS, 1, &twice), frame(DATA, END_STREAM, 1, b"x")], Answer(400)),
        asks("8.2.3", "cookies in pieces", [with("cookie", "a=b"), field("cookie", "c=d")].concat(), Answer(200)),
        asks("8.3.1", "a host that is the authority", with("host", "localhost"), Answer(200)),
        asks("8.3.1", "a host that is not the authority", with("host", "else.example"), Answer(400)),
        asks("8.3.1", "a host and no authority", [without(":authority"), field("host", "localhost")].concat(), Answer(200)),
        asks("8.3.1", "neither", without(":authority"), Answer(400)),
        asks("8.3.1", "an authority with a user part", renamed(":authority", "user@localhost"), Answer(400)),
        asks("8.3.1", "a path that does not begin with a slash", renamed(":path", "crm/v1/ping"), Stream(PROTOCOL)),
        asks("8.3.1", "a whole URL as the path", renamed(":path", "http://localhost/crm/v1/ping"), Stream(PROTOCOL)),
        asks("8.3.1", "an asterisk as the path of a GET", renamed(":path", "*"), Answer(400)),
        asks("8.3.1", "a fragment behind the path, which nobody sees", renamed(":path", "/crm/v1/ping#there"), Answer(200)),
        asks("8.3.1", "another scheme than that of the connection", renamed(":scheme", "https"), Answer(200)),
        asks("8.3.1", "a scheme of something else, which decides nothing", renamed(":scheme", "ftp"), Answer(200)),
    ]);
    let sections = ["8.2.1", "8.2.1", "8.2.1", "8.2.1", "8.2.2", "8.2.2", "8.2.2", "8.2.2", "8.2.2", "8.2.2"];
    let names = [
        ("an upper-case name", "Upper", "a"),
        ("a blank in a name", "a b", "a"),
        ("a colon in a name", "a:b", "a"),
        ("a line end in a value", "a", "b\r\nc"),
        ("Connection", "connection", "keep-alive"),
        ("Proxy-Connection", "proxy-connection", "keep-alive"),
        ("Keep-Alive", "keep-alive", "timeout=5"),
        ("Transfer-Encoding", "transfer-encoding", "chunked"),
        ("Upgrade", "upgrade", "websocket"),
        ("TE that is not `trailers`", "te", "trailers, deflate;q=0.5"),
    ];
    cases.extend(sections.into_iter().zip(names).map(|(section, (what, name, value))| asks(section, what, with(name, value), Stream(PROTOCOL))));
    for (what, name) in [("no method", ":method"), ("no scheme", ":scheme"), ("no path", ":path")] {
        cases.push(asks("8.3.1", what, without(name), Stream(PROTOCOL)));
    }
    for (what, name, value) in
        [("two methods", ":method", "GET"), ("two schemes", ":scheme", "http"), ("two paths", ":path", "/"), ("two authorities", ":authority", "a")]
    {
        cases.push(asks("8.3.1", what, [field(name, value), ping()].concat(), Stream(PROTOCOL)));
    }
    cases
}

/// RFC 7541.
fn packed_fields() -> Vec<Case> {
    let bad = |section, name, bytes: &[u8]| asks(section, name, [ping().as_slice(), bytes].concat(), Connection(COMPRESSION));
    vec![
        bad("HPACK 2.3.3", "a field that no table holds", &[0xc6]),
        bad("HPACK 2.3.3", "a name that no table holds", &[0x0f, 0x37, 1, b'a']),
        bad("HPACK 4.2", "a new size of the table behind the fields", &[0x20]),
        bad("HPACK 5.1", "a number without end", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        bad("HPACK 5.2", "a text longer than the fields", &[0, 1, b'a', 9, b'b']),
        bad("HPACK 5.2", "padding of more than seven bits", &[0, 1, b'a', 0x82, 0x1f, 0xff]),
        bad("HPACK 5.2", "padding with zeros", &[0, 1, b'a', 0x81, 0x18]),
        bad("HPACK 5.2", "the end of a text within it", &[0, 1, b'a', 0x84, 0xff, 0xff, 0xff, 0xff]),
        bad("HPACK 6.1", "a field with the number zero", &[0x80]),
        asks("HPACK 6.3", "a size of the table beyond the setting", [vec![0x3f, 0xe2, 0x1f], ping()].concat(), Connection(COMPRESSION)),
        asks("HPACK 6.3", "a size of the table within it", [vec![0x20, 0x3f, 0xe1, 0x1f], ping()].concat(), Answer(200)),
    ]
}

/// What becomes of it, as soon as that is known; where nothing in particular is expected, as soon as a later PING and a later request
/// are answered.
async fn end(stage: &Stage, Case(_, _, steps, expected): &Case) -> End {
    let mut client = Frames::connect(stage.gateways[0]).await;
    let mut done = BTreeSet::new();
    for step in steps {
        match step {
            Say(bytes) => client.send(bytes).await,
            Answered(stream) => {
                while !done.contains(stream) {
                    let frame = client.next().await.unwrap();
                    done.extend(frame.ends().then_some(frame.stream));
                }
            }
        }
    }
    client.send(&frame(PING, 0, 0, &LAST)).await;
    let mut status = None;
    while let Some(frame) = client.next().await {
        match frame.kind {
            GOAWAY if frame.code() != 0 => {
                while client.next().await.is_some() {}
                return Connection(frame.code());
            }
            RST_STREAM => return Stream(frame.code()),
            HEADERS => status = status.or(Some(frame.status())),
            PING if frame.payload == LAST && *expected == Goes => client.send(&get(LATER)).await,
            PING => assert_ne!(frame.payload, b"invented", "only a PING is answered"),
            _ => {}
        }
        match status {
            Some(200) if frame.ends() && frame.stream == LATER => return Goes,
            Some(status) if frame.ends() => return Answer(status),
            Some(_) | None => {}
        }
    }
    Closed
}

/// Whether this is an end that the protocol allows where it asks for `expected`: a mistake on a stream may end the connection
/// (section 5.4), and PROTOCOL_ERROR is the code of whoever has none that is more exact (section 7), as the h2 crate for frames
/// and fields that it cannot read.
fn is_lawful(end: &End, expected: &End) -> bool {
    match (end, expected) {
        (Connection(code), Connection(asked) | Stream(asked)) => code == asked || *code == PROTOCOL,
        (Connection(_) | Closed | Stream(_) | Answer(_) | Goes, _) => end == expected,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_of_a_client_ends_as_the_protocol_says() {
    let listen = "[{address: \"127.0.0.1:0\", h2c: true}]".into();
    let stage = Stage::with(Script { listen, ..Script::default() }).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    let _hold = stage.practice.api().hold();
    let mut wrong = Vec::new();
    for case in [connections_and_streams(), kinds_of_frames(), requests(), packed_fields()].into_iter().flatten() {
        let Case(section, name, _, expected) = &case;
        match tokio::time::timeout(PATIENCE, end(&stage, &case)).await {
            Ok(end) if is_lawful(&end, expected) => {}
            Ok(end) => wrong.push(format!("{section}, {name}: {end:?} instead of {expected:?}")),
            Err(_) => wrong.push(format!("{section}, {name}: no end, and should be {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stage.call(Method::GET, "/crm/v1/ping", "user_1").await.status, 200, "whoever does nothing of it is served");
}

/// What comes of a body until the last PING is answered, which must not be more than `room`.
async fn came(client: &mut Frames, room: usize) -> usize {
    client.send(&frame(PING, 0, 0, &LAST)).await;
    let mut came = 0;
    loop {
        let frame = client.next().await.unwrap();
        match frame.kind {
            DATA => came += frame.payload.len(),
            PING if frame.payload == LAST => return came,
            kind => assert!(matches!(kind, SETTINGS | HEADERS | PING | WINDOW_UPDATE), "{frame:?}"),
        }
        assert!(came <= room, "{came} bytes came, and there was room for {room}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_takes_exactly_the_room_that_its_client_makes() {
    let upstream = Fountain::start().await;
    let stage = Stage::with(Script {
        listen: "[{address: \"127.0.0.1:0\", h2c: true}]".into(),
        upstream: Some(format!("http://{}", upstream.address)),
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    let pour = frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields("GET", "/crm/v1/files/pour-1000000", "user_1"));
    let window = |size: u32| frame(SETTINGS, 0, 0, &setting(4, size));
    // What is said, and the room on the stream after that: a window may shrink below nothing (section 6.9.2). What came before
    // a window shrank has used it up.
    let steps: [(Vec<u8>, usize); 7] = [
        ([HELLO, &window(0), &pour].concat(), 0),
        (update(1, 1), 1),
        (window(3), 3),
        ([window(0), update(1, 3)].concat(), 0),
        (update(1, 2), 2),
        ([window(100_000), update(1, 1_000_000)].concat(), 65_535 - 6),
        (update(0, 10), 10),
    ];
    let mut client = Frames::connect(stage.gateways[0]).await;
    for (number, (bytes, room)) in steps.iter().enumerate() {
        client.send(bytes).await;
        let mut left = *room;
        while left > 0 {
            left -= came(&mut client, left).await;
        }
        assert_eq!(came(&mut client, 0).await, 0, "step {number}");
    }
}
