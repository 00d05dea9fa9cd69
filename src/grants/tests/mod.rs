//! Grants against the practice provider, with a real store and vault in a folder of their own and a clock that stands still
//! until a test moves it.

mod answers;
mod clocks;
mod ending;
mod lost;
mod onboarding;
mod refreshing;
mod storm;
mod unauthorized;

use super::*;
use crate::clock::{Clock, Hands};
use crate::egress::Egress;
use crate::http_client::Trust;
use crate::practice::{Label, Practice, Registration};
use crate::store::{Applied, Change, SqliteStore};
use crate::vault::{Keyring, key_file};
use arc_swap::ArcSwap;
use scopegate_core::account::{AccountRecord, GrantFacts, GrantState, Granted, Status, Switch};
use scopegate_core::connector::PlainHttp;
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, GrantId};
use scopegate_core::policy::{Decision, Origin, Source, compile, decide};
use scopegate_core::request::{OutgoingHead, Request};
use scopegate_core::secret::ClientSecret;
use scopegate_core::time::Timestamp;
use tokio::runtime::Handle;

const POLICY: &str = r#"
version: 1
connectors:
  crm:
    title: Practice CRM
    upstream: API
    oauth:
      authorization_url: PROVIDER/authorize
      token_url: PROVIDER/token
      revocation_url: PROVIDER/revoke
      pkce: S256
      client_auth: client_secret_post
    variables:
      region: {from: account, default: eu, one_of: [eu, us]}
    scopes:
      accounts:read: {provider_scopes: [api], consent: Read accounts}
      opportunities:write: {provider_scopes: [api, write], consent: Change opportunities, risk: high}
    operations:
      - {id: account.get, match: "GET /v1/accounts/{id}", require: accounts:read}
      - {id: opportunity.update, match: "PATCH /v1/opportunities/{id}", require: opportunities:write}
  force:
    title: Practice Force
    upstream: "{instance_url}"
    oauth:
      authorization_url: PROVIDER/salesforce/authorize
      token_url: PROVIDER/salesforce/token
      pkce: S256
      client_auth: client_secret_post
      refresh: on_use
    variables:
      instance_url: {from: token, pointer: /instance_url, origin_of: ["*.force.example", "*.my.salesforce.com"]}
    scopes:
      things:read: {provider_scopes: [api]}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
  teams:
    title: Practice teams
    upstream: API
    oauth:
      token_url: PROVIDER/token
      client_auth: client_secret_post
      lookup: {url: API/v1/accounts/T-7}
    headers: {X-Team: "{team}"}
    variables:
      team: {from: lookup, pointer: /id, is: label}
    scopes:
      things:read: {provider_scopes: [api]}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
  lenient:
    title: Takes a spent token again for a while
    upstream: API
    oauth:
      token_url: PROVIDER/token
      client_auth: client_secret_post
      rotation: true
      replay_window: 10m
    scopes:
      things:read: {provider_scopes: [api]}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
  kept:
    title: Ends what is not used for a month
    upstream: API
    oauth:
      token_url: PROVIDER/token
      client_auth: client_secret_post
      refresh: on_use
      keep_alive: 30d
    scopes:
      things:read: {provider_scopes: [api]}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
  keys:
    title: Keys only
    upstream: API
    inject: {header: X-Key}
    scopes:
      things:read: {provider_scopes: none}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
roles:
  researcher: {allow: {crm: [accounts:read], force: [things:read], teams: [things:read], lenient: [things:read], kept: [things:read], keys: [things:read]}}
  publisher: {allow: {crm: [accounts:read, opportunities:write]}}
"#;

/// A running world.
struct Stage {
    grants: Grants,
    practice: Practice,
    directory: Directory,
    store: Arc<dyn Store>,
    hands: Hands,
    clock: Clock,
    tasks: Tasks,
    policies: Arc<ArcSwap<PolicySet>>,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        key_file::generate(&folder.path().join("kek-1")).unwrap();
        let (clock, hands) = Clock::manual("2026-11-26T09:00:00Z".parse().unwrap());
        let tasks = Tasks::new(Handle::current());
        let registration = Registration { client_id: "practice".into(), client_secret: ClientSecret::new("practice-secret".into()) };
        let practice = Practice::start(&clock, &tasks, registration).await.unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(policies(&practice, "/revoke")));
        Self::over(folder, clock, hands, tasks, practice, policies).await
    }

    async fn over(
        folder: tempfile::TempDir,
        clock: Clock,
        hands: Hands,
        tasks: Tasks,
        practice: Practice,
        policies: Arc<ArcSwap<PolicySet>>,
    ) -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("data"), clock.clone()).unwrap());
        let keyring = Keyring::read(&folder.path().join("kek-1"), &[]).unwrap();
        let vault = Vault::open(keyring, Arc::clone(&store), clock.clone()).await.unwrap();
        let directory = Directory::open(Arc::clone(&store)).await.unwrap();
        let client = |secrets: &[&str]| ClientRegistration {
            client_id: "practice".into(),
            secrets: secrets.iter().map(|secret| ClientSecret::new((*secret).to_owned())).collect(),
            key: None,
        };
        let in_force = Arc::clone(&policies);
        let grants = Grants::new(GrantsParts {
            directory: directory.clone(),
            store: Arc::clone(&store),
            vault,
            http: http(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: Metrics::new(),
            policies: Arc::new(move || in_force.load_full()),
            clients: [
                ("crm", &["practice-secret"][..]),
                ("force", &["a-secret-to-come", "practice-secret"]),
                ("lenient", &["practice-secret", "practice-secret"]),
                ("kept", &["practice-secret"]),
            ]
            .map(|(name, secrets)| (name.parse().unwrap(), client(secrets)))
            .into(),
            public_url: Url::parse("http://127.0.0.1:4101").unwrap(),
            return_to: vec![Url::parse("https://shop.example").unwrap()],
            open_grants: 100,
        });
        Self { grants, practice, directory, store, hands, clock, tasks, policies, folder }
    }

    /// The same store after a process that was killed: nothing of its memory is left.
    async fn killed(self) -> Self {
        let Self { grants, practice, directory, store, hands, clock, policies, folder, tasks } = self;
        drop((grants, directory, store));
        Self::over(folder, clock, hands, tasks, practice, policies).await
    }

    /// Follows no redirect.
    fn http(&self) -> HttpClient {
        http()
    }

    fn advance(&self, seconds: u64) {
        self.hands.advance(Duration::from_secs(seconds));
    }

    /// A new account that nobody has stored.
    fn unconnected(&self, connector: &str, identifier: &str, role: &str) -> AccountRecord {
        let now = self.clock.timestamp();
        AccountRecord {
            id: AccountId::from_bytes(crate::chance::bytes()),
            connector: connector.parse().unwrap(),
            identifier: identifier.parse().unwrap(),
            customer: "acme".parse().unwrap(),
            role: role.parse().unwrap(),
            switch: Switch::On,
            grant: None,
            variables: Variables::new(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    async fn account(&self, connector: &str, identifier: &str, role: &str) -> ConnectedAccount {
        let record = self.unconnected(connector, identifier, role);
        assert_eq!(self.directory.apply(vec![Change::InsertAccount(record.clone())]).await.unwrap(), Applied::Done);
        self.now(&record)
    }

    fn find(&self, connector: &str, identifier: &str) -> ConnectedAccount {
        self.directory.find(&connector.parse().unwrap(), &identifier.parse().unwrap()).unwrap()
    }

    /// An account as it stands at this moment.
    fn now(&self, record: &AccountRecord) -> ConnectedAccount {
        self.directory.by_id(&record.id).unwrap()
    }

    /// Another account that uses the grant of `owner`.
    async fn guest(&self, identifier: &str, owner: &ConnectedAccount) -> ConnectedAccount {
        let guest = self.account("crm", identifier, "researcher").await;
        let shared = AccountRecord { grant: self.now(&owner.record).record.grant.clone(), version: 2, ..AccountRecord::clone(&guest.record) };
        assert_eq!(self.directory.apply(vec![Change::UpdateAccount(shared)]).await.unwrap(), Applied::Done);
        self.now(&guest.record)
    }

    /// An account of the CRM with tokens that the provider issued; they live for so many seconds.
    async fn connected(&self, identifier: &str, lifetime: Option<u64>) -> ConnectedAccount {
        self.connected_to("crm", identifier, lifetime).await
    }

    async fn connected_to(&self, connector: &str, identifier: &str, lifetime: Option<u64>) -> ConnectedAccount {
        let account = self.account(connector, identifier, "researcher").await;
        let tokens = self.practice.provider().seed(&label(identifier), "api");
        self.bring(&account, tokens.access_token.reveal(), Some(tokens.refresh_token.reveal()), lifetime).await
    }

    async fn bring(&self, account: &ConnectedAccount, access: &str, refresh: Option<&str>, lifetime: Option<u64>) -> ConnectedAccount {
        let credential = BroughtCredential::Tokens {
            access: scopegate_core::secret::AccessToken::new(access.into()),
            refresh: refresh.map(|text| scopegate_core::secret::RefreshToken::new(text.into())),
            expires_in: lifetime.map(Duration::from_secs),
            scope: Some("api".into()),
        };
        self.grants.bring(&account.record, Brought { credential, variables: Variables::new() }).await.unwrap()
    }

    /// Decides a request for an account as it stands, and opens its grant.
    async fn open(&self, account: &ConnectedAccount) -> Result<Admission, NoToken> {
        let account = self.now(&account.record);
        let target = if account.record.connector.as_str() == "crm" { "/v1/accounts/7" } else { "/v1/things/7" };
        let request = Request::read("GET", target, &[], None).unwrap();
        let policies = self.policies.load_full();
        let decision = decide(&policies, &account, &request);
        let Decision::Permit(permit) = decision else { panic!("no permit: {decision:?}") };
        self.grants.open(&policies, permit).await
    }

    /// The token that a request of the account is sent with.
    async fn token(&self, account: &ConnectedAccount) -> Result<String, NoToken> {
        self.open(account).await.map(|admission| self.sent(account, &admission))
    }

    fn sent(&self, account: &ConnectedAccount, admission: &Admission) -> String {
        let request = Request::read("GET", "/v1/x", &[], None).unwrap();
        let policies = self.policies.load();
        let connector = policies.connector(account.record.connector.as_str()).unwrap();
        let mut head = OutgoingHead::write(&request, connector, None, admission.variables()).unwrap();
        admission.authorize(&mut head);
        let value = head.headers.iter().find(|(name, _)| name == "authorization" || name == "x-key").map(|(_, value)| value.clone());
        String::from_utf8(value.unwrap().to_vec()).unwrap().trim_start_matches("Bearer ").to_owned()
    }

    /// Whose token it is, and whether the API takes it.
    fn owner(&self, token: &str) -> Option<(String, bool)> {
        self.practice.provider().owner(token).map(|owner| (owner.label.to_string(), owner.live))
    }

    fn status(&self, account: &ConnectedAccount) -> Status {
        self.now(&account.record).status()
    }

    fn refreshes(&self, identifier: &str) -> u64 {
        self.practice.provider().refreshes(&label(identifier)).arrived
    }

    /// Gives way to everything else that runs until `so` holds; ends a test that hangs, and no other.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !so(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(900), waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
    }
}

/// Loopback is allowed.
fn http() -> HttpClient {
    HttpClient::new(Egress::new(vec!["127.0.0.0/8".parse().unwrap()], PlainHttp::Allowed), &Trust::System).unwrap()
}

/// The policies of this world; the provider hears revocations at `revoke`.
fn policies(practice: &Practice, revoke: &str) -> PolicySet {
    let text = POLICY
        .replace("PROVIDER/revoke", &format!("{}{revoke}", practice.provider_origin()))
        .replace("PROVIDER", &practice.provider_origin())
        .replace("API", &practice.api_origin());
    let compiled = compile(&[Source { name: "crm.yaml".into(), text, origin: Origin::Own }], &BTreeMap::new());
    compiled.policies.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

fn label(identifier: &str) -> Label {
    format!("acme/{identifier}").parse().unwrap()
}

/// Facts of some grant.
pub(super) fn facts() -> GrantFacts {
    GrantFacts {
        id: GrantId::from_bytes([0; 16]),
        connector: "crm".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        version: 1,
        state: GrantState::Live,
        granted: Granted::Assumed,
        expires_at: None,
        issued_at: Timestamp::default(),
        refreshable: true,
        variables: Variables::new(),
        used_at: Timestamp::default(),
        created_at: Timestamp::default(),
    }
}
