//! Batches: every part is decided as an operation of its own, and one refusal refuses all.

use super::content::{Source, body, first_ok};
use super::forms::Watched;
use super::verdict::Group;
use super::{Asker, Rules, as_operation};
use crate::inspect::{Batch, BatchFault, BatchShape, Part};
use crate::policy::content::Content;
use crate::policy::decision::{Allowance, Denial};
use crate::policy::rules::{Meant, Rule};
use crate::request::{Ambiguity, Body, Request, dropped_headers};
use smallvec::smallvec;

const NESTED: Ambiguity = Ambiguity::new("batch-in-batch", "a part of the batch is a batch itself");
const TWO_SHAPES: Ambiguity = Ambiguity::new("batch-two-shapes", "two operations match, and read the batch in different ways");
const OTHER_HOST: Ambiguity = Ambiguity::new("batch-other-host", "a part of the batch belongs to another host than the batch");
const PART_HEADER: Ambiguity = Ambiguity::new("batch-part-header", "a part of the batch has a header that does not reach this API");

impl<'a> Asker<'a> {
    /// What comes of a batch, of which the body is there.
    pub(super) fn batch(&self, request: &Request, meant: &Meant<'a>) -> Result<Allowance, Denial> {
        let shape = shape(meant).ok_or(Denial::Ambiguous(TWO_SHAPES))?;
        let source = Source { request, has_references: false };
        let segments: Vec<&str> = request.path.segments().collect();
        let read = body(source).map_err(BatchFault::from).and_then(|body| Batch::read(shape, &request.headers, &segments, body));
        let batch = read.map_err(|fault| match fault.part {
            None => Denial::Ambiguous(fault.ambiguity),
            Some(part) => self.in_part(meant, part + 1, Denial::Ambiguous(fault.ambiguity)),
        })?;
        let mut groups = vec![Group { meant: meant.clone(), reads: self.reads(meant, source)?, part: None }];
        let mut worst: Option<Denial> = None;
        for (part, number) in batch.parts.iter().zip(1..) {
            match self.part(meant, part) {
                Ok(group) => groups.push(Group { part: Some(number), ..group }),
                Err(denial) if worst.as_ref().is_none_or(|known| denial.reason() < known.reason()) => {
                    worst = Some(self.in_part(meant, number, denial))
                }
                Err(_) => {}
            }
        }
        worst.map_or(Ok(()), Err)?;
        self.verdict(&groups, || batch.write(shape).map(Some))
    }

    /// The operations of one part, and what its content reads.
    fn part(&self, batch: &Meant<'a>, part: &Part) -> Result<Group<'a>, Denial> {
        let request = &part.request;
        if !dropped_headers(request, &self.rules.connector).is_empty() || has_hop_headers(request) {
            return Err(Denial::Ambiguous(PART_HEADER));
        }
        let meant = meant_by(self.rules, part)?;
        as_operation(&meant, request)?;
        if meant.rules().iter().any(|rule| is_batch(rule)) {
            return Err(Denial::Ambiguous(NESTED));
        }
        let host = |meant: &Meant<'_>| meant.rules().first().map(|rule| rule.operation.host.clone());
        if host(&meant) != host(batch) {
            return Err(Denial::Ambiguous(OTHER_HOST));
        }
        let reads = self.reads(&meant, Source { request, has_references: part.has_references })?;
        Ok(Group { meant, reads, part: None })
    }

    /// Whether some part could be allowed; else what comes nearest to it.
    pub(super) fn could_be_allowed_a_part(&self, batch: &Meant<'a>) -> Result<(), Denial> {
        let parts = || self.rules.rules.iter().filter(|rule| !is_batch(rule));
        if parts().any(|rule| self.may(rule)) {
            return Ok(());
        }
        let groups = parts().filter_map(|rule| Meant::of(smallvec![rule], 0)).map(|part| [Group::of(batch.clone()), Group::of(part)]);
        first_ok(groups.map(|groups| self.verdict(&groups, || Ok(None)).map(drop).map_err(Denial::without_contained)))
    }

    fn in_part(&self, batch: &Meant<'a>, part: usize, denial: Denial) -> Denial {
        Denial::InBatch { operations: batch.operations(&self.rules.scopes), lack: None, part, denial: Box::new(denial) }
    }
}

pub(super) fn is_batch(rule: &Rule) -> bool {
    matches!(rule.operation.content.as_deref(), Some(Content::Batch(_)))
}

/// The one way in which all operations that are meant read the batch.
fn shape<'a>(meant: &Meant<'a>) -> Option<&'a BatchShape> {
    let mut shapes = meant.rules().iter().filter_map(|rule| match rule.operation.content.as_deref() {
        Some(Content::Batch(shape)) => Some(shape),
        Some(Content::Soql(_) | Content::Graphql(_)) | None => None,
    });
    let first = shapes.next()?;
    shapes.all(|other| other == first).then_some(first)
}

fn meant_by<'a>(rules: &'a Rules, part: &Part) -> Result<Meant<'a>, Denial> {
    let request = &part.request;
    let found = rules.find(request);
    rules.read_found(request, &found).map_err(Denial::Ambiguous)?;
    Watched::of(&found, request).check(request).map_err(Denial::Ambiguous)?;
    let candidates = found.candidates(request).map_err(Denial::Ambiguous)?;
    let count = candidates.count;
    let matching = match &request.body {
        Body::Whole(_) if !candidates.open.is_empty() => {
            let body = body(Source { request, has_references: part.has_references }).map_err(Denial::Ambiguous)?;
            candidates.matching(&request.headers, body).map_err(Denial::Ambiguous)?
        }
        Body::Whole(_) | Body::None | Body::Unread => candidates.sure,
    };
    Meant::of(matching, count).ok_or(Denial::UnknownOperation)
}

/// Headers that concern a connection, which a part has none of. Outside of a batch the gateway writes them itself.
fn has_hop_headers(request: &Request) -> bool {
    let own = ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "expect", "accept-encoding"];
    request.headers.iter().any(|(name, _)| own.contains(&name) || name.starts_with("scopegate-"))
}
