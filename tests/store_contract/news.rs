//! What memory is told.

use super::cast::{Home, account, conflict, done, grant, handle, new_grant, promoted};
use scopegate::store::{Change, News, Store};
use scopegate_core::account::HandleTarget;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

async fn follow(store: &Arc<dyn Store>) -> UnboundedReceiver<News> {
    let (sender, told) = unbounded_channel();
    store.follow(Box::new(move |news| news.into_iter().for_each(|news| _ = sender.send(news)))).await.unwrap();
    told
}

/// What was told and not looked at yet, in short.
fn told(news: &mut UnboundedReceiver<News>) -> Vec<String> {
    std::iter::from_fn(|| news.try_recv().ok()).map(|news| short(&news)).collect()
}

fn short(news: &News) -> String {
    match news {
        News::Everything(_) => "everything".into(),
        News::Account(record) => format!("account {} v{}", record.identifier, record.version),
        News::AccountGone(_) => "account gone".into(),
        News::Grant(facts) => format!("grant v{}", facts.version),
        News::GrantGone(_) => "grant gone".into(),
        News::Handle(_) => "handle".into(),
        News::HandleGone(_) => "handle gone".into(),
    }
}

pub(crate) async fn a_follower_is_told_everything_and_then_each_change_before_its_writer_is_answered(home: &impl Home) {
    let store = home.open();
    let (owner, token) = (account(1), grant(1, 1));
    done(&store, [Change::InsertAccount(owner.clone())]).await;
    let mut news = follow(&store).await;
    assert_eq!(told(&mut news), ["account user_1 v1"]);
    for (change, expected) in [
        (Change::UpdateAccount(promoted(&owner)), &["account user_1 v2"][..]),
        (new_grant(&token), &["grant v1"]),
        (Change::TouchGrant { grant: token.facts.id.clone(), used_at: home.now() }, &["grant v1"]),
        (Change::InsertHandle(handle(1, HandleTarget::Account(owner.id.clone()))), &["handle"]),
        (Change::DeleteAccount(owner.id.clone()), &["account gone", "handle gone"]),
        (Change::DeleteGrant(token.facts.id.clone()), &["grant gone"]),
    ] {
        done(&store, [change.clone()]).await;
        let mut came = told(&mut news);
        came.sort();
        assert_eq!(came, expected, "{change:?}");
    }
    let mut later = follow(&store).await;
    done(&store, [Change::InsertAccount(owner)]).await;
    assert_eq!((told(&mut news).len(), told(&mut later)), (0, vec!["account user_1 v1".into()]));
}

pub(crate) async fn a_conflict_is_no_news(home: &impl Home) {
    let store = home.open();
    let mut news = follow(&store).await;
    conflict(&store, [Change::InsertAccount(account(1)), Change::DeleteAccount(account(2).id)]).await;
    assert_eq!(told(&mut news).len(), 0);
}

pub(crate) async fn another_process_is_told_of_a_change_and_ends_with_the_same(home: &impl Home) {
    let (here, there) = (home.open(), home.open());
    let mut news = follow(&there).await;
    assert_eq!(told(&mut news).len(), 0);
    let owner = account(1);
    done(&here, [Change::InsertAccount(owner.clone())]).await;
    done(&here, [Change::UpdateAccount(promoted(&owner))]).await;
    let mut last = String::new();
    // A change that was overtaken by the next need not be told.
    while last != "account user_1 v2" {
        let next = tokio::time::timeout(Duration::from_secs(10), news.recv()).await;
        last = short(&next.expect("news within ten seconds").unwrap());
    }
    // What a writer was told is not told again, and what others wrote before is told first.
    done(&here, [new_grant(&grant(1, 1))]).await;
    done(&there, [Change::DeleteAccount(owner.id)]).await;
    let came = told(&mut news);
    assert!(came.contains(&"grant v1".into()) && came.contains(&"account gone".into()), "{came:?}");
}
