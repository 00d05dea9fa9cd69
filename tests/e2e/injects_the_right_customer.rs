//! However requests, refreshes and hang-ups interleave, each upstream request carries the token of the account that was
//! named, and no other.

use crate::raw;
use crate::stage::{Stage, account_path, label};
use reqwest::Method;
use scopegate::practice::Label;
use scopegate::tasks::Tasks;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;

const CUSTOMERS: usize = 100;
const REQUESTS: usize = 20_000;
const WORKERS: usize = 40;

#[derive(Clone, Copy)]
enum Role {
    Researcher,
    Publisher,
    Responder,
}

/// An account, and the call that its role may make; its path ends in the account's identifier.
struct Member {
    identifier: String,
    label: Label,
    role: Role,
}

impl Member {
    fn call(&self) -> (Method, String) {
        let id = &self.identifier;
        match self.role {
            Role::Researcher => (Method::GET, format!("/crm/v1/accounts/{id}")),
            Role::Publisher => (Method::PATCH, format!("/crm/v1/opportunities/{id}")),
            Role::Responder => (Method::POST, format!("/crm/v1/activities/{id}")),
        }
    }

    /// A call beyond its role, at a path that must never arrive.
    fn beyond(&self) -> (Method, String) {
        match self.role {
            Role::Researcher => (Method::PATCH, "/crm/v1/opportunities/refused".to_owned()),
            Role::Publisher | Role::Responder => (Method::GET, "/crm/v1/accounts/refused".to_owned()),
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

#[derive(Default)]
struct Counts {
    served: AtomicUsize,
    unauthorised: AtomicUsize,
    refused: AtomicUsize,
    hung_up: AtomicUsize,
}

async fn members(stage: &Stage) -> Vec<Member> {
    let mut members = Vec::new();
    for customer in 0..CUSTOMERS {
        for (name, role) in [("researcher", Role::Researcher), ("publisher", Role::Publisher), ("responder", Role::Responder)] {
            let (customer, identifier) = (format!("customer_{customer}"), format!("user_{customer}_{name}"));
            let label = stage.account(&customer, &identifier, name).await;
            members.push(Member { identifier, label, role });
        }
    }
    members
}

async fn work(stage: &Stage, members: &[Member], counts: &Counts, mut dice: Dice) {
    for _ in 0..REQUESTS / WORKERS {
        let member = &members[dice.below(members.len())];
        match dice.below(100) {
            0 => stage.practice.provider().expire(&member.label),
            1 => drop(stage.ask(Method::POST, &format!("{}/refresh", account_path("crm", &member.identifier)), Value::Null).await),
            _ => (),
        }
        match dice.below(20) {
            0 => hang_up(stage, member, counts).await,
            1 => refused(stage, member, counts).await,
            _ => served(stage, member, counts).await,
        }
    }
}

async fn served(stage: &Stage, member: &Member, counts: &Counts) {
    let (method, target) = member.call();
    let reply = stage.call(method, &target, &member.identifier).await;
    match reply.status {
        200 | 201 => {
            assert_eq!(reply.text("owner"), member.label.to_string(), "{target}");
            counts.served.fetch_add(1, Ordering::SeqCst);
        }
        // A write that met an expired token is not repeated for the agent.
        401 => drop(counts.unauthorised.fetch_add(1, Ordering::SeqCst)),
        status => panic!("{target}: {status} {} {}", reply.decision, reply.body),
    }
}

async fn refused(stage: &Stage, member: &Member, counts: &Counts) {
    let (method, target) = member.beyond();
    let reply = stage.call(method, &target, &member.identifier).await;
    assert_eq!((reply.status, reply.text("reason")), (403, "role_lacks_scope"), "{target}");
    counts.refused.fetch_add(1, Ordering::SeqCst);
}

async fn hang_up(stage: &Stage, member: &Member, counts: &Counts) {
    let (method, target) = member.call();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nScopegate-Account: {}\r\n\r\n", stage.gateway, member.identifier);
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    counts.hung_up.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_upstream_request_carries_the_token_of_the_account_that_was_named() {
    let stage = Arc::new(Stage::new().await);
    stage.practice.api().remember(2 * REQUESTS);
    let members = Arc::new(members(&stage).await);
    let counts = Arc::new(Counts::default());
    let tasks = Tasks::new(Handle::current());
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let (stage, members, counts) = (Arc::clone(&stage), Arc::clone(&members), Arc::clone(&counts));
        let dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (worker as u64 + 1));
        workers.push(tasks.spawn("worker", async move { work(&stage, &members, &counts, dice).await }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let (served, unauthorised) = (count(&counts.served), count(&counts.unauthorised));
    assert_eq!(served + unauthorised + count(&counts.refused) + count(&counts.hung_up), REQUESTS);
    assert!(unauthorised < served / 20, "{unauthorised} of {served} calls were answered with 401");

    let seen = stage.practice.api().seen();
    assert!(seen.len() >= served, "{} requests upstream, {served} answers", seen.len());
    for request in &seen {
        let named = request.target.rsplit('/').next().unwrap();
        let owner = request.owner.as_ref().unwrap_or_else(|| panic!("no token of ours on {}", request.target));
        assert_eq!(owner.label.name().as_str(), named, "{}", request.target);
        let tokens = request.headers.iter().filter(|(name, _)| name == "authorization").count();
        assert_eq!(tokens, 1, "{}", request.target);
    }
    let provider = stage.practice.provider();
    assert_eq!(provider.problems(), Vec::<String>::new());
    assert_eq!(members.iter().map(|member| provider.refreshes(&member.label).overlapping).sum::<u64>(), 0);
    assert!(members.iter().map(|member| provider.refreshes(&member.label).granted).sum::<u64>() > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_url_shows_each_customer_its_own_record() {
    let stage = Stage::new().await;
    for (customer, identifier, name) in [("acme", "user_1", "Nordwind Traders"), ("globex", "user_2", "Hooli Logistics")] {
        stage.account(customer, identifier, "researcher").await;
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", identifier).await;
        assert_eq!((reply.status, reply.text("owner"), reply.text("name")), (200, label(customer, identifier).to_string().as_str(), name));
    }
}
