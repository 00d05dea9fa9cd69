//! `scopegate policy explain`: what the gateway would decide, by the same function.

use super::{Files, files, report};
use crate::cli::api::{Api, Call};
use crate::cli::output::{Format, say, say_json, table, tell};
use crate::cli::{Outcome, SettingsFile};
use anyhow::{Context, bail};
use bytes::Bytes;
use reqwest::Method;
use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::connector::Connector;
use scopegate_core::id::{ConnectorId, RequestId, RoleName};
use scopegate_core::policy::document::suggestion;
use scopegate_core::policy::{Checked, Explanation, Needs, Places, PolicySet, Ruling, Source, Verdict, compile, explain, explain_ambiguity, judge};
use scopegate_core::refusal::{Context as Circumstances, Problem, Refusal, SafeMethod, shaped};
use scopegate_core::request::{Request, dropped_headers};
use scopegate_core::scope::{ProviderScope, Scope};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Says what the gateway would decide for a request, and why.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Explain {
    /// The method, such as GET.
    method: String,
    /// Path and query, without the connector's segment.
    target: String,
    /// The connector.
    #[arg(long)]
    connector: ConnectorId,
    /// The role that asks.
    #[arg(long, required_unless_present = "account", conflicts_with = "account")]
    role: Option<RoleName>,
    /// A connected account that asks, by its identifier: its role and grant, through the admin API.
    #[arg(long, value_name = "IDENTIFIER")]
    account: Option<String>,
    /// Provider scopes that the customer granted; without it: all that the role needs.
    #[arg(long, value_delimiter = ',', value_name = "SCOPE,...")]
    granted: Option<Vec<String>>,
    /// A header of the request; repeatable.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A file with the body; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Policy files and folders; repeatable. Without it those of the settings, else ./policies.
    #[arg(long = "policies", value_name = "PATH")]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

/// The decision, by which lines it came about, and what comes of it.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    decision: Explanation,
    needs: Needs,
    dropped_headers: Vec<String>,
    /// What the agent would read.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Refused>,
}

/// The answer to a refused request.
#[derive(Debug, Serialize)]
struct Refused {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    body: Value,
}

impl Explain {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        if let Some(account) = &self.account {
            return self.ask_for(account, format);
        }
        let Files { places, sources, .. } = files(self.policies.clone(), &self.settings.config)?;
        let compiled = compile(&sources, &places.overrides);
        let Some(policies) = compiled.policies else {
            report::say_findings(&compiled.diagnostics, &sources, format)?;
            bail!("the policies have errors");
        };
        let explained = self.explained(&policies, &sources)?;
        if explained.decision.operation.is_none()
            && self.target.strip_prefix('/').and_then(|rest| rest.split_once('/')).is_some_and(|(first, _)| first == self.connector.as_str())
        {
            tell(&format!("the target is looked for behind the connector's own segment: where `/{}` is that, leave it out", self.connector));
        }
        match format {
            Format::Json => say_json(&explained)?,
            Format::Human => say(&human(&explained)),
        }
        Ok(if explained.decision.decision == Verdict::Allow { Outcome::Yes } else { Outcome::No })
    }

    fn explained(&self, policies: &PolicySet, sources: &[Source]) -> anyhow::Result<Explained> {
        let Some(connector) = policies.connector(self.connector.as_str()) else {
            let known: Vec<&str> = policies.connectors().map(|connector| connector.id.as_str()).collect();
            bail!("no policy names the connector {}{}", self.connector, meant(self.connector.as_str(), &known));
        };
        let role = self.role.as_ref().context("--role or --account")?;
        if !policies.has_role(role) {
            let known: Vec<&str> = policies.roles().map(RoleName::as_str).collect();
            bail!("no policy names the role {role}{}", meant(role.as_str(), &known));
        }
        let granted = self.granted()?;
        let standing = Standing { role, grant: GrantStanding::Live(&granted) };
        let (decision, refusal, dropped_headers) = match Request::read(&self.method, &self.target, &self.headers()?, self.body()?) {
            Ok(request) => {
                let refusal = match judge(policies, &self.connector, &standing, &request) {
                    Ruling::Deny(denial) => Some(Refusal::from(denial)),
                    Ruling::Allow(_) | Ruling::ReadBody(_) => None,
                };
                (explain(policies, &self.connector, &standing, &request), refusal, dropped_headers(&request, connector))
            }
            Err(ambiguity) => {
                let decision = explain_ambiguity(policies, &self.connector, &standing, &self.method, ambiguity);
                (decision, Some(Refusal::Ambiguous(ambiguity)), Vec::new())
            }
        };
        let needs = Places::of(sources).needs(policies, role, &decision);
        let answer = refusal.map(|refusal| self.refused(&refusal, connector, role, &decision));
        Ok(Explained { decision, needs, dropped_headers, answer: answer.transpose()? })
    }

    /// What the gateway would answer; request and account have no names here.
    fn refused(&self, refusal: &Refusal, connector: &Connector, role: &RoleName, decision: &Explanation) -> anyhow::Result<Refused> {
        let held: Vec<Scope> = decision.role_scopes.iter().filter(|scope| decision.granted_scopes.contains(scope)).cloned().collect();
        let context = Circumstances {
            request_id: &RequestId::from_bytes([0; 16]),
            connector: Some(&connector.id),
            account: None,
            role: Some(role),
            held_scopes: &held,
            delegates: &[],
            upstream_called: false,
            safe_method: SafeMethod::of(&self.method),
        };
        let problem = Problem::of(refusal, &context);
        let challenge = problem.challenge();
        Ok(match &connector.refusal {
            Some(shape) => Refused { status: shape.status.unwrap_or(problem.status), challenge, body: shaped(shape, &problem, &context) },
            None => Refused { status: problem.status, challenge, body: serde_json::from_slice(&problem.to_json())? },
        })
    }

    /// Asks the running gateway what it would decide for an account.
    fn ask_for(&self, account: &str, format: Format) -> anyhow::Result<Outcome> {
        let call = Call::new(Method::POST, "/v1/decisions".into()).with(self.of_account(account)?);
        let answer = Api::of(&self.settings.config)?.ask(call)?;
        let allowed = answer.body.get("decision").and_then(Value::as_str) == Some("allow");
        let shown = answer.show(format)?;
        Ok(if allowed { shown } else { Outcome::No })
    }

    /// The body of `POST /v1/decisions` for an account.
    fn of_account(&self, account: &str) -> anyhow::Result<Value> {
        let fixed = [("connector", self.connector.as_str()), ("account", account), ("method", &self.method), ("target", &self.target)];
        let mut body: Map<String, Value> = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        if let Some(granted) = &self.granted {
            body.insert("granted".into(), granted.clone().into());
        }
        if !self.headers.is_empty() {
            let headers: Map<String, Value> = self.headers()?.into_iter().map(|(name, value)| (name, value.into())).collect();
            body.insert("headers".into(), headers.into());
        }
        if let Some(text) = self.body()? {
            body.insert("body".into(), String::from_utf8(text.to_vec()).context("the body is no UTF-8")?.into());
        }
        Ok(body.into())
    }

    fn granted(&self) -> anyhow::Result<Granted> {
        let Some(given) = &self.granted else { return Ok(Granted::Assumed) };
        let scopes = given
            .iter()
            .filter(|scope| !scope.is_empty())
            .map(|scope| scope.parse::<ProviderScope>().with_context(|| format!("`{scope}` is no scope")));
        Ok(Granted::Scopes(scopes.collect::<anyhow::Result<_>>()?))
    }

    fn headers(&self) -> anyhow::Result<Vec<(String, String)>> {
        let pair = |line: &String| {
            let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is not NAME: VALUE"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        self.headers.iter().map(pair).collect()
    }

    fn body(&self) -> anyhow::Result<Option<Bytes>> {
        let Some(file) = &self.body else { return Ok(None) };
        if file.as_os_str() == "-" {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut text).context("reading the body from standard input")?;
            return Ok(Some(text.into()));
        }
        Ok(Some(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?.into()))
    }
}

/// What may have been meant, behind a sentence.
fn meant(wrong: &str, known: &[&str]) -> String {
    suggestion(wrong, known.iter().copied()).map(|help| format!(": {help}")).unwrap_or_default()
}

fn human(explained: &Explained) -> String {
    let decision = &explained.decision;
    let verdict = match (decision.decision, &decision.reason) {
        (Verdict::Allow, _) => decision.would_deny.map_or_else(|| "allow".to_owned(), |reason| format!("allow (would deny {reason})")),
        (Verdict::Deny, Some(reason)) => format!("deny {reason}"),
        (Verdict::Deny, None) => "deny".to_owned(),
    };
    let mut rows = vec![
        vec!["decision".to_owned(), verdict],
        vec!["connector".to_owned(), decision.connector.to_string()],
        vec!["request".to_owned(), format!("{} {}", decision.method, decision.path.as_deref().unwrap_or("-"))],
        vec!["operation".to_owned(), decision.operation.clone().unwrap_or_else(|| "-".to_owned())],
    ];
    if !decision.parts.is_empty() {
        rows.push(vec!["parts".to_owned(), decision.parts.join(" ")]);
    }
    let lists = [("required", &decision.required_scopes), ("missing", &decision.missing_scopes), ("role holds", &decision.role_scopes)];
    for (name, scopes) in lists.into_iter().filter(|(_, scopes)| !scopes.is_empty()) {
        rows.push(vec![name.to_owned(), scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")]);
    }
    if !explained.dropped_headers.is_empty() {
        rows.push(vec!["not forwarded".to_owned(), explained.dropped_headers.join(" ")]);
    }
    for near in &decision.nearest {
        rows.push(vec!["nearest".to_owned(), format!("{} ({})", near.operation, near.r#match)]);
    }
    let mut text = format!("{}\n\n{}\n", table(&rows), decision.explanation.join("\n"));
    if !explained.needs.alternatives.is_empty() {
        text.push_str(&format!("\n{}\n", needs(&explained.needs)));
    }
    if let Some(answer) = &explained.answer {
        text.push_str(&format!("\nwhat the agent reads: {}\n", answer.status));
        text.push_str(&answer.challenge.as_ref().map(|challenge| format!("WWW-Authenticate: {challenge}\n")).unwrap_or_default());
        text.push_str(&serde_json::to_string_pretty(&answer.body).unwrap_or_default());
    }
    text
}

/// So many alternatives are shown.
const SHOWN: usize = 20;

/// Each alternative, and by which line each of its scopes is met.
fn needs(needs: &Needs) -> String {
    let said = if needs.said.is_empty() { String::new() } else { format!(" of {}", needs.said.join(" and ")) };
    let all = needs.alternatives.len();
    let head = if all == 1 { format!("the need{said}") } else { format!("the need{said}: one of {all} alternatives, wholly") };
    let mut lines = vec![head];
    for (number, alternative) in needs.alternatives.iter().enumerate().take(SHOWN) {
        if all > 1 {
            let met = alternative.iter().all(|one| one.role && one.granted);
            lines.push(format!("{} {}", number + 1, if met { "met" } else { "not met" }));
        }
        lines.extend(alternative.iter().map(|one| format!("  {}", checked(one))));
    }
    if all > SHOWN {
        lines.push(format!("... and {} more", all - SHOWN));
    }
    lines.join("\n")
}

fn checked(one: &Checked) -> String {
    let role = match (&one.by, one.role) {
        (Some(by), _) => format!("the role holds it by {by}"),
        (None, true) => "the role holds it".to_owned(),
        (None, false) => "the role does not hold it".to_owned(),
    };
    let granted = if one.granted { "the grant covers it" } else { "the grant does not cover it" };
    format!("{}  {}: {role}; {granted}", if one.role && one.granted { "met    " } else { "not met" }, one.scope)
}
