//! New policies take the place of the old ones all at once, or not at all; and what is under way ends as it began.

use crate::stage::{POLICY, Script, Stage};
use reqwest::Method;
use serde_json::{Value, json};

const HELD: &str = "/crm/v1/files/held/a";

fn narrower() -> String {
    POLICY.replace("      - {id: file.get, match: \"GET /v1/files/{+path}\", require: accounts:read}\n", "")
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
    let stage = Stage::new().await;
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
async fn told_to_stop_it_says_so_first_and_goes_on_serving_while_it_drains() {
    let stage = Stage::with(Script { gateway: ", drain: 60s", ..Script::default() }).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.terminate();
    stage.until_unready().await;
    assert_eq!(stage.ask(Method::GET, "/livez", Value::Null).await.0, 200);
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
}
