//! Addresses with variables in them: checked with every value that their variables can have.

use super::variables::Variables;
use crate::connector::variables::{Rule, Variables as Values};
use crate::connector::{Source, Template, Upstream};
use crate::policy::code;
use crate::policy::diagnostic::{Finding, Findings};
use crate::policy::document::{Located, Node, Span, values};
use url::Url;

/// What an address is for: that says what it may look like, and which variables have a value by then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// `upstream` and `hosts`: an origin, or an origin and a path prefix.
    Upstream,
    /// Where customers are sent: before anything has come from the provider.
    Authorization,
    /// Where a code is traded: after the callback.
    Token,
    /// The lookup after consent: after the token answer.
    Lookup,
    /// Refresh and revocation: everything is there.
    Later,
}

impl Purpose {
    fn knows(self, source: &Source) -> bool {
        match source {
            Source::Account => true,
            Source::Callback { .. } => self != Self::Authorization,
            Source::Token { .. } => matches!(self, Self::Upstream | Self::Lookup | Self::Later),
            Source::Lookup { .. } => matches!(self, Self::Upstream | Self::Later),
        }
    }
}

/// Reads an address.
pub(super) fn read(node: &Node, purpose: Purpose, variables: &Variables, findings: &mut Findings<'_>) -> Option<Template> {
    let found = values::filled(node, findings)?;
    let text = if purpose == Purpose::Upstream { found.value.trim_end_matches('/') } else { found.value };
    let template = template(Located { value: text, span: found.span }, variables, findings)?;
    let mut complete = true;
    for name in template.variables() {
        let Some(variable) = variables.sound.get(name) else {
            complete = false;
            continue;
        };
        if variable.default.is_none() && !purpose.knows(&variable.from) {
            let message = format!("`{{{name}}}` has no value yet when this address is needed");
            findings.add(code::VARIABLE_LATE.at(found.span, message).help("give it a `default`, or take it from an earlier place"));
        }
    }
    let fault = complete.then(|| fault(&template, text, purpose, variables, found.span)).flatten();
    match fault {
        Some(finding) => {
            findings.add(finding);
            None
        }
        None => Some(template),
    }
}

/// Reads a text with variables; all of them are declared, else that is a finding.
pub(super) fn template(found: Located<&str>, variables: &Variables, findings: &mut Findings<'_>) -> Option<Template> {
    let Ok(template) = Template::parse(found.value) else {
        let message = "the braces of this text do not enclose the name of a variable";
        findings
            .add(code::INVALID_TEMPLATE.at(found.span, message).help("write `{name}`, a name being a letter or `_`, then letters, digits or `_`"));
        return None;
    };
    let mut sound = true;
    for name in template.variables().filter(|name| !variables.declares(name)) {
        sound = false;
        let offset = found.value.find(&format!("{{{name}}}")).map_or(0, |at| at + 1);
        let span = findings.inside(found.span, found.value, offset, name.len());
        let help = variables.nearest(name).map(|near| format!("did you mean `{near}`?"));
        let help = help.unwrap_or_else(|| "declare it under `variables`".into());
        findings.add(code::UNKNOWN_VARIABLE.at(span, format!("this connector has no variable `{name}`")).help(help));
    }
    sound.then_some(template)
}

fn fault(template: &Template, text: &str, purpose: Purpose, variables: &Variables, span: Span) -> Option<Finding> {
    if let Some(name) = free_host(text, variables) {
        let message = format!("whoever sets `{name}` could name any host here");
        let help = "say `one_of` or `origin_of` for it, or put a fixed domain of at least two labels behind it";
        return Some(code::FREE_HOST.at(span, message).help(help));
    }
    samples(template, variables).into_iter().find_map(|sample| {
        let filled = template.fill(&sample).unwrap_or_default();
        let what = address_fault(&filled, purpose)?;
        let with = if sample.is_empty() { String::new() } else { format!(" (`{filled}`)") };
        Some(code::INVALID_URL.at(span, format!("this address{with} {what}")).help(purpose.example()))
    })
}

impl Purpose {
    fn example(self) -> &'static str {
        match self {
            Self::Upstream => "write an origin, or an origin and a path, such as `https://api.example.com/v1`",
            Self::Authorization | Self::Token | Self::Lookup | Self::Later => "write a whole URL, such as `https://login.example.com/token`",
        }
    }
}

/// What is wrong with a filled address.
fn address_fault(text: &str, purpose: Purpose) -> Option<&'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
        return Some("holds characters that no URL holds");
    }
    let Ok(url) = Url::parse(text) else { return Some("is no URL") };
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    if !matches!(url.scheme(), "https" | "http") || authority.is_empty() || authority.starts_with('/') {
        return Some("is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() || authority.split(['/', '?']).next().is_some_and(|host| host.contains('@')) {
        return Some("has a user part");
    }
    if url.fragment().is_some() {
        return Some("has a fragment");
    }
    if purpose == Purpose::Upstream {
        let path = authority.split_once('/').map_or("", |(_, path)| path);
        if url.query().is_some() {
            return Some("has a query, and an upstream has none");
        }
        if !path.is_empty() && path.split('/').any(|segment| matches!(segment, "" | "." | "..") || segment.contains(['%', ';'])) {
            return Some("has a path with more than one reading");
        }
        if text.parse::<Upstream>().is_err() {
            return Some("is no origin, or no origin with a path");
        }
    }
    None
}

/// The variable that could be the whole host, or so much of it that anybody could own the rest.
fn free_host<'t>(text: &'t str, variables: &Variables) -> Option<&'t str> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next()?;
    let (before, behind) = authority.rsplit_once('}')?;
    let name = before.rsplit_once('{')?.1;
    let is_label = variables.sound.get(name).is_some_and(|variable| variable.rule == Rule::Label);
    let domain = behind.split(':').next()?.strip_prefix('.');
    let fixed = domain.is_some_and(|domain| domain.contains('.') && domain.split('.').all(|label| !label.is_empty()));
    (is_label && !fixed).then_some(name)
}

/// Values for all variables of a template: each value of a list once, and one example of every other kind.
fn samples(template: &Template, variables: &Variables) -> Vec<Values> {
    let choices: Vec<(&str, Vec<String>)> =
        template.variables().filter_map(|name| Some((name, examples(&variables.sound.get(name)?.rule)))).collect();
    let first: Values = choices.iter().filter_map(|(name, values)| Some(((*name).to_owned(), values.first()?.clone()))).collect();
    let others = choices.iter().flat_map(|(name, values)| {
        let first = &first;
        values.iter().skip(1).map(move |value| {
            let mut sample = first.clone();
            sample.insert((*name).to_owned(), value.clone());
            sample
        })
    });
    std::iter::once(first.clone()).chain(others).collect()
}

fn examples(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::OriginOf(patterns) => patterns.iter().map(|pattern| format!("https://{}", pattern.replace('*', "x"))).collect(),
        Rule::OneOf(values) => values.clone(),
        Rule::Label => vec!["x".into()],
    }
}
