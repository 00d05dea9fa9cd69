//! The page on which a customer says yes or no.

use super::{Dialect, Provider, ledger::Code, scopes};
use crate::practice::Label;
use askama::Template;
use axum::extract::{Path, RawForm, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use std::collections::HashMap;
use url::Url;
use url::form_urlencoded;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Practice provider</title>
<style>:root{color-scheme:light dark}body{background:Canvas;color:CanvasText}main{font:16px/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}fieldset{border:1px solid #ccc;border-radius:8px}button{font:inherit;padding:.4rem 1.2rem}</style>
<main>
<h1>Practice provider</h1>
<p><b>{{ client }}</b> asks for access to your data.</p>
<form method="post">
<input type="hidden" name="request" value="{{ request }}">
<p><label>You are <select name="who">{% for who in people %}<option>{{ who }}</option>{% endfor %}</select></label></p>
<fieldset><legend>It may</legend>{% for scope in scopes %}<p><label><input type="checkbox" name="scope" value="{{ scope }}" checked> {{ scope }}</label></p>{% endfor %}</fieldset>
<p><button name="verdict" value="allow">Allow</button> <button name="verdict" value="deny">Deny</button></p>
</form></main></html>
"#
)]
struct ConsentPage<'a> {
    client: &'a str,
    request: &'a str,
    people: &'a [&'a str],
    scopes: &'a [String],
}

/// What an authorization request says (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
struct Asked {
    redirect_uri: Url,
    state: String,
    scopes: Vec<String>,
    challenge: String,
}

pub(super) async fn page(State(provider): State<Provider>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let asked = match read(&provider, &query) {
        Ok(asked) => asked,
        Err(wrong) => return refuse(&provider, wrong),
    };
    let people = ["acme/visitor", "globex/visitor"];
    let page = ConsentPage { client: &provider.registration.client_id, request: &query, people: &people, scopes: &asked.scopes };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) async fn answer(State(provider): State<Provider>, dialect: Option<Path<String>>, RawForm(form): RawForm) -> Response {
    let dialect = dialect.map_or(Some(Dialect::Plain), |Path(name)| Dialect::named(&name));
    let Some(dialect) = dialect else { return StatusCode::NOT_FOUND.into_response() };
    let fields: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let asked = match read(&provider, field("request")) {
        Ok(asked) => asked,
        Err(wrong) => return refuse(&provider, wrong),
    };
    let Ok(label) = field("who").parse::<Label>() else { return refuse(&provider, "nobody is signed in") };
    let mut location = asked.redirect_uri.clone();
    if field("verdict") == "allow" {
        let ticked = |scope: &String| fields.iter().any(|(key, value)| key == "scope" && value == scope);
        let granted = asked.scopes.into_iter().filter(ticked).collect();
        let code = Code { label, scopes: granted, redirect_uri: asked.redirect_uri.into(), challenge: asked.challenge, dialect };
        let code = provider.state().ledger.code(code);
        location.query_pairs_mut().append_pair("code", &code);
    } else {
        location.query_pairs_mut().append_pair("error", "access_denied");
    }
    location.query_pairs_mut().append_pair("state", &asked.state);
    Redirect::to(location.as_str()).into_response()
}

fn read(provider: &Provider, query: &str) -> Result<Asked, &'static str> {
    let said: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let says = |name: &str| said.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if says("response_type") != Some("code") {
        return Err("the response type is not `code`");
    }
    if says("client_id") != Some(&provider.registration.client_id) {
        return Err("the client is unknown");
    }
    let redirect_uri =
        says("redirect_uri").and_then(|text| Url::parse(text).ok()).filter(is_loopback).ok_or("the redirect address is not on loopback")?;
    let state = says("state").ok_or("there is no state")?.to_owned();
    let challenge = says("code_challenge").filter(|_| says("code_challenge_method") == Some("S256")).ok_or("there is no S256 challenge")?;
    Ok(Asked { redirect_uri, state, scopes: scopes(says("scope").unwrap_or_default()), challenge: challenge.to_owned() })
}

/// A practice provider must not be a way to anywhere else.
fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(url::Host::Ipv4(host)) => host.is_loopback(),
        Some(url::Host::Ipv6(host)) => host.is_loopback(),
        Some(url::Host::Domain(host)) => host == "localhost",
        None => false,
    }
}

fn refuse(provider: &Provider, wrong: &'static str) -> Response {
    provider.complain(format!("authorization request: {wrong}"));
    (StatusCode::BAD_REQUEST, format!("invalid_request: {wrong}\n")).into_response()
}
