//! New policies take the place of the old ones all at once, or not at all; and what is under way ends as it began.

use crate::stage::{POLICY, Program, Script, Stage};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

const HELD: &str = "/crm/v1/files/held/a";

fn narrower() -> String {
    POLICY.replace("      - {id: file.get, match: \"GET /v1/files/{+path}\", require: accounts:read}\n", "")
}

fn unwatched() -> Script {
    Script { settings: "watch: false\n".into(), ..Script::default() }
}

impl Stage {
    fn write_policy(&self, text: &str) {
        std::fs::write(self.path("policies/crm.yaml"), text).unwrap();
    }

    async fn policies(&self) -> Value {
        self.must(Method::GET, "/v1/policies", Value::Null).await
    }

    /// How often reloads ended so, as `/metrics` counts them.
    async fn reloads(&self, result: &str) -> u64 {
        let text = self.must(Method::GET, "/metrics", Value::Null).await;
        let (family, label) = ("scopegate_policy_reloads_total", format!("result=\"{result}\""));
        let counted = text.as_str().unwrap().lines().find(|line| line.starts_with(family) && line.contains(&label));
        counted.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Asks until this account's read of a file is answered so.
    async fn until_read(&self, status: u16) {
        while self.call(Method::GET, "/crm/v1/files/a", "user_1").await.status != status {}
    }

    /// The policies of the last event of this path.
    async fn policy_hash_of(&self, path: &str, decision: &str) -> Value {
        let found = self.must(Method::GET, &format!("/v1/audit?decision={decision}"), Value::Null).await;
        let events = found["events"].as_array().unwrap();
        events.iter().find(|event| event["path"] == path).unwrap_or_else(|| panic!("{path}: {found}"))["policy_hash"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_ends_on_the_policies_that_it_began_with() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let (old, api) = (stage.policies().await["hash"].clone(), stage.practice.api());
    let hold = api.hold();
    let (held, new) = tokio::join!(stage.call(Method::GET, HELD, "user_1"), async {
        api.until_requests(1).await;
        stage.write_policy(&narrower());
        let reloaded = stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
        let refused = stage.call(Method::GET, HELD, "user_1").await;
        assert_eq!((refused.status, refused.text("reason")), (403, "unknown_operation"));
        drop(hold);
        reloaded["hash"].clone()
    });
    assert_eq!((held.status, held.decision.as_str()), (200, "allow;op=\"crm.file.get\""));
    assert_ne!(old, new);
    assert_eq!((stage.policy_hash_of("/v1/files/held/a", "allow").await, stage.policy_hash_of("/v1/files/held/a", "deny").await), (old, new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_policies_change_nothing_and_are_seen_wherever_somebody_looks() {
    let stage = Stage::with(unwatched()).await;
    stage.account("acme", "user_1", "researcher").await;
    let before = stage.policies().await;
    // One mistake in a second file, beside a first that would allow less.
    stage.write_policy(&narrower());
    std::fs::write(stage.path("policies/more.yaml"), "version: 1\nroles:\n  clerk: {allow: {crm: [acounts:read]}}\n").unwrap();
    let (status, told) = stage.ask(Method::POST, "/v1/policies/reload", Value::Null).await;
    assert_eq!((status, told["diagnostics"][0]["line"].as_u64()), (422, Some(3)), "{told}");
    let after = stage.policies().await;
    assert_eq!((&after["hash"], &after["generation"]), (&before["hash"], &before["generation"]));
    assert_eq!(after["last_rejected"]["diagnostics"], told["diagnostics"]);
    let ready = stage.ask(Method::GET, "/readyz?verbose", Value::Null).await;
    assert_eq!((ready.0, &ready.1["policies"]["last_rejected"]["errors"]), (200, &json!(1)), "{}", ready.1);
    assert_eq!((stage.reloads("rejected").await, stage.reloads("accepted").await), (1, 0));
    assert_eq!(stage.call(Method::GET, "/crm/v1/files/a", "user_1").await.status, 200, "the old ones hold");

    // A signal does the same as the API.
    stage.signal("HUP");
    while stage.reloads("rejected").await < 2 {}
    std::fs::remove_file(stage.path("policies/more.yaml")).unwrap();
    stage.signal("HUP");
    while stage.reloads("accepted").await < 1 {}
    let now = stage.policies().await;
    assert_ne!(now["hash"], before["hash"]);
    assert_eq!(now["last_rejected"], Value::Null);
    assert_eq!(stage.call(Method::GET, "/crm/v1/files/a", "user_1").await.text("reason"), "unknown_operation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_comes_into_force_by_itself_and_the_log_tells_what_it_changes() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let (old, api) = (stage.policies().await["hash"].clone(), stage.practice.api());
    let hold = api.hold();
    let (held, ()) = tokio::join!(stage.call(Method::GET, HELD, "user_1"), async {
        api.until_requests(1).await;
        // As editors write: beside, and then in its place.
        std::fs::write(stage.path("policies/.crm.yaml.swp"), narrower()).unwrap();
        std::fs::rename(stage.path("policies/.crm.yaml.swp"), stage.path("policies/crm.yaml")).unwrap();
        stage.until_read(403).await;
        drop(hold);
    });
    assert_eq!((held.status, held.decision.as_str()), (200, "allow;op=\"crm.file.get\""), "it began before");
    assert_ne!(stage.policies().await["hash"], old);
    let changed = "denied: researcher crm file.get GET /v1/files/{+path} allow -> unknown_operation";
    stage.until_said(changed, 0).await;

    // What is wrong stays visible until it is good, and holds nothing up.
    std::fs::write(stage.path("policies/more.yaml"), "version: 1\nroles:\n  clerk: {allow: {crm: [acounts:read]}}\n").unwrap();
    while stage.reloads("rejected").await < 1 {}
    stage.until_said("more.yaml:3:25: SG0301", 0).await;
    let ready = stage.ask(Method::GET, "/readyz?verbose", Value::Null).await;
    assert_eq!((ready.0, &ready.1["policies"]["last_rejected"]["errors"]), (200, &json!(1)), "{}", ready.1);
    assert_eq!(stage.call(Method::GET, "/crm/v1/files/a", "user_1").await.status, 403);
    std::fs::remove_file(stage.path("policies/more.yaml")).unwrap();
    while !stage.policies().await["last_rejected"].is_null() {}
    assert_eq!((stage.reloads("rejected").await, stage.reloads("accepted").await), (1, 2));

    // Asked for, the same is told: by a signal, and by the API.
    for (asks, occasion) in [(true, "signal"), (false, "api")] {
        if asks {
            stage.hang_up();
        } else {
            stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
        }
        stage.until_said(&format!("occasion=\"{occasion}\""), 0).await;
    }
    assert_eq!(stage.log().matches(changed).count(), 1, "{}", stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_files_cannot_be_watched_it_says_so_once_and_reloads_when_asked() {
    let mut stage = Stage::new().await;
    stage.kill();
    // Whoever may go through a folder and not look into it cannot watch it either.
    std::fs::set_permissions(stage.path("policies"), Permissions::from_mode(0o311)).unwrap();
    let settings = std::fs::read_to_string(stage.path("scopegate.yaml")).unwrap();
    std::fs::write(stage.path("scopegate.yaml"), settings.replace("[./policies]", "[./policies/crm.yaml]")).unwrap();
    stage.begin(Program::Unprivileged).await;
    stage.account("acme", "user_1", "researcher").await;
    let words = "SIGHUP and the admin API still reload policies";
    stage.until_said(words, 0).await;
    stage.until_read(200).await;
    stage.write_policy(&narrower());
    stage.hang_up();
    stage.until_read(403).await;
    stage.write_policy(POLICY);
    stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
    stage.until_read(200).await;
    assert_eq!(stage.log().matches(words).count(), 1, "{}", stage.log());
    std::fs::set_permissions(stage.path("policies"), Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_says_so_first_and_goes_on_serving_while_it_drains() {
    let stage = Stage::with(Script { gateway: ", drain: 60s", ..Script::default() }).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.terminate();
    stage.until_unready().await;
    assert_eq!(stage.ask(Method::GET, "/livez", Value::Null).await.0, 200);
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
}
