//! The reasons against a request, in the order in which they are asked for.

use super::Asker;
use crate::account::GrantStanding;
use crate::connector::Risk;
use crate::policy::decision::{Allowance, Contained, Denial, DeniedBy, Lack, Operations};
use crate::policy::operation::Need;
use crate::policy::rules::{Meant, Rule, product};
use crate::policy::scopes::Coverage;
use crate::request::Ambiguity;
use crate::scope::{Requirement, ScopeSet};
use bytes::Bytes;

/// What has to be allowed together: the operations that a request is, or a part of it.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) meant: Meant<'a>,
    /// What its content reads besides.
    pub(super) reads: Vec<Read<'a>>,
    /// The part of a batch, from 1; none for the request itself.
    pub(super) part: Option<usize>,
}

/// Something that content reads.
#[derive(Clone, Debug)]
pub(super) struct Read<'a> {
    pub(super) requirement: &'a Requirement,
    pub(super) what: Contained,
}

/// What scopes count as held by the role.
#[derive(Clone, Copy)]
enum Held<'a> {
    These(&'a ScopeSet),
    /// Shadow mode: as if it held everything.
    Everything,
}

impl Held<'_> {
    fn has(self, alternative: &ScopeSet) -> bool {
        match self {
            Self::These(held) => alternative.is_subset(held),
            Self::Everything => true,
        }
    }
}

impl<'a> Group<'a> {
    pub(super) fn of(meant: Meant<'a>) -> Self {
        Self { meant, reads: Vec::new(), part: None }
    }

    fn requirements(&self) -> impl Iterator<Item = &'a Requirement> {
        self.meant.requirements().chain(self.reads.iter().map(|read| read.requirement))
    }

    fn is_capability(&self) -> bool {
        self.meant.rules().iter().any(|rule| rule.operation.risk == Risk::Capability)
    }
}

impl<'a> Asker<'a> {
    /// What comes of these groups: all of them have to be allowed. `body` is the body anew.
    pub(super) fn verdict(&self, groups: &[Group<'a>], body: impl FnOnce() -> Result<Option<Bytes>, Ambiguity>) -> Result<Allowance, Denial> {
        self.denied(groups)?;
        let shadow = self.role_lacks(groups)?;
        self.status(groups)?;
        self.consent_lacks(groups, shadow.is_some())?;
        let body = body().map_err(Denial::Ambiguous)?;
        Ok(Allowance { operations: self.operations(groups), body, shadow })
    }

    /// Whether one operation alone is allowed, whatever its content needs.
    pub(super) fn may(&self, rule: &Rule) -> bool {
        let (Some(ceiling), GrantStanding::Live(granted)) = (self.ceiling, self.grant) else { return false };
        let (held, coverage) = (ceiling.held_for(std::iter::once(&*rule.operation)), Coverage::from(granted));
        let is_met =
            |alternative: &ScopeSet| alternative.is_subset(held) && alternative.iter().all(|number| self.rules.scopes.covers(coverage, number));
        !ceiling.denies(&rule.operation.id) && matches!(rule.operation.need, Need::Scopes(_)) && rule.requirement.alternatives().iter().any(is_met)
    }

    /// The operations of the request as they stand in an answer, with what its content holds.
    pub(super) fn operations(&self, groups: &[Group<'a>]) -> Operations {
        match groups {
            [] => Operations::new([].into(), [].into()),
            [request, parts @ ..] => self.operations_with(request, parts),
        }
    }

    /// The operations of one group, as if it were the request itself.
    fn operations_of(&self, group: &Group<'a>) -> Operations {
        self.operations_with(group, &[])
    }

    fn operations_with(&self, request: &Group<'a>, parts: &[Group<'a>]) -> Operations {
        let own = request.meant.operations(&self.rules.scopes);
        if parts.is_empty() && request.reads.is_empty() {
            return own;
        }
        let of_part = |part: &Group<'a>| Contained::Part(self.operations_of(part));
        let contained = request.reads.iter().map(|read| read.what.clone()).chain(parts.iter().map(of_part)).collect();
        let all = std::iter::once(request).chain(parts);
        own.containing(product(all.flat_map(Group::requirements), &self.rules.scopes), contained)
    }

    fn denied(&self, groups: &[Group<'a>]) -> Result<(), Denial> {
        let by_role = |rule: &&Rule| self.ceiling.is_some_and(|ceiling| ceiling.denies(&rule.operation.id));
        let by_need = |rule: &&Rule| match &rule.operation.need {
            Need::Denied(sentence) => Some(DeniedBy::Author(sentence.clone())),
            Need::Unknown => Some(DeniedBy::UnknownNeed),
            Need::Scopes(_) => None,
        };
        for group in groups {
            let rules = group.meant.rules();
            let by = if rules.iter().any(by_role) { Some(DeniedBy::Role) } else { rules.iter().find_map(by_need) };
            if let Some(by) = by {
                return Err(self.in_batch(groups, group, || None, |operations| Denial::OperationDenied { operations, by }));
            }
        }
        Ok(())
    }

    /// What the role lacks where shadow mode lets it through.
    fn role_lacks(&self, groups: &[Group<'a>]) -> Result<Option<Lack>, Denial> {
        let holds = |group: &&Group<'a>| self.ceiling.is_some() && self.meets(group, |alternative| alternative.is_subset(self.held(group)));
        let Some(first) = groups.iter().find(|group| !holds(group)) else { return Ok(None) };
        let lack = || self.lack_of_all(groups, |group| self.role_lack(group));
        let is_capability = |group: &Group<'a>| !holds(&group) && group.is_capability();
        if self.rules.shadowed.contains(self.role) && !groups.iter().any(is_capability) {
            let lack = lack();
            if !self.opens_credentials(&lack) {
                return Ok(Some(lack));
            }
        }
        let own = self.role_lack(first);
        Err(self.in_batch(groups, first, || Some(lack()), |operations| Denial::RoleLacksScope { operations, lack: own }))
    }

    fn role_lack(&self, group: &Group<'a>) -> Lack {
        let held = self.held(group);
        Lack::fewest(self.operations_of(group).required(), |name| self.rules.scopes.holds(held, name))
    }

    /// Whether a scope that lacks opens other credentials, or implies one that does: shadow mode never gives it.
    fn opens_credentials(&self, lack: &Lack) -> bool {
        lack.missing_scopes.iter().any(|scope| self.rules.connector.opens_credentials(scope))
    }

    fn status(&self, groups: &[Group<'a>]) -> Result<(), Denial> {
        match self.grant {
            GrantStanding::Live(_) => Ok(()),
            GrantStanding::Ended => Err(Denial::ReauthorizationRequired { operations: self.operations(groups) }),
            GrantStanding::Missing => {
                let lack = self.lack_of_all(groups, |group| self.consent_lack(group, Held::These(self.held(group)), Coverage::Nothing));
                Err(Denial::ConsentRequired { operations: self.operations(groups), lack, connected: false })
            }
        }
    }

    fn consent_lacks(&self, groups: &[Group<'a>], shadow: bool) -> Result<(), Denial> {
        let GrantStanding::Live(granted) = self.grant else { return Ok(()) };
        let coverage = Coverage::from(granted);
        let held = |group: &Group<'a>| if shadow { Held::Everything } else { Held::These(self.held(group)) };
        let covers = |group: &&Group<'a>| {
            let held = held(group);
            self.meets(group, |alternative| held.has(alternative) && alternative.iter().all(|number| self.rules.scopes.covers(coverage, number)))
        };
        let Some(first) = groups.iter().find(|group| !covers(group)) else { return Ok(()) };
        let lack = || self.lack_of_all(groups, |group| self.consent_lack(group, held(group), coverage));
        let own = self.consent_lack(first, held(first), coverage);
        let denial = |operations| Denial::ConsentRequired { operations, lack: own, connected: true };
        Err(self.in_batch(groups, first, || Some(lack()), denial))
    }

    /// Counts what lacks over the alternatives that the role holds.
    fn consent_lack(&self, group: &Group<'a>, held: Held<'_>, coverage: Coverage<'_>) -> Lack {
        let operations = self.operations_of(group);
        let of_role = operations.required().iter().filter(|alternative| match held {
            Held::These(held) => alternative.iter().all(|name| self.rules.scopes.holds(held, name)),
            Held::Everything => true,
        });
        let covered = self.rules.scopes.covered(coverage);
        Lack::fewest(of_role, |name| self.rules.scopes.holds(&covered, name))
    }

    fn lack_of_all(&self, groups: &[Group<'a>], lack: impl Fn(&Group<'a>) -> Lack) -> Lack {
        groups.iter().map(lack).reduce(Lack::and).unwrap_or_default()
    }

    /// The denial of a part denies the batch; that of the request itself is its own.
    fn in_batch(
        &self,
        groups: &[Group<'a>],
        group: &Group<'a>,
        lack: impl FnOnce() -> Option<Lack>,
        denial: impl FnOnce(Operations) -> Denial,
    ) -> Denial {
        match group.part {
            None => denial(self.operations(groups)),
            Some(part) => {
                let denial = Box::new(denial(self.operations_of(group)));
                Denial::InBatch { operations: self.operations(groups), lack: lack(), part, denial }
            }
        }
    }

    /// Whether everything that is needed has an alternative of which `met` is true.
    fn meets(&self, group: &Group<'a>, met: impl Fn(&ScopeSet) -> bool) -> bool {
        group.requirements().all(|requirement| requirement.alternatives().iter().any(&met))
    }

    /// The scopes that the role may use for these operations.
    fn held(&self, group: &Group<'a>) -> &'a ScopeSet {
        const NOTHING: &ScopeSet = &ScopeSet::EMPTY;
        self.ceiling.map_or(NOTHING, |ceiling| ceiling.held_for(group.meant.rules().iter().map(|rule| &*rule.operation)))
    }
}
