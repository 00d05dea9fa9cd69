//! The practice servers over real sockets: the strictness that the rest of the tests lean on.

use super::*;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Handle;

struct Stage {
    practice: Practice,
    http: reqwest::Client,
    tasks: Tasks,
}

impl Stage {
    async fn new() -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tasks = Tasks::new(Handle::current());
        let registration =
            Registration { client_id: "practice".into(), client_secret: scopegate_core::secret::ClientSecret::new("practice-secret".into()) };
        let practice = Practice::start(&Clock::system(), &tasks, registration).await.unwrap();
        Self { practice, http: reqwest::Client::builder().no_proxy().build().unwrap(), tasks }
    }

    async fn token(&self, dialect: &str, fields: &[(&str, &str)]) -> Result<(u16, Value), reqwest::Error> {
        let client = [("client_id", "practice"), ("client_secret", "practice-secret")];
        let fields: Vec<_> = client.iter().chain(fields).collect();
        let answer = self.http.post(format!("{}{dialect}/token", self.practice.provider_origin())).form(&fields).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn refresh(&self, token: &str) -> Result<(u16, Value), reqwest::Error> {
        self.token("", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn api(&self, path: &str, token: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.practice.api_origin())).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Walks from the authorization request to the callback; its address.
    async fn walk(&self, dialect: &str, challenge: &str, verdict: Verdict) -> url::Url {
        let query = format!("response_type=code&client_id=practice&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcb&state=s1&scope=api+write{challenge}");
        let mut browser = Browser::new().unwrap();
        let page = browser.open(&format!("{}{dialect}/authorize?{query}", self.practice.provider_origin())).await.unwrap();
        browser.consent(&page, &Consent { who: label("acme/one"), verdict }).await.unwrap()
    }
}

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_whole_family() {
    let stage = Stage::new().await;
    let first = stage.practice.provider().seed(&label("acme/one"), "api");
    let (_, second) = stage.refresh(first.refresh_token.reveal()).await.unwrap();
    assert_eq!(stage.api("/v1/accounts/A-1", text(&second, "access_token")).await.0, 200);
    assert_eq!(stage.refresh(first.refresh_token.reveal()).await.unwrap().0, 400);
    assert_eq!(stage.refresh(text(&second, "refresh_token")).await.unwrap().0, 400);
    assert_eq!(stage.api("/v1/accounts/A-1", text(&second, "access_token")).await.0, 401);
    assert_eq!(stage.practice.provider().refreshes(&label("acme/one")), Refreshes { arrived: 3, granted: 1, overlapping: 0 });
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier() {
    let stage = Stage::new().await;
    for (verifier, again, expected) in [("wrong", VERIFIER, [400, 400]), (VERIFIER, VERIFIER, [200, 400])] {
        let callback = stage.walk("", CHALLENGE, Verdict::Allow).await;
        let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let mut statuses = [0, 0];
        for (status, verifier) in statuses.iter_mut().zip([verifier, again]) {
            let fields =
                [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://127.0.0.1/cb"), ("code_verifier", verifier)];
            *status = stage.token("", &fields).await.unwrap().0;
        }
        assert_eq!(statuses, expected, "{verifier}");
    }
}

#[tokio::test]
async fn an_authorization_request_without_a_challenge_is_refused() {
    let stage = Stage::new().await;
    let origin = stage.practice.provider_origin();
    let mut browser = Browser::new().unwrap();
    for query in ["", "&code_challenge=abc&code_challenge_method=plain"] {
        let address = format!("{origin}/authorize?response_type=code&client_id=practice&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcb&state=s{query}");
        assert_eq!(browser.open(&address).await.unwrap().status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_customer_may_untick_a_scope_or_say_no() {
    let stage = Stage::new().await;
    let callback = stage.walk("", CHALLENGE, Verdict::Deny).await;
    assert_eq!(callback.query(), Some("error=access_denied&state=s1"));
    let callback = stage.walk("/slack", CHALLENGE, Verdict::AllowOnly(vec!["write".into()])).await;
    let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://127.0.0.1/cb"), ("code_verifier", VERIFIER)];
    let (_, tokens) = stage.token("/slack", &fields).await.unwrap();
    assert_eq!((text(&tokens, "scope"), text(&tokens, "token_type")), ("write", "bot"));
}

#[tokio::test]
async fn one_url_shows_each_customer_its_own_record() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    for (who, name) in [("acme/one", "Nordwind Traders"), ("globex/two", "Hooli Logistics"), ("initech/three", "A-1 of initech")] {
        let tokens = provider.seed(&label(who), "api");
        let (_, record) = stage.api("/v1/accounts/A-1", tokens.access_token.reveal()).await;
        assert_eq!((text(&record, "owner"), text(&record, "name")), (who, name));
    }
    assert_eq!(stage.api("/v1/accounts/A-1", "never issued").await.0, 401);
    assert_eq!(stage.practice.api().requests(), 4);
}

#[tokio::test]
async fn faults_come_in_the_order_in_which_they_were_queued() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let one = label("acme/one");
    let mut token = provider.seed(&one, "api").refresh_token.reveal().to_owned();
    for fault in
        [Fault::Reset, Fault::Garbage, Fault::Status(axum::http::StatusCode::BAD_GATEWAY, Some(7)), Fault::InvalidGrant, Fault::StillbornToken]
    {
        provider.fault(Whose::Of(one.clone()), fault);
    }
    assert!(stage.refresh(&token).await.unwrap_err().is_request());
    assert!(stage.refresh(&token).await.unwrap_err().is_decode());
    assert!(stage.refresh(&token).await.unwrap_err().is_decode());
    assert_eq!(stage.refresh(&token).await.unwrap().0, 400);
    let (status, stillborn) = stage.refresh(&token).await.unwrap();
    assert_eq!((status, stage.api("/v1/accounts/A-1", text(&stillborn, "access_token")).await.0), (200, 401));
    text(&stillborn, "refresh_token").clone_into(&mut token);
    provider.fault(Whose::Everybody, Fault::LostAnswer);
    assert!(stage.refresh(&token).await.is_err());
    assert_eq!(stage.refresh(&token).await.unwrap().0, 400);
    assert_eq!(provider.problems(), ["acme/one: a refresh token was used twice"]);
    assert_eq!(stage.tasks.shutdown(Duration::from_secs(10)).await, crate::tasks::Shutdown::Clean);
}
