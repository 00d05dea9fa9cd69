//! Which role may do which operation.

use super::probe::{self, Answer, Probed};
use super::set::PolicySet;
use crate::account::Granted;
use crate::id::RoleName;
use serde::Serialize;

/// Which role may do which operation, whatever customers granted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Matrix {
    /// The columns, sorted by name.
    pub roles: Vec<RoleName>,
    /// By connector and operation.
    pub rows: Vec<Row>,
}

/// One operation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Row {
    /// Which.
    #[serde(flatten)]
    pub probed: Probed,
    /// What each role comes to, in the order of the columns.
    pub answers: Vec<Answer>,
}

/// The matrix of all connectors that some role may use.
#[must_use]
pub fn matrix(policies: &PolicySet) -> Matrix {
    let roles: Vec<RoleName> = policies.roles().cloned().collect();
    let used = policies.connectors().filter(|connector| roles.iter().any(|role| policies.may_use(role, &connector.id)));
    let probes = used.flat_map(|connector| probe::probes(policies, &connector.id));
    let row = |probe: probe::Probe| {
        let answers = roles.iter().map(|role| probe::answer(policies, role, &Granted::Assumed, &probe)).collect();
        Row { probed: probe.probed, answers }
    };
    let mut rows: Vec<Row> = probes.map(row).collect();
    rows.sort_by(|left, right| left.probed.cmp(&right.probed));
    Matrix { roles, rows }
}
