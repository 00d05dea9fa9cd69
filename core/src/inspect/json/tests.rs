use super::read::{DEEP, LARGE, SYNTAX, TWICE};
use super::*;
use crate::request::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(content_type: &str, body: &[u8]) -> Result<Json, Ambiguity> {
    let headers = [("content-type".to_owned(), content_type.to_owned())];
    Json::of_body(&Request::read("POST", "/", &headers, None).unwrap().headers, body)
}

#[test]
fn a_body_with_two_readings_is_refused() {
    for (body, fault) in [
        (&b"{\"a\":1,\"a\":1}"[..], TWICE),
        (b"[{\"a\":{\"b\":1,\"\\u0062\":2}}]", TWICE),
        (b"{a:1}", SYNTAX),
        (b"{\"a\":1} {}", SYNTAX),
        (b"{\"a\":01}", SYNTAX),
        (b"{\"a\":NaN}", SYNTAX),
        (b"{\"a\":1e999}", SYNTAX),
        (b"{\"a\":\"\\ud800\"}", SYNTAX),
        (b"{\"a\":\"\xff\"}", SYNTAX),
        (b"\xef\xbb\xbf{}", SYNTAX),
        (b"{\0\"\0a\0\"\0", SYNTAX),
        (b"// a\n{}", SYNTAX),
        (b"{\"a\":1,}", SYNTAX),
        (("[".repeat(65) + &"]".repeat(65)).as_bytes(), DEEP),
        (("[".repeat(5000) + &"]".repeat(5000)).as_bytes(), DEEP),
        (format!("[{}0]", "0,".repeat(100_000)).as_bytes(), LARGE),
    ] {
        assert_eq!(read("application/json", body), Err(fault), "{}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    }
    assert!(read("application/json", ("[".repeat(64) + &"]".repeat(64)).as_bytes()).is_ok());
}

#[test]
fn json_has_to_be_declared() {
    for (content_type, came) in [
        ("application/json", Ok(())),
        ("Application/JSON; charset=UTF-8", Ok(())),
        ("application/json;charset=\"utf-8\"; profile=x", Ok(())),
        ("application/vnd.api+json", Ok(())),
        ("application/json; charset=utf-16", Err(CHARSET)),
        ("application/json; charset=utf-8; charset=latin1", Err(CHARSET)),
        ("application/json; charset*=us-ascii''utf-7", Err(CHARSET)),
        ("application/json; charset*0=utf-7", Err(CHARSET)),
        ("application/json; charset", Err(CHARSET)),
        ("application/json; 'charset'=utf-7", Err(CHARSET)),
        ("application/a b+json", Err(NOT_DECLARED)),
        ("application/json+json, text/plain+json", Err(NOT_DECLARED)),
        ("text/json", Err(NOT_DECLARED)),
        ("application/+json", Err(NOT_DECLARED)),
        ("application/x-www-form-urlencoded", Err(NOT_DECLARED)),
        ("application/jsonp", Err(NOT_DECLARED)),
    ] {
        assert_eq!(read(content_type, b"{}").map(|_| ()), came, "{content_type}");
    }
    for (headers, fault) in [
        (&[][..], NOT_DECLARED),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], PACKED),
        (&[("content-type", "application/json"), ("content-encoding", "identity")], PACKED),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(Json::of_body(&Request::read("POST", "/", &headers, None).unwrap().headers, b"{}"), Err(fault), "{headers:?}");
    }
}

#[test]
fn a_pointer_finds_what_stands_there() {
    let body = json!({"kind": "x", "a/b": {"m~n": [1, 2.5, null]}, "n": 1, "big": 9_007_199_254_740_993_u64, "Twin": 1});
    for (pointer, value, found) in [
        ("/kind", json!("x"), Ok(true)),
        ("/kind", json!("y"), Ok(false)),
        ("/Kind", json!("x"), Err(TWIN)),
        ("/Kind", json!("y"), Ok(false)),
        ("/kind/0", json!("x"), Ok(false)),
        ("/a~1b/m~0n/0", json!(1), Ok(true)),
        ("/a~1b/m~0n/1", json!(2.5), Ok(true)),
        ("/a~1b/m~0n/2", json!(null), Ok(true)),
        ("/a~1b/m~0n/3", json!(null), Ok(false)),
        ("/a~1b/m~0n/00", json!(1), Ok(false)),
        ("/a~1b/m~0n/-", json!(1), Ok(false)),
        ("/a~1b", json!({"m~n": [1.0, 2.5, null]}), Ok(true)),
        ("/n", json!(1.0), Ok(true)),
        ("/n", json!("1"), Ok(false)),
        ("/big", json!(9_007_199_254_740_992_u64), Ok(false)),
        ("/twin", json!(1), Err(TWIN)),
    ] {
        assert_eq!(made(&body).holds(&pointer.parse().unwrap(), &value), found, "{pointer} {value}");
    }
    let twins = made(&json!({"kind": "x", "KIND": "y"}));
    assert_eq!(twins.holds(&"/kind".parse().unwrap(), &json!("z")), Err(TWIN));
    assert_eq!(made(&json!(7)).holds(&"".parse().unwrap(), &json!(7)), Ok(true));
    for wrong in ["kind", "/a~", "/a~2", "#/a"] {
        assert_eq!(wrong.parse::<Pointer>(), Err(InvalidPointer), "{wrong}");
    }
}

fn made(value: &Value) -> Json {
    read::read(value.to_string().as_bytes()).unwrap()
}

#[test]
fn what_is_written_anew_says_the_same_in_the_same_order() {
    for (text, written) in [
        (r#" { "b" : 1.0 , "a" : [ 12345678901234567890.123 , -0 , 1E+2 ] } "#, r#"{"b":1.0,"a":[12345678901234567890.123,-0,1E+2]}"#),
        (r#""\u0041\u00e9\ud83d\ude00\n\t\/\"\\\u001f\u007f""#, "\"A\u{e9}\u{1f600}\\u000a\\u0009/\\\"\\\\\\u001f\u{7f}\""),
        ("[]", "[]"),
        (r#"{"":{}}"#, r#"{"":{}}"#),
        ("[null,true,false]", "[null,true,false]"),
    ] {
        assert_eq!(read::read(text.as_bytes()).unwrap().to_string(), written, "{text}");
    }
}

/// Texts that are nearly JSON.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"b\"",
        "\"A\"",
        "\"\\u0061\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{e9}\"",
        "\"",
        "1",
        "-",
        "0",
        "1.5",
        "1e5",
        "1e999",
        ".5",
        "true",
        "null",
        " ",
        "\n",
        "\u{a0}",
        "\u{feff}",
        "//",
        "'",
        "NaN",
    ]);
    let soup = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<i16>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        "[ -~\u{e9}\n]{0,4}".prop_map(Value::from)
    ];
    let whole = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abAB]", inner, 0..4).prop_map(|members| members.into_iter().collect())
        ]
    });
    let broken =
        (whole.clone(), any::<prop::sample::Index>(), prop::option::of(any::<char>().prop_filter("no digit", |put| !matches!(put, '0'..='9' | '.'))))
            .prop_map(|(value, at, put)| {
                let mut characters: Vec<char> = value.to_string().chars().collect();
                let at = at.index(characters.len());
                characters.splice(at..=at, put);
                characters.into_iter().collect::<String>()
            });
    prop_oneof![soup, whole.prop_map(|value| serde_json::to_string_pretty(&value).unwrap()), broken]
}

proptest! {
    #[test]
    fn it_reads_as_another_reader_does(text in texts()) {
        let other = serde_json::from_str::<Value>(&text);
        match read::read(text.as_bytes()) {
            Ok(json) => {
                let other = other.unwrap();
                prop_assert!(json.equals(&other));
                let anew = json.to_string();
                prop_assert_eq!(read::read(anew.as_bytes()), Ok(json));
                prop_assert_eq!(serde_json::from_str::<Value>(&anew).unwrap(), other);
            }
            Err(fault) => prop_assert!(fault == TWICE || other.is_err(), "{} {}", fault, text),
        }
    }
}
