//! The pages of customers: consent before the provider, and the result after it. No script, one form.
//! Whatever a customer's browser finds below `/connect` and `/oauth` is a page that says what to do next.
//!
//! Who starts must be who finishes: the page sets a cookie that form and callback
//! have to bring back. It is `Lax`, for the provider's redirect comes from another
//! site, and `__Host-`, so that no neighbouring host can plant one.
//!
//! **Invariant: opening a page changes nothing at the provider.** Only the form's
//! POST does, and never from a page of another origin.

mod outcome;
mod pages;

pub(in crate::admin) use pages::PageHeaders;

use super::Plane;
use crate::grants::{AskedScope, CallbackError};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use pages::Consent;
use scopegate_core::id::ConnectorId;
use scopegate_core::secret::Proof;
use scopegate_core::time::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const COOKIE: &str = "__Host-scopegate-connect";

/// Longer than any authorization lives, and no longer than a working day needs.
const COOKIE_SECONDS: u32 = 3600;

pub(super) fn routes() -> OpenApiRouter<Plane> {
    OpenApiRouter::new().routes(routes!(open, send)).routes(routes!(callback))
}

/// The consent page. Opening it spends nothing.
#[utoipa::path(get, path = "/connect/{link}", tag = "pages", operation_id = "open_consent_page", security(()),
    params(("link" = String, Path, description = "The secret part of an `authorization_url`")),
    responses((status = 200, description = "What is asked, and a form to go on"), (status = 400, description = "The link is unknown, spent or over")))]
async fn open(State(plane): State<Plane>, link: Part, headers: HeaderMap) -> Response {
    let link = proof(link);
    let page = match plane.grants.page(&link, cookie(&headers).as_ref()).await {
        Ok(page) => page,
        Err(fault) => return outcome::of_link(fault, &plane.page_headers),
    };
    let (api, role, until) = (&page.title, page.account.record.role.as_str(), readable(page.expires_at));
    let action = format!("/connect/{}", link.reveal());
    let mut consent = Consent { action, api, role, may: Vec::new(), careful: Vec::new(), never: page.impossible.iter().map(words).collect(), until };
    page.asked.iter().for_each(|asked| consent.asks(words(asked), asked.risk));
    let mut answer = pages::page(StatusCode::OK, &consent, &plane.page_headers);
    if let Some(cookie) = set_cookie(&page.browser) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// The form of the consent page: on to the provider.
#[utoipa::path(post, path = "/connect/{link}", tag = "pages", operation_id = "send_consent_form", security(()),
    params(("link" = String, Path, description = "The secret part of an `authorization_url`")),
    responses((status = 303, description = "To the provider"), (status = 400, description = "The link is unknown, spent or over"),
        (status = 403, description = "Not from the browser that opened the page last")))]
async fn send(State(plane): State<Plane>, link: Part, headers: HeaderMap) -> Response {
    if is_foreign_form(&headers, &plane) {
        return outcome::foreign_form(&plane.page_headers);
    }
    match plane.grants.submit(&proof(link), cookie(&headers).as_ref()).await {
        Ok(provider) => see_other(provider.as_str(), &plane.page_headers),
        Err(fault) => outcome::of_link(fault, &plane.page_headers),
    }
}

/// Where the provider sends the browser back.
#[utoipa::path(get, path = "/oauth/callback/{connector}", tag = "pages", operation_id = "finish_authorization", security(()),
    params(("connector" = String, Path, description = "The connector's name")),
    responses((status = 200, description = "How it went, also when the customer said no"), (status = 303, description = "To the application's `return_to`"),
        (status = 400, description = "The state is unknown or spent"), (status = 403, description = "Another browser began it")))]
async fn callback(State(plane): State<Plane>, connector: Part, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(connector) = connector.ok().and_then(|Path(name)| name.parse::<ConnectorId>().ok()) else {
        return outcome::of_callback(CallbackError::Unknown, &plane.page_headers);
    };
    match plane.grants.callback(&connector, query.as_deref().unwrap_or_default(), cookie(&headers).as_ref()).await {
        Ok(finished) => outcome::of_finished(&finished, &plane.page_headers),
        Err(fault) => outcome::of_callback(fault, &plane.page_headers),
    }
}

/// The part of the path that differs; what cannot be read is nothing that we gave out.
type Part = Result<Path<String>, PathRejection>;

fn proof(link: Part) -> Proof {
    Proof::new(link.map(|Path(link)| link).unwrap_or_default())
}

/// Whether a path is one that customers' browsers come to.
pub(super) fn is_customers(path: &str) -> bool {
    ["/connect", "/oauth"].iter().any(|ours| path.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Says to a customer that there is no such page.
pub(super) fn no_page(status: StatusCode, plane: &Plane) -> Response {
    outcome::no_page(status, &plane.page_headers)
}

/// What a scope lets an agent do: the policy author's words, else the scope's name.
fn words(asked: &AskedScope) -> &str {
    asked.consent.as_deref().unwrap_or(asked.scope.as_str())
}

/// Whether a form comes from a page that is not ours. Browsers send `Origin` with every POST; who sends none is no browser with
/// another's page in it, and still has to bring the cookie.
pub(in crate::admin) fn is_foreign_form(headers: &HeaderMap, plane: &Plane) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let public = plane.public_url.origin().ascii_serialization();
    let is_own = |origin: &HeaderValue| plane.own_origins.iter().chain([&public]).any(|own| origin.as_bytes() == own.as_bytes());
    origins.next().is_some_and(|origin| !is_own(origin) || origins.next().is_some())
}

/// What this browser was given, if it brings it back in exactly one form.
fn cookie(headers: &HeaderMap) -> Option<Proof> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    let value = values.next()?;
    let legal = value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (legal && values.next().is_none()).then(|| Proof::new(value.to_owned()))
}

fn set_cookie(proof: &Proof) -> Option<HeaderValue> {
    let text = format!("{COOKIE}={}; Path=/; Max-Age={COOKIE_SECONDS}; Secure; HttpOnly; SameSite=Lax", proof.reveal());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sends the browser on with GET.
fn see_other(to: &str, headers: &PageHeaders) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut answer = StatusCode::SEE_OTHER.into_response();
    headers.put(answer.headers_mut());
    answer.headers_mut().insert(header::LOCATION, location);
    answer
}

/// A moment for people: `2026-11-26 09:10 UTC`.
fn readable(moment: Timestamp) -> String {
    let text = moment.to_string();
    text.split_once('T').map_or_else(|| text.clone(), |(day, time)| format!("{day} {} UTC", time.get(..5).unwrap_or(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_cookie_is_read_only_where_it_stands_once_and_whole() {
        let whole = "A".repeat(43);
        for (lines, found) in [
            (vec![format!("{COOKIE}={whole}")], true),
            (vec![format!("a=b; {COOKIE}={whole}; c=d")], true),
            (vec!["a=b".into(), format!("{COOKIE}={whole}")], true),
            (vec![format!("{COOKIE}={whole}; {COOKIE}={whole}")], false),
            (vec![format!("{COOKIE}=short")], false),
            (vec![format!("{COOKIE}={}", "=".repeat(43))], false),
            (vec![format!("scopegate-connect={whole}")], false),
            (vec![], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(cookie(&headers).is_some(), found, "{lines:?}");
        }
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_hidden_from_scripts_and_survives_the_providers_redirect() {
        let value = set_cookie(&Proof::new("x".into())).unwrap();
        assert_eq!(value.to_str().unwrap(), "__Host-scopegate-connect=x; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax");
        assert!(value.is_sensitive());
    }

    #[test]
    fn customers_browsers_come_to_two_places() {
        for (path, theirs) in [
            ("/connect", true),
            ("/connect/", true),
            ("/connect/a/b", true),
            ("/oauth/callback", true),
            ("/connected", false),
            ("/", false),
            ("/v1/connect", false),
        ] {
            assert_eq!(is_customers(path), theirs, "{path}");
        }
    }

    #[test]
    fn people_read_a_moment_to_the_minute() {
        assert_eq!(readable("2026-11-26T09:10:11.012Z".parse().unwrap()), "2026-11-26 09:10 UTC");
    }
}
