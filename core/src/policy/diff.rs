//! What changes between two sets: each pair of role and operation that becomes allowed or denied.
//!
//! Both sets judge the same requests, one for each thing that either of them names. So a new operation that takes requests
//! from an old one shows as what it does, and a renamed one does not show at all.

use super::probe::{self, Answer, Probe, Probed};
use super::set::PolicySet;
use crate::account::Granted;
use crate::id::{ConnectorId, RoleName};
use crate::scope::ProviderScope;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What changes. Sorted by role, connector and operation.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// What becomes allowed, or is let through by shadow mode now.
    pub allowed: Vec<Pair>,
    /// What becomes denied.
    pub denied: Vec<Pair>,
    /// What stays allowed, and customers have to consent to more for it.
    pub consent: Vec<Consent>,
}

/// A role and an operation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Pair {
    /// The role.
    pub role: RoleName,
    /// The operation.
    #[serde(flatten)]
    pub probed: Probed,
    /// What came of it before.
    pub before: Answer,
    /// What comes of it now.
    pub after: Answer,
}

/// A role at a connector whose customers have to consent to more.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Consent {
    /// The role.
    pub role: RoleName,
    /// The connector.
    pub connector: ConnectorId,
    /// Provider scopes that customers were not asked for before.
    pub scopes: Vec<ProviderScope>,
    /// Operations that are refused until then, by id.
    pub operations: Vec<String>,
}

impl Difference {
    /// Whether no pair becomes allowed or denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.denied.is_empty()
    }

    /// How many pairs become allowed, and how many denied, in words.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.allowed.len(), self.denied.len()) {
            (0, 0) => "no role may do more or less".to_owned(),
            (allowed, denied) => format!("{allowed} became allowed, {denied} became denied"),
        }
    }

    /// Every change as the cells of a row: what it is, role, connector, operations, which request, and how the answer changes.
    pub fn rows(&self) -> impl Iterator<Item = [String; 6]> {
        let allowed = self.allowed.iter().map(|pair| pair.row("allowed"));
        let denied = self.denied.iter().map(|pair| pair.row("denied"));
        allowed.chain(denied).chain(self.consent.iter().map(Consent::row))
    }
}

impl Pair {
    fn row(&self, word: &str) -> [String; 6] {
        let Self { role, probed, before, after } = self;
        let what = probed.content.as_ref().map_or_else(|| probed.r#match.clone(), |content| format!("{} {content}", probed.r#match));
        let change = format!("{} -> {}", before.as_str(), after.as_str());
        [word.to_owned(), role.to_string(), probed.connector.to_string(), probed.operation.to_string(), what, change]
    }
}

impl Consent {
    fn row(&self) -> [String; 6] {
        let Self { role, connector, scopes, operations } = self;
        let scopes = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let change = format!("customers have to grant {scopes}");
        ["consent".into(), role.to_string(), connector.to_string(), operations.join(" "), String::new(), change]
    }
}

/// Compares two sets.
#[must_use]
pub fn diff(old: &PolicySet, new: &PolicySet) -> Difference {
    let mut made = Difference::default();
    let connectors: BTreeSet<&ConnectorId> = [old, new].into_iter().flat_map(|set| set.connectors().map(|connector| &connector.id)).collect();
    let roles: BTreeSet<&RoleName> = old.roles().chain(new.roles()).collect();
    for connector in connectors {
        let here: Vec<&RoleName> = roles.iter().copied().filter(|role| old.may_use(role, connector) || new.may_use(role, connector)).collect();
        if here.is_empty() {
            continue;
        }
        let probes: BTreeMap<Probed, Probe> =
            [old, new].into_iter().flat_map(|set| probe::probes(set, connector)).map(|probe| (probe.probed.clone(), probe)).collect();
        for role in here {
            pairs(old, new, role, &probes, &mut made);
            made.consent.extend(consent(old, new, role, connector, &probes));
        }
    }
    let key = |pair: &Pair| (pair.role.clone(), pair.probed.clone());
    made.allowed.sort_by_key(key);
    made.denied.sort_by_key(key);
    made.consent.sort_by(|left, right| (&left.role, &left.connector).cmp(&(&right.role, &right.connector)));
    made
}

fn pairs(old: &PolicySet, new: &PolicySet, role: &RoleName, probes: &BTreeMap<Probed, Probe>, made: &mut Difference) {
    for (probed, probe) in probes {
        let [before, after] = [old, new].map(|set| probe::answers(set, role, &Granted::Assumed, probe));
        let changes = before.zip(after).find_map(|(before, after)| {
            let pair = || Pair { role: role.clone(), probed: probed.clone(), before, after };
            match (before, after) {
                (Answer::Deny(_), Answer::Allow | Answer::Shadow) | (Answer::Shadow, Answer::Allow) => Some((Change::Allowed, pair())),
                (Answer::Allow, Answer::Deny(_) | Answer::Shadow) | (Answer::Shadow, Answer::Deny(_)) => Some((Change::Denied, pair())),
                (Answer::Allow, Answer::Allow) | (Answer::Shadow, Answer::Shadow) | (Answer::Deny(_), Answer::Deny(_)) => None,
            }
        });
        match changes {
            Some((Change::Allowed, pair)) => made.allowed.push(pair),
            Some((Change::Denied, pair)) => made.denied.push(pair),
            None => {}
        }
    }
}

/// Which way a pair goes.
enum Change {
    Allowed,
    Denied,
}

/// What customers who consented to what the old set asks for lack in the new one.
fn consent(old: &PolicySet, new: &PolicySet, role: &RoleName, connector: &ConnectorId, probes: &BTreeMap<Probed, Probe>) -> Option<Consent> {
    let asked = |set: &PolicySet| set.provider_scopes_for(connector, &set.role_scopes(role, connector));
    let before = asked(old);
    let scopes: Vec<ProviderScope> = asked(new).into_iter().filter(|scope| !before.contains(scope)).collect();
    if before.is_empty() || scopes.is_empty() {
        return None;
    }
    let granted = Granted::Scopes(before);
    let allowed = |set: &PolicySet, granted: &Granted, probe: &Probe| probe::answer(set, role, granted, probe) == Answer::Allow;
    let stays = |probe: &&Probe| allowed(old, &granted, probe) && allowed(new, &Granted::Assumed, probe) && !allowed(new, &granted, probe);
    let operations: BTreeSet<String> = probes.values().filter(stays).filter_map(|probe| probe::meant(new, role, probe)).collect();
    (!operations.is_empty()).then(|| Consent {
        role: role.clone(),
        connector: connector.clone(),
        scopes,
        operations: operations.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile;
    use crate::policy::compile::{Origin, Source};
    use crate::policy::fixture::{assemble, by_query, connector, operation, role};
    use crate::policy::operation::{Need, Operation};

    fn set(text: &str) -> PolicySet {
        let source = Source { name: "p.yaml".into(), text: text.to_owned(), origin: Origin::Own };
        let compiled = compile(&[source], &BTreeMap::new());
        compiled.policies.unwrap_or_else(|| panic!("{:?}\n{text}", compiled.diagnostics))
    }

    fn lines(old: &PolicySet, new: &PolicySet) -> Vec<String> {
        let Difference { allowed, denied, consent } = diff(old, new);
        let line = |sign: &str, pair: &Pair| {
            let Probed { operation, r#match, content, .. } = &pair.probed;
            format!("{sign} {} {operation} {match}{}", pair.role, content.as_ref().map_or(String::new(), |content| format!(" {content}")))
        };
        let named = |scopes: &[ProviderScope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let asked = consent.iter().map(|one| format!("? {} {} for {}", one.role, named(&one.scopes), one.operations.join(",")));
        allowed.iter().map(|pair| line("+", pair)).chain(denied.iter().map(|pair| line("-", pair))).chain(asked).collect()
    }

    #[test]
    fn pairs_that_change_are_told_and_nothing_else() {
        let shop = |operations: Vec<Operation>, reader: &str| {
            assemble(
                vec![(connector("shop", &["r: r", "w: w > r", "x: x"]), operations)],
                vec![role("reader", &[("shop", reader)]), role("boss", &[("shop", "w x")])],
            )
        };
        let get = || operation("get", "GET /items/{id}", "r");
        let put = || operation("put", "PUT /items/{id}", "w");
        let old = || shop(vec![get(), put()], "r");
        for (new, expected) in [
            (shop(vec![put(), get()], "r"), &[][..]),
            (shop(vec![get(), put()], "w"), &["+ reader put PUT /items/{id}"]),
            (shop(vec![get(), put()], ""), &["- reader get GET /items/{id}"]),
            (shop(vec![operation("read", "GET /items/{id}", "r"), put()], "r"), &[]),
            (
                shop(vec![operation("any", "GET /items/{+rest}", "r"), put()], "r"),
                &["+ boss any GET /items/{+rest}", "+ reader any GET /items/{+rest}"],
            ),
            (
                shop(vec![get(), put(), Operation { need: Need::Denied("no".into()), ..operation("secret", "GET /items/secret", "r") }], "r"),
                &["- boss secret GET /items/secret", "- reader secret GET /items/secret"],
            ),
            (
                shop(vec![get(), put(), Operation { narrow: vec![by_query("a", "1")], ..operation("one", "GET /items/{id}", "x") }], "r"),
                &["- reader one GET /items/{id} where a=1"],
            ),
            (shop(vec![operation("get", "GET /items/{id}", "x"), put()], "r"), &["- reader get GET /items/{id}"]),
            (shop(vec![put()], "r"), &["- boss get GET /items/{id}", "- reader get GET /items/{id}"]),
        ] {
            assert_eq!(lines(&old(), &new), expected);
        }
    }

    #[test]
    fn what_an_operation_reads_of_the_content_is_compared_piece_by_piece() {
        let document = |objects: &str, fields: &str, mode: &str| {
            set(&format!(
                "version: 1\nconnectors:\n  crm:\n    upstream: https://crm.example.com\n    scopes: {{a: , b: }}\n    operations:\n      - {{id: query, match: GET /query, soql: {{query: q, objects: {{{objects}}}}}}}\n      - {{id: api, match: POST /graphql, graphql: {{{fields}}}}}\n      - {{id: many, match: POST /batch, batch: {{requests: /parts, method: /method, url: /url}}}}\nroles:\n  reader: {{allow: {{crm: [a]}}{mode}}}\n"
            ))
        };
        let old = document("Account: a, Lead: b", "query: {viewer: a, \"*\": b}, mutation: {createIssue: b}", "");
        let new = document("Account: b, Lead: a", "query: {viewer: a, \"*\": a}, mutation: {createIssue: b}", "");
        assert_eq!(
            lines(&old, &new),
            ["+ reader api POST /graphql query *", "+ reader query GET /query soql Lead", "- reader query GET /query soql Account"]
        );
        let shadow = document("Account: a, Lead: b", "query: {viewer: a, \"*\": b}, mutation: {createIssue: b}", ", mode: shadow");
        let let_through =
            ["+ reader api POST /graphql mutation createIssue", "+ reader api POST /graphql query *", "+ reader query GET /query soql Lead"];
        assert_eq!(lines(&old, &shadow), let_through);
        assert!(lines(&shadow, &old).iter().all(|line| line.starts_with('-')));
    }

    #[test]
    fn what_customers_have_to_consent_to_besides_is_told() {
        let of = |scopes: &[&str]| {
            assemble(
                vec![(connector("shop", scopes), vec![operation("get", "GET /items", "r"), operation("list", "GET /list", "s")])],
                vec![role("reader", &[("shop", "r s")])],
            )
        };
        assert_eq!(lines(&of(&["r: r", "s: s"]), &of(&["r: r", "s: s2"])), ["? reader s2 for list"]);
        assert_eq!(lines(&of(&["r: r", "s: s"]), &of(&["r: r", "s: s2 | s"])), [""; 0]);
    }
}
