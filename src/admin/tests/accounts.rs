//! Accounts and handles.

use super::*;

fn at(identifier: &str) -> String {
    format!("/v1/connectors/crm/accounts/{identifier}")
}

#[tokio::test]
async fn put_makes_an_account_or_gives_the_one_that_is_there() {
    let stage = Stage::new().await;
    let body = json!({"customer": "acme", "role": "researcher", "variables": {"region": "us"}});
    let made = stage.must(201, "PUT", &at("agent"), body.clone()).await;
    assert_eq!(stage.must(200, "PUT", &at("agent"), body.clone()).await, made);
    assert_eq!(stage.must(200, "GET", &at("agent"), None).await, made);
    let expected = json!({"connector": "crm", "identifier": "agent", "customer": "acme", "role": "researcher", "status": "pending",
        "role_scopes": ["accounts:read", "opportunities:read"], "granted_scopes": [], "granted_assumed": false, "expires_at": null,
        "created_at": made["created_at"], "updated_at": made["updated_at"], "variables": {"region": "us"}});
    assert_eq!(made, expected);
    for (field, value) in [("customer", json!("globex")), ("role", json!("publisher")), ("variables", json!({"region": "eu"}))] {
        let mut other = body.clone();
        other[field] = value;
        stage.ask("PUT", &at("agent"), other).await.is_problem(409);
    }
}

#[tokio::test]
async fn an_account_that_makes_no_sense_is_refused_and_not_made() {
    let stage = Stage::new().await;
    let good = json!({"customer": "acme", "role": "researcher"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (path, body, status) in [
        ("/v1/connectors/nosuch/accounts/x".to_owned(), good.clone(), 404),
        (at("x"), with("role", json!("reseacher")), 422),
        (at("x"), json!({"role": "researcher"}), 422),
        (at("x"), json!({"customer": "acme"}), 422),
        (at("x"), json!(["acme", "researcher"]), 422),
        (at("x"), with("customer", json!("a/b")), 422),
        (at("x"), with("variables", json!({"region": "mars"})), 422),
        (at("x"), with("variables", json!({"instance_url": "https://x.example"})), 422),
        (at("x"), with("grant", json!({"shared_with": "nobody"})), 422),
        (at(&"u".repeat(129)), good.clone(), 422),
        (at("sgh_x"), good.clone(), 422),
        (at(".x"), good.clone(), 422),
        (at("a%2Fb"), good.clone(), 422),
    ] {
        stage.ask("PUT", &path, body).await.is_problem(status);
    }
    stage.ask("GET", &at("x"), None).await.is_problem(404);
}

#[tokio::test]
async fn an_identifier_may_stand_encoded_in_the_path() {
    let stage = Stage::new().await;
    let made = stage.must(201, "PUT", &at("0.b_c%3Ad%40e%7Cf%2Bg~h%3Di-j"), json!({"customer": "acme", "role": "researcher"})).await;
    assert_eq!(made["identifier"], "0.b_c:d@e|f+g~h=i-j");
}

#[tokio::test]
async fn a_role_changes_an_account_is_switched_off_and_a_customer_never_changes() {
    let stage = Stage::new().await;
    let path = stage.connected("agent", "researcher", "api").await;
    assert_eq!(stage.must(200, "PATCH", &path, json!({"role": "publisher"})).await["role"], "publisher");
    assert_eq!(stage.must(200, "PATCH", &path, json!({"status": "disabled"})).await["status"], "disabled");
    assert_eq!(stage.must(200, "PATCH", &path, json!({"status": "active"})).await["status"], "active");
    assert_eq!(stage.must(200, "PATCH", &path, json!({})).await["role"], "publisher");
    for body in [json!({"role": "nosuch"}), json!({"customer": "globex"}), json!({"status": "revoked"})] {
        stage.ask("PATCH", &path, body).await.is_problem(422);
    }
    stage.ask("PATCH", &at("nobody"), json!({"role": "publisher"})).await.is_problem(404);
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_its_handles() {
    let stage = Stage::new().await;
    let path = stage.connected("agent", "researcher", "api").await;
    let handle = stage.must(201, "POST", &format!("{path}/handles"), json!({})).await;
    assert_eq!(stage.ask("DELETE", &path, None).await.status, 204);
    stage.ask("GET", &path, None).await.is_problem(404);
    stage.ask("DELETE", &path, None).await.is_problem(404);
    let again = stage.must(201, "PUT", &path, json!({"customer": "globex", "role": "researcher"})).await;
    assert_eq!(again["status"], "pending");
    stage.ask("DELETE", &format!("{path}/handles/{}", handle["id"].as_str().unwrap()), None).await.is_problem(404);
}

#[tokio::test]
async fn accounts_are_listed_by_each_filter_and_a_long_list_goes_on_at_its_cursor() {
    let stage = Stage::new().await;
    stage.connected("b", "publisher", "api write").await;
    for (identifier, customer, role) in
        [("a", "acme", "researcher"), ("c", "globex", "publisher"), ("d", "globex", "researcher"), ("e", "globex", "researcher")]
    {
        stage.must(201, "PUT", &at(identifier), json!({"customer": customer, "role": role})).await;
    }
    for (query, expected) in [
        ("", "a b c d e"),
        ("?customer=acme", "a b"),
        ("?role=publisher", "b c"),
        ("?status=active", "b"),
        ("?connector=keys", ""),
        ("?customer=globex&role=researcher&status=pending", "d e"),
    ] {
        let page = stage.must(200, "GET", &format!("/v1/accounts{query}"), None).await;
        let names: Vec<_> = page["accounts"].as_array().unwrap().iter().map(|one| one["identifier"].as_str().unwrap()).collect();
        assert_eq!((names.join(" ").as_str(), &page["cursor"]), (expected, &Value::Null), "{query}");
    }
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = stage.must(200, "GET", &format!("/v1/accounts?{query}"), None).await;
        seen.extend(page["accounts"].as_array().unwrap().iter().map(|one| one["identifier"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    stage.ask("GET", "/v1/accounts?cursor=x", None).await.is_problem(422);
}

#[tokio::test]
async fn a_grant_is_shared_within_a_customer_and_never_beyond() {
    let stage = Stage::new().await;
    stage.account("owner", "publisher").await;
    let shared = |customer: &str| json!({"customer": customer, "role": "researcher", "grant": {"shared_with": "owner"}});
    stage.ask("PUT", &at("early"), shared("acme")).await.is_problem(409);
    let tokens = stage.practice.provider().seed(&label("owner"), "api write");
    stage.must(200, "PUT", &at("owner/credentials"), tokens.credentials()).await;
    let guest = stage.must(201, "PUT", &at("guest"), shared("acme")).await;
    assert_eq!((&guest["status"], &guest["role_scopes"]), (&json!("active"), &json!(["accounts:read", "opportunities:read"])));
    assert_eq!(stage.must(200, "PUT", &at("guest"), shared("acme")).await, guest);
    stage.ask("PUT", &at("thief"), shared("globex")).await.is_problem(409);
    stage.ask("GET", &at("thief"), None).await.is_problem(404);
    stage.must(200, "POST", &at("guest/revoke"), None).await;
    assert_eq!(stage.status(&at("owner")).await, "revoked");
}

#[tokio::test]
async fn a_handle_is_shown_once_listed_without_itself_and_taken_away() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let minted = stage.must(201, "POST", &format!("{path}/handles"), json!({"ttl": "15m"})).await;
    let handle = minted["handle"].as_str().unwrap();
    assert!(handle.starts_with("sgh_") && handle.len() >= 26, "{handle}");
    let endless = stage.must(201, "POST", &format!("{path}/handles"), None).await;
    assert!(endless["expires_at"].is_null() && minted["expires_at"].is_string());
    let listed = stage.ask("GET", &format!("{path}/handles"), None).await;
    assert_eq!(listed.json["handles"].as_array().unwrap().len(), 2, "{listed:?}");
    assert!(listed.json["handles"].to_string().contains(minted["id"].as_str().unwrap()) && !listed.text.contains(handle), "{listed:?}");
    let one = format!("{path}/handles/{}", minted["id"].as_str().unwrap());
    let other = stage.account("other", "researcher").await;
    stage.ask("DELETE", &one.replace(&path, &other), None).await.is_problem(404);
    assert_eq!(stage.ask("DELETE", &one, None).await.status, 204);
    stage.ask("DELETE", &one, None).await.is_problem(404);
    stage.ask("DELETE", &format!("{path}/handles/nonsense"), None).await.is_problem(404);
    for ttl in [json!(0), json!("soon"), json!(-1), json!(1.5), json!("11y")] {
        stage.ask("POST", &format!("{path}/handles"), json!({"ttl": ttl})).await.is_problem(422);
    }
    stage.ask("POST", &at("nobody/handles"), json!({})).await.is_problem(404);
}

#[tokio::test]
async fn a_handle_for_an_identifier_needs_a_customer_that_has_it() {
    let stage = Stage::new().await;
    stage.account("agent", "researcher").await;
    let path = "/v1/identifiers/agent/handles";
    let minted = stage.must(201, "POST", path, json!({"customer": "acme", "ttl": 60})).await;
    stage.ask("POST", path, json!({"customer": "globex"})).await.is_problem(404);
    stage.ask("POST", "/v1/identifiers/nobody/handles", json!({"customer": "acme"})).await.is_problem(404);
    stage.ask("POST", "/v1/identifiers/sgh_x/handles", json!({"customer": "acme"})).await.is_problem(422);
    assert_eq!(stage.must(200, "GET", &format!("{path}?customer=acme"), None).await["handles"].as_array().unwrap().len(), 1);
    assert_eq!(stage.must(200, "GET", &format!("{path}?customer=globex"), None).await["handles"], json!([]));
    let one = format!("{path}/{}", minted["id"].as_str().unwrap());
    stage.ask("DELETE", &one.replace("agent", "other"), None).await.is_problem(404);
    assert_eq!(stage.ask("DELETE", &one, None).await.status, 204);
    stage.ask("DELETE", &one, None).await.is_problem(404);
}
