//! Many accounts at once.

use super::*;

const IMPORT: &str = "/v1/accounts:import";

impl Stage {
    async fn import(&self, path: &str, lines: &[Value]) -> Came {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.send("POST", path, Some(TOKEN), Some(body)).await
    }

    async fn imported(&self, lines: &[Value]) -> [u64; 3] {
        let came = self.import(IMPORT, lines).await;
        assert_eq!(came.status, 200, "{came:?}");
        counts(&came)
    }

    async fn accounts(&self) -> Vec<String> {
        let listed = self.must(200, "GET", "/v1/accounts?limit=1000", None).await;
        let row = |account: &Value| {
            format!("{} {} {}", account["identifier"].as_str().unwrap(), account["role"].as_str().unwrap(), account["status"].as_str().unwrap())
        };
        listed["accounts"].as_array().unwrap().iter().map(row).collect()
    }
}

fn counts(came: &Came) -> [u64; 3] {
    ["created", "updated", "unchanged"].map(|name| came.json[name].as_u64().unwrap())
}

fn line(identifier: &str, more: Value) -> Value {
    let mut line = json!({"connector": "crm", "identifier": identifier, "customer": "acme", "role": "researcher"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn tokens(number: usize) -> Value {
    json!({"credentials": {"access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"), "expires_in": 3600, "scope": "api write"}})
}

#[tokio::test]
async fn a_body_makes_and_connects_its_accounts_and_sent_again_changes_nothing() {
    let stage = Stage::new().await;
    stage.account("pending", "researcher").await;
    let lines = [
        line("sharer", json!({"role": "publisher", "grant": {"shared_with": "owner"}})),
        line("owner", tokens(1)),
        line("pending", tokens(2)),
        line("bare", json!({"variables": {"region": "us"}})),
        json!({"connector": "keys", "identifier": "owner", "customer": "globex", "role": "researcher", "credentials": {"api_key": "k"}}),
    ];
    let check = stage.import(&format!("{IMPORT}?check"), &lines).await;
    assert_eq!((check.status, counts(&check)), (200, [4, 1, 0]));
    assert_eq!(stage.accounts().await, ["pending researcher pending"]);
    assert_eq!(stage.imported(&lines).await, [4, 1, 0]);
    let there =
        ["bare researcher pending", "owner researcher active", "pending researcher active", "sharer publisher active", "owner researcher active"];
    assert_eq!(stage.accounts().await, there);
    let shown = stage.must(200, "GET", "/v1/connectors/crm/accounts/sharer", None).await;
    assert_eq!(shown["granted_scopes"], json!(["accounts:read", "opportunities:read", "opportunities:write"]));
    assert_eq!(stage.imported(&lines).await, [0, 0, 5]);
    assert_eq!(stage.accounts().await, there);
}

#[tokio::test]
async fn an_account_that_has_a_grant_keeps_it() {
    let stage = Stage::new().await;
    let path = stage.connected("there", "researcher", "api").await;
    let before = stage.must(200, "GET", &path, None).await;
    assert_eq!(stage.imported(&[line("there", tokens(1)), line("sharer", json!({"grant": {"shared_with": "there"}}))]).await, [1, 0, 1]);
    assert_eq!(stage.must(200, "GET", &path, None).await, before);
    stage.must(200, "POST", &format!("{path}/revoke"), None).await;
    assert_eq!(stage.imported(&[line("there", tokens(1))]).await, [0, 0, 1]);
    assert_eq!(stage.status(&path).await, "revoked");
}

#[tokio::test]
async fn what_is_imported_is_used_and_refreshed_like_anything_else() {
    let stage = Stage::new().await;
    let mut seeded = json!({"credentials": stage.practice.provider().seed(&label("user"), "api").credentials()});
    seeded["credentials"]["expires_in"] = json!(3600);
    assert_eq!(stage.imported(&[line("user", seeded)]).await, [1, 0, 0]);
    stage.must(200, "POST", "/v1/connectors/crm/accounts/user/refresh", None).await;
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test]
async fn one_wrong_line_keeps_all_of_them_out_and_every_finding_is_told() {
    let stage = Stage::new().await;
    stage.account("there", "researcher").await;
    stage.must(201, "PUT", "/v1/connectors/crm/accounts/foreign", json!({"customer": "globex", "role": "researcher"})).await;
    let table = [
        (json!({"connector": "crm"}), "identifier", "`identifier` is missing"),
        (line("a", json!({"rolle": "canary"})), "rolle", "is not known here"),
        (line("a", json!({"customer": "can ary"})), "customer", "is not a valid customer"),
        (line("a", json!({"connector": "nosuch"})), "connector", "is named by no policy"),
        (line("a", json!({"role": "nosuch"})), "role", "is named by no policy"),
        (line("a", json!({"variables": {"region": "canary"}})), "variables.region", "is not allowed"),
        (line("a", json!({"variables": {"canary": "x"}})), "variables.canary", "is no variable"),
        (line("a", json!({"credentials": {}})), "credentials.access_token", "is missing"),
        (line("a", json!({"credentials": {"access_token": "can ary"}})), "credentials.access_token", "a request can carry"),
        (line("a", json!({"credentials": {"acess_token": "canary"}})), "credentials.acess_token", "is not known here"),
        (line("a", json!({"credentials": {"access_token": "canary", "variables": {"x": "y"}}})), "credentials.variables.x", "is no variable"),
        (line("a", json!({"credentials": {"api_key": "canary"}, "grant": {"shared_with": "there"}})), "credentials", "stands beside `grant`"),
        (line("a", json!({"grant": {"shared_with": "nobody"}})), "grant.shared_with", "names neither"),
        (line("a", json!({"grant": {"shared_with": "there"}})), "grant.shared_with", "is not connected"),
        (line("a", json!({"grant": {"shared_with": "foreign"}})), "grant.shared_with", "another customer's"),
        (line("there", json!({"customer": "globex"})), "customer", "is another one"),
        (line("there", json!({"role": "publisher"})), "role", "is another one"),
        (line("there", json!({"variables": {"region": "us"}})), "variables", "is another one"),
        (line("good", json!({})), "identifier", "the account of line 1 again"),
    ];
    for (wrong, field, message) in &table {
        let came = stage.import(IMPORT, &[line("good", json!({})), wrong.clone()]).await;
        came.is_problem(422);
        let findings = came.json["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{wrong}: {came:?}");
        assert_eq!((&findings[0]["line"], &findings[0]["field"]), (&json!(2), &json!(field)), "{wrong}: {came:?}");
        assert!(findings[0]["message"].as_str().unwrap().contains(message), "{wrong}: {came:?}");
        assert!(!came.text.contains("canary") || field.contains("canary"), "no value is repeated: {came:?}");
    }
    assert_eq!(stage.accounts().await, ["there researcher pending", "foreign researcher pending"]);

    let body = "{\n\n\"x\"\n[]\n{\"connector\": \"crm\", \"connector\": \"crm\"}\n";
    let came = stage.send("POST", IMPORT, Some(TOKEN), Some(body.into())).await;
    let told: Vec<_> = came.json["findings"].as_array().unwrap().iter().map(|one| (one["line"].as_u64().unwrap(), one["field"].is_null())).collect();
    assert_eq!(told, [(1, true), (3, true), (4, true), (5, true)], "{came:?}");
    let both = [line("a", json!({"role": "nosuch", "connector": "nosuch"})), line("b", json!({"role": "nosuch"}))];
    let came = stage.import(&format!("{IMPORT}?check"), &both).await;
    let told: Vec<_> = came.json["findings"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(told, [1, 1, 2], "{came:?}");
}
