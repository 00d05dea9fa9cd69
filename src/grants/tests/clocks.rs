//! Clocks that jump, and grants that nobody uses.

use super::*;

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn a_jump_of_the_wall_clock_neither_revives_nor_ends_a_token() {
    let stage = Stage::new().await;
    let account = stage.connected("jumping", Some(1000)).await;
    let token = stage.token(&account).await.unwrap();
    let nine = stage.clock.timestamp();
    for (wall, passed, lives) in
        [(nine.plus(Duration::from_secs(DAY)), 100, true), (nine.minus(Duration::from_secs(DAY)), 880, true), (nine, 15, false)]
    {
        stage.hands.set_wall(wall);
        stage.advance(passed);
        assert_eq!(stage.token(&account).await.unwrap() == token, lives, "{wall}");
    }
    assert_eq!((stage.refreshes("jumping"), stage.practice.provider().problems()), (1, vec![]));
}

#[tokio::test]
async fn a_clock_that_is_a_minute_off_after_a_restart_costs_nobody_a_grant() {
    for (off, refreshes) in [(-60, 0), (60, 0), (600, 1)] {
        let stage = Stage::new().await;
        let account = stage.connected("skewed", Some(600)).await;
        let now = stage.clock.timestamp();
        stage.hands.set_wall(Timestamp::from_millis(now.millis() + off * 1000));
        let stage = stage.killed().await;
        let token = stage.token(&account).await.unwrap();
        assert_eq!((stage.owner(&token), stage.refreshes("skewed")), (Some(("acme/skewed".into(), true)), refreshes), "{off}");
        stage.advance(600);
        let token = stage.token(&account).await.unwrap();
        assert_eq!(stage.owner(&token), Some(("acme/skewed".into(), true)), "{off}");
        assert_eq!((stage.status(&account), stage.practice.provider().problems()), (Status::Active, vec![]), "{off}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_in_the_middle_of_a_refresh_disturbs_nothing() {
    let stage = Stage::new().await;
    for (name, back) in [("hour", 60 * 60), ("year", 365 * DAY)] {
        let account = stage.connected(name, Some(100)).await;
        let hold = stage.practice.provider().hold();
        stage.advance(100);
        let (token, ()) = tokio::join!(stage.token(&account), async {
            stage.practice.provider().until_refreshes(&label(name), 1).await;
            stage.hands.set_wall(stage.clock.timestamp().minus(Duration::from_secs(back)));
            drop(hold);
        });
        assert_eq!(stage.owner(&token.unwrap()), Some((format!("acme/{name}"), true)));
        assert_eq!((stage.refreshes(name), stage.practice.provider().problems()), (1, vec![]));
    }
}

#[tokio::test]
async fn what_is_refreshed_on_use_is_left_alone_until_somebody_needs_it() {
    let stage = Stage::new().await;
    stage.grants.start();
    let account = stage.connected_to("kept", "lazy", Some(100)).await;
    for _ in 0..20 {
        stage.advance(DAY);
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.refreshes("lazy"), 0);
    let token = stage.token(&account).await.unwrap();
    assert_eq!((stage.owner(&token), stage.refreshes("lazy")), (Some(("acme/lazy".into(), true)), 1));
}

#[tokio::test]
async fn what_is_to_be_kept_alive_is_refreshed_before_its_time_is_over_and_not_much_sooner() {
    let stage = Stage::new().await;
    stage.grants.start();
    let account = stage.connected_to("kept", "kept", Some(100)).await;
    let unused = stage.connected_to("crm", "unused", Some(100)).await;
    // Each month but for three days.
    for month in 1..=3 {
        stage.advance(26 * DAY);
        assert_eq!(stage.refreshes("kept"), month - 1, "month {month}");
        stage.advance(2 * DAY);
        stage.until("it is kept alive", |stage| stage.now(&account.record).grant.unwrap().version == month + 1).await;
        assert_eq!(stage.refreshes("kept"), month, "month {month}");
    }
    assert_eq!((stage.refreshes("unused"), stage.status(&unused)), (0, Status::Active), "what nobody uses and nobody wants kept is left alone");
}
