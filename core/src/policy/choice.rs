//! Which of the operations that match are meant: the most specific ones.
//!
//! Specificity is judged on the request at hand, segment by segment: a literal, a
//! literal with a parameter, `{x}`, `{+x}`. One operation beats another where it is
//! nowhere more open, neither in a segment nor in `where`, and less open somewhere.
//! All that none beats have to hold.

use super::operation::{Narrow, Operation};
use std::cmp::Ordering;

/// Whether `left` is meant rather than `right`, on a path of `count` segments that both match.
pub(super) fn beats(left: &Operation, right: &Operation, count: usize) -> bool {
    let Some(narrowed) = by_condition(&left.narrow, &right.narrow) else { return false };
    let (left_edges, right_edges) = (left.template.edges(), right.template.edges());
    let before = left_edges.0.max(right_edges.0).min(count);
    let behind = count.saturating_sub(left_edges.1.max(right_edges.1)).max(before);
    let by_segment = (0..before).chain(behind..count).map(|at| left.template.openness(at, count).cmp(&right.template.openness(at, count)));
    let mut closer = narrowed == Ordering::Less;
    for order in by_segment {
        match order {
            Ordering::Greater => return false,
            Ordering::Less => closer = true,
            Ordering::Equal => {}
        }
    }
    closer && narrowed != Ordering::Greater
}

/// Some `where` is closer than none; two that say the same are equal; of two others neither is closer.
fn by_condition(left: &[Narrow], right: &[Narrow]) -> Option<Ordering> {
    match (left, right) {
        ([], []) => Some(Ordering::Equal),
        ([], [..]) => Some(Ordering::Greater),
        ([..], []) => Some(Ordering::Less),
        ([..], [..]) => {
            let same = left.iter().all(|condition| right.contains(condition)) && right.iter().all(|condition| left.contains(condition));
            same.then_some(Ordering::Equal)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::account::GrantStanding;
    use crate::policy::fixture::{assemble, by_query, connector, granted, operation, paths, request, role, ruled, templates};
    use crate::policy::operation::Operation;
    use proptest::prelude::*;

    /// How open each segment of the path is to a template that matches it, read from the texts.
    fn openness(template: &str, path: &str) -> Vec<u8> {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').skip(1).collect(), path.split('/').skip(1).collect());
        let plain = |segment: &str| if segment == "{x}" { 2 } else { u8::from(segment.contains('{')) };
        let Some(at) = template.iter().position(|segment| segment.starts_with("{+")) else {
            return template.into_iter().map(plain).collect();
        };
        let spare = path.len() + 1 - template.len();
        let shared = template[at] != "{+r}";
        let spanned = std::iter::repeat_n(3, spare - usize::from(shared)).chain(shared.then_some(1));
        template[..at].iter().copied().map(plain).chain(spanned).chain(template[at + 1..].iter().copied().map(plain)).collect()
    }

    /// The rule of the fine print, word by word: nowhere more general, and somewhere more specific.
    fn beats(left: (&[u8], usize), right: (&[u8], usize)) -> bool {
        let nowhere_more = left.0.iter().zip(right.0).all(|(left, right)| left <= right);
        let somewhere_less = left.0.iter().zip(right.0).any(|(left, right)| left < right);
        let narrowed = left.1 > 0 && right.1 == 0;
        nowhere_more && (left.1 == right.1 || narrowed) && (somewhere_less || narrowed)
    }

    proptest! {
        #[test]
        fn the_operations_meant_are_those_that_none_beats(templates in templates(), path in paths(), narrow in prop::collection::vec(0_usize..3, 12)) {
            let conditions = [None, Some(by_query("a", "1")), Some(by_query("b", "2"))];
            let made = |(number, template): (usize, &String)| Operation {
                narrow: conditions[narrow[number]].clone().into_iter().collect(),
                ..operation(&format!("{number:02}"), &format!("GET {template}"), "none")
            };
            let operations: Vec<_> = templates.iter().enumerate().map(made).collect();
            let alone = |operation: &Operation| {
                let policies = assemble(vec![(connector("c", &[]), vec![operation.clone()])], vec![role("r", &[("c", "")])]);
                ruled(&policies, "c", "r", GrantStanding::Live(&granted(None)), &request(&format!("GET {path}?a=1&b=2"), None)).starts_with("allow")
            };
            let matching: Vec<usize> = (0..operations.len()).filter(|number| alone(&operations[*number])).collect();
            let open = |number: usize| openness(&templates[number], &path);
            let is_meant = |number: &&usize| {
                !matching.iter().any(|other| beats((&open(*other), narrow[*other]), (&open(**number), narrow[**number])))
            };
            let meant: Vec<String> = matching.iter().filter(is_meant).map(|number| format!("{number:02}")).collect();
            let expected = if meant.is_empty() { "deny unknown_operation".to_owned() } else { format!("allow {}", meant.join("+")) };
            let policies = assemble(vec![(connector("c", &[]), operations)], vec![role("r", &[("c", "")])]);
            let came = ruled(&policies, "c", "r", GrantStanding::Live(&granted(None)), &request(&format!("GET {path}?a=1&b=2"), None));
            prop_assert_eq!(came, expected);
        }
    }
}
