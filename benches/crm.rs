//! The API that is benchmarked: as many operations as asked for, a tenth of them beside each other, the others below a few hundred resources.

use std::fmt::Write as _;

/// Its scopes come in pairs of reading and writing.
pub(crate) const RESOURCES: usize = 50;

/// The policy document. `researcher` reads, and writes nothing.
pub(crate) fn document(operations: usize, upstream: &str) -> String {
    let mut text = format!("version: 1\nconnectors:\n  crm:\n    upstream: {upstream}\n    scopes:\n");
    for scope in 0..RESOURCES {
        let _ = writeln!(text, "      s{scope}:read: {{provider_scopes: [p{scope}.read]}}");
        let _ = writeln!(text, "      s{scope}:write: {{provider_scopes: [p{scope}.write], implies: [s{scope}:read]}}");
    }
    text.push_str("    operations:\n");
    for number in 0..operations {
        let (method, right) = if reads(number) { ("GET", "read") } else { ("POST", "write") };
        let _ = writeln!(text, "      - {{id: op.{number}, match: \"{method} {}\", require: \"s{}:{right}\"}}", template(number), number % RESOURCES);
    }
    let allowed: Vec<String> = (0..RESOURCES).map(|scope| format!("\"s{scope}:read\"")).collect();
    let _ = writeln!(text, "roles:\n  researcher:\n    allow:\n      crm: [{}]", allowed.join(", "));
    text
}

/// Whether an operation reads.
pub(crate) fn reads(number: usize) -> bool {
    !number.is_multiple_of(3)
}

/// A path of an operation.
pub(crate) fn path(number: usize) -> String {
    template(number).replace("{id}", "A-17").replace("{part}", "7")
}

fn template(number: usize) -> String {
    if number.is_multiple_of(10) { format!("/v1/flat{number}") } else { format!("/v1/resources{}/{{id}}/parts{number}/{{part}}", number % 300) }
}

/// So many operations that read, or that write, spread over all of them.
pub(crate) fn some(operations: usize, how_many: usize, reading: bool) -> impl Iterator<Item = usize> {
    let fits = move |number: &usize| reads(*number) == reading;
    (0..how_many).filter_map(move |step| (step * operations / how_many..operations).find(fits))
}
