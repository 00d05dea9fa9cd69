//! Credentials that are brought, and the end of a grant for all that share it.

use super::*;
use scopegate_core::connector::variables::NotAllowed;
use scopegate_core::secret::{AccessToken, ApiKey};

#[tokio::test]
async fn a_revocation_holds_here_and_at_the_provider_for_all_that_share_the_grant() {
    let stage = Stage::new().await;
    let owner = stage.connected("owner", None).await;
    let guest = stage.guest("guest", &owner).await;
    let mut early = stage.open(&owner).await.unwrap();
    assert_eq!(stage.grants.revoke(&guest).await, Ok(AtProvider::Confirmed));
    assert_eq!(stage.practice.provider().revoked(), [label("owner")]);
    assert_eq!([stage.status(&owner), stage.status(&guest)], [Status::Revoked; 2]);
    assert_eq!(early.after_401(Replayable::Yes).await, After401::Refuse(NoToken::ReauthorizationRequired));
    assert_eq!(stage.grants.refresh_now(&stage.now(&owner.record)).await, Err(NoToken::ReauthorizationRequired));
    let record = stage.store.grant(owner.record.grant.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!((stage.grants.0.unseal(&record).await.unwrap().is_some(), record.intent), (false, None), "no secret is left of it");
    assert_eq!(stage.grants.revoke(&guest).await, Ok(AtProvider::NoEndpoint), "once is enough");
}

#[tokio::test]
async fn deleting_ends_a_grant_with_the_last_account_that_shares_it() {
    let stage = Stage::new().await;
    let owner = stage.connected("first", None).await;
    let guest = stage.guest("second", &owner).await;
    stage.grants.forget(&owner).await.unwrap();
    assert!(stage.token(&guest).await.is_ok());
    assert_eq!(stage.practice.provider().revoked(), []);
    let grant = guest.record.grant.clone().unwrap();
    stage.grants.forget(&guest).await.unwrap();
    assert!(stage.directory.by_id(&guest.record.id).is_none());
    stage.until("the provider is told", |stage| stage.practice.provider().revoked() == [label("first")]).await;
    stage.until("the grant is gone", |stage| stage.directory.grant(&grant).is_none()).await;
    assert!(stage.store.grant(&grant).await.unwrap().is_none());
}

#[tokio::test]
async fn a_provider_that_is_deaf_is_told_again_also_after_a_kill() {
    let stage = Stage::new().await;
    let account = stage.connected("unheard", None).await;
    stage.policies.store(Arc::new(policies(&stage.practice, "/nowhere")));
    assert_eq!(stage.grants.revoke(&account).await, Ok(AtProvider::NotYet));
    assert_eq!(stage.status(&account), Status::Revoked);
    let stage = stage.killed().await;
    stage.policies.store(Arc::new(policies(&stage.practice, "/revoke")));
    stage.grants.start();
    let told = |stage: &Stage| {
        stage.advance(1);
        stage.practice.provider().revoked() == [label("unheard")]
    };
    stage.until("the provider is told again", told).await;
}

#[tokio::test]
async fn a_grant_that_is_connected_again_is_not_revoked_at_the_provider_any_more() {
    let stage = Stage::new().await;
    let [again, ended] = [stage.connected("again", None).await, stage.connected("ended", None).await];
    stage.policies.store(Arc::new(policies(&stage.practice, "/nowhere")));
    for account in [&again, &ended] {
        assert_eq!(stage.grants.revoke(account).await, Ok(AtProvider::NotYet));
    }
    let tokens = stage.practice.provider().seed(&label("again"), "api");
    stage.bring(&again, tokens.access_token.reveal(), Some(tokens.refresh_token.reveal()), None).await;
    stage.policies.store(Arc::new(policies(&stage.practice, "/revoke")));
    let heard = |stage: &Stage| {
        stage.advance(1);
        stage.practice.provider().revoked().contains(&label("ended"))
    };
    stage.until("the provider hears of the other one", heard).await;
    for _ in 0..1_000 {
        stage.advance(1);
        tokio::task::yield_now().await;
    }
    assert_eq!((stage.practice.provider().revoked(), stage.status(&again)), (vec![label("ended")], Status::Active));
}

#[tokio::test]
async fn whoever_begins_to_share_a_grant_while_its_last_account_is_deleted_keeps_it() {
    let stage = Stage::new().await;
    let owner = stage.connected("leaves", None).await;
    let grant = owner.record.grant.clone().unwrap();
    // As the admin plane does it: the owner's version is counted up with it.
    let guest = stage.guest("stays", &owner).await;
    let counted = AccountRecord { version: owner.record.version + 1, ..AccountRecord::clone(&owner.record) };
    assert_eq!(stage.directory.apply(vec![Change::UpdateAccount(counted)]).await.unwrap(), Applied::Done);
    // Whoever deletes the account has read it before that.
    assert_eq!(stage.grants.0.end_behind(&grant, Some(&owner.record)).await.unwrap(), Applied::Conflict);
    assert_eq!(stage.grants.0.forget_as_it_is(&owner.record).await.unwrap(), Applied::Conflict);
    assert_eq!([stage.status(&owner), stage.status(&guest)], [Status::Active; 2]);
    stage.grants.forget(&owner).await.unwrap();
    assert!(stage.directory.by_id(&owner.record.id).is_none() && stage.token(&guest).await.is_ok());
    assert_eq!(stage.practice.provider().revoked(), []);
}

#[tokio::test]
async fn what_does_not_open_can_be_revoked_and_deleted() {
    let stage = Stage::new().await;
    let accounts = [stage.connected("revoked", None).await, stage.connected("deleted", None).await];
    let database = rusqlite::Connection::open(stage.folder.path().join("data/scopegate.db")).unwrap();
    database.execute("UPDATE grants SET sealed = zeroblob(length(sealed))", []).unwrap();
    drop(database);
    let stage = stage.killed().await;
    let [revoked, deleted] = accounts;
    assert_eq!(stage.open(&revoked).await.unwrap_err(), NoToken::Store);
    assert_eq!(stage.grants.revoke(&revoked).await, Ok(AtProvider::NoEndpoint));
    assert_eq!(stage.status(&revoked), Status::Revoked);
    stage.grants.forget(&deleted).await.unwrap();
    stage.until("nothing of it is left", |stage| stage.directory.grant(deleted.record.grant.as_ref().unwrap()).is_none()).await;
    stage.grants.forget(&revoked).await.unwrap();
    assert_eq!((stage.practice.provider().revoked(), stage.directory.by_id(&revoked.record.id).is_none()), (vec![], true));
}

#[tokio::test]
async fn only_what_a_request_can_carry_and_rules_allow_is_taken() {
    let stage = Stage::new().await;
    let tokens = |access: &str| BroughtCredential::Tokens { access: AccessToken::new(access.into()), refresh: None, expires_in: None, scope: None };
    let basic = || BroughtCredential::Basic { user: "me".into(), password: ApiKey::new("pw".into()) };
    let instance = |value: &str| Variables::from([("instance_url".to_owned(), value.to_owned())]);
    let variable = |name: &str, fault| Err(BringError::Variable { name: name.into(), fault });
    let unusable = |field| Err(BringError::Unusable { field });
    for (number, (connector, credential, variables, taken)) in [
        ("crm", tokens("at-1"), Variables::new(), Ok(())),
        ("crm", tokens("at 1"), Variables::new(), unusable("access_token")),
        ("crm", tokens("at\r\n"), Variables::new(), unusable("access_token")),
        ("crm", tokens(""), Variables::new(), unusable("access_token")),
        ("crm", basic(), Variables::new(), Ok(())),
        ("keys", basic(), Variables::new(), unusable("basic")),
        ("crm", tokens("at-1"), Variables::from([("region".to_owned(), "eu".to_owned())]), variable("region", VariableFault::Unknown)),
        ("force", tokens("at-1"), Variables::new(), variable("instance_url", VariableFault::Missing)),
        ("force", tokens("at-1"), instance("https://one.force.example"), Ok(())),
        (
            "force",
            tokens("at-1"),
            instance("https://one.force.example@evil.example"),
            variable("instance_url", VariableFault::NotAllowed(NotAllowed::NoOrigin)),
        ),
        ("force", tokens("at-1"), instance("https://evil.example"), variable("instance_url", VariableFault::NotAllowed(NotAllowed::OtherHost))),
    ]
    .into_iter()
    .enumerate()
    {
        let account = stage.account(connector, &format!("brought_{number}"), "researcher").await;
        let result = stage.grants.bring(&account.record, Brought { credential, variables }).await.map(drop);
        assert_eq!(result, taken, "{number}");
        assert_eq!(stage.status(&account), if taken.is_ok() { Status::Active } else { Status::Pending }, "{number}");
    }
}

#[tokio::test]
async fn what_is_brought_takes_the_place_of_what_was_there_for_all_that_share_it() {
    let stage = Stage::new().await;
    let owner = stage.connected("before", Some(100)).await;
    let guest = stage.guest("beside", &owner).await;
    stage.bring(&owner, "at-other", None, None).await;
    for account in [&owner, &guest] {
        assert_eq!(stage.token(account).await.unwrap(), "at-other");
    }
}

#[tokio::test]
async fn what_a_credential_does_not_bring_along_is_looked_up_with_it() {
    let stage = Stage::new().await;
    let account = stage.account("teams", "looked_up", "researcher").await;
    let bring = async |access: &str, team: Option<&str>| {
        let credential = BroughtCredential::Tokens { access: AccessToken::new(access.into()), refresh: None, expires_in: None, scope: None };
        let variables = team.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect();
        stage.grants.bring(&account.record, Brought { credential, variables }).await
    };
    let tokens = stage.practice.provider().seed(&label("looked_up"), "api");
    let team = async |team| bring(tokens.access_token.reveal(), team).await.unwrap().grant.unwrap().variables.get("team").cloned();
    assert_eq!(team(None).await.as_deref(), Some("T-7"));
    let asked = stage.practice.api().requests();
    assert_eq!(team(Some("T-8")).await.as_deref(), Some("T-8"), "what is said is not asked");
    assert_eq!(stage.practice.api().requests(), asked);
    let nobodys = bring("not-a-token", None).await;
    assert_eq!(nobodys.unwrap_err(), BringError::Variable { name: "team".into(), fault: VariableFault::NotTold });
}
