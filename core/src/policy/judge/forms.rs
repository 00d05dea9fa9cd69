//! Forms beside a query that the policy reads: many servers read the parameters of both as one.

use super::Found;
use crate::inspect::Form;
use crate::policy::content::{Content, QueryPlace};
use crate::policy::decision::{Denial, Ruling};
use crate::policy::operation::Narrow;
use crate::policy::rules::Rule;
use crate::request::{Ambiguity, Body, Request};

const TWIN: Ambiguity = Ambiguity::new("form-twin", "a parameter that the policy reads in the query could also stand in the form of the body");

/// Parameters that the body must not hold, if it is a form.
pub(super) struct Watched<'a> {
    form: Option<Form>,
    names: Vec<&'a str>,
}

impl<'a> Watched<'a> {
    /// What `found` are told apart by, or read, in the query of a request whose body is declared as a form.
    pub(super) fn of(found: &Found<'a>, request: &Request) -> Self {
        let form = if request.body == Body::None { None } else { Form::declared(&request.headers) };
        let names = if form.is_some() { found.rules.iter().flat_map(|rule| read_in_query(rule)).collect() } else { Vec::new() };
        Self { form, names }
    }

    /// # Errors
    /// A form that holds one of them, as far as it has been read.
    pub(super) fn check(&self, request: &Request) -> Result<(), Ambiguity> {
        let (Some(form), Body::Whole(body)) = (self.form, &request.body) else { return Ok(()) };
        for name in &self.names {
            if form.holds(&request.headers, body, name)? {
                return Err(TWIN);
            }
        }
        Ok(())
    }

    /// The ruling, now that the form has been looked through, or has to be.
    pub(super) fn ruled(&self, ruling: Ruling, request: &Request) -> Ruling {
        match ruling {
            Ruling::Allow(allowance) if !self.names.is_empty() && request.body == Body::Unread => Ruling::ReadBody(allowance.operations),
            Ruling::Allow(_) => self.check(request).map_or_else(|twin| Ruling::Deny(Denial::Ambiguous(twin)), |()| ruling),
            Ruling::ReadBody(_) | Ruling::Deny(_) => ruling,
        }
    }
}

fn read_in_query(rule: &Rule) -> impl Iterator<Item = &str> {
    let text = match rule.operation.content.as_deref() {
        Some(Content::Soql(soql)) => match &soql.place {
            QueryPlace::Parameter(name) => Some(name.as_str()),
            QueryPlace::Json(_) => None,
        },
        Some(Content::Graphql(_) | Content::Batch(_)) | None => None,
    };
    let told = rule.operation.narrow.iter().filter_map(|narrow| match narrow {
        Narrow::Query { name, .. } => Some(name.as_str()),
        Narrow::Json { .. } => None,
    });
    told.chain(text)
}

#[cfg(test)]
mod tests {
    use crate::account::GrantStanding;
    use crate::policy::fixture::{granted, ruled};
    use crate::policy::{Origin, PolicySet, Source, compile};
    use crate::request::{Body, Request};
    use bytes::Bytes;

    const DOCUMENT: &str = r#"
version: 1
connectors:
  shop:
    upstream: https://shop.example
    scopes: {a: , b: }
    operations:
      - {id: search, match: [GET /search, POST /search], require: a, body: true}
      - {id: search.people, match: [GET /search, POST /search], where: {query: {type: people}}, require: b}
      - {id: query, match: POST /query, soql: {query: q, objects: {Item: a}}}
      - {id: plain, match: POST /plain, require: a}
      - {id: batch, match: POST /batch, batch: {format: multipart}}
roles:
  clerk: {allow: {shop: [a]}}
"#;

    fn policies() -> PolicySet {
        let source = Source { name: "p.yaml".into(), text: DOCUMENT.into(), origin: Origin::Own };
        compile(&[source], &Default::default()).policies.unwrap()
    }

    fn came(policies: &PolicySet, text: &str, content_type: &str, body: Option<&str>) -> String {
        let (method, target) = text.split_once(' ').unwrap();
        let headers = [("content-type".to_owned(), content_type.to_owned())];
        let read = Request::read(method, target, &headers, body.map(|body| Bytes::from(body.to_owned()))).unwrap();
        let request = if body.is_some() { read } else { Request { body: Body::Unread, ..read } };
        ruled(policies, "shop", "clerk", GrantStanding::Live(&granted(None)), &request)
    }

    #[test]
    fn a_parameter_that_is_read_in_the_query_stands_in_no_form_beside_it() {
        let policies = policies();
        let form = "Application/x-www-form-urlencoded";
        for (text, content_type, body, expected) in [
            ("POST /search", form, None, "read search"),
            ("POST /search", form, Some("page=2"), "allow search"),
            ("POST /search", form, Some(""), "allow search"),
            ("POST /search", form, Some("page=2&TYPE=people"), "deny ambiguous_request"),
            ("POST /search?type=items", form, Some("type=people"), "deny ambiguous_request"),
            ("GET /search", form, Some("type=people"), "deny ambiguous_request"),
            ("POST /search?type=people", form, Some("type=items"), "deny role_lacks_scope b"),
            ("POST /search?type=people", form, None, "deny role_lacks_scope b"),
            ("POST /search", "application/json", None, "allow search"),
            ("POST /search", "application/json", Some(r#"{"type":"people"}"#), "allow search"),
            (
                "POST /search",
                "multipart/form-data; boundary=b",
                Some("--b\r\nContent-Disposition: form-data; name=type\r\n\r\npeople\r\n--b--"),
                "deny ambiguous_request",
            ),
            ("POST /query?q=SELECT+Id+FROM+Item", form, None, "read query"),
            ("POST /query?q=SELECT+Id+FROM+Item", form, Some("limit=1"), "allow query"),
            ("POST /query?q=SELECT+Id+FROM+Item", form, Some("q=SELECT+Id+FROM+Person"), "deny ambiguous_request"),
            ("POST /plain", form, None, "allow plain"),
            ("POST /plain", form, Some("type=people&q=x"), "allow plain"),
        ] {
            assert_eq!(came(&policies, text, content_type, body), expected, "{text} {body:?}");
        }
    }

    #[test]
    fn neither_does_it_in_a_part_of_a_batch() {
        let policies = policies();
        for (form, expected) in [("page=2", "allow batch"), ("type=people", "deny ambiguous_request")] {
            let body = format!(
                "--b\r\nContent-Type: application/http\r\n\r\nPOST /search HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}\r\n--b--",
                form.len()
            );
            assert_eq!(came(&policies, "POST /batch", "multipart/mixed; boundary=b", Some(&body)), expected, "{form}");
        }
    }
}
