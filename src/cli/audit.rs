//! `scopegate audit`: what happened, through the admin API; and whether anybody changed it, from the files.

use super::api::{Answer, Api, Call, Door, plain};
use super::output::{Format, complain, count, is_closed, say, say_json, table, tell};
use super::progress::Progress;
use super::{Outcome, SettingsFile};
use crate::audit::{Verified, verify_watched};
use crate::new_file::NewFile;
use crate::settings;
use anyhow::{Context, anyhow};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often `tail` asks.
const PAUSE: Duration = Duration::from_millis(500);

/// How many events one page has at most.
const PAGE: usize = 1000;

/// How many events `tail` begins with.
const RECENT: usize = 10;

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
    /// Shows events as they happen, until it is interrupted or nobody reads it. A gateway that is away is waited for.
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
            Self::Tail { door, filter } => tail(&door.open()?, &filter, format),
            Self::Export { door, filter, out } => export(&door.open()?, &filter, out.as_deref(), format),
            Self::Verify { file, settings } => walk(file, &settings, format),
        }
    }
}

impl Filter {
    fn page(&self, begin: Begin<'_>, limit: usize) -> Call {
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
        query.extend_pairs(begin.after_seq.map(|seq| ("after_seq", seq.to_string())));
        query.extend_pairs(begin.cursor.map(|cursor| ("cursor", cursor)));
        Call::new(Method::GET, format!("/v1/audit?{}", query.finish()))
    }
}

/// Where a page begins: at the newest event, or behind a number and then the oldest first; and behind the page before.
#[derive(Clone, Copy, Debug, Default)]
struct Begin<'c> {
    after_seq: Option<u64>,
    cursor: Option<&'c str>,
}

/// What the API answered to a search.
struct Page {
    events: Vec<Value>,
    /// Where the next page begins; none: this is the last.
    next: Option<String>,
    /// The number of the last event that was looked at; 0: there is none.
    last_seq: u64,
}

impl Page {
    /// None: the API refused, and that was told.
    fn ask(api: &Api, call: Call, format: Format) -> anyhow::Result<Option<Self>> {
        Self::read(&api.ask(call)?, format)
    }

    fn read(answer: &Answer, format: Format) -> anyhow::Result<Option<Self>> {
        if answer.accepted(format)? == Outcome::No {
            return Ok(None);
        }
        let member = |name: &str| answer.body.get(name);
        let events = member("events").and_then(Value::as_array).cloned().context("the admin API answered without `events`")?;
        let next = member("cursor").and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Self { events, next, last_seq: member("last_seq").and_then(Value::as_u64).unwrap_or(0) }))
    }
}

fn search(api: &Api, filter: &Filter, limit: usize, format: Format) -> anyhow::Result<Outcome> {
    let (mut found, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let wanted = limit.saturating_sub(found.len()).clamp(1, PAGE);
        let begin = Begin { cursor: cursor.as_deref(), ..Begin::default() };
        let Some(page) = Page::ask(api, filter.page(begin, wanted), format)? else { return Ok(Outcome::No) };
        found.extend(page.events);
        cursor = page.next;
        if found.len() >= limit || cursor.is_none() {
            break;
        }
    }
    found.truncate(limit);
    match format {
        Format::Json => say_json(&json!({"events": found, "cursor": cursor}))?,
        Format::Human => say(&table(&std::iter::once(HEAD.map(str::to_owned).to_vec()).chain(found.iter().map(row)).collect::<Vec<_>>())),
    }
    if cursor.is_some() {
        tell(&format!("scopegate: these are the newest {limit}, and there are more: `--limit` shows them, `audit export` writes all"));
    }
    Ok(Outcome::Yes)
}

fn tail(api: &Api, filter: &Filter, format: Format) -> anyhow::Result<Outcome> {
    let Some(page) = Page::ask(api, filter.page(Begin::default(), RECENT), format)? else { return Ok(Outcome::No) };
    page.events.iter().rev().for_each(|event| say_event(event, format));
    let mut seen = page.last_seq;
    let mut contact = Contact::There;
    while !is_closed() {
        let begin = Begin { after_seq: Some(seen), ..Begin::default() };
        let page = match api.ask(filter.page(begin, PAGE)) {
            Ok(answer) if !answer.is_passing() => Page::read(&answer, format)?,
            unanswered => {
                contact.lost(unanswered);
                api.pause(PAUSE);
                continue;
            }
        };
        let Some(page) = page else { return Ok(Outcome::No) };
        contact.found();
        page.events.iter().for_each(|event| say_event(event, format));
        if page.last_seq < seen {
            tell("scopegate: the audit has been begun anew: what follows is what comes from here on");
        }
        seen = page.last_seq;
        if page.next.is_none() {
            api.pause(PAUSE);
        }
    }
    Ok(Outcome::Yes)
}

/// Whether the gateway answers; told when that changes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Contact {
    There,
    Away,
}

impl Contact {
    fn lost(&mut self, unanswered: anyhow::Result<Answer>) {
        if *self == Self::There {
            let why = unanswered.map_or_else(|error| error, |answer| anyhow!("the admin API answered {}", answer.status));
            complain(&why.context("waiting for the gateway"));
        }
        *self = Self::Away;
    }

    fn found(&mut self) {
        if *self == Self::Away {
            tell("scopegate: the gateway answers again");
        }
        *self = Self::There;
    }
}

fn say_event(event: &Value, format: Format) {
    match format {
        Format::Json => say(&event.to_string()),
        Format::Human => say(&table(&[row(event)])),
    }
}

fn seq(event: &Value) -> Option<u64> {
    event.get("seq").and_then(Value::as_u64)
}

fn export(api: &Api, filter: &Filter, out: Option<&Path>, format: Format) -> anyhow::Result<Outcome> {
    // What happens while it is written is left out: on a busy gateway there would be no end.
    let Some(Page { last_seq, .. }) = Page::ask(api, filter.page(Begin::default(), 1), format)? else { return Ok(Outcome::No) };
    let writing = |path: &Path| format!("writing {}", path.display());
    let mut file = out.map(|path| NewFile::begin(path, 0o666).with_context(|| writing(path)).map(|file| (path, file))).transpose()?;
    let mut progress = Progress::of_unknown("read", "events");
    let (mut count, mut cursor): (usize, Option<String>) = (0, None);
    loop {
        let begin = Begin { after_seq: Some(0), cursor: cursor.as_deref() };
        let Some(page) = Page::ask(api, filter.page(begin, PAGE), format)? else { return Ok(Outcome::No) };
        let before = |event: &&Value| seq(event).is_none_or(|seq| seq <= last_seq);
        for event in page.events.iter().filter(before) {
            match &mut file {
                Some((path, file)) => writeln!(file, "{event}").with_context(|| writing(path))?,
                None => say(&event.to_string()),
            }
            count += 1;
        }
        progress.add(page.events.len());
        cursor = page.next.filter(|_| page.events.last().is_none_or(|last| before(&last)));
        if cursor.is_none() || (file.is_none() && is_closed()) {
            break;
        }
    }
    drop(progress);
    if let Some((path, file)) = file {
        file.keep().with_context(|| writing(path))?;
        match format {
            Format::Json => say_json(&json!({"file": path, "events": count}))?,
            Format::Human => say(&format!("wrote {count} events to {}", path.display())),
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
        "last_seq": walked.last_seq, "head": walked.head, "torn": walked.torn, "findings": findings,
    })
}

fn as_text(walked: &Verified) -> String {
    let mut text: String = walked.findings.iter().map(|one| format!("{}:{}: {}\n", one.file.display(), one.line, one.what)).collect();
    if let Some(torn) = &walked.torn {
        text.push_str(&format!("{}: the last line is not whole: it is being written, or a kill tore it\n", torn.display()));
    }
    let verdict = if walked.findings.is_empty() { "the chain holds" } else { "the chain does not hold" };
    let (events, files) = (count(usize::try_from(walked.events).unwrap_or(usize::MAX), "event"), count(walked.files, "file"));
    match (walked.first_seq, walked.last_seq, &walked.head) {
        (Some(first), Some(last), Some(head)) => {
            text.push_str(&format!("events {first} to {last}, {events} in {files}: {verdict}, and ends with {head}"));
        }
        _ => text.push_str(&format!("{events} in {files}: {verdict}")),
    }
    text
}
