//! What one step of a request costs: `cargo bench --bench micro`, or one of them: `cargo bench --bench micro -- judge`.
//!
//! Each step is measured at several sizes, because what matters most is that the small one and the large one cost the same.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark ends where it cannot go on")]

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use scopegate::clock::Clock;
use scopegate::directory::Directory;
use scopegate::store::{Applied, Change, GrantRecord, SqliteStore, Store};
use scopegate::vault::{Binding, Keyring, Vault, key_file};
use scopegate_core::account::{AccountRecord, GrantFacts, GrantStanding, GrantState, Granted, Standing, Switch};
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, GrantId, Identifier};
use scopegate_core::policy::{Compiled, Origin, PolicySet, Source, compile, judge};
use scopegate_core::request::{Head, HeadLimits, Request};
use scopegate_core::time::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

mod crm;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 3] = [100, 5_000, 50_000];
/// So often in a row, so that caches are warm.
const HOT: u32 = 1_000;

fn main() {
    divan::main();
}

fn compiled(text: &str) -> Compiled {
    compile(&[Source { name: "crm.yaml".into(), text: text.to_owned(), origin: Origin::Own }], &BTreeMap::new())
}

fn policies(operations: usize) -> PolicySet {
    let compiled = compiled(&crm::document(operations, "https://crm.example"));
    compiled.policies.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics.first()))
}

#[divan::bench(args = SIZES, sample_count = 5)]
fn compile_operations(bencher: Bencher<'_, '_>, operations: usize) {
    let text = crm::document(operations, "https://crm.example");
    bencher.bench_local(|| compiled(black_box(&text)).policies.is_some());
}

#[divan::bench(sample_size = HOT)]
fn read_head(bencher: Bencher<'_, '_>) {
    let text = "GET /crm/v1/resources1/A-17/parts1/7?fields=name,owner&limit=50 HTTP/1.1\r\nHost: 127.0.0.1:4100\r\nUser-Agent: python-requests/2.32.3\r\n\
        Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nScopegate-Account: user_123_researcher\r\n\
        Scopegate-Session: run-1\r\nContent-Type: application/json\r\n\r\n";
    let (bytes, limits) = (Bytes::from_static(text.as_bytes()), HeadLimits::STANDARD);
    bencher.bench_local(|| Head::read(black_box(&bytes), &limits).unwrap());
}

/// From a canonical path to a ruling: one allowed, one that the role lacks, one that no operation names.
#[divan::bench(args = SIZES, sample_size = HOT)]
fn judge_allowed(bencher: Bencher<'_, '_>, operations: usize) {
    judged(bencher, operations, crm::some(operations, SPREAD, true).map(|number| format!("GET {}", crm::path(number))));
}

#[divan::bench(args = SIZES, sample_size = HOT)]
fn judge_denied(bencher: Bencher<'_, '_>, operations: usize) {
    judged(bencher, operations, crm::some(operations, SPREAD, false).map(|number| format!("POST {}", crm::path(number))));
}

#[divan::bench(args = SIZES, sample_size = HOT)]
fn judge_unknown(bencher: Bencher<'_, '_>, operations: usize) {
    judged(bencher, operations, crm::some(operations, SPREAD, true).map(|number| format!("GET {}x", crm::path(number))));
}

/// So many different requests at every size, so that each has the caches for itself alike.
const SPREAD: usize = 32;

fn judged(bencher: Bencher<'_, '_>, operations: usize, requests: impl Iterator<Item = String>) {
    let policies = policies(operations);
    let (connector, role) = ("crm".parse().unwrap(), "researcher".parse().unwrap());
    let granted = Granted::of((0..crm::RESOURCES).map(|scope| format!("p{scope}.read").parse().unwrap()));
    let standing = Standing { role: &role, grant: GrantStanding::Live(&granted) };
    let read = |line: String| line.split_once(' ').map(|(method, path)| Request::read(method, path, &[], None).unwrap());
    let requests: Vec<Request> = requests.filter_map(read).collect();
    let mut next = requests.iter().cycle();
    bencher.bench_local(|| judge(&policies, &connector, &standing, black_box(next.next().unwrap())));
}

/// So many accounts, each with a grant, ten to a customer.
struct Crowd {
    directory: Directory,
    _folder: tempfile::TempDir,
    _runtime: Runtime,
}

fn crowd(many: usize) -> Crowd {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), Clock::system()).unwrap());
    let directory = runtime.block_on(async {
        let directory = Directory::open(store).await.unwrap();
        for first in (0..many).step_by(5_000) {
            let changes = (first..many.min(first + 5_000)).flat_map(|number| {
                let facts = facts(number);
                let record = account(number, &facts);
                let sealed = scopegate::store::Sealed::from_bytes(vec![7; 64]);
                [Change::PutGrant { record: GrantRecord { facts, sealed, intent: None }, expected: None }, Change::InsertAccount(record)]
            });
            assert_eq!(directory.apply(changes.collect()).await.unwrap(), Applied::Done);
        }
        directory
    });
    Crowd { directory, _folder: folder, _runtime: runtime }
}

fn bytes(number: usize) -> [u8; 16] {
    (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn facts(number: usize) -> GrantFacts {
    GrantFacts {
        id: GrantId::from_bytes(bytes(number)),
        connector: "crm".parse().unwrap(),
        customer: format!("customer-{}", number / 10).parse().unwrap(),
        version: 1,
        state: GrantState::Live,
        granted: Granted::of(["api".parse().unwrap(), "refresh_token".parse().unwrap()]),
        expires_at: Some(Timestamp::from_millis(4_000_000_000_000)),
        issued_at: Timestamp::from_millis(1),
        refreshable: true,
        variables: Variables::new(),
        used_at: Timestamp::from_millis(1),
        created_at: Timestamp::from_millis(1),
    }
}

fn account(number: usize, facts: &GrantFacts) -> AccountRecord {
    AccountRecord {
        id: AccountId::from_bytes(bytes(number)),
        connector: facts.connector.clone(),
        identifier: format!("user_{number}_researcher").parse().unwrap(),
        customer: facts.customer.clone(),
        role: "researcher".parse().unwrap(),
        switch: Switch::On,
        grant: Some(facts.id.clone()),
        variables: Variables::new(),
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(1),
        version: 1,
    }
}

#[divan::bench(args = [1_000, 100_000, 1_000_000], sample_size = HOT)]
fn find_account(bencher: Bencher<'_, '_>, many: usize) {
    let crowd = crowd(many);
    let connector = "crm".parse().unwrap();
    // The same number of different ones at every size.
    let identifiers: Vec<Identifier> = (0..1_000).map(|step| format!("user_{}_researcher", step * many / 1_000).parse().unwrap()).collect();
    let mut next = identifiers.iter().cycle();
    bencher.bench_local(|| crowd.directory.find(&connector, black_box(next.next().unwrap())).unwrap());
}

/// A vault over a key file and an empty store.
fn vault(folder: &Path, runtime: &Runtime) -> Vault {
    let key = folder.join("kek");
    key_file::generate(&key).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder, Clock::system()).unwrap());
    runtime.block_on(Vault::open(Keyring::read(&key, &[]).unwrap(), store, Clock::system())).unwrap()
}

#[divan::bench]
fn check_handle(bencher: Bencher<'_, '_>) {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let vault = vault(folder.path(), &runtime);
    let (handle, _) = vault.mint_handle();
    bencher.bench_local(|| vault.handle_digest(black_box(&handle)));
}

const TOKENS: &[u8] = &[b'x'; 400];

#[divan::bench]
fn seal_a_token_set(bencher: Bencher<'_, '_>) {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let (vault, facts) = (vault(folder.path(), &runtime), facts(1));
    bencher.bench_local(|| runtime.block_on(vault.seal(TOKENS, &Binding::grant(&facts))).unwrap());
}

#[divan::bench]
fn unseal_a_token_set(bencher: Bencher<'_, '_>) {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let (vault, facts) = (vault(folder.path(), &runtime), facts(1));
    let sealed = runtime.block_on(vault.seal(TOKENS, &Binding::grant(&facts))).unwrap();
    bencher.bench_local(|| runtime.block_on(vault.unseal(&sealed, &Binding::grant(&facts))).unwrap());
}
