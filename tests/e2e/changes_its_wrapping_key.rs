//! The wrapping key changes while requests are answered, whatever happens in between; and a key that does not fit is refused
//! before anything listens.

use crate::stage::{Stage, account_path, refused, run};
use reqwest::Method;
use scopegate::clock::Clock;
use scopegate::store::{Applied, Change, GrantRecord, SqliteStore, Store};
use scopegate::vault::{Binding, Keyring, Vault};
use scopegate_core::account::{AccountRecord, GrantFacts, GrantState, Granted, Switch};
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, GrantId};
use scopegate_core::time::Timestamp;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// So many that sealing all of them anew takes a while.
const MANY: u32 = 6_000;

const PEOPLE: [&str; 8] = ["person_0", "person_1", "person_2", "person_3", "person_4", "person_5", "person_6", "person_7"];

impl Stage {
    /// Makes key files the settings' ones; the first wraps.
    fn name_keys(&self, files: &[&str]) {
        let path = self.path("scopegate.yaml");
        let settings = fs::read_to_string(&path).unwrap();
        let (key_file, older) = files.split_first().unwrap();
        let named = format!("encryption: {{key_file: ./{key_file}, older_key_files: [{}]}}", older.join(", "));
        let lines = settings.lines().map(|line| if line.starts_with("encryption:") { named.as_str() } else { line });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    }

    fn generate(&self, file: &str) -> String {
        let made = run(self.folder.path(), &["keys", "generate", file, "-o", "json"]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        json_of(&made)["id"].as_str().unwrap().to_owned()
    }

    async fn keys(&self) -> Value {
        self.must(Method::GET, "/v1/keys", Value::Null).await
    }

    /// Another process on the same store, such as this one.
    async fn vault(&self, key: &str) -> (Arc<dyn Store>, Vault) {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&self.path("data"), Clock::system()).unwrap());
        let keyring = Keyring::read(&self.path(key), &[]).unwrap();
        let vault = Vault::open(keyring, Arc::clone(&store), Clock::system()).await.unwrap();
        (store, vault)
    }

    /// Calls for one person after the other until `enough`; each has to be answered with that person's own data.
    async fn traffic(&self, enough: &AtomicBool, answered: &AtomicUsize) {
        for person in PEOPLE.iter().cycle() {
            if enough.load(Ordering::Relaxed) {
                return;
            }
            let reply = self.call(Method::GET, "/crm/v1/accounts/A-1", person).await;
            assert_eq!((reply.status, reply.text("owner")), (200, format!("acme/{person}").as_str()), "{}", reply.body);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the keys are used for once `there_yet`, with requests answered all the while.
    async fn keys_when(&self, there_yet: impl Fn(&Value) -> bool) -> Value {
        let (enough, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let ((), keys) = tokio::join!(self.traffic(&enough, &answered), async {
            loop {
                let keys = self.keys().await;
                if there_yet(&keys) && answered.load(Ordering::Relaxed) > PEOPLE.len() {
                    enough.store(true, Ordering::Relaxed);
                    return keys;
                }
            }
        });
        keys
    }
}

fn json_of(made: &Output) -> Value {
    serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"))
}

fn said(made: &Output) -> String {
    String::from_utf8_lossy(&made.stderr).into_owned()
}

fn number(n: u32) -> [u8; 16] {
    let mut bytes = [0xee; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// An account that nobody calls, and its grant.
fn bystander(n: u32) -> (AccountRecord, GrantFacts) {
    let grant = GrantFacts {
        id: GrantId::from_bytes(number(n)),
        connector: "crm".parse().unwrap(),
        customer: "crowd".parse().unwrap(),
        version: 1,
        state: GrantState::Live,
        granted: Granted::Assumed,
        expires_at: None,
        issued_at: Timestamp::default(),
        refreshable: false,
        variables: Variables::new(),
        used_at: Timestamp::default(),
        created_at: Timestamp::default(),
    };
    let account = AccountRecord {
        id: AccountId::from_bytes(number(n)),
        connector: grant.connector.clone(),
        identifier: format!("bystander_{n}").parse().unwrap(),
        customer: grant.customer.clone(),
        role: "researcher".parse().unwrap(),
        switch: Switch::On,
        grant: Some(grant.id.clone()),
        variables: Variables::new(),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        version: 1,
    };
    (account, grant)
}

async fn crowd(store: &Arc<dyn Store>, vault: &Vault) {
    let everybody: Vec<u32> = (0..MANY).collect();
    for some in everybody.chunks(500) {
        let mut changes = Vec::new();
        for n in some {
            let (account, facts) = bystander(*n);
            let sealed = vault.seal(&n.to_be_bytes(), &Binding::grant(&facts)).await.unwrap();
            changes
                .extend([Change::PutGrant { record: GrantRecord { facts, sealed, intent: None }, expected: None }, Change::InsertAccount(account)]);
        }
        assert_eq!(store.apply(changes).await.unwrap(), Applied::Done);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_during_a_rotation_and_a_kill_in_the_middle_of_it_only_delays_its_end() {
    let mut stage = Stage::new().await;
    for person in PEOPLE {
        stage.account("acme", person, "researcher").await;
    }
    let (store, vault) = stage.vault("kek-1").await;
    crowd(&store, &vault).await;
    drop((store, vault));

    // Should a rotation have ended before anybody saw its middle, there is another one.
    let (mut round, mut middle) = (1, None);
    while middle.is_none() {
        assert!(round < 10, "no rotation takes long enough to be seen half done");
        let (old, new) = (format!("kek-{round}"), format!("kek-{}", round + 1));
        let id = stage.generate(&new);
        stage.name_keys(&[&new, &old]);
        let begun = stage.verb(&["keys", "rotate", "--no-wait", "-o", "json"]);
        assert_eq!((begun.status.code(), json_of(&begun)["current"].as_str()), (Some(0), Some(id.as_str())), "{begun:?}");
        let all = u64::from(MANY);
        let half_done = |keys: &Value| (1..all).contains(&keys["keys"][1]["records"].as_u64().unwrap());
        let seen = stage.keys_when(|keys| half_done(keys) || keys["finished"] == true).await;
        middle = half_done(&seen).then_some((old, new));
        round += 1;
    }
    let (old, new) = middle.unwrap();
    stage.kill_and_restart().await;

    // The process that comes after goes on by itself.
    let keys = stage.keys_when(|keys| keys["finished"] == true).await;
    assert_eq!((keys["keys"][1]["removable"].as_bool(), keys["keys"][1]["records"].as_u64()), (Some(true), Some(0)), "{keys}");
    let status = stage.verb(&["keys", "status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && text.contains(&old) && text.contains("can be removed"), "{status:?}");

    stage.name_keys(&[&new]);
    fs::remove_file(stage.path(&old)).unwrap();
    stage.kill_and_restart().await;
    assert_eq!(stage.keys().await["keys"].as_array().unwrap().len(), 1);
    for person in PEOPLE {
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", person).await;
        assert_eq!((reply.status, reply.text("owner")), (200, format!("acme/{person}").as_str()), "{}", reply.body);
    }
    let (store, vault) = stage.vault(&new).await;
    for n in 0..MANY {
        let record = store.grant(&GrantId::from_bytes(number(n))).await.unwrap().unwrap();
        assert_eq!(vault.unseal(&record.sealed, &Binding::grant(&record.facts)).await.unwrap().as_slice(), n.to_be_bytes());
    }
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbs_say_what_was_done_and_what_was_refused() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let handle = stage.handle("crm", "user_1").await;
    let first = stage.keys().await["current"].as_str().unwrap().to_owned();
    assert_eq!(stage.verb(&["keys", "status"]).status.code(), Some(0));

    let same = stage.verb(&["keys", "rotate"]);
    assert!(same.status.success() && said(&same).contains("nothing to do") && said(&same).contains("`encryption.key_file`"), "{same:?}");

    let second = stage.generate("kek-2");
    stage.name_keys(&["kek-2"]);
    let unfit = stage.verb(&["keys", "rotate"]);
    let told = said(&unfit);
    assert_eq!(unfit.status.code(), Some(1), "{told}");
    for part in [&first, &second, "kek-2", "encryption.older_key_files"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    stage.name_keys(&["kek-3", "kek-1"]);
    let missing = stage.verb(&["keys", "rotate"]);
    assert!(missing.status.code() == Some(1) && said(&missing).contains("kek-3 is missing"), "{missing:?}");
    assert_eq!(stage.keys().await["current"], json!(first), "what is refused changes nothing");

    stage.name_keys(&["kek-2", "kek-1"]);
    let rotated = stage.verb(&["keys", "rotate", "-o", "json"]);
    let keys = json_of(&rotated);
    assert_eq!((rotated.status.code(), &keys["current"], &keys["finished"]), (Some(0), &json!(second), &json!(true)), "{rotated:?}");
    assert_eq!(keys["keys"][1]["id"], json!(first));
    let again = stage.verb(&["keys", "rotate", "-o", "json"]);
    assert!(again.status.success() && json_of(&again) == keys, "{again:?}");
    for account in ["user_1", &handle] {
        assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", account).await.status, 200, "{account}");
    }
    let away = run(stage.folder.path(), &["keys", "status", "--admin-url", "http://127.0.0.1:1"]);
    assert_eq!(away.status.code(), Some(2), "{away:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_changes_the_key_too() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let second = stage.generate("kek-2");
    stage.name_keys(&["kek-2", "kek-1"]);
    stage.hang_up();
    while stage.keys().await["current"] != json!(second) {}
    while stage.keys().await["finished"] != true {}
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_does_not_fit_keeps_the_gateway_from_starting_with_a_sentence() {
    let mut stage = Stage::new().await;
    stage.must(Method::PUT, &account_path("crm", "user_1"), json!({"customer": "acme", "role": "researcher"})).await;
    let first = stage.keys().await["current"].as_str().unwrap().to_owned();
    assert!(stage.stop().success());
    let second = stage.generate("kek-2");
    let whole = fs::read(stage.path("kek-1")).unwrap();
    let write = |name: &str, bytes: &[u8], mode| {
        fs::write(stage.path(name), bytes).unwrap();
        fs::set_permissions(stage.path(name), Permissions::from_mode(mode)).unwrap();
    };
    write("open", &whole, 0o644);
    write("group", &whole, 0o640);
    write("short", &whole[..20], 0o600);
    write("empty", b"", 0o600);
    for (files, parts) in [
        (&["kek-2"][..], &["the store was sealed with key", &first, "kek-2 holds key", &second][..]),
        (&["kek-2", "kek-2"], &["the store was sealed with key", &first]),
        (&["gone"], &["gone is missing", "scopegate keys generate"]),
        (&["kek-1", "gone"], &["gone is missing"]),
        (&["open"], &["open has mode 644", "chmod 600"]),
        (&["group"], &["group has mode 640", "chmod 600"]),
        (&["short"], &["short does not hold 32 bytes in base64"]),
        (&["empty"], &["empty does not hold 32 bytes in base64"]),
        (&["data"], &["cannot read key file", "data"]),
    ] {
        stage.name_keys(files);
        let started = refused(stage.folder.path());
        let told = said(&started);
        assert_eq!(started.status.code(), Some(2), "{files:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "{files:?}, {part}: {told}");
        }
        assert_eq!(told.trim_end().lines().count(), 1, "one sentence: {told}");
        assert!(!told.contains(String::from_utf8_lossy(&whole[..20]).as_ref()), "no part of a key: {told}");
    }
    // Only the store can tell that a key is another one; all else is found without it.
    for (files, status) in [(&["kek-1"][..], 0), (&["kek-1", "kek-2"], 0), (&["gone"], 1), (&["open"], 1), (&["short"], 1), (&["kek-1", "gone"], 1)] {
        stage.name_keys(files);
        let checked = run(stage.folder.path(), &["serve", "--check"]);
        assert_eq!(checked.status.code(), Some(status), "{files:?}: {checked:?}");
    }
}
