//! Connected accounts: get-or-create, read, list, change, delete.

use crate::admin::Plane;
use crate::admin::extract::{AccountParams, AccountPlace, Body, Existing, Filter};
use crate::admin::page::{AccountsAfter, Limit};
use crate::admin::problem::{Problem, Thing};
use crate::admin::strict::Fault;
use crate::chance;
use crate::directory::AccountFilter;
use crate::grants::NotForgotten;
use crate::store::{Applied, Change};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use scopegate_core::account::{AccountRecord, ConnectedAccount, Granted, Status, Switch};
use scopegate_core::connector::variables::Variables;
use scopegate_core::connector::{Connector, Source};
use scopegate_core::id::{AccountId, ConnectorId, CustomerId, GrantId, Identifier, RoleName};
use scopegate_core::policy::PolicySet;
use scopegate_core::scope::Scope;
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How often a change is tried again when somebody else changes the same account.
pub(super) const ATTEMPTS: usize = 8;

/// A connected account. Holds no secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    #[schema(value_type = String)]
    connector: ConnectorId,
    #[schema(value_type = String)]
    identifier: Identifier,
    #[schema(value_type = String)]
    customer: CustomerId,
    #[schema(value_type = String)]
    role: RoleName,
    /// `pending`, `active`, `reauthorization_required`, `disabled` or `revoked`.
    #[schema(value_type = String)]
    status: Status,
    /// The gateway scopes that the role allows.
    #[schema(value_type = Vec<String>)]
    role_scopes: Vec<Scope>,
    /// The gateway scopes that the customer granted, whatever the role.
    #[schema(value_type = Vec<String>)]
    granted_scopes: Vec<Scope>,
    /// Whether nobody said what was granted, so that it counts as what the role needs.
    granted_assumed: bool,
    /// When the access token ends; none: not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Values of the connector's variables: those of the account, and those that came with its grant.
    #[schema(value_type = HashMap<String, String>)]
    variables: Variables,
}

impl Account {
    /// The account as the policies in force see it.
    pub(super) fn of(account: &ConnectedAccount, policies: &PolicySet) -> Self {
        let record = &account.record;
        let role_scopes = policies.role_scopes(&record.role, &record.connector);
        let granted = account.grant.as_deref().map(|grant| &grant.granted);
        let granted_scopes = match granted {
            None => Vec::new(),
            Some(Granted::Assumed) => role_scopes.clone(),
            Some(Granted::Scopes(scopes)) => policies.covered_by(&record.connector, scopes),
        };
        let mut variables = record.variables.clone();
        if let Some(grant) = &account.grant {
            variables.extend(grant.variables.clone());
        }
        Self {
            connector: record.connector.clone(),
            identifier: record.identifier.clone(),
            customer: record.customer.clone(),
            role: record.role.clone(),
            status: account.status(),
            role_scopes,
            granted_scopes,
            granted_assumed: matches!(granted, Some(Granted::Assumed)),
            expires_at: account.grant.as_ref().and_then(|grant| grant.expires_at),
            created_at: record.created_at,
            updated_at: record.updated_at,
            variables,
        }
    }

    /// The account of that place, as it stands at this moment.
    pub(super) fn at(plane: &Plane, account: &AccountRecord) -> Result<Json<Self>, Problem> {
        let found = plane.directory.by_id(&account.id).ok_or(Problem::Unknown(Thing::Account))?;
        Ok(Json(Self::of(&found, &plane.policies.policies())))
    }
}

/// An account that shall be there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Whose data it is. Never changes.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// The ceiling of its scopes.
    #[schema(value_type = String)]
    role: RoleName,
    /// Whose grant it uses; left out: one of its own.
    grant: Option<SharedGrant>,
    /// Values of variables that are `from: account`.
    #[serde(default)]
    #[schema(value_type = HashMap<String, String>)]
    variables: Variables,
}

/// A grant that another account of the same customer holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SharedGrant {
    /// An account of the same connector and customer that is connected.
    #[schema(value_type = String)]
    pub(super) shared_with: Identifier,
}

/// Makes the account, or gives the one that is there.
#[utoipa::path(put, path = "/v1/connectors/{connector}/accounts/{identifier}", tag = "accounts", operation_id = "ensure_account",
    params(AccountParams), request_body = Wanted,
    responses((status = 201, description = "It was made", body = Account), (status = 200, description = "It was there", body = Account),
        (status = 404, description = "Unknown connector"), (status = 409, description = "It is there and differs, or the grant is another customer's"),
        (status = 422, description = "Unknown role, or a name or value that is not allowed")))]
pub(super) async fn ensure(
    State(plane): State<Plane>,
    place: AccountPlace,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let connector = place.facts(&plane)?;
    let policies = plane.policies.policies();
    known_role(&policies, &wanted.role)?;
    let admit = |(name, value): (&String, &String)| Ok::<_, Fault>((name.clone(), admitted(&connector, name, value, &plane)?));
    let variables = wanted.variables.iter().map(admit).collect::<Result<Variables, _>>()?;
    for _ in 0..ATTEMPTS {
        let owner = wanted.grant.as_ref().map(|shared| owner(&plane, &place.connector, &wanted.customer, shared)).transpose()?;
        let grant = owner.as_ref().and_then(|owner| owner.grant.clone());
        if let Some(there) = plane.directory.find(&place.connector, &place.identifier) {
            if let Some(differs) = differs(&there.record, &wanted.customer, &wanted.role, grant.as_ref(), &variables) {
                let sentence = format!("this account exists with another `{differs}`; PATCH changes a role, everything else needs a new account");
                return Err(Problem::Conflict(sentence));
            }
            return Ok((StatusCode::OK, Json(Account::of(&there, &policies))));
        }
        let now = plane.clock.timestamp();
        let record = AccountRecord {
            id: AccountId::from_bytes(chance::bytes()),
            connector: place.connector.clone(),
            identifier: place.identifier.clone(),
            customer: wanted.customer.clone(),
            role: wanted.role.clone(),
            switch: Switch::On,
            grant,
            variables: variables.clone(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        // Counting the owner up keeps this from taking over a grant that is replaced or deleted at this moment.
        let guard = owner.map(|mut owner| {
            owner.version += 1;
            Change::UpdateAccount(owner)
        });
        let changes = guard.into_iter().chain([Change::InsertAccount(record.clone())]).collect();
        match applied(&plane, changes).await? {
            Applied::Done => return Ok((StatusCode::CREATED, Account::at(&plane, &record)?)),
            // Somebody else made it meanwhile: look again.
            Applied::Conflict => {}
        }
    }
    Err(busy())
}

pub(super) fn known_role(policies: &PolicySet, role: &RoleName) -> Result<(), Fault> {
    if policies.has_role(role) { Ok(()) } else { Err(Fault::field("role", "is named by no policy")) }
}

/// The value of one of an account's own variables, as templates take it.
pub(super) fn admitted(connector: &Connector, name: &str, value: &str, plane: &Plane) -> Result<String, Fault> {
    let field = format!("variables.{}", name.chars().take(64).collect::<String>());
    let variable = connector.variables.get(name).filter(|variable| variable.from == Source::Account);
    let variable = variable.ok_or_else(|| Fault::field(&field, "is no variable of this connector that an account brings"))?;
    variable.rule.admit(value, plane.plain_http).map_err(|fault| Fault::field(&field, format_args!("is not allowed: {fault}")))
}

/// The account that is named; it is the same customer's and has a grant to share.
fn owner(plane: &Plane, connector: &ConnectorId, customer: &CustomerId, shared: &SharedGrant) -> Result<AccountRecord, Problem> {
    let owner = plane.directory.find(connector, &shared.shared_with);
    let owner = owner.ok_or_else(|| Problem::field("grant.shared_with", "names no account of this connector"))?;
    if owner.record.customer != *customer {
        return Err(Problem::Conflict("a grant is never shared between customers, and `grant.shared_with` is another customer's account".into()));
    }
    if owner.record.grant.is_none() {
        return Err(Problem::Conflict("the account of `grant.shared_with` is not connected yet, so it has no grant to share".into()));
    }
    Ok((*owner.record).clone())
}

/// In what the account that is there is not the one that is wanted; none: it is.
pub(super) fn differs(
    there: &AccountRecord,
    customer: &CustomerId,
    role: &RoleName,
    grant: Option<&GrantId>,
    variables: &Variables,
) -> Option<&'static str> {
    if there.customer != *customer {
        Some("customer")
    } else if there.role != *role {
        Some("role")
    } else if grant.is_some() && there.grant.as_ref() != grant {
        Some("grant")
    } else if !variables.is_empty() && there.variables != *variables {
        Some("variables")
    } else {
        None
    }
}

/// Reads the account.
#[utoipa::path(get, path = "/v1/connectors/{connector}/accounts/{identifier}", tag = "accounts", operation_id = "show_account",
    params(AccountParams), responses((status = 200, body = Account), (status = 404, description = "Unknown connector or account")))]
pub(super) async fn show(State(plane): State<Plane>, Existing(account): Existing) -> Json<Account> {
    Json(Account::of(&account, &plane.policies.policies()))
}

/// What shall be different. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    /// Another ceiling; holds for the next request.
    #[schema(value_type = Option<String>)]
    role: Option<RoleName>,
    /// `active` or `disabled`. Disabling keeps the grant; `active` takes it back into use.
    status: Option<NewStatus>,
}

/// What an operator may set.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NewStatus {
    Active,
    Disabled,
}

/// Changes role or status.
#[utoipa::path(patch, path = "/v1/connectors/{connector}/accounts/{identifier}", tag = "accounts", operation_id = "change_account",
    params(AccountParams), request_body = Changed,
    responses((status = 200, body = Account), (status = 404, description = "Unknown connector or account"), (status = 422, description = "Unknown role or status")))]
pub(super) async fn change(State(plane): State<Plane>, place: AccountPlace, Body(changed): Body<Changed>) -> Result<Json<Account>, Problem> {
    place.find(&plane)?;
    if let Some(role) = &changed.role {
        known_role(&plane.policies.policies(), role)?;
    }
    for _ in 0..ATTEMPTS {
        let account = place.find(&plane)?;
        let mut record = (*account.record).clone();
        if let Some(role) = &changed.role {
            record.role = role.clone();
        }
        match changed.status {
            Some(NewStatus::Active) => record.switch = Switch::On,
            Some(NewStatus::Disabled) => record.switch = Switch::Off,
            None => {}
        }
        if record == *account.record {
            return Account::at(&plane, &record);
        }
        record.version += 1;
        record.updated_at = plane.clock.timestamp();
        match applied(&plane, vec![Change::UpdateAccount(record.clone())]).await? {
            Applied::Done => return Account::at(&plane, &record),
            // Somebody else changed it meanwhile: begin with what there is.
            Applied::Conflict => {}
        }
    }
    Err(busy())
}

/// Deletes the account with its handles; its tokens go with the last account that shares them.
#[utoipa::path(delete, path = "/v1/connectors/{connector}/accounts/{identifier}", tag = "accounts", operation_id = "delete_account",
    params(AccountParams), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown connector or account")))]
pub(super) async fn delete(State(plane): State<Plane>, Existing(account): Existing) -> Result<StatusCode, Problem> {
    plane.grants.forget(&account).await.map_err(|NotForgotten::Store| Problem::unavailable())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which accounts to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    #[param(value_type = Option<String>)]
    role: Option<RoleName>,
    /// `pending`, `active`, `reauthorization_required`, `disabled` or `revoked`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// The `cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<AccountsAfter>,
    /// 1 to 1000; left out: 100.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    limit: Limit,
}

/// One page of accounts, by customer, connector and identifier.
#[derive(Serialize, ToSchema)]
pub(super) struct Accounts {
    accounts: Vec<Account>,
    /// Where the next page begins; none: this is the last.
    cursor: Option<String>,
}

/// Lists accounts.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", operation_id = "list_accounts",
    params(Which), responses((status = 200, body = Accounts), (status = 422, description = "A filter that is unknown or not well formed")))]
pub(super) async fn list(State(plane): State<Plane>, Filter(which): Filter<Which>) -> Result<Json<Accounts>, Problem> {
    let Which { connector, customer, role, status, cursor, limit } = which;
    let filter = AccountFilter { connector, customer, role, status };
    let page = plane.accounts(filter, cursor.map(|after| after.0), limit.0).await.ok_or_else(Problem::unavailable)?;
    let policies = plane.policies.policies();
    let accounts = page.accounts.iter().map(|account| Account::of(account, &policies)).collect();
    Ok(Json(Accounts { accounts, cursor: page.next.map(|next| next.to_string()) }))
}

/// Applies changes; readers see them before this returns.
pub(super) async fn applied(plane: &Plane, changes: Vec<Change>) -> Result<Applied, Problem> {
    plane.directory.apply(changes).await.map_err(|failure| Problem::store(&failure))
}

pub(super) fn busy() -> Problem {
    Problem::Conflict("others keep changing this account; try again".into())
}
