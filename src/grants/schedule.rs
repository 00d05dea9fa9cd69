//! When grants are to be looked at: one task that sleeps until the next one is due, and a line for each provider, so that
//! whatever is due is not more at a time than its token endpoint takes: a hundred thousand that wait are names in a line.

use super::Shared;
use super::lives::{habits, known_of};
use super::provider::Place;
use scopegate_core::id::GrantId;
use scopegate_core::refresh::first_wake;
use scopegate_core::time::Instant;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// What is due when; each grant at most once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    plan: Mutex<Plan>,
    changed: Notify,
    /// Of each provider: what is due and has no place yet.
    lines: Mutex<HashMap<String, Line>>,
}

/// The end of a line of grants that wait for a place. However often one is due meanwhile, it stands there once.
#[derive(Debug)]
struct Line {
    end: mpsc::UnboundedSender<GrantId>,
    standing: Arc<Standing>,
}

/// Its head.
#[derive(Debug)]
struct Head {
    waiting: mpsc::UnboundedReceiver<GrantId>,
    standing: Arc<Standing>,
}

/// Who stands in it.
#[derive(Debug, Default)]
struct Standing(Mutex<HashSet<GrantId>>);

impl Standing {
    fn lock(&self) -> MutexGuard<'_, HashSet<GrantId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn new() -> (Self, Head) {
        let ((end, waiting), standing) = (mpsc::unbounded_channel(), Arc::<Standing>::default());
        (Self { end, standing: Arc::clone(&standing) }, Head { waiting, standing })
    }

    fn join(&self, grant: GrantId) {
        if self.standing.lock().insert(grant.clone()) {
            // A line that nobody serves any more is that of a process that ends.
            let _ = self.end.send(grant);
        }
    }
}

impl Head {
    /// Who is next; stands in the line until [`leaves`](Self::leaves).
    async fn next(&mut self) -> Option<GrantId> {
        self.waiting.recv().await
    }

    /// From here on it may join the line again.
    fn leaves(&self, grant: &GrantId) {
        self.standing.lock().remove(grant);
    }
}

/// Of a million grants most are never used: each of them takes one entry, and no more.
#[derive(Debug, Default)]
struct Plan {
    /// When to look at which grant, the next first. What stands here may have been planned anew since.
    by_time: BinaryHeap<Reverse<(Instant, GrantId)>>,
    /// Of grants that were planned more than once: what holds now; none: nothing.
    anew: HashMap<GrantId, Option<Instant>>,
}

impl Plan {
    /// Puts an entry in. Before there are more of them than ever, those go that do not hold any more.
    fn put(&mut self, at: Instant, grant: &GrantId) {
        if self.by_time.len() == self.by_time.capacity() {
            let anew = &self.anew;
            self.by_time.retain(|Reverse((at, grant))| holds(anew, *at, grant));
        }
        self.by_time.push(Reverse((at, grant.clone())));
    }
}

fn holds(anew: &HashMap<GrantId, Option<Instant>>, at: Instant, grant: &GrantId) -> bool {
    anew.get(grant).is_none_or(|now| *now == Some(at))
}

impl Schedule {
    /// Looks for the first time at `grant` then.
    pub(super) fn begin(&self, grant: &GrantId, at: Instant) {
        let mut plan = self.lock();
        if plan.anew.contains_key(grant) {
            drop(plan);
            return self.set(grant, Some(at));
        }
        self.put(&mut plan, at, grant);
    }

    /// Looks at `grant` then, and not at another time; none: not at all.
    pub(super) fn set(&self, grant: &GrantId, at: Option<Instant>) {
        let mut plan = self.lock();
        let before = plan.anew.insert(grant.clone(), at);
        if let Some(at) = at
            && before != Some(Some(at))
        {
            self.put(&mut plan, at, grant);
        }
    }

    /// Forgets a grant that is gone.
    pub(super) fn forget(&self, grant: &GrantId) {
        self.lock().anew.remove(grant);
    }

    fn put(&self, plan: &mut Plan, at: Instant, grant: &GrantId) {
        let is_first = plan.by_time.peek().is_none_or(|Reverse((first, _))| at < *first);
        plan.put(at, grant);
        if is_first {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When what is planned is due.
    #[cfg(test)]
    pub(super) fn planned(&self) -> Vec<Instant> {
        let plan = self.lock();
        plan.by_time.iter().filter(|Reverse((at, grant))| holds(&plan.anew, *at, grant)).map(|Reverse((at, _))| *at).collect()
    }

    /// Whether nothing is planned at all. Looks at one entry: whoever asks often holds nobody up.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_time.is_empty()
    }

    /// Takes out what is due; else says when the next one is.
    fn due(&self, now: Instant) -> Result<GrantId, Option<Instant>> {
        let mut plan = self.lock();
        loop {
            match plan.by_time.peek() {
                None => return Err(None),
                Some(Reverse((at, _))) if *at > now => return Err(Some(*at)),
                Some(_) => {}
            }
            let Reverse((at, grant)) = plan.by_time.pop().ok_or(None)?;
            if holds(&plan.anew, at, &grant) {
                if let Some(planned) = plan.anew.get_mut(&grant) {
                    *planned = None;
                }
                return Ok(grant);
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
            let habits = habits(policies.connector(facts.connector.as_str()).map(AsRef::as_ref));
            if let Some(at) = first_wake(&known_of(facts, None), facts.used_at, &habits, self.moment()) {
                self.schedule.begin(&facts.id, at);
            }
        });
    }

    fn line_up(self: &Arc<Self>, grant: GrantId) {
        let Some(facts) = self.directory.grant(&grant) else { return };
        let Some(connector) = self.connector(&facts.connector) else { return };
        let mut lines = self.schedule.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(connector.provider.clone()).or_insert_with(|| {
            let (line, head) = Line::new();
            self.tasks.spawn("refresh ahead", Arc::clone(self).serve_line(connector.provider.clone(), head));
            line
        });
        line.join(grant);
    }

    async fn serve_line(self: Arc<Self>, provider: String, mut head: Head) {
        let end = self.tasks.token();
        while let Some(Some(grant)) = end.run_until_cancelled(head.next()).await {
            let Some(Some(place)) = end.run_until_cancelled(self.provider.place_ahead(&provider)).await else { return };
            head.leaves(&grant);
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
        schedule.begin(&a, at(5));
        schedule.begin(&b, at(7));
        schedule.set(&a, Some(at(9)));
        schedule.set(&a, Some(at(9)));
        assert_eq!(schedule.planned().len(), 2);
        assert_eq!(schedule.due(at(6)), Err(Some(at(7))));
        assert_eq!(schedule.due(at(9)), Ok(b));
        assert_eq!(schedule.due(at(9)), Ok(a.clone()));
        assert_eq!(schedule.due(at(9)), Err(None));
        schedule.set(&a, Some(at(5)));
        schedule.set(&a, None);
        assert_eq!(schedule.due(at(9)), Err(None));
        schedule.set(&a, Some(at(5)));
        schedule.set(&a, Some(at(8)));
        schedule.begin(&a, at(6));
        assert_eq!((schedule.due(at(9)), schedule.due(at(9))), (Ok(a.clone()), Err(None)), "the last one holds");
    }

    #[tokio::test]
    async fn however_often_a_grant_is_due_it_stands_in_line_once() {
        let (line, mut head) = Line::new();
        let [a, b] = [1, 2].map(|number| GrantId::from_bytes([number; 16]));
        for _ in 0..1000 {
            line.join(a.clone());
            line.join(b.clone());
        }
        assert_eq!(head.waiting.len(), 2);
        assert_eq!(head.next().await, Some(a.clone()));
        line.join(a.clone());
        assert_eq!(head.waiting.len(), 1, "it waits for its place");
        head.leaves(&a);
        line.join(a.clone());
        assert_eq!((head.next().await, head.next().await), (Some(b), Some(a)));
    }

    #[test]
    fn however_often_a_grant_is_planned_the_plan_stays_small() {
        let (schedule, grant) = (Schedule::default(), GrantId::from_bytes([1; 16]));
        for number in 0..100_000 {
            schedule.set(&grant, Some(Instant::from_millis(1_000_000 - number)));
        }
        assert!(schedule.lock().by_time.capacity() < 16);
        schedule.forget(&grant);
        assert!(schedule.lock().anew.is_empty());
    }
}
