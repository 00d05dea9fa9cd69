//! Past requests, decided anew: as far as method and path tell.

use super::decision::Ruling;
use super::probe::Answer;
use super::set::{PolicySet, judge};
use crate::account::{GrantStanding, Granted, Standing};
use crate::id::{ConnectorId, RoleName};
use crate::request::Request;

/// A request that was decided before, as far as anybody kept it.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The connector.
    pub connector: &'a ConnectorId,
    /// Who asked.
    pub role: &'a RoleName,
    /// The method.
    pub method: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// Whether it became a WebSocket.
    pub websocket: bool,
}

/// What would come of a past request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Again {
    /// This, for these operations.
    Decided(Answer, Option<String>),
    /// Query or body would tell, and nobody kept them.
    CannotTell,
}

/// Decides a past request anew, for a customer who granted all that the role needs.
#[must_use]
pub fn again(policies: &PolicySet, past: &Past<'_>) -> Again {
    let Ok(request) = Request::read(past.method, past.path, &[], None) else { return Again::CannotTell };
    let request = Request { websocket: past.websocket, ..request };
    let found = policies.rules(past.connector).map(|rules| rules.find(&request));
    let tells = |operation: &super::operation::Operation| operation.narrow.is_empty() && operation.content.is_none();
    if found.is_some_and(|found| !found.into_operations().all(|operation| tells(operation))) {
        return Again::CannotTell;
    }
    let standing = Standing { role: past.role, grant: GrantStanding::Live(&Granted::Assumed) };
    match judge(policies, past.connector, &standing, &request) {
        Ruling::Allow(allowance) => {
            let answer = if allowance.shadow.is_some() { Answer::Shadow } else { Answer::Allow };
            Again::Decided(answer, Some(allowance.operations.to_string()))
        }
        Ruling::ReadBody(_) => Again::CannotTell,
        Ruling::Deny(denial) => Again::Decided(Answer::Deny(denial.reason()), denial.operations().map(ToString::to_string)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DenialReason;
    use crate::policy::fixture::{assemble, by_query, connector, operation, role};
    use crate::policy::operation::Operation;

    #[test]
    fn method_and_path_tell_unless_an_operation_asks_for_more() {
        let operations = vec![
            operation("get", "GET /items/{id}", "r"),
            operation("put", "PUT /items/{id}", "w"),
            Operation { narrow: vec![by_query("own", "1")], ..operation("own", "GET /mine", "w") },
            Operation { websocket: true, ..operation("live", "GET /live", "r") },
        ];
        let policies = assemble(vec![(connector("shop", &["r: r", "w: w"]), operations)], vec![role("reader", &[("shop", "r")])]);
        let (shop, elsewhere, reader) = ("shop".parse().unwrap(), "elsewhere".parse().unwrap(), "reader".parse().unwrap());
        let denied = |reason, operation: Option<&str>| Again::Decided(Answer::Deny(reason), operation.map(str::to_owned));
        for (connector, method, path, websocket, expected) in [
            (&shop, "GET", "/items/7", false, Again::Decided(Answer::Allow, Some("get".into()))),
            (&shop, "PUT", "/items/7", false, denied(DenialReason::RoleLacksScope, Some("put"))),
            (&shop, "GET", "/nothing", false, denied(DenialReason::UnknownOperation, None)),
            (&elsewhere, "GET", "/items/7", false, denied(DenialReason::UnknownOperation, None)),
            (&shop, "GET", "/mine", false, Again::CannotTell),
            (&shop, "GET", "/live", true, Again::Decided(Answer::Allow, Some("live".into()))),
            (&shop, "GET", "/items/7", true, denied(DenialReason::UnknownOperation, None)),
            (&shop, "GET", "/a//b", false, Again::CannotTell),
        ] {
            let past = Past { connector, role: &reader, method, path, websocket };
            assert_eq!(again(&policies, &past), expected, "{method} {path}");
        }
    }
}
