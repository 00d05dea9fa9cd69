//! Who may do what only one may do at a time.

use super::cast::{Home, conflict, done, grant, new_grant};
use scopegate::store::{Change, Lease, LeaseName, LeaseOwner, Store};
use std::sync::Arc;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(60);

fn name(number: u8) -> LeaseName {
    let facts = grant(number, 1).facts;
    LeaseName::refresh(&facts.connector, &facts.customer, &facts.id)
}

async fn acquire(store: &Arc<dyn Store>, number: u8) -> Option<Lease> {
    store.acquire(&name(number), &LeaseOwner::random(), TTL).await.unwrap()
}

pub(crate) async fn a_lease_has_one_holder_until_it_is_given_back(home: &impl Home) {
    let (here, there) = (home.open(), home.open());
    let first = acquire(&here, 1).await.unwrap();
    assert!(acquire(&here, 1).await.is_none() && acquire(&there, 1).await.is_none());
    assert!(acquire(&there, 2).await.is_some(), "another name is another lease");
    here.release(&first).await.unwrap();
    let second = acquire(&there, 1).await.unwrap();
    assert!(second.fence > first.fence);
    here.release(&first).await.unwrap();
    assert!(acquire(&here, 1).await.is_none(), "what was lost cannot be given back");
}

pub(crate) async fn a_lease_ends_unless_it_is_renewed(home: &impl Home) {
    let (here, there) = (home.open(), home.open());
    let first = acquire(&here, 1).await.unwrap();
    home.later(TTL - Duration::from_secs(1));
    let first = here.renew(&first, TTL).await.unwrap().unwrap();
    home.later(TTL - Duration::from_secs(1));
    assert!(acquire(&there, 1).await.is_none());
    home.later(Duration::from_secs(1));
    assert_eq!(here.renew(&first, TTL).await.unwrap(), None);
    let second = acquire(&there, 1).await.unwrap();
    assert!(second.fence > first.fence);
    assert_eq!(here.renew(&first, TTL).await.unwrap(), None);
}

pub(crate) async fn a_holder_whose_lease_is_gone_writes_nothing(home: &impl Home) {
    let (here, there) = (home.open(), home.open());
    done(&here, [new_grant(&grant(1, 1))]).await;
    let write =
        |lease: &Lease, version| [Change::Holding(lease.clone()), Change::PutGrant { record: grant(1, version + 1), expected: Some(version) }];
    let first = acquire(&here, 1).await.unwrap();
    done(&here, write(&first, 1)).await;
    home.later(TTL);
    conflict(&here, write(&first, 2)).await;
    let second = acquire(&there, 1).await.unwrap();
    conflict(&here, write(&first, 2)).await;
    conflict(&here, write(&Lease { fence: first.fence, ..second.clone() }, 2)).await;
    done(&there, write(&second, 2)).await;
    there.release(&second).await.unwrap();
    conflict(&there, write(&second, 3)).await;
}

pub(crate) async fn a_holder_whose_process_is_gone_holds_nothing(home: &impl Home) {
    let (here, there) = (home.open(), home.open());
    let lost = acquire(&there, 1).await.unwrap();
    assert!(acquire(&here, 1).await.is_none());
    drop(there);
    let taken = acquire(&here, 1).await.unwrap();
    assert!(taken.fence > lost.fence);
    conflict(&here, [Change::Holding(lost)]).await;
}
