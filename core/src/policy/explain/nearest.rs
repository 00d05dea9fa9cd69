//! What somebody may have meant whose request no operation matches.

use crate::policy::document::nearest;
use crate::policy::operation::Operation;
use crate::policy::router::Route;
use crate::policy::rules::Rules;
use crate::policy::template::{Letters, PathTemplate, Segment};
use crate::request::Request;
use std::sync::Arc;

const MOST: usize = 3;
/// A segment whose literal is misspelled.
const SLIP: usize = 1;
/// A segment that lacks, or is one too many.
const SEGMENT: usize = 2;
const FAR: usize = 4;

/// The operations of the same path and other methods, or else those whose path differs by a slip.
pub(super) fn nearest_operations<'a>(rules: &'a Rules, request: &Request) -> Vec<&'a Arc<Operation>> {
    let segments: Vec<&str> = request.path.segments().collect();
    let mut numbers = Vec::new();
    rules.router.find_any_method(&Route::of(request.path.as_str()), &mut |number| numbers.push(number));
    let mut near: Vec<(usize, &Arc<Operation>)> = match numbers.as_slice() {
        [] => {
            let letters = Letters::of(&rules.connector);
            let operations = rules.rules.iter().map(|rule| &rule.operation);
            operations.filter_map(|operation| Some((distance(operation, request, &segments, letters)?, operation))).collect()
        }
        numbers => numbers.iter().filter_map(|number| rules.rules.get(*number)).map(|rule| (0, &rule.operation)).collect(),
    };
    near.sort_by(|(near, left), (far, right)| (near, &left.id, &left.method).cmp(&(far, &right.id, &right.method)));
    near.into_iter().map(|(_, operation)| operation).take(MOST).collect()
}

fn distance(operation: &Operation, request: &Request, segments: &[&str], letters: Letters) -> Option<usize> {
    let path = by_path(&operation.template, segments, letters);
    let method = if operation.method == request.method { 0 } else { SLIP };
    Some(path + method).filter(|distance| *distance < FAR)
}

fn by_path(template: &PathTemplate, segments: &[&str], letters: Letters) -> usize {
    let before = template.before();
    let off: usize = before.iter().zip(segments).map(|(segment, text)| by_segment(segment, text, letters)).sum();
    let lacking = before.len().saturating_sub(segments.len());
    let left_over = if template.rest().is_some() { &[] } else { segments.get(before.len()..).unwrap_or_default() };
    let extra: usize = left_over.iter().map(|text| if text.is_empty() { SLIP } else { SEGMENT }).sum();
    off + lacking * SEGMENT + extra
}

fn by_segment(segment: &Segment, text: &str, letters: Letters) -> usize {
    let is_right = match segment {
        Segment::Literal(literal) => letters.equal(literal.as_bytes(), text.as_bytes()),
        Segment::Mixed(mixed) => mixed.matches(text, letters),
        Segment::Parameter => !text.is_empty(),
    };
    match segment {
        _ if is_right => 0,
        Segment::Literal(literal) if nearest(text, [&**literal]).is_some() => SLIP,
        Segment::Mixed(_) => SEGMENT,
        Segment::Literal(_) | Segment::Parameter => FAR,
    }
}
