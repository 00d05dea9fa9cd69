//! The audit: whether the end of its chain holds, and has room to go on.

use super::machine::{space, writable};
use super::{Check, told};
use crate::audit::verify_end;
use crate::settings::Settings;
use std::path::Path;

const AUDIT: &str = "audit";

pub(super) fn audit(settings: &Settings) -> Vec<Check> {
    let file = &settings.audit.file;
    let folder = file.parent().unwrap_or(Path::new("."));
    let chain = match verify_end(file) {
        Ok(None) => Check::ok(AUDIT, format!("no event in {} yet", file.display())),
        Ok(Some(end)) => match end.findings.first() {
            None => Check::ok(AUDIT, format!("the chain holds over the last {} events", end.events)),
            Some(first) => {
                let message = format!("{}:{}: {}", first.file.display(), first.line, first.what);
                Check::fail(AUDIT, message, "find out who changed it; `scopegate audit verify` walks all files")
            }
        },
        Err(error) => Check::fail(AUDIT, told(&error), "let the user that runs the gateway own the files"),
    };
    if folder == settings.store {
        // The store's checks are about the same folder.
        return vec![chain];
    }
    vec![chain, writable(AUDIT, folder), space(AUDIT, folder)]
}
