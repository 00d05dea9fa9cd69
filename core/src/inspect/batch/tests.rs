use super::*;
use crate::inspect::{Tape, tapes};
use proptest::prelude::*;

fn line(text: &str) -> Line {
    Line::parse(text, |name| (name == "version").then_some(2)).unwrap()
}

fn named(requests: &str) -> BatchShape {
    let part = PartShape::Named { method: "/method".parse().unwrap(), url: "/url".parse().unwrap() };
    let layout = JsonShape {
        requests: requests.parse().unwrap(),
        part,
        body: Some("/body".parse().unwrap()),
        headers: Some("/headers".parse().unwrap()),
        nested: None,
        members: None,
    };
    BatchShape { prefix: Line::default(), max_parts: 4, format: BatchFormat::Json(layout.into()) }
}

/// A shape with some of its keys said differently.
fn with(shape: BatchShape, change: impl FnOnce(&mut JsonShape)) -> BatchShape {
    let BatchFormat::Json(mut layout) = shape.format else { panic!("a shape in JSON") };
    change(&mut layout);
    BatchShape { format: BatchFormat::Json(layout), ..shape }
}

const SEGMENTS: [&str; 4] = ["services", "data", "v60.0", "composite"];

fn read_as(shape: &BatchShape, content_type: &str, body: &[u8]) -> Result<Batch, BatchFault> {
    let headers = [("content-type".to_owned(), content_type.to_owned())];
    Batch::read(shape, &Request::read("POST", "/", &headers, None).unwrap().headers, &SEGMENTS, body)
}

fn read(shape: &BatchShape, body: &str) -> Result<Batch, BatchFault> {
    read_as(shape, "application/json", body.as_bytes())
}

fn shown(batch: &Batch) -> Vec<String> {
    let text = |part: &Part| {
        let request = &part.request;
        let query = request.query.as_str().map(|query| format!("?{query}")).unwrap_or_default();
        let body = match &request.body {
            crate::request::Body::Whole(body) => format!(" {}", String::from_utf8_lossy(body)),
            crate::request::Body::None | crate::request::Body::Unread => String::new(),
        };
        format!("{} {}{query}{body}", request.method, request.path.as_str())
    };
    batch.parts.iter().map(text).collect()
}

#[test]
fn each_part_is_a_request_of_its_own() {
    let batch = read(
        &named("/compositeRequest"),
        r#"{"allOrNone": true, "compositeRequest": [
            {"method": "GET", "url": "/a/%41?q=x%20y", "referenceId": "one"},
            {"url": "b/c", "method": "PATCH", "headers": {"If-Match": "x"}, "body": {"z": 1.50, "a": "@{one.id}"}},
            {"method": "PUT", "url": "/d", "body": "aGVsbG8="}, {"method": "DELETE", "url": "/e", "body": null}]}"#,
    )
    .unwrap();
    assert_eq!(shown(&batch), ["GET /a/A?q=x%20y", r#"PATCH /b/c {"z":1.50,"a":"@{one.id}"}"#, "PUT /d aGVsbG8=", "DELETE /e"]);
    let types: Vec<_> = batch.parts.iter().map(|part| part.request.headers.get("content-type").map(|value| value.to_vec())).collect();
    assert_eq!(types, [None, Some(b"application/json".to_vec()), None, None]);
    assert_eq!(batch.parts.iter().map(|part| part.has_references).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(
        batch.write(&named("/compositeRequest")).unwrap(),
        concat!(
            r#"{"allOrNone":true,"compositeRequest":[{"method":"GET","url":"/a/A?q=x%20y","referenceId":"one"},"#,
            r#"{"url":"b/c","method":"PATCH","headers":{"If-Match":"x"},"body":{"z":1.50,"a":"@{one.id}"}},"#,
            r#"{"method":"PUT","url":"/d","body":"aGVsbG8="},{"method":"DELETE","url":"/e","body":null}]}"#
        )
    );
}

#[test]
fn every_dialect_is_data() {
    let graphs = named("/graphs/*/compositeRequest");
    let body = r#"{"graphs":[{"graphId":"1","compositeRequest":[{"method":"GET","url":"/a"}]},{"graphId":"2","compositeRequest":[{"method":"GET","url":"/b"}]}]}"#;
    assert_eq!(shown(&read(&graphs, body).unwrap()), ["GET /a", "GET /b"]);

    let versions = BatchShape { prefix: line("/services/data/"), ..named("/batchRequests") };
    let body = r#"{"batchRequests":[{"method":"GET","url":"v60.0/sobjects/Account/1"}]}"#;
    assert_eq!(read(&versions, body).unwrap_err().ambiguity.code, "empty-segment");
    let versions = BatchShape { prefix: line("/services/data"), ..named("/batchRequests") };
    let batch = read(&versions, body).unwrap();
    assert_eq!((shown(&batch), batch.write(&versions).unwrap()), (vec!["GET /services/data/v60.0/sobjects/Account/1".to_owned()], body.into()));

    let relative = BatchShape { prefix: line("/{version}"), ..named("/requests") };
    let body = r#"{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"2","method":"GET","url":"me/messages?$top=1","dependsOn":["1"]}]}"#;
    let batch = read(&relative, body).unwrap();
    assert_eq!(
        (shown(&batch), batch.write(&relative).unwrap()),
        (vec!["GET /v60.0/me".to_owned(), "GET /v60.0/me/messages?$top=1".to_owned()], body.into())
    );

    let record = |target: &str| PartShape::As { method: "POST".parse().unwrap(), target: line(target) };
    let tree = with(named("/records"), |layout| {
        layout.part = record("/services/data/{version}/sobjects/{/attributes/type}");
        layout.body = Some("".parse().unwrap());
        layout.nested = Some("/*/records".parse().unwrap());
    });
    let body = r#"{"records":[{"attributes":{"type":"Account","referenceId":"a"},"Name":"x","Contacts":{"records":[{"attributes":{"type":"Contact"},"Cases":{"records":[{"attributes":{"type":"A/b"}}]}}]}},{"attributes":{"type":"Lead"}}]}"#;
    let batch = read(&tree, body).unwrap();
    let targets: Vec<_> = batch.parts.iter().map(|part| part.request.path.as_str().to_owned()).collect();
    assert_eq!(
        targets,
        ["Account", "Contact", "A%2Fb", "Lead"].map(|object| format!("/services/data/v60.0/sobjects/{object}")),
        "what is encoded stays so, and no operation allows it"
    );
    assert_eq!(batch.write(&tree).unwrap(), body);

    let rpc = with(named(""), |layout| {
        layout.part = record("/rpc");
        layout.body = Some("".parse().unwrap());
        layout.members = Some(["jsonrpc", "method", "params", "id"].map(str::to_owned).into());
    });
    let body = r#"[{"jsonrpc":"2.0","method":"tools/list","id":1},{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"},"id":2}]"#;
    let batch = read(&rpc, body).unwrap();
    assert_eq!(shown(&batch)[0], r#"POST /rpc {"jsonrpc":"2.0","method":"tools/list","id":1}"#);
    assert_eq!(read(&rpc, r#"[{"jsonrpc":"2.0","Method":"x"}]"#).unwrap_err().ambiguity, MEMBER);
}

#[test]
fn a_batch_with_two_readings_is_refused_and_the_part_is_told() {
    let shape = named("/compositeRequest");
    let of = |part: &str| format!(r#"{{"compositeRequest":[{{"method":"GET","url":"/a"}},{part}]}}"#);
    for (part, code) in [
        (r#"{"method":"GET"}"#, "batch-part"),
        (r#"{"url":"/a"}"#, "batch-part"),
        (r#"{"method":"GET","url":5}"#, "batch-part"),
        (r#"{"method":["GET"],"url":"/a"}"#, "batch-part"),
        (r#""/a""#, "batch-part"),
        (r#"[]"#, "batch-part"),
        (r#"{"method":"patch","url":"/a"}"#, "method"),
        (r#"{"method":"TRACE","url":"/a"}"#, "method-never-forwarded"),
        (r#"{"method":"GET","url":"https://evil.example/a"}"#, "batch-part"),
        (r#"{"method":"GET","url":"https:evil.example"}"#, "batch-part"),
        (r#"{"method":"GET","url":""}"#, "batch-part"),
        (r#"{"method":"GET","url":"?a=b"}"#, "batch-part"),
        (r#"{"method":"GET","url":"../a"}"#, "batch-part"),
        (r#"{"method":"GET","url":"\\evil.example/a"}"#, "batch-part"),
        (r#"{"method":"GET","url":"//evil.example/a"}"#, "empty-segment"),
        (r#"{"method":"GET","url":"/a/../b"}"#, "dot-segment"),
        (r#"{"method":"GET","url":"/a#b"}"#, "fragment"),
        (r#"{"method":"GET","url":"/a b"}"#, "not-encoded"),
        (r#"{"method":"GET","url":"/a?b=c d"}"#, "query-character"),
        (r#"{"method":"GET","url":"/a/@{one.id}"}"#, "batch-substitution"),
        (r#"{"method":"GET","url":"/a?id=%40%7Bone.id}"}"#, "batch-substitution"),
        (r#"{"method":"GET","url":"/a/%2540%257Bone.id%257D"}"#, "batch-substitution"),
        (r#"{"method":"GET","url":"/a","Method":"DELETE"}"#, "body-twin-key"),
        (r#"{"METHOD":"GET","url":"/a"}"#, "body-twin-key"),
        (r#"{"method":"GET","url":"/a","_HttpMethod":"DELETE"}"#, "batch-member"),
        (r#"{"method":"GET","url":"/a","httpHeaders":{}}"#, "batch-member"),
        (r#"{"method":"GET","url":"/a","headers":["a"]}"#, "batch-headers"),
        (r#"{"method":"GET","url":"/a","headers":{"X-A":1}}"#, "batch-headers"),
        (r#"{"method":"GET","url":"/a","headers":{"X-A":" x"}}"#, "batch-headers"),
        (r#"{"method":"GET","url":"/a","headers":{"X A":"x"}}"#, "header-name"),
        (r#"{"method":"GET","url":"/a","headers":{"X-A":"x\r\nY: z"}}"#, "header-value"),
        (r#"{"method":"GET","url":"/a","headers":{"X-HTTP-Method-Override":"DELETE"}}"#, "method-override"),
        (r#"{"method":"GET","url":"/a","headers":{"Content-Length":"5"}}"#, "batch-part-framing"),
    ] {
        let fault = read(&shape, &of(part)).map(|batch| shown(&batch)).unwrap_err();
        assert_eq!((fault.part, fault.ambiguity.code), (Some(1), code), "{part}");
    }
    for (body, code) in [
        ("{compositeRequest", "body-not-json"),
        (r#"{"compositeRequest":[],"compositeRequest":[]}"#, "body-duplicate-key"),
        (r#"{"other":[]}"#, "batch-no-parts"),
        (r#"{"compositeRequest":[]}"#, "batch-no-parts"),
        (r#"{"compositeRequest":{"method":"GET"}}"#, "batch-no-parts"),
        (r#"{"CompositeRequest":[{"method":"GET","url":"/a"}]}"#, "body-twin-key"),
        (r#"[]"#, "batch-no-parts"),
    ] {
        let fault = read(&shape, body).map(|batch| shown(&batch)).unwrap_err();
        assert_eq!((fault.part, fault.ambiguity.code), (None, code), "{body}");
    }
    let many = |count: usize| format!(r#"{{"compositeRequest":[{}]}}"#, vec![r#"{"method":"GET","url":"/a"}"#; count].join(","));
    assert!(read(&shape, &many(4)).is_ok());
    assert_eq!(read(&shape, &many(5)).unwrap_err(), TOO_MANY.into());
    assert_eq!(read_as(&shape, "text/plain", many(1).as_bytes()).unwrap_err().ambiguity.code, "body-not-declared-json");
    let closed = with(shape, |layout| layout.members = Some(vec!["referenceId".into()]));
    assert!(read(&closed, r#"{"compositeRequest":[{"method":"GET","url":"/a","referenceId":"x"}]}"#).is_ok());
    assert_eq!(read(&closed, r#"{"compositeRequest":[{"method":"GET","url":"/a","uri":"/b"}]}"#).unwrap_err().ambiguity, MEMBER);
    let bodiless = with(closed, |layout| (layout.body, layout.members) = (None, None));
    assert_eq!(read(&bodiless, r#"{"compositeRequest":[{"method":"GET","url":"/a","Body":{}}]}"#).unwrap_err().ambiguity, MEMBER);
}

fn multipart() -> BatchShape {
    BatchShape { prefix: Line::default(), max_parts: 4, format: BatchFormat::Multipart }
}

fn mixed(text: &str) -> Result<Batch, BatchFault> {
    read_as(&multipart(), "multipart/mixed; boundary=\"b=1\"", text.as_bytes())
}

#[test]
fn a_multipart_batch_is_read_as_it_is_documented_and_as_python_writes_it() {
    let documented = concat!(
        "--b=1\r\nContent-Type: application/http\r\nContent-ID: <item1:12930812@barnyard.example.com>\r\n\r\nGET /farm/v1/animals/pony\r\n\r\n",
        "--b=1\r\nContent-Type: application/http; msgtype=request\r\n\r\nPUT /farm/v1/animals/sheep HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": \"\n\r\r\n",
        "--b=1--\r\n"
    );
    let batch = mixed(documented).unwrap();
    assert_eq!(shown(&batch), ["GET /farm/v1/animals/pony", "PUT /farm/v1/animals/sheep {\"a\": \"\n\r"]);
    assert_eq!(
        String::from_utf8(batch.write(&multipart()).unwrap().to_vec()).unwrap(),
        concat!(
            "--b=1\r\nContent-Type: application/http\r\nContent-ID: <item1:12930812@barnyard.example.com>\r\n\r\nGET /farm/v1/animals/pony HTTP/1.1\r\n\r\n\r\n",
            "--b=1\r\nContent-Type: application/http\r\n\r\nPUT /farm/v1/animals/sheep HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a\": \"\n\r\r\n",
            "--b=1--\r\n"
        )
    );
    let python = concat!(
        "--b=1\nContent-Type: application/http\nMIME-Version: 1.0\nContent-Transfer-Encoding: binary\nContent-ID: <x + 1>\n\n",
        "POST /gmail/v1/users/me/messages/7/modify?alt=json HTTP/1.1\nContent-Type: application/json\nMIME-Version: 1.0\naccept: application/json\naccept-encoding: gzip, deflate\n",
        "user-agent: (gzip)\ncontent-length: 2\nHost: gmail.googleapis.com\n\n{}\n",
        "--b=1--"
    );
    let batch = mixed(python).unwrap();
    assert_eq!(shown(&batch), ["POST /gmail/v1/users/me/messages/7/modify?alt=json {}"]);
    let names: Vec<_> = batch.parts[0].request.headers.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["content-type", "accept", "user-agent"]);
    assert!(batch.write(&multipart()).unwrap().starts_with(b"--b=1\r\n"));
}

#[test]
fn a_multipart_batch_with_two_readings_is_refused() {
    let part = |text: &str| format!("--b=1\r\nContent-Type: application/http\r\n\r\n{text}\r\n--b=1--");
    assert!(mixed(&part("GET /a\r\n")).is_ok());
    for (text, number, code) in [
        (part("get /a\r\n"), Some(0), "method"),
        (part("GET /a HTTP/1.0\r\n"), Some(0), "batch-multipart"),
        (part("GET  /a\r\n"), Some(0), "batch-multipart"),
        (part("GET /a b\r\n"), Some(0), "batch-multipart"),
        (part("GET https://evil.example/a\r\n"), Some(0), "batch-multipart"),
        (part("GET /a/../b\r\n"), Some(0), "dot-segment"),
        (part("GET /a\r\nX-HTTP-Method-Override: DELETE\r\n"), Some(0), "method-override"),
        (part("GET /a\r\n folded: x\r\n"), Some(0), "batch-multipart"),
        (part("GET /a\r\nX: a\rb\r\n"), Some(0), "batch-multipart"),
        (part("GET /a\nX: a\r\n"), Some(0), "batch-multipart"),
        (part("POST /a\r\nContent-Length: 3\r\n\r\n{}"), Some(0), "batch-multipart"),
        (part("POST /a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), Some(0), "batch-multipart"),
        (part("POST /a\r\nTransfer-Encoding: chunked\r\n\r\n{}"), None, ""),
        (part("GET /a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), Some(0), "batch-part-framing"),
        (part("GET /a\r\n").replace("application/http", "text/plain"), Some(0), "batch-multipart"),
        (part("GET /a\r\n").replace("Content-Type: application/http", "Content-Disposition: x"), Some(0), "batch-multipart"),
        (format!("preamble\r\n{}", part("GET /a\r\n")), None, "batch-multipart"),
        (format!("{}\r\nepilogue", part("GET /a\r\n")), None, "batch-multipart"),
        (part("GET /a\r\n\r\n x --b=1 x"), None, "batch-multipart"),
        (part("GET /a\r\n").replace("--b=1--", "--b=1"), None, "batch-multipart"),
        (part("GET /a\r\n").replacen("--b=1\r\n", "--b=1 \r\n", 1), None, "batch-multipart"),
        ("--b=1--".to_owned(), None, "batch-no-parts"),
        (String::new(), None, "batch-multipart"),
    ] {
        let came = mixed(&text).map(|batch| shown(&batch));
        match (code, came) {
            ("", came) => assert!(came.is_ok(), "the header does not pass, which the policy tells: {came:?}"),
            (code, came) => assert_eq!(came.map_err(|fault| (fault.part, fault.ambiguity.code)), Err((number, code)), "{text}"),
        }
    }
    for content_type in [
        "multipart/mixed",
        "multipart/related; boundary=\"b=1\"",
        "multipart/mixed; boundary=b=1; boundary=x",
        "multipart/mixed; charset=utf-8; boundary=\"b=1\"",
        "multipart/mixed; boundary=\"b=1 \"",
        "multipart/mixed; boundary=\"\"",
        "application/json",
    ] {
        assert_eq!(read_as(&multipart(), content_type, part("GET /a\r\n").as_bytes()).unwrap_err().ambiguity, MULTIPART, "{content_type}");
    }
    let hidden = mixed(&part("GET /a?%2D-b=1\r\n")).unwrap();
    assert!(hidden.write(&multipart()).is_ok(), "a query passes as it came");
    assert_eq!(mixed(&part("GET /%2D-b=1\r\n")).unwrap().write(&multipart()), Err(MULTIPART));
}

/// Parts as an application thinks of them: method, URL, headers, body.
type Meant = (String, String, Vec<(String, String)>, Option<String>);

fn parts() -> impl Strategy<Value = (Vec<Meant>, Tape)> {
    tapes().prop_map(|mut tape| {
        let count = tape.below(4) + 1;
        let made = (0..count).map(|_| meant(&mut tape)).collect();
        (made, tape)
    })
}

fn meant(tape: &mut Tape) -> Meant {
    let method = tape.one(&["GET", "POST", "PATCH", "DELETE", "REPORT"]).to_owned();
    let mut url = String::new();
    for _ in 0..=tape.below(3) {
        url += tape.one(&["/a", "/A%20b", "/%E2%82%AC", "/x:y(1)", "/b~.-_"]);
    }
    url += tape.one(&["", "/", "?a=1&b=%2B", "?", "?q=SELECT+Id+FROM+Account", "?--b=1"]);
    let headers = tape.one(&[vec![], vec![("if-match", "\"x\"")], vec![("accept", "a/b, c"), ("prefer", "x=\u{e9}")]]);
    let body = tape.one(&[None, Some(r#"{"a":[1.10,"\u{1f600}\"\\"],"b":null}"#), Some("[]"), Some("7"), Some(r#"{"x":"--B--\r\n"}"#)]);
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (method, url, headers, body.map(str::to_owned))
}

fn seen(batch: &Batch) -> Vec<Meant> {
    let seen = |part: &Part| {
        let request = &part.request;
        let headers = request.headers.iter().filter(|(name, _)| *name != "content-type");
        let headers = headers.map(|(name, value)| (name.to_owned(), String::from_utf8(value.to_vec()).unwrap())).collect();
        let body = match &request.body {
            crate::request::Body::Whole(body) => Some(String::from_utf8(body.to_vec()).unwrap()),
            crate::request::Body::None | crate::request::Body::Unread => None,
        };
        (request.method.to_string(), part.url().unwrap_or_default(), headers, body)
    };
    batch.parts.iter().map(seen).collect()
}

/// The parts in JSON, members in any order and others between them.
fn in_json(parts: &[Meant], tape: &mut Tape) -> String {
    let mut texts = Vec::new();
    for (method, url, headers, body) in parts {
        let mut members = vec![format!(r#""method":"{method}""#), format!(r#""url" : {}"#, serde_json::Value::from(url.as_str()))];
        if !headers.is_empty() {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), serde_json::Value::from(value.as_str())))
                .collect();
            members.push(format!(r#""headers":{{{}}}"#, headers.join(",")));
        }
        members.extend(body.iter().map(|body| format!(r#""body": {}"#, body.replace(r#"\u{1f600}"#, "\u{1f600}"))));
        members.push(format!(r#""id":"{}""#, texts.len()));
        let turn = tape.below(members.len());
        members.rotate_left(turn);
        texts.push(format!("{{{}}}", members.join(tape.one(&[",", " ,\n", ", "]))));
    }
    format!(r#"{{"x":[{{"url":"/other"}}], "list": [{}]}}"#, texts.join(","))
}

fn in_multipart(parts: &[Meant], tape: &mut Tape) -> String {
    let end = tape.one(&["\r\n", "\n"]);
    let mut text = String::new();
    for (method, url, headers, body) in parts {
        let version = tape.one(&["", " HTTP/1.1"]);
        let mut lines = vec!["--B".to_owned(), "content-TYPE: application/http".to_owned(), String::new(), format!("{method} {url}{version}")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}:{}{value}", tape.one(&["", " ", "\t"]))));
        match body {
            Some(body) => lines.extend([format!("Content-Length: {}", body.len()), String::new(), body.clone()]),
            None => lines.extend(tape.one(&[vec![], vec![String::new()], vec![String::new(), String::new()]])),
        }
        text += &(lines.join(end) + end);
    }
    text + "--B--"
}

proptest! {
    #[test]
    fn the_parts_that_were_written_are_read_and_those_that_were_read_are_forwarded((parts, mut tape) in parts()) {
        let json: Vec<Meant> = parts.iter().cloned().map(|(method, url, headers, body)| (method, url, headers, body.map(|body| body.replace(r#"\u{1f600}"#, "\u{1f600}")))).collect();
        let shape = named("/list");
        let text = in_json(&json, &mut tape);
        let batch = read(&shape, &text).unwrap();
        let canonical: Vec<Meant> = json.into_iter().map(|(method, url, headers, body)| (method, url, headers, body.map(|body| Json::read(body.as_bytes()).unwrap().to_string()))).collect();
        prop_assert_eq!(seen(&batch), canonical.clone(), "{}", text);
        let anew = batch.write(&shape).unwrap();
        prop_assert_eq!(seen(&read_as(&shape, "application/json", &anew).unwrap()), canonical);

        let text = in_multipart(&parts, &mut tape);
        let mixed = |body: &[u8]| read_as(&multipart(), "multipart/mixed; boundary=B", body);
        match mixed(text.as_bytes()) {
            Ok(batch) => {
                prop_assert_eq!(seen(&batch), parts.clone(), "{}", text);
                prop_assert_eq!(seen(&mixed(&batch.write(&multipart()).unwrap()).unwrap()), parts);
            }
            Err(_) => prop_assert!(parts.iter().any(|(_, _, _, body)| body.as_deref().is_some_and(|body| body.contains("--B"))), "{}", text),
        }
    }
}
