//! Comments: every `#` that stands in no scalar, with a blank or a line's beginning before it.

use crate::policy::document::{Node, Value};
use std::collections::VecDeque;

/// A comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment<'t> {
    /// Its first byte.
    pub(super) at: usize,
    /// How many blanks stand before it, where it has its line for itself.
    pub(super) alone: Option<usize>,
    /// Its column from 0, where its author put it there with more blanks than two.
    pub(super) column: Option<usize>,
    /// With its `#`, without blanks at its end.
    pub(super) text: &'t str,
}

/// Those of a text that are not printed yet, in order.
#[derive(Clone, Debug)]
pub(super) struct Comments<'t>(VecDeque<Comment<'t>>);

impl<'t> Comments<'t> {
    pub(super) fn of(root: &Node, text: &'t str) -> Self {
        let mut scalars = Vec::new();
        gather(root, &mut scalars);
        let mut found = VecDeque::new();
        let mut begin = 0;
        for line in text.split_inclusive('\n') {
            found.extend(in_line(line, begin, &scalars));
            begin += line.len();
        }
        Self(found)
    }

    /// All their texts, sorted.
    pub(super) fn texts(&self) -> Vec<&'t str> {
        let mut texts: Vec<&str> = self.0.iter().map(|comment| comment.text).collect();
        texts.sort_unstable();
        texts
    }

    /// The next one, if it begins before `at`.
    pub(super) fn before(&mut self, at: usize) -> Option<Comment<'t>> {
        self.0.front().filter(|comment| comment.at < at)?;
        self.0.pop_front()
    }

    /// The next one, if it begins behind `at` and in the same line of `text`, or before it behind something else.
    pub(super) fn behind(&mut self, at: usize, text: &str) -> Option<Comment<'t>> {
        let next = self.0.front().filter(|comment| comment.alone.is_none())?;
        let is_near = next.at < at || text.get(at..next.at).is_some_and(|between| !between.contains('\n'));
        if is_near { self.0.pop_front() } else { None }
    }

    /// The comment that ends at `end`, unless it has its line for itself.
    pub(super) fn ending(&self, end: usize) -> Option<Comment<'t>> {
        self.0
            .iter()
            .take_while(|comment| comment.at < end)
            .find(|comment| comment.alone.is_none() && comment.at + comment.text.len() == end)
            .copied()
    }

    /// Whether one stands from `start` to `end`.
    pub(super) fn any_within(&self, start: usize, end: usize) -> bool {
        self.0.iter().any(|comment| (start..end).contains(&comment.at))
    }

    /// Leaves out those from `start` to `end`: they were printed with what stands there.
    pub(super) fn skip(&mut self, start: usize, end: usize) {
        self.0.retain(|comment| !(start..end).contains(&comment.at));
    }
}

fn in_line<'t>(line: &'t str, begin: usize, scalars: &[(usize, usize)]) -> Option<Comment<'t>> {
    let is_comment = |at: &usize| {
        let before = line.get(..*at).unwrap_or_default();
        let whole = begin + at;
        // The scalar that begins last before it is the only one that could hold it.
        let holder = scalars.get(..scalars.partition_point(|(start, _)| *start <= whole)).and_then(<[_]>::last);
        (before.is_empty() || before.ends_with([' ', '\t'])) && holder.is_none_or(|(_, end)| *end <= whole)
    };
    let at = line.match_indices('#').map(|(at, _)| at).find(is_comment)?;
    let before = line.get(..at)?;
    let alone = before.trim().is_empty().then_some(at);
    let column = (alone.is_none() && before.ends_with("   ")).then(|| before.chars().count());
    Some(Comment { at: begin + at, alone, column, text: line.get(at..)?.trim_end() })
}

/// Where scalars begin and end, in the order of the text.
fn gather(node: &Node, scalars: &mut Vec<(usize, usize)>) {
    match &node.value {
        Value::Plain(_) | Value::Quoted(_) | Value::Refused => scalars.push((node.span.start, node.span.end)),
        Value::List(items) => items.iter().for_each(|item| gather(item, scalars)),
        Value::Map(entries) => {
            for entry in entries {
                scalars.push((entry.key.span.start, entry.key.span.end));
                gather(&entry.value, scalars);
            }
        }
    }
}
