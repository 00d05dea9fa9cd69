//! How a customer connects an account, and how an attempt fails.

use super::*;
use crate::store::{AuthorizationRecord, Confirmation, Sealed, Unconfirmed};
use scopegate_core::oauth::Call;
use scopegate_core::secret::Proof;
use zeroize::Zeroizing;

const ALL: Wish = Wish { scopes: None, return_to: None, confirmation: Confirmation::NotNeeded };

impl Stage {
    async fn begin(&self, account: &ConnectedAccount, wish: Wish) -> (Begun, Proof) {
        let begun = self.grants.begin(account, wish).await.unwrap();
        let link = begun.authorization_url.path().strip_prefix("/connect/").unwrap().to_owned();
        (begun, Proof::new(link))
    }

    /// Page, form, provider; the callback's query, and the browser that brings it.
    async fn to_callback(&self, link: &Proof, who: &str, verdict: &str, scopes: &[&str]) -> (String, Proof) {
        let browser = self.grants.page(link, None).await.unwrap().browser;
        let provider = self.grants.submit(link, Some(&browser)).await.unwrap();
        (self.consent(&provider, who, verdict, scopes).await, browser)
    }

    /// The customer answers the provider's form; the callback's query.
    async fn consent(&self, provider: &Url, who: &str, verdict: &str, scopes: &[&str]) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("request", provider.query().unwrap()).append_pair("who", who).append_pair("verdict", verdict);
        form.extend_pairs(scopes.iter().map(|scope| ("scope", *scope)));
        let headers = vec![("content-type", Zeroizing::new("application/x-www-form-urlencoded".into()))];
        let call = Call { url: provider.clone(), headers, body: Zeroizing::new(form.finish()) };
        let answer = self.http().post(&call).await.unwrap();
        let location = answer.headers.get("location").unwrap_or_else(|| panic!("no way back: {}", answer.status));
        Url::parse(location.to_str().unwrap()).unwrap().query().unwrap().to_owned()
    }

    async fn callback(&self, connector: &str, query: &str, browser: Option<&Proof>) -> Result<Outcome, CallbackError> {
        self.grants.callback(&connector.parse().unwrap(), query, browser).await.map(|finished| finished.outcome)
    }

    /// A whole walk.
    async fn walk(&self, account: &ConnectedAccount, who: &str, verdict: &str, scopes: &[&str]) -> Outcome {
        let (_, link) = self.begin(account, ALL).await;
        let (query, browser) = self.to_callback(&link, who, verdict, scopes).await;
        self.callback(account.record.connector.as_str(), &query, Some(&browser)).await.unwrap()
    }
}

fn connected() -> Outcome {
    Outcome::Connected { missing: vec![], warnings: vec![] }
}

fn names(scopes: &[AskedScope]) -> Vec<&str> {
    scopes.iter().map(|asked| asked.scope.as_str()).collect()
}

#[tokio::test]
async fn a_customer_connects_an_account_and_everything_is_spent() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "walk", "publisher").await;
    let (begun, link) = stage.begin(&account, ALL).await;
    assert_eq!(begun.requested_scopes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["api", "write"]);
    let (query, browser) = stage.to_callback(&link, "acme/walk", "allow", &["api", "write"]).await;
    assert_eq!(stage.grants.page(&link, None).await.unwrap_err(), LinkError::Unknown, "the form was sent");
    assert_eq!(stage.callback("crm", &query, Some(&browser)).await, Ok(connected()));
    assert_eq!(stage.owner(&stage.token(&account).await.unwrap()), Some(("acme/walk".into(), true)));
    assert_eq!(stage.callback("crm", &query, Some(&browser)).await, Err(CallbackError::Unknown));
    assert_eq!((stage.practice.provider().codes_spent(), stage.practice.provider().problems()), (1, vec![]));
}

#[tokio::test]
async fn the_page_says_what_becomes_possible_and_what_stays_impossible() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "page", "publisher").await;
    let part = Wish { scopes: Some(vec!["accounts:read".parse().unwrap()]), ..ALL };
    for (wish, asked, impossible) in
        [(ALL, vec!["accounts:read", "opportunities:write"], vec![]), (part, vec!["accounts:read"], vec!["opportunities:write"])]
    {
        let (_, link) = stage.begin(&account, wish).await;
        let page = stage.grants.page(&link, None).await.unwrap();
        assert_eq!((page.title.as_str(), names(&page.asked), names(&page.impossible)), ("Practice CRM", asked, impossible));
    }
    let beyond = Wish { scopes: Some(vec!["nothing:known".parse().unwrap()]), ..ALL };
    assert!(matches!(stage.grants.begin(&account, beyond).await, Err(BeginError::BeyondRole(_))));
    let keys = stage.account("keys", "page", "researcher").await;
    assert!(matches!(stage.grants.begin(&keys, ALL).await, Err(BeginError::NoOAuth)));
}

#[tokio::test]
async fn the_account_connects_with_what_was_granted_and_not_with_nothing() {
    let stage = Stage::new().await;
    for (identifier, verdict, scopes, status, missing) in [
        ("fewer", "allow", &["api"][..], Status::Active, Some(vec!["opportunities:write"])),
        ("nothing", "allow", &[], Status::Pending, None),
        ("useless", "allow", &["write"], Status::Pending, None),
        ("declined", "deny", &[], Status::Pending, None),
    ] {
        let account = stage.account("crm", identifier, "publisher").await;
        let outcome = stage.walk(&account, &format!("acme/{identifier}"), verdict, scopes).await;
        match (&outcome, missing) {
            (Outcome::Connected { missing, .. }, Some(expected)) => assert_eq!(names(missing), expected),
            (Outcome::NothingGranted, None) => assert_eq!(verdict, "allow"),
            (Outcome::Declined, None) => assert_eq!(verdict, "deny"),
            other => panic!("{identifier}: {other:?}"),
        }
        assert_eq!(stage.status(&account), status, "{identifier}");
    }
}

#[tokio::test]
async fn only_the_browser_that_opened_the_page_last_goes_on_and_finishes() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "browsers", "researcher").await;
    let (_, link) = stage.begin(&account, ALL).await;
    let first = stage.grants.page(&link, None).await.unwrap().browser;
    let second = stage.grants.page(&link, None).await.unwrap().browser;
    assert_ne!(first.reveal(), second.reveal());
    for stranger in [None, Some(&first)] {
        assert_eq!(stage.grants.submit(&link, stranger).await.unwrap_err(), LinkError::OtherBrowser);
    }
    let again = stage.grants.page(&link, Some(&second)).await.unwrap().browser;
    assert_eq!(again.reveal(), second.reveal(), "a browser keeps its cookie");
    let provider = stage.grants.submit(&link, Some(&second)).await.unwrap();
    assert_eq!(stage.grants.submit(&link, Some(&second)).await.unwrap_err(), LinkError::Unknown);
    let query = stage.consent(&provider, "acme/browsers", "allow", &["api"]).await;
    assert_eq!(stage.callback("crm", &query, Some(&first)).await, Err(CallbackError::OtherBrowser));
    assert_eq!(stage.callback("crm", &query, Some(&second)).await, Err(CallbackError::Unknown), "any callback spends the state");
    assert_eq!((stage.practice.provider().codes_spent(), stage.status(&account)), (0, Status::Pending));
}

#[tokio::test]
async fn a_callback_that_belongs_to_nothing_is_refused() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "invented", "researcher").await;
    let (_, link) = stage.begin(&account, ALL).await;
    let (query, browser) = stage.to_callback(&link, "acme/invented", "allow", &["api"]).await;
    let code = query.split('&').find(|pair| pair.starts_with("code=")).unwrap();
    for wrong in [format!("{code}&state=AAAAAAAAAAAAAAAAAAAAAAAA"), code.to_owned(), "state=x&error=access_denied".into(), String::new()] {
        assert_eq!(stage.callback("crm", &wrong, Some(&browser)).await, Err(CallbackError::Unknown), "{wrong}");
    }
    assert_eq!(stage.callback("force", &query, Some(&browser)).await, Err(CallbackError::Unknown), "another connector's callback path");
    assert_eq!(stage.callback("crm", &query, Some(&browser)).await, Err(CallbackError::Unknown), "and it spent the state");
    let (_, link) = stage.begin(&account, ALL).await;
    let (query, browser) = stage.to_callback(&link, "acme/invented", "allow", &["api"]).await;
    let mixed = format!("{query}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(stage.callback("crm", &mixed, Some(&browser)).await, Ok(Outcome::Failed(OutcomeFault::Provider)));
    assert_eq!((stage.practice.provider().codes_spent(), stage.status(&account)), (0, Status::Pending));
}

#[tokio::test]
async fn link_and_state_end() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "late", "researcher").await;
    let (begun, link) = stage.begin(&account, ALL).await;
    assert_eq!(begun.expires_at, stage.clock.timestamp().plus(Duration::from_secs(10 * 60)));
    stage.advance(10 * 60);
    assert_eq!(stage.grants.page(&link, None).await.unwrap_err(), LinkError::Unknown);
    let (_, link) = stage.begin(&account, ALL).await;
    let (query, browser) = stage.to_callback(&link, "acme/late", "allow", &["api"]).await;
    stage.advance(10 * 60);
    assert_eq!(stage.callback("crm", &query, Some(&browser)).await, Err(CallbackError::Unknown));
}

#[tokio::test]
async fn connecting_again_swaps_for_all_that_share_and_only_when_it_worked() {
    let stage = Stage::new().await;
    let owner = stage.account("crm", "again", "publisher").await;
    stage.walk(&owner, "acme/again-1", "allow", &["api"]).await;
    let guest = stage.guest("again_guest", &stage.now(&owner.record)).await;
    let first = stage.token(&owner).await.unwrap();
    assert_eq!(stage.walk(&owner, "acme/again-2", "deny", &[]).await, Outcome::Declined);
    assert_eq!(stage.walk(&owner, "acme/again-2", "allow", &[]).await, Outcome::NothingGranted);
    assert_eq!(stage.walk(&owner, "acme/again-2", "allow", &["write"]).await, Outcome::NothingGranted, "no scope of the role needs that alone");
    assert_eq!(stage.token(&owner).await.unwrap(), first, "an attempt that fails breaks nothing");
    assert_eq!(stage.walk(&owner, "acme/again-3", "allow", &["api", "write"]).await, connected());
    for account in [&owner, &guest] {
        assert_eq!(stage.owner(&stage.token(account).await.unwrap()), Some(("acme/again-3".into(), true)));
    }
    stage.grants.revoke(&owner).await.unwrap();
    assert_eq!(stage.walk(&owner, "acme/again-4", "allow", &["api", "write"]).await, connected(), "what was revoked is brought back");
    assert_eq!(stage.status(&guest), Status::Active);
}

#[tokio::test]
async fn an_application_may_have_the_last_word_once() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "confirmed", "researcher").await;
    let (begun, link) = stage.begin(&account, Wish { confirmation: Confirmation::Needed, ..ALL }).await;
    assert_eq!(stage.grants.confirm(&account.record.id, &begun.id).await.unwrap_err(), ConfirmError::NothingWaits);
    let (query, browser) = stage.to_callback(&link, "acme/confirmed", "allow", &["api"]).await;
    assert_eq!(stage.callback("crm", &query, Some(&browser)).await, Ok(Outcome::AwaitsConfirmation));
    assert_eq!(stage.status(&account), Status::Pending);
    let other = stage.account("crm", "other", "researcher").await;
    assert_eq!(stage.grants.confirm(&other.record.id, &begun.id).await.unwrap_err(), ConfirmError::NothingWaits);
    let connected = stage.grants.confirm(&account.record.id, &begun.id).await.unwrap();
    assert_eq!(connected.status(), Status::Active);
    assert_eq!(stage.owner(&stage.token(&account).await.unwrap()), Some(("acme/confirmed".into(), true)));
    assert_eq!(stage.grants.confirm(&account.record.id, &begun.id).await.unwrap_err(), ConfirmError::NothingWaits);
}

impl Stage {
    /// An authorization that `who` has finished and the application has not confirmed.
    async fn unconfirmed(&self, account: &ConnectedAccount, who: &str) -> Begun {
        let (begun, link) = self.begin(account, Wish { confirmation: Confirmation::Needed, ..ALL }).await;
        let (query, browser) = self.to_callback(&link, who, "allow", &["api"]).await;
        assert_eq!(self.callback("crm", &query, Some(&browser)).await, Ok(Outcome::AwaitsConfirmation));
        begun
    }

    async fn left_unconfirmed(&self) -> usize {
        self.store.unconfirmed(Unconfirmed::OverBy(self.clock.timestamp())).await.unwrap().len()
    }
}

#[tokio::test]
async fn what_nobody_confirms_is_revoked_at_the_provider_when_its_time_is_over() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "waits", "researcher").await;
    let begun = stage.unconfirmed(&account, "acme/waits").await;
    stage.grants.0.end_unconfirmed().await;
    assert_eq!((stage.left_unconfirmed().await, stage.practice.provider().revoked()), (0, vec![]), "its time is not over");

    stage.advance(24 * 60 * 60);
    stage.policies.store(Arc::new(policies(&stage.practice, "/nowhere")));
    stage.grants.0.end_unconfirmed().await;
    stage.store.sweep(stage.clock.timestamp().plus(Duration::from_hours(48))).await.unwrap();
    assert_eq!(stage.left_unconfirmed().await, 1, "it stays until the provider has heard");
    assert_eq!(stage.grants.confirm(&account.record.id, &begun.id).await.unwrap_err(), ConfirmError::NothingWaits);
    let stage = stage.killed().await;
    stage.policies.store(Arc::new(policies(&stage.practice, "/revoke")));
    stage.grants.start();
    stage.until("the provider is told", |stage| stage.practice.provider().revoked() == [label("waits")]).await;
    while stage.left_unconfirmed().await > 0 {}

    stage.unconfirmed(&account, "acme/unheard").await;
    stage.policies.store(Arc::new(policies(&stage.practice, "/nowhere")));
    stage.advance(48 * 60 * 60 + 1);
    stage.grants.0.end_unconfirmed().await;
    assert_eq!(stage.left_unconfirmed().await, 0, "nor for ever");
}

#[tokio::test]
async fn tokens_that_came_to_nothing_are_left_to_the_provider_where_the_account_works() {
    let stage = Stage::new().await;
    let account = stage.connected("works", None).await;
    stage.unconfirmed(&account, "acme/works").await;
    stage.advance(24 * 60 * 60);
    stage.grants.0.end_unconfirmed().await;
    assert_eq!(stage.walk(&account, "acme/works", "allow", &[]).await, Outcome::NothingGranted);
    assert_eq!((stage.left_unconfirmed().await, stage.practice.provider().revoked()), (0, vec![]));
    assert_eq!(stage.status(&account), Status::Active);
}

#[tokio::test]
async fn a_deleted_account_takes_along_what_nobody_confirmed() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "gone", "researcher").await;
    stage.unconfirmed(&account, "acme/gone").await;
    stage.grants.forget(&account).await.unwrap();
    let told = |stage: &Stage| {
        stage.advance(1);
        stage.practice.provider().revoked() == [label("gone")]
    };
    stage.until("the provider is told", told).await;
    assert!(stage.store.unconfirmed(Unconfirmed::Of(&account.record.id)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_nobody_confirmed_and_does_not_open_keeps_no_account() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "closed", "researcher").await;
    stage.unconfirmed(&account, "acme/closed").await;
    let read = stage.store.unconfirmed(Unconfirmed::Of(&account.record.id)).await.unwrap().remove(0);
    let (version, phase) = (read.version + 1, read.phase.clone().with_sealed(Sealed::from_bytes(vec![0; 64])));
    let spoilt = Change::PutAuthorization { expected: Some(read.version), record: AuthorizationRecord { version, phase, ..read } };
    assert_eq!(stage.directory.apply(vec![spoilt]).await.unwrap(), Applied::Done);
    stage.grants.forget(&account).await.unwrap();
    assert!(stage.directory.by_id(&account.record.id).is_none());
    assert!(stage.store.unconfirmed(Unconfirmed::Of(&account.record.id)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_walk_returns_to_an_allowed_origin_and_nowhere_else() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "returning", "researcher").await;
    for (address, allowed) in [
        ("https://shop.example/done?order=7", true),
        ("https://shop.example", true),
        ("https://SHOP.example:443/x", true),
        ("https://evil.example/done", false),
        ("https://shop.example.evil.example/", false),
        ("http://shop.example/", false),
        ("https://shop.example:8443/", false),
        ("https://shop.example@evil.example/", false),
        ("https://evil@shop.example/", false),
        ("//evil.example/", false),
        ("/done", false),
        ("javascript:alert(1)", false),
        ("", false),
    ] {
        let begun = stage.grants.begin(&account, Wish { return_to: Some(address.into()), ..ALL }).await;
        assert_eq!(begun.is_ok(), allowed, "{address}");
        assert!(allowed || matches!(begun, Err(BeginError::ReturnTo)), "{address}");
    }
    let (_, link) = stage.begin(&account, Wish { return_to: Some("https://shop.example/done?order=7".into()), ..ALL }).await;
    let (query, browser) = stage.to_callback(&link, "acme/returning", "allow", &["api"]).await;
    let finished = stage.grants.callback(&"crm".parse().unwrap(), &query, Some(&browser)).await.unwrap();
    assert_eq!(finished.return_to.unwrap().as_str(), "https://shop.example/done?order=7");
}

#[tokio::test]
async fn variables_come_with_the_token_answer_and_a_second_client_secret_is_tried() {
    let stage = Stage::new().await;
    let account = stage.account("force", "instance", "researcher").await;
    assert_eq!(stage.walk(&account, "acme/instance", "allow", &["api"]).await, connected());
    let grant = stage.now(&account.record).grant.unwrap();
    assert_eq!((grant.expires_at, grant.variables.get("instance_url").unwrap().clone()), (None, "https://acme.my.salesforce.com".to_owned()));
    stage.grants.refresh_now(&stage.now(&account.record)).await.unwrap();
    let grant = stage.now(&account.record).grant.unwrap();
    assert_eq!((grant.expires_at, grant.refreshable, grant.version), (None, true, 2), "an answer without a refresh token keeps the old one");
}
