//! Many accounts with their credentials at once, as JSON lines: all lines of a body, or none of them.
//!
//! Sent again, a body changes nothing: an account that is there stays as it is, and one that has a grant keeps it, for
//! the gateway may have rotated its refresh token since.

use super::accounts::{ATTEMPTS, SharedGrant, admitted, applied, busy, differs, known_role};
use super::credentials::{self, Credential};
use crate::admin::Plane;
use crate::admin::extract::{Filter, Lines};
use crate::admin::problem::{LineFault, Problem};
use crate::admin::strict::{self, Fault};
use crate::chance;
use crate::grants::{BringError, Usable};
use crate::store::{Applied, Change};
use axum::Json;
use axum::extract::State;
use scopegate_core::account::{AccountRecord, GrantFacts, Switch};
use scopegate_core::connector::Connector;
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, ConnectorId, CustomerId, GrantId, Identifier, RoleName};
use scopegate_core::policy::PolicySet;
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use utoipa::{IntoParams, ToSchema};

/// An account that shall be there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Line {
    #[schema(value_type = String)]
    connector: ConnectorId,
    #[schema(value_type = String)]
    identifier: Identifier,
    #[schema(value_type = String)]
    customer: CustomerId,
    #[schema(value_type = String)]
    role: RoleName,
    /// Whose grant it uses: an account that is connected, or a line of the same body that brings a credential.
    grant: Option<SharedGrant>,
    /// Values of variables that are `from: account`.
    #[serde(default)]
    #[schema(value_type = HashMap<String, String>)]
    variables: Variables,
    /// An existing credential, for an account that has no grant yet.
    credentials: Option<Credential>,
}

/// Whether anything is to change.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// Its presence asks for the findings alone; the answer counts what would be done.
    check: Option<String>,
}

/// What was done.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Imported {
    /// Accounts that were not there.
    created: usize,
    /// Accounts that were there and got their credential.
    updated: usize,
    /// Accounts that stay as they are.
    unchanged: usize,
}

/// Makes and connects many accounts: all of the body's lines, or none where one of them is wrong.
#[utoipa::path(post, path = "/v1/accounts:import", tag = "accounts", operation_id = "import_accounts", params(How),
    request_body(content = Line, content_type = "application/jsonl"),
    responses((status = 200, body = Imported), (status = 413, description = "More than 16 MiB"),
        (status = 422, description = "Lines are wrong: `findings` has `line`, `field` and `message` of each")))]
pub(super) async fn import(State(plane): State<Plane>, Filter(how): Filter<How>, lines: Lines) -> Result<Json<Imported>, Problem> {
    let policies = plane.policies.policies();
    let asked = Reading::of(&plane, &policies, &lines)?;
    for _ in 0..ATTEMPTS {
        let steps = asked.steps(&plane)?;
        let imported = Imported::of(&steps);
        if how.check.is_some() {
            return Ok(Json(imported));
        }
        let (changes, grants) = asked.changes(&plane, &steps).await?;
        match applied(&plane, changes).await? {
            Applied::Done => {
                grants.iter().for_each(|facts| plane.grants.keep_fresh(facts));
                return Ok(Json(imported));
            }
            // Somebody else changed one of the accounts meanwhile: look again.
            Applied::Conflict => {}
        }
    }
    Err(busy())
}

/// A line in which everything is known and allowed.
struct Asked {
    number: usize,
    connector: ConnectorId,
    identifier: Identifier,
    customer: CustomerId,
    role: RoleName,
    shared_with: Option<Identifier>,
    variables: Variables,
    credential: Option<Usable>,
}

/// All lines of a body, and where each account stands among them.
struct AskedLines {
    all: Vec<Asked>,
    at: HashMap<(ConnectorId, Identifier), usize>,
}

/// Reads lines, and gathers whatever is wrong with them.
struct Reading<'a> {
    plane: &'a Plane,
    policies: &'a PolicySet,
    lines: AskedLines,
    findings: Vec<LineFault>,
}

impl<'a> Reading<'a> {
    fn of(plane: &'a Plane, policies: &'a PolicySet, lines: &Lines) -> Result<AskedLines, Problem> {
        let mut reading = Self { plane, policies, lines: AskedLines { all: Vec::new(), at: HashMap::new() }, findings: Vec::new() };
        for (number, text) in lines.each() {
            match strict::json::<Line>(text) {
                Ok(line) => reading.take(number, line)?,
                Err(fault) => reading.findings.push(LineFault::new(number, &fault)),
            }
        }
        none_of(reading.findings)?;
        Ok(reading.lines)
    }

    /// Takes a line that is well formed.
    fn take(&mut self, number: usize, line: Line) -> Result<(), Problem> {
        let Line { connector, identifier, customer, role, grant, variables, credentials } = line;
        let mut faults: Vec<Fault> = known_role(self.policies, &role).err().into_iter().collect();
        let place = (connector.clone(), identifier.clone());
        if let Some(first) = self.lines.at.get(&place).and_then(|at| self.lines.all.get(*at)) {
            faults.push(Fault::field("identifier", format_args!("names the account of line {} again", first.number)));
        }
        if grant.is_some() && credentials.is_some() {
            faults.push(Fault::field("credentials", "stands beside `grant`, and an account that shares a grant brings none"));
        }
        let (mut admitted_variables, mut credential) = (Variables::new(), None);
        match self.policies.connector(connector.as_str()) {
            None => faults.push(Fault::field("connector", "is named by no policy")),
            Some(facts) => {
                for (name, value) in &variables {
                    match admitted(facts, name, value, self.plane) {
                        Ok(value) => admitted_variables.insert(name.clone(), value),
                        Err(fault) => faults.push(fault),
                    }
                }
                match credentials.map(|given| self.usable(facts, given)).transpose()? {
                    Some(Ok(usable)) => credential = Some(usable),
                    Some(Err(fault)) => faults.push(fault.within("credentials")),
                    None => {}
                }
            }
        }
        if faults.is_empty() {
            self.lines.at.insert(place, self.lines.all.len());
            let shared_with = grant.map(|grant| grant.shared_with);
            let variables = admitted_variables;
            self.lines.all.push(Asked { number, connector, identifier, customer, role, shared_with, variables, credential });
        }
        self.findings.extend(faults.iter().map(|fault| LineFault::new(number, fault)));
        Ok(())
    }

    fn usable(&self, connector: &Connector, given: Credential) -> Result<Result<Usable, Fault>, Problem> {
        let brought = match credentials::read(given) {
            Ok(brought) => brought,
            Err(fault) => return Ok(Err(fault)),
        };
        match self.plane.grants.check(connector, brought) {
            Ok(usable) => Ok(Ok(usable)),
            Err(BringError::Unusable { field }) => Ok(Err(credentials::unusable(field))),
            Err(BringError::Variable { name, fault }) => Ok(Err(credentials::unfit(&name, fault))),
            Err(BringError::UnknownConnector | BringError::Store) => Err(Problem::unavailable()),
        }
    }
}

/// What is to be done for a line.
enum Step {
    /// The account is not there; whose grant it shares, where it does.
    Create(Option<Owner>),
    /// It is there, without a grant, and the line brings one.
    Connect(AccountRecord),
    /// It is there.
    Nothing,
}

/// Who has the grant that an account shares.
enum Owner {
    /// An account that is connected.
    Account(Box<AccountRecord>),
    /// A line that connects its own.
    Line(usize),
}

impl AskedLines {
    /// What is to be done for each line, as the accounts stand at this moment.
    fn steps(&self, plane: &Plane) -> Result<Vec<Step>, Problem> {
        let mut findings = Vec::new();
        let mut steps = Vec::with_capacity(self.all.len());
        for asked in &self.all {
            match self.step(plane, asked) {
                Ok(step) => steps.push(step),
                Err(fault) => findings.push(LineFault::new(asked.number, &fault)),
            }
        }
        none_of(findings)?;
        Ok(steps)
    }

    fn step(&self, plane: &Plane, asked: &Asked) -> Result<Step, Fault> {
        let owner = asked.shared_with.as_ref().map(|name| self.owner(plane, asked, name)).transpose()?;
        let Some(there) = plane.directory.find(&asked.connector, &asked.identifier) else { return Ok(Step::Create(owner)) };
        let there = &there.record;
        let grant = match &owner {
            Some(Owner::Account(owner)) => owner.grant.as_ref(),
            Some(Owner::Line(_)) => return Err(another("grant")),
            None => None,
        };
        match differs(there, &asked.customer, &asked.role, grant, &asked.variables) {
            Some(field) => Err(another(field)),
            None if there.grant.is_none() && asked.credential.is_some() => Ok(Step::Connect(AccountRecord::clone(there))),
            None => Ok(Step::Nothing),
        }
    }

    fn owner(&self, plane: &Plane, asked: &Asked, name: &Identifier) -> Result<Owner, Fault> {
        const FIELD: &str = "grant.shared_with";
        let there = plane.directory.find(&asked.connector, name);
        let line = self.at.get(&(asked.connector.clone(), name.clone())).copied();
        let in_line = line.and_then(|at| self.all.get(at));
        let customer = there.as_ref().map(|there| &there.record.customer).or(in_line.map(|line| &line.customer));
        match customer {
            None => return Err(Fault::field(FIELD, "names neither an account of this connector nor one of these lines")),
            Some(customer) if *customer != asked.customer => return Err(Fault::field(FIELD, "names another customer's account")),
            Some(_) => {}
        }
        match (there, line) {
            (Some(there), _) if there.record.grant.is_some() => Ok(Owner::Account(Box::new(AccountRecord::clone(&there.record)))),
            (_, Some(at)) if in_line.is_some_and(|line| line.credential.is_some()) => Ok(Owner::Line(at)),
            _ => Err(Fault::field(FIELD, "names an account that is not connected and brings no credential, so it has no grant to share")),
        }
    }

    /// The changes of all steps, and the grants among them.
    async fn changes(&self, plane: &Plane, steps: &[Step]) -> Result<(Vec<Change>, Vec<GrantFacts>), Problem> {
        let now = plane.clock.timestamp();
        let mut made = Made::default();
        for (at, (asked, step)) in self.all.iter().zip(steps).enumerate() {
            let record = match step {
                Step::Create(None) => asked.account(now),
                Step::Connect(there) => AccountRecord { updated_at: now, version: there.version.saturating_add(1), ..there.clone() },
                Step::Create(Some(_)) | Step::Nothing => continue,
            };
            let account = match &asked.credential {
                Some(credential) => made.connected(plane, at, record, credential).await?,
                None => record,
            };
            made.changes.push(if matches!(step, Step::Create(_)) { Change::InsertAccount(account) } else { Change::UpdateAccount(account) });
        }
        for (asked, step) in self.all.iter().zip(steps) {
            if let Step::Create(Some(owner)) = step {
                let grant = made.shared(owner);
                made.changes.push(Change::InsertAccount(AccountRecord { grant, ..asked.account(now) }));
            }
        }
        Ok((made.changes, made.grants))
    }
}

/// Changes as they come together.
#[derive(Default)]
struct Made {
    changes: Vec<Change>,
    grants: Vec<GrantFacts>,
    /// The grants that lines brought.
    of_line: HashMap<usize, GrantId>,
    guarded: HashSet<AccountId>,
}

impl Made {
    /// The account with a grant of its own.
    async fn connected(&mut self, plane: &Plane, at: usize, account: AccountRecord, credential: &Usable) -> Result<AccountRecord, Problem> {
        let grant = plane.grants.first_grant(&account, credential).await.map_err(|_| Problem::unavailable())?;
        let id = grant.facts.id.clone();
        self.of_line.insert(at, id.clone());
        self.grants.push(grant.facts.clone());
        self.changes.push(Change::PutGrant { record: grant, expected: None });
        Ok(AccountRecord { grant: Some(id), ..account })
    }

    /// The grant of `owner`. Counting an account up keeps others from sharing a grant that is replaced or deleted at this moment.
    fn shared(&mut self, owner: &Owner) -> Option<GrantId> {
        match owner {
            Owner::Line(at) => self.of_line.get(at).cloned(),
            Owner::Account(owner) => {
                if self.guarded.insert(owner.id.clone()) {
                    self.changes.push(Change::UpdateAccount(AccountRecord { version: owner.version.saturating_add(1), ..(**owner).clone() }));
                }
                owner.grant.clone()
            }
        }
    }
}

impl Asked {
    /// The account that it asks for, not connected yet.
    fn account(&self, now: Timestamp) -> AccountRecord {
        AccountRecord {
            id: AccountId::from_bytes(chance::bytes()),
            connector: self.connector.clone(),
            identifier: self.identifier.clone(),
            customer: self.customer.clone(),
            role: self.role.clone(),
            switch: Switch::On,
            grant: None,
            variables: self.variables.clone(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

impl Imported {
    fn of(steps: &[Step]) -> Self {
        steps.iter().fold(Self::default(), |mut counted, step| {
            match step {
                Step::Create(_) => counted.created += 1,
                Step::Connect(_) => counted.updated += 1,
                Step::Nothing => counted.unchanged += 1,
            }
            counted
        })
    }
}

fn another(field: &str) -> Fault {
    Fault::field(field, "is another one in the account that is there")
}

fn none_of(mut findings: Vec<LineFault>) -> Result<(), Problem> {
    findings.sort_by_key(LineFault::line);
    if findings.is_empty() { Ok(()) } else { Err(Problem::LinesRejected(findings)) }
}
