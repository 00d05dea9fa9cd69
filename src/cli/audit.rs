//! `scopegate audit`: what happened, through the admin API; and whether anybody changed it, from the files.

use super::api::{Api, Call, Door, plain};
use super::output::{Format, say, say_json, table};
use super::progress::Progress;
use super::{Outcome, SettingsFile};
use crate::audit::{Verified, verify_watched};
use crate::settings;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How often `tail` asks.
const PAUSE: Duration = Duration::from_millis(500);

/// How many events one page has at most.
const PAGE: usize = 1000;

/// What happened.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    /// Finds events, newest first.
    Search {
        #[command(flatten)]
        door: Door,
        #[command(flatten)]
        filter: Filter,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Shows events as they happen, until it is interrupted.
    Tail {
        #[command(flatten)]
        door: Door,
        #[command(flatten)]
        filter: Filter,
    },
    /// Writes all events that the filter lets through as JSON lines, oldest first.
    Export {
        #[command(flatten)]
        door: Door,
        #[command(flatten)]
        filter: Filter,
        /// Where to; never over a file that is there. Without it: to stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Walks the chain of hashes over all files and reports whatever was changed afterwards.
    Verify {
        /// The current file; without it that of the settings.
        file: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingsFile,
    },
}

/// Which events; what is left out does not narrow.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Filter {
    /// The identifier.
    #[arg(long)]
    account: Option<String>,
    /// Whose data it was.
    #[arg(long)]
    customer: Option<String>,
    /// One run of a crew.
    #[arg(long)]
    session: Option<String>,
    /// The API.
    #[arg(long)]
    connector: Option<String>,
    /// The operation's id.
    #[arg(long)]
    operation: Option<String>,
    /// allow, deny or would_deny.
    #[arg(long)]
    decision: Option<String>,
    /// A word of the table of reasons.
    #[arg(long)]
    reason: Option<String>,
    /// At this time or later (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
}

impl Audit {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        match self {
            Self::Search { door, filter, limit } => search(&door.open()?, &filter, limit, format),
            Self::Tail { door, filter } => tail(&door.open()?, filter, format),
            Self::Export { door, filter, out } => export(&door.open()?, &filter, out, format),
            Self::Verify { file, settings } => walk(file, &settings, format),
        }
    }
}

impl Filter {
    fn page(&self, limit: usize, cursor: Option<&str>) -> Call {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let named = [
            ("account", &self.account),
            ("customer", &self.customer),
            ("session", &self.session),
            ("connector", &self.connector),
            ("operation", &self.operation),
            ("decision", &self.decision),
            ("reason", &self.reason),
            ("since", &self.since),
            ("until", &self.until),
        ];
        for (name, value) in named {
            query.extend_pairs(value.iter().map(|value| (name, value)));
        }
        query.append_pair("limit", &limit.to_string());
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        Call::new(Method::GET, format!("/v1/audit?{}", query.finish()))
    }
}

/// The events of a page, newest first, and where the next begins; none: the API refused, and that was told.
fn page(api: &Api, filter: &Filter, limit: usize, cursor: Option<&str>, format: Format) -> anyhow::Result<Option<(Vec<Value>, Option<String>)>> {
    let answer = api.ask(filter.page(limit, cursor))?;
    if answer.accepted(format)? == Outcome::No {
        return Ok(None);
    }
    let events = answer.body.get("events").and_then(Value::as_array).cloned().context("the admin API answered without `events`")?;
    Ok(Some((events, answer.body.get("cursor").and_then(Value::as_str).map(str::to_owned))))
}

fn search(api: &Api, filter: &Filter, limit: usize, format: Format) -> anyhow::Result<Outcome> {
    let (mut found, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let wanted = limit.saturating_sub(found.len()).min(PAGE);
        let Some((events, next)) = page(api, filter, wanted.max(1), cursor.as_deref(), format)? else { return Ok(Outcome::No) };
        found.extend(events);
        cursor = next;
        if found.len() >= limit || cursor.is_none() {
            break;
        }
    }
    found.truncate(limit);
    match format {
        Format::Json => say_json(&json!({"events": found, "cursor": cursor}))?,
        Format::Human => say(&table(&std::iter::once(HEAD.map(str::to_owned).to_vec()).chain(found.iter().map(row)).collect::<Vec<_>>())),
    }
    Ok(Outcome::Yes)
}

fn tail(api: &Api, mut filter: Filter, format: Format) -> anyhow::Result<Outcome> {
    let mut seen: Option<u64> = None;
    loop {
        let Some((events, _)) = page(api, &filter, if seen.is_some() { PAGE } else { 10 }, None, format)? else { return Ok(Outcome::No) };
        for event in events.iter().rev().filter(|event| seq(event) > seen) {
            match format {
                Format::Json => say(&event.to_string()),
                Format::Human => say(&table(&[row(event)])),
            }
        }
        if let Some(newest) = events.first() {
            seen = seen.max(seq(newest));
            filter.since = newest.get("time").and_then(Value::as_str).map(str::to_owned);
        }
        api.pause(PAUSE);
    }
}

fn seq(event: &Value) -> Option<u64> {
    event.get("seq").and_then(Value::as_u64)
}

fn export(api: &Api, filter: &Filter, out: Option<PathBuf>, format: Format) -> anyhow::Result<Outcome> {
    let mut pages = Vec::new();
    let mut cursor: Option<String> = None;
    let mut progress = Progress::of_unknown("read", "events");
    loop {
        let Some((events, next)) = page(api, filter, PAGE, cursor.as_deref(), format)? else { return Ok(Outcome::No) };
        progress.add(events.len());
        pages.push(events);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    drop(progress);
    let count: usize = pages.iter().map(Vec::len).sum();
    let lines = pages.iter().rev().flat_map(|events| events.iter().rev());
    match out {
        None => lines.for_each(|event| say(&event.to_string())),
        Some(path) => {
            let file = std::fs::File::create_new(&path).with_context(|| format!("writing {}", path.display()))?;
            let mut file = std::io::BufWriter::new(file);
            for event in lines {
                writeln!(file, "{event}").with_context(|| format!("writing {}", path.display()))?;
            }
            file.flush().with_context(|| format!("writing {}", path.display()))?;
            match format {
                Format::Json => say_json(&json!({"file": path, "events": count}))?,
                Format::Human => say(&format!("wrote {count} events to {}", path.display())),
            }
        }
    }
    Ok(Outcome::Yes)
}

const HEAD: [&str; 8] = ["TIME", "DECISION", "REASON", "CUSTOMER", "ACCOUNT", "OPERATION", "STATUS", "REQUEST"];

fn row(event: &Value) -> Vec<String> {
    let of = |name: &str| event.get(name).map_or_else(|| "-".to_owned(), plain);
    let operation =
        if event.get("operation").is_some_and(Value::is_string) { format!("{}.{}", of("connector"), of("operation")) } else { "-".into() };
    vec![of("time"), of("decision"), of("reason"), of("customer"), of("account"), operation, of("status"), format!("{} {}", of("method"), of("path"))]
}

fn walk(file: Option<PathBuf>, settings: &SettingsFile, format: Format) -> anyhow::Result<Outcome> {
    let file = match file {
        Some(file) => file,
        None => settings::audit_file(&settings.config)?,
    };
    let mut progress: Option<(Progress, u64)> = None;
    let walked = verify_watched(&file, &mut |walked| {
        let (progress, done) = progress.get_or_insert_with(|| (Progress::new("walked", "MiB", mib(walked.total), 100), 0));
        progress.add(mib(walked.done) - mib(*done));
        *done = walked.done;
    })?;
    drop(progress);
    let intact = walked.findings.is_empty();
    match format {
        Format::Json => say_json(&as_json(&walked))?,
        Format::Human => say(&as_text(&walked)),
    }
    Ok(if intact { Outcome::Yes } else { Outcome::No })
}

fn mib(bytes: u64) -> usize {
    usize::try_from(bytes >> 20).unwrap_or(usize::MAX)
}

fn as_json(walked: &Verified) -> Value {
    let findings: Vec<Value> = walked.findings.iter().map(|one| json!({"file": one.file, "line": one.line, "message": one.what})).collect();
    json!({
        "ok": walked.findings.is_empty(), "events": walked.events, "files": walked.files, "first_seq": walked.first_seq,
        "head": walked.head, "torn": walked.torn, "findings": findings,
    })
}

fn as_text(walked: &Verified) -> String {
    let mut text: String = walked.findings.iter().map(|one| format!("{}:{}: {}\n", one.file.display(), one.line, one.what)).collect();
    if let Some(torn) = &walked.torn {
        text.push_str(&format!("{}: the last line is not whole: it is being written, or a kill tore it\n", torn.display()));
    }
    let verdict = if walked.findings.is_empty() { "the chain holds" } else { "the chain does not hold" };
    text.push_str(&format!("{} events in {} files: {verdict}", walked.events, walked.files));
    text
}
