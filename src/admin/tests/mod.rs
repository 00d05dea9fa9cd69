//! The plane over real HTTP, with a real store, vault and audit in a folder of its own, and the practice provider.

mod accounts;
mod imports;
mod pages;
mod plane;
mod tokens;

use super::*;
use crate::audit::Rotation;
use crate::egress::Egress;
use crate::gateway::PolicyPlaces;
use crate::grants::GrantsParts;
use crate::http_client::{HttpClient, Trust};
use crate::practice::{Browser, Label, Page, Practice, Registration};
use crate::store::SqliteStore;
use crate::vault::{KeyRoom, Keyring, key_file};
use axum::http::HeaderMap;
use scopegate_core::id::ConnectorId;
use scopegate_core::oauth::ClientRegistration;
use scopegate_core::policy::Override;
use scopegate_core::secret::ClientSecret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

pub(super) const TOKEN: &str = "the-admin-token";

pub(super) const POLICY: &str = r#"
version: 1
connectors:
  crm:
    title: Practice CRM
    upstream: http://127.0.0.1:1
    oauth:
      authorization_url: http://127.0.0.1:1/authorize
      token_url: http://127.0.0.1:1/token
      revocation_url: http://127.0.0.1:1/revoke
      pkce: S256
      client_auth: client_secret_post
    variables:
      region: {from: account, default: eu, one_of: [eu, us]}
    scopes:
      accounts:read: {provider_scopes: [api], consent: Read accounts}
      opportunities:read: {provider_scopes: [api], consent: Read opportunities}
      opportunities:write: {provider_scopes: [api, write], consent: "Change <opportunities>", implies: [opportunities:read], risk: high}
    operations:
      - {id: account.get, match: "GET /v1/accounts/{id}", require: accounts:read}
      - {id: opportunity.update, match: "PATCH /v1/opportunities/{id}", require: opportunities:write}
  keys:
    title: Keys only
    upstream: http://127.0.0.1:1
    scopes:
      things:read: {provider_scopes: none}
    operations:
      - {id: thing.get, match: "GET /v1/things/{id}", require: things:read}
roles:
  researcher: {allow: {crm: [accounts:read, opportunities:read], keys: [things:read]}}
  publisher: {allow: {crm: [opportunities:write]}}
"#;

/// A running plane.
pub(super) struct Stage {
    pub(super) origin: String,
    pub(super) parts: AdminParts,
    pub(super) practice: Practice,
    folder: tempfile::TempDir,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Stage {
    pub(super) async fn new() -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (clock, tasks, metrics) = (Clock::system(), Tasks::new(Handle::current()), Metrics::new());
        let secret = ClientSecret::new("practice-secret".into());
        let registration = Registration { client_id: "practice".into(), client_secret: secret.clone() };
        let practice = Practice::start(&clock, &tasks, registration).await.unwrap();
        let policies = Arc::new(PolicyRoom::open(places(&folder, &practice), clock.timestamp(), metrics.clone()).unwrap());

        let key = folder.path().join("kek-1");
        key_file::generate(&key).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("data"), clock.clone()).unwrap());
        let vault = Vault::open(Keyring::read(&key, &[]).unwrap(), Arc::clone(&store), clock.clone()).await.unwrap();
        let directory = Directory::open(Arc::clone(&store)).await.unwrap();
        let sessions = Sessions::new(Arc::clone(&store), clock.clone(), tasks.clone());
        let rotation = Rotation { size: 1 << 20, keep: Duration::from_secs(86_400) };
        let audit = AuditLog::open(&folder.path().join("data/audit.jsonl"), rotation, clock.clone(), tasks.clone(), metrics.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let public_url = Url::parse(&origin).unwrap();
        let in_force = Arc::clone(&policies);
        let grants = Grants::new(GrantsParts {
            directory: directory.clone(),
            store: Arc::clone(&store),
            vault: vault.clone(),
            http: HttpClient::new(Egress::new(vec!["127.0.0.0/8".parse().unwrap()], PlainHttp::Allowed), &Trust::System).unwrap(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            policies: Arc::new(move || in_force.policies()),
            clients: [("crm".parse().unwrap(), ClientRegistration { client_id: "practice".into(), secrets: vec![secret], key: None })].into(),
            public_url: public_url.clone(),
            return_to: vec![Url::parse("https://shop.example").unwrap()],
            open_grants: 100,
        });
        let files = folder.path().to_path_buf();
        let files = move || Ok(Keyring::read(&files.join("kek"), &[files.join("kek-1")])?);
        let keys = KeyRoom::new(vault.clone(), Arc::new(files), tasks.clone());
        let parts = AdminParts {
            keys,
            token: BearerSecret::new(TOKEN.into()),
            metrics_access: MetricsAccess::Open,
            public_url,
            own_origins: Vec::new(),
            plain_http: PlainHttp::Allowed,
            directory,
            sessions,
            store,
            vault,
            audit,
            metrics,
            grants,
            policies,
            clock,
            tasks: tasks.clone(),
            draining: CancellationToken::new(),
        };
        let app = router(parts.clone());
        tasks.spawn("admin plane under test", async move { axum::serve(listener, app).await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { origin, parts, practice, folder, http }
    }

    /// Serves another router with the same parts; its origin.
    pub(super) async fn serve(&self, app: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        self.parts.tasks.spawn("router under test", async move { axum::serve(listener, app).await.unwrap() });
        origin
    }

    /// Replaces the one policy file.
    pub(super) fn write_policy(&self, text: &str) {
        std::fs::write(self.folder.path().join("policies/crm.yaml"), text).unwrap();
    }

    /// One call of the API with the admin token.
    pub(super) async fn ask(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Came {
        self.send(method, path, Some(TOKEN), body.into().map(|body| body.to_string())).await
    }

    /// One call that must be answered with this status.
    pub(super) async fn must(&self, status: u16, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
        let came = self.ask(method, path, body).await;
        assert_eq!(came.status, status, "{method} {path}: {came:?}");
        came.json
    }

    pub(super) async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<String>) -> Came {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.origin));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        Came::of(request.send().await.unwrap()).await
    }

    /// A request as a browser would send it, with these headers.
    pub(super) async fn browse(&self, method: &str, address: &str, headers: &[(&str, &str)]) -> Came {
        let mut request = self.http.request(method.parse().unwrap(), address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Came::of(request.send().await.unwrap()).await
    }

    /// A new account of customer acme at the practice CRM; its path.
    pub(super) async fn account(&self, identifier: &str, role: &str) -> String {
        let path = format!("/v1/connectors/crm/accounts/{identifier}");
        self.must(201, "PUT", &path, json!({"customer": "acme", "role": role})).await;
        path
    }

    /// A new account with credentials that the provider knows under `acme/IDENTIFIER`; its path.
    pub(super) async fn connected(&self, identifier: &str, role: &str, scope: &str) -> String {
        let path = self.account(identifier, role).await;
        let tokens = self.practice.provider().seed(&label(identifier), scope);
        self.must(200, "PUT", &format!("{path}/credentials"), tokens.credentials()).await;
        path
    }

    pub(super) async fn status(&self, path: &str) -> String {
        self.must(200, "GET", path, None).await["status"].as_str().unwrap().to_owned()
    }
}

impl Came {
    async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, json }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer is a whole problem document with this status.
    pub(super) fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json; charset=utf-8", "{self:?}");
        assert_eq!(self.json["status"], status, "{self:?}");
        for member in ["type", "title", "detail", "error_description", "message"] {
            assert!(self.json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {self:?}");
        }
        assert_eq!(self.header("cache-control"), "no-store");
    }
}

pub(super) fn label(identifier: &str) -> Label {
    format!("acme/{identifier}").parse().unwrap()
}

fn places(folder: &tempfile::TempDir, practice: &Practice) -> PolicyPlaces {
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("crm.yaml"), POLICY).unwrap();
    let provider = practice.provider_origin();
    let crm = Override {
        upstream: Some(practice.api_origin()),
        authorization_url: Some(format!("{provider}/authorize")),
        token_url: Some(format!("{provider}/token")),
        revocation_url: Some(format!("{provider}/revoke")),
        ..Override::default()
    };
    let overrides: BTreeMap<ConnectorId, Override> = [("crm".parse().unwrap(), crm)].into();
    PolicyPlaces { paths: vec![policies], catalog: Vec::new(), overrides }
}
