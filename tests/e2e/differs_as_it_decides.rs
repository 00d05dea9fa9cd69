//! What `policy diff` says is what changes: two sets decide random requests, and whatever comes out otherwise is told, for that
//! role and one of those operations. `matrix` and `replay` say what is decided, too.

use crate::decides_alike_everywhere::{POLICY, ROLES, Sent, requests};
use crate::stage::run;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::policy::{Again, Answer, DenialReason, Difference, Explanation, Origin, Pair, Past, PolicySet, Probed, Source, Verdict};
use scopegate_core::policy::{again, compile, diff, explain, matrix};
use scopegate_core::request::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a document may differ.
const EDITS: [(&str, &str); 22] = [
    ("require: \"{kind}:read\", allow_encoded", "require: write, allow_encoded"),
    ("require: {any: [other, {all: [left:read, write]}]}", "require: left:read"),
    ("match: GET /v1/Left/mine", "match: GET /v1/Right/mine"),
    ("match: \"GET /x/{a}/b\", require: left:read", "match: \"GET /x/{a}/b\", require: other"),
    ("      - {id: search,", "      - {id: cross.both, match: GET /x/a/b, require: write}\n      - {id: search,"),
    ("where: {query: {deep: \"1\"}}, require: right:read", "where: {query: {deep: \"2\"}}, require: right:read"),
    ("where: {json: {/kind: public}}, require: left:read", "where: {json: {/kind: private}}, require: left:read"),
    ("deny: people do this", "require: write"),
    ("require: unknown", "require: none"),
    ("require: left:read, risk: capability", "require: left:read"),
    ("match: GET /ping, require: none", "match: GET /ping, require: left:read"),
    ("Free: none}", "Free: write}"),
    ("mutation: {\"*\": write}", "mutation: {\"*\": left:read}"),
    ("right: right:read}, mutation", "right: left:read, hidden: write}, mutation"),
    ("max_parts: 3}", "max_parts: 3}, require: write"),
    ("left: {allow: {crm: [\"left:*\"]}}", "left: {allow: {crm: [write]}}"),
    ("deny: {crm: [mine]}", "deny: {crm: [mine, kind, \"cross.*\"]}"),
    ("all: {allow: {crm: [right:read, write, other]}}", "all: {allow: {crm: [right:read, other]}}"),
    ("shadow: {mode: shadow, ", "shadow: {"),
    (", implies: [left:read]", ""),
    ("id: ping,", "id: pong,"),
    ("nothing: {allow: {crm: []}}", "nothing: {extends: left}"),
];

const PAIRS: usize = 150;
const REQUESTS: usize = 80;
/// So many of the pairs are compared by the verb.
const SPOKEN: usize = 3;

fn edited(edits: &[bool]) -> String {
    let chosen = EDITS.iter().zip(edits).filter(|(_, chosen)| **chosen);
    chosen.fold(POLICY.to_owned(), |text, ((from, to), _)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}

fn compiled(text: &str) -> PolicySet {
    let source = Source { name: "p.yaml".into(), text: text.to_owned(), origin: Origin::Own };
    let compiled = compile(&[source], &BTreeMap::new());
    compiled.policies.unwrap_or_else(|| panic!("{:?}\n{text}", compiled.diagnostics))
}

/// How far a role gets: denied, let through by shadow mode, allowed.
fn explained(policies: &PolicySet, role: &str, request: &Request) -> (u8, Explanation) {
    let (role, connector) = (role.parse().unwrap(), "crm".parse().unwrap());
    let standing = Standing { role: &role, grant: GrantStanding::Live(&Granted::Assumed) };
    let made = explain(policies, &connector, &standing, request);
    let far = match (made.decision, made.would_deny) {
        (Verdict::Deny, _) => 0,
        (Verdict::Allow, Some(_)) => 1,
        (Verdict::Allow, None) => 2,
    };
    (far, made)
}

fn far(answer: Answer) -> u8 {
    match answer {
        Answer::Deny(_) => 0,
        Answer::Shadow => 1,
        Answer::Allow => 2,
    }
}

/// The request that was sent; none where it has two readings whatever the policies say.
fn read(sent: &Sent) -> Option<Request> {
    Request::read(&sent.method, &sent.target, &sent.headers, sent.body.clone().map(Bytes::from)).ok()
}

/// A request of what was compared, where method and path alone make one.
fn example(probed: &Probed) -> Option<Request> {
    if probed.content.is_some() || ["where", "{+", "**", "/batch"].iter().any(|more| probed.r#match.contains(more)) {
        return None;
    }
    let (method, template) = probed.r#match.split_once(' ').unwrap();
    let mut pieces = template.split('{');
    let first = pieces.next().unwrap().to_owned();
    let path = pieces.fold(first, |text, piece| text + "somebody" + piece.split_once('}').unwrap().1);
    Some(Request::read(method, &path, &[], None).unwrap())
}

/// What the difference says of this role, in the direction that its answer went.
fn told<'d>(difference: &'d Difference, role: &'d str, goes_up: bool) -> impl Iterator<Item = &'d Pair> {
    let pairs = if goes_up { &difference.allowed } else { &difference.denied };
    pairs.iter().filter(move |pair| pair.role.as_str() == role)
}

#[test]
fn a_difference_is_what_comes_out_otherwise() {
    let mut runner = TestRunner::default();
    let edits = || prop::collection::vec(prop::bool::weighted(0.2), EDITS.len());
    let (mut changed, mut shown) = (0, 0);
    for number in 0..PAIRS {
        let (old, new) = (edits(), edits()).new_tree(&mut runner).unwrap().current();
        let (old, new) = (edited(&old), edited(&new));
        let (before, after) = (compiled(&old), compiled(&new));
        let difference = diff(&before, &after);
        // Whatever is told comes out otherwise.
        for pair in difference.allowed.iter().chain(&difference.denied) {
            let Some(request) = example(&pair.probed) else { continue };
            let came = [&before, &after].map(|set| explained(set, pair.role.as_str(), &request).0);
            assert_eq!(came, [far(pair.before), far(pair.after)], "{pair:?}\n{old}\n{new}");
            shown += 1;
        }
        // Whatever comes out otherwise is told.
        for _ in 0..REQUESTS {
            let sent = requests().new_tree(&mut runner).unwrap().current();
            let (role, Some(request)) = (ROLES[sent.role], read(&sent)) else { continue };
            let ((was, old_one), (is, new_one)) = (explained(&before, role, &request), explained(&after, role, &request));
            // Which requests have two readings is nothing that roles differ in.
            let two_readings = [&old_one, &new_one].iter().any(|one| one.reason == Some(DenialReason::AmbiguousRequest));
            if was == is || two_readings {
                continue;
            }
            changed += 1;
            let meant = [&old_one, &new_one].map(|one| one.operation.clone().unwrap_or_default()).join("+");
            let is_meant = |pair: &Pair| sent.target == "/batch" || meant.split('+').any(|id| id == pair.probed.operation.as_str());
            assert!(told(&difference, role, is > was).any(is_meant), "{role} {was} -> {is}: {sent:?} {meant}\n{difference:#?}\n{old}\n{new}");
        }
        if number < SPOKEN {
            spoken(&old, &new, &difference, &after);
        }
    }
    assert!(changed > 200 && shown > 500, "{changed} requests came out otherwise, {shown} pairs were tried");
}

/// The verbs say the same.
fn spoken(old: &str, new: &str, difference: &Difference, after: &PolicySet) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), old).unwrap();
    std::fs::write(folder.path().join("new.yaml"), new).unwrap();
    let says = |arguments: &[&str]| -> Value {
        let made = run(folder.path(), &[arguments, &["-o", "json"]].concat());
        serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"))
    };
    assert_eq!(says(&["policy", "diff", "old.yaml", "new.yaml"]), json!({"ok": difference.is_empty(), "difference": difference}));
    assert_eq!(says(&["policy", "matrix", "new.yaml"]), json!(matrix(after)));
}

#[test]
fn the_matrix_and_a_replay_say_what_is_decided() {
    let mut runner = TestRunner::default();
    let edits = prop::collection::vec(prop::bool::weighted(0.2), EDITS.len());
    let (mut cells, mut replayed) = (0, 0);
    for _ in 0..30 {
        let policies = compiled(&edited(&edits.new_tree(&mut runner).unwrap().current()));
        let shown = matrix(&policies);
        for row in &shown.rows {
            let Some(request) = example(&row.probed) else { continue };
            for (role, answer) in shown.roles.iter().zip(&row.answers) {
                assert_eq!(explained(&policies, role.as_str(), &request).0, far(*answer), "{role} {:?}", row.probed);
                cells += 1;
            }
        }
        for _ in 0..REQUESTS {
            let sent = requests().new_tree(&mut runner).unwrap().current();
            // As much as the audit keeps.
            let Some(path) = read(&sent).map(|request| request.path.as_str().to_owned()) else { continue };
            let (connector, role) = ("crm".parse().unwrap(), ROLES[sent.role].parse().unwrap());
            let past = Past { connector: &connector, role: &role, method: &sent.method, path: &path, websocket: false };
            let Again::Decided(answer, operation) = again(&policies, &past) else { continue };
            let plain = Request::read(&sent.method, &path, &[], None).unwrap();
            let (came, made) = explained(&policies, ROLES[sent.role], &plain);
            assert_eq!((came, made.operation), (far(answer), operation), "{sent:?}");
            replayed += 1;
        }
    }
    assert!(cells > 500 && replayed > 500, "{cells} {replayed}");
}
