//! What came out: values that say all that the answer and the audit need.

use super::operation::Operation;
use crate::account::AccountRecord;
use crate::id::OperationId;
use crate::inspect::GraphqlKind;
use crate::request::Ambiguity;
use crate::scope::Scope;
use arcstr::ArcStr;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// The answer of [`super::judge`]. It opens nothing.
#[derive(Clone, Debug)]
#[must_use]
pub enum Ruling {
    /// It may be done.
    Allow(Allowance),
    /// The body decides: read it whole and ask again.
    ReadBody(Operations),
    /// It may not be done.
    Deny(Denial),
}

/// What may be done, and how.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// The operations that the request is.
    pub operations: Operations,
    /// The body that is sent, written anew; none: as it came.
    pub body: Option<Bytes>,
    /// What the role lacks although shadow mode lets it through.
    pub shadow: Option<Lack>,
}

/// The answer of [`super::decide`]: a decision is a value, needs no I/O and cannot fail.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// Forward it. Only this permit opens the grant.
    Permit(Permit),
    /// The body decides: read it whole and ask again.
    ReadBody(Operations),
    /// Answer it here; nothing leaves the gateway.
    Deny(Denial),
}

/// Proof that [`super::decide`] allowed these operations to this account. Private
/// fields and no constructor: nothing else can make one.
#[derive(Debug)]
pub struct Permit {
    account: Arc<AccountRecord>,
    allowance: Allowance,
}

impl Permit {
    pub(super) fn new(account: Arc<AccountRecord>, allowance: Allowance) -> Self {
        Self { account, allowance }
    }

    /// The account that it was made for.
    #[must_use]
    pub fn account(&self) -> &Arc<AccountRecord> {
        &self.account
    }

    /// The operations that it allows.
    #[must_use]
    pub fn operations(&self) -> &Operations {
        &self.allowance.operations
    }

    /// All that was allowed.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }
}

/// The operations that a request is: one, or several that all have to be allowed. Never empty; sorted by id.
#[derive(Clone, Debug)]
pub struct Operations(Arc<Listed>);

#[derive(Debug)]
struct Listed {
    name: ArcStr,
    all: Arc<[Arc<Operation>]>,
    required: Arc<[Vec<Scope>]>,
    contained: Box<[Contained]>,
}

/// Something that the content of a request holds, as the policy calls it.
#[derive(Clone, Debug)]
pub enum Contained {
    /// A query reads this object.
    Object(String),
    /// A GraphQL request asks for this root field.
    Field(GraphqlKind, String),
    /// A part of a batch is these operations.
    Part(Operations),
}

impl Operations {
    /// `all` sorted by id and not empty; `required` the product of what they need, `[]` where nothing is.
    pub(super) fn new(all: Arc<[Arc<Operation>]>, required: Arc<[Vec<Scope>]>) -> Self {
        Self(Arc::new(Listed { name: joined(&all), all, required, contained: Box::default() }))
    }

    /// The same with what the content holds.
    pub(super) fn containing(&self, required: Arc<[Vec<Scope>]>, contained: Box<[Contained]>) -> Self {
        let Listed { name, all, .. } = &*self.0;
        Self(Arc::new(Listed { name: name.clone(), all: Arc::clone(all), required, contained }))
    }

    /// What the content holds, as far as it was read: objects and fields, or the parts of a batch in order.
    #[must_use]
    pub fn contained(&self) -> &[Contained] {
        &self.0.contained
    }

    /// The operations of the parts of a batch, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        self.0.contained.iter().filter_map(|one| match one {
            Contained::Part(operations) => Some(operations),
            Contained::Object(_) | Contained::Field(..) => None,
        })
    }

    /// Each operation that is done, those of a batch's parts too, as often as it is.
    pub fn done(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.all().iter().chain(self.parts().flat_map(Self::all))
    }

    /// Each operation, by id.
    #[must_use]
    pub fn all(&self) -> &[Arc<Operation>] {
        &self.0.all
    }

    /// Their ids, sorted, each once.
    pub fn ids(&self) -> impl Iterator<Item = &OperationId> {
        ids(&self.0.all)
    }

    /// Their ids joined with `+`: `report.left+report.right`.
    #[must_use]
    pub fn name(&self) -> &ArcStr {
        &self.0.name
    }

    /// All alternatives, each a list of scopes; `[]` where nothing is needed.
    #[must_use]
    pub fn required(&self) -> &[Vec<Scope>] {
        &self.0.required
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub fn shared_required(&self) -> &Arc<[Vec<Scope>]> {
        &self.0.required
    }

    /// The connector's other origin that they go to, where they name one; all of them name the same.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.all().iter().find_map(|operation| operation.host.as_deref())
    }

    /// Whether a `Location` to another origin passes: all of them have to say so.
    #[must_use]
    pub fn redirect_passes(&self) -> bool {
        self.all().iter().all(|operation| operation.redirect_passes)
    }

    /// Whether a 401 means that nothing was executed: all of them have to say so.
    #[must_use]
    pub fn replay_after_401(&self) -> bool {
        self.all().iter().all(|operation| operation.replay_after_401)
    }
}

/// Their name.
impl fmt::Display for Operations {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0.name)
    }
}

fn ids(operations: &[Arc<Operation>]) -> impl Iterator<Item = &OperationId> {
    let mut last = None;
    operations.iter().map(|operation| &operation.id).filter(move |id| last.replace(*id) != Some(*id))
}

fn joined(operations: &[Arc<Operation>]) -> ArcStr {
    match operations {
        [only] => only.id.to_shared(),
        several => ids(several).map(OperationId::as_str).collect::<Vec<_>>().join("+").into(),
    }
}

/// What lacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lack {
    /// The alternative that lacks fewest (the first such).
    pub required_scopes: Vec<Scope>,
    /// What of it is not held.
    pub missing_scopes: Vec<Scope>,
}

impl Lack {
    /// What the alternative lacks that lacks fewest, the first such; nothing where there is no alternative.
    pub(super) fn fewest<'a>(alternatives: impl IntoIterator<Item = &'a Vec<Scope>>, is_held: impl Fn(&Scope) -> bool) -> Self {
        let missing = |alternative: &'a Vec<Scope>| alternative.iter().filter(|name| !is_held(name));
        let Some(least) = alternatives.into_iter().min_by_key(|alternative| missing(alternative).count()) else { return Self::default() };
        Self { required_scopes: least.clone(), missing_scopes: missing(least).cloned().collect() }
    }

    /// Both together, each scope once.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (into, more) in [(&mut self.required_scopes, other.required_scopes), (&mut self.missing_scopes, other.missing_scopes)] {
            for scope in more {
                if !into.contains(&scope) {
                    into.push(scope);
                }
            }
        }
        self
    }
}

/// Why not.
#[derive(Clone, Debug)]
pub enum Denial {
    /// The request has more than one reading, as this connector reads it.
    Ambiguous(Ambiguity),
    /// No document names this operation.
    UnknownOperation,
    /// A query reads, or a GraphQL request asks for, what the operation does not name.
    Undeclared {
        /// Which operations.
        operations: Operations,
        /// What it is.
        what: Undeclared,
    },
    /// A part of a batch is refused, and with it the batch.
    InBatch {
        /// Which operations the batch is.
        operations: Operations,
        /// What all parts lack together.
        lack: Option<Lack>,
        /// The part, from 1: the first that has this reason.
        part: usize,
        /// Why the part is refused.
        denial: Box<Self>,
    },
    /// A role's `deny`, the author's own sentence, or a need that nobody knows.
    OperationDenied {
        /// Which operations.
        operations: Operations,
        /// Who says so.
        by: DeniedBy,
    },
    /// No alternative lies in what the role allows: delegate, or ask an administrator.
    RoleLacksScope {
        /// Which operations.
        operations: Operations,
        /// What lacks; both lists are empty where the role has no entry for the connector and nothing is needed.
        lack: Lack,
    },
    /// The role would do; the customer has not granted it: ask the customer.
    ConsentRequired {
        /// Which operations.
        operations: Operations,
        /// What lacks; counted over the alternatives that the role holds.
        lack: Lack,
        /// Whether the account is connected at all.
        connected: bool,
    },
    /// The role would do; the grant has ended: ask the customer to connect again.
    ReauthorizationRequired {
        /// Which operations.
        operations: Operations,
    },
}

/// Something that an operation does not name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undeclared {
    /// An object of `soql`, or a relationship that leads to none.
    Object,
    /// A root field of `graphql`.
    Field(GraphqlKind),
}

/// Why not, as the contract names it; in the order in which they are asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialReason {
    /// More than one reading.
    AmbiguousRequest,
    /// Nothing declared.
    UnknownOperation,
    /// A role's `deny`, the author's own sentence, or a need that nobody knows.
    OperationDenied,
    /// The role does not allow it.
    RoleLacksScope,
    /// The grant has ended.
    ReauthorizationRequired,
    /// The customer has not granted it.
    ConsentRequired,
}

impl std::fmt::Display for DenialReason {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.as_str())
    }
}

impl DenialReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AmbiguousRequest,
        Self::UnknownOperation,
        Self::OperationDenied,
        Self::RoleLacksScope,
        Self::ReauthorizationRequired,
        Self::ConsentRequired,
    ];

    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmbiguousRequest => "ambiguous_request",
            Self::UnknownOperation => "unknown_operation",
            Self::OperationDenied => "operation_denied",
            Self::RoleLacksScope => "role_lacks_scope",
            Self::ConsentRequired => "consent_required",
            Self::ReauthorizationRequired => "reauthorization_required",
        }
    }
}

impl Denial {
    /// The same for a request whose content nobody has read.
    pub(super) fn without_contained(mut self) -> Self {
        match &mut self {
            Self::Undeclared { operations, .. }
            | Self::InBatch { operations, .. }
            | Self::OperationDenied { operations, .. }
            | Self::RoleLacksScope { operations, .. }
            | Self::ConsentRequired { operations, .. }
            | Self::ReauthorizationRequired { operations } => {
                *operations = operations.containing(Arc::clone(&operations.0.required), Box::default());
            }
            Self::Ambiguous(_) | Self::UnknownOperation => {}
        }
        self
    }

    /// Its reason.
    #[must_use]
    pub const fn reason(&self) -> DenialReason {
        match self {
            Self::Ambiguous(_) => DenialReason::AmbiguousRequest,
            Self::UnknownOperation | Self::Undeclared { .. } => DenialReason::UnknownOperation,
            Self::InBatch { denial, .. } => denial.reason(),
            Self::OperationDenied { .. } => DenialReason::OperationDenied,
            Self::RoleLacksScope { .. } => DenialReason::RoleLacksScope,
            Self::ConsentRequired { .. } => DenialReason::ConsentRequired,
            Self::ReauthorizationRequired { .. } => DenialReason::ReauthorizationRequired,
        }
    }

    /// The operations that it is about; none where none is known.
    #[must_use]
    pub const fn operations(&self) -> Option<&Operations> {
        match self {
            Self::Ambiguous(_) | Self::UnknownOperation => None,
            Self::Undeclared { operations, .. }
            | Self::InBatch { operations, .. }
            | Self::OperationDenied { operations, .. }
            | Self::RoleLacksScope { operations, .. }
            | Self::ConsentRequired { operations, .. }
            | Self::ReauthorizationRequired { operations } => Some(operations),
        }
    }

    /// What lacks; none where it is not for lack of a scope.
    #[must_use]
    pub const fn lack(&self) -> Option<&Lack> {
        match self {
            Self::RoleLacksScope { lack, .. } | Self::ConsentRequired { lack, .. } => Some(lack),
            Self::InBatch { lack, .. } => lack.as_ref(),
            Self::Ambiguous(_)
            | Self::UnknownOperation
            | Self::Undeclared { .. }
            | Self::OperationDenied { .. }
            | Self::ReauthorizationRequired { .. } => None,
        }
    }
}

/// Who denies an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeniedBy {
    /// The role's `deny`.
    Role,
    /// The author's sentence on the operation.
    Author(String),
    /// Nobody knows what it needs.
    UnknownNeed,
}
