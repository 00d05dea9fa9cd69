//! When grants are to be looked at: one task that sleeps until the next one is due.

use super::Shared;
use super::lives::{habits, known_of};
use scopegate_core::id::GrantId;
use scopegate_core::refresh::{Event, first_wake};
use scopegate_core::time::Instant;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What is due when; each grant at most once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    plan: Mutex<Plan>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    by_time: BTreeSet<(Instant, GrantId)>,
    of: HashMap<GrantId, Instant>,
}

impl Schedule {
    /// Looks at `grant` then, and not at another time; none: not at all.
    pub(super) fn set(&self, grant: &GrantId, at: Option<Instant>) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let first = plan.by_time.first().map(|(first, _)| *first);
        if let Some(old) = plan.of.remove(grant) {
            plan.by_time.remove(&(old, grant.clone()));
        }
        if let Some(at) = at {
            plan.of.insert(grant.clone(), at);
            plan.by_time.insert((at, grant.clone()));
            if first.is_none_or(|first| at < first) {
                self.changed.notify_one();
            }
        }
    }

    /// Takes out what is due; else says when the next one is.
    fn due(&self, now: Instant) -> Result<GrantId, Option<Instant>> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        match plan.by_time.first() {
            None => Err(None),
            Some((at, _)) if *at > now => Err(Some(*at)),
            Some(_) => {
                let (_, grant) = plan.by_time.pop_first().ok_or(None)?;
                plan.of.remove(&grant);
                Ok(grant)
            }
        }
    }
}

impl Shared {
    /// Plans all grants, and looks at each when it is due, until the process ends.
    pub(super) fn start_schedule(self: &Arc<Self>) {
        self.plan_all();
        let (shared, end) = (Arc::clone(self), self.tasks.token());
        self.tasks.spawn("refresh ahead", async move {
            loop {
                let now = shared.clock.instant();
                match shared.schedule.due(now) {
                    Ok(grant) => {
                        shared.look_at(&grant);
                        // Many may be due at once, and others want to run.
                        tokio::task::yield_now().await;
                    }
                    Err(next) => tokio::select! {
                        () = end.cancelled() => return,
                        () = shared.schedule.changed.notified() => {}
                        () = sleep_until(&shared, next, now) => {}
                    },
                }
            }
        });
    }

    fn plan_all(&self) {
        let policies = (self.policies)();
        self.directory.each_grant(|facts| {
            let habits = habits(policies.connector(facts.connector.as_str()));
            self.schedule.set(&facts.id, first_wake(&known_of(facts, None), facts.used_at, &habits, self.moment()));
        });
    }

    fn look_at(self: &Arc<Self>, grant: &GrantId) {
        if let Some(facts) = self.directory.grant(grant) {
            self.step(&facts, Event::Due { used_at: facts.used_at });
        }
    }
}

async fn sleep_until(shared: &Shared, next: Option<Instant>, now: Instant) {
    match next {
        Some(next) => shared.clock.sleep(next.since(now)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_due_once_and_at_the_time_that_was_set_last() {
        let (schedule, at) = (Schedule::default(), Instant::from_millis);
        let [a, b] = [1, 2].map(|number| GrantId::from_bytes([number; 16]));
        schedule.set(&a, Some(at(5)));
        schedule.set(&b, Some(at(7)));
        schedule.set(&a, Some(at(9)));
        assert_eq!(schedule.due(at(6)), Err(Some(at(7))));
        assert_eq!(schedule.due(at(9)), Ok(b));
        assert_eq!(schedule.due(at(9)), Ok(a.clone()));
        assert_eq!(schedule.due(at(9)), Err(None));
        schedule.set(&a, Some(at(5)));
        schedule.set(&a, None);
        assert_eq!(schedule.due(at(9)), Err(None));
    }
}
