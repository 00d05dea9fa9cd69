//! Where a head is cut in two on its way makes no difference.

use crate::raw::{self, Answer};
use crate::stage::Stage;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;

fn heads(host: &str) -> Vec<(&'static str, Vec<u8>)> {
    let common = format!("Host: {host}\r\nScopegate-Account: user_1\r\nConnection: close\r\n");
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\n{common}{more}\r\n").into_bytes();
    vec![
        ("allowed", get("/crm/v1/accounts/A-1", "")),
        ("refused", get("/crm/v1/hidden", "")),
        ("dot segments", get("/crm/v1/../v1/ping", "")),
        ("folded", get("/crm/v1/ping", "X-A: b\r\n c\r\n")),
        ("a bare carriage return", get("/crm/v1/ping", "X-A: b\rc\r\n")),
        ("two lengths", get("/crm/v1/ping", "Content-Length: 1\r\nContent-Length: 1\r\n")),
        ("with a body", format!("PATCH /crm/v1/opportunities/O-7 HTTP/1.1\r\n{common}Content-Length: 4\r\n\r\n{{  }}").into_bytes()),
        ("in chunks", format!("PUT /crm/v1/files/a HTTP/1.1\r\n{common}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n").into_bytes()),
        (
            "two at once",
            [format!("GET /crm/v1/ping HTTP/1.1\r\nHost: {host}\r\nScopegate-Account: user_1\r\n\r\n").into_bytes(), get("/crm/v1/hidden", "")]
                .concat(),
        ),
    ]
}

/// What of an answer is the same each time.
fn lasting(answers: Vec<Answer>) -> Vec<(u16, Option<String>, Option<String>)> {
    let told = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
    answers.iter().map(|answer| (answer.status, told(answer, "scopegate-decision"), told(answer, "www-authenticate"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_two_way_split_of_a_head_gets_the_same_answer() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "publisher").await;
    for (name, bytes) in heads(&stage.gateway.to_string()) {
        let whole = lasting(raw::exchange(stage.gateway, &bytes).await);
        assert!(!whole.is_empty(), "{name}");
        let mut begun = Vec::new();
        for cut in 1..bytes.len() {
            let mut stream = raw::connect(stage.gateway).await;
            stream.write_all(&bytes[..cut]).await.unwrap();
            begun.push((cut, stream));
        }
        // A round trip, so that the first halves have been read before the second ones are sent.
        stage.call(Method::GET, "/crm/v1/ping", "user_1").await;
        for (cut, mut stream) in begun {
            // Where the first half was refused already, nobody reads the second.
            let _ = stream.write_all(&bytes[cut..]).await;
            assert_eq!(lasting(raw::answers(stream).await), whole, "{name}, cut at {cut}: {:?}", String::from_utf8_lossy(&bytes[..cut]));
        }
    }
}
