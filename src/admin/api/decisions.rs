//! Dry runs: the decision that the proxy would make, and why. Nothing is opened, and nothing leaves.

use crate::admin::Plane;
use crate::admin::extract::Body;
use crate::admin::problem::{Problem, Thing};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use scopegate_core::account::{ConnectedAccount, GrantStanding, Granted, Standing, Switch};
use scopegate_core::connector::Connector;
use scopegate_core::id::{ConnectorId, Identifier, RoleName};
use scopegate_core::policy::{Explanation, PolicySet, explain, explain_ambiguity};
use scopegate_core::refusal::Reason;
use scopegate_core::request::{Request, dropped_headers};
use scopegate_core::scope::ProviderScope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A request that nobody sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Supposed {
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// An account of the connector, with its role and grant; or else `role`.
    #[schema(value_type = Option<String>)]
    account: Option<Identifier>,
    /// A role, as if an account had it; or else `account`.
    #[schema(value_type = Option<String>)]
    role: Option<RoleName>,
    /// Provider scopes, as if the customer had granted them; left out: those of the account, or all that the role needs.
    #[schema(value_type = Option<Vec<String>>)]
    granted: Option<Vec<ProviderScope>>,
    /// As in a request line.
    method: String,
    /// Path and query as in a request line, without the connector.
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body as text.
    body: Option<String>,
}

/// What the proxy would decide.
#[derive(Serialize, ToSchema)]
pub(super) struct Judgement {
    /// `decision`, `reason`, `operation`, `required`, `missing`, `explanation` and more.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    explanation: Map<String, Value>,
    /// Headers of the request that would not reach the API.
    dropped_headers: Vec<String>,
}

/// Decides a request without sending it.
#[utoipa::path(post, path = "/v1/decisions", tag = "decisions", operation_id = "decide", request_body = Supposed,
    responses((status = 200, description = "The decision, whatever it is", body = Judgement), (status = 404, description = "Unknown connector or account"),
        (status = 422, description = "Neither `account` nor `role`, or both; an unknown role")))]
pub(super) async fn judge(State(plane): State<Plane>, Body(supposed): Body<Supposed>) -> Result<Json<Judgement>, Problem> {
    let policies = plane.policies.policies();
    let connector = policies.connector(supposed.connector.as_str()).ok_or(Problem::Unknown(Thing::Connector))?;
    let granted = supposed.granted.clone().map(Granted::of);
    match (&supposed.account, &supposed.role) {
        (Some(identifier), None) => {
            let account = plane.directory.find(&connector.id, identifier).ok_or(Problem::Unknown(Thing::Account))?;
            let standing = Standing { grant: granted.as_ref().map_or(account.standing().grant, GrantStanding::Live), ..account.standing() };
            judged(&policies, connector, &standing, &supposed).map(|judgement| Json(judgement.of_account(&account)))
        }
        (None, Some(role)) => {
            if !policies.has_role(role) {
                return Err(Problem::field("role", "is named by no policy"));
            }
            let granted = granted.unwrap_or(Granted::Assumed);
            judged(&policies, connector, &Standing { role, grant: GrantStanding::Live(&granted) }, &supposed).map(Json)
        }
        (None, None) => Err(Problem::field("account", "is missing: name an `account`, or a `role`")),
        (Some(_), Some(_)) => Err(Problem::field("role", "stands beside `account`: name one of them")),
    }
}

fn judged(policies: &PolicySet, connector: &Connector, standing: &Standing<'_>, supposed: &Supposed) -> Result<Judgement, Problem> {
    let headers: Vec<_> = supposed.headers.clone().into_iter().collect();
    let body = supposed.body.clone().map(Bytes::from);
    match Request::read(&supposed.method, &supposed.target, &headers, body) {
        Ok(request) => Judgement::of(&explain(policies, &connector.id, standing, &request), dropped_headers(&request, connector)),
        Err(ambiguity) => Judgement::of(&explain_ambiguity(policies, &connector.id, standing, &supposed.method, ambiguity), Vec::new()),
    }
}

impl Judgement {
    fn of(explanation: &Explanation, dropped_headers: Vec<String>) -> Result<Self, Problem> {
        match serde_json::to_value(explanation) {
            Ok(Value::Object(explanation)) => Ok(Self { explanation, dropped_headers }),
            Ok(_) | Err(_) => Err(Problem::Refused {
                reason: Reason::PolicyUnavailable,
                sentence: "this decision cannot be written as JSON".into(),
                retry_after: None,
            }),
        }
    }

    /// To agents an account that is switched off does not exist, whatever the rules would say.
    fn of_account(mut self, account: &ConnectedAccount) -> Self {
        if account.record.switch == Switch::Off {
            self.explanation.insert("decision".into(), json!("deny"));
            self.explanation.insert("reason".into(), json!(Reason::UnknownAccount.as_str()));
            self.explanation.insert("explanation".into(), json!(["The account is disabled: to agents it does not exist."]));
        }
        self
    }
}
