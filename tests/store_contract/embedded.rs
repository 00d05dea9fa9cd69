//! What the embedded store promises besides: kills, two real processes on one file, and no secret in any file.

use super::cast::{Embedded, Home, account, authorization, done, everything, grant, handle, new_grant, promoted};
use scopegate::clock::Clock;
use scopegate::store::{Applied, AuthorizationPhase, Change, GrantRecord, News, Notes, Rollback, Sealed, SqliteStore, Store, StoreError};
use scopegate::vault::{Binding, Keyring, Vault, key_file};
use scopegate_core::account::{AccountRecord, HandleRecord, HandleTarget};
use scopegate_core::secret::HandleText;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Tells this program, started once more, what to do instead of testing.
const PART: &str = "STORE_CONTRACT_PART";

/// A process that plays a part on a folder, and says on its output what was answered.
pub(crate) fn child(part: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store_contract::embedded::plays_a_part_where_it_is_told_to", "--nocapture"]);
    command.env(PART, format!("{part} {}", folder.display())).stdout(Stdio::piped()).spawn().unwrap()
}

fn open(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(folder, Clock::system()).unwrap())
}

/// No test: what a [`child`] does.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how this program is told that it is a child")]
async fn plays_a_part_where_it_is_told_to() {
    let Ok(told) = std::env::var(PART) else { return };
    let (part, folder) = told.split_once(' ').unwrap();
    let folder = Path::new(folder);
    match part {
        "write" => write_for_ever(&open(folder)).await,
        "count" => count(&open(folder), 200).await,
        "mark" => {
            let store = SqliteStore::open_marked(
                &folder.join("data"),
                Clock::system(),
                &Notes { file: folder.join("log/mark"), also_in: None },
                Rollback::Refused,
            )
            .unwrap();
            write_for_ever(&(Arc::new(store) as Arc<dyn Store>)).await;
        }
        other => panic!("{other}"),
    }
}

/// Inserts accounts, each with a grant of two versions, and says which number was answered.
async fn write_for_ever(store: &Arc<dyn Store>) {
    // Where the one before left off.
    for number in everything(store).await.accounts.len() as u64.. {
        let name = AccountRecord { identifier: format!("user_{number}").parse().unwrap(), ..account(1) };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let record = AccountRecord { id: scopegate_core::id::AccountId::from_bytes(bytes), ..name };
        let mut token = grant(1, 1);
        token.facts.id = scopegate_core::id::GrantId::from_bytes(bytes);
        done(store, [Change::InsertAccount(record), new_grant(&token)]).await;
        token.facts.version = 2;
        done(store, [Change::PutGrant { record: token, expected: Some(1) }]).await;
        let mut output = std::io::stdout();
        writeln!(output, "\nanswered {number}").and_then(|()| output.flush()).unwrap();
    }
}

/// Updates one account `times` times, each from what is stored, against whoever else does so.
async fn count(store: &Arc<dyn Store>, times: usize) {
    let current = Arc::new(Mutex::new(account(1)));
    let following = Arc::clone(&current);
    let follower = move |news: Vec<News>| {
        for news in news {
            match news {
                News::Account(record) => *following.lock().unwrap() = record,
                other => panic!("{other:?}"),
            }
        }
    };
    store.follow(Box::new(follower)).await.unwrap();
    let mut done = 0;
    while done < times {
        let next = promoted(&current.lock().unwrap());
        // After a conflict what the other one wrote was told: every write catches up.
        match store.apply(vec![Change::UpdateAccount(next)]).await.unwrap() {
            Applied::Done => done += 1,
            Applied::Conflict => {}
        }
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let fresh = tempfile::tempdir_in(folder.path()).unwrap();
        let mut writer = child("write", fresh.path());
        let mut answered = BufReader::new(writer.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("answered ").map(|number| number.parse::<u64>().unwrap()));
        let enough = answered.by_ref().find(|number| *number >= round * 20).unwrap();
        writer.kill().unwrap();
        let last = answered.last().unwrap_or(enough);
        writer.wait().unwrap();

        let store = open(fresh.path());
        let records = everything(&store).await.accounts;
        for number in 0..=last {
            let record = records.iter().find(|record| record.identifier.as_str() == format!("user_{number}"));
            let id = scopegate_core::id::GrantId::from_bytes(*record.expect("an account that was answered").id.as_bytes());
            assert_eq!(store.grant(&id).await.unwrap().unwrap().facts.version, 2, "grant {number} of {last}");
        }
        for record in &records {
            let id = scopegate_core::id::GrantId::from_bytes(*record.id.as_bytes());
            assert!(store.grant(&id).await.unwrap().is_some(), "an account without its grant");
        }
    }
}

#[tokio::test]
async fn two_processes_on_one_file_lose_no_update() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    done(&store, [Change::InsertAccount(account(1))]).await;
    let mut other = child("count", folder.path());
    count(&store, 200).await;
    assert!(other.wait().unwrap().success());
    assert_eq!(everything(&store).await.accounts[0].version, 401);
}

#[tokio::test]
async fn no_secret_is_readable_in_any_file() {
    let home = Embedded::new();
    let key = home.folder().join("kek");
    key_file::generate(&key).unwrap();
    let store = home.open();
    let vault = Vault::open(Keyring::read(&key, &[]).unwrap(), Arc::clone(&store), Clock::system()).await.unwrap();
    let owner = account(1);
    let mut token = grant(1, 1);
    token.sealed = vault.seal(b"canary-token-7c31", &Binding::grant(&token.facts)).await.unwrap();
    let (shown, digest) = vault.mint_handle();
    let ((link, link_digest), (state, state_digest), (cookie, cookie_digest)) = (vault.mint_proof(), vault.mint_proof(), vault.mint_proof());
    let mut attempt = authorization(1, &owner, AuthorizationPhase::Begun);
    let binding = Binding::authorization(&attempt.connector, &attempt.customer, &attempt.id);
    let verifier = Some(vault.seal(b"canary-verifier-7c31", &binding).await.unwrap());
    attempt = scopegate::store::AuthorizationRecord {
        link: link_digest,
        browser: Some(cookie_digest),
        phase: AuthorizationPhase::Submitted { state: state_digest, verifier },
        ..attempt
    };
    done(
        &store,
        [
            Change::InsertAccount(owner.clone()),
            new_grant(&token),
            Change::InsertHandle(HandleRecord { digest, ..handle(1, HandleTarget::Account(owner.id)) }),
            Change::PutAuthorization { record: attempt, expected: None },
        ],
    )
    .await;
    let secrets: [&[u8]; 6] = [
        b"canary-token-7c31",
        b"canary-verifier-7c31",
        shown.reveal().trim_start_matches("sgh_").as_bytes(),
        link.reveal().as_bytes(),
        state.reveal().as_bytes(),
        cookie.reveal().as_bytes(),
    ];
    let scan = |when| {
        let files = contents(home.folder());
        for (name, bytes) in &files {
            let found = secrets.iter().find(|secret| holds(bytes, secret));
            assert_eq!(found, None, "{name} {when}");
        }
        assert!(files.iter().any(|(_, bytes)| holds(bytes, token.sealed.as_bytes())), "the sealed token itself is there {when}");
    };
    scan("while it is open");
    assert_eq!(vault.handle_digest(&HandleText::new(shown.reveal().into())), digest);
    drop((vault, store));
    scan("when it is closed");
}

#[tokio::test]
async fn a_deleted_token_leaves_no_bytes() {
    let home = Embedded::new();
    let store = home.open();
    let sealed: Vec<u8> = (0..600_u32).flat_map(|number| (number ^ 0x5a5a).to_le_bytes()).collect();
    let token = GrantRecord { sealed: Sealed::from_bytes(sealed.clone()), ..grant(1, 1) };
    let piece = &sealed[1_000..1_064];
    let is_there = || contents(home.folder()).iter().any(|(_, bytes)| holds(bytes, piece));
    done(&store, [new_grant(&token), new_grant(&grant(2, 1))]).await;
    assert!(is_there());
    done(&store, [Change::DeleteGrant(token.facts.id)]).await;
    drop(store);
    assert!(!is_there());
}

#[tokio::test]
async fn folder_and_files_are_their_owners_alone() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("data/store");
    let store = open(&folder);
    done(&store, [Change::InsertAccount(account(1))]).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_or_none_at_all_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let path = folder.path().join("scopegate.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let fault = SqliteStore::open(folder.path(), Clock::system()).unwrap_err();
    assert!(matches!(fault, StoreError::Newer { found: 999, .. }) && fault.to_string().contains("use a newer scopegate"), "{fault}");

    fs::write(&path, "this is no database, whatever its name says").unwrap();
    let fault = SqliteStore::open(folder.path(), Clock::system()).unwrap_err();
    assert!(fault.to_string().contains("scopegate.db"), "{fault}");
    let fault = SqliteStore::open(&path, Clock::system()).unwrap_err();
    assert!(fault.to_string().contains("cannot open the store"), "{fault}");
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("kek"));
    files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
