//! The six promises, each put to the test with plain HTTP calls.

use super::agent::{Call, Reply};
use super::cast::{Member, OTHER_RESEARCHER, OTHER_RESPONDER, PUBLISHER, RESEARCHER, RESPONDER};
use super::{Promise, World};
use crate::chance;
use crate::practice::{Browser, Fault, Label, Whose};
use reqwest::Method;
use scopegate_core::time::Instant;
use serde_json::{Value, json};
use std::time::Duration;

const ACCOUNT: &str = "/crm/v1/accounts/A-1";
const OPPORTUNITY: &str = "/crm/v1/opportunities/O-7";
const ACTIVITIES: &str = "/crm/v1/activities";

/// Calls of each customer before, and again after, its token ends.
const AT_ONCE: usize = 20;

/// Callers that meet the expired token.
const CROWD: usize = 50;

/// The lifetime of the token that the crowd meets.
const SHORT: Duration = Duration::from_secs(1);

/// The lifetime of all others, and how long a refresh takes that a crowd is to wait for.
const USUAL: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_secs(1);

/// What went otherwise, in a sentence.
type Outcome = Result<(), String>;

/// Puts one promise to the test; with the sabotage that is meant for it, the provider misbehaves.
pub(super) async fn play(world: &World, promise: Promise, sabotage: Option<Promise>) -> Outcome {
    let sabotage = sabotage.filter(|broken| *broken == promise);
    match promise {
        Promise::AllowedRead => allowed_read(world).await,
        Promise::RefusedWrite => refused_write(world).await,
        Promise::PublisherWrite => publisher_write(world).await,
        Promise::BothCustomers => both_customers(world, sabotage).await,
        Promise::Delegation => delegation(world).await,
        Promise::OneRefresh => one_refresh(world, sabotage).await,
    }
}

async fn allowed_read(world: &World) -> Outcome {
    let reply = call(world, Call::new(Method::GET, ACCOUNT, &RESEARCHER)).await?;
    allowed(&reply, 200, "crm.account.get")?;
    own_record(&reply, &RESEARCHER, "Nordwind Traders")
}

async fn refused_write(world: &World) -> Outcome {
    let api = world.practice().api();
    let before = (api.bytes(), api.requests());
    let reply = call(world, Call::new(Method::PATCH, OPPORTUNITY, &RESEARCHER).saying(json!({"stage": "Won"}))).await?;
    refused(&reply, "role_lacks_scope", "insufficient_scope: opportunities:write required")?;
    equal((api.bytes(), api.requests()), before, "bytes and requests that the CRM has seen")
}

async fn publisher_write(world: &World) -> Outcome {
    let reply = call(world, Call::new(Method::PATCH, OPPORTUNITY, &PUBLISHER).saying(json!({"stage": "Won"}))).await?;
    allowed(&reply, 200, "crm.opportunity.update")?;
    let seen = call(world, Call::new(Method::GET, OPPORTUNITY, &RESEARCHER)).await?;
    equal(seen.text("stage"), "Won", "the stage that the researcher reads afterwards")
}

async fn both_customers(world: &World, sabotage: Option<Promise>) -> Outcome {
    let provider = world.practice().provider();
    let (ours, theirs) = (label(&RESEARCHER)?, label(&OTHER_RESEARCHER)?);
    let before = [&ours, &theirs].map(|label| provider.refreshes(label).granted);
    each_sees_its_own(world).await?;
    if sabotage.is_some() {
        provider.fault(Whose::Of(theirs.clone()), Fault::TokenOf(ours.clone()));
    }
    provider.expire(&ours);
    provider.expire(&theirs);
    each_sees_its_own(world).await?;
    for (label, before) in [&ours, &theirs].into_iter().zip(before) {
        if provider.refreshes(label).granted <= before {
            return Err(format!("the token of {label} was not refreshed"));
        }
    }
    Ok(())
}

async fn each_sees_its_own(world: &World) -> Outcome {
    let mut calls = Vec::new();
    for _ in 0..AT_ONCE {
        for (member, name) in [(RESEARCHER, "Nordwind Traders"), (OTHER_RESEARCHER, "Hooli Logistics")] {
            let agent = world.agent().clone();
            calls.push(world.tasks().spawn("agent", async move { (agent.call(Call::new(Method::GET, ACCOUNT, &member)).await, member, name) }));
        }
    }
    for done in calls {
        let (reply, member, name) = done.await.map_err(|error| error.to_string())?;
        own_record(&reply.map_err(|error| error.to_string())?, &member, name)?;
    }
    Ok(())
}

async fn delegation(world: &World) -> Outcome {
    let session = format!("crew-{}", hex::encode(chance::bytes::<4>()));
    let activity = json!({"subject": "Call Nordwind back", "opportunity": "O-7"});
    let managed = call(world, Call::new(Method::GET, OPPORTUNITY, &RESEARCHER).within(&session)).await?;
    allowed(&managed, 200, "crm.opportunity.get")?;
    let logged = call(world, Call::new(Method::POST, ACTIVITIES, &RESPONDER).within(&session).saying(activity)).await?;
    allowed(&logged, 201, "crm.activity.create")?;
    let beyond = call(world, Call::new(Method::GET, ACCOUNT, &RESPONDER).within(&session)).await?;
    refused(&beyond, "role_lacks_scope", "insufficient_scope: accounts:read required")?;
    let foreign = call(world, Call::new(Method::GET, ACCOUNT, &OTHER_RESPONDER).within(&session)).await?;
    if !foreign.decision.contains("reason=session_customer_mismatch") {
        return Err(format!("another customer's account in the session was to be refused, came {} `{}`", foreign.status, foreign.decision));
    }
    Ok(())
}

async fn one_refresh(world: &World, sabotage: Option<Promise>) -> Outcome {
    let (provider, own) = (world.practice().provider(), label(&RESEARCHER)?);
    provider.set_lifetime(Whose::Of(own.clone()), SHORT);
    let mut browser = Browser::new().map_err(|error| error.to_string())?;
    world.operator().connect(&RESEARCHER, &mut browser).await.map_err(|error| error.to_string())?;
    provider.set_lifetime(Whose::Of(own.clone()), USUAL);
    provider.set_delay(Whose::Of(own.clone()), SLOW);
    if sabotage.is_some() {
        provider.fault(Whose::Of(own.clone()), Fault::StillbornToken);
    }
    let before = provider.refreshes(&own);
    until(world, world.clock().instant().plus(SHORT)).await;
    let mut calls = Vec::new();
    for _ in 0..CROWD {
        let agent = world.agent().clone();
        calls.push(world.tasks().spawn("agent", async move { agent.call(Call::new(Method::GET, ACCOUNT, &RESEARCHER)).await }));
    }
    let mut replies = Vec::new();
    for done in calls {
        replies.push(done.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string()));
    }
    provider.set_delay(Whose::Of(own.clone()), Duration::ZERO);
    for reply in replies {
        own_record(&reply?, &RESEARCHER, "Nordwind Traders")?;
    }
    let after = provider.refreshes(&own);
    equal(after.arrived - before.arrived, 1, "refresh calls for fifty callers")?;
    equal(after.overlapping, before.overlapping, "refresh calls that overlapped")?;
    equal(provider.problems(), Vec::new(), "what the provider complains about")
}

/// The token was issued at the latest at the beginning of the walk's end, so that it is over by then.
async fn until(world: &World, moment: Instant) {
    world.clock().sleep(moment.since(world.clock().instant())).await;
}

async fn call(world: &World, call: Call) -> Result<Reply, String> {
    world.agent().call(call).await.map_err(|error| error.to_string())
}

fn label(member: &Member) -> Result<Label, String> {
    member.label().ok_or_else(|| format!("{} has no label", member.identifier))
}

fn allowed(reply: &Reply, status: u16, operation: &str) -> Outcome {
    equal(reply.status, status, "the status")?;
    equal(reply.decision.as_str(), &format!("allow;op=\"{operation}\""), "the decision")
}

fn refused(reply: &Reply, reason: &str, title: &str) -> Outcome {
    equal(reply.status, 403, "the status")?;
    equal(reply.text("title"), title, "the title")?;
    equal(reply.text("reason"), reason, "the reason")?;
    equal(reply.body.get("upstream_called"), Some(&Value::Bool(false)), "whether the CRM was called")
}

/// The record is the member's own, and came for its own token.
fn own_record(reply: &Reply, member: &Member, name: &str) -> Outcome {
    equal(reply.status, 200, "the status")?;
    equal(reply.text("owner"), &label(member)?.to_string(), "the owner of the token that arrived")?;
    equal(reply.text("customer"), member.customer, "the customer whose record it is")?;
    equal(reply.text("name"), name, "the record")
}

fn equal<T: PartialEq + std::fmt::Debug>(came: T, expected: T, what: &str) -> Outcome {
    if came == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, came {came:?}")) }
}
