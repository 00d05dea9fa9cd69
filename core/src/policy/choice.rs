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
