//! The scenario, played once from beginning to end.

use super::line::{Hue, line, paint};
use super::story;
use super::{Decided, Options, Promise, World, WorldError};
use serde::Serialize;
use std::time::Duration;

/// Lines of a promise with many calls that are shown; the others are counted.
const SHOWN: usize = 4;

/// How long the events of calls that were answered may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the scenario went.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    ok: bool,
    promises: Vec<Told>,
}

/// How one promise went.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    promise: &'static str,
    kept: bool,
    /// What came instead, where it was not kept.
    found: Option<String>,
}

impl Played {
    /// Whether all six promises were kept.
    #[must_use]
    pub const fn all_kept(&self) -> bool {
        self.ok
    }

    /// The names of the promises that were not kept.
    #[must_use]
    pub fn broken(&self) -> Vec<&'static str> {
        self.promises.iter().filter(|told| !told.kept).map(|told| told.promise).collect()
    }
}

/// Plays the scenario in a world of its own, told step by step. Each promise is put to the test, also after one was
/// broken. With a sabotage the practice side breaks that promise.
/// # Errors
/// [`WorldError`]: nothing was played.
pub async fn once(options: &Options, sabotage: Option<Promise>, say: impl Fn(&str)) -> Result<Played, WorldError> {
    let mut world = World::start(options, sabotage).await?;
    let mut promises = Vec::new();
    for (number, promise) in Promise::ALL.into_iter().enumerate() {
        say(&paint(&format!("{}. {}", number + 1, promise.sentence()), Hue::Bold, options.look));
        let before = world.agent().calls();
        let found = story::play(&world, promise, sabotage).await.err();
        let events = events(&mut world, before).await;
        let found = found.or_else(|| unheard(&events, world.agent().calls() - before));
        for event in events.iter().take(SHOWN) {
            say(&format!("   {}", line(event, options.look)));
        }
        if let Some(more) = events.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            say(&paint(&format!("   and {more} more"), Hue::Dim, options.look));
        }
        say(&match &found {
            None => paint("   kept\n", Hue::Green, options.look),
            Some(found) => paint(&format!("   BROKEN: {found}\n"), Hue::Red, options.look),
        });
        promises.push(Told { promise: promise.as_str(), kept: found.is_none(), found });
    }
    world.end().await;
    let kept = promises.iter().filter(|told| told.kept).count();
    let ok = kept == promises.len();
    say(&paint(&format!("{kept} of {} promises kept", promises.len()), if ok { Hue::Green } else { Hue::Red }, options.look));
    Ok(Played { ok, promises })
}

/// The events of the calls that were made since there were `before` of them.
async fn events(world: &mut World, before: usize) -> Vec<Decided> {
    let expected = world.agent().calls().saturating_sub(before);
    let clock = world.clock().clone();
    let mut events = Vec::new();
    while events.len() < expected {
        tokio::select! {
            event = world.watched.next() => match event {
                Some(event) => events.push(event),
                None => break,
            },
            () = clock.sleep(PATIENCE) => break,
        }
    }
    events
}

/// Every call leaves one event.
fn unheard(events: &[Decided], calls: usize) -> Option<String> {
    (events.len() != calls).then(|| format!("{calls} calls left {} audit events", events.len()))
}
