//! The rules of a grant's life, one by one.

use super::*;
use crate::connector::oauth::RefreshMode;
use crate::time::{Instant, Timestamp};
use std::time::Duration;

const WALL: i64 = 1_800_000_000_000;

const HABITS: Habits = Habits { mode: RefreshMode::Ahead, keep_alive: None, replay: Replay::Never };

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `millis` after the start, on both clocks.
fn at(millis: u64) -> Moment {
    Moment { mono: Instant::from_millis(millis), wall: Timestamp::from_millis(WALL).plus(Duration::from_millis(millis)), chance: 0.5 }
}

/// Issued at the start.
fn known(lifetime: Option<u64>) -> Known {
    Known {
        version: 1,
        standing: Standing::Live,
        refreshable: true,
        issued_at: at(0).wall,
        expires_at: lifetime.map(|lifetime| at(lifetime * 1000).wall),
        intent: None,
    }
}

fn life(known: Known, habits: &Habits) -> Life {
    Life::new(&known, habits, at(0))
}

fn ask(life: &mut Life, ask: Ask, millis: u64) -> Verdict {
    life.step(Event::Asked(ask), &HABITS, at(millis)).verdict.unwrap()
}

/// Flies on until the refresh token is to be sent.
fn to_the_provider(life: &mut Life, known: Known, millis: u64) {
    for step in [Step::Leased(Leased::Taken), Step::Read(Some(known))] {
        assert!(life.step(Event::Done(step), &HABITS, at(millis)).next.is_some(), "{step:?}");
    }
    let effects = life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(millis));
    assert_eq!(effects.next, Some((Deed::Spend { version: known.version }, Duration::ZERO)));
}

fn spent(life: &mut Life, spent: Spent, millis: u64) -> Effects {
    life.step(Event::Done(Step::Spent(spent)), &HABITS, at(millis))
}

const TOKENS: Spent = Spent::Tokens { expires_in: Some(seconds(3600)) };
const LATER: Spent = Spent::Declined { retry_after: Some(seconds(120)) };

const LOST: Spent = Spent::Lost { retry_after: None };

/// A refresh from the first deed to the last.
fn refreshed(life: &mut Life, version: u64, millis: u64) -> Effects {
    to_the_provider(life, Known { version, ..known(Some(3600)) }, millis);
    assert_eq!(spent(life, TOKENS, millis).next, Some((Deed::Save { version }, Duration::ZERO)));
    life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(millis))
}

const USE: Verdict = Verdict::Use { version: 1 };

#[test]
fn a_token_is_used_until_a_little_before_its_end_and_then_everybody_waits() {
    for (lifetime, millis, verdict) in [
        (Some(8), 7_599, USE),
        (Some(8), 7_600, Verdict::Wait),
        (Some(3600), 3_589_999, USE),
        (Some(3600), 3_590_000, Verdict::Wait),
        (None, u64::MAX / 2, USE),
    ] {
        assert_eq!(ask(&mut life(known(lifetime), &HABITS), Ask::Request, millis), verdict, "{lifetime:?} {millis}");
    }
}

#[test]
fn one_flight_serves_all_who_wait() {
    let mut life = life(known(Some(8)), &HABITS);
    let first = life.step(Event::Asked(Ask::Request), &HABITS, at(7_600));
    assert_eq!((first.verdict, first.next), (Some(Verdict::Wait), Some((Deed::Lease, Duration::ZERO))));
    for who in [Ask::Request, Ask::Operator, Ask::Unauthorized { version: 1 }] {
        let other = life.step(Event::Asked(who), &HABITS, at(7_700));
        assert_eq!((other.verdict, other.next), (Some(Verdict::Wait), None), "{who:?}");
    }
    assert_eq!(refreshed(&mut life, 1, 7_800).tell, Some(Landing::Fresh));
    assert_eq!(ask(&mut life, Ask::Request, 7_900), Verdict::Use { version: 2 });
}

#[test]
fn a_new_token_lives_from_when_it_was_asked_for_whatever_the_wall_clock_does() {
    let mut life = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
    to_the_provider(&mut life, known(Some(8)), 10_000);
    assert!(spent(&mut life, Spent::Tokens { expires_in: Some(seconds(100)) }, 24_000).next.is_some());
    life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(25_000));
    let set_back = |millis| Moment { wall: Timestamp::from_millis(0), ..at(millis) };
    for (millis, verdict) in [(104_999, Verdict::Use { version: 2 }), (105_000, Verdict::Wait)] {
        assert_eq!(life.step(Event::Asked(Ask::Request), &HABITS, set_back(millis)).verdict, Some(verdict), "{millis}");
    }
}

#[test]
fn refreshing_ahead_waits_for_half_of_the_life_and_for_use() {
    let recently = Event::Due { used_at: at(0).wall };
    for (lifetime, millis, takes_off) in [(8, 3_999, false), (8, 4_000, true), (3600, 3_299_000, false), (3600, 3_301_000, true)] {
        let mut life = life(known(Some(lifetime)), &HABITS);
        assert_eq!(life.step(recently, &HABITS, at(millis)).next.is_some(), takes_off, "{lifetime} {millis}");
        assert_eq!(ask(&mut life, Ask::Request, millis), USE, "nobody waits: {lifetime} {millis}");
    }
    let day = 24 * 60 * 60 * 1000;
    let mut life = life(known(Some(2 * 24 * 60 * 60)), &HABITS);
    let effects = life.step(recently, &HABITS, at(2 * day - 60_000));
    assert_eq!((effects.next, effects.wake), (None, Wake::Never), "unused for a day");
    let effects = life.step(Event::Asked(Ask::Request), &HABITS, at(2 * day - 50_000));
    assert_eq!((effects.verdict, effects.next.is_some()), (Some(USE), true), "used again");
}

#[test]
fn a_connector_may_want_no_refresh_ahead_and_may_want_unused_grants_alive() {
    let day = 24 * 60 * 60;
    let lazy = Habits { mode: RefreshMode::OnUse, ..HABITS };
    let kept = Habits { keep_alive: Some(seconds(30 * day)), ..lazy };
    for (habits, days, takes_off) in [(lazy, 400, false), (kept, 26, false), (kept, 27, true)] {
        let mut life = life(known(Some(3600)), &habits);
        let effects = life.step(Event::Due { used_at: at(0).wall }, &habits, at(days * day * 1000));
        assert_eq!(effects.next.is_some(), takes_off, "{days}");
    }
}

#[test]
fn what_is_due_at_start_is_spread_over_a_minute() {
    let late = at(3_600_000);
    for (chance, millis) in [(0.0, 0), (0.5, 30_000), (0.75, 45_000)] {
        let wake = first_wake(&known(Some(3600)), late.wall, &HABITS, Moment { chance, ..late });
        assert_eq!(wake, Some(late.mono.plus(Duration::from_millis(millis))), "{chance}");
    }
    let unused = first_wake(&known(Some(3600)), Timestamp::from_millis(0), &HABITS, late);
    let unrefreshable = first_wake(&Known { refreshable: false, ..known(Some(3600)) }, late.wall, &HABITS, late);
    let ended = first_wake(&Known { standing: Standing::Ended, ..known(Some(3600)) }, late.wall, &HABITS, late);
    assert_eq!((unused, unrefreshable, ended), (None, None, None));
}

#[test]
fn during_back_off_requests_are_told_how_long_and_an_operator_tries_anyway() {
    let mut life = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
    to_the_provider(&mut life, known(Some(8)), 10_000);
    assert_eq!(spent(&mut life, LATER, 10_000).next, Some((Deed::Recant { version: 1 }, Duration::ZERO)));
    let effects = life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(10_000));
    let unavailable = |count| Why::Unavailable { retry_after: seconds(count) };
    assert_eq!((effects.tell, effects.next), (Some(Landing::Refused(unavailable(120))), None));
    assert_eq!(effects.wake, Wake::At(Instant::from_millis(130_000)));
    assert_eq!(ask(&mut life, Ask::Request, 100_000), Verdict::Refuse(unavailable(30)));
    assert_eq!(ask(&mut life, Ask::Unauthorized { version: 1 }, 100_000), Verdict::Refuse(unavailable(30)));
    assert_eq!(ask(&mut life, Ask::Operator, 100_000), Verdict::Wait);
    assert_eq!(refreshed(&mut life, 1, 100_000).tell, Some(Landing::Fresh));
    assert_eq!(ask(&mut life, Ask::Request, 100_001), Verdict::Use { version: 2 });
}

#[test]
fn nobody_notices_a_failure_while_the_old_token_lives() {
    for failure in [LATER, LOST] {
        let mut life = life(known(Some(100)), &HABITS);
        assert!(life.step(Event::Due { used_at: at(0).wall }, &HABITS, at(75_000)).next.is_some());
        to_the_provider(&mut life, known(Some(100)), 75_000);
        spent(&mut life, failure, 75_000);
        assert_eq!(ask(&mut life, Ask::Request, 80_000), USE, "{failure:?}");
    }
}

#[test]
fn invalid_grant_ends_the_grant_unless_somebody_was_faster() {
    let faster = Known { version: 2, issued_at: at(10_000).wall, expires_at: Some(at(3_600_000).wall), ..known(None) };
    for (record, tell, next) in [
        (Some(known(Some(8))), None, Some((Deed::End { version: 1 }, Duration::ZERO))),
        (Some(faster), Some(Landing::Fresh), None),
        (Some(Known { standing: Standing::Ended, ..faster }), Some(Landing::Refused(Why::Ended)), None),
        (None, Some(Landing::Refused(Why::Gone)), None),
    ] {
        let mut life = life(known(Some(8)), &HABITS);
        assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
        to_the_provider(&mut life, known(Some(8)), 10_000);
        assert_eq!(spent(&mut life, Spent::NotHonoured, 11_000).next, Some((Deed::Read, Duration::ZERO)));
        let effects = life.step(Event::Done(Step::Read(record)), &HABITS, at(11_000));
        assert_eq!((effects.tell, effects.next), (tell, next), "{record:?}");
        if next.is_some() {
            let effects = life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(11_000));
            assert_eq!(effects.tell, Some(Landing::Refused(Why::Ended)));
            assert_eq!(ask(&mut life, Ask::Request, 11_001), Verdict::Refuse(Why::Ended));
        }
    }
}

#[test]
fn after_a_crash_the_old_token_is_used_up_before_the_refresh_token_is_tried_again() {
    let crashed = Known { intent: Some(at(80_000).wall), ..known(Some(100)) };
    let start = at(85_000);
    for (replay, wake) in [(Replay::Never, 95_000), (Replay::For(seconds(60)), 85_000), (Replay::For(seconds(3)), 95_000), (Replay::Always, 85_000)] {
        let habits = Habits { replay, ..HABITS };
        let mut life = Life::new(&crashed, &habits, start);
        let due = |life: &mut Life, millis| life.step(Event::Due { used_at: at(0).wall }, &habits, at(millis)).next.is_some();
        assert_eq!(due(&mut life, 94_999), wake < 95_000, "{replay:?}");
        assert_eq!(ask(&mut life, Ask::Request, 94_999), USE, "{replay:?}");
        assert_eq!(ask(&mut life, Ask::Request, 95_000), Verdict::Wait, "{replay:?}");
    }
}

#[test]
fn an_open_intent_that_only_the_record_shows_holds_back_what_is_not_urgent() {
    let crashed = Known { intent: Some(at(70_000).wall), ..known(Some(100)) };
    for (event, spends) in
        [(Event::Due { used_at: at(0).wall }, false), (Event::Asked(Ask::Operator), true), (Event::Asked(Ask::Unauthorized { version: 1 }), true)]
    {
        let mut life = life(known(Some(100)), &HABITS);
        assert!(life.step(event, &HABITS, at(75_000)).next.is_some());
        life.step(Event::Done(Step::Leased(Leased::Taken)), &HABITS, at(75_000));
        let effects = life.step(Event::Done(Step::Read(Some(crashed))), &HABITS, at(75_000));
        let expected = if spends { Some((Deed::Intend { version: 1 }, Duration::ZERO)) } else { None };
        assert_eq!(effects.next, expected, "{event:?}");
        if !spends {
            assert_eq!(effects.wake, Wake::At(Instant::from_millis(95_000)));
        }
    }
}

#[test]
fn a_lost_answer_waits_for_the_end_of_the_old_token_where_a_second_try_could_end_the_grant() {
    for (replay, wake) in [(Replay::Never, 95_000), (Replay::For(seconds(60)), 76_000), (Replay::Always, 76_000)] {
        let habits = Habits { replay, ..HABITS };
        let mut life = life(known(Some(100)), &habits);
        assert!(life.step(Event::Due { used_at: at(0).wall }, &habits, at(75_000)).next.is_some());
        to_the_provider(&mut life, known(Some(100)), 75_000);
        let effects = life.step(Event::Done(Step::Spent(LOST)), &habits, at(75_000));
        assert_eq!(effects.wake, Wake::At(Instant::from_millis(wake)), "{replay:?}");
    }
}

#[test]
fn a_grant_that_is_to_be_kept_alive_is_careful_with_a_lost_answer_and_does_not_run_in_circles() {
    let kept = Habits { keep_alive: Some(seconds(50)), mode: RefreshMode::OnUse, ..HABITS };
    // From 45 s on; its token lives until 95 s, or nobody knows how long.
    for (lifetime, spends, wake) in [(Some(100), false, Wake::At(Instant::from_millis(95_000))), (None, true, Wake::Unchanged)] {
        let mut life = life(known(lifetime), &kept);
        assert!(life.step(Event::Due { used_at: at(0).wall }, &kept, at(46_000)).next.is_some());
        life.step(Event::Done(Step::Leased(Leased::Taken)), &kept, at(46_000));
        let lost = Known { intent: Some(at(40_000).wall), ..known(lifetime) };
        let effects = life.step(Event::Done(Step::Read(Some(lost))), &kept, at(46_000));
        assert_eq!((effects.next.is_some(), effects.wake), (spends, wake), "{lifetime:?}");
    }
}

#[test]
fn a_call_that_spent_nothing_takes_its_intent_back_and_leaves_that_of_an_earlier_one() {
    for (earlier, next) in [(None, Some((Deed::Recant { version: 1 }, Duration::ZERO))), (Some(at(5_000).wall), None)] {
        let record = Known { intent: earlier, ..known(Some(8)) };
        for step in [Step::Wrote(Wrote::Done), Step::Wrote(Wrote::Conflict), Step::StoreFailed] {
            let mut life = life(known(Some(8)), &HABITS);
            assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
            to_the_provider(&mut life, record, 10_000);
            let mut effects = spent(&mut life, LATER, 10_000);
            assert_eq!(effects.next, next, "{earlier:?}");
            if next.is_some() {
                effects = life.step(Event::Done(step), &HABITS, at(10_000));
            }
            assert_eq!(effects.tell, Some(Landing::Refused(Why::Unavailable { retry_after: seconds(120) })), "{earlier:?} {step:?}");
        }
    }
}

#[test]
fn a_grant_that_was_connected_again_lives_though_the_end_of_the_old_one_could_not_be_written() {
    let mut life = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
    to_the_provider(&mut life, known(Some(8)), 10_000);
    spent(&mut life, Spent::NotHonoured, 10_000);
    life.step(Event::Done(Step::Read(Some(known(Some(8))))), &HABITS, at(10_000));
    let again = Known { version: 2, issued_at: at(10_000).wall, expires_at: Some(at(99_000).wall), ..known(None) };
    life.step(Event::Learned(again), &HABITS, at(10_000));
    life.step(Event::Done(Step::StoreFailed), &HABITS, at(10_000));
    assert_eq!(ask(&mut life, Ask::Request, 10_001), Verdict::Use { version: 2 });
}

#[test]
fn a_401_forces_one_refresh_of_the_current_token_and_none_of_an_older_one() {
    let mut life = life(known(None), &HABITS);
    let first = life.step(Event::Asked(Ask::Unauthorized { version: 1 }), &HABITS, at(1));
    assert_eq!((first.verdict, first.next.is_some()), (Some(Verdict::Wait), true));
    assert_eq!(ask(&mut life, Ask::Request, 2), Verdict::Wait, "the next call waits for it");
    refreshed(&mut life, 1, 3);
    assert_eq!(ask(&mut life, Ask::Unauthorized { version: 1 }, 4), Verdict::Use { version: 2 });
}

#[test]
fn after_three_replays_in_a_row_a_401_passes_for_a_minute() {
    let heal = |life: &mut Life, version, millis| {
        let verdict = ask(life, Ask::Unauthorized { version }, millis);
        if verdict == Verdict::Wait {
            refreshed(life, version, millis);
            life.step(Event::Unhealed { version: version + 1 }, &HABITS, at(millis));
        }
        verdict
    };
    let mut stubborn = life(known(None), &HABITS);
    for (version, millis, verdict) in [
        (1, 0, Verdict::Wait),
        (2, 1, Verdict::Wait),
        (3, 2, Verdict::Wait),
        (4, 3, Verdict::Pass),
        (4, 59_999, Verdict::Pass),
        (4, 60_002, Verdict::Wait),
    ] {
        assert_eq!(heal(&mut stubborn, version, millis), verdict, "{version} {millis}");
    }
    assert_eq!(ask(&mut stubborn, Ask::Unauthorized { version: 5 }, 60_003), Verdict::Pass, "and again after one more");
    let mut honoured = life(known(None), &HABITS);
    for version in 1..9 {
        assert_eq!(heal(&mut honoured, version, version), Verdict::Wait, "{version}");
        if version % 2 == 0 {
            honoured.step(Event::Honoured, &HABITS, at(version));
        }
    }
}

#[test]
fn calls_that_are_not_sent_again_are_counted_too() {
    let mut life = life(known(None), &HABITS);
    for (version, verdict) in [(1, Verdict::Wait), (2, Verdict::Wait), (3, Verdict::Wait), (4, Verdict::Pass)] {
        assert_eq!(ask(&mut life, Ask::Unauthorized { version }, version), verdict, "{version}");
        if verdict == Verdict::Wait {
            refreshed(&mut life, version, version);
        }
    }
}

#[test]
fn without_a_refresh_token_a_grant_ends_with_its_token() {
    let bare = Known { refreshable: false, ..known(Some(8)) };
    for (who, millis) in [(Ask::Request, 7_600), (Ask::Unauthorized { version: 1 }, 1)] {
        let mut life = life(bare, &HABITS);
        assert_eq!(ask(&mut life, who, millis), Verdict::Wait, "{who:?}");
        life.step(Event::Done(Step::Leased(Leased::Taken)), &HABITS, at(millis));
        let effects = life.step(Event::Done(Step::Read(Some(bare))), &HABITS, at(millis));
        assert_eq!(effects.next, Some((Deed::End { version: 1 }, Duration::ZERO)), "{who:?}");
    }
    let mut life = life(bare, &HABITS);
    assert_eq!(ask(&mut life, Ask::Operator, 1), Verdict::Refuse(Why::Ended));
    assert_eq!(ask(&mut life, Ask::Request, 1), USE, "an operator's wish ends nothing");
}

#[test]
fn new_tokens_are_kept_until_the_store_takes_them() {
    let mut life = life(known(Some(100)), &HABITS);
    assert!(life.step(Event::Due { used_at: at(0).wall }, &HABITS, at(75_000)).next.is_some());
    to_the_provider(&mut life, known(Some(100)), 75_000);
    spent(&mut life, TOKENS, 75_000);
    for pause in [1, 2, 4, 8, 8, 8] {
        let effects = life.step(Event::Done(Step::StoreFailed), &HABITS, at(76_000));
        assert_eq!(effects.next, Some((Deed::Save { version: 1 }, seconds(pause))));
        assert_eq!(effects.tell, Some(Landing::Refused(Why::Store)));
    }
    assert_eq!(ask(&mut life, Ask::Request, 80_000), USE, "the old token lives");
    assert_eq!(ask(&mut life, Ask::Request, 95_000), Verdict::Refuse(Why::Store));
    assert_eq!(ask(&mut life, Ask::Operator, 95_000), Verdict::Refuse(Why::Store));
    assert_eq!(life.step(Event::Done(Step::Wrote(Wrote::Done)), &HABITS, at(96_000)).tell, Some(Landing::Fresh));
    assert_eq!(ask(&mut life, Ask::Request, 96_000), Verdict::Use { version: 2 });
}

#[test]
fn what_cannot_be_opened_is_tried_less_and_less_often() {
    let mut life = life(known(Some(8)), &HABITS);
    let mut millis = 8_000;
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        assert!(life.step(Event::Due { used_at: at(0).wall }, &HABITS, at(millis)).next.is_some());
        to_the_provider(&mut life, known(Some(8)), millis);
        let effects = life.step(Event::Done(Step::StoreFailed), &HABITS, at(millis));
        assert_eq!((effects.tell, effects.next), (Some(Landing::Refused(Why::Store)), None));
        let next = at(millis).mono.plus(seconds(pause));
        assert_eq!(effects.wake, Wake::At(next));
        millis = next.millis();
    }
}

#[test]
fn a_life_takes_little_room_as_long_as_nobody_flies() {
    assert!(size_of::<Life>() <= 200, "{}", size_of::<Life>());
}

#[test]
fn a_holder_whose_lease_is_gone_takes_it_again_before_it_writes() {
    let mut life = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Wait);
    to_the_provider(&mut life, known(Some(8)), 10_000);
    spent(&mut life, TOKENS, 10_000);
    for (step, next) in [
        (Step::Wrote(Wrote::Conflict), Deed::Lease),
        (Step::Leased(Leased::Elsewhere), Deed::Lease),
        (Step::Leased(Leased::Taken), Deed::Read),
        (Step::Read(Some(known(Some(8)))), Deed::Save { version: 1 }),
    ] {
        assert_eq!(life.step(Event::Done(step), &HABITS, at(11_000)).next.map(|(deed, _)| deed), Some(next), "{step:?}");
    }
}

#[test]
fn while_another_node_refreshes_its_result_is_waited_for_and_not_for_ever() {
    let mut watching = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut watching, Ask::Request, 10_000), Verdict::Wait);
    let (glance, lease) = (Some((Deed::Read, Duration::from_millis(250))), Some((Deed::Lease, Duration::ZERO)));
    let elsewhere = |life: &mut Life, millis| life.step(Event::Done(Step::Leased(Leased::Elsewhere)), &HABITS, at(millis));
    assert_eq!(elsewhere(&mut watching, 10_000).next, glance);
    let mut patient = watching.clone();
    let read = |life: &mut Life, known, millis| life.step(Event::Done(Step::Read(Some(known))), &HABITS, at(millis));
    assert_eq!(read(&mut watching, known(Some(8)), 11_000).next, lease);
    assert_eq!(elsewhere(&mut watching, 11_000).next, glance);
    let theirs = Known { version: 2, issued_at: at(11_000).wall, expires_at: Some(at(99_000).wall), ..known(None) };
    assert_eq!(read(&mut watching, theirs, 12_000).tell, Some(Landing::Fresh));
    assert_eq!(read(&mut patient, known(Some(8)), 30_000).next, lease);
    let effects = elsewhere(&mut patient, 30_000);
    assert_eq!((effects.next, effects.tell), (None, Some(Landing::Refused(Why::Unavailable { retry_after: seconds(1) }))));
}

#[test]
fn whoever_flew_and_is_gone_leaves_nobody_waiting_for_ever() {
    let mut early = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut early, Ask::Request, 10_000), Verdict::Wait);
    assert_eq!(early.step(Event::Aborted, &HABITS, at(10_000)).tell, Some(Landing::Refused(Why::Store)));
    assert_eq!(ask(&mut early, Ask::Request, 10_001), Verdict::Wait);
    let mut late = life(known(Some(100)), &HABITS);
    assert!(late.step(Event::Due { used_at: at(0).wall }, &HABITS, at(75_000)).next.is_some());
    to_the_provider(&mut late, known(Some(100)), 75_000);
    let effects = late.step(Event::Aborted, &HABITS, at(76_000));
    assert!(matches!(effects.tell, Some(Landing::Refused(Why::Unavailable { .. }))), "the answer is lost: {effects:?}");
    assert_eq!(effects.wake, Wake::At(Instant::from_millis(95_000)));
    assert_eq!(early.step(Event::Aborted, &HABITS, at(10_002)).tell, Some(Landing::Refused(Why::Store)));
    assert_eq!(early.step(Event::Aborted, &HABITS, at(10_003)).tell, None, "nobody flies");
}

#[test]
fn a_flight_that_failed_elsewhere_is_followed_by_one_of_our_own() {
    let mut life = life(known(Some(8)), &HABITS);
    assert_eq!(ask(&mut life, Ask::Operator, 10_000), Verdict::Wait);
    for (step, next) in [
        (Step::Leased(Leased::Elsewhere), Deed::Read),
        (Step::Read(Some(known(Some(8)))), Deed::Lease),
        (Step::Leased(Leased::Taken), Deed::Read),
        (Step::Read(Some(known(Some(8)))), Deed::Intend { version: 1 }),
    ] {
        assert_eq!(life.step(Event::Done(step), &HABITS, at(10_250)).next.map(|(deed, _)| deed), Some(next), "{step:?}");
    }
}

#[test]
fn another_record_takes_the_place_of_what_is_known_and_an_older_one_does_not() {
    let mut life = life(known(Some(8)), &HABITS);
    let brought = Known { version: 2, issued_at: at(9_000).wall, expires_at: Some(at(99_000).wall), ..known(None) };
    assert_ne!(life.step(Event::Learned(brought), &HABITS, at(9_000)).wake, Wake::Unchanged);
    life.step(Event::Learned(known(Some(8))), &HABITS, at(9_000));
    assert_eq!(ask(&mut life, Ask::Request, 10_000), Verdict::Use { version: 2 });
    life.step(Event::Learned(Known { version: 3, standing: Standing::Ended, ..brought }), &HABITS, at(11_000));
    assert_eq!(ask(&mut life, Ask::Request, 11_000), Verdict::Refuse(Why::Ended));
}
