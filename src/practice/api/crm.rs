//! The CRM: accounts, opportunities and activities, of each customer its own.

use super::manners::echo;
use crate::practice::Label;
use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use scopegate_core::id::CustomerId;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A customer, its accounts and its opportunities, each with id and name.
type Owned = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

/// What two of the customers have. Ids are the same for both, so that only the token tells whose record it is.
const KNOWN: &[Owned] = &[
    ("acme", &[("A-1", "Nordwind Traders"), ("A-2", "Baltic Rail")], &[("O-7", "Nordwind renewal"), ("O-8", "Baltic signalling")]),
    ("globex", &[("A-1", "Hooli Logistics"), ("A-2", "Vandelay Imports")], &[("O-7", "Hooli expansion"), ("O-8", "Vandelay pilot")]),
];

/// Changes to the records, and what was added.
#[derive(Debug, Default)]
pub(super) struct Crm {
    changes: HashMap<(CustomerId, String), Map<String, Value>>,
    activities: HashMap<CustomerId, Vec<Value>>,
}

impl Crm {
    pub(super) fn answer(&mut self, label: &Label, method: &Method, path: &str, body: &[u8]) -> Response {
        let customer = label.customer();
        let segments: Vec<&str> = path.split('/').skip(2).collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["accounts"]) => listed(label, "accounts", listing(customer).0.iter().map(|id| account(customer, id)).collect()),
            ("GET", ["accounts", id]) => owned(label, account(customer, id)),
            ("GET", ["opportunities"]) => {
                listed(label, "opportunities", listing(customer).1.iter().map(|id| self.opportunity(customer, id)).collect())
            }
            ("GET", ["opportunities", id]) => owned(label, self.opportunity(customer, id)),
            ("PATCH", ["opportunities", id]) => self.change(label, id, body),
            ("GET", ["activities"]) => listed(label, "activities", self.activities.get(customer).cloned().unwrap_or_default()),
            ("POST", ["activities"]) => self.log(label, body),
            _ => echo(label, method, path, body),
        }
    }

    fn opportunity(&self, customer: &CustomerId, id: &str) -> Value {
        let mut record = Map::new();
        record.insert("id".to_owned(), json!(id));
        record.insert("name".to_owned(), json!(name(customer, id)));
        record.insert("stage".to_owned(), json!("Proposal"));
        if let Some(changes) = self.changes.get(&(customer.clone(), id.to_owned())) {
            record.extend(changes.clone());
        }
        Value::Object(record)
    }

    fn change(&mut self, label: &Label, id: &str, body: &[u8]) -> Response {
        let changes: Map<String, Value> = match body {
            [] => Map::new(),
            _ => match serde_json::from_slice(body) {
                Ok(changes) => changes,
                Err(_) => return (StatusCode::BAD_REQUEST, Json(json!({"error": "MALFORMED_JSON"}))).into_response(),
            },
        };
        self.changes.entry((label.customer().clone(), id.to_owned())).or_default().extend(changes);
        owned(label, self.opportunity(label.customer(), id))
    }

    fn log(&mut self, label: &Label, body: &[u8]) -> Response {
        let activity: Value = serde_json::from_slice(body).unwrap_or_default();
        let activities = self.activities.entry(label.customer().clone()).or_default();
        activities.push(activity.clone());
        let mut answer = owned(label, json!({"id": format!("T-{}", activities.len()), "activity": activity}));
        *answer.status_mut() = StatusCode::CREATED;
        answer
    }
}

fn account(customer: &CustomerId, id: &str) -> Value {
    json!({"id": id, "name": name(customer, id)})
}

/// The customer's own name for the record; customers that are not in the story get one that says whose it is.
fn name(customer: &CustomerId, id: &str) -> String {
    let known = KNOWN.iter().filter(|(owner, ..)| *owner == customer.as_str());
    let found = known.flat_map(|(_, accounts, opportunities)| accounts.iter().chain(*opportunities)).find(|(key, _)| *key == id);
    found.map_or_else(|| format!("{id} of {customer}"), |(_, name)| (*name).to_owned())
}

/// Ids of the accounts and of the opportunities of a customer.
fn listing(customer: &CustomerId) -> (Vec<&'static str>, Vec<&'static str>) {
    let known = KNOWN.iter().find(|(owner, ..)| *owner == customer.as_str()).or_else(|| KNOWN.first());
    known.map_or_else(Default::default, |(_, accounts, opportunities)| {
        (accounts.iter().map(|(id, _)| *id).collect(), opportunities.iter().map(|(id, _)| *id).collect())
    })
}

/// A record, and whose token fetched it.
fn owned(label: &Label, record: Value) -> Response {
    let mut members = Map::new();
    members.insert("owner".to_owned(), json!(label.to_string()));
    members.insert("customer".to_owned(), json!(label.customer().as_str()));
    if let Value::Object(record) = record {
        members.extend(record);
    }
    Json(Value::Object(members)).into_response()
}

fn listed(label: &Label, name: &str, records: Vec<Value>) -> Response {
    owned(label, Value::Object(std::iter::once((name.to_owned(), Value::Array(records))).collect()))
}
