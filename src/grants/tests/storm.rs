//! A restart behind which very many tokens are over at once.

use super::*;
use scopegate_core::refresh::Why;
use std::collections::BTreeMap;

const MANY: usize = 100_000;
/// Accounts that are stored in one go.
const AT_ONCE: usize = 2_000;
/// So many calls are made at a time at most for what nobody waits for, and so many in all.
const AHEAD: u64 = 12;
const IN_ALL: u64 = 16;

fn identifier(number: usize) -> String {
    format!("many-{number}")
}

fn customer(number: usize) -> String {
    format!("customer-{}", number % 1_000)
}

/// So many connected accounts whose tokens live for 100 s.
async fn crowded(stage: &Stage, many: usize) {
    let policies = stage.policies.load_full();
    let connector = policies.connector("crm").unwrap();
    for first in (0..many).step_by(AT_ONCE) {
        let mut changes = Vec::new();
        for number in first..many.min(first + AT_ONCE) {
            let label = format!("{}/{}", customer(number), identifier(number)).parse().unwrap();
            let tokens = stage.practice.provider().seed(&label, "api");
            let credential = BroughtCredential::Tokens {
                access: tokens.access_token,
                refresh: Some(tokens.refresh_token),
                expires_in: Some(Duration::from_secs(100)),
                scope: Some("api".into()),
            };
            let usable = stage.grants.check(connector, Brought { credential, variables: Variables::new() }).unwrap();
            let record = AccountRecord { customer: customer(number).parse().unwrap(), ..stage.unconnected("crm", &identifier(number), "researcher") };
            let grant = stage.grants.first_grant(&record, &usable).await.unwrap();
            let record = AccountRecord { grant: Some(grant.facts.id.clone()), ..record };
            changes.extend([Change::PutGrant { record: grant, expected: None }, Change::InsertAccount(record)]);
        }
        assert_eq!(stage.directory.apply(changes).await.unwrap(), Applied::Done);
    }
}

/// Resident memory of this process in MiB, for what the test prints.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_tokens_that_are_over_at_start_are_spread_and_refreshed_a_few_at_a_time_and_sooner_on_demand() {
    let (stage, watch) = (Stage::new().await, Clock::system());
    crowded(&stage, MANY).await;
    println!("made in {:?}", watch.instant());
    stage.advance(3600);
    let (began, before) = (watch.instant(), resident());
    let stage = stage.killed().await;
    // A provider that takes its time.
    let provider = stage.practice.provider().clone();
    let hold = provider.hold();
    stage.grants.start();
    println!("started in {:?}, {} MiB more", watch.instant().since(began), resident().saturating_sub(before));

    // Each second of a minute has its part.
    let start = stage.clock.instant();
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    for at in stage.grants.0.schedule.planned() {
        *seconds.entry(at.since(start).as_secs()).or_default() += 1;
    }
    // A few of the first second may have gone by.
    assert!(seconds.len() == 60 && seconds.values().sum::<usize>() > MANY - 200, "{seconds:?}");
    let part = MANY / 60;
    assert!(seconds.values().all(|count| (part * 7 / 10..part * 13 / 10).contains(count)), "{seconds:?}");

    // As many calls as may be, and the rest wait in line.
    stage.advance(60);
    stage.until("as many calls as may be", |_| provider.refresh_calls() == AHEAD).await;
    let with_line = resident();
    stage.until("all others stand in line", |stage| stage.grants.0.schedule.is_empty()).await;
    println!("{MANY} in line: {} MiB more", resident().saturating_sub(with_line));

    // Whoever calls does not stand in that line, and is told in time where even that is too much.
    let last = stage.find("crm", &identifier(MANY - 1));
    let callers: Vec<_> = (0..40).map(|number| stage.find("crm", &identifier(MANY - 1 - number))).collect();
    let mut calls = Box::pin(super::refreshing::futures_all(callers.iter().map(|account| stage.open(account)).collect()));
    tokio::select! {
        _ = &mut calls => panic!("the provider takes its time"),
        () = stage.until("their calls arrive", |_| provider.refresh_calls() == IN_ALL) => {}
    }
    let patience = Duration::from_secs(10);
    stage.hands.advance(patience);
    drop(hold);
    let answers = calls.await;
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = NoToken::from(Why::Unavailable { retry_after: Duration::from_secs(1) });
    assert!(served >= 4, "{served}");
    assert!(answers.iter().all(|answer| answer.as_ref().map_or_else(|why| *why == refused, |_| true)), "{answers:?}");
    assert!(stage.token(&last).await.is_ok());

    // Some of the line go through, and none of them twice.
    stage.until("the line goes on", |_| provider.refresh_calls() > 2_000).await;
    assert_eq!((provider.most_at_a_time(), provider.problems()), (IN_ALL, vec![]));
}

/// How many of so many have been refreshed.
fn refreshed(stage: &Stage, many: usize) -> usize {
    (0..many).filter(|number| stage.find("crm", &identifier(*number)).grant.unwrap().version > 1).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_answered_ends_the_rest_of_the_line() {
    const MANY: usize = 60;
    const FAILURES: usize = 20;
    let stage = Stage::new().await;
    crowded(&stage, MANY).await;
    stage.advance(3600);
    let stage = stage.killed().await;
    let provider = stage.practice.provider().clone();
    for _ in 0..FAILURES {
        provider.fault(crate::practice::Whose::Everybody, crate::practice::Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, Some(900)));
    }
    stage.grants.start();
    stage.advance(60);
    stage.until("the line rests", |_| provider.refresh_calls() >= AHEAD).await;
    provider.until_idle().await;
    let mut numbers = 0..MANY;
    while stage.open(&stage.find("crm", &identifier(numbers.next().unwrap()))).await.is_err() {}
    // The clock stands still, and the quarter of an hour that the provider asked for is not over.
    stage.until("the line goes on", |stage| refreshed(stage, MANY) == MANY - FAILURES).await;
    assert_eq!(provider.problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_fails_whomever_it_is_asked_for_is_left_alone_by_the_line_and_not_by_callers() {
    let stage = Stage::new().await;
    crowded(&stage, 300).await;
    stage.advance(3600);
    let stage = stage.killed().await;
    let provider = stage.practice.provider().clone();
    provider.set_lifetime(crate::practice::Whose::Everybody, Duration::from_secs(24 * 60 * 60));
    const FAILURES: u64 = 40;
    for _ in 0..FAILURES {
        provider.fault(crate::practice::Whose::Everybody, crate::practice::Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, Some(30)));
    }
    stage.grants.start();
    stage.advance(60);
    // The twelve whose calls are under way when it shows, and no more.
    stage.until("the line rests", |stage| stage.grants.0.schedule.planned().len() < 300 && provider.refresh_calls() >= 5).await;
    provider.until_idle().await;
    let calls = provider.refresh_calls();
    assert!(calls <= AHEAD + 4, "{calls}");
    let refused = stage.open(&stage.find("crm", &identifier(7))).await.unwrap_err();
    assert!(matches!(refused, NoToken::Unavailable { .. }), "{refused:?}");
    // Some time later it has recovered, and the line goes on by itself.
    while refreshed(&stage, 300) < 300 {
        stage.advance(1);
        tokio::task::yield_now().await;
    }
    assert_eq!((provider.refresh_calls(), provider.problems()), (FAILURES + 300, vec![]));
}
