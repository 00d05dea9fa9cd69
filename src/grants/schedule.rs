//! When grants are to be looked at: one task that sleeps until the next one is due, and a line for each provider, so that
//! whatever is due is not more at a time than its token endpoint takes: a hundred thousand that wait are names in a line.

use super::Shared;
use super::lives::{habits, known_of};
use super::provider::Place;
use scopegate_core::id::GrantId;
use scopegate_core::refresh::first_wake;
use scopegate_core::time::Instant;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

/// What is due when; each grant at most once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    plan: Mutex<Plan>,
    changed: Notify,
    /// Of each provider: what is due and has no place yet.
    lines: Mutex<HashMap<String, mpsc::UnboundedSender<GrantId>>>,
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

    /// When what is planned is due.
    #[cfg(test)]
    pub(super) fn planned(&self) -> Vec<Instant> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).by_time.iter().map(|(at, _)| *at).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).by_time.is_empty()
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
                        shared.line_up(grant);
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

    fn line_up(self: &Arc<Self>, grant: GrantId) {
        let Some(facts) = self.directory.grant(&grant) else { return };
        let Some(connector) = self.connector(&facts.connector) else { return };
        let mut lines = self.schedule.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(connector.provider.clone()).or_insert_with(|| {
            let (line, waiting) = mpsc::unbounded_channel();
            self.tasks.spawn("refresh ahead", Arc::clone(self).serve_line(connector.provider.clone(), waiting));
            line
        });
        // A line that nobody serves any more is that of a process that ends.
        let _ = line.send(grant);
    }

    async fn serve_line(self: Arc<Self>, provider: String, mut waiting: mpsc::UnboundedReceiver<GrantId>) {
        let end = self.tasks.token();
        while let Some(Some(grant)) = end.run_until_cancelled(waiting.recv()).await {
            let Some(Some(place)) = end.run_until_cancelled(self.provider.place_ahead(&provider)).await else { return };
            self.look_at(&grant, place);
        }
    }

    /// What is not due any more gives its place back at once.
    fn look_at(self: &Arc<Self>, grant: &GrantId, place: Place) {
        if let Some(facts) = self.directory.grant(grant) {
            self.due(&facts, place);
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
