//! A customer's browser: it keeps cookies, follows redirects, and sends the one form of a page.

use super::Label;
use regex::Regex;
use reqwest::Method;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, REFERER, SET_COOKIE};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use url::Url;

/// Redirects in a row before a walk is given up.
const REDIRECTS: usize = 10;

/// One customer's browser, with cookies of its own.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where a browser has come to.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// The status it came with.
    pub status: u16,
    /// Its text.
    pub body: String,
}

/// What a customer does on the provider's page.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Who is signed in there.
    pub who: Label,
    /// What they decide.
    pub verdict: Verdict,
}

/// What a customer decides.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Allow all that is asked.
    Allow,
    /// Untick all provider scopes but these.
    AllowOnly(Vec<String>),
    /// Say no.
    Deny,
}

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The page did not come.
    #[error("no answer from {address}")]
    NoAnswer {
        /// Where from.
        address: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An address that is none.
    #[error("`{0}` is no address")]
    NoAddress(String),
    /// The page has no form to send.
    #[error("no form on {address} (status {status}): {text}")]
    NoForm {
        /// Which page.
        address: String,
        /// With which status it came.
        status: u16,
        /// How it begins.
        text: String,
    },
    /// Too many redirects in a row.
    #[error("redirects without end at {0}")]
    RedirectLoop(String),
}

/// Whether a browser goes on by itself where an answer is a redirect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Redirects {
    Follow,
    Show,
}

/// A form as a browser would send it.
struct Form {
    action: String,
    method: Method,
    fields: Vec<(String, String)>,
}

impl Browser {
    /// A browser without cookies.
    /// # Errors
    /// Where the system gives no client.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { http, cookies: BTreeMap::new() })
    }

    /// Opens an address, following redirects.
    /// # Errors
    /// [`BrowserError`]
    pub async fn open(&mut self, address: &str) -> Result<Page, BrowserError> {
        let url = Url::parse(address).map_err(|_| BrowserError::NoAddress(address.to_owned()))?;
        self.go(url, None, Redirects::Follow).await
    }

    /// Opens an address; a redirect is the page.
    /// # Errors
    /// [`BrowserError`]
    pub async fn open_here(&mut self, address: &str) -> Result<Page, BrowserError> {
        let url = Url::parse(address).map_err(|_| BrowserError::NoAddress(address.to_owned()))?;
        self.go(url, None, Redirects::Show).await
    }

    /// Sends the form of `page` with its own values, following redirects.
    /// # Errors
    /// [`BrowserError`]
    pub async fn send(&mut self, page: &Page) -> Result<Page, BrowserError> {
        let form = form_of(page)?;
        self.submit(page, form, Redirects::Follow).await
    }

    /// Sends the provider's form as `consent` says. Ends at the address of the callback, which is not opened.
    /// # Errors
    /// [`BrowserError`]
    pub async fn consent(&mut self, page: &Page, consent: &Consent) -> Result<Url, BrowserError> {
        let mut form = form_of(page)?;
        let kept = |scope: &String| match &consent.verdict {
            Verdict::Allow => true,
            Verdict::AllowOnly(scopes) => scopes.contains(scope),
            Verdict::Deny => false,
        };
        form.fields.retain(|(name, value)| name == "request" || (name == "scope" && kept(value)));
        form.fields.push(("who".to_owned(), consent.who.to_string()));
        let verdict = if matches!(consent.verdict, Verdict::Deny) { "deny" } else { "allow" };
        form.fields.push(("verdict".to_owned(), verdict.to_owned()));
        Ok(self.submit(page, form, Redirects::Show).await?.url)
    }

    /// Walks an authorization to its end: our page, the provider's page, the callback; the page that it ends on.
    /// # Errors
    /// [`BrowserError`]
    pub async fn connect(&mut self, authorization_url: &str, consent: &Consent) -> Result<Page, BrowserError> {
        let ours = self.open(authorization_url).await?;
        let theirs = self.send(&ours).await?;
        let callback = self.consent(&theirs, consent).await?;
        self.open(callback.as_str()).await
    }

    async fn submit(&mut self, page: &Page, form: Form, redirects: Redirects) -> Result<Page, BrowserError> {
        let mut target = page.url.join(&form.action).map_err(|_| BrowserError::NoAddress(form.action.clone()))?;
        if form.method == Method::POST {
            return self.go(target, Some((page.url.clone(), form.fields)), redirects).await;
        }
        target.query_pairs_mut().clear().extend_pairs(&form.fields);
        self.go(target, None, redirects).await
    }

    async fn go(&mut self, url: Url, mut form: Option<(Url, Vec<(String, String)>)>, redirects: Redirects) -> Result<Page, BrowserError> {
        let mut url = url;
        for _ in 0..REDIRECTS {
            let answer = self.fetch(&url, form.take()).await?;
            let status = answer.status().as_u16();
            let next = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|text| url.join(text).ok());
            match (next, redirects) {
                (Some(next), Redirects::Follow) if (300..400).contains(&status) => url = next,
                (Some(next), Redirects::Show) if (300..400).contains(&status) => return Ok(Page { url: next, status, body: String::new() }),
                (Some(_) | None, Redirects::Follow | Redirects::Show) => {
                    let body = answer.text().await.map_err(|cause| BrowserError::NoAnswer { address: place(&url), cause: cause.without_url() })?;
                    return Ok(Page { url, status, body });
                }
            }
        }
        Err(BrowserError::RedirectLoop(place(&url)))
    }

    async fn fetch(&mut self, url: &Url, form: Option<(Url, Vec<(String, String)>)>) -> Result<reqwest::Response, BrowserError> {
        let origin = url.origin().ascii_serialization();
        let mut request = match form {
            Some((from, fields)) => {
                self.http.post(url.clone()).header(ORIGIN, from.origin().ascii_serialization()).header(REFERER, from.as_str()).form(&fields)
            }
            None => self.http.get(url.clone()),
        };
        if let Some(jar) = self.cookies.get(&origin).filter(|jar| !jar.is_empty()) {
            let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let answer = request.send().await.map_err(|cause| BrowserError::NoAnswer { address: place(url), cause: cause.without_url() })?;
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.entry(origin.clone()).or_default().insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(answer)
    }
}

/// An address without its query, which may hold what nobody should read.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?is)<(/?)(form|input|button)\b([^>]*)>").ok());
static ATTRIBUTE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?s)([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?"#).ok());

fn form_of(page: &Page) -> Result<Form, BrowserError> {
    let mut form = None;
    for tag in TAG.iter().flat_map(|tag| tag.captures_iter(&page.body)) {
        let part = |number: usize| tag.get(number).map_or("", |found| found.as_str());
        let attributes = attributes(part(3));
        let of = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        match (&mut form, part(1), part(2).to_ascii_lowercase().as_str()) {
            (None, "", "form") => {
                form = Some(Form {
                    action: of("action"),
                    method: if of("method").eq_ignore_ascii_case("post") { Method::POST } else { Method::GET },
                    fields: Vec::new(),
                })
            }
            (Some(_), "/", "form") => break,
            (Some(form), "", "input" | "button") if !of("name").is_empty() => form.fields.push((of("name"), of("value"))),
            _ => (),
        }
    }
    form.ok_or_else(|| BrowserError::NoForm { address: place(&page.url), status: page.status, text: page.body.chars().take(200).collect() })
}

fn attributes(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for attribute in ATTRIBUTE.iter().flat_map(|attribute| attribute.captures_iter(text)) {
        let name = attribute.get(1).map_or("", |name| name.as_str()).to_ascii_lowercase();
        let value = (2..=4).find_map(|number| attribute.get(number)).map_or("", |value| value.as_str());
        found.entry(name).or_insert_with(|| unescaped(value));
    }
    found
}

fn unescaped(text: &str) -> String {
    let named = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x22;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    named.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_would_send_it() {
        let body = r#"<p><input name="outside"></p><form action="/go?a=1&amp;b=2" method=POST><input type='hidden' name='x' value='&lt;1&quot;'>
            <button name="verdict" value="allow">Yes</button></form><form action="/other"></form>"#;
        let form = form_of(&Page { url: Url::parse("http://127.0.0.1/p").unwrap(), status: 200, body: body.into() }).unwrap();
        assert_eq!((form.action.as_str(), form.method), ("/go?a=1&b=2", Method::POST));
        assert_eq!(form.fields, [("x".into(), "<1\"".into()), ("verdict".into(), "allow".into())]);
    }
}
