//! What becomes of a grant is in the log, one line for each change, and in the metrics without a name.

use crate::stage::{Stage, account_path};
use reqwest::Method;
use scopegate::practice::{Fault, Whose};
use serde_json::{Value, json};

const ENDED: &str = "the provider does not honour the grant any more: its accounts need a new authorization";

/// Waits until the log has so many lines of this change, for it comes through a pipe; there are no more of them.
async fn told(stage: &Stage, change: &str, times: usize) {
    let lines = || stage.log().lines().filter(|line| line.contains(&format!(" {change} connector=crm customer=acme grant="))).count();
    while lines() < times {
        tokio::task::yield_now().await;
    }
    assert_eq!(lines(), times, "{change}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_lives_through_everything_leaves_a_line_for_each_change_and_no_secret() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let label = stage.account("acme", "user_1", "researcher").await;
    told(&stage, "connected", 1).await;
    let path = account_path("crm", "user_1");
    for refreshes in 1..=3 {
        stage.must(Method::POST, &format!("{path}/refresh"), Value::Null).await;
        told(&stage, "refreshed", refreshes).await;
    }
    provider.expire(&label);
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
    told(&stage, "refreshed", 4).await;
    for fault in [Fault::Garbage, Fault::InvalidClient, Fault::LostAnswer] {
        provider.fault(Whose::Of(label.clone()), fault);
        assert_eq!(stage.ask(Method::POST, &format!("{path}/refresh"), Value::Null).await.0, 503);
    }
    told(&stage, ENDED, 0).await;
    assert_eq!(stage.ask(Method::POST, &format!("{path}/refresh"), Value::Null).await.0, 403);
    told(&stage, ENDED, 1).await;
    stage.must(Method::PUT, &format!("{path}/credentials"), provider.seed(&label, "api").credentials()).await;
    told(&stage, "connected", 2).await;
    stage.must(Method::POST, &format!("{path}/revoke"), Value::Null).await;
    for (change, times) in [("its secrets are gone", 1), ("connected", 2), ("refreshed", 4), (ENDED, 1), ("revoked", 1)] {
        told(&stage, change, times).await;
    }
    let (_, metrics) = stage.ask(Method::GET, "/metrics", Value::Null).await;
    let metrics = metrics.as_str().unwrap();
    for (outcome, count) in [("tokens", 4), ("garbage", 1), ("client_refused", 1), ("lost", 1), ("not_honoured", 1)] {
        let line = format!("scopegate_refreshes_total{{connector=\"crm\",outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    let log = stage.log();
    for secret in provider.secrets() {
        assert!(!log.contains(&secret) && !metrics.contains(&secret), "{secret}");
    }
    for name in ["user_1", "acme"] {
        assert!(!metrics.contains(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_last_account_is_the_end_of_its_grant_and_told_once() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    stage.account("acme", "user_1", "researcher").await;
    let sharing = json!({"customer": "acme", "role": "researcher", "grant": {"shared_with": "user_1"}});
    stage.must(Method::PUT, &account_path("crm", "user_2"), sharing).await;
    stage.must(Method::DELETE, &account_path("crm", "user_1"), Value::Null).await;
    assert_eq!(provider.revoked().len(), 0, "somebody else uses it");
    stage.must(Method::DELETE, &account_path("crm", "user_2"), Value::Null).await;
    for (change, times) in [("its secrets are gone", 1), ("connected", 1), ("revoked", 1)] {
        told(&stage, change, times).await;
    }
    assert_eq!(provider.revoked().len(), 1);
}
