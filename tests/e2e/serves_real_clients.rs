//! Real clients, unmodified: only the base URL and the token are ours.

use crate::stage::{BINARY, Stage};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Python of the environment that `make test` sets up, beside the build.
pub(crate) fn python() -> PathBuf {
    let target = Path::new(BINARY).ancestors().nth(2).unwrap();
    let python = target.join("python/bin/python");
    assert!(python.exists(), "there is no {}: `scripts/set-up test` (or `make test`) makes it", python.display());
    python
}

async fn run(mut command: Command) -> Output {
    command.env("NO_PROXY", "*").env_remove("http_proxy").env_remove("HTTP_PROXY");
    tokio::task::block_in_place(|| command.output().unwrap())
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_and_refused() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let handle = stage.handle("crm", "user_1").await;
    let url = |path: &str| format!("http://{}/crm{path}", stage.gateway);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--write-out", " %{http_code}"]).args(arguments);
        command
    };
    for account in ["Scopegate-Account: user_1".to_owned(), format!("Authorization: Bearer {handle}"), format!("Authorization: token {handle}")] {
        let served = told(&run(curl(&["-H", &account, &url("/v1/accounts/A-1")])).await);
        assert!(served.contains("Nordwind Traders") && served.ends_with(" 200"), "{served}");
    }
    let basic = told(&run(curl(&["-u", &format!("{handle}:x"), &url("/v1/accounts/A-1")])).await);
    assert!(basic.ends_with(" 200"), "{basic}");
    let refused = told(&run(curl(&["-X", "PATCH", "-H", "Scopegate-Account: user_1", "-d", "{}", &url("/v1/opportunities/O-7")])).await);
    assert!(refused.contains("insufficient_scope: opportunities:write required") && refused.ends_with(" 403"), "{refused}");
    let file = stage.path("large");
    std::fs::write(&file, vec![b'x'; 5 << 20]).unwrap();
    let large = told(&run(curl(&["-T", file.to_str().unwrap(), "-H", "Scopegate-Account: user_1", &url("/v1/files/large")])).await);
    assert!(large.ends_with(" 403"), "a refusal while a large body is on its way: {large}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_requests_is_served_and_refused() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "publisher").await;
    let handle = stage.handle("crm", "user_1").await;
    let mut command = Command::new(python());
    command.arg("tests/clients/with_requests.py").arg(format!("http://{}/crm", stage.gateway)).arg(handle);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(told(&run(command).await).trim(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_sdk_is_served_and_refused() {
    let stage = Stage::new().await;
    stage.account_at("slack", "acme", "user_1", "watcher", "channels:read,channels:history,chat:write").await;
    stage.account_at("slack", "acme", "user_2", "talker", "channels:read,channels:history,chat:write").await;
    let (reader, responder) = (stage.handle("slack", "user_1").await, stage.handle("slack", "user_2").await);
    let mut command = Command::new(python());
    command.arg("tests/clients/with_slack_sdk.py").arg(format!("http://{}/slack/api/", stage.gateway)).arg(reader).arg(responder);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(told(&run(command).await).trim(), "ok");
    let seen = stage.practice.api().seen();
    let arrived: Vec<_> = seen.iter().map(|request| (request.target.as_str(), request.owner.as_ref().unwrap().label.to_string())).collect();
    assert_eq!(arrived, [("/api/conversations.list", "acme/user_1".to_owned()), ("/api/chat.postMessage", "acme/user_2".to_owned())]);
}
