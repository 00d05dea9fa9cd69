//! `batch:`: where the parts of a batch stand.

use super::content::number;
use super::matching::Match;
use crate::inspect::{BatchFormat, BatchShape, InvalidLine, JsonShape, Line, PartShape, Pattern, Piece, Pointer};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, values};
use crate::request::Method;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Format {
    Json,
    Multipart,
}

/// Keys that mean something in JSON alone.
const JSON_KEYS: [&str; 8] = ["requests", "method", "url", "as", "body", "headers", "nested", "members"];

const MOST_PARTS: usize = 1000;
const USUAL_PARTS: usize = 100;

/// Reads `batch:`; `matches` are those of the operation.
pub(super) fn read(node: &Node, matches: &[Match], findings: &mut Findings<'_>) -> Option<BatchShape> {
    let mut fields = Fields::open(node, "`batch`", findings)?;
    let formats = [("json", Format::Json), ("multipart", Format::Multipart)];
    let format = fields.take("format").and_then(|node| values::word(node, &formats, findings)).unwrap_or(Format::Json);
    let max_parts = fields.take("max_parts").and_then(|node| number(node, MOST_PARTS, findings)).unwrap_or(USUAL_PARTS);
    let prefix = fields.take("prefix").map_or(Some(Line::default()), |node| prefix(node, matches, findings));
    let format = match format {
        Format::Json => json(&mut fields, matches, findings).map(|shape| BatchFormat::Json(shape.into())),
        Format::Multipart => {
            for key in JSON_KEYS {
                if let Some(entry) = fields.entry(key) {
                    findings
                        .add(code::CONFLICT.at(entry.key.span, format!("in a multipart batch the parts say all of this, so `{key}` means nothing")));
                }
            }
            Some(BatchFormat::Multipart)
        }
    };
    fields.close(findings);
    Some(BatchShape { prefix: prefix?, max_parts, format: format? })
}

fn json(fields: &mut Fields<'_>, matches: &[Match], findings: &mut Findings<'_>) -> Option<JsonShape> {
    let requests = fields.require("requests", findings).and_then(|node| pattern(node, findings));
    let part = part(fields, matches, findings);
    let body = fields.take("body").map(|node| values::pointer(node, findings));
    let headers = fields.take("headers").map(|node| values::pointer(node, findings));
    let is_named = matches!(part, Some(PartShape::Named { .. }));
    let nested = fields.entry("nested").map(|entry| {
        if is_named {
            let message = "parts that name their own method and URL hold no further parts";
            findings.add(code::CONFLICT.at(entry.key.span, message).help("`nested` goes with `as`"));
        }
        pattern(&entry.value, findings)
    });
    let members = fields.take("members").map(|node| super::facts::names(node, findings));
    let optional = |read: Option<Option<Pointer>>| match read {
        Some(None) => None,
        Some(Some(pointer)) => Some(Some(pointer)),
        None => Some(None),
    };
    let nested = match nested {
        Some(None) => return None,
        Some(Some(pattern)) => Some(pattern),
        None => None,
    };
    Some(JsonShape { requests: requests?, part: part?, body: optional(body)?, headers: optional(headers)?, nested, members })
}

/// What a part is: it says so itself, or `as` does.
fn part(fields: &mut Fields<'_>, matches: &[Match], findings: &mut Findings<'_>) -> Option<PartShape> {
    let Some(node) = fields.take("as") else {
        let method = fields.require("method", findings).and_then(|node| values::pointer(node, findings));
        let url = fields.require("url", findings).and_then(|node| values::pointer(node, findings));
        return Some(PartShape::Named { method: method?, url: url? });
    };
    for key in ["method", "url"] {
        if let Some(entry) = fields.entry(key) {
            findings.add(code::CONFLICT.at(entry.key.span, format!("`as` says what each part is, so `{key}` means nothing")));
        }
    }
    let found = values::filled(node, findings)?;
    let Some((method, target)) = found.value.split_once(' ') else {
        let message = format!("`{}` is not a method and a path", found.value);
        findings.add(code::NO_METHOD.at(found.span, message).help("write it as `match` is written: `POST /things/{/type}`"));
        return None;
    };
    let method = match method.parse::<Method>() {
        Ok(method) => Some(method),
        Err(ambiguity) => {
            findings.add(code::INVALID_METHOD.at(found.span, format!("`{method}` is no method: {}", ambiguity.sentence)));
            None
        }
    };
    if !target.starts_with('/') {
        findings.add(code::INVALID_PATH.at(found.span, "the path of a part begins with `/`"));
        return None;
    }
    let target = line(Located { value: target, span: found.span }, matches, findings);
    Some(PartShape::As { method: method?, target: target? })
}

/// What stands before each URL: a path without its final slash.
fn prefix(node: &Node, matches: &[Match], findings: &mut Findings<'_>) -> Option<Line> {
    let found = values::filled(node, findings)?;
    let is_path = found.value.starts_with('/') && !found.value.ends_with('/') && !found.value.contains(['?', '#']);
    if !is_path {
        let message = format!("`{}` does not begin with `/`, or ends in one", found.value);
        findings.add(code::INVALID_PATH.at(found.span, message).help("write a path such as `/v1.0`"));
        return None;
    }
    let line = line(found, matches, findings)?;
    if let Some(Piece::Pointer(pointer)) = line.pieces().iter().find(|piece| matches!(piece, Piece::Pointer(_))) {
        findings.add(code::INVALID_POINTER.at(found.span, format!("`{pointer}` stands in a part, and the prefix is the same for all")));
        return None;
    }
    Some(line)
}

fn line(found: Located<&str>, matches: &[Match], findings: &mut Findings<'_>) -> Option<Line> {
    let segment = |name: &str| {
        let mut places = matches.iter().map(|found| found.template.segment_of(name));
        let first = places.next()??;
        places.all(|place| place == Some(first)).then_some(first)
    };
    let error = match Line::parse(found.value, segment) {
        Ok(line) => return Some(line),
        Err(error) => error,
    };
    findings.add(match error {
        InvalidLine::Braces => code::INVALID_TEMPLATE.at(found.span, "a brace is not closed, or closes nothing"),
        InvalidLine::Parameter(name) => code::UNKNOWN_PARAMETER
            .at(found.span, format!("`{name}` is no segment of its own at the same place of every match"))
            .help("a text in the part is written as a pointer: `{/type}`"),
        InvalidLine::Pointer(pointer) => code::INVALID_POINTER.at(found.span, format!("`{pointer}` is no JSON pointer")),
    });
    None
}

fn pattern(node: &Node, findings: &mut Findings<'_>) -> Option<Pattern> {
    let found = values::text(node, findings)?;
    values::pointer_text(found, findings)?;
    found.value.parse().ok()
}
