//! What tests look at: which operations, and which pairs of role and operation.

use super::case::CaseOutcome;
use super::decision::{Operations, Ruling};
use super::set::PolicySet;
use crate::id::{ConnectorId, OperationId, RoleName};
use serde::Serialize;
use std::collections::BTreeSet;

/// What tests look at, and what they do not.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Coverage {
    /// Operations that some request of a test was decided as.
    pub operations: Share,
    /// The same, with the role that asked.
    pub pairs: Share,
    /// Operations that no test looks at, by connector and id.
    pub untested: Vec<(ConnectorId, OperationId)>,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Share {
    /// So many.
    pub tested: usize,
    /// Of so many.
    pub of: usize,
}

impl Share {
    /// Rounded down, so that 100 says all; where there is nothing, all of it is tested.
    #[must_use]
    pub fn percent(self) -> usize {
        self.tested.saturating_mul(100).checked_div(self.of).unwrap_or(100)
    }
}

/// What the outcomes looked at of these connectors. Pairs are those of roles that may use the connector.
#[must_use]
pub fn coverage(policies: &PolicySet, connectors: &BTreeSet<ConnectorId>, outcomes: &[CaseOutcome<'_>]) -> Coverage {
    let mut seen: BTreeSet<(&ConnectorId, &OperationId)> = BTreeSet::new();
    let mut seen_by: BTreeSet<(&RoleName, &ConnectorId, &OperationId)> = BTreeSet::new();
    for outcome in outcomes {
        let (connector, role) = (&outcome.case.connector, &outcome.case.role);
        for operation in decided_as(&outcome.ruling).into_iter().flat_map(Operations::done) {
            seen.insert((connector, &operation.id));
            seen_by.insert((role, connector, &operation.id));
        }
    }
    let mut made = Coverage::default();
    for connector in connectors {
        let ids: BTreeSet<&OperationId> = policies.operations(connector).map(|operation| &operation.id).collect();
        let roles: Vec<&RoleName> = policies.roles().filter(|role| policies.may_use(role, connector)).collect();
        for id in ids {
            made.operations.count(seen.contains(&(connector, id)));
            roles.iter().for_each(|role| made.pairs.count(seen_by.contains(&(*role, connector, id))));
            if !seen.contains(&(connector, id)) {
                made.untested.push((connector.clone(), id.clone()));
            }
        }
    }
    made
}

impl Share {
    fn count(&mut self, tested: bool) {
        self.of += 1;
        self.tested += usize::from(tested);
    }
}

fn decided_as(ruling: &Ruling) -> Option<&Operations> {
    match ruling {
        Ruling::Allow(allowance) => Some(&allowance.operations),
        Ruling::ReadBody(operations) => Some(operations),
        Ruling::Deny(denial) => denial.operations(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Origin, Source, compile, run};
    use std::collections::BTreeMap;

    #[test]
    fn what_was_decided_as_an_operation_is_tested_whatever_came_of_it() {
        let text = "version: 1
connectors:
  shop:
    upstream: https://shop.example
    scopes: {a: , b: }
    operations:
      - {id: one, match: [GET /one, GET /uno], require: a}
      - {id: two, match: GET /two, require: b}
      - {id: three, match: GET /three, require: b}
roles:
  reader: {allow: {shop: [a]}}
  boss: {allow: {shop: [a, b]}}
tests:
  - {name: t, role: reader, requests: [shop GET /one -> allow one, shop GET /two -> deny role_lacks_scope, shop GET /four -> deny unknown_operation]}
";
        let compiled = compile(&[Source { name: "p.yaml".into(), text: text.into(), origin: Origin::Own }], &BTreeMap::new());
        let policies = compiled.policies.unwrap();
        let made = coverage(&policies, &compiled.own, &run(&policies, &compiled.cases));
        assert_eq!((made.operations, made.pairs), (Share { tested: 2, of: 3 }, Share { tested: 2, of: 6 }));
        assert_eq!((made.operations.percent(), made.pairs.percent(), Share::default().percent()), (66, 33, 100));
        let untested: Vec<String> = made.untested.iter().map(|(connector, id)| format!("{connector} {id}")).collect();
        assert_eq!(untested, ["shop three"]);
    }
}
