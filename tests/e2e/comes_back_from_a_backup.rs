//! A backup is made while the gateway serves, and put in the place of the store. What may have been spent since is not sent
//! blindly: nothing starts before the operator has said so, and then each grant is used as after a crash.

use crate::stage::{Stage, account_path, label, refused, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn said(made: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr))
}

impl Stage {
    /// A verb of the store, in the gateway's folder.
    fn store(&self, arguments: &[&str]) -> Output {
        tokio::task::block_in_place(|| run(self.folder.path(), &[&["store"], arguments].concat()))
    }

    async fn get(&self, account: &str) -> (u16, String) {
        let reply = self.call(Method::GET, "/crm/v1/accounts/A-1", account).await;
        (reply.status, reply.text("reason").to_owned())
    }
}

fn is_a_note(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with("store-mark-")
}

fn fine() -> (u16, String) {
    (200, String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_back_store_waits_for_the_operator_and_spends_no_token_that_need_not_be_spent() {
    let mut stage = Stage::new().await;
    let provider = stage.practice.provider().clone();
    for name in ["untouched", "living", "spent", "revoked"] {
        stage.account("acme", name, "researcher").await;
        assert_eq!(stage.get(name).await, fine());
    }
    let made = stage.store(&["backup", "backup.db", "-o", "json"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    for name in ["living", "spent"] {
        stage.must(Method::POST, &format!("{}/refresh", account_path("crm", name)), Value::Null).await;
    }
    stage.must(Method::POST, &format!("{}/revoke", account_path("crm", "revoked")), Value::Null).await;
    stage.must(Method::PUT, &account_path("crm", "later"), json!({"customer": "acme", "role": "researcher"})).await;
    let busy = stage.store(&["restore", "backup.db"]);
    assert!(busy.status.code() == Some(1) && said(&busy).contains("stop it first"), "{}", said(&busy));

    stage.kill();
    let put = stage.store(&["restore", "backup.db"]);
    assert!(put.status.code() == Some(0) && said(&put).contains("the store that was there before"), "{}", said(&put));
    for _ in 0..2 {
        let ended = refused(stage.folder.path());
        let told = said(&ended);
        assert_eq!((ended.status.code(), told.trim_end().lines().count()), (Some(2), 1), "{told}");
        for part in ["data/scopegate.db is a backup of 20", "refresh tokens in it may be spent and revocations forgotten", "--accept-rollback"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let before = ["untouched", "living", "spent", "revoked"].map(|name| provider.refreshes(&label("acme", name)).arrived);
    stage.start(&["--accept-rollback"]).await;
    assert_eq!(stage.ask(Method::GET, &account_path("crm", "later"), Value::Null).await.0, 404, "what came later is forgotten");
    // The old access token serves as long as it lives, and nothing is sent to the provider.
    for _ in 0..3 {
        assert_eq!((stage.get("untouched").await, stage.get("living").await), (fine(), fine()));
    }
    // Once it is over the old refresh token is sent, once.
    provider.expire(&label("acme", "spent"));
    provider.expire(&label("acme", "untouched"));
    for _ in 0..3 {
        assert_eq!(stage.get("spent").await, (403, "reauthorization_required".into()));
        assert_eq!(stage.get("revoked").await, (403, "reauthorization_required".into()), "the provider remembers what this store has forgotten");
        assert_eq!(stage.get("untouched").await, fine());
    }
    let after = ["untouched", "living", "spent", "revoked"].map(|name| provider.refreshes(&label("acme", name)).arrived);
    assert_eq!(std::array::from_fn(|at| after[at] - before[at]), [1, 0, 1, 1], "refresh calls of each");

    // That was said once and for all.
    stage.kill_and_restart().await;
    assert_eq!((stage.get("untouched").await, stage.get("living").await), (fine(), fine()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_copy_that_is_put_back_is_noticed_and_a_backup_that_lacks_nothing_is_not() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    assert_eq!(stage.get("user_1").await, fine());
    assert!(stage.stop().success());
    fs::copy(stage.path("data/scopegate.db"), stage.path("copy.db")).unwrap();
    let made = stage.store(&["backup", "backup.db"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let again = stage.store(&["backup", "backup.db"]);
    assert!(again.status.code() == Some(1) && said(&again).contains("is there already"), "{}", said(&again));
    assert_eq!(stage.store(&["restore", "backup.db"]).status.code(), Some(0));
    stage.start(&[]).await;
    assert_eq!(stage.get("user_1").await, fine());

    stage.must(Method::POST, &format!("{}/refresh", account_path("crm", "user_1")), Value::Null).await;
    assert!(stage.stop().success());
    fs::copy(stage.path("copy.db"), stage.path("data/scopegate.db")).unwrap();
    let ended = refused(stage.folder.path());
    assert!(ended.status.code() == Some(2) && said(&ended).contains("--accept-rollback"), "{}", said(&ended));

    // Without what this deployment has seen, a backup is known to be one all the same.
    fs::remove_file(stage.path("data/store-mark-audit.jsonl")).unwrap();
    let beside_the_key: Vec<_> =
        fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_a_note(path)).collect();
    assert_eq!(beside_the_key.len(), 1, "{beside_the_key:?}");
    fs::remove_file(&beside_the_key[0]).unwrap();
    assert_eq!(stage.store(&["restore", "backup.db"]).status.code(), Some(0));
    let ended = refused(stage.folder.path());
    assert!(ended.status.code() == Some(2) && said(&ended).contains("is a backup of 20"), "{}", said(&ended));
    for (file, status) in [("copy.yaml", 2), ("scopegate.yaml", 1)] {
        assert_eq!(stage.store(&["restore", file]).status.code(), Some(status), "{file}");
    }
    stage.start(&["--accept-rollback"]).await;
    assert_eq!(stage.get("user_1").await.0, 200);
}
